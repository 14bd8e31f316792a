/** The report's funnel: from what was found to what a student learned from, with the reasons for each loss. */
#include "section.h"

#include <stdlib.h>
#include <string.h>

enum { SIEVES_MAX = 8, REASONS_MAX = 48 };

struct sieve {
    const char *label;
    int64_t n;
};

static int64_t sum_kept(const struct ws_selection_file *file)
{
    int64_t n = 0;
    for (int c = 0; c < file->n_classes; c++)
        n += file->n_kept[c];
    return n;
}

static size_t list_sieves(const struct ws_report *report, struct sieve sieves[SIEVES_MAX])
{
    const json_t *crawl = ws_report_manifest(report, "crawl"), *store = ws_report_manifest(report, "store");
    static const char *const found[] = {"found", NULL}, *const fetched[] = {"images", NULL},
                             *const pictures[] = {"pictures", NULL}, *const stored[] = {"images", NULL};
    const struct sieve all[] = {
        {"Picture addresses found", ws_report_count(crawl, found)},
        {crawl ? "Fetched" : "Pictures read",
         crawl ? ws_report_count(crawl, fetched) : ws_report_count(store, pictures)},
        {"Stored, each once", ws_report_count(store, stored)},
        {"Pool to learn from", report->last.n > 0 ? (int64_t)report->last.n : -1},
        {"Kept, first epoch", report->first.n > 0 ? sum_kept(&report->first) : -1},
        {report->selection_run ? "Kept, last epoch" : "Kept by curate",
         report->last.n > 0 ? sum_kept(&report->last) : -1},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].n >= 0)
            sieves[n++] = all[i];
    }
    return n;
}

static void add_sieves(struct ws_html *html, const struct sieve *sieves, size_t n)
{
    int64_t largest = 1;
    for (size_t i = 0; i < n; i++)
        largest = sieves[i].n > largest ? sieves[i].n : largest;
    ws_html_add(html, "<div class=\"funnel\" role=\"img\" aria-label=\"images left after each step\">\n");
    for (size_t i = 0; i < n; i++) {
        const double share = (double)sieves[i].n / (double)largest;
        ws_html_add(html, "<div class=\"step\"><span class=\"label\">");
        ws_html_text(html, sieves[i].label);
        ws_html_addf(html, "</span><span class=\"bar\"><i style=\"width:%.2f%%\"></i></span><span class=\"n\">",
                     100 * share);
        ws_html_count(html, sieves[i].n);
        ws_html_addf(html, " <small>%.1f&nbsp;%%</small></span></div>\n", 100 * share);
    }
    ws_html_add(html, "</div>\n");
}

struct reason {
    const char *name; /**< borrowed from the manifest */
    int64_t n;
};

static int compare_reasons(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return strcmp(x->name, y->name);
}

/** "too_many_pixels" as "too many pixels". */
static void add_name(struct ws_html *html, const char *name)
{
    char text[100];
    snprintf(text, sizeof text, "%.99s", name);
    for (char *c = text; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    ws_html_text(html, text);
}

/** Reasons of a manifest's fact, the frequent ones first. */
static void add_reasons(struct ws_html *html, const char *title, json_t *counts)
{
    struct reason reasons[REASONS_MAX];
    size_t n = 0;
    const char *name;
    json_t *value;
    json_object_foreach(counts, name, value)
    {
        if (n < REASONS_MAX && json_integer_value(value) > 0)
            reasons[n++] = (struct reason){name, (int64_t)json_integer_value(value)};
    }
    if (n == 0)
        return;
    qsort(reasons, n, sizeof *reasons, compare_reasons);
    ws_html_add(html, "<h3>");
    ws_html_text(html, title);
    ws_html_add(html, "</h3>\n<ul class=\"why\">\n");
    for (size_t i = 0; i < n; i++) {
        ws_html_add(html, "<li><span>");
        add_name(html, reasons[i].name);
        ws_html_add(html, "</span><span>");
        ws_html_count(html, reasons[i].n);
        ws_html_add(html, "</span></li>\n");
    }
    ws_html_add(html, "</ul>\n");
}

/** How many images each rule left out of a selection; NULL where the file has no reasons. Free it. */
static json_t *count_reasons(const struct ws_selection_file *file)
{
    int64_t n[256] = {0};
    if (file->n == 0 || !file->reason)
        return NULL;
    for (size_t row = 0; row < file->n; row++)
        n[file->reason[row]] += file->keep[row] ? 0 : 1;
    json_t *counts = json_object();
    for (int reason = 0; counts && reason < 256; reason++) {
        if (n[reason] > 0)
            (void)json_object_set_new(counts, ws_selection_reason_name(reason), json_integer((json_int_t)n[reason]));
    }
    return counts;
}

static json_t *get_fact(const json_t *manifest, const char *key)
{
    return json_object_get(json_object_get(manifest, "facts"), key);
}

enum ws_status ws_report_add_funnel(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    struct sieve sieves[SIEVES_MAX];
    const json_t *crawl = ws_report_manifest(report, "crawl"), *store = ws_report_manifest(report, "store");
    const size_t n = list_sieves(report, sieves);
    if (n > 0)
        add_sieves(html, sieves, n);
    if (!crawl)
        ws_report_add_missing(html, "Nothing has been fetched by webstill itself.", "crawl");
    add_reasons(html, "Not kept by the crawl, and why", get_fact(crawl, "failed_by_reason"));
    add_reasons(html, "Not stored, and why", get_fact(store, "refused_by_reason"));
    if (!store)
        ws_report_add_missing(html, "Nothing has been stored.", "store");
    json_t *reasons = count_reasons(&report->last);
    add_reasons(html, report->selection_run ? "Not kept in the last epoch, and why" : "Not kept by curate, and why",
                reasons);
    json_decref(reasons);
    static const char *const duplicates[] = {"duplicates", NULL};
    if (ws_report_count(store, duplicates) > 0) {
        ws_html_add(html, "<p class=\"soft\" style=\"margin-top:14px\">");
        ws_html_count(html, ws_report_count(store, duplicates));
        ws_html_add(
            html,
            " pictures were met again under another address, byte for byte the same: they are stored once.</p>\n");
    }
    return ws_report_add_class_funnel(report, html, err);
}
