/*
 * What a trained network remembers of its data: the running mean and variance in front of each BatchNorm.
 *
 *   R(x) = sum over layers l of  |mu_l(x) - mean_l|_2 + |sigma^2_l(x) - var_l|_2
 */
#include "webstill/nn/statistics.h"

#include <math.h>

/* |values - target|_2; its gradient, (values - target) over that length, times `scale` is added to `gradient`. */
static double distance(const float *values, const float *target, int n, double scale, float *gradient)
{
    double squares = 0.0;
    for (int i = 0; i < n; i++)
        squares += ((double)values[i] - (double)target[i]) * ((double)values[i] - (double)target[i]);
    const double length = sqrt(squares);
    for (int i = 0; gradient && length > 0.0 && i < n; i++)
        gradient[i] += (float)(scale * ((double)values[i] - (double)target[i]) / length);
    return length;
}

int ws_statistics_count(const struct ws_net *net)
{
    int n = 0;
    for (int i = 0; i < net->n_nodes; i++)
        n += net->nodes[i].op == WS_OP_BATCHNORM;
    return n;
}

double ws_loss_statistics(struct ws_exec *exec, const struct ws_net *net, double scale)
{
    enum { RUNNING_MEAN = 2, RUNNING_VAR = 3 };
    double loss = 0.0;
    for (int i = 0; i < net->n_nodes; i++) {
        const struct ws_node *node = &net->nodes[i];
        if (node->op != WS_OP_BATCHNORM)
            continue;
        const float *mean = net->values + net->params[node->params[RUNNING_MEAN]].offset;
        const float *var = net->values + net->params[node->params[RUNNING_VAR]].offset;
        loss += distance(ws_exec_batch_mean(exec, i), mean, node->channels, scale, ws_exec_mean_gradient(exec, i));
        loss += distance(ws_exec_batch_var(exec, i), var, node->channels, scale, ws_exec_var_gradient(exec, i));
    }
    return loss;
}
