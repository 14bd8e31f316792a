#include "webstill/curate/select.h"

#include "order.h"

#include <math.h>

double ws_alpha_at(const struct ws_alpha_schedule *schedule, double epoch)
{
    if (epoch >= schedule->zero_epoch)
        return 0.0;
    const double distance = (epoch + 1.0) / schedule->horizon - 1.0;
    return 1.0 - exp(-schedule->steepness * distance * distance);
}

double ws_select_threshold(double p_cutoff, double b)
{
    return p_cutoff * b / (2.0 - b);
}

/* alpha is a weight, not a blend by arithmetic: at its ends the other network's logits, NaN included, must not count.
 */
static double combine_logits(const float *teacher, const float *student, size_t c, double alpha)
{
    if (alpha >= 1.0)
        return (double)teacher[c];
    if (alpha <= 0.0)
        return (double)student[c];
    return alpha * (double)teacher[c] + (1.0 - alpha) * (double)student[c];
}

/* conf and yhat of one image; the first of equal maxima wins. */
static void predict_logits(const float *teacher, const float *student, int n_classes, double alpha, float *confidence,
                           int32_t *predicted)
{
    double largest = combine_logits(teacher, student, 0, alpha);
    int32_t best = 0;
    for (int c = 1; c < n_classes; c++) {
        const double z = combine_logits(teacher, student, (size_t)c, alpha);
        if (z > largest) {
            largest = z;
            best = c;
        }
    }
    double sum = 0.0;
    for (int c = 0; c < n_classes; c++)
        sum += exp(combine_logits(teacher, student, (size_t)c, alpha) - largest);
    *confidence = (float)(1.0 / sum);
    *predicted = best;
}

/* log sum_c exp z_c, safe for any finite z. */
static double log_sum_exp(const float *z, int n_classes)
{
    double largest = (double)z[0], sum = 0.0;
    for (int c = 1; c < n_classes; c++)
        largest = fmax(largest, (double)z[c]);
    for (int c = 0; c < n_classes; c++)
        sum += exp((double)z[c] - largest);
    return largest + log(sum);
}

/* Likewise, for both networks: 0 < alpha < 1. */
static void predict_probabilities(const float *teacher, const float *student, int n_classes, double alpha,
                                  float *confidence, int32_t *predicted)
{
    const double lse_t = log_sum_exp(teacher, n_classes), lse_s = log_sum_exp(student, n_classes);
    double largest = -1.0;
    int32_t best = 0;
    for (int c = 0; c < n_classes; c++) {
        const double p = alpha * exp((double)teacher[c] - lse_t) + (1.0 - alpha) * exp((double)student[c] - lse_s);
        if (p > largest) {
            largest = p;
            best = c;
        }
    }
    *confidence = (float)largest;
    *predicted = best;
}

bool ws_select_begin(struct ws_selection *out, struct ws_arena *arena, size_t n, int n_classes,
                     const struct ws_select_options *options)
{
    ws_assert(n >= 1 && n_classes >= 2);
    ws_assert(options->alpha >= 0.0 && options->alpha <= 1.0);
    const size_t classes = (size_t)n_classes;
    *out = (struct ws_selection){
        .n = n,
        .n_classes = n_classes,
        .alpha = options->alpha,
        .keep = ws_arena_alloc(arena, n, sizeof *out->keep),
        .reason = ws_arena_alloc(arena, n, sizeof *out->reason),
        .weight = ws_arena_alloc(arena, n, sizeof *out->weight),
        .confidence = ws_arena_alloc(arena, n, sizeof *out->confidence),
        .predicted = ws_arena_alloc(arena, n, sizeof *out->predicted),
        .threshold = ws_arena_alloc(arena, classes, sizeof *out->threshold),
        .n_predicted = ws_arena_alloc(arena, classes, sizeof *out->n_predicted),
        .n_kept = ws_arena_alloc(arena, classes, sizeof *out->n_kept),
    };
    return out->keep && out->reason && out->weight && out->confidence && out->predicted && out->threshold &&
           out->n_predicted && out->n_kept;
}

void ws_select_predict(struct ws_selection *out, const float *teacher_logits, const float *student_logits, size_t first,
                       size_t n, const struct ws_select_options *options)
{
    const double alpha = options->alpha;
    ws_assert(first + n <= out->n);
    ws_assert(teacher_logits || alpha <= 0.0);
    ws_assert(student_logits || alpha >= 1.0);
    /* One network alone is the same in both; only so does it have the same bytes. */
    const bool of_logits = options->combine == WS_COMBINE_LOGITS || alpha <= 0.0 || alpha >= 1.0;
    for (size_t i = 0; i < n; i++) {
        const float *teacher = alpha > 0.0 ? teacher_logits + i * (size_t)out->n_classes : NULL;
        const float *student = alpha < 1.0 ? student_logits + i * (size_t)out->n_classes : NULL;
        float *confidence = &out->confidence[first + i];
        int32_t *predicted = &out->predicted[first + i];
        if (of_logits)
            predict_logits(teacher, student, out->n_classes, alpha, confidence, predicted);
        else
            predict_probabilities(teacher, student, out->n_classes, alpha, confidence, predicted);
        out->n_predicted[*predicted]++;
    }
}

static void keep_image(struct ws_selection *out, size_t i)
{
    out->keep[i] = 1;
    out->reason[i] = WS_REASON_KEPT;
    out->weight[i] = 1.0f;
    out->n_kept[out->predicted[i]]++;
    out->n_kept_total++;
}

void ws_select_keep(struct ws_selection *out, const struct ws_select_options *options)
{
    int64_t most = 0;
    for (int c = 0; c < out->n_classes; c++)
        most = out->n_predicted[c] > most ? out->n_predicted[c] : most;
    for (int c = 0; c < out->n_classes; c++)
        out->threshold[c] = ws_select_threshold(options->p_cutoff, (double)out->n_predicted[c] / (double)most);
    for (size_t i = 0; i < out->n; i++)
        if ((double)out->confidence[i] > out->threshold[out->predicted[i]])
            keep_image(out, i);
        else
            out->reason[i] = WS_REASON_THRESHOLD;
}

bool ws_select_kd3(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                   const float *student_logits, size_t n, int n_classes, const struct ws_select_options *options)
{
    if (!ws_select_begin(out, arena, n, n_classes, options))
        return false;
    ws_select_predict(out, teacher_logits, student_logits, 0, n, options);
    ws_select_keep(out, options);
    return true;
}

void ws_select_keep_all(struct ws_selection *out)
{
    for (size_t i = 0; i < out->n; i++)
        keep_image(out, i);
}

bool ws_select_keep_top(struct ws_selection *out, struct ws_arena *arena, size_t n_keep)
{
    ws_assert(n_keep >= 1 && n_keep <= out->n);
    uint32_t *order = ws_arena_alloc(arena, out->n, sizeof *order);
    if (!order)
        return false;
    for (size_t i = 0; i < out->n; i++)
        order[i] = (uint32_t)i;
    ws_order_by_confidence(order, out->n, out->confidence);
    for (size_t i = 0; i < n_keep; i++)
        keep_image(out, order[i]);
    for (size_t i = n_keep; i < out->n; i++)
        out->reason[order[i]] = WS_REASON_THRESHOLD;
    for (int c = 0; c < out->n_classes; c++)
        out->threshold[c] = (double)out->confidence[order[n_keep - 1]];
    return true;
}

bool ws_select_all(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                   const float *student_logits, size_t n, int n_classes, const struct ws_select_options *options)
{
    if (!ws_select_begin(out, arena, n, n_classes, options))
        return false;
    ws_select_predict(out, teacher_logits, student_logits, 0, n, options);
    ws_select_keep_all(out);
    return true;
}
