/* The stop flag: one of the two mutable globals, because a signal handler has no other place to write to. */
#include "webstill/base/stop.h"

#include "webstill/base/err.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Lock-free, hence safe in a handler; atomic, because worker threads read it. */
static atomic_int stop_asked;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "the stop flag is written by a signal handler");

static void handle_stop(int signal_number)
{
    if (atomic_exchange(&stop_asked, 1) == 0)
        return;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigemptyset(&standard.sa_mask);
    sigaction(signal_number, &standard, NULL);
    raise(signal_number); /* blocked until the handler returns, then it ends the process as its parent expects */
}

void ws_stop_install(void)
{
    /* No SA_RESTART: a blocking call comes back with EINTR and its loop sees the flag. */
    struct sigaction stop = {.sa_handler = handle_stop};
    sigemptyset(&stop.sa_mask);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    ws_assert(sigaction(SIGINT, &stop, NULL) == 0);
    ws_assert(sigaction(SIGTERM, &stop, NULL) == 0);
    ws_assert(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

bool ws_stop_asked(void)
{
    return atomic_load_explicit(&stop_asked, memory_order_relaxed) != 0;
}
