#include "job.h"

#include "webstill/base/log.h"
#include "webstill/nn/blas.h"
#include "webstill/nn/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

const char *ws_job_libraries(char text[256])
{
    /* "OpenBLAS 0.3.21 NO_LAPACKE …": name and version are the first two words. */
    const char *blas = ws_exec_library();
    const size_t name_len = strcspn(blas, " ");
    const size_t len = blas[name_len] ? name_len + 1 + strcspn(blas + name_len + 1, " ") : name_len;
    snprintf(text, 256, "%.*s (%.40s), LMDB %d.%d.%d, zlib %.20s, jansson %s", (int)len, blas, ws_blas_core(),
             MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH, zlibVersion(), JANSSON_VERSION);
    return text;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

enum ws_status ws_work_path(char path[WS_PATH_BYTES], const char *work, struct ws_err *err, const char *format, ...)
{
    int len = snprintf(path, WS_PATH_BYTES, "%s/", work);
    if (len < WS_PATH_BYTES) {
        va_list list;
        va_start(list, format);
        len += vsnprintf(path + len, (size_t)(WS_PATH_BYTES - len), format, list);
        va_end(list);
    }
    if (len >= WS_PATH_BYTES)
        return ws_fail(err, WS_E_CONFIG, "path below %.200s… is too long", work);
    return WS_OK;
}

enum ws_status ws_job_open(struct ws_job *job, const struct ws_run *run, const char *title, const char *stage,
                           const char *folder, const struct ws_config *config, struct ws_err *err)
{
    *job = (struct ws_job){.work = run->work, .title = title};
    char lock[WS_PATH_BYTES], libraries[256];
    enum ws_status status = ws_work_path(job->dir, run->work, err, "%s", folder);
    if (status == WS_OK)
        status = ws_work_path(job->manifest_path, run->work, err, "%s/manifest.json", folder);
    if (status == WS_OK)
        status = ws_work_path(lock, run->work, err, "%s/lock", folder);
    if (status == WS_OK && !run->dry_run)
        status = ws_lock_take(&job->lock, lock, "webstill-distill", err);
    if (status == WS_OK)
        status = ws_manifest_begin(&job->manifest, stage, ws_job_libraries(libraries), config,
                                   ws_stage_find(stage)->sections, err);
    if (status != WS_OK)
        ws_job_close(job);
    return status;
}

enum ws_status ws_job_pool_open(struct ws_pool **pool, const struct ws_config *config, struct ws_err *err)
{
    char remark[512];
    const enum ws_status status = ws_pool_open(pool, (int)config->threads, err);
    if (status != WS_OK)
        return status;
    const int n_threads = ws_pool_n_threads(*pool), n_cores = ws_pool_n_cores();
    ws_log(WS_LOG_DEBUG, "%d threads on %d cores, OpenBLAS's %s kernels", n_threads, n_cores, ws_blas_core());
    if (n_threads > n_cores)
        ws_log(WS_LOG_WARN,
               "%d threads share %d core%s: the result is the same, but later; --threads 0 takes one a core", n_threads,
               n_cores, n_cores == 1 ? "" : "s");
    if (ws_blas_remark(remark))
        ws_log(WS_LOG_WARN, "%s", remark);
    return WS_OK;
}

static enum ws_status fail_memory(const struct ws_job *job, struct ws_err *err)
{
    return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the manifest", job->title);
}

enum ws_status ws_job_input(struct ws_job *job, const char *path, const struct ws_digest *digest, struct ws_err *err)
{
    return ws_manifest_input(&job->manifest, path, digest) ? WS_OK : fail_memory(job, err);
}

enum ws_status ws_job_input_file(struct ws_job *job, const char *path, struct ws_err *err)
{
    struct ws_digest digest;
    const enum ws_status status = ws_sha256_file(path, &digest, err);
    return status == WS_OK ? ws_job_input(job, path, &digest, err) : status;
}

enum ws_status ws_job_input_stage(struct ws_job *job, const char *manifest, const char *output,
                                  struct ws_digest *digest, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    json_t *root = NULL;
    struct ws_digest found;
    enum ws_status status = ws_work_path(path, job->work, err, "%s", manifest);
    if (status == WS_OK)
        status = ws_manifest_read(path, &root, err);
    if (status != WS_OK)
        return status;
    const json_t *first = json_array_get(json_object_get(root, "outputs"), 0);
    const char *name = output ? output : json_string_value(json_object_get(first, "path"));
    if (!name)
        status = ws_fail(err, WS_E_DAMAGED, "%s names no output", path);
    if (status == WS_OK)
        status = ws_manifest_output_digest(root, name, &found, err);
    if (status == WS_OK)
        status = ws_job_input(job, name, &found, err);
    if (status == WS_OK && digest)
        *digest = found;
    json_decref(root);
    return status;
}

enum ws_status ws_job_input_classes(struct ws_job *job, const struct ws_config *config, struct ws_err *err)
{
    struct ws_sha256_stream stream;
    if (!ws_sha256_init(&stream))
        return fail_memory(job, err);
    for (unsigned i = 0; i < config->n_classes; i++)
        ws_sha256_add(&stream, config->classes[i].name, strlen(config->classes[i].name) + 1);
    const struct ws_digest digest = ws_sha256_finish(&stream);
    return ws_job_input(job, "names of classes", &digest, err);
}

bool ws_job_is_current(const struct ws_job *job)
{
    return ws_manifest_is_current(&job->manifest, job->manifest_path, job->work);
}

void ws_job_tell_current(const struct ws_job *job, bool touch)
{
    /* The log names the stage already. */
    const bool is_stage = strcmp(job->title, text_of(job->manifest.root, "stage")) == 0;
    ws_log(WS_LOG_INFO, "%s%sup to date", is_stage ? "" : job->title, is_stage ? "" : ": ");
    if (touch)
        utimensat(AT_FDCWD, job->manifest_path, NULL, 0); /* failing costs make one more look, no more */
}

enum ws_status ws_job_start(struct ws_job *job, struct ws_err *err)
{
    if (unlink(job->manifest_path) != 0 && errno != ENOENT)
        return ws_fail_errno(err, "%s", job->manifest_path);
    return WS_OK;
}

void ws_job_key(const struct ws_job *job, char hex[WS_DIGEST_HEX])
{
    struct ws_sha256_stream stream;
    struct ws_digest digest = {{0}};
    if (ws_sha256_init(&stream)) {
        const char *config = text_of(job->manifest.root, "config_sha256");
        ws_sha256_add(&stream, config, strlen(config));
        size_t i;
        const json_t *input;
        json_array_foreach(json_object_get(job->manifest.root, "inputs"), i, input)
        {
            const char *input_hex = text_of(input, "sha256");
            ws_sha256_add(&stream, input_hex, strlen(input_hex));
        }
        digest = ws_sha256_finish(&stream);
    }
    ws_digest_hex(&digest, hex);
}

enum ws_status ws_job_output(struct ws_job *job, const char *path, const struct ws_digest *digest, int64_t count,
                             struct ws_err *err)
{
    return ws_manifest_output(&job->manifest, path, digest, count) ? WS_OK : fail_memory(job, err);
}

enum ws_status ws_job_output_file(struct ws_job *job, const char *path, int64_t count, struct ws_err *err)
{
    char full[WS_PATH_BYTES];
    struct ws_digest digest;
    enum ws_status status = ws_work_path(full, job->work, err, "%s", path);
    if (status == WS_OK)
        status = ws_sha256_file(full, &digest, err);
    return status == WS_OK ? ws_job_output(job, path, &digest, count, err) : status;
}

void ws_job_fact(struct ws_job *job, const char *key, json_t *value)
{
    if (!ws_manifest_fact(&job->manifest, key, value))
        ws_log(WS_LOG_WARN, "%s: the manifest lacks the fact \"%s\"", job->title, key);
}

enum ws_status ws_job_require(const char *path, const char *key, struct ws_err *err)
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

enum ws_status ws_job_finish(struct ws_job *job, struct ws_err *err)
{
    return ws_manifest_finish(&job->manifest, job->manifest_path, err);
}

void ws_job_close(struct ws_job *job)
{
    ws_manifest_fini(&job->manifest);
    ws_lock_release(&job->lock);
}

enum ws_status ws_job_refuse_limit(const struct ws_run *run, const char *command, struct ws_err *err)
{
    if (run->limit == 0)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "--limit: `webstill %s` works on whole sets", command);
    ws_err_hint(err, "use --limit with teacher or distill, where it counts steps");
    return WS_E_CONFIG;
}
