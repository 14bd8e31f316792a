/** Made-up logits for tests of the selection rule: [MADE_IMAGES][MADE_CLASSES]. */
#ifndef WEBSTILL_TESTS_UNIT_MADE_LOGITS_H
#define WEBSTILL_TESTS_UNIT_MADE_LOGITS_H

#include "webstill/base/rng.h"
#include "webstill/curate/select.h"

/** The rule's options, of logits. */
#define rule(alpha_, p_cutoff_) (&(struct ws_select_options){.alpha = (alpha_), .p_cutoff = (p_cutoff_)})

enum { MADE_IMAGES = 400, MADE_CLASSES = 4 };

/** Logits that favour class i % MADE_CLASSES, or with `skew` mostly class 0. */
static inline void made_logits(float *logits, uint32_t stream, bool skew)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 7, WS_STREAM_TEST, stream, 0);
    for (int i = 0; i < MADE_IMAGES; i++) {
        const int favourite = skew && i % 20 != 0 ? 0 : i % MADE_CLASSES;
        for (int c = 0; c < MADE_CLASSES; c++)
            logits[i * MADE_CLASSES + c] = (float)(ws_rng_normal(&rng) + (c == favourite ? 2.0 : 0.0));
    }
}

#endif
