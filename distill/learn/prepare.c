#include "prepare.h"

#include "webstill/base/mem.h"
#include "webstill/base/path.h"

#include <stdlib.h>

static enum ws_status make_beside(void *argument, const struct ws_prepare *step, void **made,
                                  const struct ws_session *session, struct ws_err *err)
{
    char dir[WS_PATH_BYTES];
    (void)argument;
    const enum ws_status status = ws_path_join(dir, session->dir, err, "../%s", step->folder);
    return status == WS_OK ? step->make(made, session, dir, err) : status;
}

static enum ws_status run_step(struct ws_prepared *prepared, size_t i, struct ws_session *session, ws_prepare_fn *run,
                               void *argument, struct ws_err *err)
{
    const struct ws_prepare *step = prepared->steps[i];
    enum ws_status status = WS_OK;
    if (!step->is_asked(session->config))
        return WS_OK;
    if (step->narrow)
        status = step->narrow(session, &prepared->lists[i], err);
    return status == WS_OK ? (run ? run : make_beside)(argument, step, &prepared->made[i], session, err) : status;
}

enum ws_status ws_prepared_open(struct ws_prepared *prepared, const struct ws_prepare *const *steps,
                                struct ws_session *session, ws_prepare_fn *run, void *argument, struct ws_err *err)
{
    size_t n = 0;
    while (steps && steps[n])
        n++;
    *prepared = (struct ws_prepared){.steps = steps};
    prepared->made = ws_calloc(n + 1, sizeof *prepared->made);
    prepared->lists = ws_calloc(n + 1, sizeof *prepared->lists);
    if (!prepared->made || !prepared->lists)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %zu steps before a training", n);
    session->made = prepared->made;
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < n; i++)
        status = run_step(prepared, i, session, run, argument, err);
    return status;
}

void ws_prepared_close(struct ws_prepared *prepared)
{
    for (size_t i = 0; prepared->steps && prepared->steps[i]; i++) {
        if (prepared->made && prepared->made[i])
            prepared->steps[i]->close(&prepared->made[i]);
        if (prepared->lists)
            free(prepared->lists[i]);
    }
    free(prepared->made);
    free(prepared->lists);
    *prepared = (struct ws_prepared){0};
}
