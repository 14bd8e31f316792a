/** `webstill report`: report/index.html and its manifest. */
#include "commands.h"
#include "page.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/stage/manifest.h"
#include "webstill/stage/table.h"

#include <fcntl.h>
#include <jansson.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/** What the page is made of, as files: manifests stand for the data that they vouch for. */
static enum ws_status add_input(struct ws_manifest *manifest, const char *work, const char *relative,
                                struct ws_err *err)
{
    char path[WS_PATH_MAX];
    struct ws_digest digest;
    if (!ws_path_join(path, work, relative) || !ws_file_exists(path))
        return WS_OK;
    const enum ws_status status = ws_sha256_file(path, &digest, err);
    if (status == WS_OK && !ws_manifest_input(manifest, relative, &digest))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status;
}

/** The experiments over seeds lie where the configuration says, not below the working directory. */
static enum ws_status add_results(struct ws_manifest *manifest, const char *path, struct ws_err *err)
{
    struct ws_digest digest;
    if (!path[0] || !ws_file_exists(path))
        return WS_OK;
    const enum ws_status status = ws_sha256_file(path, &digest, err);
    if (status == WS_OK && !ws_manifest_input(manifest, path, &digest))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status;
}

/** A run without a manifest is still in progress: its metrics and selections are inputs of their own. */
static enum ws_status add_inputs(struct ws_manifest *manifest, const struct ws_config *config, const char *work,
                                 struct ws_err *err)
{
    static const char *const fixed[] = {"crawl/manifest.json",   "store/manifest.json",     "teacher/manifest.json",
                                        "scores/manifest.json",  "selection/manifest.json", "teacher/eval.json",
                                        "teacher/metrics.jsonl", "eval/manifest.json",      "export/manifest.json"};
    static const char *const per_run[] = {"manifest.json", "metrics.jsonl", "eval.json", "best-eval.json"};
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < sizeof(fixed) / sizeof(fixed[0]); i++)
        status = add_input(manifest, work, fixed[i], err);
    for (unsigned m = 0; status == WS_OK && m < config->distill.n_methods; m++) {
        for (size_t i = 0; status == WS_OK && i < sizeof(per_run) / sizeof(per_run[0]); i++) {
            char relative[512];
            snprintf(relative, sizeof(relative), "runs/%.200s/%s", config->distill.methods[m], per_run[i]);
            status = add_input(manifest, work, relative, err);
        }
    }
    return status == WS_OK ? add_results(manifest, config->report.results, err) : status;
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

static enum ws_status make_report(const struct ws_run *run, struct ws_manifest *manifest, const char *manifest_path,
                                  struct ws_err *err)
{
    char path[WS_PATH_MAX];
    struct ws_digest digest;
    if (!ws_path_join(path, run->work, "report/index.html"))
        return ws_fail(err, WS_E_CONFIG, "the path of the working directory is too long");
    enum ws_status status = write_page(run, path, &digest, err);
    if (status != WS_OK)
        return status;
    if (!ws_manifest_output(manifest, "report/index.html", &digest, 1) ||
        !ws_manifest_count(manifest, "bytes", ws_file_size(path)))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    status = ws_manifest_finish(manifest, manifest_path, err);
    if (status == WS_OK)
        ws_log(WS_LOG_INFO, "%s, %lld KiB: open it in a browser", path, (long long)(ws_file_size(path) / 1024));
    return status;
}

enum ws_status ws_report_command(const struct ws_run *run, struct ws_err *err)
{
    char folder[WS_PATH_MAX], path[WS_PATH_MAX], lock_path[WS_PATH_MAX], libraries[80];
    struct ws_manifest manifest = {0};
    struct ws_lock lock = {0};
    if (!ws_path_join(folder, run->work, "report") || !ws_path_join(path, run->work, "report/manifest.json") ||
        !ws_path_join(lock_path, run->work, "report/lock"))
        return ws_fail(err, WS_E_CONFIG, "the path of the working directory is too long");
    snprintf(libraries, sizeof(libraries), "libpng %s, jansson %s", PNG_LIBPNG_VER_STRING, jansson_version_str());
    if (run->dry_run) {
        ws_log(WS_LOG_INFO, "would write %s/index.html", folder);
        return WS_OK;
    }
    enum ws_status status = ws_dir_make(folder, err);
    if (status == WS_OK)
        status = ws_lock_take(&lock, lock_path, "webstill-store report", err);
    if (status != WS_OK)
        return status;
    status = ws_manifest_begin(&manifest, "report", libraries, run->config, ws_stage_find("report")->sections, err);
    if (status == WS_OK)
        status = add_inputs(&manifest, run->config, run->work, err);
    if (status == WS_OK && ws_manifest_is_current(&manifest, path, run->work)) {
        ws_log(WS_LOG_INFO, "up to date");
        (void)utimensat(AT_FDCWD, path, NULL, 0); /* make need not ask again; failing costs one more look */
    } else if (status == WS_OK) {
        status = make_report(run, &manifest, path, err);
    }
    ws_manifest_fini(&manifest);
    ws_lock_release(&lock);
    return status;
}
