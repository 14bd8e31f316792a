/* Workers: every slice once, in order, whatever the number of threads; and a worker that sleeps is woken. */
#include "webstill/base/workers.h"

#include "webstill/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 5000 };

struct tally {
    atomic_int counts[MANY];
    atomic_int next, n_out_of_order, worst_worker;
};

static void count_slice(void *argument, int slice, int worker)
{
    struct tally *tally = argument;
    atomic_fetch_add(&tally->counts[slice], 1);
    int worst = atomic_load(&tally->worst_worker);
    while (worker > worst && !atomic_compare_exchange_weak(&tally->worst_worker, &worst, worker))
        continue;
}

static void every_slice_runs_once_for_any_thread_count(void **state)
{
    (void)state;
    static struct tally tally;
    static const int threads[] = {1, 2, 3, 8}, slices[] = {0, 1, 2, 7, MANY};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        struct ws_workers *workers;
        struct ws_err err = {0};
        assert_int_equal(ws_workers_open(&workers, threads[t], &err), WS_OK);
        assert_int_equal(ws_workers_count(workers), threads[t]);
        for (size_t s = 0; s < sizeof slices / sizeof slices[0]; s++) {
            memset(&tally, 0, sizeof tally);
            ws_workers_run(workers, slices[s], count_slice, &tally);
            for (int i = 0; i < MANY; i++)
                assert_int_equal(atomic_load(&tally.counts[i]), i < slices[s] ? 1 : 0);
            assert_true(atomic_load(&tally.worst_worker) < threads[t]);
        }
        ws_workers_close(&workers);
        assert_null(workers);
    }
}

static void write_slice(void *argument, int slice, int worker)
{
    (void)worker;
    int *values = argument;
    values[slice] += slice;
}

static void thousands_of_small_jobs_lose_nothing(void **state)
{
    (void)state;
    enum { JOBS = 20000, SLICES = 7 };
    int values[SLICES] = {0}; /* plain ints: what a slice wrote is visible when run returns */
    struct ws_workers *workers;
    assert_int_equal(ws_workers_open(&workers, 4, NULL), WS_OK);
    for (int job = 0; job < JOBS; job++) {
        ws_workers_run(workers, 1 + job % SLICES, write_slice, values);
        if (job % 5000 == 0)
            ws_clock_sleep_ms(2); /* long enough for the workers to fall asleep */
    }
    ws_workers_close(&workers);
    for (int slice = 0; slice < SLICES; slice++) {
        int n_jobs = 0;
        for (int job = 0; job < JOBS; job++)
            n_jobs += slice <= job % SLICES;
        assert_int_equal(values[slice], slice * n_jobs);
    }
}

static void note_order(void *argument, int slice, int worker)
{
    (void)worker;
    struct tally *tally = argument;
    if (atomic_fetch_add(&tally->next, 1) != slice)
        atomic_fetch_add(&tally->n_out_of_order, 1);
}

static void one_thread_runs_slices_in_order(void **state)
{
    (void)state;
    static struct tally tally;
    memset(&tally, 0, sizeof tally);
    struct ws_workers *workers;
    assert_int_equal(ws_workers_open(&workers, 1, NULL), WS_OK);
    ws_workers_run(workers, MANY, note_order, &tally);
    ws_workers_close(&workers);
    assert_int_equal(atomic_load(&tally.n_out_of_order), 0);
}

struct meeting {
    atomic_int n_present;
    atomic_bool has_failed;
};

/* Ends only when both slices run at the same time. */
static void meet(void *argument, int slice, int worker)
{
    (void)slice;
    (void)worker;
    struct meeting *meeting = argument;
    atomic_fetch_add(&meeting->n_present, 1);
    double end_s = ws_clock_mono_s() + 10;
    while (atomic_load(&meeting->n_present) < 2) {
        if (ws_clock_mono_s() > end_s) {
            atomic_store(&meeting->has_failed, true);
            return;
        }
    }
}

static void sleeping_worker_is_woken_to_work_beside_the_caller(void **state)
{
    (void)state;
    struct ws_workers *workers;
    assert_int_equal(ws_workers_open(&workers, 2, NULL), WS_OK);
    for (int i = 0; i < 20; i++) {
        ws_clock_sleep_ms(i % 4);
        struct meeting meeting = {0};
        ws_workers_run(workers, 2, meet, &meeting);
        assert_false(atomic_load(&meeting.has_failed));
    }
    ws_workers_close(&workers);
}

static void slow_slice(void *argument, int slice, int worker)
{
    (void)worker;
    if (slice == 0)
        ws_clock_sleep_ms(5);
    atomic_fetch_add((atomic_int *)argument, 1);
}

static void run_returns_only_after_the_slowest_slice(void **state)
{
    (void)state;
    struct ws_workers *workers;
    assert_int_equal(ws_workers_open(&workers, 3, NULL), WS_OK);
    for (int i = 0; i < 20; i++) {
        atomic_int n_ended = 0;
        ws_workers_run(workers, 3, slow_slice, &n_ended);
        assert_int_equal(atomic_load(&n_ended), 3);
    }
    ws_workers_close(&workers);
}

static void zero_means_a_thread_per_core_and_nonsense_is_refused(void **state)
{
    (void)state;
    struct ws_workers *workers;
    struct ws_err err = {0};
    assert_int_equal(ws_workers_open(&workers, 0, &err), WS_OK);
    assert_true(ws_workers_count(workers) >= 1);
    ws_workers_close(&workers);
    ws_workers_close(&workers); /* NULL now */
    assert_int_equal(ws_workers_open(&workers, -1, &err), WS_E_CONFIG);
    assert_null(workers);
    assert_non_null(strstr(err.text, "found -1"));
    assert_int_equal(ws_workers_open(&workers, 100000, &err), WS_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slice_runs_once_for_any_thread_count),
        cmocka_unit_test(thousands_of_small_jobs_lose_nothing),
        cmocka_unit_test(one_thread_runs_slices_in_order),
        cmocka_unit_test(sleeping_worker_is_woken_to_work_beside_the_caller),
        cmocka_unit_test(run_returns_only_after_the_slowest_slice),
        cmocka_unit_test(zero_means_a_thread_per_core_and_nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
