/* Stochastic gradient descent and learning-rate schedules. */
#include "webstill/nn/optim.h"

#include "kernels.h"
#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>

static bool is_trained(const struct ws_param *param)
{
    return !param->is_buffer && !param->is_frozen;
}

enum ws_status ws_sgd_init(struct ws_sgd *sgd, const struct ws_net *net, double momentum, double weight_decay,
                           bool nesterov, struct ws_err *err)
{
    *sgd = (struct ws_sgd){.momentum = momentum, .weight_decay = weight_decay, .nesterov = nesterov};
    sgd->velocity = ws_calloc_aligned(net->n_values, sizeof *sgd->velocity);
    if (!sgd->velocity)
        return ws_fail(err, WS_E_MEMORY, "out of memory: the optimiser wanted %zu bytes for its velocities",
                       ws_size_mul(net->n_values, sizeof *sgd->velocity));
    return WS_OK;
}

void ws_sgd_step(struct ws_sgd *sgd, struct ws_net *net, double lr)
{
    const struct ws_kernels *kernels = ws_kernels_get();
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        const size_t at = param->offset;
        /* In float, as PyTorch does it, so that both take the same path. */
        if (is_trained(param))
            kernels->sgd(net->values + at, net->gradients + at, sgd->velocity + at, param->n, (float)lr,
                         (float)sgd->momentum, (float)sgd->weight_decay, sgd->nesterov);
    }
}

void ws_sgd_fini(struct ws_sgd *sgd)
{
    free(sgd->velocity);
    *sgd = (struct ws_sgd){0};
}

static double cosine_fall(double share)
{
    return 0.5 * (1.0 + cos(acos(-1.0) * share));
}

double ws_lr_onecycle(double peak, int64_t step, int64_t n_steps, double warmup)
{
    const double first = peak / 25.0, last = peak / 1e4;
    const double rise = warmup * (double)n_steps;
    if ((double)step < rise)
        return first + (peak - first) * (double)step / rise;
    const double fall = (double)(n_steps - 1) - rise;
    const double share = fall > 0.0 ? fmin(((double)step - rise) / fall, 1.0) : 1.0;
    return last + (peak - last) * cosine_fall(share);
}

double ws_lr_cosine(double peak, int64_t step, int64_t n_steps)
{
    return peak * cosine_fall((double)step / (double)n_steps);
}

double ws_lr_step(double lr, double epoch, const double *milestones, int n_milestones, double gamma)
{
    for (int i = 0; i < n_milestones; i++)
        if (milestones[i] < epoch)
            lr *= gamma;
    return lr;
}

double ws_gradient_norm(const struct ws_net *net)
{
    double sum = 0.0;
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        if (!is_trained(param))
            continue;
        for (size_t k = 0; k < param->n; k++) {
            const double g = (double)net->gradients[param->offset + k];
            sum += g * g;
        }
    }
    return sqrt(sum);
}
