#include "webstill/picture/square.h"

#include "decode.h"

#include <stdio.h>

bool ws_decode_square(struct ws_span body, const struct ws_store_keys *conf, uint8_t *square,
                      char reason[WS_DECODE_REASON])
{
    const struct ws_picture_rule rule = ws_picture_rule_of(conf);
    struct ws_picture_result result = {0};
    ws_picture_decode(body, &rule, square, &result);
    if (result.reason == WS_IMAGE_OK)
        return true;
    snprintf(reason, WS_DECODE_REASON, "%s%s%.120s", ws_picture_reason_name(result.reason),
             result.detail[0] ? ": " : "", result.detail);
    return false;
}
