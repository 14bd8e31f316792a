#include "metrics.h"

#include "webstill/base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Offset behind line number `keep_lines`; counts in *found how many there were. */
static long find_end(FILE *stream, int64_t keep_lines, int64_t *found)
{
    long end = 0, at = 0;
    *found = 0;
    for (int c; *found < keep_lines && (c = getc(stream)) != EOF;) {
        at++;
        if (c == '\n') {
            (*found)++;
            end = at;
        }
    }
    return end;
}

enum ws_status ws_metrics_open(struct ws_metrics *metrics, const char *path, int64_t keep_lines, struct ws_err *err)
{
    *metrics = (struct ws_metrics){.n_lines = keep_lines};
    if (snprintf(metrics->path, sizeof metrics->path, "%s", path) >= (int)sizeof metrics->path)
        return ws_fail(err, WS_E_CONFIG, "path too long: %s", path);
    metrics->stream = fopen(path, keep_lines > 0 ? "r+" : "w+");
    if (!metrics->stream)
        return ws_file_fail(err, "cannot open", path);
    int64_t found;
    const long end = find_end(metrics->stream, keep_lines, &found);
    enum ws_status status = WS_OK;
    if (found < keep_lines) {
        status = ws_fail(err, WS_E_DAMAGED, "%s: expected %lld lines, as the checkpoint says, found %lld", path,
                         (long long)keep_lines, (long long)found);
        ws_err_hint(err, "remove the run's folder and start it anew");
    } else if (fseek(metrics->stream, end, SEEK_SET) != 0 || ftruncate(fileno(metrics->stream), end) != 0) {
        status = ws_fail_errno(err, "%s: cutting back to %lld lines", path, (long long)keep_lines);
    }
    if (status != WS_OK)
        ws_metrics_close(metrics);
    return status;
}

enum ws_status ws_metrics_add(struct ws_metrics *metrics, json_t *line, struct ws_err *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for a line", metrics->path);
    const bool is_written =
        fputs(text, metrics->stream) >= 0 && putc('\n', metrics->stream) != EOF && fflush(metrics->stream) == 0;
    free(text);
    if (!is_written)
        return ws_file_fail(err, "cannot write", metrics->path);
    metrics->n_lines++;
    return WS_OK;
}

enum ws_status ws_metrics_sync(struct ws_metrics *metrics, struct ws_err *err)
{
    if (fflush(metrics->stream) != 0 || fsync(fileno(metrics->stream)) != 0)
        return ws_file_fail(err, "cannot write", metrics->path);
    return WS_OK;
}

void ws_metrics_close(struct ws_metrics *metrics)
{
    if (metrics->stream)
        fclose(metrics->stream);
    metrics->stream = NULL;
}
