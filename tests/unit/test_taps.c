/* Losses told by taps are the arrays' losses, on every layout they are told of; what flows through taps comes back. */
#include "near.h"

#include "loss/arrays.h"
#include "webstill/base/mem.h"
#include "webstill/base/rng.h"
#include "webstill/nn/loss.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 5, SIDE = 4, C = 6, MAX = 4 * BATCH * SIDE * SIDE * C };

/* Two networks of one convolution each, 1x1, on images of SIDE x SIDE x C, and what they gave. */
struct bench {
    struct ws_workers *workers;
    struct ws_net *net[2];
    struct ws_exec *exec[2];
    struct ws_tap tap[2];
    float expected[2][MAX];
};

static void fill(float *x, size_t n, uint32_t seed)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, seed, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ws_rng_normal(&rng);
}

/* `side`: of the second network's images. */
static void open_bench(struct bench *b, int batch, int side)
{
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    assert_int_equal(ws_workers_open(&b->workers, 2, &err), WS_OK);
    for (int i = 0; i < 2; i++) {
        const int s = i == 0 ? SIDE : side;
        b->net[i] = ws_net_new(s, s, C);
        const int last = ws_net_conv(b->net[i], "c", 0, C, (struct ws_window)WS_SQUARE(1, 1, 0), true);
        assert_int_equal(ws_net_alloc(b->net[i], &err), WS_OK);
        fill(b->net[i]->values, b->net[i]->n_values, 10 + (uint32_t)i);
        const struct ws_exec_options options = {.max_batch = batch, .backward = true, .input_gradient = true};
        assert_int_equal(ws_exec_open(&b->exec[i], b->net[i], b->workers, &options, &err), WS_OK);
        b->tap[i] = (struct ws_tap){b->exec[i], last};
        fill(ws_exec_input(b->exec[i]), (size_t)batch * (size_t)(s * s * C), 20 + (uint32_t)i);
        ws_exec_forward(b->exec[i], batch, WS_BN_EVAL);
    }
}

static void close_bench(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        ws_exec_close(&b->exec[i]);
        ws_net_free(&b->net[i]);
    }
    ws_workers_close(&b->workers);
}

static const float *value(const struct bench *b, int i)
{
    return ws_exec_value(b->exec[i], b->tap[i].node);
}

/* The tap's gradient is the one that the arrays gave. */
static void check_gradient_of(struct bench *b, int i)
{
    const size_t n = (size_t)ws_exec_batch(b->exec[i]) * ws_tap_floats(b->tap[i]);
    double largest = 0;
    for (size_t k = 0; k < n; k++)
        largest = fmax(largest, fabs((double)b->expected[i][k]));
    assert_true(largest > 0);
    assert_memory_equal(ws_exec_output_gradient(b->exec[i], b->tap[i].node), b->expected[i], n * sizeof(float));
}

static void a_tap_names_its_node_and_the_floats_of_an_image(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, BATCH, 2 * SIDE);
    assert_ptr_equal(ws_tap_node(b.tap[1]), &b.net[1]->nodes[b.tap[1].node]);
    assert_int_equal(ws_tap_floats(b.tap[0]), SIDE * SIDE * C);
    assert_int_equal(ws_tap_floats(b.tap[1]), 4 * SIDE * SIDE * C);
    close_bench(&b);
}

static void losses_of_taps_are_the_losses_of_their_arrays(void **state)
{
    (void)state;
    enum { CLASSES = SIDE * SIDE * C };
    static const int32_t labels[BATCH] = {0, 7, -1, CLASSES - 1, 3};
    const float weights[BATCH] = {0.5F, 1, 0.25F, 0, 2};
    float own[BATCH] = {0}, told[BATCH] = {0};
    struct bench b;

    open_bench(&b, BATCH, SIDE);
    double loss = ws_array_cross_entropy(value(&b, 0), labels, BATCH, CLASSES, 0.1, 0.7, b.expected[0], own);
    assert_true(loss == ws_loss_cross_entropy(b.tap[0], labels, 0.1, 0.7, told));
    check_gradient_of(&b, 0);
    loss = ws_array_kd(value(&b, 0), value(&b, 1), weights, BATCH, CLASSES, 4, 0.7, b.expected[0], own);
    assert_true(loss == ws_loss_kd(b.tap[0], b.tap[1], weights, 4, 0.7, told));
    check_gradient_of(&b, 0);
    loss = ws_array_alignment(value(&b, 0), value(&b, 1), weights, BATCH, CLASSES, 0.7, b.expected[0], own);
    assert_true(loss == ws_loss_alignment(b.tap[0], b.tap[1], 1, weights, 0.7, NULL, told));
    check_gradient_of(&b, 0);
    assert_memory_equal(told, own, sizeof own);

    void *scratch = ws_calloc(ws_loss_ntxent_scratch(BATCH, CLASSES), sizeof(float));
    loss = ws_array_infonce(NULL, value(&b, 0), value(&b, 1), BATCH, CLASSES, 0.3, 0.7, b.expected[0], b.expected[1],
                            scratch);
    assert_true(loss == ws_loss_infonce(b.tap[0], b.tap[1], 0.3, 0.7, scratch));
    check_gradient_of(&b, 0);
    check_gradient_of(&b, 1);
    free(scratch);
    close_bench(&b);
}

static void nt_xent_takes_the_second_half_of_a_batch_for_the_copies(void **state)
{
    (void)state;
    enum { DIM = SIDE * SIDE * C, HALF = BATCH * DIM };
    struct bench b;
    open_bench(&b, 2 * BATCH, SIDE);
    void *scratch = ws_calloc(ws_loss_ntxent_scratch(BATCH, DIM), sizeof(float));
    const float *v = value(&b, 0);
    const double loss =
        ws_array_ntxent(NULL, v, v + HALF, BATCH, DIM, 0.3, 0.7, b.expected[0], b.expected[0] + HALF, scratch);
    assert_true(loss == ws_loss_ntxent(b.tap[0], 0.3, 0.7, scratch));
    check_gradient_of(&b, 0);
    free(scratch);
    close_bench(&b);
}

static void a_larger_map_is_aligned_by_the_mean_of_its_windows(void **state)
{
    (void)state;
    enum { N = BATCH * SIDE * SIDE * C };
    float scratch[N], mean[N];
    struct bench b;
    open_bench(&b, BATCH, 2 * SIDE);
    for (int i = 0; i < N; i++) {
        const int c = i % C, x = i / C % SIDE, y = i / C / SIDE % SIDE, image = i / (C * SIDE * SIDE);
        const float *from = value(&b, 1) + (size_t)image * 4 * SIDE * SIDE * C + c;
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += (double)from[((2 * y + k / 2) * 2 * SIDE + 2 * x + k % 2) * C];
        mean[i] = (float)(sum / 4);
    }
    const double loss = ws_array_alignment(value(&b, 0), mean, NULL, BATCH, SIDE * SIDE * C, 1, b.expected[0], NULL);
    assert_near(ws_loss_alignment(b.tap[0], b.tap[1], 2, NULL, 1, scratch, NULL), loss, 1e-12 * loss);
    check_gradient_of(&b, 0);
    close_bench(&b);
}

/* A loss of the second network's output is a function of the first one's input: its gradient comes back through rows.
 */
static void what_is_copied_into_rows_comes_back_from_these_rows(void **state)
{
    (void)state;
    enum { N = 2 * SIDE * SIDE * C, ROW = 3 };
    struct bench b;
    open_bench(&b, BATCH, SIDE);
    ws_exec_forward(b.exec[0], 2, WS_BN_EVAL);
    ws_tap_copy(b.tap[0], 2, b.exec[1], ROW);
    assert_memory_equal(ws_exec_input(b.exec[1]) + ROW * SIDE * SIDE * C, value(&b, 0), N * sizeof(float));
    ws_exec_forward(b.exec[1], BATCH, WS_BN_EVAL);
    fill(ws_exec_output_gradient(b.exec[1], b.tap[1].node), BATCH * SIDE * SIDE * C, 30);
    ws_exec_backward(b.exec[1]);
    float *gradient = ws_exec_output_gradient(b.exec[0], b.tap[0].node);
    for (int i = 0; i < N; i++)
        gradient[i] = 1;
    ws_tap_return(b.tap[0], 2, b.exec[1], ROW);
    const float *wanted = ws_exec_input_gradient(b.exec[1]) + ROW * SIDE * SIDE * C;
    for (int i = 0; i < N; i++)
        assert_true(gradient[i] == 1 + wanted[i] && wanted[i] != 0);
    close_bench(&b);
}

/* A priority must not depend on how often the image was drawn. */
static void each_images_own_loss_leaves_its_weight_out(void **state)
{
    (void)state;
    enum { N = 3 };
    const float a[2 * N] = {1, 0, -1, 2, 2, 0}, b[2 * N] = {0, 1, 0, 1, 0, 0}, weights[2] = {0.25F, 3};
    const int32_t labels[2] = {2, 0};
    float kd[2] = {10, 20}, alignment[2] = {10, 20}, entropy[2] = {10, 20};
    double weighted[2] = {0};
    const double of_kd = ws_array_kd(a, b, weights, 2, N, 2, 0.5, NULL, kd);
    const double of_alignment = ws_array_alignment(a, b, weights, 2, N, 0.5, NULL, alignment);
    const double of_entropy = ws_array_cross_entropy(a, labels, 2, N, 0.1, 0.5, NULL, entropy);
    for (int i = 0; i < 2; i++) {
        const float *x = a + i * N, *y = b + i * N;
        const double alone[3] = {ws_array_kd(x, y, NULL, 1, N, 2, 1, NULL, NULL),
                                 ws_array_alignment(x, y, NULL, 1, N, 1, NULL, NULL),
                                 ws_array_cross_entropy(x, labels + i, 1, N, 0.1, 1, NULL, NULL)};
        assert_near(kd[i], 10 + 10 * i + 0.5 * alone[0], 2e-6);
        assert_near(alignment[i], 10 + 10 * i + 0.5 * alone[1], 2e-6);
        assert_near(entropy[i], 10 + 10 * i + 0.5 * alone[2], 2e-6);
        weighted[0] += (double)weights[i] * alone[0] / 2;
        weighted[1] += (double)weights[i] * alone[1] / 2;
    }
    assert_near(of_kd, weighted[0], 1e-12);
    assert_near(of_alignment, weighted[1], 1e-12);
    assert_near(of_entropy, ((double)entropy[0] + (double)entropy[1] - 30), 4e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tap_names_its_node_and_the_floats_of_an_image),
        cmocka_unit_test(losses_of_taps_are_the_losses_of_their_arrays),
        cmocka_unit_test(nt_xent_takes_the_second_half_of_a_batch_for_the_copies),
        cmocka_unit_test(a_larger_map_is_aligned_by_the_mean_of_its_windows),
        cmocka_unit_test(what_is_copied_into_rows_comes_back_from_these_rows),
        cmocka_unit_test(each_images_own_loss_leaves_its_weight_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
