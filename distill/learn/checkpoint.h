/**
 * checkpoint.safetensors: everything a run needs to go on as if it had never been interrupted.
 *
 * Tensors: per learner "PREFIX.NAME" for each parameter and running statistic (file order), or "PREFIX.values" where it
 * is no network, and the optimiser's state: "PREFIX.moment1" (of SGD the velocity) and "PREFIX.moment2" in memory
 * order, "PREFIX.n_steps"; besides, what the supply adds. Metadata: "webstill.key", the digest of all that the training
 * depends on, and "webstill.loop", the loop's numbers as JSON.
 */
#ifndef WEBSTILL_DISTILL_LEARN_CHECKPOINT_H
#define WEBSTILL_DISTILL_LEARN_CHECKPOINT_H

#include "webstill/base/mem.h"
#include "webstill/nn/graph.h"
#include "webstill/nn/optim.h"
#include "webstill/tensors/file.h"

#include <jansson.h>

/** A checkpoint under construction. All-zero is an empty one. */
struct ws_checkpoint {
    struct ws_arena arena;           /**< owned: copies of names and weights */
    struct ws_tensor_entry *entries; /**< owned */
    size_t n, cap;
    bool is_short; /**< out of memory somewhere: told by ws_checkpoint_write() */
};

/** Add a network. Running out of memory is kept and reported by the write. */
void ws_checkpoint_add_net(struct ws_checkpoint *checkpoint, const char *prefix, const struct ws_net *net);
/** Add numbers that are no network's, as "PREFIX.values"; borrowed until the write. */
void ws_checkpoint_add_numbers(struct ws_checkpoint *checkpoint, const char *prefix, const float *values, size_t n);
/** Add an optimiser of `n` values; borrowed until the write. */
void ws_checkpoint_add_optim(struct ws_checkpoint *checkpoint, const char *prefix, const struct ws_optim *optim,
                             size_t n);
/** Add a tensor; its data is borrowed until the write. */
void ws_checkpoint_add(struct ws_checkpoint *checkpoint, const struct ws_tensor_entry *entry);
/** Add a list; `data` is borrowed until the write. */
void ws_checkpoint_add_list(struct ws_checkpoint *checkpoint, const char *name, enum ws_dtype dtype, size_t n,
                            const void *data);
/** Write atomically and empty the checkpoint, also on failure. */
WS_MUST_USE enum ws_status ws_checkpoint_write(struct ws_checkpoint *checkpoint, const char *path, const char *key,
                                               const json_t *loop, struct ws_err *err);
void ws_checkpoint_fini(struct ws_checkpoint *checkpoint);

/**
 * Open a checkpoint made under the same key. WS_DONE when there is none; WS_E_CONFIG when its key differs (the caller
 * decides to start anew); WS_E_DAMAGED or WS_E_FORMAT when it cannot be read. Close `file` and json_decref(*loop).
 */
WS_MUST_USE enum ws_status ws_checkpoint_open(struct ws_tensors **file, json_t **loop, const char *path,
                                              const char *key, struct ws_err *err);
/** Restore a network; WS_E_DAMAGED names a tensor that is missing or of another size. So the two below. */
WS_MUST_USE enum ws_status ws_checkpoint_get_net(const struct ws_tensors *file, const char *prefix, struct ws_net *net,
                                                 struct ws_err *err);
WS_MUST_USE enum ws_status ws_checkpoint_get_numbers(const struct ws_tensors *file, const char *prefix, float *values,
                                                     size_t n, struct ws_err *err);
WS_MUST_USE enum ws_status ws_checkpoint_get_optim(const struct ws_tensors *file, const char *prefix,
                                                   struct ws_optim *optim, size_t n, struct ws_err *err);
/** A list of `dtype`; NULL when absent or of another type. */
const void *ws_checkpoint_get_list(const struct ws_tensors *file, const char *name, enum ws_dtype dtype, size_t *n);

#endif
