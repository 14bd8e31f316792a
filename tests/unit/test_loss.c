/* Losses: closed forms, invariances, and gradients against finite differences. What KD3's own must be stands in
 * test_kd3_claims.c. */
#include "loss_slope.h"

#include "loss/arrays.h"
#include "webstill/base/rng.h"
#include "webstill/nn/loss.h"

#include <stdbool.h>
#include <string.h>

enum { B = 5, C = 7, D = 12 };

static void fill(float *values, size_t n, uint32_t what, double spread)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, what, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(spread * ws_rng_normal(&rng));
}

/* --- cross entropy --- */

static const int32_t labels[B] = {0, 6, 3, -1, 2};

static double cross_entropy(const float *x, float *gradient)
{
    return ws_array_cross_entropy(x, labels, B, C, 0.1, 1.0, gradient, NULL);
}

static void cross_entropy_of_uniform_logits_is_log_classes(void **state)
{
    (void)state;
    float z[B * C];
    for (int i = 0; i < B * C; i++)
        z[i] = 3.25F;
    assert_near(ws_array_cross_entropy(z, labels, B, C, 0.0, 1.0, NULL, NULL), log(C), 1e-12);
    assert_near(ws_array_cross_entropy(z, labels, B, C, 0.3, 1.0, NULL, NULL), log(C), 1e-12);
}

static void cross_entropy_gradient_matches_differences(void **state)
{
    (void)state;
    float z[B * C];
    fill(z, B * C, 1, 2.0);
    check_gradient(cross_entropy, z, B * C, 1e-5);
}

static void cross_entropy_skips_unlabelled_images(void **state)
{
    (void)state;
    float z[B * C], g[B * C] = {0};
    fill(z, B * C, 2, 2.0);
    const double all = cross_entropy(z, g);
    for (int c = 0; c < C; c++) {
        assert_true(g[3 * C + c] == 0.0F);
        z[3 * C + c] = 1e6F;
    }
    assert_near(cross_entropy(z, NULL), all, 0.0);

    const int32_t none[B] = {-1, -1, -1, -1, -1};
    memset(g, 0, sizeof g);
    assert_near(ws_array_cross_entropy(z, none, B, C, 0.0, 1.0, g, NULL), 0.0, 0.0);
    for (int i = 0; i < B * C; i++)
        assert_true(g[i] == 0.0F);
}

static void cross_entropy_survives_huge_logits(void **state)
{
    (void)state;
    const float z[2] = {30000.0F, -30000.0F};
    const int32_t right = 0, wrong = 1;
    assert_near(ws_array_cross_entropy(z, &right, 1, 2, 0.0, 1.0, NULL, NULL), 0.0, 0.0);
    assert_near(ws_array_cross_entropy(z, &wrong, 1, 2, 0.0, 1.0, NULL, NULL), 60000.0, 1e-9);
}

static void gradients_are_scaled_and_added(void **state)
{
    (void)state;
    float z[B * C], once[B * C] = {0}, thrice[B * C];
    fill(z, B * C, 3, 1.0);
    ws_array_cross_entropy(z, labels, B, C, 0.0, 1.0, once, NULL);
    for (int i = 0; i < B * C; i++)
        thrice[i] = 10.0F;
    ws_array_cross_entropy(z, labels, B, C, 0.0, 3.0, thrice, NULL);
    for (int i = 0; i < B * C; i++)
        assert_near((double)thrice[i], 10.0 + 3.0 * (double)once[i], 2e-6);
}

/* --- KD --- */

static float teacher[B * C];
static double temperature;

static double kd(const float *x, float *gradient)
{
    return ws_array_kd(x, teacher, NULL, B, C, temperature, 1.0, gradient, NULL);
}

static void kd_of_equal_logits_is_zero(void **state)
{
    (void)state;
    float g[B * C] = {0};
    fill(teacher, B * C, 4, 3.0);
    temperature = 4.0;
    assert_near(kd(teacher, g), 0.0, 1e-15);
    for (int i = 0; i < B * C; i++)
        assert_near((double)g[i], 0.0, 1e-9);
}

static void kd_of_two_classes_is_the_binary_divergence(void **state)
{
    (void)state;
    const float zs[2] = {1.0F, 0.0F}, zt[2] = {0.0F, 2.0F};
    const double t = 2.0, p = 1.0 / (1.0 + exp(2.0 / t)), q = 1.0 / (1.0 + exp(-1.0 / t));
    const double expected = t * t * (p * log(p / q) + (1.0 - p) * log((1.0 - p) / (1.0 - q)));
    assert_near(ws_array_kd(zs, zt, NULL, 1, 2, t, 1.0, NULL, NULL), expected, 1e-12);
}

static void kd_gradient_stays_of_one_size_as_temperature_grows(void **state)
{
    (void)state;
    /* T^2 KL tends to 1/(2C) sum_c (d_c - mean d)^2 with d = z_s - z_t. */
    float z[B * C];
    fill(z, B * C, 5, 1.0);
    fill(teacher, B * C, 6, 1.0);
    double expected = 0.0;
    for (int i = 0; i < B; i++) {
        double mean = 0.0, sum = 0.0;
        for (int c = 0; c < C; c++)
            mean += ((double)z[i * C + c] - (double)teacher[i * C + c]) / C;
        for (int c = 0; c < C; c++)
            sum += pow((double)z[i * C + c] - (double)teacher[i * C + c] - mean, 2.0);
        expected += sum / (2.0 * C * B);
    }
    temperature = 1e4;
    assert_near(kd(z, NULL), expected, 1e-3 * expected);
}

static void kd_gradient_matches_differences(void **state)
{
    (void)state;
    float z[B * C];
    fill(z, B * C, 7, 2.0);
    fill(teacher, B * C, 8, 2.0);
    temperature = 3.0;
    check_gradient(kd, z, B * C, 1e-5);
}

/* --- alignment --- */

static float target[B * D], weights[B];

static double alignment(const float *x, float *gradient)
{
    return ws_array_alignment(x, target, weights, B, D, 1.0, gradient, NULL);
}

static void alignment_gradient_matches_differences(void **state)
{
    (void)state;
    float a[B * D];
    fill(a, B * D, 13, 1.0);
    fill(target, B * D, 14, 1.0);
    for (int i = 0; i < B; i++)
        weights[i] = 0.5F + 0.1F * (float)i;
    check_gradient(alignment, a, B * D, 1e-5);
}

/* --- NT-Xent --- */

static double ntxent_pairs(const float *u, const float *v, int batch, float *gu, float *gv)
{
    const size_t n_scratch = ws_loss_ntxent_scratch(batch, D);
    float *scratch = malloc(n_scratch * sizeof *scratch);
    assert_non_null(scratch);
    for (size_t i = 0; i < n_scratch; i++)
        scratch[i] = NAN; /* nothing may depend on what was there */
    const double loss = ws_array_ntxent(NULL, u, v, batch, D, 0.3, 1.0, gu, gv, scratch);
    free(scratch);
    return loss;
}

static double ntxent(const float *x, float *gradient)
{
    return ntxent_pairs(x, x + B * D, B, gradient, gradient ? gradient + B * D : NULL);
}

static void ntxent_of_orthogonal_pairs_has_its_closed_form(void **state)
{
    (void)state;
    float x[2 * B * D] = {0};
    for (int i = 0; i < B; i++)
        x[i * D + i] = x[(B + i) * D + i] = 1.0F + (float)i;
    const double top = exp(1.0 / 0.3);
    assert_near(ntxent(x, NULL), -log(top / (top + 2 * B - 2)), 1e-6);
}

static void ntxent_depends_on_who_is_whose_pair(void **state)
{
    (void)state;
    float x[2 * B * D], broken[2 * B * D];
    fill(x, 2 * B * D, 18, 1.0);
    memcpy(broken, x, sizeof x);
    for (int d = 0; d < D; d++) {
        broken[B * D + d] = x[(B + 1) * D + d];
        broken[(B + 1) * D + d] = x[B * D + d];
    }
    assert_true(fabs(ntxent(broken, NULL) - ntxent(x, NULL)) > 1e-3);
}

static void ntxent_gradient_has_no_part_along_the_embedding(void **state)
{
    (void)state;
    float x[2 * B * D], g[2 * B * D] = {0};
    fill(x, 2 * B * D, 20, 5.0);
    ntxent(x, g);
    for (int i = 0; i < 2 * B; i++) {
        double along = 0.0, size = 0.0;
        for (int d = 0; d < D; d++) {
            along += (double)x[i * D + d] * (double)g[i * D + d];
            size += fabs((double)x[i * D + d] * (double)g[i * D + d]);
        }
        assert_near(along, 0.0, 1e-5 * size);
    }
}

static void ntxent_of_a_zero_vector_stays_finite(void **state)
{
    (void)state;
    float x[2 * B * D], g[2 * B * D] = {0};
    fill(x, 2 * B * D, 21, 1.0);
    memset(x, 0, D * sizeof *x);
    assert_true(isfinite(ntxent(x, g)));
    for (int i = D; i < 2 * B * D; i++)
        assert_true(isfinite(g[i]));
}

static void ntxent_gives_the_same_bytes_for_any_number_of_threads(void **state)
{
    (void)state;
    enum { ROWS = 21, N = 2 * ROWS * D };
    float x[N], alone[N] = {0};
    struct ws_err err = {0};
    fill(x, N, 23, 2.0);
    double *scratch = malloc(ws_loss_ntxent_scratch(ROWS, D) * sizeof(float));
    assert_non_null(scratch);
    const double loss = ws_array_ntxent(NULL, x, x + N / 2, ROWS, D, 0.3, 0.7, alone, alone + N / 2, scratch);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        float together[N] = {0};
        struct ws_workers *workers = NULL;
        assert_int_equal(ws_workers_open(&workers, n_threads, &err), WS_OK);
        assert_true(loss ==
                    ws_array_ntxent(workers, x, x + N / 2, ROWS, D, 0.3, 0.7, together, together + N / 2, scratch));
        assert_memory_equal(alone, together, sizeof alone);
        ws_workers_close(&workers);
    }
    free(scratch);
}

/* --- InfoNCE --- */

static double infonce(const float *x, float *gradient)
{
    double *scratch = malloc(ws_loss_ntxent_scratch(B, D) * sizeof(float));
    assert_non_null(scratch);
    for (size_t i = 0; i < ws_loss_ntxent_scratch(B, D); i++)
        ((float *)scratch)[i] = NAN; /* nothing may depend on what was there */
    const double loss =
        ws_array_infonce(NULL, x, x + B * D, B, D, 0.3, 1.0, gradient, gradient ? gradient + B * D : NULL, scratch);
    free(scratch);
    return loss;
}

/* Written down once more, in double. */
static double infonce_twin(const float *x)
{
    double cosine[B][B], loss = 0.0;
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B; j++) {
            double uv = 0.0, uu = 0.0, vv = 0.0;
            for (int d = 0; d < D; d++) {
                const double u = (double)x[i * D + d], v = (double)x[(B + j) * D + d];
                uv += u * v;
                uu += u * u;
                vv += v * v;
            }
            cosine[i][j] = uv / sqrt(uu * vv);
        }
    for (int i = 0; i < B; i++) {
        double sum = 0.0;
        for (int j = 0; j < B; j++)
            sum += exp(cosine[i][j] / 0.3);
        loss -= log(exp(cosine[i][i] / 0.3) / sum);
    }
    return loss / B;
}

static void infonce_is_the_cross_entropy_of_cosines_with_the_diagonal_right(void **state)
{
    (void)state;
    float x[2 * B * D];
    fill(x, 2 * B * D, 23, 1.0);
    assert_near(infonce(x, NULL), infonce_twin(x), 1e-6);
    for (int i = 1; i < 2 * B; i++)
        memcpy(x + i * D, x, D * sizeof *x);
    assert_near(infonce(x, NULL), log(B), 1e-13);
}

static void infonce_gradients_to_both_networks_match_differences(void **state)
{
    (void)state;
    float x[2 * B * D];
    fill(x, 2 * B * D, 25, 1.0);
    check_gradient(infonce, x, 2 * B * D, 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_of_uniform_logits_is_log_classes),
        cmocka_unit_test(cross_entropy_gradient_matches_differences),
        cmocka_unit_test(cross_entropy_skips_unlabelled_images),
        cmocka_unit_test(cross_entropy_survives_huge_logits),
        cmocka_unit_test(gradients_are_scaled_and_added),
        cmocka_unit_test(kd_of_equal_logits_is_zero),
        cmocka_unit_test(kd_of_two_classes_is_the_binary_divergence),
        cmocka_unit_test(kd_gradient_stays_of_one_size_as_temperature_grows),
        cmocka_unit_test(kd_gradient_matches_differences),
        cmocka_unit_test(alignment_gradient_matches_differences),
        cmocka_unit_test(ntxent_of_orthogonal_pairs_has_its_closed_form),
        cmocka_unit_test(ntxent_depends_on_who_is_whose_pair),
        cmocka_unit_test(ntxent_gradient_has_no_part_along_the_embedding),
        cmocka_unit_test(ntxent_of_a_zero_vector_stays_finite),
        cmocka_unit_test(ntxent_gives_the_same_bytes_for_any_number_of_threads),
        cmocka_unit_test(infonce_is_the_cross_entropy_of_cosines_with_the_diagonal_right),
        cmocka_unit_test(infonce_gradients_to_both_networks_match_differences),
    };
    return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
