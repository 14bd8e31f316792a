/**
 * Running a network: forward, backward, and the memory plan of both.
 *
 * An exec belongs to one network and one largest batch; all its memory is planned and taken at open. Two execs of the
 * same network share its parameters and add to the same gradients (KD3 runs the student on X and on X').
 *
 * Work is split over images into a fixed number of slices and reduced in slice order: the same bytes for any number of
 * threads. Without batch statistics an image's values are the same bytes in any batch, too: forward products are our
 * own. Backward, each worker calls single-threaded BLAS.
 */
#ifndef WEBSTILL_NN_EXEC_H
#define WEBSTILL_NN_EXEC_H

#include "webstill/base/workers.h"
#include "webstill/nn/graph.h"

#include <stdbool.h>
#include <stdio.h>

/** BatchNorm. TRAIN: batch statistics, running statistics updated. BATCH: as TRAIN, the running statistics left as they
 * are until ws_exec_move_statistics(). EVAL: running statistics; no gradients to BN parameters are wanted. FROZEN:
 * running statistics, parameters may learn. OBSERVE: as EVAL, and the batch's statistics are values that a loss may
 * read, and whose gradients it may add to. */
enum ws_bn_mode { WS_BN_TRAIN, WS_BN_BATCH, WS_BN_EVAL, WS_BN_FROZEN, WS_BN_OBSERVE };

struct ws_exec_options {
    int max_batch;
    bool backward;       /**< keep what backward needs */
    bool input_gradient; /**< backward goes down to the input */
    const int *taps;     /**< nodes whose values the caller reads, or whose gradients it adds to */
    int n_taps;          /**< the last node is always a tap */
    /** NULL, or an exec whose memory this one takes over whenever it runs forward (if that is large enough; else it has
     * its own). The owner must run forward again before its backward or its values are asked for. Input and taps are
     * never lent: they keep what the last forward gave them. */
    struct ws_exec *owner;
};

struct ws_exec;

/** Plan and allocate. WS_E_MEMORY names the bytes that were wanted. The network, its values and the workers must
 * outlive it. */
WS_MUST_USE enum ws_status ws_exec_open(struct ws_exec **out, struct ws_net *net, struct ws_workers *workers,
                                        const struct ws_exec_options *options, struct ws_err *err);
void ws_exec_close(struct ws_exec **exec);

/** Whether the exec runs in its owner's memory. */
bool ws_exec_is_borrower(const struct ws_exec *exec);

/** Where the caller puts the batch: [batch][height][width][channels]. Not changed by forward. */
float *ws_exec_input(struct ws_exec *exec);

/** Run the first `batch` images; 1 <= batch <= max_batch (at least 2 values per channel in TRAIN mode). */
void ws_exec_forward(struct ws_exec *exec, int batch, enum ws_bn_mode mode);

/**
 * Where Dropout's masks of the next forward in TRAIN or BATCH mode come from: a value's mask is a function of (seed,
 * step, node, image in the batch, element) alone. A training calls it before each forward, with its own step: a resumed
 * one then draws the same masks.
 */
void ws_exec_set_dropout(struct ws_exec *exec, uint64_t seed, uint64_t step);

/** Move the running statistics towards those of the last forward, run in BATCH mode: what TRAIN does at once. */
void ws_exec_move_statistics(struct ws_exec *exec);

/** Value of a tap after forward: [batch][height][width][channels]; valid until the next forward. */
const float *ws_exec_value(const struct ws_exec *exec, int node);

/**
 * Gradient of the loss with respect to a tap's value, zeroed on the first call after forward: the caller adds to it,
 * then calls ws_exec_backward(). Same layout as the value.
 */
float *ws_exec_output_gradient(struct ws_exec *exec, int node);

/**
 * Statistics of the batch in front of a BatchNorm node (taps or not), after a forward in OBSERVE, TRAIN or BATCH: mean
 * and biased variance over images and pixels, [channels]. Valid until the next forward.
 */
const float *ws_exec_batch_mean(const struct ws_exec *exec, int node);
const float *ws_exec_batch_var(const struct ws_exec *exec, int node);

/**
 * Gradient of the loss with respect to those statistics, zeroed on the first call after forward: the caller adds to it,
 * then calls ws_exec_backward(). NULL when nothing below the node learns.
 */
float *ws_exec_mean_gradient(struct ws_exec *exec, int node);
float *ws_exec_var_gradient(struct ws_exec *exec, int node);

/** Propagate what was added since the last forward; parameter gradients are ADDED to net->gradients. Needs
 * options.backward. */
void ws_exec_backward(struct ws_exec *exec);

/** Gradient with respect to the input after backward; needs options.input_gradient. */
const float *ws_exec_input_gradient(const struct ws_exec *exec);

/** Bytes planned: values, gradients, and what it wants of the scratch that all executors of the same workers share. */
size_t ws_exec_size_bytes(const struct ws_exec *exec);
/** Of ws_exec_size_bytes(), what values and gradients take. */
size_t ws_exec_memory_bytes(const struct ws_exec *exec);

/** The matrix library and what it was built for ("OpenBLAS 0.3.21 …"), for --version and manifests; static. */
const char *ws_exec_library(void);

/** Sees a node's value, or the gradient with respect to it, while it is whole: [n] floats. */
typedef void ws_trace_fn(void *argument, int node, bool is_gradient, const float *values, size_t n);

/** From now on, forward shows each value behind its step and backward each gradient before its step; NULL ends it. */
void ws_exec_trace(struct ws_exec *exec, ws_trace_fn *see, void *argument);

/** Images of the last forward; 0 before the first. */
int ws_exec_batch(const struct ws_exec *exec);
/** The workers that it was opened with. */
struct ws_workers *ws_exec_workers(const struct ws_exec *exec);

/** The last forward once more: same input, batch and mode. */
void ws_exec_forward_again(struct ws_exec *exec);

/**
 * A value of the last forward and its gradient, by name: where they lie is the device's. Losses take taps, and a value
 * goes from one network into another through them.
 */
struct ws_tap {
    struct ws_exec *exec;
    int node;
};

const struct ws_node *ws_tap_node(struct ws_tap tap);
/** Values of one image. */
size_t ws_tap_floats(struct ws_tap tap);
/** Copy the value's first `n` images into rows `row` … of another network's input. */
void ws_tap_copy(struct ws_tap from, int n, struct ws_exec *to, int row);
/** Add the gradient of these rows, after that network's backward, to the value's own. */
void ws_tap_return(struct ws_tap from, int n, const struct ws_exec *to, int row);

#endif
