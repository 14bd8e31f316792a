/** Pictures on the page. */
#include "picture.h"

#include "png.h"

#include "webstill/base/json.h"

#include <string.h>

enum { PICTURE_SIDE = 96 };

/** The tooltip: why, and where the picture comes from. */
static void add_title(struct ws_html *html, const char *why, const json_t *origin)
{
    ws_html_text(html, why);
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

static void add_png(struct ws_html *html, const char *alt, const struct ws_buf *png)
{
    ws_html_add(html, "<img alt=\"");
    ws_html_text_short(html, alt, 120);
    ws_html_add(html, "\" width=\"58\" height=\"58\" src=\"data:image/png;base64,");
    ws_html_base64(html, png->ptr, png->len);
    ws_html_add(html, "\">");
}

static void add_figure(struct ws_html *html, const struct ws_report_picture *picture, const json_t *origin,
                       const struct ws_buf *png, const struct ws_buf *below)
{
    const char *page = ws_json_text(origin, "page"), *url = ws_json_text(origin, "url");
    const char *link = ws_html_is_link(page) ? page : url, *alt = ws_json_text(origin, "alt");
    ws_html_add(html, "<figure title=\"");
    add_title(html, picture->why, origin);
    ws_html_add(html, "\">");
    if (ws_html_is_link(link)) {
        ws_html_add(html, "<a rel=\"noreferrer noopener nofollow\" href=\"");
        ws_html_text(html, link);
        ws_html_add(html, "\">");
    }
    add_png(html, alt[0] ? alt : picture->why, png); /* a link needs a name */
    if (below->len > 0)
        add_png(html, "refined", below);
    ws_html_add(html, ws_html_is_link(link) ? "</a>" : "");
    ws_html_add(html, "<figcaption>");
    ws_html_add(html, picture->caption);
    ws_html_add(html, "</figcaption></figure>");
}

enum ws_status ws_report_add_picture(const struct ws_report *report, struct ws_html *html,
                                     const struct ws_report_picture *picture, struct ws_err *err)
{
    const int64_t found = ws_images_find(report->images, picture->id);
    if (found < 0)
        return WS_OK; /* the store was refreshed after the run */
    const size_t image = (size_t)found;
    const struct ws_image_record *record = ws_images_record(report->images, image);
    struct ws_buf png = {0}, below = {0}, text = {0};
    enum ws_status status = ws_png_encode(ws_images_pixels(report->images, image), record->width, record->height,
                                          record->channels, PICTURE_SIDE, &png, err);
    if (status == WS_OK && picture->below)
        status =
            ws_png_encode(picture->below, record->width, record->height, record->channels, PICTURE_SIDE, &below, err);
    if (status == WS_OK)
        status = ws_images_origins(report->images, picture->id, &text, err);
    if (status == WS_OK) {
        json_t *origins = json_loadb(text.len > 0 ? text.ptr : "", text.len, 0, NULL);
        add_figure(html, picture, json_array_get(origins, 0), &png, &below);
        json_decref(origins);
    }
    ws_buf_fini(&text);
    ws_buf_fini(&below);
    ws_buf_fini(&png);
    return status;
}
