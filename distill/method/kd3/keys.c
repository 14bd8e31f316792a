/** The keys of KD3, and of KD3 on refined images. */
#include "keys.h"

static const struct ws_conf_word contrasts[] = {
    {"self", WS_CONTRAST_SELF},
    {"cross", WS_CONTRAST_CROSS},
    {"off", WS_CONTRAST_OFF},
    {NULL, 0},
};
static const struct ws_conf_word alignments[] = {
    {"map", WS_ALIGN_MAP},
    {"pooled", WS_ALIGN_POOLED},
    {NULL, 0},
};
static const struct ws_conf_word views[] = {
    {"augmented", WS_SELECTION_AUGMENTED},
    {"clean", WS_SELECTION_CLEAN},
    {NULL, 0},
};
static const struct ws_conf_key kd3_keys[] = {
    {WS_CONF_WORD(struct ws_kd3_keys, contrast, enum ws_contrast, contrasts), .fallback = "self",
     .help = "self (released code): each network's features of an image against those of its mixed copy. cross: the "
             "student's features of an image against the teacher's, without mixed copies. off: none."},
    {WS_CONF_NUMBER(struct ws_kd3_keys, contrast_weight), .unit = "factor", .min = 0, .max = 100, .fallback = "0.001",
     .help = "Weight of the contrastive losses beside the feature alignment."},
    {WS_CONF_NUMBER(struct ws_kd3_keys, contrast_temperature), .help = "Temperature of the contrast.",
     .unit = "temperature", .min = 0, .max = 100, .excluded = WS_CONF_ABOVE, .fallback = "0.3"},
    {WS_CONF_UINT(struct ws_kd3_keys, embedding), .unit = "features", .min = 1, .max = 65536, .fallback = "128",
     .help = "Width of the embeddings that are contrasted."},
    {WS_CONF_UINT(struct ws_kd3_keys, projector_factor), .unit = "divisor", .min = 1, .max = 64, .fallback = "2",
     .help = "The projector's inner width is the teacher's width divided by this, rounded down."},
    {WS_CONF_BOOL(struct ws_kd3_keys, share), .fallback = "true",
     .help = "The student ends in the teacher's own classifier, one linear layer, and aligns its features (released "
             "code). false, for "
             "comparison: it has a classifier of its own, and T^2 KL of the logits on the same images takes the "
             "alignment's place; no image has a weight then."},
    {WS_CONF_NUMBER(struct ws_kd3_keys, kl_temperature), .unit = "temperature", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "4", .help = "share false: T of that KL."},
    {WS_CONF_WORD(struct ws_kd3_keys, align, enum ws_align, alignments), .fallback = "map",
     .help = "What of the student is compared with the teacher: map, the last feature map behind the projector "
             "(released code), which takes pairs whose maps have the same size or an integer ratio; or pooled, "
             "that map's average, which leaves open where in the picture a feature lies and takes any pair."},
    {WS_CONF_NUMBER(struct ws_kd3_keys, mix_alpha), .unit = "number", .min = 0, .max = 100, .excluded = WS_CONF_ABOVE,
     .fallback = "0.1", .help = "MixDistribution draws its share from Beta(mix_alpha, mix_alpha)."},
    {WS_CONF_NUMBER(struct ws_kd3_keys, mix_eps), .unit = "variance", .min = 0, .max = 1, .excluded = WS_CONF_ABOVE,
     .fallback = "0.000001", .help = "Added to each channel's variance before the square root."},
    {WS_CONF_UINT(struct ws_kd3_keys, mixed_memory_mib), .unit = "MiB", .min = 0, .max = 1048576, .fallback = "192",
     .help = "A student whose run on a batch takes more memory than this does its two runs, on the images and on their "
             "mixed copies, in one memory, and repeats a forward pass for it: a tenth of the step's time. Does not "
             "change any result."},
    {WS_CONF_BOOL(struct ws_kd3_keys, select), .fallback = "true",
     .help = "Dynamic selection; false = the whole pool each epoch."},
    {WS_CONF_WORD(struct ws_kd3_keys, selection_view, enum ws_selection_view, views), .fallback = "augmented",
     .help = "What the selection pass looks at: augmented (one random view of each image, drawn anew each epoch; "
             "released code) or clean (the image as it is)."},
    {WS_CONF_UINT(struct ws_kd3_keys, teacher_cache_mib), .unit = "MiB", .min = 0, .max = 1048576, .fallback = "256",
     .help = "selection_view clean: the teacher's logits are the same in each epoch; they are kept in memory where all "
             "of the pool (4 bytes times classes times images) takes no more than this. Does not change any result."},
    {WS_CONF_BOOL(struct ws_kd3_keys, weights), .fallback = "true",
     .help = "Weights by disagreement; false = 1/2 for every image."},
    {.name = NULL},
};

const struct ws_conf_section ws_kd3_section = {
    .name = "distill.kd3",
    .title = "Method kd3: Tang et al., \"Distribution Shift Matters for Knowledge Distillation with Webly Collected "
             "Images\".",
    WS_CONF_KEYS(struct ws_kd3_keys, kd3_keys),
};

static const struct ws_conf_key kd3_plus_keys[] = {
    {WS_CONF_BOOL(struct ws_kd3_plus_keys, select), .fallback = "false", .help = "Dynamic selection, as kd3.select."},
    {WS_CONF_WORD(struct ws_kd3_plus_keys, contrast, enum ws_contrast, contrasts), .fallback = "off",
     .help = "As kd3.contrast."},
    {WS_CONF_NUMBER(struct ws_kd3_plus_keys, kl_weight), .unit = "factor", .min = 0, .max = 100, .fallback = "0",
     .help = "Weight of the distance between the softened outputs, T^2 KL(teacher || student), beside the feature "
             "alignment; not used with kd3.share false, which has its own."},
    {WS_CONF_NUMBER(struct ws_kd3_plus_keys, kl_temperature), .unit = "temperature", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "4", .help = "T of it."},
    {WS_CONF_GROUP(struct ws_kd3_plus_keys, refine, struct ws_refine_keys, &ws_refine_section)},
    {.name = NULL},
};

const struct ws_conf_section ws_kd3_plus_section = {
    .name = "distill.kd3_plus",
    .title = "Method kd3+: kd3, and beside it what helps where the web's pictures look unlike the teacher's data. What "
             "is not said here is said in section kd3.",
    WS_CONF_KEYS(struct ws_kd3_plus_keys, kd3_plus_keys),
};
