/*
 * Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3",
 * SC 2011, section 3.3. The derived distributions use libm only, so a platform's libm is part of reproducibility.
 */
#include "webstill/base/rng.h"

#include "webstill/base/err.h"

#include <math.h>

enum { N_WORDS = 4, N_ROUNDS = 10 };

/* Four words from a 128-bit counter and a 64-bit key. */
static void fill_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    static const uint32_t M0 = 0xD2511F53, M1 = 0xCD9E8D57; /* multipliers of the paper's table 2 */
    static const uint32_t W0 = 0x9E3779B9, W1 = 0xBB67AE85; /* Weyl steps: golden ratio, sqrt(3) - 1 */
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < N_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)M0 * c0, p1 = (uint64_t)M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += W0;
        k1 += W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void ws_rng_init(struct ws_rng *rng, uint64_t seed, enum ws_stream stream, uint32_t a, uint32_t b)
{
    *rng = (struct ws_rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, a, b, (uint32_t)stream},
        .used = N_WORDS,
    };
}

uint32_t ws_rng_u32(struct ws_rng *rng)
{
    if (rng->used == N_WORDS) {
        fill_block(rng->counter, rng->key, rng->block);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

/* D. Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 2019, algorithm 5. */
uint32_t ws_rng_below(struct ws_rng *rng, uint32_t n)
{
    ws_assert(n > 0);
    uint64_t product = (uint64_t)ws_rng_u32(rng) * n;
    if ((uint32_t)product < n) {
        uint32_t least = (0 - n) % n; /* 2^32 mod n */
        while ((uint32_t)product < least)
            product = (uint64_t)ws_rng_u32(rng) * n;
    }
    return (uint32_t)(product >> 32);
}

double ws_rng_uniform(struct ws_rng *rng)
{
    uint64_t high = ws_rng_u32(rng) >> 5, low = ws_rng_u32(rng) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double ws_rng_normal(struct ws_rng *rng)
{
    static const double TWO_PI = 6.283185307179586476925;
    double radius = sqrt(-2 * log(1 - ws_rng_uniform(rng))); /* 1-u is never 0 */
    return radius * cos(TWO_PI * ws_rng_uniform(rng));
}

/*
 * Logarithm of a Gamma(shape, 1) variate. G. Marsaglia, W. W. Tsang, "A Simple Method for Generating Gamma
 * Variables", ACM TOMS 2000; below 1 by their boost G(a) = G(a+1) U^(1/a), which underflows unless taken as a
 * logarithm.
 */
static double draw_log_gamma(struct ws_rng *rng, double shape)
{
    double boost = 0;
    if (shape < 1) {
        boost = log(1 - ws_rng_uniform(rng)) / shape;
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = ws_rng_normal(rng), t = 1 + c * x;
        if (t <= 0)
            continue;
        double v = t * t * t;
        if (log(1 - ws_rng_uniform(rng)) < x * x / 2 + d - d * v + d * log(v))
            return boost + log(d) + log(v);
    }
}

double ws_rng_beta(struct ws_rng *rng, double alpha, double beta)
{
    ws_assert(alpha > 0 && beta > 0);
    double log_a = draw_log_gamma(rng, alpha), log_b = draw_log_gamma(rng, beta);
    return 1 / (1 + exp(log_b - log_a)); /* A/(A+B); exp may reach infinity, which is the right 0 */
}

void ws_rng_permutation(struct ws_rng *rng, uint32_t *order, size_t n)
{
    ws_assert(n <= UINT32_MAX);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = ws_rng_below(rng, (uint32_t)i);
        uint32_t swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}
