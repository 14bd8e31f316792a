/** `webstill report`: report/index.html and its manifest. */
#include "commands.h"
#include "keys.h"
#include "page.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/stage/job.h"

#include <jansson.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

#define PAGE_FILE "report/index.html"

/** What the page is made of, as files: manifests stand for the data that they vouch for. */
static enum ws_status add_input(struct ws_job *job, const char *relative, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_digest digest;
    enum ws_status status = ws_path_join(path, job->run->work, err, "%s", relative);
    if (status != WS_OK || !ws_file_exists(path))
        return status;
    status = ws_sha256_file(path, &digest, err);
    return status == WS_OK ? ws_job_input(job, relative, &digest, err) : status;
}

/** A run without a manifest is still in progress: its metrics are inputs of their own. */
static enum ws_status add_run(struct ws_job *job, const char *folder, struct ws_err *err)
{
    static const char *const files[] = {"manifest.json", "metrics.jsonl", "eval.json", "best-eval.json"};
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < sizeof files / sizeof files[0]; i++) {
        char relative[512];
        snprintf(relative, sizeof relative, "%.300s/%s", folder, files[i]);
        status = add_input(job, relative, err);
    }
    return status;
}

static enum ws_status add_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    struct ws_stage_folder places[WS_STAGES_MAX];
    const struct ws_config *config = job->run->config;
    const size_t n = ws_stages_list(config, NULL, places, WS_STAGES_MAX);
    enum ws_status status = WS_OK;
    (void)self;
    for (size_t i = 0; status == WS_OK && i < n; i++) {
        if (places[i].run)
            status = add_run(job, places[i].folder, err);
        else if (places[i].stage != job->stage && !places[i].stage->has_runs)
            status = add_input(job, places[i].manifest, err);
    }
    if (status == WS_OK)
        status = add_input(job, "teacher/eval.json", err);
    if (status == WS_OK)
        status = add_input(job, "teacher/metrics.jsonl", err);
    /* The experiments over seeds lie where the configuration says, not below the working directory. */
    const char *results = ws_report_keys(config)->results;
    return status == WS_OK && results[0] && ws_file_exists(results) ? ws_job_input_file(job, results, err) : status;
}

static enum ws_status write_page(const struct ws_run *run, const char *path, struct ws_digest *digest,
                                 struct ws_err *err)
{
    struct ws_report report;
    struct ws_html html = {0};
    enum ws_status status = ws_report_load(&report, run->config, run->work, err);
    if (status != WS_OK)
        return status;
    if (report.problems[0])
        ws_log(WS_LOG_WARN, "left out of the report: %s", report.problems);
    status = ws_report_write(&report, &html, err);
    if (status == WS_OK)
        status = ws_file_replace(path, html.buf.ptr, html.buf.len, err);
    if (status == WS_OK)
        *digest = ws_sha256(html.buf.ptr, html.buf.len);
    ws_buf_fini(&html.buf);
    ws_report_fini(&report);
    return status;
}

static enum ws_status make_report(struct ws_job *job, void *self, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_digest digest;
    (void)self;
    enum ws_status status = ws_path_join(path, job->run->work, err, PAGE_FILE);
    if (status == WS_OK)
        status = ws_job_start(job, err);
    if (status == WS_OK)
        status = write_page(job->run, path, &digest, err);
    if (status == WS_OK)
        status = ws_job_output(job, PAGE_FILE, &digest, 1, err);
    if (status == WS_OK && !ws_manifest_count(&job->manifest, "bytes", ws_file_size(path)))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    if (status == WS_OK)
        status = ws_job_finish(job, err);
    if (status == WS_OK)
        ws_log(WS_LOG_INFO, "%s, %lld KiB: open it in a browser", path, (long long)(ws_file_size(path) / 1024));
    return status;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    (void)err;
    ws_log(WS_LOG_INFO, "would write %s/index.html", job->dir);
    return WS_OK;
}

enum ws_status ws_report_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = add_inputs, .plan = tell_plan, .make = make_report};
    char libraries[80];
    snprintf(libraries, sizeof libraries, "libpng %s, jansson %s", PNG_LIBPNG_VER_STRING, jansson_version_str());
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("report"), .program = "webstill-store report", .libraries = libraries};
    return ws_job_run(run, &setup, &steps, NULL, err);
}
