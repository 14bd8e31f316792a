/**
 * A selection on disk: which images one epoch keeps, and why.
 *
 * safetensors, images in id order: ids U8 [n,16], keep U8 [n], confidence F32 [n], predicted I32 [n],
 * threshold F64 [C], n_predicted I64 [C], n_kept I64 [C]; metadata: rule, alpha, epoch, p_cutoff, as decimal text.
 */
#ifndef WEBSTILL_CURATE_SELECTION_H
#define WEBSTILL_CURATE_SELECTION_H

#include "webstill/base/hash.h"
#include "webstill/curate/select.h"

/** What the selection was made with; goes into the metadata. */
struct ws_selection_facts {
    const char *rule; /**< "kd3" or "all" */
    double p_cutoff;
    uint32_t epoch;
};

/** Write atomically. `ids` has selection->n entries. WS_E_IO, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_selection_write(const char *path, const struct ws_image_id *ids,
                                              const struct ws_selection *selection,
                                              const struct ws_selection_facts *facts, struct ws_err *err);

#endif
