/** Sections `distill.kd3` and `distill.kd3_plus` of the configuration. */
#ifndef WEBSTILL_DISTILL_METHOD_KD3_KEYS_H
#define WEBSTILL_DISTILL_METHOD_KD3_KEYS_H

#include "method/shared_head.h"
#include "prepare/refine.h"

#include "webstill/stage/config.h"

/** What is contrasted: each network with itself (released code), student with teacher, nothing. */
enum ws_contrast { WS_CONTRAST_SELF, WS_CONTRAST_CROSS, WS_CONTRAST_OFF };

enum ws_selection_view { WS_SELECTION_AUGMENTED, WS_SELECTION_CLEAN };

struct ws_kd3_keys {
    enum ws_contrast contrast;
    double contrast_weight;
    double contrast_temperature;
    uint32_t embedding; /**< width of E_t and E_s */
    uint32_t projector_factor;
    bool share;            /**< false: a classifier of the student's own, trained by KL */
    double kl_temperature; /**< of that KL */
    enum ws_align align;
    double mix_alpha; /**< Beta(mix_alpha, mix_alpha) of MixDistribution */
    double mix_eps;
    uint32_t mixed_memory_mib;             /**< a larger student runs on X and X' in one memory */
    bool select;                           /**< false: the whole pool each epoch */
    enum ws_selection_view selection_view; /**< what the selection pass looks at */
    uint32_t teacher_cache_mib; /**< clean view: the teacher's logits over the pool are kept if they fit in */
    bool weights;               /**< false: w = 1/2 */
};

/** What kd3+ does otherwise than kd3; the rest is section kd3's. */
struct ws_kd3_plus_keys {
    bool select;
    enum ws_contrast contrast; /**< as kd3's */
    double kl_weight, kl_temperature;
    struct ws_refine_keys refine;
};

extern const struct ws_conf_section ws_kd3_section, ws_kd3_plus_section;

#endif
