/* Curation beyond KD3: near duplicates, sources, quotas and drift, by closed forms and brute force. */
#include "near.h"

#include "webstill/base/clock.h"
#include "webstill/base/rng.h"
#include "webstill/curate/curation.h"
#include "webstill/curate/density.h"
#include "webstill/curate/drift.h"
#include "webstill/curate/phash.h"
#include "webstill/curate/provenance.h"
#include "webstill/curate/quota.h"
#include "webstill/curate/source.h"
#include "webstill/tensors/selection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE };

/* --- perceptual hash --- */

/* A drawing as icons are: a few filled shapes on black; with `mirrored`, left and right are the same. */
static void draw(uint8_t pixels[PIXELS], uint32_t number, bool mirrored)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 3, WS_STREAM_TEST, number, 0);
    memset(pixels, 0, PIXELS);
    for (int shape = 0; shape < 5; shape++) {
        const int x0 = (int)ws_rng_below(&rng, 20), y0 = (int)ws_rng_below(&rng, 20);
        const int w = 3 + (int)ws_rng_below(&rng, 10), h = 3 + (int)ws_rng_below(&rng, 10);
        const int value = 100 + (int)ws_rng_below(&rng, 150);
        for (int y = y0; y < y0 + h && y < SIDE; y++)
            for (int x = x0; x < x0 + w && x < SIDE; x++) {
                pixels[y * SIDE + x] = (uint8_t)value;
                if (mirrored)
                    pixels[y * SIDE + SIDE - 1 - x] = (uint8_t)value;
            }
    }
}

static void disturb(uint8_t to[PIXELS], const uint8_t from[PIXELS], uint32_t number)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 4, WS_STREAM_TEST, number, 0);
    for (int i = 0; i < PIXELS; i++) {
        const int value = (int)from[i] * 9 / 10 + 8 + (int)ws_rng_below(&rng, 13) - 6;
        to[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

static void the_hash_forgives_noise_and_contrast_and_tells_drawings_apart(void **state)
{
    (void)state;
    enum { N = 200 };
    static uint8_t pixels[PIXELS], other[PIXELS];
    static uint64_t hashes[N];
    int worst_same = 0, close_pairs = 0;
    double sum = 0;
    for (uint32_t i = 0; i < N; i++) {
        draw(pixels, i, i % 2);
        disturb(other, pixels, i);
        hashes[i] = ws_phash(pixels, SIDE, SIDE, 1);
        const int d = ws_phash_distance(hashes[i], ws_phash(other, SIDE, SIDE, 1));
        worst_same = d > worst_same ? d : worst_same;
        for (uint32_t j = 0; j < i; j++) {
            const int apart = ws_phash_distance(hashes[i], hashes[j]);
            close_pairs += apart <= 6;
            sum += apart;
        }
    }
    const double mean = sum / (N * (N - 1) / 2);
    assert_true(worst_same <= 6);
    assert_true(close_pairs <= N * (N - 1) / 2 / 1000);
    assert_true(mean > 20 && mean < 34);
}

static void the_hash_of_an_even_picture_is_zero(void **state)
{
    (void)state;
    static uint8_t pixels[PIXELS * 3];
    for (int value = 0; value < 256; value += 51) {
        memset(pixels, value, sizeof pixels);
        assert_true(ws_phash(pixels, SIDE, SIDE, 1) == 0);
        assert_true(ws_phash(pixels, SIDE, SIDE, 3) == 0);
    }
}

static void one_cosine_sets_its_own_bit_alone(void **state)
{
    (void)state;
    const double pi = acos(-1.0);
    static uint8_t pixels[64 * 64];
    for (int v = 1; v <= 8; v++)
        for (int u = 1; u <= 8; u++) {
            for (int y = 0; y < 64; y++)
                for (int x = 0; x < 64; x++)
                    pixels[y * 64 + x] =
                        (uint8_t)lround(128 + 100 * cos(pi * (2 * x + 1) * u / 128) * cos(pi * (2 * y + 1) * v / 128));
            assert_true(ws_phash(pixels, 64, 64, 1) == (uint64_t)1 << (8 * (v - 1) + (u - 1)));
        }
}

static void a_grey_picture_has_the_same_hash_in_three_channels(void **state)
{
    (void)state;
    static uint8_t grey[PIXELS], rgb[PIXELS * 3];
    for (uint32_t k = 0; k < 20; k++) {
        draw(grey, k, false);
        for (int i = 0; i < PIXELS * 3; i++)
            rgb[i] = grey[i / 3];
        assert_true(ws_phash(grey, SIDE, SIDE, 1) == ws_phash(rgb, SIDE, SIDE, 3));
    }
}

/* --- density --- */

enum { N = 600 };

/* Clusters of hashes around a few centres, some of them equal. */
static void make_hashes(uint64_t hashes[N], uint32_t stream)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 5, WS_STREAM_TEST, stream, 0);
    uint64_t centre = 0;
    for (int i = 0; i < N; i++) {
        if (i % 12 == 0)
            centre = (uint64_t)ws_rng_below(&rng, UINT32_MAX) << 32 | ws_rng_below(&rng, UINT32_MAX);
        hashes[i] = centre;
        for (int flips = (int)ws_rng_below(&rng, 9); flips > 0; flips--)
            hashes[i] ^= (uint64_t)1 << ws_rng_below(&rng, 64);
    }
}

static void make_confidences(float confidence[N], uint32_t stream)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 6, WS_STREAM_TEST, stream, 0);
    for (int i = 0; i < N; i++)
        confidence[i] = (float)ws_rng_below(&rng, 40) / 40; /* with ties */
}

static void near_duplicates_are_counted_as_all_pairs_count_them(void **state)
{
    (void)state;
    static uint64_t hashes[N];
    static uint32_t counts[N];
    for (int distance = 0; distance <= WS_DENSITY_MAX_DISTANCE; distance++) {
        struct ws_arena arena = {0};
        struct ws_density density;
        make_hashes(hashes, (uint32_t)distance);
        assert_true(ws_density_open(&density, &arena, hashes, N, distance));
        ws_density_count(&density, counts);
        for (int i = 0; i < N; i++) {
            uint32_t expected = 0;
            for (int j = 0; j < N; j++)
                expected += ws_phash_distance(hashes[i], hashes[j]) <= distance;
            assert_int_equal(counts[i], expected);
        }
        ws_arena_fini(&arena);
    }
}

static void of_near_duplicates_the_most_confident_stays(void **state)
{
    (void)state;
    static uint64_t hashes[N];
    static float confidence[N];
    static uint8_t before[N], keep[N];
    struct ws_arena arena = {0};
    struct ws_density density;
    make_hashes(hashes, 30);
    make_confidences(confidence, 30);
    for (int i = 0; i < N; i++)
        before[i] = keep[i] = i % 7 != 0;
    assert_true(ws_density_open(&density, &arena, hashes, N, 6));
    const size_t n_gone = ws_density_thin(&density, confidence, keep);
    size_t expected = 0;
    for (int i = 0; i < N; i++) {
        bool has_better = false;
        for (int j = 0; j < N; j++) {
            const bool is_near = j != i && ws_phash_distance(hashes[i], hashes[j]) <= 6;
            assert_false(is_near && keep[i] && keep[j]);
            has_better = has_better || (is_near && keep[j] &&
                                        (confidence[j] > confidence[i] || (confidence[j] >= confidence[i] && j < i)));
        }
        assert_true(keep[i] <= before[i]);
        assert_true(before[i] == keep[i] || has_better);
        expected += before[i] != keep[i];
    }
    assert_true(expected > 50);
    assert_int_equal(n_gone, expected);
    ws_arena_fini(&arena);
}

static void fifty_thousand_hashes_and_a_flood_of_copies_take_no_time_to_speak_of(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    uint64_t *hashes = calloc(MANY, sizeof *hashes);
    uint32_t *counts = calloc(MANY, sizeof *counts);
    struct ws_arena arena = {0};
    struct ws_density density;
    struct ws_rng rng;
    assert_true(hashes && counts);
    ws_rng_init(&rng, 8, WS_STREAM_TEST, 0, 0);
    for (int i = 0; i < MANY; i++) /* a third are copies of one picture */
        hashes[i] =
            i % 3 == 0 ? 12345 : (uint64_t)ws_rng_below(&rng, UINT32_MAX) << 32 | ws_rng_below(&rng, UINT32_MAX);
    const double start_s = ws_clock_mono_s();
    assert_true(ws_density_open(&density, &arena, hashes, MANY, 6));
    ws_density_count(&density, counts);
    const double seconds = ws_clock_mono_s() - start_s;
    print_message("50,000 hashes: %.2f s\n", seconds);
    assert_int_equal(counts[0], (MANY + 2) / 3);
    assert_true(seconds < 20); /* all pairs: 1.25e9 */
    ws_arena_fini(&arena);
    free(hashes);
    free(counts);
}

/* --- sources --- */

/* 4 sources; image i's links are given as pairs (source, class). */
static char *source_names[] = {"a.test", "b.test", "c.test", "d.test"};

struct links {
    uint32_t first[64];
    int32_t source[128], query_class[128];
    struct ws_sources sources;
};

static void begin_links(struct links *links)
{
    *links = (struct links){.sources = {.n_sources = 4, .names = source_names}};
}

static void add_image(struct links *links, int n, const int32_t pairs[][2])
{
    const size_t i = links->sources.n++;
    uint32_t at = links->first[i];
    for (int k = 0; k < n; k++, at++) {
        links->source[at] = pairs[k][0];
        links->query_class[at] = pairs[k][1];
    }
    links->first[i + 1] = at;
    links->sources.first = links->first;
    links->sources.source = links->source;
    links->sources.query_class = links->query_class;
}

static void precision_is_the_posterior_mean_under_a_beta_prior(void **state)
{
    (void)state;
    static struct links links;
    int32_t predicted[40];
    float confidence[40] = {0};
    begin_links(&links);
    for (int i = 0; i < 20; i++) { /* a: 15 of 20 believed */
        add_image(&links, 1, (const int32_t[][2]){{0, 1}});
        predicted[i] = i < 15 ? 1 : 2;
    }
    for (int i = 20; i < 30; i++) { /* b: 1 of 10 */
        add_image(&links, 1, (const int32_t[][2]){{1, 0}});
        predicted[i] = i == 20 ? 0 : 2;
    }
    add_image(&links, 1, (const int32_t[][2]){{2, 0}}); /* c: 0 of 1 */
    predicted[30] = 1;
    const struct ws_source_rule rule = {.belief = WS_BELIEF_CLASS, .prior = 10, .drop_below = .3};
    struct ws_source_row rows[4];
    const double m = ws_source_judge(&links.sources, predicted, confidence, &rule, rows);
    assert_near(m, 16.0 / 31, 1e-15);
    assert_near(rows[0].precision, (15 + 10 * m) / 30, 1e-15);
    assert_near(rows[1].precision, (1 + 10 * m) / 20, 1e-15);
    assert_near(rows[2].precision, 10 * m / 11, 1e-15);
    assert_near(rows[3].precision, m, 1e-15); /* nothing known: the pool's own */
    assert_true(rows[0].weight == 1 && rows[3].weight == 1);
    assert_near(rows[2].weight, 10.0 / 11, 1e-12); /* a single image moves it little … */
    assert_near(rows[1].weight, ((1 + 10 * m) / 20) / m, 1e-12);
    assert_int_equal(rows[1].n_judged, 10);
    const struct ws_source_rule strict = {.belief = WS_BELIEF_CLASS, .prior = 0, .drop_below = .3};
    ws_source_judge(&links.sources, predicted, confidence, &strict, rows);
    assert_near(rows[1].precision, .1, 1e-15);
    assert_true(rows[1].weight == 0 && rows[2].weight == 0 && rows[0].weight == 1); /* … without a prior it decides */
}

static void a_longer_record_is_believed_over_the_prior(void **state)
{
    (void)state;
    double before = 1;
    for (int n = 1; n <= 30; n++) { /* source 1 is never believed, source 0 always, equally often */
        static struct links links;
        int32_t predicted[60];
        float confidence[60] = {0};
        struct ws_source_row rows[4];
        begin_links(&links);
        for (int i = 0; i < 2 * n; i++) {
            add_image(&links, 1, (const int32_t[][2]){{i % 2, 0}});
            predicted[i] = i % 2;
        }
        const struct ws_source_rule rule = {.belief = WS_BELIEF_CLASS, .prior = 10};
        assert_near(ws_source_judge(&links.sources, predicted, confidence, &rule, rows), .5, 1e-15);
        assert_near(rows[1].weight, 10.0 / (n + 10), 1e-12);
        assert_true(rows[1].weight < before);
        before = rows[1].weight;
    }
}

static void links_without_a_class_are_judged_by_confidence_alone(void **state)
{
    (void)state;
    static struct links links;
    const int32_t predicted[] = {0, 1, 2};
    const float confidence[] = {.95f, .5f, .9f};
    struct ws_source_row rows[4];
    begin_links(&links);
    for (int i = 0; i < 3; i++)
        add_image(&links, 1, (const int32_t[][2]){{0, -1}});
    const struct ws_source_rule by_class = {.belief = WS_BELIEF_CLASS, .prior = 10};
    const struct ws_source_rule sure = {.belief = WS_BELIEF_CONFIDENCE, .confidence = .9f, .prior = 10};
    assert_true(isnan(ws_source_judge(&links.sources, predicted, confidence, &by_class, rows)));
    assert_true(rows[0].weight == 1 && rows[0].n_judged == 0 && rows[0].n_images == 3);
    assert_near(ws_source_judge(&links.sources, predicted, confidence, &sure, rows), 2.0 / 3, 1e-15);
    assert_int_equal(rows[0].n_believed, 2);
}

static void an_image_of_several_sources_takes_the_best_and_counts_for_the_smallest(void **state)
{
    (void)state;
    static struct links links;
    struct ws_source_row rows[4] = {{.weight = .2}, {.weight = .7}, {.weight = 0}, {.weight = 1}};
    float weights[5];
    int64_t n_images[4];
    int32_t owner[5];
    begin_links(&links);
    add_image(&links, 3, (const int32_t[][2]){{0, 0}, {0, 1}, {1, 0}}); /* a twice, b */
    add_image(&links, 1, (const int32_t[][2]){{2, 0}});
    add_image(&links, 0, NULL);
    add_image(&links, 1, (const int32_t[][2]){{0, 0}});
    add_image(&links, 2, (const int32_t[][2]){{1, 0}, {2, 0}}); /* b 2, c 2: the first by name */
    ws_source_weigh(&links.sources, rows, weights);
    assert_near(weights[0], .7, 1e-6);
    assert_true(weights[1] == 0 && weights[2] == 1);
    ws_source_own(&links.sources, n_images, owner);
    assert_int_equal(n_images[0], 2); /* an image counts once, however many classes searched for it */
    assert_int_equal(owner[0], 0);    /* a 2, b 2 */
    assert_int_equal(owner[1], 2);
    assert_int_equal(owner[2], -1);
    assert_int_equal(owner[4], 1);
}

static void a_host_is_cut_out_of_its_url(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"http://shop.test/a.png", "shop.test"}, {"https://user:word@shop.test:8188/a?b=http://c", "shop.test"},
        {"http://[::1]:80/a", "[::1]"},          {"http://shop.test", "shop.test"},
        {"http://shop.test?x=@y", "shop.test"},  {"mailto:a@b", ""}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char host[64];
        ws_source_host(table[i][0], host, sizeof host);
        assert_string_equal(host, table[i][1]);
    }
}

/* --- quota --- */

static void the_cap_solves_its_equation(void **state)
{
    (void)state;
    static const struct {
        int64_t owned[4];
        double share;
        int64_t cap;
    } table[] = {
        {{100, 30, 30, 0}, .5, 60},    /* t = (t + 60) / 2 */
        {{1000, 10, 10, 10}, .25, 10}, /* four owners, a quarter each */
        {{1000, 10, 10, 10}, .4, 20},  /* t = .4 (t + 30) */
        {{50, 50, 50, 50}, .25, 50},
        {{100, 90, 0, 0}, .3, 90}, /* two owners cannot both be below 30 %: equal numbers */
        {{100, 0, 0, 0}, .3, 100}, /* one owner alone has its class */
        {{7, 3, 0, 0}, 1, 7},
        {{0, 0, 0, 0}, .5, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(ws_quota_cap(table[i].owned, 4, table[i].share), table[i].cap);
}

static void no_owner_keeps_more_than_its_share_and_the_least_confident_go(void **state)
{
    (void)state;
    enum { CLASSES = 3, OWNERS = 5 };
    static int32_t predicted[N], owner[N];
    static float confidence[N];
    static uint8_t keep[N];
    static uint32_t scratch[N];
    int64_t n_owned[OWNERS];
    struct ws_rng rng;
    ws_rng_init(&rng, 9, WS_STREAM_TEST, 0, 0);
    make_confidences(confidence, 50);
    for (int i = 0; i < N; i++) {
        predicted[i] = (int32_t)ws_rng_below(&rng, CLASSES);
        owner[i] = ws_rng_below(&rng, 10) < 7 ? 0 : (int32_t)ws_rng_below(&rng, OWNERS); /* 0 floods */
        keep[i] = i % 11 != 0;
    }
    const struct ws_quota quota = {
        .share = .4, .at_least = 1, .n_owners = OWNERS, .n_owned = n_owned, .by_rank = scratch};
    const size_t n_gone = ws_quota_apply(&quota, N, CLASSES, predicted, confidence, owner, keep);
    assert_true(n_gone > 100);
    for (int c = 0; c < CLASSES; c++) {
        int64_t kept[OWNERS] = {0}, total = 0;
        for (int i = 0; i < N; i++)
            if (keep[i] && predicted[i] == c) {
                kept[owner[i]]++;
                total++;
            }
        for (int o = 0; o < OWNERS; o++)
            assert_true((double)kept[o] <= .4 * (double)total);
        assert_true((double)(kept[0] + 1) > .4 * (double)(total + 1)); /* and one more of the flood would be too many */
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) /* none that went is before one that stayed */
            if (i % 11 != 0 && !keep[i] && keep[j] && owner[i] == owner[j] && predicted[i] == predicted[j])
                assert_true(confidence[j] > confidence[i] || (confidence[j] >= confidence[i] && j < i));
}

static void a_quota_leaves_small_numbers_and_unowned_images_alone(void **state)
{
    (void)state;
    int32_t predicted[30] = {0}, owner[30];
    float confidence[30] = {0};
    uint8_t keep[30];
    uint32_t scratch[30];
    int64_t n_owned[2];
    struct ws_quota quota = {.share = .5, .at_least = 20, .n_owners = 2, .n_owned = n_owned, .by_rank = scratch};
    for (int i = 0; i < 30; i++) {
        owner[i] = i < 28 ? 0 : 1;
        keep[i] = 1;
    }
    assert_int_equal(ws_quota_apply(&quota, 30, 1, predicted, confidence, owner, keep), 8); /* 28 -> 20, not 2 */
    assert_true(keep[19] && !keep[20] && keep[28] && keep[29]);                             /* equals: the later go */
    memset(keep, 1, sizeof keep);
    for (int i = 0; i < 30; i++)
        owner[i] = -1;
    assert_int_equal(ws_quota_apply(&quota, 30, 1, predicted, confidence, owner, keep), 0);
}

/* --- drift --- */

static void divergence_has_its_closed_forms(void **state)
{
    (void)state;
    const double p[] = {1, 2, 3, 4}, twice[] = {2, 4, 6, 8}, left[] = {1, 0}, right[] = {0, 5}, even[] = {1, 1};
    assert_true(ws_drift_divergence(p, twice, 4) == 0); /* only shares count */
    assert_near(ws_drift_divergence(left, right, 2), 1, 1e-15);
    /* JSD({1,0},{1/2,1/2}) = log2(4/3)/2 + (log2(2/3)/2 + log2(2)/2)/2 */
    assert_near(ws_drift_divergence(left, even, 2), .5 * log2(4.0 / 3) + .25 * log2(2.0 / 3) + .25, 1e-15);
    assert_near(ws_drift_divergence(even, left, 2), ws_drift_divergence(left, even, 2), 1e-15);
    assert_true(isnan(ws_drift_divergence(left, (const double[]){0, 0}, 2)));
}

struct small_selection {
    uint8_t keep[N], reason[N];
    float confidence[N], weight[N];
    int32_t predicted[N];
    double threshold[4];
    int64_t n_predicted[4], n_kept[4];
    struct ws_selection selection;
};

static void make_selection(struct small_selection *s, uint32_t stream, size_t n)
{
    memset(s, 0, sizeof *s);
    make_confidences(s->confidence, stream);
    for (size_t i = 0; i < n; i++) {
        s->predicted[i] = (int32_t)(i % 4);
        s->keep[i] = s->confidence[i] > .5f;
        s->reason[i] = s->keep[i] ? WS_REASON_KEPT : WS_REASON_THRESHOLD;
        s->weight[i] = (float)s->keep[i];
        s->n_predicted[i % 4]++;
        s->n_kept[i % 4] += s->keep[i];
        s->selection.n_kept_total += s->keep[i];
    }
    s->selection.n = n;
    s->selection.n_classes = 4;
    s->selection.keep = s->keep;
    s->selection.reason = s->reason;
    s->selection.weight = s->weight;
    s->selection.confidence = s->confidence;
    s->selection.predicted = s->predicted;
    s->selection.threshold = s->threshold;
    s->selection.n_predicted = s->n_predicted;
    s->selection.n_kept = s->n_kept;
}

static void equal_pools_do_not_drift_and_a_lost_class_does(void **state)
{
    (void)state;
    static struct small_selection a, b;
    struct ws_drift_class classes[4];
    make_selection(&a, 60, N);
    make_selection(&b, 60, N);
    struct ws_drift drift = ws_drift_compare(&a.selection, &b.selection, classes);
    assert_true(drift.class_drift == 0 && drift.confidence_drift == 0);
    assert_true(classes[2].n_now == N / 4 && classes[2].confidence_drift == 0);
    assert_near(classes[1].kept_now, (double)a.n_kept[1] / (N / 4), 1e-15);
    for (int i = 0; i < N; i++)
        b.predicted[i] = b.predicted[i] == 3 ? 2 : b.predicted[i]; /* class 3 became class 2 */
    drift = ws_drift_compare(&a.selection, &b.selection, classes);
    /* shares 1/4 1/4 1/4 1/4 and 1/4 1/4 1/2 0 */
    assert_near(drift.class_drift, .5 * (.25 * log2(.25 / .375) + .25 + .5 * log2(.5 / .375)), 1e-12);
    assert_true(drift.confidence_drift == 0);
    assert_true(isnan(classes[3].confidence_now) && isnan(classes[3].confidence_drift));
}

static void samples_of_one_distribution_drift_by_chance_alone(void **state)
{
    (void)state;
    static struct small_selection a, b;
    struct ws_drift_class classes[4];
    make_selection(&a, 61, N);
    make_selection(&b, 62, N);
    const struct ws_drift drift = ws_drift_compare(&a.selection, &b.selection, classes);
    const double expected = (WS_DRIFT_BINS - 1) / (4 * N * log(2));
    assert_true(drift.confidence_drift > 0 && drift.confidence_drift < 3 * expected);
}

/* --- all together --- */

static void no_rule_changes_nothing(void **state)
{
    (void)state;
    static struct small_selection a, b;
    struct ws_curation curation = {0};
    const struct ws_curate_keys off = {.quota = 1, .quota_of = WS_BY_HOST};
    make_selection(&a, 70, N);
    make_selection(&b, 70, N);
    assert_false(ws_curation_is_on(&off));
    ws_curation_apply(&curation, &a.selection);
    assert_memory_equal(&a.keep, &b.keep, sizeof a.keep);
    assert_memory_equal(&a.weight, &b.weight, sizeof a.weight);
}

static void weights_share_one_images_worth_and_have_mean_one(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    static uint8_t pixels[COUNT][PIXELS];
    static const uint8_t *rows[COUNT];
    static struct ws_image_id ids[COUNT];
    static struct small_selection a;
    struct ws_curation curation;
    struct ws_err err = {0};
    const struct ws_curate_keys rule = {.density = WS_DENSITY_WEIGHT, .density_distance = 4, .quota = 1};
    for (uint32_t i = 0; i < COUNT; i++) { /* 30 copies of drawing 0, 30 drawings of their own */
        draw(pixels[i], i < 30 ? 0 : i, false);
        rows[i] = pixels[i];
    }
    make_selection(&a, 71, COUNT);
    a.keep[0] = a.keep[40] = 1;
    a.reason[0] = a.reason[40] = WS_REASON_KEPT;
    const struct ws_curation_pool pool = {
        .n = COUNT, .n_classes = 4, .ids = ids, .pixels = rows, .height = SIDE, .width = SIDE, .channels = 1};
    assert_int_equal(ws_curation_open(&curation, &rule, &pool, &err), WS_OK);
    ws_curation_apply(&curation, &a.selection);
    assert_int_equal(curation.n_near[0], 30);
    assert_int_equal(curation.n_near[40], 1);
    assert_near(a.weight[40] / a.weight[0], 30, 1e-3);
    double sum = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true((a.weight[i] > 0) == (a.keep[i] != 0));
        sum += (double)a.weight[i];
    }
    assert_near(sum / (double)a.selection.n_kept_total, 1, 1e-6);
    ws_curation_close(&curation);
}

static void each_dropped_image_has_the_rule_that_dropped_it(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    static uint8_t pixels[COUNT][PIXELS];
    static const uint8_t *rows[COUNT];
    static struct ws_image_id ids[COUNT];
    static struct small_selection a;
    struct ws_curation curation;
    struct ws_err err = {0};
    const struct ws_curate_keys rule = {.density = WS_DENSITY_DROP, .density_distance = 4, .quota = 1};
    for (uint32_t i = 0; i < COUNT; i++) {
        draw(pixels[i], i < 30 ? 0 : i, false);
        rows[i] = pixels[i];
    }
    make_selection(&a, 72, COUNT);
    const int64_t by_threshold = ws_selection_count_reason(&a.selection, WS_REASON_THRESHOLD);
    const struct ws_curation_pool pool = {
        .n = COUNT, .n_classes = 4, .ids = ids, .pixels = rows, .height = SIDE, .width = SIDE, .channels = 1};
    assert_int_equal(ws_curation_open(&curation, &rule, &pool, &err), WS_OK);
    ws_curation_apply(&curation, &a.selection);
    int copies = 0;
    int64_t kept = 0;
    for (int i = 0; i < COUNT; i++) {
        copies += i < 30 && a.keep[i];
        assert_int_equal(a.reason[i] == WS_REASON_KEPT, a.keep[i]);
        kept += a.keep[i];
    }
    assert_int_equal(copies, 1);
    assert_int_equal(ws_selection_count_reason(&a.selection, WS_REASON_THRESHOLD), by_threshold);
    assert_true(ws_selection_count_reason(&a.selection, WS_REASON_DENSITY) > 5);
    assert_int_equal(a.n_kept[0] + a.n_kept[1] + a.n_kept[2] + a.n_kept[3], kept);
    assert_int_equal(a.selection.n_kept_total, kept);
    ws_curation_close(&curation);
}

static void ranks_of_a_class_are_a_permutation_in_order_of_confidence(void **state)
{
    (void)state;
    static struct small_selection a;
    static bool is_taken[N + 1];
    make_selection(&a, 73, N);
    const struct ws_selection_file file = {
        .n = N, .n_classes = 4, .confidence = a.confidence, .predicted = a.predicted};
    for (size_t i = 0; i < N; i += 4) { /* class 0 */
        size_t n_of_class;
        const size_t rank = ws_selection_file_rank(&file, i, &n_of_class);
        assert_int_equal(n_of_class, N / 4);
        assert_true(rank >= 1 && rank <= N / 4 && !is_taken[rank]);
        is_taken[rank] = true;
        for (size_t j = 0; j < i; j += 4) {
            const size_t other = ws_selection_file_rank(&file, j, &n_of_class);
            assert_int_equal(other < rank, a.confidence[j] >= a.confidence[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_forgives_noise_and_contrast_and_tells_drawings_apart),
        cmocka_unit_test(the_hash_of_an_even_picture_is_zero),
        cmocka_unit_test(one_cosine_sets_its_own_bit_alone),
        cmocka_unit_test(a_grey_picture_has_the_same_hash_in_three_channels),
        cmocka_unit_test(near_duplicates_are_counted_as_all_pairs_count_them),
        cmocka_unit_test(of_near_duplicates_the_most_confident_stays),
        cmocka_unit_test(fifty_thousand_hashes_and_a_flood_of_copies_take_no_time_to_speak_of),
        cmocka_unit_test(precision_is_the_posterior_mean_under_a_beta_prior),
        cmocka_unit_test(a_longer_record_is_believed_over_the_prior),
        cmocka_unit_test(links_without_a_class_are_judged_by_confidence_alone),
        cmocka_unit_test(an_image_of_several_sources_takes_the_best_and_counts_for_the_smallest),
        cmocka_unit_test(a_host_is_cut_out_of_its_url),
        cmocka_unit_test(the_cap_solves_its_equation),
        cmocka_unit_test(no_owner_keeps_more_than_its_share_and_the_least_confident_go),
        cmocka_unit_test(a_quota_leaves_small_numbers_and_unowned_images_alone),
        cmocka_unit_test(divergence_has_its_closed_forms),
        cmocka_unit_test(equal_pools_do_not_drift_and_a_lost_class_does),
        cmocka_unit_test(samples_of_one_distribution_drift_by_chance_alone),
        cmocka_unit_test(no_rule_changes_nothing),
        cmocka_unit_test(weights_share_one_images_worth_and_have_mean_one),
        cmocka_unit_test(each_dropped_image_has_the_rule_that_dropped_it),
        cmocka_unit_test(ranks_of_a_class_are_a_permutation_in_order_of_confidence),
    };
    return cmocka_run_group_tests_name("curation", tests, NULL, NULL);
}
