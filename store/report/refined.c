/** The pool as kd3+ shows it to its student: pictures of the store, and what refining made of them. */
#include "page.h"
#include "picture.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/path.h"
#include "webstill/tensors/file.h"

#include <string.h>

enum { PAIRS_SHOWN = 24 };

static bool has_run(const struct ws_report *report, const char *name)
{
    for (size_t r = 0; r < report->n_runs; r++)
        if (strcmp(report->runs[r].name, name) == 0)
            return true;
    return false;
}

/** True when the part holds pictures in the shape of the store's. */
static bool is_ours(const struct ws_report *report, const struct ws_tensor_entry *ids,
                    const struct ws_tensor_entry *pixels)
{
    const int64_t side = ws_images_size(report->images), channels = ws_images_channels(report->images);
    return ids && pixels && ids->dtype == WS_U8 && ids->rank == 2 && ids->shape[0] > 0 && ids->shape[1] == 16 &&
           pixels->dtype == WS_U8 && pixels->rank == 4 && pixels->shape[0] == ids->shape[0] &&
           pixels->shape[1] == side && pixels->shape[2] == side && pixels->shape[3] == channels;
}

/** Spread evenly over the part, whose order is random. */
static enum ws_status add_pairs(const struct ws_report *report, struct ws_html *html, const struct ws_image_id *ids,
                                const uint8_t *pixels, size_t n, size_t bytes, struct ws_err *err)
{
    const size_t n_shown = n < PAIRS_SHOWN ? n : PAIRS_SHOWN;
    enum ws_status status = WS_OK;
    ws_html_add(html,
                "<section id=\"refined\">\n<h2>Refined</h2>\n<p>Above, pictures as they are stored; below each, the "
                "same picture as kd3+ mostly shows it: pulled by gradient descent on its pixels towards the "
                "statistics that the teacher’s BatchNorm layers remember of their data.</p>\n"
                "<div class=\"strip\">");
    for (size_t k = 0; status == WS_OK && k < n_shown; k++) {
        const size_t row = k * n / n_shown;
        const struct ws_report_picture picture = {
            .id = &ids[row], .why = "stored, and refined", .caption = "", .below = pixels + row * bytes};
        status = ws_report_add_picture(report, html, &picture, err);
    }
    ws_html_add(html, "</div>\n</section>\n");
    return status;
}

enum ws_status ws_report_add_refined(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_tensors *part = NULL;
    struct ws_err why = {0};
    enum ws_status status = ws_path_join(path, report->work, err, "runs/refined/part-001.safetensors");
    if (status != WS_OK || !report->images || !has_run(report, "kd3+") || report->config->report.contact == 0 ||
        !ws_file_exists(path))
        return status;
    if (ws_tensors_open(&part, path, &why) != WS_OK) {
        ws_log(WS_LOG_WARN, "the page shows no refined pictures: %s", why.text);
        return WS_OK;
    }
    const struct ws_tensor_entry *ids = ws_tensors_find(part, "ids"), *pixels = ws_tensors_find(part, "pixels");
    if (is_ours(report, ids, pixels))
        status = add_pairs(report, html, ids->data, pixels->data, (size_t)ids->shape[0],
                           pixels->size_bytes / (size_t)ids->shape[0], err);
    else
        ws_log(WS_LOG_WARN, "the page shows no refined pictures: those of %s are not in the store's shape", path);
    ws_tensors_close(&part);
    return status;
}
