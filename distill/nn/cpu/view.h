/*
 * What an op sees while a step runs: some images of the batch, where their values and gradients lie, and the room that
 * steps take turns in. The whole batch is one view; a worker that runs a group of images by itself has its own.
 */
#ifndef WEBSTILL_DISTILL_NN_CPU_VIEW_H
#define WEBSTILL_DISTILL_NN_CPU_VIEW_H

#include "kernels.h"
#include "plan/plan.h"
#include "webstill/base/workers.h"

enum {
    WS_N_SLICES = 8,              /* parts of a batch; part of the results' bytes, so not of the machine */
    WS_STRIPE_BYTES = 384 * 1024, /* a patch stripe: fits the second-level cache beside the weights */
    WS_STRIPE_MIN_ROWS = 64,
};

/** Saved statistics of one BatchNorm node, [channels] each. */
struct ws_bn_state {
    float *mean, *invstd;          /**< what the last forward normalised with */
    float *a, *b, *d;              /**< of the last backward: dx = a dy + b x + d */
    float *scale, *shift;          /**< of the last forward: y = x scale + shift */
    float top;                     /**< of the ReLU behind it, see struct ws_plan_step */
    float *batch_mean, *batch_var; /**< of the last forward in TRAIN or OBSERVE; the variance is biased */
    float *d_mean, *d_var;         /**< what the loss adds for them */
    bool is_asked[2];              /**< of d_mean, d_var: asked for since the last forward */
};

/** Room that steps take turns in. Borrowed: `worker` and `step` of the workers, which all execs of it share. */
struct ws_scratch {
    float *worker; /**< a stripe of patches, or a padded image: n_worker floats a worker */
    size_t n_worker;
    float *step;      /**< the running step's: WS_N_SLICES partial weight gradients and one flipped or packed weight;
                         or Winograd's transformed weights and maps */
    size_t n_weight;  /**< floats of the largest weight */
    double *sums;     /**< [WS_N_SLICES][2][max_channels] */
    float *constants; /**< [4][max_channels]: ones, zeros, then two for BatchNorm */
    size_t max_channels;
};

struct ws_exec_view {
    const struct ws_plan *plan;
    const struct ws_net *net; /**< the plan's */
    struct ws_workers *workers;
    const struct ws_kernels *kernels;
    int n_images;
    int n_slices;           /**< WS_N_SLICES; 1 in a worker that runs a group by itself */
    float *const *value;    /**< [n_nodes] of the view's first image; NULL where fused away */
    float *const *gradient; /**< [n_nodes] likewise; NULL where none is wanted */
    float *const *packed;   /**< [n_steps] NULL, or weights as their kernels want them; NULL: none are packed */
    bool *has_gradient;     /**< [n_nodes] written in this backward */
    struct ws_bn_state *bn; /**< [n_nodes] */
    struct ws_scratch scratch;
    enum ws_bn_mode mode;
    uint64_t dropout_seed, dropout_step;
};

/** Whether BatchNorm takes the batch's statistics, and Dropout drops. */
static inline bool ws_exec_is_training(const struct ws_exec_view *view)
{
    return view->mode == WS_BN_TRAIN || view->mode == WS_BN_BATCH;
}

/** First image of a slice; slice n_slices gives the end. */
static inline size_t ws_exec_slice_begin(const struct ws_exec_view *view, int slice)
{
    return (size_t)slice * (size_t)view->n_images / (size_t)view->n_slices;
}

/** Run the slices: by the workers, or all here in a worker that runs a group by itself. */
static inline void ws_exec_run_slices(const struct ws_exec_view *view, ws_slice_fn *work, void *argument)
{
    if (view->n_slices == 1)
        work(argument, 0, 0);
    else
        ws_workers_run(view->workers, view->n_slices, work, argument);
}

static inline float *ws_exec_worker_scratch(const struct ws_exec_view *view, int worker)
{
    return view->scratch.worker + (size_t)worker * view->scratch.n_worker;
}

static inline size_t ws_exec_image_floats(const struct ws_exec_view *view, int node)
{
    return ws_plan_image_floats(view->plan, node);
}

static inline const float *ws_exec_image_value(const struct ws_exec_view *view, int node, size_t image)
{
    return view->value[node] + image * ws_plan_image_stride(view->plan, node);
}

static inline float *ws_exec_image_gradient(const struct ws_exec_view *view, int node, size_t image)
{
    return view->gradient[node] + image * ws_exec_image_floats(view, node);
}

static inline float *ws_exec_param_values(const struct ws_exec_view *view, const struct ws_node *node, int i)
{
    return view->net->values + view->net->params[node->params[i]].offset;
}

/** Where the gradient of a parameter goes, or NULL when it does not learn. */
static inline float *ws_exec_param_gradient(const struct ws_exec_view *view, const struct ws_node *node, int i)
{
    const struct ws_param *param = &view->net->params[node->params[i]];
    return param->is_frozen || param->is_buffer ? NULL : view->net->gradients + param->offset;
}

/** True, and marks the gradient as written, when an earlier writer exists: the caller adds instead of storing. */
static inline bool ws_exec_accumulate_into(const struct ws_exec_view *view, int node)
{
    bool accumulate = view->has_gradient[node];
    view->has_gradient[node] = true;
    return accumulate;
}

/* --- what the device asks of ops beyond their rows --- */

/** What a way to convolve needs, in floats. */
struct ws_conv_scratch {
    size_t worker; /**< of each worker's scratch */
    size_t weight; /**< of one partial weight gradient, or of the weight as it is packed or flipped */
    size_t shared; /**< of a scratch that the step has for itself, instead of room for such weights */
};

/* op/conv.c: convolution and gemm */
/** Give a step the first ways that fit. */
void ws_conv_choose(const struct ws_net *net, struct ws_plan_step *s);
/** What its ways need. */
struct ws_conv_scratch ws_conv_scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s);
/** Floats of a step's packed weight, 0 where it needs none; and pack it there. */
size_t ws_conv_packed_floats(const struct ws_net *net, const struct ws_plan_step *s);
void ws_conv_pack(const struct ws_exec_view *view, const struct ws_plan_step *s, float *packed);

/* op/batchnorm.c */
/** Move a BatchNorm's running statistics towards those of the last forward. */
void ws_batchnorm_move_running(const struct ws_exec_view *view, const struct ws_plan_step *s);

#endif
