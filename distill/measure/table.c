/* The table of measures, and how they are taken: one walk over the images, one softmax each. */
#include "measure.h"

#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>

#define WS_MEASURE_ROW(name) &ws_measure_##name,
const struct ws_measure *const ws_measures[] = {WS_MEASURES(WS_MEASURE_ROW) NULL};
#undef WS_MEASURE_ROW

/* A measure at work. */
struct gauge {
    const struct ws_measure *measure;
    double sum;  /* of_image */
    void *state; /* owned: the others */
};

enum { MAX_GAUGES = 64 };

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

/* The first of equals. */
static int find_largest(const double *values, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

static bool open_gauges(struct gauge *gauges, int *n_gauges, const struct ws_measure *const *table, bool is_shifted,
                        int n_classes)
{
    for (int i = 0; table[i]; i++) {
        if (is_shifted && !table[i]->is_told_under_shift)
            continue;
        ws_assert(*n_gauges < MAX_GAUGES);
        struct gauge *gauge = &gauges[(*n_gauges)++];
        *gauge = (struct gauge){.measure = table[i]};
        if (!table[i]->of_image && !(gauge->state = ws_calloc(1, table[i]->state_bytes(n_classes))))
            return false;
    }
    return true;
}

static void add_image(struct gauge *gauges, int n_gauges, const struct ws_exam_image *image)
{
    for (int i = 0; i < n_gauges; i++) {
        const struct ws_measure *measure = gauges[i].measure;
        if (measure->needs_teacher && !image->log_teacher)
            continue;
        if (measure->of_image)
            gauges[i].sum += measure->of_image(image);
        else
            measure->add(gauges[i].state, image);
    }
}

static void add_images(struct gauge *gauges, int n_gauges, const struct ws_exam_answers *answers, double *log_p,
                       double *log_teacher)
{
    const size_t n_classes = (size_t)answers->n_classes;
    for (size_t i = 0; i < answers->n; i++) {
        struct ws_exam_image image = {.n_classes = answers->n_classes,
                                      .label = answers->labels[i],
                                      .group = answers->groups ? answers->groups[i] : -1,
                                      .log_p = log_p};
        ws_assert(image.label >= 0 && image.label < image.n_classes);
        log_softmax(answers->logits + i * n_classes, image.n_classes, log_p);
        image.predicted = find_largest(log_p, image.n_classes);
        if (answers->teacher) {
            log_softmax(answers->teacher + i * n_classes, image.n_classes, log_teacher);
            image.log_teacher = log_teacher;
            image.predicted_by_teacher = find_largest(log_teacher, image.n_classes);
        }
        add_image(gauges, n_gauges, &image);
    }
}

static bool tell(const struct gauge *gauge, const struct ws_exam_answers *answers, json_t *result)
{
    const struct ws_measure *measure = gauge->measure;
    json_t *told;
    if (measure->needs_teacher && !answers->teacher)
        told = json_null();
    else if (measure->of_image)
        told = json_real(gauge->sum * (1.0 / (double)answers->n));
    else
        told = measure->tell(gauge->state, answers);
    return told && json_object_set_new(result, measure->name, told) == 0;
}

enum ws_status ws_measures_take(const struct ws_measure *const *table, const struct ws_exam_answers *answers,
                                bool is_shifted, json_t *result, struct ws_err *err)
{
    ws_assert(answers->n >= 1 && answers->n_classes >= 2);
    struct gauge gauges[MAX_GAUGES];
    int n_gauges = 0;
    const size_t n_classes = (size_t)answers->n_classes;
    double *log_p = ws_calloc(2 * n_classes, sizeof *log_p);
    bool is_fine = open_gauges(gauges, &n_gauges, table, is_shifted, answers->n_classes) && log_p;
    if (is_fine)
        add_images(gauges, n_gauges, answers, log_p, log_p + n_classes);
    for (int i = 0; i < n_gauges; i++) {
        is_fine = is_fine && tell(&gauges[i], answers, result);
        free(gauges[i].state);
    }
    free(log_p);
    return is_fine ? WS_OK
                   : ws_fail(err, WS_E_MEMORY, "out of memory for the figures of %d classes", answers->n_classes);
}
