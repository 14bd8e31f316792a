/** The way of one body through sniffing, limits, decoder, orientation and fit. */
#include "decode.h"

const char *ws_picture_reason_name(enum ws_picture_reason reason)
{
    static const char *const names[WS_IMAGE_N_REASONS] = {
        [WS_IMAGE_OK] = "ok",
        [WS_IMAGE_EMPTY] = "empty",
        [WS_IMAGE_NOT_AN_IMAGE] = "not_an_image",
        [WS_IMAGE_UNSUPPORTED] = "unsupported",
        [WS_IMAGE_TRUNCATED] = "truncated",
        [WS_IMAGE_CORRUPT] = "corrupt",
        [WS_IMAGE_TOO_MANY_PIXELS] = "too_many_pixels",
        [WS_IMAGE_TOO_SMALL] = "too_small",
        [WS_IMAGE_ASPECT] = "aspect",
        [WS_IMAGE_TOO_MANY_SCANS] = "too_many_scans",
        [WS_IMAGE_OVERSIZED] = "oversized",
        [WS_IMAGE_MISSING] = "missing",
        [WS_IMAGE_DECODER_MEMORY] = "decoder_memory",
        [WS_IMAGE_DECODER_TIMEOUT] = "decoder_timeout",
        [WS_IMAGE_DECODER_CRASH] = "decoder_crash",
    };
    ws_assert(reason < WS_IMAGE_N_REASONS);
    return names[reason];
}

struct ws_picture_rule ws_picture_rule_of(const struct ws_store_keys *conf)
{
    return (struct ws_picture_rule){
        .size = conf->size,
        .channels = conf->channels,
        .fit = conf->fit,
        .background = conf->background == WS_BACKGROUND_WHITE ? 255 : 0,
        .invert = conf->invert,
        .min_side = conf->min_side,
        .max_pixels = (uint64_t)(conf->max_megapixels * 1e6),
        .max_aspect = conf->max_aspect,
    };
}

void ws_picture_decode(struct ws_span body, const struct ws_picture_rule *rule, uint8_t *square,
                       struct ws_picture_result *result)
{
    *result = (struct ws_picture_result){.reason = WS_IMAGE_OK};
    const char *kind = NULL;
    result->format = ws_picture_sniff(body, &kind);
    struct ws_picture picture = {0};
    switch (result->format) {
    case WS_IMAGE_JPEG:
        ws_picture_jpeg(body, rule, &picture, result);
        break;
    case WS_IMAGE_PNG:
        ws_picture_png(body, rule, &picture, result);
        break;
    case WS_IMAGE_WEBP:
        ws_picture_webp(body, rule, &picture, result);
        break;
    case WS_IMAGE_UNKNOWN:
        ws_picture_refuse(result, body.len == 0 ? WS_IMAGE_EMPTY : WS_IMAGE_NOT_AN_IMAGE, "%s", kind);
        break;
    }
    if (result->reason == WS_IMAGE_OK && !ws_picture_fit(&picture, rule, square))
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory to resize");
    if (result->reason == WS_IMAGE_OK && rule->invert == WS_INVERT_BRIGHT &&
        ws_square_invert_bright(square, rule->size, rule->channels))
        result->flags |= WS_IMAGE_FLAG_INVERTED;
    ws_picture_fini(&picture);
}
