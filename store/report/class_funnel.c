/** The report's funnel class by class: what each class's searches found, and how much of it a student learned from. */
#include "section.h"

#include "webstill/base/json.h"
#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { N_STEPS = 6 };
enum sieve { FOUND, FETCHED, DECODED, DISTINCT, POOL, KEPT };

static const char *const titles[N_STEPS] = {"Found", "Fetched", "Decoded", "Distinct", "In the pool", "Kept"};

/** Counts of a class by sieve; -1 where the stage does not tell. */
struct funnel {
    int64_t n[N_STEPS];
};

/** Where and under which class an image was found. Texts are borrowed. */
struct find {
    const char *url;
    int label; /**< -1: none of the classes */
};

static int find_class(const struct ws_config *config, const json_t *origin)
{
    const char *name = ws_json_text(origin, "class_name");
    for (unsigned c = 0; c < config->n_classes; c++) {
        if (strcmp(config->classes[c].name, name) == 0)
            return (int)c;
    }
    return -1;
}

/** True when no earlier find of the image has the same class (and, with `by_url`, the same address). */
static bool is_first(const struct find *finds, size_t i, bool by_url)
{
    for (size_t k = 0; k < i; k++) {
        if (finds[k].label == finds[i].label && (!by_url || strcmp(finds[k].url, finds[i].url) == 0))
            return false;
    }
    return finds[i].label >= 0;
}

/** Count one stored image under each class that it was found under; `row` is its row in the selection, or -1. */
static void count_image(const struct ws_report *report, const struct find *finds, size_t n_finds, int64_t row,
                        struct funnel *funnels)
{
    for (size_t i = 0; i < n_finds; i++) {
        if (is_first(finds, i, true))
            funnels[finds[i].label].n[DECODED]++;
        if (!is_first(finds, i, false))
            continue;
        struct funnel *funnel = &funnels[finds[i].label];
        funnel->n[DISTINCT]++;
        funnel->n[POOL] += row >= 0 ? 1 : 0;
        funnel->n[KEPT] += row >= 0 && report->last.keep[row] ? 1 : 0;
    }
}

static enum ws_status count_origins(const struct ws_report *report, size_t image, int64_t row, struct ws_buf *text,
                                    struct funnel *funnels, struct ws_err *err)
{
    enum { FINDS_MAX = 256 }; /* an image on more pages than that has shown its classes */
    struct find finds[FINDS_MAX];
    ws_buf_clear(text);
    const enum ws_status status = ws_images_origins(report->images, ws_images_id(report->images, image), text, err);
    if (status != WS_OK)
        return status;
    json_t *origins = json_loadb(text->len > 0 ? text->ptr : "", text->len, 0, NULL);
    size_t n = 0;
    for (; n < json_array_size(origins) && n < FINDS_MAX; n++) {
        const json_t *origin = json_array_get(origins, n);
        finds[n] = (struct find){ws_json_text(origin, "url"), find_class(report->config, origin)};
    }
    count_image(report, finds, n, row, funnels);
    json_decref(origins);
    return WS_OK;
}

/** Walk the store and the selection together: both have their ids ascending. */
static enum ws_status count_store(const struct ws_report *report, struct funnel *funnels, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    struct ws_buf text = {0};
    enum ws_status status = WS_OK;
    size_t row = 0;
    for (size_t i = 0; status == WS_OK && i < ws_images_count(report->images); i++) {
        const struct ws_image_id *id = ws_images_id(report->images, i);
        int order = -1;
        while (row < file->n && (order = memcmp(&file->ids[row], id, sizeof *id)) < 0)
            row++;
        status = count_origins(report, i, row < file->n && order == 0 ? (int64_t)row : -1, &text, funnels, err);
    }
    ws_buf_fini(&text);
    return status;
}

static int64_t get_fact(const json_t *manifest, const char *fact, const char *class)
{
    const json_t *value = json_object_get(json_object_get(json_object_get(manifest, "facts"), fact), class);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
}

/** A number over a bar of its share of the class’s first. */
static void add_cell(struct ws_html *html, int64_t n, int64_t largest)
{
    ws_html_add(html, "<td>");
    if (n >= 0)
        ws_html_count(html, n);
    else
        ws_html_add(html, "–");
    ws_html_addf(html, "<span class=\"share\"><i style=\"width:%.1f%%\"></i></span></td>",
                 n > 0 ? 100 * (double)n / (double)largest : 0.0);
}

static void add_row(struct ws_html *html, const char *name, const struct funnel *funnel, const bool *is_shown)
{
    int64_t largest = 1;
    for (int s = 0; s < N_STEPS; s++)
        largest = funnel->n[s] > largest ? funnel->n[s] : largest;
    ws_html_add(html, "<tr><th scope=\"row\">");
    ws_html_text(html, name);
    ws_html_add(html, "</th>");
    for (int s = 0; s < N_STEPS; s++) {
        if (is_shown[s])
            add_cell(html, funnel->n[s], largest);
    }
    ws_html_add(html, "</tr>\n");
}

static void add_table(const struct ws_report *report, struct ws_html *html, const struct funnel *funnels)
{
    const unsigned n_classes = report->config->n_classes;
    bool is_shown[N_STEPS] = {[DECODED] = true, [DISTINCT] = true};
    is_shown[POOL] = is_shown[KEPT] = report->last.n > 0;
    for (unsigned c = 0; c < n_classes; c++) {
        is_shown[FOUND] = is_shown[FOUND] || funnels[c].n[FOUND] >= 0;
        is_shown[FETCHED] = is_shown[FETCHED] || funnels[c].n[FETCHED] >= 0;
    }
    ws_html_add(html,
                "<h3 id=\"class-funnel\">By the class whose search found it</h3>\n<p class=\"soft\">Found, fetched "
                "and decoded count addresses; distinct, what is left of them once files that are the same byte "
                "for byte are one. ");
    ws_html_add(html, report->last.n > 0 ? "The pool is without the images held out; kept, whatever class they were "
                                           "kept as, in the last epoch. "
                                         : "");
    ws_html_add(html, "What two classes found counts for both.</p>\n<div class=\"scroll\" tabindex=\"0\" "
                      "role=\"region\" aria-label=\"Funnel by class\"><table>"
                      "<thead><tr><th scope=\"col\">Class</th>");
    for (int s = 0; s < N_STEPS; s++) {
        if (is_shown[s])
            ws_html_addf(html, "<th scope=\"col\">%s</th>", titles[s]);
    }
    ws_html_add(html, "</tr></thead><tbody>\n");
    for (unsigned c = 0; c < n_classes; c++)
        add_row(html, report->config->classes[c].name, &funnels[c], is_shown);
    ws_html_add(html, "</tbody></table></div>\n");
}

enum ws_status ws_report_add_class_funnel(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    if (!report->images)
        return WS_OK;
    struct funnel *funnels = ws_calloc(report->config->n_classes, sizeof *funnels);
    if (!funnels)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the funnel of %u classes", report->config->n_classes);
    for (unsigned c = 0; c < report->config->n_classes; c++) {
        funnels[c].n[FOUND] =
            get_fact(ws_report_manifest(report, "crawl"), "found_per_class", report->config->classes[c].name);
        funnels[c].n[FETCHED] =
            get_fact(ws_report_manifest(report, "crawl"), "images_per_class", report->config->classes[c].name);
    }
    const enum ws_status status = count_store(report, funnels, err);
    if (status == WS_OK)
        add_table(report, html, funnels);
    free(funnels);
    return status;
}
