/* Files that are whole or absent; folders, mappings, locks. */
#include "webstill/base/file.h"

#include "webstill/base/clock.h"
#include "webstill/base/mem.h"
#include "webstill/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { READ_STEP_BYTES = 64 * 1024 };

enum ws_status ws_file_fail(struct ws_err *err, const char *action, const char *path)
{
    int code = errno;
    enum ws_status status = ws_fail_errno(err, "%s %s", action, path);
    if (code == ENOSPC || code == EDQUOT)
        ws_err_hint(err,
                    "the disk or quota behind %s is full: free some space there and run the same command again; "
                    "what was finished is kept",
                    path);
    else if (code == EROFS || code == EACCES)
        ws_err_hint(err, "check who may write to %s, or choose another folder with --work", path);
    return status;
}

/* The folder of a path: "." when it has none. */
static enum ws_status copy_parent(const char *path, char *parent, size_t size, struct ws_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= size)
        return ws_fail(err, WS_E_IO, "the path is longer than %zu bytes: %.80s…", size - 1, path);
    memcpy(parent, slash == NULL ? "." : path, length > 0 ? length : 1);
    parent[length > 0 ? length : 1] = '\0';
    return WS_OK;
}

static enum ws_status make_parent(const char *path, struct ws_err *err)
{
    char parent[4096];
    enum ws_status status = copy_parent(path, parent, sizeof parent, err);
    return status == WS_OK ? ws_dir_make(parent, err) : status;
}

static enum ws_status sync_parent(const char *path, struct ws_err *err)
{
    char parent[4096];
    enum ws_status status = copy_parent(path, parent, sizeof parent, err);
    return status == WS_OK ? ws_dir_sync(parent, err) : status;
}

/* --- reading --- */

static enum ws_status read_all(int fd, const char *path, size_t max_bytes, struct ws_buf *out, struct ws_err *err)
{
    struct stat facts;
    size_t expected = 0;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0)
        expected = (size_t)facts.st_size;
    if (expected > max_bytes)
        return ws_fail(err, WS_E_FORMAT, "%s: expected at most %zu bytes, found %zu", path, max_bytes, expected);
    /* One byte more than expected, so that the end is seen without growing; files in /proc have no size at all. */
    size_t step = expected > 0 ? ws_size_add(expected, 1) : READ_STEP_BYTES;
    for (;;) {
        char *at = ws_buf_reserve(out, step);
        if (at == NULL)
            return ws_fail(err, WS_E_MEMORY, "cannot read %s: no memory for %zu bytes", path,
                           ws_size_add(out->len, step));
        ssize_t n = read(fd, at, step);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ws_file_fail(err, "cannot read", path);
        if (n == 0)
            return WS_OK;
        out->len += (size_t)n;
        if (out->len > max_bytes)
            return ws_fail(err, WS_E_FORMAT, "%s: expected at most %zu bytes, found more", path, max_bytes);
        step = out->len <= expected ? expected + 1 - out->len : READ_STEP_BYTES;
    }
}

enum ws_status ws_file_read(const char *path, size_t max_bytes, struct ws_buf *out, struct ws_err *err)
{
    ws_buf_clear(out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ws_fail_errno(err, "cannot open %s", path);
    enum ws_status status = read_all(fd, path, max_bytes, out, err);
    close(fd);
    if (status != WS_OK)
        ws_buf_clear(out);
    else if (out->ptr == NULL && !ws_buf_add(out, "", 0))
        status = ws_fail(err, WS_E_MEMORY, "cannot read %s: out of memory", path);
    return status;
}

enum ws_status ws_file_map_open(struct ws_file_map *map, const char *path, struct ws_err *err)
{
    *map = (struct ws_file_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ws_fail_errno(err, "cannot open %s", path);
    enum ws_status status = WS_OK;
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        status = ws_file_fail(err, "cannot look at", path);
    } else if (!S_ISREG(facts.st_mode)) {
        status = ws_fail(err, WS_E_IO, "cannot map %s: it is not a regular file", path);
    } else if (facts.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            status = ws_file_fail(err, "cannot map", path);
        else
            map->bytes = (struct ws_span){bytes, (size_t)facts.st_size};
    }
    close(fd);
    return status;
}

void ws_file_map_close(struct ws_file_map *map)
{
    if (map->bytes.len > 0)
        munmap((void *)(uintptr_t)map->bytes.ptr, map->bytes.len); /* the span is const for readers only */
    *map = (struct ws_file_map){0};
}

bool ws_file_exists(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0;
}

int64_t ws_file_size(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? (int64_t)facts.st_size : -1;
}

/* --- replacing --- */

/*
 * A writer holds a lock on its temporary file. A temporary file that nobody locks was left by a process that died,
 * whatever its pid means today.
 */
static bool is_abandoned(const char *temporary)
{
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool free_to_take = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_to_take;
}

/* Remove what earlier writers of `path` left behind. Best effort: a leftover costs space, not truth. */
static void sweep_leftovers(const char *path)
{
    char parent[4096], leftover[4096 + 256];
    if (copy_parent(path, parent, sizeof parent, NULL) != WS_OK)
        return;
    DIR *folder = opendir(parent);
    if (folder == NULL)
        return;
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t base_length = strlen(base);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, base, base_length) != 0 || strncmp(entry->d_name + base_length, ".tmp.", 5) != 0)
            continue;
        int length = snprintf(leftover, sizeof leftover, "%s/%s", parent, entry->d_name);
        if (length > 0 && (size_t)length < sizeof leftover && is_abandoned(leftover))
            unlink(leftover);
    }
    closedir(folder);
}

enum ws_status ws_file_writer_open(struct ws_file_writer *writer, const char *path, struct ws_err *err)
{
    *writer = (struct ws_file_writer){0};
    enum ws_status status = make_parent(path, err);
    if (status != WS_OK)
        return status;
    int length = snprintf(writer->path, sizeof writer->path, "%s", path);
    if (length < 0 || (size_t)length >= sizeof writer->path)
        return ws_fail(err, WS_E_IO, "the path is longer than %zu bytes: %.80s…", sizeof writer->path - 1, path);
    sweep_leftovers(path);
    snprintf(writer->temporary, sizeof writer->temporary, "%s.tmp.%ld", path, (long)getpid());
    int fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = ws_file_fail(err, "cannot create", writer->temporary);
        writer->temporary[0] = '\0';
        return status;
    }
    flock(fd, LOCK_EX | LOCK_NB); /* says "in use" to sweep_leftovers(); where locks are missing nothing is swept */
    writer->stream = fdopen(fd, "w");
    if (writer->stream == NULL) {
        status = ws_file_fail(err, "cannot write", writer->temporary);
        close(fd);
        unlink(writer->temporary);
        writer->temporary[0] = '\0';
    }
    return status;
}

/* False, with errno, when this or any earlier write to the stream failed; stdio forgets why an earlier one did. */
static bool flush_whole(FILE *stream)
{
    bool had_error = ferror(stream) != 0;
    if (fflush(stream) != 0)
        return false;
    struct statvfs disk;
    if (had_error)
        errno = fstatvfs(fileno(stream), &disk) == 0 && disk.f_bavail == 0 ? ENOSPC : EIO;
    return !had_error;
}

enum ws_status ws_file_writer_finish(struct ws_file_writer *writer, struct ws_err *err)
{
    ws_assert(writer->stream != NULL);
    enum ws_status status = WS_OK;
    if (!flush_whole(writer->stream) || fsync(fileno(writer->stream)) != 0)
        status = ws_file_fail(err, "cannot write", writer->path);
    else if (rename(writer->temporary, writer->path) != 0)
        status = ws_file_fail(err, "cannot replace", writer->path);
    else
        writer->temporary[0] = '\0';
    ws_file_writer_close(writer);
    return status == WS_OK ? sync_parent(writer->path, err) : status;
}

void ws_file_writer_close(struct ws_file_writer *writer)
{
    if (writer->temporary[0] != '\0')
        unlink(writer->temporary);
    writer->temporary[0] = '\0';
    if (writer->stream != NULL)
        fclose(writer->stream);
    writer->stream = NULL;
}

enum ws_status ws_file_replace(const char *path, const void *bytes, size_t len, struct ws_err *err)
{
    struct ws_file_writer writer;
    enum ws_status status = ws_file_writer_open(&writer, path, err);
    if (status != WS_OK)
        return status;
    if (len > 0 && fwrite(bytes, 1, len, writer.stream) != len) {
        status = ws_file_fail(err, "cannot write", path);
        ws_file_writer_close(&writer);
        return status;
    }
    return ws_file_writer_finish(&writer, err);
}

enum ws_status ws_file_replace_if_changed(const char *path, const void *bytes, size_t len, struct ws_err *err)
{
    struct ws_file_map old;
    if (ws_file_size(path) == (int64_t)len && ws_file_map_open(&old, path, NULL) == WS_OK) {
        bool is_same = old.bytes.len == len && (len == 0 || memcmp(old.bytes.ptr, bytes, len) == 0);
        ws_file_map_close(&old);
        if (is_same)
            return WS_OK;
    }
    return ws_file_replace(path, bytes, len, err);
}

/* --- folders --- */

static enum ws_status make_one(const char *path, struct ws_err *err)
{
    if (mkdir(path, 0777) == 0)
        return sync_parent(path, err);
    int code = errno;
    struct stat facts;
    if (stat(path, &facts) == 0) {
        if (S_ISDIR(facts.st_mode))
            return WS_OK;
        return ws_fail(err, WS_E_IO, "cannot make folder %s: a file has that name", path);
    }
    errno = code;
    return ws_file_fail(err, "cannot make folder", path);
}

enum ws_status ws_dir_make(const char *path, struct ws_err *err)
{
    struct stat facts;
    if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode))
        return WS_OK;
    char part[4096];
    size_t length = strlen(path);
    if (length >= sizeof part)
        return ws_fail(err, WS_E_IO, "the path is longer than %zu bytes: %.80s…", sizeof part - 1, path);
    memcpy(part, path, length + 1);
    while (length > 1 && part[length - 1] == '/')
        part[--length] = '\0';
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        enum ws_status status = make_one(part, err);
        *slash = '/';
        if (status != WS_OK)
            return status;
    }
    return make_one(part, err);
}

enum ws_status ws_dir_sync(const char *path, struct ws_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ws_file_fail(err, "cannot open folder", path);
    enum ws_status status = WS_OK;
    if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system that has no such operation */
        status = ws_file_fail(err, "cannot sync folder", path);
    close(fd);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(struct ws_dir_list *list, size_t *cap, const char *name)
{
    if (list->n == *cap) {
        size_t larger = *cap > 0 ? 2 * *cap : 32;
        char **names = ws_realloc(list->names, larger, sizeof *names);
        if (names == NULL)
            return false;
        list->names = names;
        *cap = larger;
    }
    list->names[list->n] = strdup(name);
    return list->names[list->n] != NULL && ++list->n > 0;
}

enum ws_status ws_dir_list_open(struct ws_dir_list *list, const char *path, const char *suffix, struct ws_err *err)
{
    *list = (struct ws_dir_list){0};
    DIR *folder = opendir(path);
    if (folder == NULL)
        return errno == ENOENT ? WS_OK : ws_file_fail(err, "cannot list", path);
    enum ws_status status = WS_OK;
    size_t cap = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            if (errno != 0)
                status = ws_file_fail(err, "cannot list", path);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (suffix != NULL && !ws_text_ends_with(entry->d_name, suffix))
            continue;
        if (!add_name(list, &cap, entry->d_name)) {
            status = ws_fail(err, WS_E_MEMORY, "cannot list %s: out of memory", path);
            break;
        }
    }
    closedir(folder);
    if (status != WS_OK)
        ws_dir_list_close(list);
    else if (list->n > 1)
        qsort(list->names, list->n, sizeof *list->names, compare_names);
    return status;
}

void ws_dir_list_close(struct ws_dir_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct ws_dir_list){0};
}

/* --- lock --- */

static enum ws_status fail_held(int fd, const char *path, struct ws_err *err)
{
    char holder[256];
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    ws_fail(err, WS_E_LOCKED, "%s is held by %s", path, holder[0] != '\0' ? holder : "another process");
    ws_err_hint(err, "wait until it has ended, or stop it; the lock goes with its process, the file may stay");
    return WS_E_LOCKED;
}

/* Write who holds the lock: for people, so a failure of the text is still a failure of the disk. */
static enum ws_status write_holder(int fd, const char *path, const char *program, struct ws_err *err)
{
    char since[WS_TIME_TEXT], holder[256];
    ws_clock_text((int64_t)time(NULL), since); /* not ws_clock_unix_s(): people compare it with their clock */
    int length = snprintf(holder, sizeof holder, "pid %ld program %.128s since %s\n", (long)getpid(), program, since);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, holder, (size_t)length, 0) != length)
        return ws_file_fail(err, "cannot write", path);
    return WS_OK;
}

enum ws_status ws_lock_take(struct ws_lock *lock, const char *path, const char *program, struct ws_err *err)
{
    *lock = (struct ws_lock){0};
    enum ws_status status = make_parent(path, err);
    if (status != WS_OK)
        return status;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd == 0) { /* standard input is closed, and 0 means "no lock" here */
        fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
        int code = errno;
        close(0);
        errno = code;
    }
    if (fd < 0)
        return ws_file_fail(err, "cannot open", path);
    int result;
    do
        result = flock(fd, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        status = errno == EWOULDBLOCK ? fail_held(fd, path, err) : ws_file_fail(err, "cannot lock", path);
    else
        status = write_holder(fd, path, program, err);
    if (status != WS_OK) {
        close(fd);
        return status;
    }
    lock->fd = fd;
    snprintf(lock->path, sizeof lock->path, "%s", path);
    return WS_OK;
}

void ws_lock_release(struct ws_lock *lock)
{
    if (lock->fd > 0) {
        if (ftruncate(lock->fd, 0) != 0) {
            /* A stale name in an unlocked file misleads nobody: the lock itself decides. */
        }
        close(lock->fd);
    }
    *lock = (struct ws_lock){0};
}
