/**
 * The processes that train one student together: between "finite?" and "norm" the loop has each learner's gradients
 * reduced over all of them. A session without one trains alone.
 */
#ifndef WEBSTILL_DISTILL_LEARN_COMM_H
#define WEBSTILL_DISTILL_LEARN_COMM_H

#include "webstill/base/err.h"

#include <stddef.h>

struct ws_comm {
    int rank, n_ranks; /**< rank 0 writes what the training writes */
    /** Replace `gradients` by their mean over all ranks, the same bytes on each. */
    enum ws_status (*reduce)(const struct ws_comm *comm, float *gradients, size_t n, struct ws_err *err);
};

#endif
