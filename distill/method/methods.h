/** The methods: a file each and its line in list.h; beside them the keys of those that others read. */
#ifndef WEBSTILL_DISTILL_METHOD_METHODS_H
#define WEBSTILL_DISTILL_METHOD_METHODS_H

#include "learn/method.h"
#include "list.h"

#include "webstill/stage/config.h"

#define WS_METHOD_ROW(name) extern const struct ws_method ws_method_##name;
WS_METHODS(WS_METHOD_ROW)
#undef WS_METHOD_ROW

extern const struct ws_conf_section ws_simkd_section;
struct ws_simkd_keys {
    uint32_t projector_factor;
};

extern const struct ws_conf_section ws_kd_section;
struct ws_kd_keys {
    double temperature;
};

extern const struct ws_conf_section ws_fitnet_section;
struct ws_fitnet_keys {
    double temperature;
    double hint_weight;
};

extern const struct ws_conf_section ws_dfnd_section;
struct ws_dfnd_keys {
    double share; /**< of the pool, the images that the teacher is surest of */
    double temperature;
    double accuracy; /**< of the teacher; 0 = as its card tells */
    double noise_lr;
};

/** All of them; NULL behind the last. */
extern const struct ws_method *const ws_methods[];

/** By name; WS_E_CONFIG with the nearest name. */
WS_MUST_USE enum ws_status ws_method_find(const char *name, const struct ws_method **out, struct ws_err *err);

/** The i-th method's name and summary: what distill.methods may list. See struct ws_conf_listing. */
bool ws_method_row(size_t i, const char **name, const char **sentence);
/** The methods' own sections, each once; returns how many (at most `n_max`). */
size_t ws_method_sections(const struct ws_conf_section **sections, size_t n_max);
/** The names of the sections that a run of this method depends on; see struct ws_program. */
size_t ws_method_reads(const char *method, const char **names, size_t n_max);

#endif
