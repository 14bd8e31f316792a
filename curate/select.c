#include "webstill/curate/select.h"

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
static double combine(const float *teacher, const float *student, size_t at, double alpha)
{
    if (alpha >= 1.0)
        return (double)teacher[at];
    if (alpha <= 0.0)
        return (double)student[at];
    return alpha * (double)teacher[at] + (1.0 - alpha) * (double)student[at];
}

/* conf and yhat of one image; the first of equal maxima wins. */
static void predict(const float *teacher, const float *student, size_t first, int n_classes, double alpha,
                    float *confidence, int32_t *predicted)
{
    double largest = combine(teacher, student, first, alpha);
    int32_t best = 0;
    for (int c = 1; c < n_classes; c++) {
        const double z = combine(teacher, student, first + (size_t)c, alpha);
        if (z > largest) {
            largest = z;
            best = c;
        }
    }
    double sum = 0.0;
    for (int c = 0; c < n_classes; c++)
        sum += exp(combine(teacher, student, first + (size_t)c, alpha) - largest);
    *confidence = (float)(1.0 / sum);
    *predicted = best;
}

static bool allocate(struct ws_selection *out, struct ws_arena *arena, size_t n, int n_classes, double alpha)
{
    const size_t classes = (size_t)n_classes;
    *out = (struct ws_selection){
        .n = n,
        .n_classes = n_classes,
        .alpha = alpha,
        .keep = ws_arena_alloc(arena, n, sizeof *out->keep),
        .confidence = ws_arena_alloc(arena, n, sizeof *out->confidence),
        .predicted = ws_arena_alloc(arena, n, sizeof *out->predicted),
        .threshold = ws_arena_alloc(arena, classes, sizeof *out->threshold),
        .n_predicted = ws_arena_alloc(arena, classes, sizeof *out->n_predicted),
        .n_kept = ws_arena_alloc(arena, classes, sizeof *out->n_kept),
    };
    return out->keep && out->confidence && out->predicted && out->threshold && out->n_predicted && out->n_kept;
}

static bool predict_all(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                        const float *student_logits, size_t n, int n_classes, double alpha)
{
    ws_assert(n >= 1 && n_classes >= 2);
    ws_assert(alpha >= 0.0 && alpha <= 1.0);
    ws_assert(teacher_logits || alpha <= 0.0);
    ws_assert(student_logits || alpha >= 1.0);
    if (!allocate(out, arena, n, n_classes, alpha))
        return false;
    for (size_t i = 0; i < n; i++) {
        predict(teacher_logits, student_logits, i * (size_t)n_classes, n_classes, alpha, &out->confidence[i],
                &out->predicted[i]);
        out->n_predicted[out->predicted[i]]++;
    }
    return true;
}

static void keep_image(struct ws_selection *out, size_t i)
{
    out->keep[i] = 1;
    out->n_kept[out->predicted[i]]++;
    out->n_kept_total++;
}

bool ws_select_kd3(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                   const float *student_logits, size_t n, int n_classes, double alpha, double p_cutoff)
{
    if (!predict_all(out, arena, teacher_logits, student_logits, n, n_classes, alpha))
        return false;
    int64_t most = 0;
    for (int c = 0; c < n_classes; c++)
        most = out->n_predicted[c] > most ? out->n_predicted[c] : most;
    for (int c = 0; c < n_classes; c++)
        out->threshold[c] = ws_select_threshold(p_cutoff, (double)out->n_predicted[c] / (double)most);
    for (size_t i = 0; i < n; i++)
        if ((double)out->confidence[i] > out->threshold[out->predicted[i]])
            keep_image(out, i);
    return true;
}

bool ws_select_all(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                   const float *student_logits, size_t n, int n_classes, double alpha)
{
    if (!predict_all(out, arena, teacher_logits, student_logits, n, n_classes, alpha))
        return false;
    for (size_t i = 0; i < n; i++)
        keep_image(out, i);
    return true;
}
