/** metrics.jsonl: one JSON object a line, appended while training, cut back when training resumes from a checkpoint. */
#ifndef WEBSTILL_DISTILL_LEARN_METRICS_H
#define WEBSTILL_DISTILL_LEARN_METRICS_H

#include "webstill/base/err.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/** All-zero is a valid closed one. */
struct ws_metrics {
    FILE *stream;    /**< owned */
    int64_t n_lines; /**< written so far, kept ones included */
    char path[4096];
};

/**
 * Open for appending behind the first `keep_lines` lines; what follows them, a torn line included, is cut off. WS_E_IO,
 * and WS_E_DAMAGED when the file has fewer lines than the checkpoint vouches for.
 */
WS_MUST_USE enum ws_status ws_metrics_open(struct ws_metrics *metrics, const char *path, int64_t keep_lines,
                                           struct ws_err *err);

/** Append one line; steals `line` (NULL is WS_E_MEMORY). */
WS_MUST_USE enum ws_status ws_metrics_add(struct ws_metrics *metrics, json_t *line, struct ws_err *err);

/** Bring every line to the disk: before a checkpoint vouches for them. */
WS_MUST_USE enum ws_status ws_metrics_sync(struct ws_metrics *metrics, struct ws_err *err);
void ws_metrics_close(struct ws_metrics *metrics);

#endif
