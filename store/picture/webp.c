/** WebP through libwebp: the header is checked first; lossy, lossless and alpha; no animation. */
#include "decode.h"

#include <webp/decode.h>

static void refuse(struct ws_picture_result *result, VP8StatusCode status)
{
    switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        ws_picture_refuse(result, WS_IMAGE_TRUNCATED, "the data end before the picture does");
        break;
    case VP8_STATUS_OUT_OF_MEMORY:
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "libwebp: out of memory");
        break;
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        ws_picture_refuse(result, WS_IMAGE_UNSUPPORTED, "libwebp: unsupported feature");
        break;
    default:
        ws_picture_refuse(result, WS_IMAGE_CORRUPT, "libwebp: status %d", (int)status);
        break;
    }
}

void ws_picture_webp(struct ws_span body, const struct ws_picture_rule *rule, struct ws_picture *picture,
                     struct ws_picture_result *result)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) {
        ws_picture_refuse(result, WS_IMAGE_UNSUPPORTED, "the loaded libwebp is not the one compiled for");
        return;
    }
    VP8StatusCode status = WebPGetFeatures(body.ptr, body.len, &config.input);
    if (status != VP8_STATUS_OK) {
        refuse(result, status);
        return;
    }
    if (!ws_picture_admit(result, rule, (uint64_t)config.input.width, (uint64_t)config.input.height))
        return;
    if (config.input.has_animation) {
        ws_picture_refuse(result, WS_IMAGE_UNSUPPORTED, "an animation");
        return;
    }
    const uint32_t channels = config.input.has_alpha ? 4 : 3;
    config.output.colorspace = config.input.has_alpha ? MODE_RGBA : MODE_RGB;
    status = WebPDecode(body.ptr, body.len, &config);
    if (status != VP8_STATUS_OK) {
        refuse(result, status);
    } else if (!ws_picture_init(picture, result->width, result->height, rule->channels)) {
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory for %u x %u pixels", result->width,
                          result->height);
    } else {
        bool transparent = false;
        for (uint32_t y = 0; y < picture->height; y++)
            ws_picture_row(config.output.u.RGBA.rgba + (size_t)y * (size_t)config.output.u.RGBA.stride, channels,
                           picture->pixels + (size_t)y * picture->width * rule->channels, rule->channels,
                           picture->width, rule->background, &transparent);
        if (transparent)
            result->flags |= WS_IMAGE_FLAG_ALPHA;
    }
    WebPFreeDecBuffer(&config.output);
}
