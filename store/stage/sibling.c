/** Asking another program. */
#include "sibling.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool ws_sibling_folder(char *path, size_t size_bytes)
{
    ssize_t n = readlink("/proc/self/exe", path, size_bytes);
    if (n <= 0 || (size_t)n >= size_bytes) /* equal: it may have been cut */
        return false;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

bool ws_sibling_find(const char *program, char path[WS_SIBLING_PATH])
{
    char folder[WS_SIBLING_PATH];
    if (ws_sibling_folder(folder, sizeof folder) &&
        snprintf(path, WS_SIBLING_PATH, "%s/webstill-%s", folder, program) < WS_SIBLING_PATH && access(path, X_OK) == 0)
        return true;
    for (const char *at = getenv("PATH"); at && *at;) {
        const int len = (int)strcspn(at, ":");
        if (len > 0 && snprintf(path, WS_SIBLING_PATH, "%.*s/webstill-%s", len, at, program) < WS_SIBLING_PATH &&
            access(path, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    snprintf(path, WS_SIBLING_PATH, "webstill-%s", program);
    return false;
}

/** Read both pipes until the child has closed them: one that is full would stop it. */
static bool drain(int out_fd, int err_fd, struct ws_buf *out, struct ws_buf *said)
{
    struct pollfd fds[2] = {{.fd = out_fd, .events = POLLIN}, {.fd = err_fd, .events = POLLIN}};
    struct ws_buf *const to[2] = {out, said};
    bool ok = true;
    for (int n_open = 2; n_open > 0;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return false;
        for (int i = 0; i < 2; i++) {
            char bytes[4096];
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            const ssize_t n = read(fds[i].fd, bytes, sizeof bytes);
            if (n > 0) {
                ok = ok && ws_buf_add(to[i], bytes, (size_t)n);
            } else if (n == 0 || errno != EINTR) {
                fds[i].fd = -1;
                n_open--;
            }
        }
    }
    return ok;
}

/** "webstill-curate: TEXT\nwebstill-curate: hint: HINT\n" becomes a failure of ours. */
static enum ws_status fail_as_told(enum ws_status status, const char *path, struct ws_buf *said, struct ws_err *err)
{
    char *text = said->ptr ? said->ptr : NULL;
    char *line_end = text ? strchr(text, '\n') : NULL;
    if (!line_end)
        return ws_fail(err, status, "%s failed without a word", path);
    *line_end = '\0';
    const char *colon = strstr(text, ": "), *hint = strstr(line_end + 1, ": hint: ");
    (void)ws_fail(err, status, "%s", colon ? colon + 2 : text);
    if (hint)
        ws_err_hint(err, "%.*s", (int)strcspn(hint + 8, "\n"), hint + 8);
    return status;
}

static void become(const char *path, char *const *argv, const int out_pipe[2], const int err_pipe[2])
{
    if (dup2(out_pipe[1], STDOUT_FILENO) < 0 || dup2(err_pipe[1], STDERR_FILENO) < 0)
        _exit(126);
    for (int i = 0; i < 2; i++) {
        close(out_pipe[i]);
        close(err_pipe[i]);
    }
    execv(path, argv);
    _exit(127);
}

enum ws_status ws_sibling_ask(const char *path, char *const *argv, struct ws_buf *out, struct ws_err *err)
{
    int out_pipe[2], err_pipe[2], waited = 0;
    struct ws_buf said = {0};
    if (pipe(out_pipe) != 0)
        return ws_fail_errno(err, "%s", path);
    if (pipe(err_pipe) != 0) {
        const enum ws_status failed = ws_fail_errno(err, "%s", path);
        close(out_pipe[0]);
        close(out_pipe[1]);
        return failed;
    }
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        become(path, argv, out_pipe, err_pipe);
    enum ws_status status = child < 0 ? ws_fail_errno(err, "%s", path) : WS_OK;
    close(out_pipe[1]);
    close(err_pipe[1]);
    if (status == WS_OK && !drain(out_pipe[0], err_pipe[0], out, &said))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for what %s says", path);
    close(out_pipe[0]);
    close(err_pipe[0]);
    while (child > 0 && waitpid(child, &waited, 0) < 0 && errno == EINTR)
        continue;
    const int code = WIFEXITED(waited) ? WEXITSTATUS(waited) : -1;
    if (status == WS_OK && code != 0)
        status = fail_as_told(code == 2 ? WS_E_CONFIG : code == 3 ? WS_E_IO : WS_E_INTERNAL, path, &said, err);
    ws_buf_fini(&said);
    return status;
}
