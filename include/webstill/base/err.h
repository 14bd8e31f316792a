/**
 * Status codes, message chains and contract checks.
 *
 * Three tiers of failure, visible in each prototype: what cannot fail returns `void` or a value and guards
 * its contract with ws_assert(); what can fail in one obvious way returns `bool` or a pointer; what can fail
 * for reasons a person must read returns `enum ws_status` and fills a `struct ws_err` given as last parameter.
 * Libraries never print and never exit: `main` prints the chain once (ws_err_print) and maps it to an exit code.
 */
#ifndef WEBSTILL_BASE_ERR_H
#define WEBSTILL_BASE_ERR_H

#include <stddef.h>
#include <stdio.h>

#define WS_MUST_USE __attribute__((warn_unused_result))
#define WS_PRINTF(format_i, first_i) __attribute__((format(printf, format_i, first_i)))
#define WS_NORETURN __attribute__((noreturn, cold))

/** Why an operation ended. The order is not part of any format. */
enum ws_status {
    WS_OK = 0,
    WS_DONE,          /**< normal end of a sequence: neither an error nor a value */
    WS_E_INTERNAL,    /**< a broken promise of our own */
    WS_E_MEMORY,      /**< out of memory, or a size over its budget */
    WS_E_CONFIG,      /**< usage or configuration */
    WS_E_IO,          /**< disk: open, read, write, sync, full */
    WS_E_NETWORK,     /**< the network is down, or a port is taken */
    WS_E_FORMAT,      /**< input bytes that break their format */
    WS_E_UNSUPPORTED, /**< well-formed input that asks for what we do not do */
    WS_E_NUMERIC,     /**< NaN, Inf or collapse during training */
    WS_E_PARTIAL,     /**< done, but with a failure share above the configured one */
    WS_E_STOPPED,     /**< a signal asked us to stop; what was done is kept */
    WS_E_BUDGET,      /**< a time, byte or request budget was reached; what was done is kept */
    WS_E_LOCKED,      /**< another process holds the working directory */
    WS_E_DAMAGED,     /**< a store of ours fails its own checks */
};

/** A chain of messages, newest context first. All-zero is a valid empty chain; it needs no release. */
struct ws_err {
    enum ws_status status;
    char text[2048]; /**< "context: context: cause"; cut with "…" when it would not fit */
    char hint[512];  /**< what to do next, or empty */
};

/** Store a message and return `status`, so that `return ws_fail(err, …)` is one line. `err` may be NULL. */
enum ws_status ws_fail(struct ws_err *err, enum ws_status status, const char *format, ...) WS_PRINTF(3, 4);

/** Like ws_fail(), with ": " and strerror(errno) appended; WS_E_IO unless errno says ENOMEM. */
enum ws_status ws_fail_errno(struct ws_err *err, const char *format, ...) WS_PRINTF(2, 3);

/** Put context before the chain ("in shard x: …") on the way up. Does nothing when `err` is NULL. */
void ws_err_note(struct ws_err *err, const char *format, ...) WS_PRINTF(2, 3);

/** Set the hint: what the reader can do about it. The first (deepest) hint stays. */
void ws_err_hint(struct ws_err *err, const char *format, ...) WS_PRINTF(2, 3);

/** Print "PROGRAM: CHAIN" and "PROGRAM: hint: HINT" to `out`. */
void ws_err_print(const struct ws_err *err, const char *program, FILE *out);

/** The documented exit code of a status: 0, 1, 2, 3, 4, 5, 6, 11, 12, 13 or 14. */
int ws_status_exit_code(enum ws_status status);

/** A short lower-case name of a status ("format", "network"), for logs and manifests. */
const char *ws_status_name(enum ws_status status);

/** Contract checks; always compiled in. A failure prints the expression with its place and aborts. */
#define ws_assert(expression) ((expression) ? (void)0 : ws_assert_failed(#expression, __FILE__, __LINE__, __func__))

WS_NORETURN void ws_assert_failed(const char *expression, const char *file, int line, const char *function);

#endif
