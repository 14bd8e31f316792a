/** Fuzz target: any bytes as an image, under every fit, in grey and in colour. */
#include "../../store/picture/decode.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ws_picture_rule rules[] = {
        {.size = 28,
         .channels = 1,
         .fit = WS_FIT_PAD,
         .background = 255,
         .invert = WS_INVERT_BRIGHT,
         .min_side = 1,
         .max_pixels = 1 << 18,
         .max_aspect = 100},
        {.size = 9, .channels = 3, .fit = WS_FIT_CROP, .min_side = 1, .max_pixels = 1 << 18, .max_aspect = 100},
        {.size = 64, .channels = 3, .fit = WS_FIT_STRETCH, .min_side = 1, .max_pixels = 1 << 18, .max_aspect = 100},
    };
    uint8_t square[64 * 64 * 3];
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct ws_picture_result result;
        ws_picture_decode((struct ws_span){data, size}, &rules[i], square, &result);
        if (result.reason >= WS_IMAGE_N_REASONS || (result.reason == WS_IMAGE_OK) != (result.detail[0] == 0))
            abort();
    }
    return 0;
}
