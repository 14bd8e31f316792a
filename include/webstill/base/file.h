/**
 * Files that are whole or absent.
 *
 * Everything that webstill publishes is written to a temporary name in the same folder, synced, renamed, and the
 * folder synced: a reader sees the old content or the new, never half of it.
 */
#ifndef WEBSTILL_BASE_FILE_H
#define WEBSTILL_BASE_FILE_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Read a file of at most `max_bytes` into `out` (cleared first). WS_E_IO, WS_E_MEMORY; WS_E_FORMAT when larger. */
WS_MUST_USE enum ws_status ws_file_read(const char *path, size_t max_bytes, struct ws_buf *out, struct ws_err *err);

/** Replace a file atomically (see above); creates missing folders. */
WS_MUST_USE enum ws_status ws_file_replace(const char *path, const void *bytes, size_t len, struct ws_err *err);

/** Like ws_file_replace(), but leaves an identical file untouched (its time too). */
WS_MUST_USE enum ws_status ws_file_replace_if_changed(const char *path, const void *bytes, size_t len,
                                                      struct ws_err *err);

/** A file being written under a temporary name. */
struct ws_file_writer {
    FILE *stream;         /**< owned: write here with stdio */
    char path[4096];      /**< plain: the final name */
    char temporary[4112]; /**< plain: the name until finish */
};

/**
 * Begin; creates missing folders, and removes temporary files of `path` that a killed process left behind. One writer
 * of a path at a time: a second in the same process is WS_E_IO.
 */
WS_MUST_USE enum ws_status ws_file_writer_open(struct ws_file_writer *writer, const char *path, struct ws_err *err);
/** Flush, sync, rename, sync the folder. On failure the temporary file is removed and the old content stays. */
WS_MUST_USE enum ws_status ws_file_writer_finish(struct ws_file_writer *writer, struct ws_err *err);
/** Give up unless finished: removes the temporary file. Safe on all-zero and after finish. */
void ws_file_writer_close(struct ws_file_writer *writer);

/** A read-only mapping of a whole regular file; an empty file gives an empty span. */
struct ws_file_map {
    struct ws_span bytes; /**< borrowed from the mapping until ws_file_map_close() */
};
WS_MUST_USE enum ws_status ws_file_map_open(struct ws_file_map *map, const char *path, struct ws_err *err);
void ws_file_map_close(struct ws_file_map *map);

/** Fail with errno as "ACTION PATH: reason"; a full disk and missing rights get a hint that names the place. */
enum ws_status ws_file_fail(struct ws_err *err, const char *action, const char *path);

/** mkdir -p. */
WS_MUST_USE enum ws_status ws_dir_make(const char *path, struct ws_err *err);
/** fsync a folder, so that a rename in it survives a power cut. */
WS_MUST_USE enum ws_status ws_dir_sync(const char *path, struct ws_err *err);
bool ws_file_exists(const char *path);

/** Size in bytes, or -1. */
int64_t ws_file_size(const char *path);

/** Names (not paths) in a folder that end with `suffix`, sorted bytewise. */
struct ws_dir_list {
    char **names; /**< owned */
    size_t n;
};
/** A missing folder is an empty list. */
WS_MUST_USE enum ws_status ws_dir_list_open(struct ws_dir_list *list, const char *path, const char *suffix,
                                            struct ws_err *err);
void ws_dir_list_close(struct ws_dir_list *list);

/** An exclusive advisory lock; the file names its holder (pid, start time, program). */
struct ws_lock {
    int fd; /**< owned: 0 means "no lock" (all-zero is valid) */
    char path[4096];
};
/**
 * Take the lock or fail at once; creates missing folders. The kernel drops the lock with its process, however that
 * ends.
 *
 * WS_E_LOCKED names the holder: "pid 17 program webstill-crawl since 2026-11-23T09:15:00Z".
 */
WS_MUST_USE enum ws_status ws_lock_take(struct ws_lock *lock, const char *path, const char *program,
                                        struct ws_err *err);
void ws_lock_release(struct ws_lock *lock);

#endif
