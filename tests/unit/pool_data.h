/**
 * A made-up labelled set that a tiny network can learn: bars whose direction and place tell the class, with noise.
 *
 *   struct ws_dataset set;
 *   pool_data_make(&set, 90, 8, 1, 3);   // 90 images of 8 x 8 x 1 in 3 classes
 *   ws_dataset_close(&set);
 */
#ifndef WEBSTILL_TESTS_UNIT_POOL_DATA_H
#define WEBSTILL_TESTS_UNIT_POOL_DATA_H

#include "../../distill/data/set.h"
#include "near.h"

#include "webstill/base/rng.h"

#include <stdio.h>
#include <string.h>

static inline void pool_data_make(struct ws_dataset *set, size_t n, int side, int channels, int n_classes)
{
    assert_true(ws_dataset_alloc(set, n, side, side, channels, true));
    for (size_t i = 0; i < n; i++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 11, WS_STREAM_TEST, (uint32_t)i, 0);
        const int label = (int)(i % (size_t)n_classes);
        uint8_t *pixels = set->block + i * ws_dataset_image_bytes(set);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++)
                for (int c = 0; c < channels; c++) {
                    const int along = label % 2 ? y : x;
                    const bool is_bar = along % (2 + label) == 0;
                    const int noise = (int)ws_rng_below(&rng, 60);
                    pixels[(y * side + x) * channels + c] = (uint8_t)((is_bar ? 180 : 20) + noise);
                }
        set->labels[i] = label;
        const struct ws_digest digest = ws_sha256(&i, sizeof i);
        set->ids[i] = ws_image_id_of(&digest);
    }
    ws_dataset_update_digest(set);
}

#endif
