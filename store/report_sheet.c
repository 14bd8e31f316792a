/** The report's contact sheet: kept and dropped pictures of the last epoch, class by class. */
#include "report.h"

#include "report_png.h"

#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES_SHOWN = 24, PER_CLASS_MIN = 3, PER_CLASS_MAX = 24, PICTURE_SIDE = 96 };

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

/** The tooltip: why, and where the picture comes from. */
static void add_title(const struct ws_report *report, struct ws_html *html, size_t row, const json_t *origin)
{
    const struct ws_selection_file *file = &report->last;
    const int c = file->predicted[row];
    char why[200];
    snprintf(why, sizeof(why), "confidence %.3f %s threshold %.3f", (double)file->confidence[row],
             file->keep[row] ? "is above" : "is not above", file->threshold[c]);
    ws_html_add(html, file->keep[row] ? "kept: " : "dropped: ");
    ws_html_text(html, why);
    ws_html_add(html, " of ");
    ws_html_text(html, c < (int)report->config->n_classes ? report->config->classes[c].name : "?");
    if (!origin)
        return;
    if (ws_json_text(origin, "query")[0]) {
        ws_html_add(html, " · found as “");
        ws_html_text_short(html, ws_json_text(origin, "query"), 60);
        ws_html_add(html, "”");
    }
    if (ws_json_text(origin, "alt")[0]) {
        ws_html_add(html, " · ");
        ws_html_text_short(html, ws_json_text(origin, "alt"), 120);
    }
    if (ws_json_text(origin, "licence")[0]) {
        ws_html_add(html, " · ");
        ws_html_text_short(html, ws_json_text(origin, "licence"), 60);
    }
    ws_html_add(html, " · ");
    ws_html_text_short(html, ws_json_text(origin, "url"), 200);
}

static enum ws_status add_picture(const struct ws_report *report, struct ws_html *html, size_t row, size_t image,
                                  struct ws_err *err)
{
    const struct ws_image_record *record = ws_images_record(report->images, image);
    struct ws_buf png = {0}, text = {0};
    json_t *origins = NULL;
    enum ws_status status = ws_png_encode(ws_images_pixels(report->images, image), record->width, record->height,
                                          record->channels, PICTURE_SIDE, &png, err);
    if (status == WS_OK)
        status = ws_images_origins(report->images, ws_images_id(report->images, image), &text, err);
    if (status == WS_OK) {
        origins = json_loadb(text.len > 0 ? text.ptr : "", text.len, 0, NULL);
        const json_t *origin = json_array_get(origins, 0);
        const char *page = ws_json_text(origin, "page"), *url = ws_json_text(origin, "url");
        const char *link = ws_html_is_link(page) ? page : url;
        ws_html_add(html, "<figure title=\"");
        add_title(report, html, row, origin);
        ws_html_add(html, "\">");
        if (ws_html_is_link(link)) {
            ws_html_add(html, "<a rel=\"noreferrer noopener nofollow\" href=\"");
            ws_html_text(html, link);
            ws_html_add(html, "\">");
        }
        ws_html_add(html, "<img alt=\"");
        ws_html_text_short(html, ws_json_text(origin, "alt"), 120);
        ws_html_add(html, "\" width=\"58\" height=\"58\" src=\"data:image/png;base64,");
        ws_html_base64(html, png.ptr, png.len);
        ws_html_add(html, "\">");
        ws_html_add(html, ws_html_is_link(link) ? "</a>" : "");
        ws_html_addf(html, "<figcaption>%.2f</figcaption></figure>", (double)report->last.confidence[row]);
    }
    json_decref(origins);
    ws_buf_fini(&text);
    ws_buf_fini(&png);
    return status;
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
    qsort(scratch, n, sizeof(*scratch), compare_candidates);
    n_shown = n < n_shown ? n : n_shown;
    ws_html_add(html, "<div class=\"strip\">");
    if (n == 0)
        ws_html_add(html,
                    is_kept ? "<span class=\"soft\">none kept</span>" : "<span class=\"soft\">none dropped</span>");
    for (size_t k = 0; k < n_shown; k++) {
        const size_t row = scratch[n_shown > 1 ? k * (n - 1) / (n_shown - 1) : 0].row;
        const int64_t image = ws_images_find(report->images, &file->ids[row]);
        if (image < 0)
            continue; /* the store was refreshed after the run */
        const enum ws_status status = add_picture(report, html, row, (size_t)image, err);
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
    ws_html_text(html, c < (int)report->config->n_classes ? report->config->classes[c].name : "?");
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
                "confidence, the number below it, is above the class’s threshold. Shown are pictures spread evenly "
                "from the surest to the least sure, as the student sees them; each links to where it was found.</p>\n"
                "<div class=\"sheet\"><div class=\"class head\"><div></div><div>kept</div><div>dropped</div></div>\n");
}

enum ws_status ws_report_add_sheet(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_selection_file *file = &report->last;
    ws_html_add(html, "<section id=\"sheet\">\n<h2>Kept and dropped</h2>\n");
    enum ws_status status = WS_OK;
    if (!report->images) {
        ws_report_add_missing(html, "There are no pictures to show.", "store");
    } else if (file->n == 0) {
        ws_report_add_missing(html, "Nothing has been selected.", "curate");
    } else if (report->config->report.contact > 0) {
        const int n_classes = file->n_classes < CLASSES_SHOWN ? file->n_classes : CLASSES_SHOWN;
        size_t n_shown = report->config->report.contact / (unsigned)n_classes;
        n_shown = n_shown < PER_CLASS_MIN ? PER_CLASS_MIN : n_shown > PER_CLASS_MAX ? PER_CLASS_MAX : n_shown;
        struct candidate *scratch = ws_calloc(file->n, sizeof(*scratch));
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
    ws_html_add(html, "</section>\n");
    return status;
}
