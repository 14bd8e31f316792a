#include "webstill/stage/job.h"

#include "webstill/base/json.h"
#include "webstill/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ws_status name_paths(struct ws_job *job, const char *folder, const char *file, char lock[WS_PATH_BYTES],
                                 struct ws_err *err)
{
    const char *work = job->run->work;
    enum ws_status status = ws_path_join(job->dir, work, err, "%s", folder);
    if (status == WS_OK)
        status = ws_path_join(job->manifest_path, work, err, "%s/%s", folder, file ? file : "manifest.json");
    return status == WS_OK ? ws_path_join(lock, work, err, "%s/lock", folder) : status;
}

enum ws_status ws_job_open(struct ws_job *job, const struct ws_run *run, const struct ws_job_setup *setup,
                           struct ws_err *err)
{
    const struct ws_stage *stage = setup->stage;
    char lock[WS_PATH_BYTES];
    *job = (struct ws_job){
        .run = run, .stage = stage, .title = setup->title ? setup->title : stage->name, .is_target = !setup->folder};
    enum ws_status status = name_paths(job, setup->folder ? setup->folder : stage->folder, setup->file, lock, err);
    if (status == WS_OK && !run->dry_run)
        status = ws_lock_take(&job->lock, lock, setup->program, err);
    if (status == WS_OK)
        status = ws_manifest_begin(&job->manifest, stage, setup->libraries, run->config, setup->method, err);
    if (status != WS_OK)
        ws_job_close(job);
    return status;
}

void ws_job_close(struct ws_job *job)
{
    ws_manifest_fini(&job->manifest);
    ws_lock_release(&job->lock);
}

static enum ws_status run_open(struct ws_job *job, const struct ws_job_steps *steps, void *self, struct ws_err *err)
{
    enum ws_status status = steps->inputs(job, self, err);
    if (status != WS_OK)
        return status;
    if (ws_job_is_current(job) && (!steps->is_whole || steps->is_whole(job, self)))
        ws_job_tell_current(job);
    else if (job->run->dry_run)
        return steps->plan(job, self, err);
    else
        status = steps->make(job, self, err);
    return status == WS_OK && steps->tell ? steps->tell(job, self, err) : status;
}

enum ws_status ws_job_run(const struct ws_run *run, const struct ws_job_setup *setup, const struct ws_job_steps *steps,
                          void *self, struct ws_err *err)
{
    struct ws_job job;
    enum ws_status status = ws_job_open(&job, run, setup, err);
    if (status != WS_OK)
        return status;
    status = run_open(&job, steps, self, err);
    ws_job_close(&job);
    return status;
}

/* --- inputs --- */

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

/** The row of one of the stages that this one says it reads, or its own. */
static const struct ws_stage *find_input(const struct ws_job *job, const char *name)
{
    const char *const *input = job->stage->inputs;
    if (strcmp(job->stage->name, name) == 0)
        return job->stage; /* its own runs */
    while (*input && strcmp(*input, name) != 0)
        input++;
    ws_assert(*input); /* a row tells all that its stage reads: make has its rules from there */
    return ws_stage_find(name);
}

enum ws_status ws_job_input_stage(struct ws_job *job, const char *stage, const char *run, const char *output,
                                  struct ws_digest *digest, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    json_t *root = NULL;
    struct ws_digest found;
    enum ws_status status = ws_path_join(path, job->run->work, err, "%s%s%s/manifest.json",
                                         find_input(job, stage)->folder, run ? "/" : "", run ? run : "");
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

enum ws_status ws_job_forget_inputs(struct ws_job *job, struct ws_err *err)
{
    return json_array_clear(json_object_get(job->manifest.root, "inputs")) == 0 ? WS_OK : fail_memory(job, err);
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

/* --- what is there already --- */

bool ws_job_is_current(const struct ws_job *job)
{
    return ws_manifest_is_current(&job->manifest, job->manifest_path, job->run->work);
}

void ws_job_tell_current(const struct ws_job *job)
{
    /* The log names the stage already. */
    const bool is_stage = strcmp(job->title, job->stage->name) == 0;
    ws_log(WS_LOG_INFO, "%s%sup to date", is_stage ? "" : job->title, is_stage ? "" : ": ");
    if (job->is_target && !job->run->dry_run)
        utimensat(AT_FDCWD, job->manifest_path, NULL, 0); /* make need not ask again; failing costs one more look */
}

enum ws_status ws_job_start(const struct ws_job *job, struct ws_err *err)
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
        const char *config = ws_json_text(job->manifest.root, "config_sha256");
        ws_sha256_add(&stream, config, strlen(config));
        size_t i;
        const json_t *input;
        json_array_foreach(json_object_get(job->manifest.root, "inputs"), i, input)
        {
            const char *input_hex = ws_json_text(input, "sha256");
            ws_sha256_add(&stream, input_hex, strlen(input_hex));
        }
        digest = ws_sha256_finish(&stream);
    }
    ws_digest_hex(&digest, hex);
}

/* --- outputs --- */

enum ws_status ws_job_output(struct ws_job *job, const char *path, const struct ws_digest *digest, int64_t count,
                             struct ws_err *err)
{
    return ws_manifest_output(&job->manifest, path, digest, count) ? WS_OK : fail_memory(job, err);
}

enum ws_status ws_job_output_file(struct ws_job *job, const char *path, int64_t count, struct ws_err *err)
{
    char full[WS_PATH_BYTES];
    struct ws_digest digest;
    enum ws_status status = ws_path_join(full, job->run->work, err, "%s", path);
    if (status == WS_OK)
        status = ws_sha256_file(full, &digest, err);
    return status == WS_OK ? ws_job_output(job, path, &digest, count, err) : status;
}

void ws_job_fact(struct ws_job *job, const char *key, json_t *value)
{
    if (!ws_manifest_fact(&job->manifest, key, value))
        ws_log(WS_LOG_WARN, "%s: the manifest lacks the fact \"%s\"", job->title, key);
}

enum ws_status ws_job_finish(struct ws_job *job, struct ws_err *err)
{
    return ws_manifest_finish(&job->manifest, job->manifest_path, err);
}
