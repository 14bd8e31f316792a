/**
 * One pool of worker threads, for work split into slices.
 *
 * The number of slices belongs to the problem, never to the machine: whoever reduces results does so per slice
 * and in slice order, so 1, 2 and 8 threads give the same bytes.
 */
#ifndef WEBSTILL_BASE_POOL_H
#define WEBSTILL_BASE_POOL_H

#include "webstill/base/err.h"

#include <stddef.h>

struct ws_pool;

/** Work on one slice. `worker` is 0 … n_threads-1: an index for per-worker scratch, never for results. */
typedef void ws_slice_fn(void *argument, int slice, int worker);

/** Start `n_threads` - 1 workers (the caller is the last one); 0 means one per core this process may use. */
WS_MUST_USE enum ws_status ws_pool_open(struct ws_pool **out, int n_threads, struct ws_err *err);

/** Run all slices and return when the last has ended. Slices start in order. Not reentrant: one caller at a time. */
void ws_pool_run(struct ws_pool *pool, int n_slices, ws_slice_fn *work, void *argument);

/** Cores that this process may use. */
int ws_pool_n_cores(void);

/**
 * Make the pool's scratch memory at least `size_bytes` large (64-byte aligned). It is for whoever runs a job: nothing
 * in it outlives the job, so users of one pool share it. WS_E_MEMORY names the bytes that were wanted.
 */
WS_MUST_USE enum ws_status ws_pool_reserve(struct ws_pool *pool, size_t size_bytes, struct ws_err *err);
/** The scratch memory; valid until the next ws_pool_reserve(). */
void *ws_pool_scratch(const struct ws_pool *pool);

int ws_pool_n_threads(const struct ws_pool *pool);
void ws_pool_close(struct ws_pool **pool);

#endif
