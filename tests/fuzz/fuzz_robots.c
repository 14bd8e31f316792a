/** Fuzz target: any bytes as robots.txt; the first line is the path asked for. */
#include "../../crawler/net/robots.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[4096] = "/";
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    const size_t len = end ? (size_t)(end - data) : 0;
    struct ws_span text = {data + len, size - len};
    struct ws_robots_decision first, second;
    if (len > 0 && len < sizeof path - 2 && !memchr(data, '\0', len)) {
        memcpy(path + 1, data, len);
        path[1 + len] = '\0';
    }
    ws_robots_decide(text, "webstill", path, &first);
    ws_robots_decide(text, "webstill", path, &second);
    if (first.is_allowed != second.is_allowed || first.line != second.line || strcmp(first.rule, second.rule) != 0)
        abort();
    if (first.line == 0 && !first.is_allowed && !first.rule[0])
        abort();
    const double delay_s = ws_robots_crawl_delay(text, "webstill");
    if (!(delay_s >= 0) && !(delay_s <= -1 && delay_s >= -1))
        abort();
    return 0;
}
