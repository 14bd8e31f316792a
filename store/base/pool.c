/*
 * The pool: a ticket that hands out slices, and workers that sleep between jobs.
 *
 * The ticket is one atomic word: the job's number above, the slices not yet taken below. A worker takes a slice by
 * counting it down with a compare-and-swap, so a worker that wakes late, with an old job in its hands, takes nothing
 * and harms nothing; the caller therefore never waits for workers, only for slices. What a worker reads of a job is
 * settled before the ticket shows it and changes only after the last slice has ended, and the swap proves that neither
 * moment was crossed.
 */
#define _GNU_SOURCE /* sched_getaffinity: the cores this process may use */
#include "webstill/base/pool.h"

#include "webstill/base/clock.h"
#include "webstill/base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    SPINS_PER_LOOK = 32, /* pauses between two looks at the clock */
};

/* Training dispatches thousands of small jobs a second; waking a sleeping thread costs more than this. */
static const double SPIN_S = 20e-6;

struct worker {
    struct ws_pool *pool; /* borrowed */
    pthread_t thread;
    int index;
};

struct ws_pool {
    int n_threads;
    struct worker *workers; /* owned: n_threads - 1 */
    int n_started;

    void *scratch; /* owned */
    size_t n_scratch;

    _Atomic(ws_slice_fn *) work;
    _Atomic(void *) argument;
    atomic_int n_slices;
    _Atomic(uint64_t) ticket; /* job << 32 | slices not yet taken */
    atomic_int n_unfinished;  /* slices of the job that have not ended */
    atomic_bool is_running;   /* catches a second caller */
    atomic_bool is_closing;

    pthread_mutex_t mutex;
    pthread_cond_t job_came, job_ended;
    atomic_int n_sleeping;     /* workers in job_came */
    atomic_bool caller_sleeps; /* the caller is in job_ended */
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t job_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

/* Take slices of the current job until none is left. */
static void work_slices(struct ws_pool *pool, int worker)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    while ((uint32_t)ticket > 0) {
        ws_slice_fn *work = atomic_load_explicit(&pool->work, memory_order_relaxed);
        void *argument = atomic_load_explicit(&pool->argument, memory_order_relaxed);
        int slice = atomic_load_explicit(&pool->n_slices, memory_order_relaxed) - (int)(uint32_t)ticket;
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1))
            continue;
        work(argument, slice, worker);
        if (atomic_fetch_sub(&pool->n_unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->job_ended);
            pthread_mutex_unlock(&pool->mutex);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

static bool has_news(struct ws_pool *pool, uint32_t seen_job)
{
    return job_of(atomic_load(&pool->ticket)) != seen_job || atomic_load(&pool->is_closing);
}

static void await_job(struct ws_pool *pool, uint32_t seen_job)
{
    double end_s = ws_clock_mono_s() + SPIN_S;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (has_news(pool, seen_job))
                return;
            relax();
        }
    } while (ws_clock_mono_s() < end_s);

    pthread_mutex_lock(&pool->mutex);
    /* Announced before the last look: either the caller sees a sleeper, or the sleeper sees the job. */
    atomic_fetch_add(&pool->n_sleeping, 1);
    while (!has_news(pool, seen_job))
        pthread_cond_wait(&pool->job_came, &pool->mutex);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *run_worker(void *argument)
{
    const struct worker *self = argument;
    struct ws_pool *pool = self->pool;
    uint32_t seen_job = 0;
    for (;;) {
        await_job(pool, seen_job);
        if (atomic_load(&pool->is_closing))
            return NULL;
        seen_job = job_of(atomic_load(&pool->ticket));
        work_slices(pool, self->index);
    }
}

static void await_end(struct ws_pool *pool)
{
    double end_s = ws_clock_mono_s() + SPIN_S;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load(&pool->n_unfinished) == 0)
                return;
            relax();
        }
    } while (ws_clock_mono_s() < end_s);

    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->n_unfinished) != 0)
        pthread_cond_wait(&pool->job_ended, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

static void wake_workers(struct ws_pool *pool, int n_wanted)
{
    int n_sleeping = atomic_load(&pool->n_sleeping);
    if (n_sleeping == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    if (n_wanted >= n_sleeping) {
        pthread_cond_broadcast(&pool->job_came);
    } else {
        for (int i = 0; i < n_wanted; i++)
            pthread_cond_signal(&pool->job_came);
    }
    pthread_mutex_unlock(&pool->mutex);
}

void ws_pool_run(struct ws_pool *pool, int n_slices, ws_slice_fn *work, void *argument)
{
    ws_assert(n_slices >= 0);
    bool was_running = atomic_exchange(&pool->is_running, true);
    ws_assert(!was_running);
    if (n_slices <= 1 || pool->n_threads == 1) {
        for (int slice = 0; slice < n_slices; slice++)
            work(argument, slice, 0);
    } else {
        atomic_store_explicit(&pool->work, work, memory_order_relaxed);
        atomic_store_explicit(&pool->argument, argument, memory_order_relaxed);
        atomic_store_explicit(&pool->n_slices, n_slices, memory_order_relaxed);
        atomic_store(&pool->n_unfinished, n_slices);
        uint64_t job = job_of(atomic_load(&pool->ticket)) + UINT64_C(1);
        atomic_store(&pool->ticket, job << 32 | (uint32_t)n_slices);
        wake_workers(pool, n_slices - 1);
        work_slices(pool, 0);
        await_end(pool);
    }
    atomic_store(&pool->is_running, false);
}

int ws_pool_n_cores(void)
{
    cpu_set_t cores;
    int n = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 0;
    if (n <= 0)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
    if (n <= 0)
        n = 1;
    return n < MAX_THREADS ? n : MAX_THREADS;
}

/* Workers block every signal, so that a stop reaches the main thread and interrupts its system calls. */
static enum ws_status start_workers(struct ws_pool *pool, struct ws_err *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = 0;
    while (code == 0 && pool->n_started < pool->n_threads - 1) {
        struct worker *worker = &pool->workers[pool->n_started];
        *worker = (struct worker){.pool = pool, .index = pool->n_started + 1};
        code = pthread_create(&worker->thread, NULL, run_worker, worker);
        if (code == 0)
            pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code == 0)
        return WS_OK;
    ws_fail(err, WS_E_MEMORY, "cannot start worker thread %d of %d: error %d", pool->n_started + 1, pool->n_threads - 1,
            code);
    ws_err_hint(err, "use fewer threads (--threads N), or raise the limit on processes (ulimit -u)");
    return WS_E_MEMORY;
}

enum ws_status ws_pool_open(struct ws_pool **out, int n_threads, struct ws_err *err)
{
    *out = NULL;
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return ws_fail(err, WS_E_CONFIG, "threads: expected 0 to %d, found %d", MAX_THREADS, n_threads);
    if (n_threads == 0)
        n_threads = ws_pool_n_cores();
    struct ws_pool *pool = ws_calloc(1, sizeof *pool);
    if (pool == NULL)
        return ws_fail(err, WS_E_MEMORY, "cannot start %d threads: out of memory", n_threads);
    pool->n_threads = n_threads;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->job_came, NULL);
    pthread_cond_init(&pool->job_ended, NULL);
    enum ws_status status = WS_OK;
    pool->workers = ws_calloc((size_t)n_threads, sizeof *pool->workers);
    if (pool->workers == NULL)
        status = ws_fail(err, WS_E_MEMORY, "cannot start %d threads: out of memory", n_threads);
    else
        status = start_workers(pool, err);
    if (status != WS_OK) {
        ws_pool_close(&pool);
        return status;
    }
    *out = pool;
    return WS_OK;
}

enum ws_status ws_pool_reserve(struct ws_pool *pool, size_t size_bytes, struct ws_err *err)
{
    if (size_bytes <= pool->n_scratch)
        return WS_OK;
    void *bigger = ws_alloc_aligned(size_bytes, 1);
    if (!bigger)
        return ws_fail(err, WS_E_MEMORY, "%.1f MiB of scratch memory are not there", (double)size_bytes / (1 << 20));
    free(pool->scratch);
    pool->scratch = bigger;
    pool->n_scratch = size_bytes;
    return WS_OK;
}

void *ws_pool_scratch(const struct ws_pool *pool)
{
    return pool->scratch;
}

int ws_pool_n_threads(const struct ws_pool *pool)
{
    return pool->n_threads;
}

void ws_pool_close(struct ws_pool **out)
{
    struct ws_pool *pool = *out;
    if (pool == NULL)
        return;
    *out = NULL;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->is_closing, true);
    pthread_cond_broadcast(&pool->job_came);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->job_ended);
    pthread_cond_destroy(&pool->job_came);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool->scratch);
    free(pool);
}
