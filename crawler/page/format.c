#include "format.h"

#include <string.h>

enum ws_url_format ws_url_format_of(const struct ws_url *url)
{
    static const char *const decoded[] = {"jpg", "jpeg", "png", "webp"};
    static const char *const others[] = {"svg",  "svgz", "gif",  "ico",  "bmp", "tif",
                                         "tiff", "avif", "heic", "heif", "jxl"};
    char extension[8];
    ws_url_extension(url, extension);
    for (size_t i = 0; i < sizeof decoded / sizeof *decoded; i++)
        if (strcmp(extension, decoded[i]) == 0)
            return WS_URL_FORMAT_PICTURE;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(extension, others[i]) == 0)
            return WS_URL_FORMAT_UNSUPPORTED;
    return WS_URL_FORMAT_OTHER;
}
