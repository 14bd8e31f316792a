/** The report's contact sheet: kept and dropped pictures of the last epoch, class by class. */
#include "section.h"

#include "picture.h"

#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES_SHOWN = 24, PER_CLASS_MIN = 3, PER_CLASS_MAX = 24 };

/** A row of the selection, for sorting. */
struct candidate {
    float confidence;
    size_t row;
};

/** Surest first; equal ones in the file's order, so that the same files give the same page. */
static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->confidence > y->confidence || x->confidence < y->confidence)
        return x->confidence > y->confidence ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static enum ws_status add_picture(const struct ws_report *report, struct ws_html *html, size_t row, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    const int c = file->predicted[row];
    const int reason = file->reason ? file->reason[row] : file->keep[row] ? 0 : 1;
    char why[400], caption[16], rest[80] = "";
    if (reason > 1) /* the threshold is told anyway */
        snprintf(rest, sizeof rest, ", left out by %.40s", ws_selection_reason_name(reason));
    else if (file->keep[row] && file->weight && fabs((double)file->weight[row] - 1) > 1e-6)
        snprintf(rest, sizeof rest, ", weight %.3g", (double)file->weight[row]);
    snprintf(why, sizeof why, "%s: confidence %.3f %s threshold %.3f of %.120s%s", file->keep[row] ? "kept" : "dropped",
             (double)file->confidence[row],
             (double)file->confidence[row] > file->threshold[c] ? "is above"
             : file->keep[row]                                  ? "is at" /* dfnd's: that of the last one kept */
                                                                : "is not above",
             file->threshold[c], ws_report_class_name(report, c), rest);
    snprintf(caption, sizeof caption, "%.2f", (double)file->confidence[row]);
    const struct ws_report_picture picture = {.id = &file->ids[row], .why = why, .caption = caption};
    return ws_report_add_picture(report, html, &picture, err);
}

/** Pictures of one class and one fate, spread evenly from the surest to the least sure. */
static enum ws_status add_strip(const struct ws_report *report, struct ws_html *html, struct candidate *scratch, int c,
                                bool is_kept, size_t n_shown, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    size_t n = 0;
    for (size_t row = 0; row < file->n; row++) {
        if (file->predicted[row] == c && (file->keep[row] != 0) == is_kept)
            scratch[n++] = (struct candidate){file->confidence[row], row};
    }
    qsort(scratch, n, sizeof *scratch, compare_candidates);
    n_shown = n < n_shown ? n : n_shown;
    ws_html_add(html, "<div class=\"strip\">");
    if (n == 0)
        ws_html_add(html,
                    is_kept ? "<span class=\"soft\">none kept</span>" : "<span class=\"soft\">none dropped</span>");
    for (size_t k = 0; k < n_shown; k++) {
        const size_t row = scratch[n_shown > 1 ? k * (n - 1) / (n_shown - 1) : 0].row;
        const enum ws_status status = add_picture(report, html, row, err);
        if (status != WS_OK)
            return status;
    }
    ws_html_add(html, "</div>\n");
    return WS_OK;
}

static enum ws_status add_class(const struct ws_report *report, struct ws_html *html, struct candidate *scratch, int c,
                                size_t n_shown, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    ws_html_add(html, "<div class=\"class\"><div><h3>");
    ws_html_text(html, ws_report_class_name(report, c));
    ws_html_add(html, "</h3><div class=\"soft\">");
    ws_html_count(html, file->n_kept[c]);
    ws_html_add(html, " of ");
    ws_html_count(html, file->n_predicted[c]);
    ws_html_addf(html, " kept<br>threshold %.3f</div></div>\n", file->threshold[c]);
    enum ws_status status = add_strip(report, html, scratch, c, true, n_shown, err);
    if (status == WS_OK)
        status = add_strip(report, html, scratch, c, false, n_shown, err);
    ws_html_add(html, "</div>\n");
    return status;
}

/** True for the classes with most predictions when there are too many to show. */
static bool is_shown(const struct ws_selection_file *file, int c)
{
    int n_ahead = 0;
    for (int k = 0; k < file->n_classes; k++)
        n_ahead +=
            file->n_predicted[k] > file->n_predicted[c] || (file->n_predicted[k] == file->n_predicted[c] && k < c);
    return n_ahead < CLASSES_SHOWN;
}

static void add_intro(const struct ws_report *report, struct ws_html *html)
{
    ws_html_add(html, "<p>");
    if (report->selection_run) {
        ws_html_add(html, "Epoch ");
        ws_html_addf(html, "%d of ", report->last.epoch);
        ws_html_text(html, report->selection_run);
        ws_html_add(html, ". ");
    } else {
        ws_html_add(html, "As <code>webstill curate</code> chose. ");
    }
    ws_html_add(html,
                "Each row is a class that teacher and student predict together. A picture is kept when their "
                "confidence, the number below it, is above the class’s threshold and no further rule leaves it out. "
                "Shown are pictures spread evenly "
                "from the surest to the least sure, as the student sees them; each links to where it was found.</p>\n"
                "<div class=\"sheet\"><div class=\"class head\"><div></div><div>kept</div><div>dropped</div></div>\n");
}

enum ws_status ws_report_add_sheet(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    enum ws_status status = WS_OK;
    if (!report->images) {
        ws_report_add_missing(html, "There are no pictures to show.", "store");
    } else if (file->n == 0) {
        ws_report_add_missing(html, "Nothing has been selected.", "curate");
    } else if (ws_report_keys(report->config)->contact > 0) {
        const int n_classes = file->n_classes < CLASSES_SHOWN ? file->n_classes : CLASSES_SHOWN;
        size_t n_shown = ws_report_keys(report->config)->contact / (unsigned)n_classes;
        n_shown = n_shown < PER_CLASS_MIN ? PER_CLASS_MIN : n_shown > PER_CLASS_MAX ? PER_CLASS_MAX : n_shown;
        struct candidate *scratch = ws_calloc(file->n, sizeof *scratch);
        if (!scratch)
            return ws_fail(err, WS_E_MEMORY, "out of memory for the contact sheet");
        add_intro(report, html);
        for (int c = 0; status == WS_OK && c < file->n_classes; c++) {
            if (is_shown(file, c))
                status = add_class(report, html, scratch, c, n_shown, err);
        }
        ws_html_add(html, "</div>\n");
        free(scratch);
    }
    return status;
}
