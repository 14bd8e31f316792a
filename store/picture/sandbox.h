/**
 * Decoding in processes that can do nothing else.
 *
 * Each worker is a forked process with a seccomp filter (read its command pipe, write its answer pipe, manage memory,
 * exit), no open files, a memory ceiling and a CPU budget per image. Bodies and pixels travel through memory shared
 * with one worker. A worker that crashes, or spends its budget, costs one image: the image is refused and a new worker
 * takes its place.
 */
#ifndef WEBSTILL_STORE_PICTURE_SANDBOX_H
#define WEBSTILL_STORE_PICTURE_SANDBOX_H

#include "decode.h"

#include "webstill/base/err.h"

#include <stddef.h>

struct ws_sandbox;

/**
 * Takes one outcome. `square` (size*size*channels bytes, meaningful when the result is OK) and `body` are borrowed
 * during the call.
 */
typedef void ws_sandbox_done_fn(void *argument, size_t ticket, const struct ws_picture_result *result,
                                const uint8_t *square, struct ws_span body);

/** What decodes in a worker: ws_picture_decode(), or a stand-in of a test. */
typedef void ws_sandbox_work_fn(struct ws_span body, const struct ws_picture_rule *rule, uint8_t *square,
                                struct ws_picture_result *result);

struct ws_sandbox_setup {
    int n_workers; /**< 0: one per core this process may use */
    struct ws_picture_rule rule;
    ws_sandbox_work_fn *work; /**< NULL: ws_picture_decode */
    size_t max_body_bytes;
    uint32_t timeout_s; /**< CPU time of one image; ten times as long by the clock */
    ws_sandbox_done_fn *done;
    void *argument;
};

/** Start the workers. The caller must have no other thread. WS_E_MEMORY, WS_E_INTERNAL. */
WS_MUST_USE enum ws_status ws_sandbox_open(struct ws_sandbox **out, const struct ws_sandbox_setup *setup,
                                           struct ws_err *err);
/** Hand a body to a free worker; waits for one, calling `done` for whatever ends meanwhile. */
WS_MUST_USE enum ws_status ws_sandbox_decode(struct ws_sandbox *sandbox, size_t ticket, struct ws_span body,
                                             struct ws_err *err);
/** Wait until every body handed out has been answered. */
WS_MUST_USE enum ws_status ws_sandbox_drain(struct ws_sandbox *sandbox, struct ws_err *err);
void ws_sandbox_close(struct ws_sandbox **sandbox);

/** False when this kernel or build (sanitizers) has no seccomp filter: separate processes and ceilings alone. */
bool ws_sandbox_is_filtered(const struct ws_sandbox *sandbox);

#endif
