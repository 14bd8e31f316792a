#include "evaluate.h"

#include <math.h>

/* log softmax of one row: what every figure here starts from. */
static void log_softmax(const float *logits, int n_classes, double *out)
{
    double largest = (double)logits[0];
    for (int c = 1; c < n_classes; c++)
        largest = fmax(largest, (double)logits[c]);
    double sum = 0.0;
    for (int c = 0; c < n_classes; c++)
        sum += exp((double)logits[c] - largest);
    const double log_sum = largest + log(sum);
    for (int c = 0; c < n_classes; c++)
        out[c] = (double)logits[c] - log_sum;
}

static int find_largest(const double *values, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

/* How many classes come before the label: larger, or equal with a smaller index. */
static int rank_of(const double *values, int n, int label)
{
    int rank = 0;
    for (int i = 0; i < n; i++)
        rank += values[i] > values[label] || (values[i] == values[label] && i < label);
    return rank;
}

/* Equal-width calibration bins over the confidence. */
struct bins {
    double confidence[WS_ECE_BINS], right[WS_ECE_BINS];
};

static void add_to_bins(struct bins *bins, double confidence, bool is_right)
{
    int bin = (int)(confidence * WS_ECE_BINS);
    bin = bin < WS_ECE_BINS ? bin : WS_ECE_BINS - 1;
    bins->confidence[bin] += confidence;
    bins->right[bin] += is_right;
}

static double measure_ece(const struct bins *bins, size_t n)
{
    double sum = 0.0;
    for (int b = 0; b < WS_ECE_BINS; b++)
        sum += fabs(bins->right[b] - bins->confidence[b]);
    return sum / (double)n;
}

static double measure_brier(const double *log_p, int n_classes, int label)
{
    double sum = 0.0;
    for (int c = 0; c < n_classes; c++) {
        const double difference = exp(log_p[c]) - (c == label);
        sum += difference * difference;
    }
    return sum;
}

static double measure_kl(const double *log_teacher, const double *log_p, int n_classes)
{
    double sum = 0.0;
    for (int c = 0; c < n_classes; c++)
        sum += exp(log_teacher[c]) * (log_teacher[c] - log_p[c]);
    return sum;
}

static bool allocate(struct ws_evaluation *out, struct ws_arena *arena, size_t n, int n_classes)
{
    const size_t classes = (size_t)n_classes;
    *out = (struct ws_evaluation){.n = n, .n_classes = n_classes};
    out->confusion = ws_arena_alloc(arena, ws_size_mul(classes, classes), sizeof *out->confusion);
    out->n_label = ws_arena_alloc(arena, classes, sizeof *out->n_label);
    out->n_predicted = ws_arena_alloc(arena, classes, sizeof *out->n_predicted);
    out->n_right = ws_arena_alloc(arena, classes, sizeof *out->n_right);
    return out->confusion && out->n_label && out->n_predicted && out->n_right;
}

static void add_image(struct ws_evaluation *out, struct bins *bins, const double *log_p, int label)
{
    const int predicted = find_largest(log_p, out->n_classes);
    out->confusion[(size_t)label * (size_t)out->n_classes + (size_t)predicted]++;
    out->n_label[label]++;
    out->n_predicted[predicted]++;
    out->n_right[label] += predicted == label;
    out->accuracy += predicted == label;
    out->top5 += rank_of(log_p, out->n_classes, label) < 5;
    out->nll -= log_p[label];
    out->brier += measure_brier(log_p, out->n_classes, label);
    add_to_bins(bins, exp(log_p[predicted]), predicted == label);
}

bool ws_evaluate(struct ws_evaluation *out, struct ws_arena *arena, const float *logits, const int32_t *labels,
                 const float *teacher, size_t n, int n_classes)
{
    ws_assert(n >= 1 && n_classes >= 2);
    double *log_p = ws_arena_alloc(arena, (size_t)n_classes, sizeof *log_p);
    double *log_teacher = ws_arena_alloc(arena, (size_t)n_classes, sizeof *log_teacher);
    if (!log_p || !log_teacher || !allocate(out, arena, n, n_classes))
        return false;
    struct bins bins = {{0}, {0}};
    for (size_t i = 0; i < n; i++) {
        ws_assert(labels[i] >= 0 && labels[i] < n_classes);
        log_softmax(logits + i * (size_t)n_classes, n_classes, log_p);
        add_image(out, &bins, log_p, labels[i]);
        if (!teacher)
            continue;
        log_softmax(teacher + i * (size_t)n_classes, n_classes, log_teacher);
        out->agreement += find_largest(log_p, n_classes) == find_largest(log_teacher, n_classes);
        out->kl += measure_kl(log_teacher, log_p, n_classes);
    }
    const double share = 1.0 / (double)n;
    out->accuracy *= share;
    out->top5 *= share;
    out->nll *= share;
    out->brier *= share;
    out->ece = measure_ece(&bins, n);
    out->agreement = teacher ? out->agreement * share : -1.0;
    out->kl = teacher ? out->kl * share : -1.0;
    return true;
}
