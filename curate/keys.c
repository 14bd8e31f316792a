/** The keys of section `curate`. */
#include "webstill/curate/keys.h"

static const struct ws_conf_word rules[] = {
    {"kd3", WS_RULE_KD3},
    {"all", WS_RULE_ALL},
    {NULL, 0},
};
static const struct ws_conf_word combinations[] = {
    {"logits", WS_COMBINE_LOGITS},
    {"probabilities", WS_COMBINE_PROBABILITIES},
    {NULL, 0},
};
static const struct ws_conf_word density_modes[] = {
    {"off", WS_DENSITY_OFF},
    {"weight", WS_DENSITY_WEIGHT},
    {"drop", WS_DENSITY_DROP},
    {NULL, 0},
};
static const struct ws_conf_word source_words[] = {
    {"off", WS_BY_NOTHING}, {"query", WS_BY_QUERY}, {"host", WS_BY_HOST}, {"licence", WS_BY_LICENCE}, {NULL, 0},
};
static const struct ws_conf_word beliefs[] = {
    {"class", WS_BELIEF_CLASS},
    {"confidence", WS_BELIEF_CONFIDENCE},
    {NULL, 0},
};

static const struct ws_conf_key curate_keys[] = {
    {WS_CONF_WORD(struct ws_curate_keys, rule, enum ws_rule, rules), .fallback = "kd3",
     .help = "kd3 (joint confidence of teacher and student under thresholds of each class) or all."},
    {WS_CONF_WORD(struct ws_curate_keys, combine, enum ws_combine, combinations), .fallback = "logits",
     .help = "How teacher and student become one prediction, weighted alpha and 1 - alpha: of logits, then softmax "
             "(released code), or of probabilities: a confident network then outvotes an unsure one less."},
    {WS_CONF_NUMBER(struct ws_curate_keys, p_cutoff), .unit = "probability", .min = 0, .max = 1, .fallback = "0.95",
     .help = "Threshold of the class that is predicted most; the others' are lower."},
    {WS_CONF_NUMBER(struct ws_curate_keys, alpha_zero_share), .unit = "share", .min = 0, .max = 1, .fallback = "0.5",
     .help = "From this share of the epochs on, the student decides alone (120 of 240)."},
    {WS_CONF_NUMBER(struct ws_curate_keys, alpha_horizon_share), .unit = "share", .min = 0, .max = 10,
     .excluded = WS_CONF_ABOVE, .fallback = "0.66666667",
     .help = "K of the teacher's weight alpha(e) = 1 - exp(-steepness ((e+1)/K - 1)^2) (160 of 240)."},
    {WS_CONF_NUMBER(struct ws_curate_keys, alpha_steepness), .unit = "factor", .min = 0, .max = 1000, .fallback = "5",
     .help = "Steepness of alpha(e)."},
    {WS_CONF_UINT(struct ws_curate_keys, epoch), .unit = "epoch", .min = 1, .max = 100000, .fallback = "1",
     .help = "`webstill curate` alone: the epoch whose alpha is used. Epochs count from 1."},
    {WS_CONF_WORD(struct ws_curate_keys, density, enum ws_density_mode, density_modes), .fallback = "off",
     .above = "Beyond KD3, all off by default; they work on what the rule above keeps, in this order: source, density, "
              "quota. A weight multiplies KD3's own w_i; an epoch's weights are scaled to a mean of 1.",
     .help = "Near duplicates: off; weight (each of k near duplicates in the pool counts 1/k); or drop (the most "
             "confident stays)."},
    {WS_CONF_UINT(struct ws_curate_keys, density_distance), .unit = "bits", .min = 0, .max = 16, .fallback = "3",
     .help = "Two images are near duplicates when their perceptual hashes (64 bits) differ in at most so many. Among "
             "the demo's icons 2 is the same drawing in another line width, 4 mostly so, 6 often another drawing of "
             "the same outline."},
    {WS_CONF_WORD(struct ws_curate_keys, source_precision, enum ws_source_key, source_words), .fallback = "off",
     .help =
         "Weigh each image by how far its source can be believed, relative to the pool: off, query, host or licence "
         "tells sources apart. An image of several sources has the best one's weight; none weighs more than 1."},
    {WS_CONF_WORD(struct ws_curate_keys, source_belief, enum ws_belief, beliefs), .fallback = "class",
     .help = "The teacher believes an image when it predicts the class that was searched for (class), or when its "
             "confidence reaches source_confidence (confidence)."},
    {WS_CONF_NUMBER(struct ws_curate_keys, source_confidence), .help = "The bound of source_belief: confidence.",
     .unit = "probability", .min = 0, .max = 1, .fallback = "0.9"},
    {WS_CONF_NUMBER(struct ws_curate_keys, source_prior), .unit = "images", .min = 0, .max = 1000000, .fallback = "10",
     .help = "How strongly a source's share is drawn to the whole pool's: as if so many more images of average kind "
             "had come from it."},
    {WS_CONF_NUMBER(struct ws_curate_keys, source_drop_below), .unit = "share", .min = 0, .max = 1, .fallback = "0",
     .help = "Sources that are believed less are dropped; 0 = none."},
    {WS_CONF_NUMBER(struct ws_curate_keys, quota), .unit = "share", .min = 0, .max = 1, .excluded = WS_CONF_ABOVE,
     .fallback = "1",
     .help = "Largest share of a class's kept images that may come from one host; the least confident go. 1 = off. "
             "Where a class has fewer hosts than 1/quota, they are held to equal numbers."},
    {WS_CONF_WORD(struct ws_curate_keys, quota_of, enum ws_source_key, source_words), .fallback = "host",
     .help = "What the quota counts: host, query or licence (off: no quota)."},
    {WS_CONF_UINT(struct ws_curate_keys, quota_at_least), .unit = "images", .min = 1, .max = 1000000, .fallback = "20",
     .help = "So many images of a class may come from one host in any case."},
    {WS_CONF_NUMBER(struct ws_curate_keys, drift_warn), .unit = "bits", .min = 0, .max = 1, .fallback = "0.1",
     .help = "`webstill curate` alone: it prints how the pool differs from that of its last run, and warns from this "
             "divergence of predicted classes or confidences on. Changes no image; 1 = never."},
    {.name = NULL},
};

const struct ws_conf_section ws_curate_section = {
    .name = "curate",
    .title = "scores -> selection/*.safetensors",
    .intro = "Defaults: KD3's released code (ICCV 2023). The shares are of distill.epochs.",
    WS_CONF_KEYS(struct ws_curate_keys, curate_keys),
};

const char *ws_rule_name(enum ws_rule rule)
{
    return rules[rule].word;
}
