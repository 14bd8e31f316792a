/** The report's changes between epochs: how many, which, and what teacher and student see differently. */
#include "changes.h"

#include "chart.h"
#include "picture.h"
#include "section.h"
#include "turnover.h"

#include "webstill/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_MIN = 3, SHOWN_MAX = 25, FIVE = 5 }; /* five fill a line of the sheet on a wide page */

/** How many pictures stand in one strip. */
static size_t count_shown(const struct ws_report *report, size_t n)
{
    const size_t share = ws_report_keys(report->config)->contact / 4;
    const size_t n_shown = share < SHOWN_MIN ? SHOWN_MIN : share > SHOWN_MAX ? SHOWN_MAX : share;
    return n < n_shown ? n : n_shown - (n_shown > FIVE ? n_shown % FIVE : 0);
}

/* --- how many --- */

static bool draw_steps(const struct ws_report_changes *changes, struct ws_html *html)
{
    const size_t n = changes->n_steps;
    double *values = n > 1 ? ws_calloc(3 * n, sizeof *values) : NULL;
    if (n < 2)
        return true;
    if (!values)
        return false;
    for (size_t i = 0; i < n; i++) {
        values[i] = changes->steps[i].epoch;
        values[n + i] = (double)changes->steps[i].n_new;
        values[2 * n + i] = (double)changes->steps[i].n_dropped;
    }
    const struct ws_chart_series series[] = {
        {.name = "newly kept", .slot = 2, .n = n, .x = values, .y = values + n},
        {.name = "newly dropped", .slot = 4, .n = n, .x = values, .y = values + 2 * n},
    };
    ws_html_add(html, "<div class=\"legend\"><span><span class=\"key k2\"></span>newly kept</span><span><span "
                      "class=\"key k4\"></span>newly dropped</span></div>\n<div class=\"charts\">\n");
    ws_chart_lines(html, &(struct ws_chart){.title = "Images that changed sides in each epoch",
                                            .x_title = "epoch",
                                            .from_zero = true,
                                            .y_top = (double)NAN,
                                            .series = series,
                                            .n_series = 2});
    ws_html_add(html, "</div>\n");
    free(values);
    return true;
}

/* --- which --- */

static enum ws_status add_changed(const struct ws_report *report, struct ws_html *html,
                                  const struct ws_report_pair *pair, size_t row, struct ws_err *err)
{
    const struct ws_selection_file *before = &pair->before, *after = &pair->after;
    const int was = before->predicted[row], is = after->predicted[row];
    char why[500], caption[48];
    snprintf(why, sizeof why,
             "newly %s: epoch %d, confidence %.3f, threshold %.3f of %.80s; epoch %d, confidence %.3f, threshold "
             "%.3f of %.80s",
             after->keep[row] ? "kept" : "dropped", before->epoch, (double)before->confidence[row],
             before->threshold[was], ws_report_class_name(report, was), after->epoch, (double)after->confidence[row],
             after->threshold[is], ws_report_class_name(report, is));
    snprintf(caption, sizeof caption, "%.2f→%.2f", (double)before->confidence[row], (double)after->confidence[row]);
    const struct ws_report_picture picture = {.id = &after->ids[row], .why = why, .caption = caption};
    return ws_report_add_picture(report, html, &picture, err);
}

static enum ws_status add_strip(const struct ws_report *report, struct ws_html *html, const struct ws_report_pair *pair,
                                struct ws_turnover_row *scratch, bool is_kept, struct ws_err *err)
{
    const size_t n = ws_turnover_list(&pair->before, &pair->after, is_kept, scratch);
    const size_t n_shown = count_shown(report, n);
    ws_html_add(html, "<div><div class=\"soft\">");
    ws_html_count(html, (int64_t)n);
    ws_html_add(html, is_kept ? " newly kept" : " newly dropped");
    ws_html_add(html, "</div><div class=\"strip broad\">");
    enum ws_status status = WS_OK;
    for (size_t k = 0; status == WS_OK && k < n_shown; k++)
        status = add_changed(report, html, pair, scratch[k].row, err);
    ws_html_add(html, "</div></div>\n");
    return status;
}

static enum ws_status add_pair(const struct ws_report *report, struct ws_html *html, size_t i,
                               struct ws_turnover_row *scratch, struct ws_err *err)
{
    const struct ws_report_changes *changes = &report->changes;
    const struct ws_report_pair *pair = &changes->pairs[i];
    const bool is_last = i + 1 == changes->n_pairs && pair->after.epoch == changes->pairs[0].after.epoch;
    const char *what = i == 0 ? "the whole run" : i == 1 && !is_last ? "the largest step" : "the last step";
    ws_html_add(html, "<div class=\"class\"><div><h3>");
    ws_html_addf(html, "Epoch %d to %d</h3><div class=\"soft\">%s<br>", pair->before.epoch, pair->after.epoch, what);
    if (isfinite(pair->before.alpha) && isfinite(pair->after.alpha))
        ws_html_addf(html, "alpha %.2f to %.2f", pair->before.alpha, pair->after.alpha);
    ws_html_add(html, "</div></div>\n");
    enum ws_status status = add_strip(report, html, pair, scratch, true, err);
    if (status == WS_OK)
        status = add_strip(report, html, pair, scratch, false, err);
    ws_html_add(html, "</div>\n");
    return status;
}

static enum ws_status add_pairs(const struct ws_report *report, struct ws_html *html, struct ws_turnover_row *scratch,
                                struct ws_err *err)
{
    ws_html_add(html, "<p style=\"margin-top:18px\">Pictures that are kept in one of two epochs and not in the "
                      "other. First come those whose confidence moved furthest against their class’s threshold; below "
                      "each: the confidence before and after.</p>\n<div class=\"sheet\">\n");
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < report->changes.n_pairs; i++)
        status = add_pair(report, html, i, scratch, err);
    ws_html_add(html, "</div>\n");
    return status;
}

/* --- disputes --- */

/** A short name as markup: at most 11 characters, escaped. */
static void write_name(char *out, size_t size_bytes, const char *name)
{
    struct ws_html html = {0};
    ws_html_text_short(&html, name, 11);
    snprintf(out, size_bytes, "%.*s", (int)html.buf.len, html.buf.ptr ? html.buf.ptr : "");
    ws_buf_fini(&html.buf);
}

static enum ws_status add_disputed(const struct ws_report *report, struct ws_html *html, size_t row,
                                   const struct ws_verdict *teacher, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    const int c = file->predicted[row];
    char why[400], caption[400], names[2][120];
    write_name(names[0], sizeof names[0], ws_report_class_name(report, teacher->predicted));
    write_name(names[1], sizeof names[1], ws_report_class_name(report, c));
    snprintf(why, sizeof why,
             "disputed: the teacher says %.80s, confidence %.3f; the selection says %.80s, confidence %.3f, %s",
             ws_report_class_name(report, teacher->predicted), teacher->confidence, ws_report_class_name(report, c),
             (double)file->confidence[row], file->keep[row] ? "kept" : "dropped");
    snprintf(caption, sizeof caption, "%s %.2f<br><b>%s %.2f</b>", names[0], teacher->confidence, names[1],
             (double)file->confidence[row]);
    const struct ws_report_picture picture = {.id = &file->ids[row], .why = why, .caption = caption};
    return ws_report_add_picture(report, html, &picture, err);
}

static void add_dispute_text(const struct ws_report *report, struct ws_html *html, size_t n)
{
    ws_html_add(html, "<h3 class=\"part\" id=\"disputed\">Most disputed</h3>\n<p>");
    ws_html_count(html, (int64_t)n);
    ws_html_add(html, " of ");
    ws_html_count(html, (int64_t)report->last.n);
    ws_html_add(html, " pictures are of one class for the teacher and of another for ");
    if (report->last.alpha > 0)
        ws_html_addf(html, "the selection of epoch %d, where teacher and student speak together (alpha %.2f)",
                     report->last.epoch, report->last.alpha);
    else
        ws_html_addf(html, "the student, which alone selects in epoch %d", report->last.epoch);
    ws_html_add(html, ". First come those where the less sure of the two is surest. Below each: the teacher’s answer, "
                      "then in bold the other.</p>\n");
}

static enum ws_status add_disputes(const struct ws_report *report, struct ws_html *html,
                                   struct ws_turnover_row *scratch, struct ws_err *err)
{
    const struct ws_scores_file *teacher = &report->changes.teacher;
    if (teacher->n == 0 || teacher->n_classes != report->last.n_classes)
        return WS_OK;
    struct ws_verdict *verdicts = ws_calloc(report->last.n, sizeof *verdicts);
    if (!verdicts)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the disputes");
    const size_t n = ws_dispute_list(&report->last, teacher, verdicts, scratch), n_shown = count_shown(report, n);
    add_dispute_text(report, html, n);
    ws_html_add(html, "<div class=\"strip wide\">");
    enum ws_status status = WS_OK;
    for (size_t k = 0; status == WS_OK && k < n_shown; k++)
        status = add_disputed(report, html, scratch[k].row, &verdicts[scratch[k].row], err);
    ws_html_add(html, "</div>\n");
    free(verdicts);
    return status;
}

bool ws_report_has_changes(const struct ws_report *report)
{
    const struct ws_report_changes *changes = &report->changes;
    return report->images && report->last.n > 0 && (changes->n_pairs > 0 || changes->teacher.n > 0);
}

enum ws_status ws_report_add_changes(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_report_changes *changes = &report->changes;
    struct ws_turnover_row *scratch = ws_calloc(report->last.n, sizeof *scratch);
    if (!scratch)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the changes between epochs");
    enum ws_status status =
        draw_steps(changes, html) ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the changes between epochs");
    if (status == WS_OK && changes->n_pairs > 0 && ws_report_keys(report->config)->contact > 0)
        status = add_pairs(report, html, scratch, err);
    if (status == WS_OK && ws_report_keys(report->config)->contact > 0)
        status = add_disputes(report, html, scratch, err);
    free(scratch);
    return status;
}
