#include "webstill/curate/weight.h"

#include <math.h>

void ws_weight_disagreement(const float *student_logits, const float *teacher_logits, size_t n, int n_classes,
                            float *weights)
{
    for (size_t i = 0; i < n; i++) {
        double squares = 0.0;
        for (int c = 0; c < n_classes; c++) {
            const size_t at = i * (size_t)n_classes + (size_t)c;
            /* The released code calls torch's pairwise_distance, which adds 1e-6 to each component. */
            const double difference = (double)student_logits[at] - (double)teacher_logits[at] + 1e-6;
            squares += difference * difference;
        }
        weights[i] = (float)(1.0 / (1.0 + exp(-sqrt(squares))));
    }
}
