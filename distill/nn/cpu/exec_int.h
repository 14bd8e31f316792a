/* What the executor's files share: the steps, the plan, and the memory of one exec. */
#ifndef WEBSTILL_DISTILL_NN_CPU_EXEC_INT_H
#define WEBSTILL_DISTILL_NN_CPU_EXEC_INT_H

#include "kernels.h"
#include "webstill/base/mem.h"
#include "webstill/nn/exec.h"

/** What a way to convolve needs, in floats. */
struct ws_conv_scratch {
    size_t worker; /**< of each worker's scratch */
    size_t weight; /**< of one partial weight gradient, or of the weight as it is packed or flipped */
    size_t shared; /**< of a scratch that the step has for itself, instead of room for such weights */
};

enum {
    WS_N_SLICES = 8,              /* parts of a batch; part of the results' bytes, so not of the machine */
    WS_STRIPE_BYTES = 384 * 1024, /* a patch stripe: fits the second-level cache beside the weights */
    WS_STRIPE_MIN_ROWS = 64,
};

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
    const struct ws_plan_way *way, *dx_way; /**< convolution and gemm: how it is run, and how dX is made */
};

/** Gives a step of a convolution or gemm its ways. */
typedef void ws_plan_choose_fn(const struct ws_net *net, struct ws_plan_step *s);

/** A range of floats in the exec's memory, alive from time `begin` to `end`. */
struct ws_plan_region {
    size_t n_floats, offset;
    int begin, end;
    int node;
    bool is_gradient;
    bool is_lasting; /**< read from outside the run that makes it */
};

/** Saved statistics of one BatchNorm node, [channels] each. */
struct ws_bn_state {
    float *mean, *invstd;
    float *a, *b, *d;                                                 /**< of the last backward: dx = a dy + b x + d */
    float *scale, *shift;                                             /**< of the last forward: y = x scale + shift */
    float top; /**< of the ReLU behind it, see struct ws_plan_step */ /* what the last forward normalised with */
    float *batch_mean, *batch_var; /* of the last forward in TRAIN or OBSERVE; the variance is biased */
    float *d_mean, *d_var;         /* what the loss adds for them */
    bool is_seeded[2];             /* of d_mean, d_var: asked for since the last forward */
};

struct ws_exec {
    struct ws_net *net;   /**< borrowed */
    struct ws_pool *pool; /**< borrowed */
    const struct ws_kernels *kernels;
    ws_plan_choose_fn *choose;
    struct ws_arena arena; /**< owns the small tables */
    bool has_backward, has_input_gradient;
    int max_batch, batch;
    int first;            /**< image at which the batch that is run now begins */
    int n_deep, group;    /**< so many first steps are run for `group` images at a time, see plan_groups() */
    int n_slices;         /**< WS_N_SLICES; 1 in a worker that runs a group by itself */
    float **packed;       /**< [n_steps] weights of the first n_deep steps as their kernels want them, or NULL */
    float *packed_memory; /**< owned */
    struct ws_plan_region
        *deep_regions; /**< values that a group alone sees: `group` images each, in the worker's memory */
    int n_deep_regions;
    float *deep_memory; /**< owned: n_deep_memory floats a worker */
    size_t n_deep_memory;
    float **deep_value; /**< [workers][n_nodes]: a worker's view of the values */
    enum ws_bn_mode mode;

    struct ws_plan_step *steps;
    int n_steps;
    bool *is_tap;         /**< [n_nodes] */
    bool *wants_gradient; /**< [n_nodes] something below learns */
    struct ws_plan_region *regions;
    int n_regions;
    float **value;                  /**< [n_nodes] NULL where fused away */
    float **gradient;               /**< [n_nodes] */
    bool *is_seeded, *has_gradient; /**< [n_nodes] */

    struct ws_exec *lender; /**< borrowed, or NULL: in whose memory what passes within a run lies */
    float *memory;          /**< owned: first what is read from outside (input, taps), then what passes within a run */
    size_t n_memory, n_lasting; /**< floats of it, and of its first part */
    float *worker_scratch;      /**< in the pool's scratch: a stripe of patches or a padded image per worker */
    size_t n_stripe;            /**< floats of a worker's scratch */
    float *step_scratch; /**< behind it, the running step's: WS_N_SLICES partial weight gradients and one flipped or
                            packed weight; or Winograd's transformed weights and maps */
    size_t n_weight;     /**< floats of the largest weight */
    size_t n_shared, n_scratch;
    double *sums; /**< [WS_N_SLICES][2][max_channels] */
    size_t max_channels;
    float *constants;       /**< [4][max_channels]: ones, then three for BatchNorm's coefficients */
    struct ws_bn_state *bn; /**< [n_nodes] */
    size_t size_bytes;
    uint64_t dropout_seed, dropout_step;
    ws_trace_fn *trace; /**< NULL, or sees every value */
    void *trace_argument;
};

/** Whether BatchNorm takes the batch's statistics, and Dropout drops. */
static inline bool ws_exec_is_training(const struct ws_exec *e)
{
    return e->mode == WS_BN_TRAIN || e->mode == WS_BN_BATCH;
}

/** First image of a slice; slice e->n_slices gives the end. */
static inline size_t ws_exec_slice_begin(const struct ws_exec *e, int slice)
{
    return (size_t)e->first + (size_t)slice * (size_t)e->batch / (size_t)e->n_slices;
}

/** Run the batch's slices: by the pool, or all here in a worker that runs a group by itself. */
static inline void ws_exec_run_slices(const struct ws_exec *e, ws_slice_fn *work, void *argument)
{
    if (e->n_slices == 1)
        work(argument, 0, 0);
    else
        ws_pool_run(e->pool, e->n_slices, work, argument);
}

static inline size_t ws_exec_image_floats(const struct ws_exec *e, int node)
{
    const struct ws_node *n = &e->net->nodes[node];
    return (size_t)n->height * (size_t)n->width * (size_t)n->channels;
}

/** Floats from one image of a node's value to the next: a constant is the same for all. */
static inline size_t ws_exec_image_stride(const struct ws_exec *e, int node)
{
    return e->net->nodes[node].op == WS_OP_CONSTANT ? 0 : ws_exec_image_floats(e, node);
}

/** Whether two nodes' values have the same sides. */
static inline bool ws_exec_same_dims(const struct ws_exec *e, int a, int b)
{
    const struct ws_node *na = &e->net->nodes[a], *nb = &e->net->nodes[b];
    return na->height == nb->height && na->width == nb->width && na->channels == nb->channels;
}

/** The i-th value that a step reads, or -1: x, other, then what further inputs its node has. */
static inline int ws_exec_step_input(const struct ws_exec *e, const struct ws_plan_step *s, int i)
{
    const struct ws_node *node = &e->net->nodes[s->node];
    return i == 0 ? s->x : i == 1 ? s->other : i < node->n_inputs ? node->inputs[i] : -1;
}

static inline int ws_exec_step_n_inputs(const struct ws_exec *e, const struct ws_plan_step *s)
{
    const int n = e->net->nodes[s->node].n_inputs;
    return n > 2 ? n : 2;
}

static inline float *ws_exec_param_values(const struct ws_exec *e, const struct ws_node *node, int i)
{
    return e->net->values + e->net->params[node->params[i]].offset;
}

/** Where the gradient of a parameter goes, or NULL when it does not learn. */
static inline float *ws_exec_param_gradient(const struct ws_exec *e, const struct ws_node *node, int i)
{
    const struct ws_param *param = &e->net->params[node->params[i]];
    return param->is_frozen || param->is_buffer ? NULL : e->net->gradients + param->offset;
}

/** True, and marks the gradient as written, when an earlier writer exists: the caller adds instead of storing. */
static inline bool ws_exec_accumulate_into(struct ws_exec *e, int node)
{
    bool accumulate = e->has_gradient[node];
    e->has_gradient[node] = true;
    return accumulate;
}

/** ws_exec_open() with another choice of ways than ws_conv_choose(). */
WS_MUST_USE enum ws_status ws_exec_open_choosing(struct ws_exec **out, struct ws_net *net, struct ws_pool *pool,
                                                 const struct ws_exec_options *options, ws_plan_choose_fn *choose,
                                                 struct ws_err *err);

/* plan/memory.c */
WS_MUST_USE enum ws_status ws_plan_steps(struct ws_exec *e, struct ws_err *err);
WS_MUST_USE enum ws_status ws_plan_memory(struct ws_exec *e, struct ws_err *err);

/* op/conv.c: convolution and gemm */
/** Give a step the first ways that fit. */
void ws_conv_choose(const struct ws_net *net, struct ws_plan_step *s);
/** What its ways need. */
struct ws_conv_scratch ws_conv_scratch_of(const struct ws_exec *e, const struct ws_plan_step *s);
/** Floats of a step's packed weight, 0 where it needs none; and pack it there. */
size_t ws_conv_packed_floats(const struct ws_exec *e, const struct ws_plan_step *s);
void ws_conv_pack(struct ws_exec *e, const struct ws_plan_step *s, float *packed);

/* op/images.c */
typedef void ws_image_fn(struct ws_exec *e, const struct ws_plan_step *s, size_t image);
/** Run `work` for every image of the batch, in slices. */
void ws_exec_each_image(struct ws_exec *e, const struct ws_plan_step *s, ws_image_fn *work);
/** Make an input's gradient ready to be added to: zero when nobody has written it. False when it is not wanted. */
bool ws_exec_open_gradient(struct ws_exec *e, int node);
/** The same for all inputs of a step; false when none is wanted. */
bool ws_exec_open_gradients(struct ws_exec *e, const struct ws_plan_step *s);

/** Sides of a node, and the floats between neighbours along each. */
void ws_node_dims(const struct ws_node *node, size_t sides[WS_N_SIDES]);
void ws_node_strides(const struct ws_node *node, ptrdiff_t strides[WS_N_SIDES]);

/** A walk over three sides of up to three arrays; a stride of 0 stays on one value. */
struct ws_strides {
    int n_arrays;
    size_t size[WS_N_SIDES];
    ptrdiff_t stride[3][WS_N_SIDES];
};
/** Join sides as far as all arrays allow, so that the innermost is long. */
void ws_strides_join(struct ws_strides *w);

static inline const float *ws_exec_image_value(const struct ws_exec *e, int node, size_t image)
{
    return e->value[node] + image * ws_exec_image_stride(e, node);
}

static inline float *ws_exec_image_gradient(const struct ws_exec *e, int node, size_t image)
{
    return e->gradient[node] + image * ws_exec_image_floats(e, node);
}

#endif
