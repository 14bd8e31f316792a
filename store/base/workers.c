/*
 * A ticket that hands out slices, and workers that sleep between jobs.
 *
 * The ticket is one atomic word: the job's number above, the slices not yet taken below. A worker takes a slice by
 * counting it down with a compare-and-swap, so a worker that wakes late, with an old job in its hands, takes nothing
 * and harms nothing; the caller therefore never waits for workers, only for slices. What a worker reads of a job is
 * settled before the ticket shows it and changes only after the last slice has ended, and the swap proves that neither
 * moment was crossed.
 */
#define _GNU_SOURCE /* sched_getaffinity: the cores this process may use */
#include "webstill/base/workers.h"

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
    struct ws_workers *workers; /* borrowed */
    pthread_t thread;
    int index;
};

struct ws_workers {
    int n_threads;
    struct worker *threads; /* owned: n_threads - 1 */
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
static void work_slices(struct ws_workers *workers, int worker)
{
    uint64_t ticket = atomic_load(&workers->ticket);
    while ((uint32_t)ticket > 0) {
        ws_slice_fn *work = atomic_load_explicit(&workers->work, memory_order_relaxed);
        void *argument = atomic_load_explicit(&workers->argument, memory_order_relaxed);
        int slice = atomic_load_explicit(&workers->n_slices, memory_order_relaxed) - (int)(uint32_t)ticket;
        if (!atomic_compare_exchange_weak(&workers->ticket, &ticket, ticket - 1))
            continue;
        work(argument, slice, worker);
        if (atomic_fetch_sub(&workers->n_unfinished, 1) == 1 && atomic_load(&workers->caller_sleeps)) {
            pthread_mutex_lock(&workers->mutex);
            pthread_cond_signal(&workers->job_ended);
            pthread_mutex_unlock(&workers->mutex);
        }
        ticket = atomic_load(&workers->ticket);
    }
}

static bool has_news(struct ws_workers *workers, uint32_t seen_job)
{
    return job_of(atomic_load(&workers->ticket)) != seen_job || atomic_load(&workers->is_closing);
}

static void await_job(struct ws_workers *workers, uint32_t seen_job)
{
    double end_s = ws_clock_mono_s() + SPIN_S;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (has_news(workers, seen_job))
                return;
            relax();
        }
    } while (ws_clock_mono_s() < end_s);

    pthread_mutex_lock(&workers->mutex);
    /* Announced before the last look: either the caller sees a sleeper, or the sleeper sees the job. */
    atomic_fetch_add(&workers->n_sleeping, 1);
    while (!has_news(workers, seen_job))
        pthread_cond_wait(&workers->job_came, &workers->mutex);
    atomic_fetch_sub(&workers->n_sleeping, 1);
    pthread_mutex_unlock(&workers->mutex);
}

static void *run_worker(void *argument)
{
    const struct worker *self = argument;
    struct ws_workers *workers = self->workers;
    uint32_t seen_job = 0;
    for (;;) {
        await_job(workers, seen_job);
        if (atomic_load(&workers->is_closing))
            return NULL;
        seen_job = job_of(atomic_load(&workers->ticket));
        work_slices(workers, self->index);
    }
}

static void await_end(struct ws_workers *workers)
{
    double end_s = ws_clock_mono_s() + SPIN_S;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load(&workers->n_unfinished) == 0)
                return;
            relax();
        }
    } while (ws_clock_mono_s() < end_s);

    pthread_mutex_lock(&workers->mutex);
    atomic_store(&workers->caller_sleeps, true);
    while (atomic_load(&workers->n_unfinished) != 0)
        pthread_cond_wait(&workers->job_ended, &workers->mutex);
    atomic_store(&workers->caller_sleeps, false);
    pthread_mutex_unlock(&workers->mutex);
}

static void wake_workers(struct ws_workers *workers, int n_wanted)
{
    int n_sleeping = atomic_load(&workers->n_sleeping);
    if (n_sleeping == 0)
        return;
    pthread_mutex_lock(&workers->mutex);
    if (n_wanted >= n_sleeping) {
        pthread_cond_broadcast(&workers->job_came);
    } else {
        for (int i = 0; i < n_wanted; i++)
            pthread_cond_signal(&workers->job_came);
    }
    pthread_mutex_unlock(&workers->mutex);
}

void ws_workers_run(struct ws_workers *workers, int n_slices, ws_slice_fn *work, void *argument)
{
    ws_assert(n_slices >= 0);
    bool was_running = atomic_exchange(&workers->is_running, true);
    ws_assert(!was_running);
    if (n_slices <= 1 || workers->n_threads == 1) {
        for (int slice = 0; slice < n_slices; slice++)
            work(argument, slice, 0);
    } else {
        atomic_store_explicit(&workers->work, work, memory_order_relaxed);
        atomic_store_explicit(&workers->argument, argument, memory_order_relaxed);
        atomic_store_explicit(&workers->n_slices, n_slices, memory_order_relaxed);
        atomic_store(&workers->n_unfinished, n_slices);
        uint64_t job = job_of(atomic_load(&workers->ticket)) + UINT64_C(1);
        atomic_store(&workers->ticket, job << 32 | (uint32_t)n_slices);
        wake_workers(workers, n_slices - 1);
        work_slices(workers, 0);
        await_end(workers);
    }
    atomic_store(&workers->is_running, false);
}

int ws_workers_n_cores(void)
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
static enum ws_status start_workers(struct ws_workers *workers, struct ws_err *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = 0;
    while (code == 0 && workers->n_started < workers->n_threads - 1) {
        struct worker *worker = &workers->threads[workers->n_started];
        *worker = (struct worker){.workers = workers, .index = workers->n_started + 1};
        code = pthread_create(&worker->thread, NULL, run_worker, worker);
        if (code == 0)
            workers->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code == 0)
        return WS_OK;
    ws_fail(err, WS_E_MEMORY, "cannot start worker thread %d of %d: error %d", workers->n_started + 1,
            workers->n_threads - 1, code);
    ws_err_hint(err, "use fewer threads (--threads N), or raise the limit on processes (ulimit -u)");
    return WS_E_MEMORY;
}

enum ws_status ws_workers_open(struct ws_workers **out, int n_threads, struct ws_err *err)
{
    *out = NULL;
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return ws_fail(err, WS_E_CONFIG, "threads: expected 0 to %d, found %d", MAX_THREADS, n_threads);
    if (n_threads == 0)
        n_threads = ws_workers_n_cores();
    struct ws_workers *workers = ws_calloc(1, sizeof *workers);
    if (workers == NULL)
        return ws_fail(err, WS_E_MEMORY, "cannot start %d threads: out of memory", n_threads);
    workers->n_threads = n_threads;
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->job_came, NULL);
    pthread_cond_init(&workers->job_ended, NULL);
    enum ws_status status = WS_OK;
    workers->threads = ws_calloc((size_t)n_threads, sizeof *workers->threads);
    if (workers->threads == NULL)
        status = ws_fail(err, WS_E_MEMORY, "cannot start %d threads: out of memory", n_threads);
    else
        status = start_workers(workers, err);
    if (status != WS_OK) {
        ws_workers_close(&workers);
        return status;
    }
    *out = workers;
    return WS_OK;
}

enum ws_status ws_workers_reserve(struct ws_workers *workers, size_t size_bytes, struct ws_err *err)
{
    if (size_bytes <= workers->n_scratch)
        return WS_OK;
    void *bigger = ws_alloc_aligned(size_bytes, 1);
    if (!bigger)
        return ws_fail(err, WS_E_MEMORY, "%.1f MiB of scratch memory are not there", (double)size_bytes / (1 << 20));
    free(workers->scratch);
    workers->scratch = bigger;
    workers->n_scratch = size_bytes;
    return WS_OK;
}

void *ws_workers_scratch(const struct ws_workers *workers)
{
    return workers->scratch;
}

int ws_workers_count(const struct ws_workers *workers)
{
    return workers->n_threads;
}

void ws_workers_close(struct ws_workers **out)
{
    struct ws_workers *workers = *out;
    if (workers == NULL)
        return;
    *out = NULL;
    pthread_mutex_lock(&workers->mutex);
    atomic_store(&workers->is_closing, true);
    pthread_cond_broadcast(&workers->job_came);
    pthread_mutex_unlock(&workers->mutex);
    for (int i = 0; i < workers->n_started; i++)
        pthread_join(workers->threads[i].thread, NULL);
    pthread_cond_destroy(&workers->job_ended);
    pthread_cond_destroy(&workers->job_came);
    pthread_mutex_destroy(&workers->mutex);
    free(workers->threads);
    free(workers->scratch);
    free(workers);
}
