/** The schema and the rules of the configuration: tables, and the few functions that look things up in them. */
#include "schema.h"

#include "webstill/conf/config.h"

#include <stdio.h>
#include <string.h>

/* Short names for the schema's rows: K = key and member of the same name. */
#define UINT(s, k) CYAML_FIELD_UINT(#k, CYAML_FLAG_DEFAULT, struct s, k)
#define FLOAT(s, k) CYAML_FIELD_FLOAT(#k, CYAML_FLAG_DEFAULT, struct s, k)
#define BOOL(s, k) CYAML_FIELD_BOOL(#k, CYAML_FLAG_DEFAULT, struct s, k)
#define TEXT(s, k) CYAML_FIELD_STRING_PTR(#k, CYAML_FLAG_POINTER, struct s, k, 0, CYAML_UNLIMITED)
#define WORD(s, k, words) CYAML_FIELD_ENUM(#k, CYAML_FLAG_DEFAULT, struct s, k, words, CYAML_ARRAY_LEN(words))
#define LIST(s, k, entry)                                                                                              \
    CYAML_FIELD_SEQUENCE_COUNT(#k, CYAML_FLAG_POINTER, struct s, k, n_##k, entry, 0, CYAML_UNLIMITED)
#define SECTION(s, k, fields) CYAML_FIELD_MAPPING(#k, CYAML_FLAG_DEFAULT, struct s, k, fields)

static const struct cyaml_schema_value text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};
static const struct cyaml_schema_value float_entry = {CYAML_VALUE_FLOAT(CYAML_FLAG_DEFAULT, double)};

static const struct cyaml_schema_field class_fields[] = {
    TEXT(ws_conf_class, name),
    CYAML_FIELD_SEQUENCE_COUNT("queries", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ws_conf_class, queries,
                               n_queries, &text_entry, 0, CYAML_UNLIMITED),
    CYAML_FIELD_END,
};
static const struct cyaml_schema_value class_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ws_conf_class, class_fields),
};

static const cyaml_strval_t source_kinds[] = {{"mediawiki", WS_SOURCE_MEDIAWIKI}, {"pages", WS_SOURCE_PAGES}};
static const struct cyaml_schema_field source_fields[] = {
    WORD(ws_conf_source, kind, source_kinds),
    TEXT(ws_conf_source, url),
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ws_conf_source, name, 0,
                           CYAML_UNLIMITED),
    CYAML_FIELD_END,
};
static const struct cyaml_schema_value source_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ws_conf_source, source_fields),
};

static const struct cyaml_schema_field crawl_fields[] = {
    TEXT(ws_conf_crawl, user_agent),
    LIST(ws_conf_crawl, sources, &source_entry),
    LIST(ws_conf_crawl, resolve, &text_entry),
    LIST(ws_conf_crawl, allow_addresses, &text_entry),
    UINT(ws_conf_crawl, per_query_max),
    UINT(ws_conf_crawl, per_page_results),
    UINT(ws_conf_crawl, max_pages),
    UINT(ws_conf_crawl, max_depth),
    UINT(ws_conf_crawl, concurrency),
    UINT(ws_conf_crawl, per_host),
    UINT(ws_conf_crawl, delay_ms),
    UINT(ws_conf_crawl, max_crawl_delay_s),
    UINT(ws_conf_crawl, connect_timeout_ms),
    UINT(ws_conf_crawl, timeout_s),
    UINT(ws_conf_crawl, min_speed_bytes_s),
    UINT(ws_conf_crawl, min_speed_time_s),
    UINT(ws_conf_crawl, max_body_kib),
    UINT(ws_conf_crawl, max_redirects),
    UINT(ws_conf_crawl, retries),
    UINT(ws_conf_crawl, retry_base_ms),
    UINT(ws_conf_crawl, robots_cache_h),
    UINT(ws_conf_crawl, warc_max_mib),
    UINT(ws_conf_crawl, commit_every),
    FLOAT(ws_conf_crawl, max_failure_share),
    CYAML_FIELD_END,
};

static const cyaml_strval_t fits[] = {{"pad", WS_FIT_PAD}, {"crop", WS_FIT_CROP}, {"stretch", WS_FIT_STRETCH}};
static const cyaml_strval_t backgrounds[] = {{"white", WS_BACKGROUND_WHITE}, {"black", WS_BACKGROUND_BLACK}};
static const cyaml_strval_t inverts[] = {{"never", WS_INVERT_NEVER}, {"bright", WS_INVERT_BRIGHT}};
static const struct cyaml_schema_field store_fields[] = {
    LIST(ws_conf_store, warc, &text_entry),
    UINT(ws_conf_store, size),
    UINT(ws_conf_store, channels),
    WORD(ws_conf_store, fit, fits),
    WORD(ws_conf_store, background, backgrounds),
    WORD(ws_conf_store, invert, inverts),
    UINT(ws_conf_store, min_side),
    FLOAT(ws_conf_store, max_megapixels),
    FLOAT(ws_conf_store, max_aspect),
    UINT(ws_conf_store, decode_timeout_s),
    FLOAT(ws_conf_store, map_gib),
    CYAML_FIELD_END,
};

static const cyaml_strval_t teacher_kinds[] = {
    {"idx", WS_TEACHER_IDX}, {"folders", WS_TEACHER_FOLDERS}, {"import", WS_TEACHER_IMPORT}};
static const cyaml_strval_t schedules[] = {{"onecycle", WS_SCHEDULE_ONECYCLE},
                                           {"cosine", WS_SCHEDULE_COSINE},
                                           {"step", WS_SCHEDULE_STEP},
                                           {"constant", WS_SCHEDULE_CONSTANT}};

static const cyaml_strval_t optimizers[] = {{"sgd", WS_OPTIM_SGD}, {"adam", WS_OPTIM_ADAM}, {"adamw", WS_OPTIM_ADAMW}};

/* The optimiser's keys stand in the section itself ("teacher.lr"), not in a mapping of their own. */
#define OPTIM(s)                                                                                                       \
    CYAML_FIELD_ENUM("optimizer", CYAML_FLAG_DEFAULT, struct s, optim.kind, optimizers, CYAML_ARRAY_LEN(optimizers)),  \
        CYAML_FIELD_FLOAT("lr", CYAML_FLAG_DEFAULT, struct s, optim.lr),                                               \
        CYAML_FIELD_FLOAT("momentum", CYAML_FLAG_DEFAULT, struct s, optim.momentum),                                   \
        CYAML_FIELD_FLOAT("weight_decay", CYAML_FLAG_DEFAULT, struct s, optim.weight_decay),                           \
        CYAML_FIELD_BOOL("nesterov", CYAML_FLAG_DEFAULT, struct s, optim.nesterov),                                    \
        CYAML_FIELD_FLOAT("beta1", CYAML_FLAG_DEFAULT, struct s, optim.beta1),                                         \
        CYAML_FIELD_FLOAT("beta2", CYAML_FLAG_DEFAULT, struct s, optim.beta2),                                         \
        CYAML_FIELD_FLOAT("eps", CYAML_FLAG_DEFAULT, struct s, optim.eps),                                             \
        CYAML_FIELD_ENUM("schedule", CYAML_FLAG_DEFAULT, struct s, optim.schedule, schedules,                          \
                         CYAML_ARRAY_LEN(schedules)),                                                                  \
        CYAML_FIELD_FLOAT("warmup", CYAML_FLAG_DEFAULT, struct s, optim.warmup),                                       \
        CYAML_FIELD_SEQUENCE_COUNT("milestones", CYAML_FLAG_POINTER, struct s, optim.milestones, optim.n_milestones,   \
                                   &float_entry, 0, CYAML_UNLIMITED),                                                  \
        CYAML_FIELD_FLOAT("gamma", CYAML_FLAG_DEFAULT, struct s, optim.gamma)

static const struct cyaml_schema_field teacher_fields[] = {
    WORD(ws_conf_teacher, kind, teacher_kinds),
    TEXT(ws_conf_teacher, train_images),
    TEXT(ws_conf_teacher, train_labels),
    TEXT(ws_conf_teacher, folder),
    TEXT(ws_conf_teacher, import_path),
    CYAML_FIELD_SEQUENCE_COUNT("mean", CYAML_FLAG_POINTER, struct ws_conf_teacher, mean, n_mean, &float_entry, 0, 3),
    CYAML_FIELD_SEQUENCE_COUNT("std", CYAML_FLAG_POINTER, struct ws_conf_teacher, std, n_std, &float_entry, 0, 3),
    TEXT(ws_conf_teacher, arch),
    UINT(ws_conf_teacher, epochs),
    UINT(ws_conf_teacher, steps),
    UINT(ws_conf_teacher, batch),
    UINT(ws_conf_teacher, crop_pad),
    BOOL(ws_conf_teacher, flip),
    FLOAT(ws_conf_teacher, label_smoothing),
    FLOAT(ws_conf_teacher, holdout),
    UINT(ws_conf_teacher, checkpoint_s),
    OPTIM(ws_conf_teacher),
    CYAML_FIELD_END,
};

static const struct cyaml_schema_field score_fields[] = {UINT(ws_conf_score, batch), CYAML_FIELD_END};

static const cyaml_strval_t combinations[] = {{"logits", WS_COMBINE_LOGITS},
                                              {"probabilities", WS_COMBINE_PROBABILITIES}};
static const cyaml_strval_t density_modes[] = {
    {"off", WS_DENSITY_OFF}, {"weight", WS_DENSITY_WEIGHT}, {"drop", WS_DENSITY_DROP}};
static const cyaml_strval_t source_keys[] = {
    {"off", WS_BY_NOTHING}, {"query", WS_BY_QUERY}, {"host", WS_BY_HOST}, {"licence", WS_BY_LICENCE}};
static const cyaml_strval_t beliefs[] = {{"class", WS_BELIEF_CLASS}, {"confidence", WS_BELIEF_CONFIDENCE}};
static const struct cyaml_schema_field curate_fields[] = {
    TEXT(ws_conf_curate, rule),
    WORD(ws_conf_curate, combine, combinations),
    FLOAT(ws_conf_curate, p_cutoff),
    FLOAT(ws_conf_curate, alpha_zero_share),
    FLOAT(ws_conf_curate, alpha_horizon_share),
    FLOAT(ws_conf_curate, alpha_steepness),
    UINT(ws_conf_curate, epoch),
    WORD(ws_conf_curate, density, density_modes),
    UINT(ws_conf_curate, density_distance),
    WORD(ws_conf_curate, source_precision, source_keys),
    WORD(ws_conf_curate, source_belief, beliefs),
    FLOAT(ws_conf_curate, source_confidence),
    FLOAT(ws_conf_curate, source_prior),
    FLOAT(ws_conf_curate, source_drop_below),
    FLOAT(ws_conf_curate, quota),
    WORD(ws_conf_curate, quota_of, source_keys),
    UINT(ws_conf_curate, quota_at_least),
    FLOAT(ws_conf_curate, drift_warn),
    CYAML_FIELD_END,
};

static const cyaml_strval_t alignments[] = {{"map", WS_ALIGN_MAP}, {"pooled", WS_ALIGN_POOLED}};
static const cyaml_strval_t selection_views[] = {{"augmented", WS_SELECTION_AUGMENTED}, {"clean", WS_SELECTION_CLEAN}};
static const struct cyaml_schema_field kd3_fields[] = {
    TEXT(ws_conf_kd3, contrast),
    FLOAT(ws_conf_kd3, contrast_weight),
    FLOAT(ws_conf_kd3, contrast_temperature),
    UINT(ws_conf_kd3, embedding),
    UINT(ws_conf_kd3, projector_factor),
    BOOL(ws_conf_kd3, share),
    FLOAT(ws_conf_kd3, kl_temperature),
    WORD(ws_conf_kd3, align, alignments),
    FLOAT(ws_conf_kd3, mix_alpha),
    FLOAT(ws_conf_kd3, mix_eps),
    UINT(ws_conf_kd3, mixed_memory_mib),
    BOOL(ws_conf_kd3, select),
    WORD(ws_conf_kd3, selection_view, selection_views),
    UINT(ws_conf_kd3, teacher_cache_mib),
    BOOL(ws_conf_kd3, weights),
    CYAML_FIELD_END,
};
static const struct cyaml_schema_field kd_fields[] = {FLOAT(ws_conf_kd, temperature), CYAML_FIELD_END};
static const struct cyaml_schema_field dfnd_fields[] = {
    FLOAT(ws_conf_dfnd, share),
    FLOAT(ws_conf_dfnd, temperature),
    FLOAT(ws_conf_dfnd, accuracy),
    FLOAT(ws_conf_dfnd, noise_lr),
    CYAML_FIELD_END,
};
static const struct cyaml_schema_field kd3_plus_fields[] = {
    BOOL(ws_conf_kd3_plus, select),
    TEXT(ws_conf_kd3_plus, contrast),
    FLOAT(ws_conf_kd3_plus, kl_weight),
    FLOAT(ws_conf_kd3_plus, kl_temperature),
    UINT(ws_conf_kd3_plus, refine_steps),
    UINT(ws_conf_kd3_plus, refine_images),
    FLOAT(ws_conf_kd3_plus, refine_lr),
    FLOAT(ws_conf_kd3_plus, refine_statistics),
    FLOAT(ws_conf_kd3_plus, refine_any_class),
    FLOAT(ws_conf_kd3_plus, refined_share),
    CYAML_FIELD_END,
};

static const struct cyaml_schema_field fitnet_fields[] = {
    FLOAT(ws_conf_fitnet, temperature),
    FLOAT(ws_conf_fitnet, hint_weight),
    CYAML_FIELD_END,
};
static const struct cyaml_schema_field simkd_fields[] = {UINT(ws_conf_simkd, projector_factor), CYAML_FIELD_END};

static const cyaml_strval_t train_data[] = {{"web", WS_DATA_WEB}, {"teacher", WS_DATA_TEACHER}};
static const struct cyaml_schema_field distill_fields[] = {
    LIST(ws_conf_distill, methods, &text_entry),
    WORD(ws_conf_distill, data, train_data),
    TEXT(ws_conf_distill, arch),
    UINT(ws_conf_distill, epochs),
    UINT(ws_conf_distill, steps_per_epoch),
    UINT(ws_conf_distill, batch),
    TEXT(ws_conf_distill, pool),
    FLOAT(ws_conf_distill, holdout),
    TEXT(ws_conf_distill, augment),
    UINT(ws_conf_distill, crop_pad),
    FLOAT(ws_conf_distill, crop_min_area),
    BOOL(ws_conf_distill, flip),
    UINT(ws_conf_distill, checkpoint_s),
    OPTIM(ws_conf_distill),
    SECTION(ws_conf_distill, kd3, kd3_fields),
    SECTION(ws_conf_distill, kd, kd_fields),
    SECTION(ws_conf_distill, kd3_plus, kd3_plus_fields),
    SECTION(ws_conf_distill, simkd, simkd_fields),
    SECTION(ws_conf_distill, fitnet, fitnet_fields),
    SECTION(ws_conf_distill, dfnd, dfnd_fields),
    CYAML_FIELD_END,
};

static const struct cyaml_schema_field eval_fields[] = {
    TEXT(ws_conf_eval, images),
    TEXT(ws_conf_eval, labels),
    TEXT(ws_conf_eval, folder),
    CYAML_FIELD_SEQUENCE_COUNT("shift", CYAML_FLAG_POINTER, struct ws_conf_eval, shift, n_shift, &float_entry, 0,
                               WS_MAX_SHIFTS),
    UINT(ws_conf_eval, shift_seed),
    UINT(ws_conf_eval, batch),
    CYAML_FIELD_END,
};

static const struct cyaml_schema_field export_fields[] = {
    UINT(ws_conf_export, opset),
    BOOL(ws_conf_export, fold_bn),
    BOOL(ws_conf_export, normalise),
    CYAML_FIELD_END,
};

static const struct cyaml_schema_field report_fields[] = {
    TEXT(ws_conf_report, title),
    UINT(ws_conf_report, contact),
    TEXT(ws_conf_report, results),
    CYAML_FIELD_END,
};

static const struct cyaml_schema_field top_fields[] = {
    LIST(ws_config, classes, &class_entry),
    UINT(ws_config, seed),
    UINT(ws_config, threads),
    SECTION(ws_config, crawl, crawl_fields),
    SECTION(ws_config, store, store_fields),
    SECTION(ws_config, teacher, teacher_fields),
    SECTION(ws_config, score, score_fields),
    SECTION(ws_config, curate, curate_fields),
    SECTION(ws_config, distill, distill_fields),
    SECTION(ws_config, eval, eval_fields),
    CYAML_FIELD_MAPPING("export", CYAML_FLAG_DEFAULT, struct ws_config, export_, export_fields),
    SECTION(ws_config, report, report_fields),
    CYAML_FIELD_END,
};

const struct cyaml_schema_value ws_conf_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ws_config, top_fields),
};

static const char *const channel_choices[] = {"1", "3", NULL};
static const char *const rule_choices[] = {"kd3", "all", NULL};
static const char *const contrast_choices[] = {"self", "cross", "off", NULL};
static const char *const augment_choices[] = {"resized-crop", "shift", "none", NULL};

enum { ABOVE = 1, BELOW = 2 }; /* excluded bounds */
#define RANGE(key_, unit_, min_, max_, excluded_)                                                                      \
    {                                                                                                                  \
        .key = (key_), .unit = (unit_), .min = (min_), .max = (max_), .above_min = ((excluded_)&ABOVE) != 0,           \
        .below_max = ((excluded_)&BELOW) != 0                                                                          \
    }
#define CHOICE(key_, choices_)                                                                                         \
    {                                                                                                                  \
        .key = (key_), .choices = (choices_)                                                                           \
    }

/* Whole numbers stay below 2^53, where double and JSON are exact. */
const struct ws_conf_rule ws_conf_rules[] = {
    RANGE("seed", "number", 0, 9007199254740991, 0),
    RANGE("threads", "threads", 0, 1024, 0),
    RANGE("crawl.per_query_max", "images", 1, 1000000, 0),
    RANGE("crawl.per_page_results", "results", 1, 500, 0),
    RANGE("crawl.max_pages", "pages", 0, 1000000, 0),
    RANGE("crawl.max_depth", "links", 0, 100, 0),
    RANGE("crawl.concurrency", "transfers", 1, 1024, 0),
    RANGE("crawl.per_host", "transfers", 1, 64, 0),
    RANGE("crawl.delay_ms", "ms", 0, 3600000, 0),
    RANGE("crawl.max_crawl_delay_s", "s", 0, 86400, 0),
    RANGE("crawl.connect_timeout_ms", "ms", 100, 600000, 0),
    RANGE("crawl.timeout_s", "s", 1, 86400, 0),
    RANGE("crawl.min_speed_bytes_s", "bytes/s", 0, 1000000000, 0),
    RANGE("crawl.min_speed_time_s", "s", 1, 3600, 0),
    RANGE("crawl.max_body_kib", "KiB", 1, 1048576, 0),
    RANGE("crawl.max_redirects", "redirects", 0, 50, 0),
    RANGE("crawl.retries", "tries", 0, 20, 0),
    RANGE("crawl.retry_base_ms", "ms", 0, 600000, 0),
    RANGE("crawl.robots_cache_h", "h", 0, 24, 0), /* RFC 9309, section 2.4: not longer than a day */
    RANGE("crawl.warc_max_mib", "MiB", 1, 1048576, 0),
    RANGE("crawl.commit_every", "fetches", 1, 100000, 0),
    RANGE("crawl.max_failure_share", "share", 0, 1, 0),
    RANGE("store.size", "pixels", 8, 1024, 0),
    {.key = "store.channels", .unit = "channels", .min = 1, .max = 3, .choices = channel_choices},
    RANGE("store.min_side", "pixels", 1, 100000, 0),
    RANGE("store.max_megapixels", "megapixels", 0, 1000, ABOVE),
    RANGE("store.max_aspect", "ratio", 1, 1000, 0),
    RANGE("store.decode_timeout_s", "s", 1, 600, 0),
    RANGE("store.map_gib", "GiB", 0, 65536, ABOVE),
#define OPTIM_RULES(section)                                                                                           \
    RANGE(section ".lr", "rate", 0, 10, ABOVE), RANGE(section ".momentum", "factor", 0, 1, BELOW),                     \
        RANGE(section ".weight_decay", "factor", 0, 1, 0), RANGE(section ".beta1", "factor", 0, 1, BELOW),             \
        RANGE(section ".beta2", "factor", 0, 1, BELOW), RANGE(section ".eps", "number", 0, 1, ABOVE),                  \
        RANGE(section ".warmup", "share", 0, 1, BELOW), RANGE(section ".milestones", "share", 0, 1, ABOVE | BELOW),    \
        RANGE(section ".gamma", "factor", 0, 1, ABOVE)
    RANGE("teacher.mean", "share", 0, 1, 0),
    RANGE("teacher.std", "share", 0, 10, ABOVE),
    RANGE("teacher.epochs", "epochs", 1, 100000, 0),
    RANGE("teacher.steps", "steps", 0, 1000000000, 0),
    RANGE("teacher.batch", "images", 2, 65536, 0),
    RANGE("teacher.crop_pad", "pixels", 0, 64, 0),
    RANGE("teacher.label_smoothing", "share", 0, 1, BELOW),
    RANGE("teacher.holdout", "share", 0, 0.9, 0),
    RANGE("teacher.checkpoint_s", "s", 1, 86400, 0),
    OPTIM_RULES("teacher"),
    RANGE("score.batch", "images", 1, 65536, 0),
    CHOICE("curate.rule", rule_choices),
    RANGE("curate.p_cutoff", "probability", 0, 1, 0),
    RANGE("curate.alpha_zero_share", "share", 0, 1, 0),
    RANGE("curate.alpha_horizon_share", "share", 0, 10, ABOVE),
    RANGE("curate.alpha_steepness", "factor", 0, 1000, 0),
    RANGE("curate.epoch", "epoch", 1, 100000, 0),
    RANGE("curate.density_distance", "bits", 0, 16, 0),
    RANGE("curate.source_confidence", "probability", 0, 1, 0),
    RANGE("curate.source_prior", "images", 0, 1000000, 0),
    RANGE("curate.source_drop_below", "share", 0, 1, 0),
    RANGE("curate.quota", "share", 0, 1, ABOVE),
    RANGE("curate.quota_at_least", "images", 1, 1000000, 0),
    RANGE("curate.drift_warn", "bits", 0, 1, 0),
    RANGE("distill.epochs", "epochs", 1, 100000, 0),
    RANGE("distill.steps_per_epoch", "steps", 0, 1000000, 0),
    RANGE("distill.batch", "images", 2, 65536, 0),
    RANGE("distill.holdout", "share", 0, 0.9, 0),
    CHOICE("distill.augment", augment_choices),
    RANGE("distill.crop_pad", "pixels", 0, 64, 0),
    RANGE("distill.crop_min_area", "share", 0, 1, ABOVE),
    RANGE("distill.checkpoint_s", "s", 1, 86400, 0),
    OPTIM_RULES("distill"),
    CHOICE("distill.kd3.contrast", contrast_choices),
    RANGE("distill.kd3.contrast_weight", "factor", 0, 100, 0),
    RANGE("distill.kd3.contrast_temperature", "temperature", 0, 100, ABOVE),
    RANGE("distill.kd3.embedding", "features", 1, 65536, 0),
    RANGE("distill.kd3.projector_factor", "divisor", 1, 64, 0),
    RANGE("distill.kd3.kl_temperature", "temperature", 0, 1000, ABOVE),
    RANGE("distill.kd3.mix_alpha", "number", 0, 100, ABOVE),
    RANGE("distill.kd3.mix_eps", "variance", 0, 1, ABOVE),
    RANGE("distill.kd3.mixed_memory_mib", "MiB", 0, 1048576, 0),
    RANGE("distill.kd3.teacher_cache_mib", "MiB", 0, 1048576, 0),
    RANGE("distill.kd.temperature", "temperature", 0, 1000, ABOVE),
    CHOICE("distill.kd3_plus.contrast", contrast_choices),
    RANGE("distill.kd3_plus.kl_weight", "factor", 0, 100, 0),
    RANGE("distill.kd3_plus.kl_temperature", "temperature", 0, 1000, ABOVE),
    RANGE("distill.kd3_plus.refine_steps", "steps", 0, 10000, 0),
    RANGE("distill.kd3_plus.refine_images", "images", 0, 1000000000, 0),
    RANGE("distill.kd3_plus.refine_lr", "rate", 0, 10, ABOVE),
    RANGE("distill.kd3_plus.refine_statistics", "factor", 0, 1000, 0),
    RANGE("distill.kd3_plus.refine_any_class", "share", 0, 1, 0),
    RANGE("distill.kd3_plus.refined_share", "share", 0, 1, 0),
    RANGE("distill.simkd.projector_factor", "divisor", 1, 64, 0),
    RANGE("distill.fitnet.temperature", "temperature", 0, 1000, ABOVE),
    RANGE("distill.fitnet.hint_weight", "factor", 0, 100000, 0),
    RANGE("distill.dfnd.share", "share", 0, 1, ABOVE),
    RANGE("distill.dfnd.temperature", "temperature", 0, 1000, ABOVE),
    RANGE("distill.dfnd.accuracy", "share", 0, 1, 0),
    RANGE("distill.dfnd.noise_lr", "rate", 0, 10, ABOVE),
    RANGE("eval.shift", "strength", 0, 10, ABOVE),
    RANGE("eval.shift_seed", "number", 0, 9007199254740991, 0),
    RANGE("eval.batch", "images", 1, 65536, 0),
    RANGE("export.opset", "version", 13, 17, 0),
    RANGE("report.contact", "images", 0, 1000, 0),
    {.key = NULL},
};

const struct ws_conf_rule *ws_conf_rule_find(const char *key)
{
    for (const struct ws_conf_rule *rule = ws_conf_rules; rule->key; rule++)
        if (strcmp(rule->key, key) == 0)
            return rule;
    return NULL;
}

void ws_conf_rule_range(const struct ws_conf_rule *rule, char *text, size_t size_bytes)
{
    snprintf(text, size_bytes, "%c%.16g, %.16g%c", rule->above_min ? '(' : '[', rule->min, rule->max,
             rule->below_max ? ')' : ']');
}

bool ws_conf_rule_admits(const struct ws_conf_rule *rule, double value)
{
    bool high_enough = rule->above_min ? value > rule->min : value >= rule->min;
    bool low_enough = rule->below_max ? value < rule->max : value <= rule->max;
    return high_enough && low_enough;
}

const struct cyaml_schema_field *ws_conf_field_find(const struct cyaml_schema_field *fields, const char *key)
{
    for (; fields->key; fields++)
        if (strcmp(fields->key, key) == 0)
            return fields;
    return NULL;
}
