/*
 * The plan of a network: which nodes run as one step, how long each value and gradient lives, and where it lies in the
 * memory. It is made of shapes alone: no device, no memory, no parameter's value; what a device can do it is told by
 * the ways that the device chooses for a step.
 */
#ifndef WEBSTILL_DISTILL_NN_PLAN_PLAN_H
#define WEBSTILL_DISTILL_NN_PLAN_PLAN_H

#include "webstill/base/buf.h"
#include "webstill/base/mem.h"
#include "webstill/nn/exec.h"

/** What the plan knows of one of the ways to run a convolution. */
struct ws_plan_way {
    const char *name;
    bool reads_by_rows;     /**< it can apply a BatchNorm to its input while it reads that */
    bool undoes_by_rows;    /**< it can make the dx of the BatchNorm behind it while it reads dY */
    bool is_for_one_worker; /**< a worker can run it by itself, for a group of images */
};

/** One operation as it is run: a node, or a BatchNorm / Add / convolution with what was fused behind it. */
struct ws_plan_step {
    enum ws_op op;
    int node;         /**< whose parameters and window are used */
    int x;            /**< node whose value is read */
    int other;        /**< second operand: Add, or the residual of a fused BatchNorm or convolution; -1 */
    int out;          /**< node whose value is written */
    float top;        /**< 0: no ReLU behind it; else the result is min(max(0, .), top), INFINITY for a plain ReLU */
    int before;       /**< convolution: the node whose deferred BatchNorm is applied to x; -1 */
    int after;        /**< convolution: the node of the BatchNorm behind it, whose dx is made while dY is read; -1 */
    bool leaves_dx;   /**< BatchNorm: its dx is left to the convolution before it */
    bool is_in_place; /**< BatchNorm: its dx is written over dy */
    bool is_deferred; /**< BatchNorm: its map is never written, the convolution behind it applies it while reading */
    int moments_of;   /**< convolution: the next step, a BatchNorm whose moments it takes on the way; -1 */
    const struct ws_plan_way *way, *dx_way; /**< convolution and gemm: how it is run, and how dX is made; or NULL */
};

/** Gives a step of a convolution or gemm its ways: the device's part in a plan. */
typedef void ws_plan_choose_fn(const struct ws_net *net, struct ws_plan_step *s);

/** A range of floats in the memory, alive from time `begin` to `end`; see regions.c. */
struct ws_plan_region {
    size_t n_floats, offset; /**< offset: in the lasting, or in the passing part */
    int begin, end;
    int node;
    bool is_gradient;
    bool is_lasting; /**< read from outside the run that makes it */
};

/** The first steps of a plan without backward, which are run for a group of images at a time; see steps.c. */
struct ws_plan_group {
    int n_steps, n_images;
    struct ws_plan_region *regions; /**< values that a group alone sees: n_images each */
    int n_regions;
    size_t n_floats; /**< of all these */
};

/** All-zero is a valid closed one. */
struct ws_plan {
    const struct ws_net *net; /**< borrowed */
    struct ws_arena arena;    /**< owns the tables */
    int max_batch;
    bool has_backward, has_input_gradient;
    bool *is_tap;         /**< [n_nodes] */
    bool *wants_gradient; /**< [n_nodes] something below learns */
    struct ws_plan_step *steps;
    int n_steps;
    struct ws_plan_region *regions; /**< the lasting ones first */
    int n_regions, n_lasting_regions;
    size_t n_lasting, n_passing; /**< floats of what is read from outside (input, taps), and of the rest */
    struct ws_plan_group group;
};

/** Plan a network for `options`; `choose` NULL: without a device, no step has a way. WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_plan_open(struct ws_plan *plan, const struct ws_net *net,
                                        const struct ws_exec_options *options, ws_plan_choose_fn *choose,
                                        struct ws_err *err);
void ws_plan_close(struct ws_plan *plan);

/** The steps with their ways and what was fused, and the table of the memory. False: out of memory. */
WS_MUST_USE bool ws_plan_print(const struct ws_plan *plan, struct ws_buf *out);

/* plan/steps.c and plan/regions.c: the two halves of ws_plan_open() */
WS_MUST_USE enum ws_status ws_plan_make_steps(struct ws_plan *plan, ws_plan_choose_fn *choose, struct ws_err *err);
WS_MUST_USE enum ws_status ws_plan_make_regions(struct ws_plan *plan, struct ws_err *err);

static inline size_t ws_plan_image_floats(const struct ws_plan *plan, int node)
{
    const struct ws_node *n = &plan->net->nodes[node];
    return (size_t)n->height * (size_t)n->width * (size_t)n->channels;
}

/** Floats from one image of a node's value to the next: a constant is the same for all. */
static inline size_t ws_plan_image_stride(const struct ws_plan *plan, int node)
{
    return plan->net->nodes[node].op == WS_OP_CONSTANT ? 0 : ws_plan_image_floats(plan, node);
}

/** The i-th value that a step reads, or -1: x, other, then what further inputs its node has. */
static inline int ws_plan_step_input(const struct ws_plan *plan, const struct ws_plan_step *s, int i)
{
    const struct ws_node *node = &plan->net->nodes[s->node];
    return i == 0 ? s->x : i == 1 ? s->other : i < node->n_inputs ? node->inputs[i] : -1;
}

static inline int ws_plan_step_n_inputs(const struct ws_plan *plan, const struct ws_plan_step *s)
{
    const int n = plan->net->nodes[s->node].n_inputs;
    return n > 2 ? n : 2;
}

static inline bool ws_plan_step_reads(const struct ws_plan *plan, const struct ws_plan_step *s, int node)
{
    for (int i = 0; i < ws_plan_step_n_inputs(plan, s); i++)
        if (ws_plan_step_input(plan, s, i) == node)
            return true;
    return false;
}

#endif
