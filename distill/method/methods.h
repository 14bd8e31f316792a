/** The methods: a file each, its declaration here and its line in the table of table.c. */
#ifndef WEBSTILL_DISTILL_METHOD_METHODS_H
#define WEBSTILL_DISTILL_METHOD_METHODS_H

#include "learn/method.h"

/** KD3. */
extern const struct ws_method ws_method_kd3;
/** KD3 on refined images. */
extern const struct ws_method ws_method_kd3_plus;
/** SimKD: KD3's head and alignment on the whole pool, and nothing else of it. */
extern const struct ws_method ws_method_simkd;
/** Hinton's distillation on the whole pool. */
extern const struct ws_method ws_method_kd;
/** FitNets: kd with a hint from the teacher's middle map. */
extern const struct ws_method ws_method_fitnet;
/** DFND: the images that the teacher is surest of, and a matrix of its mistakes. */
extern const struct ws_method ws_method_dfnd;
/** kd on pictures of pure noise. */
extern const struct ws_method ws_method_noise;
/** Cross entropy on labels: the teacher's training, and the `ce` baseline on the web's labels. */
extern const struct ws_method ws_method_ce;

/** All of them; NULL behind the last. */
extern const struct ws_method *const ws_methods[];

/** By name; WS_E_CONFIG with the nearest name. */
WS_MUST_USE enum ws_status ws_method_find(const char *name, const struct ws_method **out, struct ws_err *err);

#endif
