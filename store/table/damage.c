#include "damage.h"

#include "webstill/base/err.h"
#include "webstill/table/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool ws_tables_is_disk_full(int rc, const char *dir)
{
    enum { LEAST_FREE_BYTES = 1 << 20 };
    struct statvfs disk;
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return true;
    return rc == EIO && statvfs(dir, &disk) == 0 && disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES;
}

int ws_tables_restore_length(MDB_env *env, const char *dir)
{
    MDB_envinfo info;
    MDB_stat pages;
    struct stat about;
    char path[4096];
    const int len = snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (len < 0 || (size_t)len >= sizeof path || mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &pages) != 0 ||
        stat(path, &about) != 0)
        return MDB_CORRUPTED;
    const off_t promised = (off_t)((info.me_last_pgno + 1) * pages.ms_psize);
    if (about.st_size >= promised)
        return 0;
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    /* Not ftruncate(): it would cut off what a writer has added since stat(). */
    const int failed = fd < 0 || posix_fallocate(fd, about.st_size, promised - about.st_size) != 0;
    if (fd >= 0)
        close(fd);
    return failed ? MDB_CORRUPTED : 0;
}

/* --- pages that break the format --- */

/*
 * LMDB asserts where it walks pages, and aborts behind this call whatever we do: no status can travel up from here. So
 * the process ends the way main would have ended it.
 */
static void end_damaged(MDB_env *env, const char *message)
{
    const char *path = "?";
    (void)mdb_env_get_path(env, &path);
    fprintf(stderr,
            "bad  %s: damaged: LMDB met a page that breaks its format (%s)\n"
            "hint: remove %s and run its stage again: what it was made from is still there\n",
            path, message, path);
    _exit(ws_status_exit_code(WS_E_DAMAGED));
}

void ws_tables_end_on_damage(MDB_env *env)
{
    (void)mdb_env_set_assert(env, end_damaged);
}

/* --- pages that point out of the file --- */

/* The folder whose pages this thread walks now, or NULL. */
static _Thread_local const char *volatile guarded;

/* What the guard has replaced. */
static const int faults[] = {SIGSEGV, SIGBUS};
enum { N_FAULTS = sizeof faults / sizeof *faults };
static struct sigaction replaced[N_FAULTS];

static void say(const char *text)
{
    const ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

/* Only calls that a signal handler may make. */
static void end_faulted(int signal_number)
{
    if (!guarded) { /* not the tables' doing: die of it as without us */
        (void)signal(signal_number, SIG_DFL);
        return;
    }
    say("bad  ");
    say(guarded);
    say(": damaged: a page points out of the file\nhint: remove ");
    say(guarded);
    say(" and run its stage again: what it was made from is still there\n");
    _exit(ws_status_exit_code(WS_E_DAMAGED));
}

void ws_tables_guard(const char *dir)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = end_faulted;
    guarded = dir;
    for (int i = 0; i < N_FAULTS; i++)
        (void)sigaction(faults[i], &action, &replaced[i]);
}

void ws_tables_unguard(void)
{
    for (int i = 0; i < N_FAULTS; i++)
        (void)sigaction(faults[i], &replaced[i], NULL);
    guarded = NULL;
}
