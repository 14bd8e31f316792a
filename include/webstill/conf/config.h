/**
 * Configuration: one YAML file per pipeline, a section per stage.
 *
 * configs/reference.yaml documents each key with its unit, range and default; it is compiled in and is the first layer:
 * reference, then the user's file, then `-o section.key=value`. libcyaml's schema turns the merged document into
 * struct ws_config. An unknown key or a value out of range is WS_E_CONFIG with file, line and the nearest known name.
 */
#ifndef WEBSTILL_CONF_CONFIG_H
#define WEBSTILL_CONF_CONFIG_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/hash.h"

#include <stdbool.h>
#include <stdint.h>

/** A class and the words to search it by. */
struct ws_conf_class {
    char *name;
    char **queries; /**< never empty once loaded: the name when none are given */
    unsigned n_queries;
};

enum ws_source_kind { WS_SOURCE_MEDIAWIKI, WS_SOURCE_PAGES };

/** A place to look for images. */
struct ws_conf_source {
    enum ws_source_kind kind;
    char *url;  /**< mediawiki: the api.php URL; pages: a seed page, "{query}" is replaced by each query */
    char *name; /**< shown in provenance; "" = the URL's host */
};

struct ws_conf_crawl {
    char *user_agent; /**< product/version (contact) */
    struct ws_conf_source *sources;
    unsigned n_sources;
    char **resolve; /**< "host=address" pairs that replace DNS, as curl's --resolve does */
    unsigned n_resolve;
    char **allow_addresses; /**< CIDR blocks exempt from the private-address guard, "127.0.0.0/8" */
    unsigned n_allow_addresses;
    uint32_t per_query_max;     /**< images taken from one query of one source */
    uint32_t per_page_results;  /**< results asked for in one API request */
    uint32_t max_pages;         /**< HTML pages followed per seed */
    uint32_t max_depth;         /**< links followed from a seed page */
    uint32_t concurrency;       /**< transfers in flight over all hosts */
    uint32_t per_host;          /**< transfers in flight per host */
    uint32_t delay_ms;          /**< least time between two requests to a host; robots' Crawl-delay raises it */
    uint32_t max_crawl_delay_s; /**< a longer Crawl-delay means: skip the host */
    uint32_t connect_timeout_ms;
    uint32_t timeout_s;         /**< whole transfer */
    uint32_t min_speed_bytes_s; /**< slower than this for min_speed_time_s: given up */
    uint32_t min_speed_time_s;
    uint32_t max_body_kib; /**< after content decoding */
    uint32_t max_redirects;
    uint32_t retries;       /**< further tries after a transient failure (network, 429, 5xx) */
    uint32_t retry_base_ms; /**< first wait, doubled each time, with jitter; Retry-After wins */
    uint32_t robots_cache_h;
    uint32_t warc_max_mib;    /**< a shard rolls at this size */
    uint32_t commit_every;    /**< fetches between two durable commits */
    double max_failure_share; /**< above it the stage ends with exit code 6 */
};

enum ws_fit { WS_FIT_PAD, WS_FIT_CROP, WS_FIT_STRETCH };
enum ws_background { WS_BACKGROUND_WHITE, WS_BACKGROUND_BLACK };
enum ws_invert { WS_INVERT_NEVER, WS_INVERT_BRIGHT };

struct ws_conf_store {
    char **warc; /**< further WARC files or folders to read besides the crawl's own */
    unsigned n_warc;
    uint32_t size;                 /**< side of the stored square, pixels */
    uint32_t channels;             /**< 1 = luma, 3 = RGB */
    enum ws_fit fit;               /**< pad to square, centre crop, or stretch */
    enum ws_background background; /**< what transparency and padding show */
    enum ws_invert invert;         /**< bright: invert when the border's mean is above one half */
    uint32_t min_side;             /**< smaller originals are refused, pixels */
    double max_megapixels;         /**< refused before decoding */
    double max_aspect;             /**< longer side over shorter */
    uint32_t decode_timeout_s;
    double map_gib; /**< largest size of the LMDB map (address space, not disk) */
};

enum ws_teacher_kind { WS_TEACHER_IDX, WS_TEACHER_FOLDERS, WS_TEACHER_IMPORT };
enum ws_schedule { WS_SCHEDULE_ONECYCLE, WS_SCHEDULE_COSINE, WS_SCHEDULE_STEP, WS_SCHEDULE_CONSTANT };

enum ws_optim_kind { WS_OPTIM_SGD, WS_OPTIM_ADAM, WS_OPTIM_ADAMW };

/** Optimiser settings shared by teacher and student training. */
struct ws_conf_optim {
    enum ws_optim_kind kind; /**< key `optimizer` */
    double lr;               /**< peak learning rate */
    double momentum;         /**< sgd */
    double weight_decay;
    bool nesterov;       /**< sgd */
    double beta1, beta2; /**< adam, adamw: decay of the two moments */
    double eps;          /**< adam, adamw: added to the root of the second moment */
    enum ws_schedule schedule;
    double warmup;      /**< onecycle: share of the steps that rise */
    double *milestones; /**< step: shares of the epochs after which lr falls by `gamma` */
    unsigned n_milestones;
    double gamma;
};

struct ws_conf_teacher {
    enum ws_teacher_kind kind;
    char *train_images, *train_labels; /**< idx: IDX files, .gz or plain */
    char *folder;                      /**< folders: one folder a class */
    char *import_path;                 /**< import: an ONNX or safetensors file */
    double *mean, *std;                /**< import: per channel, of pixels in 0..1; where the file does not tell */
    unsigned n_mean, n_std;
    char *arch; /**< "resnet20" */
    uint32_t epochs;
    uint32_t steps; /**< 0 = whole epochs; else ends after so many steps */
    uint32_t batch;
    uint32_t crop_pad; /**< augmentation: zero padding of the random crop, pixels; 0 = none */
    bool flip;         /**< augmentation: horizontal, half of the time */
    double label_smoothing;
    double holdout;        /**< share of the training data kept back for the card's validation accuracy */
    uint32_t checkpoint_s; /**< seconds between checkpoints */
    struct ws_conf_optim optim;
};

struct ws_conf_score {
    uint32_t batch;
};

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

struct ws_conf_curate {
    char *rule; /**< "kd3" or "all" */
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

/** Where the student's features are compared with the teacher's. */
enum ws_align { WS_ALIGN_MAP, WS_ALIGN_POOLED };

enum ws_selection_view { WS_SELECTION_AUGMENTED, WS_SELECTION_CLEAN };

struct ws_conf_kd3 {
    char *contrast; /**< "self" (released code), "cross", "off" */
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
struct ws_conf_kd3_plus {
    bool select;
    char *contrast; /**< as kd3's */
    double kl_weight, kl_temperature;
    uint32_t refine_steps;  /**< 0 = images are not refined */
    uint32_t refine_images; /**< most that are refined, and then trained on; 0 = all */
    double refine_lr, refine_statistics, refine_any_class;
    double refined_share; /**< of the images of a batch */
};

struct ws_conf_kd {
    double temperature;
};

struct ws_conf_simkd {
    uint32_t projector_factor;
};

struct ws_conf_dfnd {
    double share; /**< of the pool, the images that the teacher is surest of */
    double temperature;
    double accuracy; /**< of the teacher; 0 = as its card tells */
    double noise_lr;
};

struct ws_conf_fitnet {
    double temperature;
    double hint_weight;
};

enum ws_train_data { WS_DATA_WEB, WS_DATA_TEACHER };

struct ws_conf_distill {
    char **methods; /**< runs to make: "kd3", "kd", "ce", … */
    unsigned n_methods;
    enum ws_train_data data; /**< the web's images, or the labelled ones of section `teacher` */
    char *arch;              /**< the student: "resnet8" */
    uint32_t epochs;
    uint32_t steps_per_epoch; /**< 0 = the selected images once; else the selection is cycled for so many steps */
    uint32_t batch;
    char *pool;           /**< "" or a file with the ids of the images that may be used, one a line */
    double holdout;       /**< share of the pool, chosen by id, that is never trained on: agreement with the teacher */
    char *augment;        /**< "resized-crop" (released code), "shift", "none" */
    uint32_t crop_pad;    /**< shift: zero padding of the random crop, pixels */
    double crop_min_area; /**< resized-crop: smallest share of the area */
    bool flip;
    uint32_t checkpoint_s;
    struct ws_conf_optim optim;
    struct ws_conf_kd3 kd3;
    struct ws_conf_kd3_plus kd3_plus;
    struct ws_conf_kd kd; /**< of kd and noise */
    struct ws_conf_simkd simkd;
    struct ws_conf_fitnet fitnet;
    struct ws_conf_dfnd dfnd;
};

enum { WS_MAX_SHIFTS = 16 };

struct ws_conf_eval {
    char *images, *labels; /**< IDX files of the clean test set, .gz or plain */
    char *folder;          /**< or one folder a class */
    double *shift;         /**< strengths of the random brightness and contrast under which it is measured, too */
    unsigned n_shift;
    uint64_t shift_seed;
    uint32_t batch;
};

struct ws_conf_export {
    uint32_t opset;
    bool fold_bn;
    bool normalise; /**< put (x/255 - mean)/std inside the graph, so that 0..255 goes in */
};

struct ws_conf_report {
    char *title;
    uint32_t contact; /**< images on each contact sheet */
    char *results;    /**< results of repeated experiments, JSON lines; "" = none */
};

struct ws_config {
    struct ws_conf_class *classes;
    unsigned n_classes;
    uint64_t seed;
    uint32_t threads; /**< 0 = one per core */
    struct ws_conf_crawl crawl;
    struct ws_conf_store store;
    struct ws_conf_teacher teacher;
    struct ws_conf_score score;
    struct ws_conf_curate curate;
    struct ws_conf_distill distill;
    struct ws_conf_eval eval;
    struct ws_conf_export export_;
    struct ws_conf_report report;
};

/**
 * Load a file over the reference, with `n_overrides` texts "section.key=value" (value is YAML) over both.
 *
 * Returns WS_E_CONFIG for what the user can mend in the file or on the command line (also a file that does not exist),
 * WS_E_IO, WS_E_MEMORY. Relative paths stay as written (relative to the current directory). An empty `eval.images` and
 * the like load: the stage that needs them asks for them. Free with ws_config_free().
 */
WS_MUST_USE enum ws_status ws_config_load(struct ws_config **out, const char *path, const char *const *overrides,
                                          int n_overrides, struct ws_err *err);
void ws_config_free(struct ws_config **config);

/**
 * The resolved configuration as YAML: the given sections ("crawl"; NULL-terminated list), plus `classes`, `seed` and
 * `threads` when named in it, in the reference's order whatever the list's. Two equal configurations give equal bytes,
 * and the bytes of all sections load again to the same configuration. All sections when `sections` is NULL.
 *
 * Returns WS_E_CONFIG for an unknown section, WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_config_dump(const struct ws_config *config, const char *const *sections,
                                          struct ws_buf *out, struct ws_err *err);

/** A shallow copy of a configuration; dump it, but never free it. Not copyable: `config` points into the view. */
struct ws_config_view {
    struct ws_config config;
    char *methods[1], method[64], nothing[1];
};

/**
 * The configuration as one run of `distill` sees it: `methods` names that run alone, and what the run does not depend
 * on (other methods' keys, the checkpoint interval, `curate.epoch`) is empty. So adding a method does not make the
 * finished runs stale. The view borrows from `config`.
 */
void ws_config_view_init(struct ws_config_view *view, const struct ws_config *config, const char *method);

#endif
