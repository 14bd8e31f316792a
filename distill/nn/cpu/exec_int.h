/* What an exec is: a plan, the memory it lies in, and the view of the batch that is run. */
#ifndef WEBSTILL_DISTILL_NN_CPU_EXEC_INT_H
#define WEBSTILL_DISTILL_NN_CPU_EXEC_INT_H

#include "memory.h"
#include "plan/plan.h"
#include "view.h"
#include "webstill/nn/exec.h"

struct ws_exec {
    struct ws_plan plan;
    struct ws_memory memory;
    struct ws_exec_view view; /**< of the whole batch, as the last forward ran it */
    struct ws_arena arena;    /**< owns the two tables */
    bool *is_asked;           /**< [n_nodes] a loss asked for its gradient since the last forward */
    bool *has_gradient;       /**< [n_nodes] the view's */
    ws_trace_fn *trace;       /**< NULL, or sees every value */
    void *trace_argument;
};

/** ws_exec_open() with another choice of ways than ws_conv_choose(). */
WS_MUST_USE enum ws_status ws_exec_open_choosing(struct ws_exec **out, struct ws_net *net, struct ws_workers *workers,
                                                 const struct ws_exec_options *options, ws_plan_choose_fn *choose,
                                                 struct ws_err *err);

#endif
