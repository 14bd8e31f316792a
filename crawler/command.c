/** `webstill crawl CONFIG`: rounds of the crawl, until one has brought all that can be had. */
#include "commands.h"

#include "net/fetch.h"
#include "round.h"

#include "webstill/base/log.h"
#include "webstill/stage/job.h"
#include "webstill/table/tables.h"

#include <libxml/xmlversion.h>
#include <stdio.h>
#include <string.h>

void ws_crawl_libraries(char *text, size_t size_bytes)
{
    char lmdb[32];
    snprintf(text, size_bytes, "%s, libxml2 %s, LMDB %s", ws_fetcher_library(), LIBXML_DOTTED_VERSION,
             ws_tables_library(lmdb));
}

static enum ws_status check_config(const struct ws_run *run, struct ws_err *err)
{
    if (ws_crawl_keys(run->config)->n_sources > 0)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "%s: crawl.sources is empty: there is no place to look for pictures", run->config_path);
    ws_err_hint(err,
                "add a search API or seed pages, as configs/reference.yaml shows; to use WARC files of others, list "
                "them under store.warc and skip this stage");
    return WS_E_CONFIG;
}

/** --limit is an input: a limited crawl is not the whole one. */
static enum ws_status note_limit(struct ws_job *job, void *self, struct ws_err *err)
{
    struct ws_round *round = self;
    char limit[32];
    snprintf(limit, sizeof limit, "%lld", (long long)job->run->limit);
    const struct ws_digest digest = ws_sha256(limit, strlen(limit));
    round->is_further = ws_file_exists(job->manifest_path);
    return job->run->limit > 0 ? ws_job_input(job, "--limit", &digest, err) : WS_OK;
}

/** A round that left something, or in which more failed than may, is followed by another. */
static bool is_whole(const struct ws_job *job, void *self)
{
    struct ws_round *round = self;
    json_t *old = NULL;
    round->is_published = ws_manifest_read(job->manifest_path, &old, NULL) == WS_OK;
    const bool has_all = round->is_published && ws_round_had_all(old, job->run->config);
    json_decref(old);
    return has_all || (round->is_published && job->run->limit > 0);
}

static enum ws_status print_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    return ws_round_plan(job->run, err);
}

/** The old manifest stays until the new one replaces it: what it vouches for, finished shards, never changes. */
static enum ws_status crawl(struct ws_job *job, void *self, struct ws_err *err)
{
    bool is_closed;
    const enum ws_status status = ws_round_run(job->run, self, &job->manifest, &is_closed, err);
    if (!is_closed)
        return status;
    const enum ws_status published = ws_job_finish(job, status == WS_OK ? err : NULL);
    return status == WS_OK ? published : status;
}

enum ws_status ws_crawl_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {
        .inputs = note_limit, .is_whole = is_whole, .plan = print_plan, .make = crawl};
    struct ws_round round = {0};
    char libraries[512];
    ws_crawl_libraries(libraries, sizeof libraries);
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("crawl"), .program = "webstill-crawl", .libraries = libraries};
    const enum ws_status status = check_config(run, err);
    return status == WS_OK ? ws_job_run(run, &setup, &steps, &round, err) : status;
}
