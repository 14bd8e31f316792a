/*
 * What is known of an op: a row in the file of its family (nn/op), listed in webstill/nn/ops.h. Whoever runs, reads or
 * writes graphs takes it from the table; its types are opaque here, so that the table lies below them all.
 */
#ifndef WEBSTILL_DISTILL_NN_GRAPH_ROW_H
#define WEBSTILL_DISTILL_NN_GRAPH_ROW_H

#include "webstill/nn/graph.h"

struct ws_exec_view;
struct ws_plan_step;

/** An op. Its shape is worked out by its builder, in the same file. */
struct ws_op_row {
    /** Values and gradients of the images in view; both NULL: nothing is run. */
    void (*forward)(const struct ws_exec_view *view, const struct ws_plan_step *step);
    void (*backward)(const struct ws_exec_view *view, const struct ws_plan_step *step);
    int64_t (*macs)(const struct ws_net *net, const struct ws_node *node); /**< of one image; NULL: none */
};

extern const struct ws_op_row *const ws_op_rows[WS_N_OPS];

#endif
