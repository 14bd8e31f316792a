/* SGD, Adam, AdamW and learning-rate schedules. */
#include "webstill/nn/optim.h"

#include "kernels.h"
#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>

static bool is_trained(const struct ws_param *param)
{
    return !param->is_buffer && !param->is_frozen;
}

enum ws_status ws_optim_init_numbers(struct ws_optim *optim, size_t n, const struct ws_optim_options *options,
                                     struct ws_err *err)
{
    *optim = (struct ws_optim){.options = *options};
    const int n_moments = options->kind == WS_OPTIM_SGD ? 1 : 2;
    for (int i = 0; i < n_moments; i++) {
        optim->moments[i] = ws_calloc_aligned(n, sizeof *optim->moments[i]);
        if (!optim->moments[i]) {
            ws_optim_fini(optim);
            return ws_fail(err, WS_E_MEMORY, "out of memory: the optimiser wanted %zu bytes for each of %d moments",
                           ws_size_mul(n, sizeof *optim->moments[i]), n_moments);
        }
    }
    return WS_OK;
}

enum ws_status ws_optim_init(struct ws_optim *optim, const struct ws_net *net, const struct ws_optim_options *options,
                             struct ws_err *err)
{
    return ws_optim_init_numbers(optim, net->n_values, options, err);
}

/* The scalars are computed in double, as PyTorch does, and used in float. */
static struct ws_adam prepare_adam(const struct ws_optim *optim, double lr)
{
    const struct ws_optim_options *o = &optim->options;
    const bool is_decoupled = o->kind == WS_OPTIM_ADAMW;
    const double step = (double)optim->n_steps;
    return (struct ws_adam){
        .beta1 = (float)o->beta1,
        .beta2 = (float)o->beta2,
        .eps = (float)o->eps,
        .rate = (float)(lr / (1.0 - pow(o->beta1, step))),
        .root = (float)sqrt(1.0 - pow(o->beta2, step)),
        .decay = is_decoupled ? 0.0F : (float)o->weight_decay,
        .shrink = is_decoupled ? (float)(1.0 - lr * o->weight_decay) : 1.0F,
    };
}

/* n numbers from `at` on. In float, as PyTorch does it, so that both take the same path. */
static void move(const struct ws_optim *optim, const struct ws_adam *adam, float *values, float *gradients, size_t at,
                 size_t n, double lr)
{
    const struct ws_kernels *kernels = ws_kernels_get();
    const struct ws_optim_options *o = &optim->options;
    if (o->kind == WS_OPTIM_SGD)
        kernels->sgd(values + at, gradients + at, optim->moments[0] + at, n, (float)lr, (float)o->momentum,
                     (float)o->weight_decay, o->nesterov);
    else
        kernels->adam(adam, values + at, gradients + at, optim->moments[0] + at, optim->moments[1] + at, n);
}

void ws_optim_step(struct ws_optim *optim, struct ws_net *net, double lr)
{
    optim->n_steps++;
    const struct ws_adam adam = prepare_adam(optim, lr);
    for (int i = 0; i < net->n_params; i++)
        if (is_trained(&net->params[i]))
            move(optim, &adam, net->values, net->gradients, net->params[i].offset, net->params[i].n, lr);
}

void ws_optim_step_numbers(struct ws_optim *optim, float *values, float *gradients, size_t n, double lr)
{
    optim->n_steps++;
    const struct ws_adam adam = prepare_adam(optim, lr);
    move(optim, &adam, values, gradients, 0, n, lr);
}

void ws_optim_fini(struct ws_optim *optim)
{
    free(optim->moments[0]);
    free(optim->moments[1]);
    *optim = (struct ws_optim){0};
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

static double sum_of_squares(const float *values, size_t n, double sum)
{
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

double ws_gradient_norm(const struct ws_net *net)
{
    double sum = 0.0;
    for (int i = 0; i < net->n_params; i++)
        if (is_trained(&net->params[i]))
            sum = sum_of_squares(net->gradients + net->params[i].offset, net->params[i].n, sum);
    return sqrt(sum);
}

double ws_numbers_norm(const float *values, size_t n)
{
    return sqrt(sum_of_squares(values, n, 0.0));
}
