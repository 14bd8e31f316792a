/** check_gradient(loss, x, n, tolerance): a loss's own gradient against 4-point differences of its value. */
#ifndef WEBSTILL_TESTS_UNIT_LOSS_SLOPE_H
#define WEBSTILL_TESTS_UNIT_LOSS_SLOPE_H

#include "near.h"

#include <stdlib.h>

/** A loss as a function of one array, everything else fixed; adds its gradient when that is not NULL. */
typedef double loss_fn(const float *x, float *gradient);

static inline void check_gradient(loss_fn *loss, float *x, size_t n, double tolerance)
{
    float *gradient = calloc(n, sizeof *gradient);
    assert_non_null(gradient);
    loss(x, gradient);
    double largest = 0.0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    assert_true(largest > 0.0);
    const float h = 0.015625F;
    for (size_t i = 0; i < n; i++) {
        const float x0 = x[i];
        double f[4];
        const float steps[4] = {-2.0F, -1.0F, 1.0F, 2.0F};
        for (int k = 0; k < 4; k++) {
            x[i] = x0 + steps[k] * h;
            f[k] = loss(x, NULL);
        }
        x[i] = x0;
        const double expected = (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)h);
        assert_near(gradient[i], expected, tolerance * largest);
    }
    free(gradient);
}

#endif
