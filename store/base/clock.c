/* Wall time, monotonic time, and a sleep that a stop ends. */
#include "webstill/base/clock.h"

#include "webstill/base/err.h"
#include "webstill/base/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* Years 1000 to 9999: what four digits can write. */
static const int64_t FIRST_UNIX_S = -30610224000, LAST_UNIX_S = 253402300799;

enum { SLEEP_SLICE_MS = 20 };

int64_t ws_clock_unix_s(void)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    if (fixed != NULL && fixed[0] >= '0' && fixed[0] <= '9') {
        char *end;
        errno = 0;
        long long unix_s = strtoll(fixed, &end, 10);
        if (*end == '\0' && errno == 0)
            return unix_s;
    }
    struct timespec now;
    ws_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return now.tv_sec;
}

void ws_clock_text(int64_t unix_s, char text[WS_TIME_TEXT])
{
    if (unix_s < FIRST_UNIX_S)
        unix_s = FIRST_UNIX_S;
    if (unix_s > LAST_UNIX_S)
        unix_s = LAST_UNIX_S;
    time_t moment = (time_t)unix_s;
    struct tm utc;
    ws_assert(gmtime_r(&moment, &utc) != NULL);
    ws_assert(strftime(text, WS_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &utc) == WS_TIME_TEXT - 1);
}

double ws_clock_mono_s(void)
{
    struct timespec now;
    ws_assert(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void ws_clock_sleep_ms(int64_t ms)
{
    /* Short slices: the kernel may give the signal to another thread, or give it just before the sleep begins. */
    double end_s = ws_clock_mono_s() + 1e-3 * (double)ms;
    while (!ws_stop_asked()) {
        double left_s = end_s - ws_clock_mono_s();
        if (left_s <= 0)
            return;
        if (left_s > 1e-3 * SLEEP_SLICE_MS)
            left_s = 1e-3 * SLEEP_SLICE_MS;
        struct timespec slice = {.tv_nsec = (long)(left_s * 1e9)};
        nanosleep(&slice, NULL);
    }
}
