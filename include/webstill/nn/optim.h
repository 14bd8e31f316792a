/** Optimisers (PyTorch's definitions) and learning-rate schedules. State arrays are the network's size and layout. */
#ifndef WEBSTILL_NN_OPTIM_H
#define WEBSTILL_NN_OPTIM_H

#include "webstill/base/err.h"
#include "webstill/nn/graph.h"

#include <stdbool.h>

enum ws_optim_kind { WS_OPTIM_SGD, WS_OPTIM_ADAM, WS_OPTIM_ADAMW };

struct ws_optim_options {
    enum ws_optim_kind kind;
    double momentum; /**< sgd */
    double weight_decay;
    bool nesterov;       /**< sgd */
    double beta1, beta2; /**< adam, adamw: decay of the two moments */
    double eps;          /**< adam, adamw: added to the root of the second moment */
};

/**
 * One network's optimiser. With g the gradient, w the weight, d the weight decay, t the step from 1:
 *
 *   SGD    g += d w;  v = momentum v + g;  w -= lr (nesterov ? g + momentum v : v)
 *   ADAM   g += d w;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
 *          w -= lr / (1-b1^t) m / (sqrt(v) / sqrt(1-b2^t) + eps)
 *   ADAMW  w *= 1 - lr d, then as ADAM without its first term
 *
 * (Sutskever et al. 2013; Kingma and Ba 2015; Loshchilov and Hutter 2019.) All-zero is a valid closed one.
 */
struct ws_optim {
    struct ws_optim_options options;
    float *moments[2]; /**< owned: [net->n_values]; SGD has the first alone, its velocity */
    int64_t n_steps;   /**< t of the last step: part of the state */
};

/** Zero moments. WS_E_MEMORY says how much was wanted. */
WS_MUST_USE enum ws_status ws_optim_init(struct ws_optim *optim, const struct ws_net *net,
                                         const struct ws_optim_options *options, struct ws_err *err);
/** The same for `n` numbers that are no network's. */
WS_MUST_USE enum ws_status ws_optim_init_numbers(struct ws_optim *optim, size_t n,
                                                 const struct ws_optim_options *options, struct ws_err *err);
/** One step along net->gradients at rate `lr`. Buffers and frozen parameters are skipped. */
void ws_optim_step(struct ws_optim *optim, struct ws_net *net, double lr);
/** One step of `n` numbers along their gradients. */
void ws_optim_step_numbers(struct ws_optim *optim, float *values, float *gradients, size_t n, double lr);
void ws_optim_fini(struct ws_optim *optim);

/** Linear up from peak/25 to the peak over `warmup` of the steps, cosine down to peak/1e4. step counts from 0. */
double ws_lr_onecycle(double peak, int64_t step, int64_t n_steps, double warmup);
/** peak (1 + cos(pi step / n_steps)) / 2. */
double ws_lr_cosine(double peak, int64_t step, int64_t n_steps);
/** lr gamma^(milestones strictly below `epoch`): epoch counts from 1, as the released KD3 code does. */
double ws_lr_step(double lr, double epoch, const double *milestones, int n_milestones, double gamma);

/** Square root of the sum of squared gradients of all trainable parameters. */
double ws_gradient_norm(const struct ws_net *net);
/** Square root of the sum of squares of `n` numbers. */
double ws_numbers_norm(const float *values, size_t n);

#endif
