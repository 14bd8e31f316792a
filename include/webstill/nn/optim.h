/** Optimisers (PyTorch's definitions) and learning-rate schedules. State arrays are the network's size and layout. */
#ifndef WEBSTILL_NN_OPTIM_H
#define WEBSTILL_NN_OPTIM_H

#include "webstill/nn/graph.h"

#include <stdbool.h>

struct ws_sgd {
    float *velocity; /**< owned: [net->n_values] */
    double momentum, weight_decay;
    bool nesterov;
};

WS_MUST_USE enum ws_status ws_sgd_init(struct ws_sgd *sgd, const struct ws_net *net, double momentum,
                                       double weight_decay, bool nesterov, struct ws_err *err);
/** g += wd w;  v = momentum v + g;  w -= lr (nesterov ? g + momentum v : v). Buffers and frozen parameters are skipped. */
void ws_sgd_step(struct ws_sgd *sgd, struct ws_net *net, double lr);
void ws_sgd_fini(struct ws_sgd *sgd);

/** Linear up from peak/25 to the peak over `warmup` of the steps, cosine down to peak/1e4. step counts from 0. */
double ws_lr_onecycle(double peak, int64_t step, int64_t n_steps, double warmup);
/** peak (1 + cos(pi step / n_steps)) / 2. */
double ws_lr_cosine(double peak, int64_t step, int64_t n_steps);
/** lr gamma^(milestones strictly below `epoch`): epoch counts from 1, as the released KD3 code does. */
double ws_lr_step(double lr, double epoch, const double *milestones, int n_milestones, double gamma);

/** Square root of the sum of squared gradients of all trainable parameters. */
double ws_gradient_norm(const struct ws_net *net);

#endif
