/**
 * Worker threads, for work split into slices.
 *
 * The number of slices belongs to the problem, never to the machine: whoever reduces results does so per slice
 * and in slice order, so 1, 2 and 8 threads give the same bytes.
 */
#ifndef WEBSTILL_BASE_WORKERS_H
#define WEBSTILL_BASE_WORKERS_H

#include "webstill/base/err.h"

#include <stddef.h>

struct ws_workers;

/** Work on one slice. `worker` is 0 … n_threads-1: an index for per-worker scratch, never for results. */
typedef void ws_slice_fn(void *argument, int slice, int worker);

/** Start `n_threads` - 1 workers (the caller is the last one); 0 means one per core this process may use. */
WS_MUST_USE enum ws_status ws_workers_open(struct ws_workers **out, int n_threads, struct ws_err *err);

/** Run all slices and return when the last has ended. Slices start in order. Not reentrant: one caller at a time. */
void ws_workers_run(struct ws_workers *workers, int n_slices, ws_slice_fn *work, void *argument);

/** Cores that this process may use. */
int ws_workers_n_cores(void);

/**
 * Make their scratch memory at least `size_bytes` large (64-byte aligned). It is for whoever runs a job: nothing
 * in it outlives the job, so all that use these workers share it. WS_E_MEMORY names the bytes that were wanted.
 */
WS_MUST_USE enum ws_status ws_workers_reserve(struct ws_workers *workers, size_t size_bytes, struct ws_err *err);
/** The scratch memory; valid until the next ws_workers_reserve(). */
void *ws_workers_scratch(const struct ws_workers *workers);

int ws_workers_count(const struct ws_workers *workers);
void ws_workers_close(struct ws_workers **workers);

#endif
