#include "machine.h"

#include "webstill/base/log.h"
#include "webstill/nn/blas.h"
#include "webstill/nn/exec.h"
#include "webstill/table/tables.h"

#include <string.h>
#include <zlib.h>

const char *ws_machine_libraries(char text[256])
{
    /* "OpenBLAS 0.3.21 NO_LAPACKE …": name and version are the first two words. */
    const char *blas = ws_exec_library();
    const size_t name_len = strcspn(blas, " ");
    const size_t len = blas[name_len] ? name_len + 1 + strcspn(blas + name_len + 1, " ") : name_len;
    char lmdb[32];
    snprintf(text, 256, "%.*s (%.40s), LMDB %s, zlib %.20s, jansson %s", (int)len, blas, ws_blas_core(),
             ws_tables_library(lmdb), zlibVersion(), JANSSON_VERSION);
    return text;
}

enum ws_status ws_machine_workers_open(struct ws_workers **workers, const struct ws_config *config, struct ws_err *err)
{
    char remark[512];
    const enum ws_status status = ws_workers_open(workers, (int)config->threads, err);
    if (status != WS_OK)
        return status;
    const int n_threads = ws_workers_count(*workers), n_cores = ws_workers_n_cores();
    ws_log(WS_LOG_DEBUG, "%d threads on %d cores, OpenBLAS's %s kernels", n_threads, n_cores, ws_blas_core());
    if (n_threads > n_cores)
        ws_log(WS_LOG_WARN,
               "%d threads share %d core%s: the result is the same, but later; --threads 0 takes one a core", n_threads,
               n_cores, n_cores == 1 ? "" : "s");
    if (ws_blas_remark(remark))
        ws_log(WS_LOG_WARN, "%s", remark);
    return WS_OK;
}

enum ws_status ws_machine_open(struct ws_job *job, const struct ws_run *run, struct ws_job_setup setup,
                               struct ws_err *err)
{
    char libraries[256];
    setup.program = "webstill-distill";
    setup.libraries = ws_machine_libraries(libraries);
    return ws_job_open(job, run, &setup, err);
}

enum ws_status ws_machine_run(const struct ws_run *run, struct ws_job_setup setup, const struct ws_job_steps *steps,
                              void *self, struct ws_err *err)
{
    char libraries[256];
    setup.program = "webstill-distill";
    setup.libraries = ws_machine_libraries(libraries);
    return ws_job_run(run, &setup, steps, self, err);
}

enum ws_status ws_data_require(const char *path, const char *key, struct ws_err *err)
{
    if (path && path[0] && ws_file_exists(path))
        return WS_OK;
    if (!path || !path[0])
        ws_fail(err, WS_E_CONFIG, "%s: expected a path, found none", key);
    else
        ws_fail(err, WS_E_CONFIG, "%s: %s does not exist", key, path);
    ws_err_hint(err, "set %s to your data; for the demo, `make data` fetches Fashion-MNIST", key);
    return WS_E_CONFIG;
}

enum ws_status ws_run_refuse_limit(const struct ws_run *run, const char *command, struct ws_err *err)
{
    if (run->limit == 0)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "--limit: `webstill %s` works on whole sets", command);
    ws_err_hint(err, "use --limit with teacher or distill, where it counts steps");
    return WS_E_CONFIG;
}
