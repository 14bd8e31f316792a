/** Wall time for people and files, monotonic time for measuring. */
#ifndef WEBSTILL_BASE_CLOCK_H
#define WEBSTILL_BASE_CLOCK_H

#include <stdint.h>

enum { WS_TIME_TEXT = 21 }; /**< "2026-11-23T09:15:00Z" and its NUL */

/** Seconds since the Unix epoch; SOURCE_DATE_EPOCH, when set, stands in for the clock. */
int64_t ws_clock_unix_s(void);
/** ISO 8601 in UTC, whole seconds. */
void ws_clock_text(int64_t unix_s, char text[WS_TIME_TEXT]);
/** Monotonic seconds since an unspecified start. */
double ws_clock_mono_s(void);
/** Sleep, at once back when a stop was asked for. */
void ws_clock_sleep_ms(int64_t ms);

#endif
