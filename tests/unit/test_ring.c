/* Images made in the run: what the ring holds, how it draws, and that it comes back from a checkpoint byte for byte. */
#include "../../distill/learn/ring.h"
#include "pool_data.h"
#include "temp.h"

#include "webstill/base/file.h"

#include <math.h>

enum { SIDE = 4, PIXELS = SIDE * SIDE, CAPACITY = 10, BATCH = 8 };

struct bench {
    struct ws_dataset like;
    struct ws_workers *workers;
    struct ws_session session;
    struct ws_ring *ring;
    struct ws_supply *supply;
};

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

static void open_bench(struct bench *b, struct ws_ring_options options)
{
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    pool_data_make(&b->like, 4, SIDE, 1, 2);
    check(ws_workers_open(&b->workers, 2, &err), &err);
    b->session = (struct ws_session){.workers = b->workers,
                                     .data = &b->like,
                                     .augment = {.mean = {.5f}, .std = {.25f}},
                                     .seed = 3,
                                     .batch = BATCH,
                                     .epochs = 2};
    options.capacity = CAPACITY;
    check(ws_ring_open(&b->ring, &b->session, &options, &err), &err);
    b->supply = ws_ring_supply(b->ring);
}

static void close_bench(struct bench *b)
{
    ws_supply_close(&b->supply);
    ws_dataset_close(&b->like);
    ws_workers_close(&b->workers);
}

/* Images number first, first + 1, …: all pixels the byte of that number, its label too. */
static void put(struct bench *b, int first, int n)
{
    float images[CAPACITY * 2 * PIXELS];
    int32_t labels[CAPACITY * 2], groups[CAPACITY * 2];
    assert_true(n <= CAPACITY * 2);
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < PIXELS; p++)
            images[i * PIXELS + p] = ((float)(first + i) / 255.0f - .5f) / .25f;
        labels[i] = first + i;
        groups[i] = -(first + i) - 1;
    }
    ws_ring_put(b->ring, images, n, labels, groups);
}

static struct ws_batch draw(struct bench *b, int64_t step, int turn)
{
    struct ws_batch batch;
    const struct ws_place place = {.epoch = 1, .epochs = 2, .step = step, .turn = turn};
    b->supply->kind->draw(b->supply, &place, &batch);
    return batch;
}

static void it_holds_the_newest_and_no_more(void **state)
{
    (void)state;
    for (int is_float = 0; is_float < 2; is_float++) {
        static struct bench b;
        int n_seen[30] = {0};
        float input[BATCH * PIXELS];
        open_bench(&b, (struct ws_ring_options){.keeps_floats = is_float});
        assert_int_equal(ws_ring_count(b.ring), 0);
        put(&b, 0, 7);
        assert_int_equal(ws_ring_count(b.ring), 7);
        put(&b, 7, 16);
        assert_int_equal(ws_ring_count(b.ring), CAPACITY);
        for (int64_t step = 0; step < 40; step++) {
            const struct ws_batch batch = draw(&b, step, 0);
            b.supply->kind->show(b.supply, &batch, &(struct ws_place){.step = step}, input);
            assert_int_equal(batch.n, BATCH);
            assert_null(batch.weights);
            for (int i = 0; i < batch.n; i++) {
                const int number = batch.labels[i];
                assert_in_range(number, 13, 22); /* of 23 the last ten */
                assert_int_equal(batch.groups[i], -number - 1);
                assert_int_equal(lrintf((input[i * PIXELS + 5] * .25f + .5f) * 255.0f), number);
                n_seen[number]++;
            }
        }
        for (int i = 13; i < 23; i++)
            assert_true(n_seen[i] > 10);
        close_bench(&b);
    }
}

static void floats_come_back_as_they_were(void **state)
{
    (void)state;
    static struct bench b;
    float images[CAPACITY * PIXELS], input[BATCH * PIXELS];
    open_bench(&b, (struct ws_ring_options){.keeps_floats = true});
    for (int i = 0; i < CAPACITY * PIXELS; i++)
        images[i] = (float)i * 1e-3f - 7.0f;
    ws_ring_put(b.ring, images, CAPACITY, NULL, NULL);
    const struct ws_batch batch = draw(&b, 1, 0);
    b.supply->kind->show(b.supply, &batch, &(struct ws_place){.step = 1}, input);
    for (int i = 0; i < BATCH; i++) {
        assert_memory_equal(input + i * PIXELS, images + batch.images[i] * PIXELS, PIXELS * sizeof *input);
        assert_int_equal(batch.labels[i], WS_NO_LABEL);
    }
    close_bench(&b);
}

static void bytes_are_shown_in_a_view_of_their_own_each_time(void **state)
{
    (void)state;
    static struct bench b;
    float images[PIXELS * 2], first[BATCH * PIXELS], again[BATCH * PIXELS];
    struct ws_err err = {0};
    const uint32_t slots[] = {0, 1};
    struct ws_batch batch;
    open_bench(&b, (struct ws_ring_options){0});
    b.session.augment.kind = WS_AUGMENT_SHIFT;
    b.session.augment.pad = 2;
    for (int i = 0; i < 2 * PIXELS; i++)
        images[i] = (float)(i % PIXELS) / 16.0f;
    ws_ring_put(b.ring, images, 2, NULL, NULL);
    int n_different = 0;
    for (uint32_t pass = 0; pass < 20; pass++) {
        check(b.supply->kind->take(b.supply, slots, 2, pass, &batch, &err), &err);
        b.supply->kind->show(b.supply, &batch, &(struct ws_place){0}, first);
        b.supply->kind->show(b.supply, &batch, &(struct ws_place){0}, again);
        assert_memory_equal(first, again, 2 * PIXELS * sizeof *first);
        n_different += memcmp(first, first + PIXELS, PIXELS * sizeof *first) != 0;
    }
    assert_true(n_different > 10); /* equal pixels, other numbers */
    close_bench(&b);
}

/* 99.9 % of seeds stay below 27.9 with 9 degrees of freedom. */
static void it_draws_as_often_as_priorities_say_and_weighs_against_it(void **state)
{
    (void)state;
    static struct bench b;
    enum { STEPS = 1000 };
    int n_drawn[CAPACITY] = {0};
    double sum = 0, chi2 = 0, weighted = 0;
    open_bench(&b, (struct ws_ring_options){.correction = 1});
    put(&b, 0, CAPACITY);
    for (uint32_t slot = 0; slot < CAPACITY; slot++)
        sum += slot + 1;
    for (uint32_t slot = 0; slot < CAPACITY; slot++)
        ws_ring_set_priority(b.ring, slot, slot + 1);
    for (int64_t step = 0; step < STEPS; step++) {
        const struct ws_batch batch = draw(&b, step, 0);
        for (int i = 0; i < batch.n; i++) {
            const uint32_t slot = batch.images[i];
            n_drawn[slot]++;
            assert_true(fabs((double)batch.weights[i] - sum / (CAPACITY * (slot + 1.0))) < 1e-6);
            weighted += (double)batch.weights[i] * slot / (STEPS * BATCH);
        }
    }
    for (int slot = 0; slot < CAPACITY; slot++) {
        const double expected = STEPS * BATCH * (slot + 1) / sum;
        chi2 += pow(n_drawn[slot] - expected, 2) / expected;
    }
    if (!(chi2 < 27.9))
        fail_msg("chi squared is %g", chi2);
    assert_true(fabs(weighted - 4.5) < .2); /* the mean over all of them */
    close_bench(&b);
}

static void raise_priority(void *argument, struct ws_ring *ring, const struct ws_batch *batch, const float *loss_of)
{
    (void)argument;
    for (int i = 0; i < batch->n; i++)
        ws_ring_set_priority(ring, batch->images[i], (double)loss_of[i]);
}

static void losses_come_back_and_a_new_image_has_the_largest_priority(void **state)
{
    (void)state;
    static struct bench b;
    struct ws_batch batch;
    struct ws_err err = {0};
    const uint32_t slots[] = {1, 4};
    const float losses[] = {.5f, 3.0f};
    open_bench(&b, (struct ws_ring_options){.note = raise_priority});
    put(&b, 0, 6);
    check(b.supply->kind->take(b.supply, slots, 2, 0, &batch, &err), &err);
    b.supply->kind->note(b.supply, &batch, losses);
    assert_true(ws_ring_priority(b.ring, 1) == .5 && ws_ring_priority(b.ring, 4) == 3.0);
    assert_true(ws_ring_priority(b.ring, 0) == 1.0);
    put(&b, 6, 1);
    assert_true(ws_ring_priority(b.ring, 6) == 3.0);
    close_bench(&b);
}

static void save(struct bench *b, const char *path)
{
    struct ws_checkpoint checkpoint = {0};
    struct ws_err err = {0};
    json_t *loop = json_object();
    b->supply->kind->save(b->supply, &checkpoint, true);
    check(ws_checkpoint_write(&checkpoint, path, "key", loop, &err), &err);
    json_decref(loop);
}

static enum ws_status load(struct bench *b, const char *path, struct ws_err *err)
{
    struct ws_tensors *file;
    json_t *loop;
    check(ws_checkpoint_open(&file, &loop, path, "key", err), err);
    const enum ws_status status = b->supply->kind->load(b->supply, file, true, err);
    json_decref(loop);
    ws_tensors_close(&file);
    return status;
}

static void a_ring_that_was_saved_draws_and_shows_what_the_other_does(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        static struct bench whole, resumed;
        const struct ws_ring_options options = {.keeps_floats = kind % 2, .correction = .4};
        char a[TEMP_PATH], c[TEMP_PATH];
        float left[BATCH * PIXELS], right[BATCH * PIXELS];
        struct ws_buf first = {0}, second = {0};
        struct ws_err err = {0};
        open_bench(&whole, options);
        open_bench(&resumed, options);
        whole.session.augment.kind = resumed.session.augment.kind = WS_AUGMENT_SHIFT;
        whole.session.augment.pad = resumed.session.augment.pad = 1;
        put(&whole, 0, kind < 2 ? 6 : 17); /* not yet full, and once around */
        ws_ring_set_priority(whole.ring, 2, 5.5);
        save(&whole, temp_join(a, *state, "first"));
        check(load(&resumed, a, &err), &err);
        save(&resumed, temp_join(c, *state, "second"));
        check(ws_file_read(a, 1 << 20, &first, &err), &err);
        check(ws_file_read(c, 1 << 20, &second, &err), &err);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.ptr, second.ptr, first.len);
        put(&whole, 30, 3);
        put(&resumed, 30, 3);
        for (int64_t step = 0; step < 5; step++) {
            const struct ws_batch x = draw(&whole, step, 1), y = draw(&resumed, step, 1);
            assert_memory_equal(x.images, y.images, BATCH * sizeof *x.images);
            assert_memory_equal(x.weights, y.weights, BATCH * sizeof *x.weights);
            whole.supply->kind->show(whole.supply, &x, &(struct ws_place){.step = step}, left);
            resumed.supply->kind->show(resumed.supply, &y, &(struct ws_place){.step = step}, right);
            assert_memory_equal(left, right, sizeof left);
            uint32_t slots[BATCH];
            memcpy(slots, x.images, sizeof slots);
            const struct ws_batch other = draw(&resumed, step, 2); /* another turn draws anew */
            assert_memory_not_equal(slots, other.images, sizeof slots);
        }
        ws_buf_fini(&first);
        ws_buf_fini(&second);
        close_bench(&whole);
        close_bench(&resumed);
    }
}

static void tensors_of_another_ring_are_refused(void **state)
{
    static struct bench bytes, floats;
    struct ws_err err = {0};
    char path[TEMP_PATH];
    open_bench(&bytes, (struct ws_ring_options){0});
    open_bench(&floats, (struct ws_ring_options){.keeps_floats = true});
    put(&bytes, 0, 4);
    save(&bytes, temp_join(path, *state, "bytes"));
    assert_int_equal(load(&floats, path, &err), WS_E_DAMAGED);
    assert_non_null(strstr(err.text, "4 images"));
    close_bench(&bytes);
    close_bench(&floats);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_the_newest_and_no_more),
        cmocka_unit_test(floats_come_back_as_they_were),
        cmocka_unit_test(bytes_are_shown_in_a_view_of_their_own_each_time),
        cmocka_unit_test(it_draws_as_often_as_priorities_say_and_weighs_against_it),
        cmocka_unit_test(losses_come_back_and_a_new_image_has_the_largest_priority),
        IN_FOLDER(a_ring_that_was_saved_draws_and_shows_what_the_other_does),
        IN_FOLDER(tensors_of_another_ring_are_refused),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
