/* Philox against Random123's known answers; distributions against their moments, with room for six sigma. */
#include "webstill/base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void philox_gives_the_known_answers(void **state)
{
    (void)state;
    /* kat_vectors of Random123: "philox4x32 10" */
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 0, WS_STREAM_TEST, 0, 0);
        memcpy(rng.counter, cases[i].counter, sizeof rng.counter);
        memcpy(rng.key, cases[i].key, sizeof rng.key);
        for (int word = 0; word < 4; word++)
            assert_int_equal(ws_rng_u32(&rng), cases[i].expected[word]);
    }
}

static void numbers_depend_on_every_coordinate(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        enum ws_stream stream;
        uint32_t a, b;
    } places[] = {
        {1, WS_STREAM_TEST, 0, 0}, {2, WS_STREAM_TEST, 0, 0}, {UINT64_C(1) << 32 | 1, WS_STREAM_TEST, 0, 0},
        {1, WS_STREAM_MIX, 0, 0},  {1, WS_STREAM_TEST, 1, 0}, {1, WS_STREAM_TEST, 0, 1},
    };
    enum { N = sizeof places / sizeof places[0] };
    uint32_t first[N], again[N];
    for (size_t i = 0; i < N; i++) {
        struct ws_rng rng;
        ws_rng_init(&rng, places[i].seed, places[i].stream, places[i].a, places[i].b);
        first[i] = ws_rng_u32(&rng);
        ws_rng_init(&rng, places[i].seed, places[i].stream, places[i].a, places[i].b);
        again[i] = ws_rng_u32(&rng);
    }
    assert_memory_equal(first, again, sizeof first);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(first[i], first[j]);
}

static void stream_numbers_never_move(void **state)
{
    (void)state;
    /* Checkpoints and published results were made with these. */
    assert_int_equal(WS_STREAM_INIT, 1);
    assert_int_equal(WS_STREAM_SHUFFLE, 2);
    assert_int_equal(WS_STREAM_AUGMENT, 3);
    assert_int_equal(WS_STREAM_SELECT, 4);
    assert_int_equal(WS_STREAM_MIX, 5);
    assert_int_equal(WS_STREAM_CRAWL, 6);
    assert_int_equal(WS_STREAM_TEST, 7);
    assert_int_equal(WS_STREAM_DROPOUT, 8);
    assert_int_equal(WS_STREAM_NOISE, 9);
}

static void below_is_even_where_a_modulus_is_not(void **state)
{
    (void)state;
    /* n = 3 * 2^30: a plain modulus would give the lower third twice as often, a plain multiply every third value. */
    enum { N = 60000 };
    const uint32_t n = UINT32_C(3) << 30;
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, 0, 0);
    int thirds[3] = {0}, residues[3] = {0};
    for (int i = 0; i < N; i++) {
        uint32_t value = ws_rng_below(&rng, n);
        assert_true(value < n);
        thirds[value >> 30]++;
        residues[value % 3]++;
    }
    for (int i = 0; i < 3; i++) { /* sigma = sqrt(N * 1/3 * 2/3) = 115 */
        assert_in_range(thirds[i], N / 3 - 700, N / 3 + 700);
        assert_in_range(residues[i], N / 3 - 700, N / 3 + 700);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(ws_rng_below(&rng, 1), 0);
}

static void uniform_fills_the_half_open_interval(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct ws_rng rng;
    ws_rng_init(&rng, 2, WS_STREAM_TEST, 0, 0);
    double sum = 0, least = 1, most = 0;
    for (int i = 0; i < N; i++) {
        double u = ws_rng_uniform(&rng);
        sum += u;
        least = fmin(least, u);
        most = fmax(most, u);
    }
    assert_true(least >= 0 && least < 2e-4 && most > 1 - 2e-4 && most < 1);
    assert_true(fabs(sum / N - 0.5) < 6 * sqrt(1.0 / 12 / N));
}

static void normal_has_moments_0_1_0_3(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct ws_rng rng;
    ws_rng_init(&rng, 3, WS_STREAM_TEST, 0, 0);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    for (int i = 0; i < N; i++) {
        double x = ws_rng_normal(&rng);
        assert_true(isfinite(x));
        m1 += x / N;
        m2 += x * x / N;
        m3 += x * x * x / N;
        m4 += x * x * x * x / N;
    }
    assert_true(fabs(m1) < 6 * sqrt(1.0 / N));
    assert_true(fabs(m2 - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(m3) < 6 * sqrt(15.0 / N));
    assert_true(fabs(m4 - 3) < 6 * sqrt(96.0 / N));
}

static void beta_has_its_mean_and_variance(void **state)
{
    (void)state;
    enum { N = 100000 };
    static const double cases[][2] = {{0.1, 0.1}, {1, 1}, {2, 5}, {0.5, 3}, {0.1, 2}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        double a = cases[c][0], b = cases[c][1], mean = a / (a + b);
        double variance = a * b / ((a + b) * (a + b) * (a + b + 1));
        struct ws_rng rng;
        ws_rng_init(&rng, 4, WS_STREAM_TEST, (uint32_t)c, 0);
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            double x = ws_rng_beta(&rng, a, b);
            assert_true(x >= 0 && x <= 1);
            sum += x;
            squares += (x - mean) * (x - mean);
        }
        assert_true(fabs(sum / N - mean) < 6 * sqrt(variance / N));
        assert_true(fabs(squares / N - variance) <
                    6 * sqrt(variance / N)); /* (x-mean)^2 <= 1: fourth moment <= variance */
    }
}

static void beta_of_tiny_parameters_is_a_number(void **state)
{
    (void)state;
    /* Both gamma variates underflow here: without logarithms this is 0/0. */
    enum { N = 20000 };
    struct ws_rng rng;
    ws_rng_init(&rng, 5, WS_STREAM_TEST, 0, 0);
    int n_high = 0;
    for (int i = 0; i < N; i++) {
        double x = ws_rng_beta(&rng, 1e-3, 1e-3);
        assert_true(x >= 0 && x <= 1);
        n_high += x > 0.5;
    }
    assert_in_range(n_high, N / 2 - 425, N / 2 + 425); /* six times sqrt(N)/2 */
}

static void permutation_is_one_and_every_place_is_reached(void **state)
{
    (void)state;
    enum { N = 1000, ROUNDS = 6000, SMALL = 3 };
    struct ws_rng rng;
    ws_rng_init(&rng, 6, WS_STREAM_TEST, 0, 0);
    uint32_t order[N];
    char seen[N] = {0};
    ws_rng_permutation(&rng, order, N);
    for (size_t i = 0; i < N; i++) {
        assert_true(order[i] < N && !seen[order[i]]);
        seen[order[i]] = 1;
    }
    int counts[SMALL * SMALL * SMALL] = {0}, n_kinds = 0;
    for (int i = 0; i < ROUNDS; i++) {
        ws_rng_permutation(&rng, order, SMALL);
        counts[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i] == 0)
            continue;
        n_kinds++;
        assert_in_range(counts[i], ROUNDS / 6 - 180, ROUNDS / 6 + 180); /* sigma = 29 */
    }
    assert_int_equal(n_kinds, 6);
    ws_rng_permutation(&rng, order, 0);
    ws_rng_permutation(&rng, order, 1);
    assert_int_equal(order[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(numbers_depend_on_every_coordinate),
        cmocka_unit_test(stream_numbers_never_move),
        cmocka_unit_test(below_is_even_where_a_modulus_is_not),
        cmocka_unit_test(uniform_fills_the_half_open_interval),
        cmocka_unit_test(normal_has_moments_0_1_0_3),
        cmocka_unit_test(beta_has_its_mean_and_variance),
        cmocka_unit_test(beta_of_tiny_parameters_is_a_number),
        cmocka_unit_test(permutation_is_one_and_every_place_is_reached),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
