/**
 * A selection on disk: which images one epoch keeps, and why.
 *
 * safetensors, images in id order: ids U8 [n,16], keep U8 [n], confidence F32 [n], predicted I32 [n],
 * threshold F64 [C], n_predicted I64 [C], n_kept I64 [C], reason U8 [n] (enum ws_reason: 0 kept, 1 threshold, 2 source,
 * 3 density, 4 quota), weight F32 [n] (0 = dropped; mean 1 over the kept ones); metadata: rule, alpha, epoch, p_cutoff,
 * as decimal text. Files from before there were reasons and weights lack the last two.
 */
#ifndef WEBSTILL_CURATE_SELECTION_H
#define WEBSTILL_CURATE_SELECTION_H

#include "webstill/base/hash.h"
#include "webstill/curate/select.h"

/** What the selection was made with; goes into the metadata. */
struct ws_selection_facts {
    const char *rule; /**< "kd3", "all" or "dfnd" */
    double p_cutoff;
    uint32_t epoch;
};

/** Write atomically. `ids` has selection->n entries. WS_E_IO, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_selection_write(const char *path, const struct ws_image_id *ids,
                                              const struct ws_selection *selection,
                                              const struct ws_selection_facts *facts, struct ws_err *err);

#endif
