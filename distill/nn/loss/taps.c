/* Losses of a network that this machine runs: where its taps lie, and the arithmetic on these arrays. */
#include "arrays.h"

#include "webstill/nn/loss.h"

static const float *value_of(struct ws_tap tap)
{
    return ws_exec_value(tap.exec, tap.node);
}

static float *gradient_of(struct ws_tap tap)
{
    return ws_exec_output_gradient(tap.exec, tap.node);
}

static int floats_of(struct ws_tap tap)
{
    return (int)ws_tap_floats(tap);
}

double ws_loss_cross_entropy(struct ws_tap logits, const int32_t *labels, double smoothing, double scale,
                             float *loss_of)
{
    return ws_array_cross_entropy(value_of(logits), labels, ws_exec_batch(logits.exec), floats_of(logits), smoothing,
                                  scale, gradient_of(logits), loss_of);
}

double ws_loss_kd(struct ws_tap student, struct ws_tap teacher, const float *weights, double temperature, double scale,
                  float *loss_of)
{
    ws_assert(ws_tap_floats(teacher) == ws_tap_floats(student));
    return ws_array_kd(value_of(student), value_of(teacher), weights, ws_exec_batch(student.exec), floats_of(student),
                       temperature, scale, gradient_of(student), loss_of);
}

double ws_loss_noisy(struct ws_tap logits, const int32_t *labels, const float *noise, double accuracy, double scale,
                     float *noise_gradient, double *scratch)
{
    return ws_array_noisy(value_of(logits), labels, noise, ws_exec_batch(logits.exec), floats_of(logits), accuracy,
                          scale, gradient_of(logits), noise_gradient, scratch);
}

double ws_loss_alignment(struct ws_tap a, struct ws_tap b, int side, const float *weights, double scale, float *scratch,
                         float *loss_of)
{
    const int batch = ws_exec_batch(a.exec);
    const struct ws_node *map = ws_tap_node(b);
    const float *target = value_of(b);
    ws_assert(ws_tap_floats(b) == ws_tap_floats(a) * (size_t)(side * side));
    if (side > 1) {
        ws_array_average(target, batch, map->height, map->width, map->channels, side, scratch);
        target = scratch;
    }
    return ws_array_alignment(value_of(a), target, weights, batch, ws_tap_floats(a), scale, gradient_of(a), loss_of);
}

double ws_loss_ntxent(struct ws_tap both, double temperature, double scale, void *scratch)
{
    const int n = ws_exec_batch(both.exec);
    const size_t half = (size_t)(n / 2) * ws_tap_floats(both);
    const float *value = value_of(both);
    float *gradient = gradient_of(both);
    ws_assert(n % 2 == 0 && gradient);
    return ws_array_ntxent(ws_exec_workers(both.exec), value, value + half, n / 2, floats_of(both), temperature, scale,
                           gradient, gradient + half, scratch);
}

double ws_loss_infonce(struct ws_tap u, struct ws_tap v, double temperature, double scale, void *scratch)
{
    ws_assert(ws_exec_batch(v.exec) == ws_exec_batch(u.exec) && ws_tap_floats(v) == ws_tap_floats(u));
    return ws_array_infonce(ws_exec_workers(u.exec), value_of(u), value_of(v), ws_exec_batch(u.exec), floats_of(u),
                            temperature, scale, gradient_of(u), gradient_of(v), scratch);
}
