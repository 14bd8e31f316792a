/** The pool as a run shows it to its student: pictures of the store, and what was made of them. */
#include "picture.h"
#include "section.h"

#include "webstill/base/json.h"
#include "webstill/tensors/file.h"

enum { PAIRS_SHOWN = 24 };

/** Whose pictures they are and what was done to them, as their folder's manifest tells. */
static void add_text(const struct ws_report *report, struct ws_html *html)
{
    const char *what = ws_json_text(json_object_get(report->prepared_manifest, "facts"), "what");
    ws_html_add(html, "<p>Above, pictures as they are stored; below each, the same picture as ");
    ws_html_text(html, report->prepared_for ? report->prepared_for : "a run");
    ws_html_add(html, " mostly shows it");
    if (what[0]) {
        ws_html_add(html, ": ");
        ws_html_text(html, what);
    }
    ws_html_add(html, ".</p>\n<div class=\"strip\">");
}

/** Spread evenly over the part, whose order is random. */
static enum ws_status add_pairs(const struct ws_report *report, struct ws_html *html, const struct ws_image_id *ids,
                                const uint8_t *pixels, size_t n, size_t bytes, struct ws_err *err)
{
    const size_t n_shown = n < PAIRS_SHOWN ? n : PAIRS_SHOWN;
    enum ws_status status = WS_OK;
    add_text(report, html);
    for (size_t k = 0; status == WS_OK && k < n_shown; k++) {
        const size_t row = k * n / n_shown;
        const struct ws_report_picture picture = {
            .id = &ids[row], .why = "stored, and refined", .caption = "", .below = pixels + row * bytes};
        status = ws_report_add_picture(report, html, &picture, err);
    }
    ws_html_add(html, "</div>\n");
    return status;
}

enum ws_status ws_report_add_prepared(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_tensor_entry *ids = ws_tensors_find(report->prepared, "ids");
    const struct ws_tensor_entry *pixels = ws_tensors_find(report->prepared, "pixels");
    const size_t n = (size_t)ids->shape[0];
    return add_pairs(report, html, ids->data, pixels->data, n, pixels->size_bytes / n, err);
}
