/** Section `curate` of the configuration: the selection rule. */
#ifndef WEBSTILL_CURATE_KEYS_H
#define WEBSTILL_CURATE_KEYS_H

#include "webstill/conf/section.h"
#include "webstill/stage/config.h"

/** Which images are kept: by joint confidence under thresholds of each class, or all. */
enum ws_rule { WS_RULE_KD3, WS_RULE_ALL };

/** How two networks' predictions become one. */
enum ws_combine {
    WS_COMBINE_LOGITS,        /**< softmax(a z_t + (1-a) z_s): the released code */
    WS_COMBINE_PROBABILITIES, /**< a softmax(z_t) + (1-a) softmax(z_s) */
};

enum ws_density_mode { WS_DENSITY_OFF, WS_DENSITY_WEIGHT, WS_DENSITY_DROP };
enum ws_source_key { WS_BY_NOTHING, WS_BY_QUERY, WS_BY_HOST, WS_BY_LICENCE }; /**< what tells sources apart */
/** When the teacher believes an image: it predicts the class that was searched for, or its confidence reaches a bound.
 */
enum ws_belief { WS_BELIEF_CLASS, WS_BELIEF_CONFIDENCE };

struct ws_curate_keys {
    enum ws_rule rule;
    enum ws_combine combine;
    double p_cutoff;
    double alpha_zero_share;    /**< E0 / epochs: from there on the student decides alone (paper 120/240) */
    double alpha_horizon_share; /**< K / epochs (paper 160/240) */
    double alpha_steepness;
    uint32_t epoch;               /**< `webstill curate` alone: the epoch whose alpha is used */
    enum ws_density_mode density; /**< near duplicates: nothing, share one image's weight, or all but one are dropped */
    uint32_t density_distance;    /**< bits in which the perceptual hashes of near duplicates differ at most */
    enum ws_source_key source_precision; /**< sources are weighed by their precision; WS_BY_NOTHING = off */
    enum ws_belief source_belief;
    double source_confidence; /**< the bound of WS_BELIEF_CONFIDENCE */
    double source_prior;      /**< images: how strongly a source's precision is drawn to the pool's */
    double source_drop_below; /**< precision */
    double quota;             /**< share of a class's kept images that one host may have; 1 = off */
    enum ws_source_key quota_of;
    uint32_t quota_at_least; /**< images that it may have in any case */
    double drift_warn;       /**< `webstill curate` alone: bits */
};

extern const struct ws_conf_section ws_curate_section;

static inline const struct ws_curate_keys *ws_curate_keys(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_curate_section);
}

/** The word of a rule, "kd3": as the configuration has it. */
const char *ws_rule_name(enum ws_rule rule);

#endif
