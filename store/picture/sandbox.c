/* _GNU_SOURCE: close_range, MAP_ANONYMOUS, MADV_REMOVE, sched_getaffinity. This is the store's one Linux-only file. */
#define _GNU_SOURCE
/** Worker processes under seccomp and resource limits. */
#include "sandbox.h"

#include "webstill/base/clock.h"
#include "webstill/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers reserve terabytes of addresses and make system calls of their own when they report. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

enum { SLOT_HEAD = 4096, KEEP_BYTES = 4 << 20 };
enum { ANSWER_FILTERED = 'f', ANSWER_UNFILTERED = 'u', ANSWER_DONE = 'd' };

/** The begin of the memory shared with a worker; the square lies at SLOT_HEAD, the body behind it. */
struct slot {
    size_t body_bytes;
    struct ws_picture_result result;
};
_Static_assert(sizeof(struct slot) <= SLOT_HEAD, "the slot's head must fit in its page");

struct worker {
    pid_t pid;         /**< 0: none */
    int to, from;      /**< owned: command and answer pipes */
    struct slot *slot; /**< owned mapping */
    clockid_t cpu_clock;
    bool busy;
    size_t ticket;
    double start_cpu_s, start_s; /**< of the image at hand */
};

struct ws_sandbox {
    struct ws_sandbox_setup setup;
    int n_workers;
    size_t square_bytes, slot_bytes, body_offset;
    struct worker *workers; /**< owned */
    struct pollfd *polls;   /**< owned */
    bool filtered;
};

static uint8_t *square_of(struct slot *slot)
{
    return (uint8_t *)slot + SLOT_HEAD;
}

/* --- inside a worker --- */

static bool load_filter(void)
{
    if (HAS_SANITIZER)
        return false;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return false;
    const int plain[] = {SCMP_SYS(exit),   SCMP_SYS(exit_group), SCMP_SYS(brk),          SCMP_SYS(munmap),
                         SCMP_SYS(mremap), SCMP_SYS(madvise),    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall)};
    int rc = 0;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain[i], 0);
    rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));
    rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, 1, 0));
    /* Memory, but never code: no PROT_EXEC, no files. */
    rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                           SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    const bool loaded = rc == 0 && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return loaded;
}

/** Bytes of address space in use now, so that the ceiling counts only what decoding adds. */
static size_t read_address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    const bool ok = fscanf(file, "%lu", &pages) == 1;
    (void)fclose(file);
    return ok ? pages * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static void set_limit(__rlimit_resource_t resource, rlim_t value)
{
    const struct rlimit limit = {value, value};
    (void)setrlimit(resource, &limit);
}

/** Give up everything that decoding does not need. Returns whether the filter holds. */
static bool lock_down(const struct ws_picture_rule *rule)
{
    /* Interlaced PNG: 4 bytes a pixel and the picture; progressive CMYK JPEG: 8 bytes a pixel of coefficients. */
    enum { BASE_BYTES = 256 << 20, BYTES_PER_PIXEL = 12 };
    const size_t used = read_address_space();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGINT, SIG_IGN); /* the parent decides when a worker ends */
    (void)signal(SIGTERM, SIG_IGN);
    static const int fatal[] = {SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        (void)signal(fatal[i], SIG_DFL); /* handlers of the parent mean nothing here */
    if (!HAS_SANITIZER && used > 0)
        set_limit(RLIMIT_AS, used + BASE_BYTES + rule->max_pixels * BYTES_PER_PIXEL);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_NPROC, 0);
    return load_filter();
}

/** Read or write one byte; false at the end of the pipe. */
static bool move_byte(int fd, char *byte, bool out)
{
    ssize_t n;
    do
        n = out ? write(fd, byte, 1) : read(fd, byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

WS_NORETURN static void run_worker(const struct ws_sandbox *sandbox, struct slot *slot, int commands, int answers)
{
    const pid_t parent = getppid();
    enum { FREE_FD = 10 }; /* step aside first: one of the pipes may be 0 or 1 */
    const int in = fcntl(commands, F_DUPFD, FREE_FD), out = fcntl(answers, F_DUPFD, FREE_FD);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0)
        _exit(1);
    (void)close_range(HAS_SANITIZER ? 3 : 2, ~0u, 0);
    char byte = lock_down(&sandbox->setup.rule) ? ANSWER_FILTERED : ANSWER_UNFILTERED;
    if (parent == 1)
        _exit(1); /* the parent died before PDEATHSIG was set */
    ws_sandbox_work_fn *const work = sandbox->setup.work ? sandbox->setup.work : ws_picture_decode;
    while (move_byte(1, &byte, true) && move_byte(0, &byte, false)) {
        const struct ws_span body = {(const uint8_t *)slot + sandbox->body_offset, slot->body_bytes};
        struct ws_picture_result result = {0};
        work(body, &sandbox->setup.rule, square_of(slot), &result);
        slot->result = result;
        byte = ANSWER_DONE;
    }
    _exit(0);
}

/* --- in the parent --- */

static double cpu_s(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}

static void close_pipes(struct worker *worker)
{
    if (worker->to > 0)
        (void)close(worker->to);
    if (worker->from > 0)
        (void)close(worker->from);
    worker->to = worker->from = 0;
}

/** Wait for a worker's end; returns its wait status. */
static int reap(struct worker *worker)
{
    int status = 0;
    if (worker->pid > 0)
        while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
            continue;
    worker->pid = 0;
    close_pipes(worker);
    return status;
}

static enum ws_status start_worker(struct ws_sandbox *sandbox, struct worker *worker, struct ws_err *err)
{
    int commands[2] = {0, 0}, answers[2] = {0, 0};
    if (pipe2(commands, O_CLOEXEC) != 0)
        return ws_fail_errno(err, "cannot open a pipe to a decoder");
    if (pipe2(answers, O_CLOEXEC) != 0) {
        const enum ws_status status = ws_fail_errno(err, "cannot open a pipe from a decoder");
        (void)close(commands[0]);
        (void)close(commands[1]);
        return status;
    }
    worker->pid = fork();
    if (worker->pid == 0)
        run_worker(sandbox, worker->slot, commands[0], answers[1]);
    const int reason = errno;
    (void)close(commands[0]);
    (void)close(answers[1]);
    worker->to = commands[1];
    worker->from = answers[0];
    worker->busy = false;
    char answer = 0;
    if (worker->pid > 0 && move_byte(worker->from, &answer, false)) {
        sandbox->filtered = sandbox->filtered && answer == ANSWER_FILTERED;
        if (clock_getcpuclockid(worker->pid, &worker->cpu_clock) != 0)
            worker->cpu_clock = CLOCK_MONOTONIC; /* then the budget counts the clock's time */
        return WS_OK;
    }
    const bool forked = worker->pid > 0;
    if (worker->pid < 0)
        worker->pid = 0;
    const int status = reap(worker);
    errno = reason;
    return forked ? ws_fail(err, WS_E_INTERNAL, "a decoder process ended at its start (wait status %d)", status)
                  : ws_fail_errno(err, "cannot fork a decoder process");
}

static int count_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

enum ws_status ws_sandbox_open(struct ws_sandbox **out, const struct ws_sandbox_setup *setup, struct ws_err *err)
{
    *out = NULL;
    struct ws_sandbox *sandbox = ws_calloc(1, sizeof *sandbox);
    if (!sandbox)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the decoder");
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    sandbox->setup = *setup;
    sandbox->filtered = true;
    sandbox->n_workers = setup->n_workers > 0 ? setup->n_workers : count_cores();
    sandbox->square_bytes = (size_t)setup->rule.size * setup->rule.size * setup->rule.channels;
    sandbox->body_offset = (SLOT_HEAD + sandbox->square_bytes + page - 1) / page * page;
    sandbox->slot_bytes = sandbox->body_offset + (setup->max_body_bytes + page - 1) / page * page;
    sandbox->workers = ws_calloc((size_t)sandbox->n_workers, sizeof *sandbox->workers);
    sandbox->polls = ws_calloc((size_t)sandbox->n_workers, sizeof *sandbox->polls);
    enum ws_status status = WS_OK;
    if (!sandbox->workers || !sandbox->polls)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for %d decoders", sandbox->n_workers);
    for (int i = 0; status == WS_OK && i < sandbox->n_workers; i++) {
        void *map =
            mmap(NULL, sandbox->slot_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) {
            status = ws_fail_errno(err, "cannot share %zu bytes with a decoder", sandbox->slot_bytes);
            break;
        }
        sandbox->workers[i].slot = map;
        status = start_worker(sandbox, &sandbox->workers[i], err);
    }
    if (status == WS_OK)
        *out = sandbox;
    else
        ws_sandbox_close(&sandbox);
    return status;
}

/** Hand an answered image to the caller. What a worker wrote is not trusted: it may have been taken over. */
static void deliver(struct ws_sandbox *sandbox, struct worker *worker, const struct ws_picture_result *given)
{
    struct ws_picture_result result = given ? *given : worker->slot->result;
    if (result.reason >= WS_IMAGE_N_REASONS || result.format > WS_IMAGE_WEBP)
        result = (struct ws_picture_result){.reason = WS_IMAGE_DECODER_CRASH,
                                            .detail = "the decoder's answer makes no sense"};
    result.flags &= WS_IMAGE_FLAG_INVERTED | WS_IMAGE_FLAG_ALPHA | WS_IMAGE_FLAG_ORIENTED;
    result.detail[WS_IMAGE_DETAIL - 1] = 0;
    for (char *p = result.detail; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    const uint8_t *body = (const uint8_t *)worker->slot + sandbox->body_offset;
    const size_t body_bytes = worker->slot->body_bytes;
    const struct ws_span span = {body, body_bytes <= sandbox->setup.max_body_bytes ? body_bytes : 0};
    worker->busy = false;
    sandbox->setup.done(sandbox->setup.argument, worker->ticket, &result, square_of(worker->slot), span);
    if (span.len > KEEP_BYTES) /* one large body must not stay in memory for the rest of the run */
        (void)madvise((uint8_t *)worker->slot + sandbox->body_offset, sandbox->slot_bytes - sandbox->body_offset,
                      MADV_REMOVE);
}

/** A worker is gone: refuse its image, start another. */
static enum ws_status replace_worker(struct ws_sandbox *sandbox, struct worker *worker, bool timeout,
                                     struct ws_err *err)
{
    const int status = reap(worker);
    struct ws_picture_result result = {.reason = timeout ? WS_IMAGE_DECODER_TIMEOUT : WS_IMAGE_DECODER_CRASH};
    if (timeout)
        ws_picture_refuse(&result, result.reason, "not done after %u s", sandbox->setup.timeout_s);
    else if (WIFSIGNALED(status))
        ws_picture_refuse(&result, result.reason, "the decoder was ended by signal %d (%s)", WTERMSIG(status),
                          WTERMSIG(status) == SIGSYS ? "a forbidden system call" : strsignal(WTERMSIG(status)));
    else
        ws_picture_refuse(&result, result.reason, "the decoder ended with exit code %d", WEXITSTATUS(status));
    deliver(sandbox, worker, &result);
    return start_worker(sandbox, worker, err);
}

/** Is the worker over its budget? It counts CPU time, so that a loaded machine refuses no image. */
static bool is_late(const struct ws_sandbox *sandbox, const struct worker *worker)
{
    const double budget = sandbox->setup.timeout_s;
    return budget > 0 && (cpu_s(worker->cpu_clock) - worker->start_cpu_s > budget ||
                          ws_clock_mono_s() - worker->start_s > 10 * budget);
}

/** Wait until at least one busy worker has answered or ended. */
static enum ws_status wait_some(struct ws_sandbox *sandbox, struct ws_err *err)
{
    enum { LOOK_MS = 100 };
    int n_done = 0;
    while (n_done == 0) {
        for (int i = 0; i < sandbox->n_workers; i++)
            sandbox->polls[i] =
                (struct pollfd){.fd = sandbox->workers[i].busy ? sandbox->workers[i].from : -1, .events = POLLIN};
        const int ready = poll(sandbox->polls, (nfds_t)sandbox->n_workers, LOOK_MS);
        if (ready < 0 && errno != EINTR)
            return ws_fail_errno(err, "cannot wait for the decoders");
        for (int i = 0; i < sandbox->n_workers; i++) {
            struct worker *worker = &sandbox->workers[i];
            if (!worker->busy)
                continue;
            const bool answered = ready > 0 && sandbox->polls[i].revents != 0;
            char answer = 0;
            if (answered && move_byte(worker->from, &answer, false)) {
                deliver(sandbox, worker, NULL);
                n_done++;
                continue;
            }
            const bool late = !answered && is_late(sandbox, worker);
            if (!answered && !late)
                continue;
            if (late)
                (void)kill(worker->pid, SIGKILL);
            const enum ws_status status = replace_worker(sandbox, worker, late, err);
            if (status != WS_OK)
                return status;
            n_done++;
        }
    }
    return WS_OK;
}

enum ws_status ws_sandbox_decode(struct ws_sandbox *sandbox, size_t ticket, struct ws_span body, struct ws_err *err)
{
    ws_assert(body.len <= sandbox->setup.max_body_bytes);
    for (;;) {
        for (int i = 0; i < sandbox->n_workers; i++) {
            struct worker *worker = &sandbox->workers[i];
            if (worker->busy)
                continue;
            worker->slot->body_bytes = body.len;
            if (body.len > 0)
                memcpy((uint8_t *)worker->slot + sandbox->body_offset, body.ptr, body.len);
            worker->busy = true;
            worker->ticket = ticket;
            worker->start_s = ws_clock_mono_s();
            worker->start_cpu_s = cpu_s(worker->cpu_clock);
            char go = 'g';
            if (move_byte(worker->to, &go, true))
                return WS_OK;
            (void)reap(worker); /* it ended while idle, through no fault of this image */
            const enum ws_status status = start_worker(sandbox, worker, err);
            if (status != WS_OK)
                return status;
            i--;
        }
        const enum ws_status status = wait_some(sandbox, err);
        if (status != WS_OK)
            return status;
    }
}

enum ws_status ws_sandbox_drain(struct ws_sandbox *sandbox, struct ws_err *err)
{
    for (;;) {
        bool busy = false;
        for (int i = 0; i < sandbox->n_workers; i++)
            busy = busy || sandbox->workers[i].busy;
        if (!busy)
            return WS_OK;
        const enum ws_status status = wait_some(sandbox, err);
        if (status != WS_OK)
            return status;
    }
}

bool ws_sandbox_is_filtered(const struct ws_sandbox *sandbox)
{
    return sandbox->filtered;
}

void ws_sandbox_close(struct ws_sandbox **sandbox)
{
    struct ws_sandbox *s = *sandbox;
    if (!s)
        return;
    for (int i = 0; s->workers && i < s->n_workers; i++) {
        struct worker *worker = &s->workers[i];
        if (worker->pid > 0 && worker->busy)
            (void)kill(worker->pid, SIGKILL);
        close_pipes(worker); /* an idle worker ends with its command pipe */
        (void)reap(worker);
        if (worker->slot)
            (void)munmap(worker->slot, s->slot_bytes);
    }
    free(s->workers);
    free(s->polls);
    free(s);
    *sandbox = NULL;
}
