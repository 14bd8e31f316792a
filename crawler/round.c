/** A round of the crawl: open the books, crawl, close them, and tell the manifest what there is. */
#include "round.h"

#include "books/failures.h"
#include "books/outcome.h"
#include "job/crawl.h"
#include "job/picture.h"
#include "job/rules.h"
#include "job/search.h"
#include "turn/loop.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECORD_BYTES = 1 << 30 };

/** The jobs, as the loop calls them. */
static const struct ws_errand_table jobs = {
    .open_host = &ws_rules_errand,
    .serve = {[WS_ITEM_IMAGE] = &ws_picture_errand, [WS_ITEM_TASK] = &ws_search_errand},
};

/* --- opening and closing --- */

/** What earlier runs came to. */
static enum ws_status recall(struct ws_crawl *crawl, struct ws_err *err)
{
    struct ws_outcome before;
    struct ws_tally *tally = &crawl->books.tally;
    const enum ws_status status = ws_outcome_count(&before, crawl->config, &crawl->books, err);
    tally->n_images = ws_outcome_n_kept(&before);
    tally->n_known = before.n_found;
    tally->n_failed = before.states[WS_ENTRY_FAILED];
    ws_outcome_fini(&before);
    return status;
}

static enum ws_status open_crawl(struct ws_crawl *crawl, const struct ws_run *run, struct ws_err *err)
{
    char dir[WS_PATH_BYTES], frontier[WS_PATH_BYTES];
    *crawl = (struct ws_crawl){.config = run->config, .conf = ws_crawl_keys(run->config)};
    enum ws_status status = ws_path_join(dir, run->work, err, "crawl");
    if (status == WS_OK)
        status = ws_path_join(frontier, dir, err, "frontier");
    if (status != WS_OK)
        return status;
    ws_robots_token(crawl->conf->user_agent, crawl->token);
    if (!crawl->token[0])
        return ws_fail(err, WS_E_CONFIG,
                       "crawl.user_agent: expected a product name of letters, - and _ first, found \"%s\"",
                       crawl->conf->user_agent);
    status = ws_books_open(&crawl->books, dir, frontier, crawl->conf, err);
    if (status == WS_OK)
        status = ws_turns_open(&crawl->turns, crawl->config, &crawl->books, run->limit, err);
    if (status == WS_OK)
        status = ws_agenda_make(&crawl->agenda, crawl->config, ws_source_table, err);
    if (status == WS_OK)
        status = recall(crawl, err);
    return status == WS_OK ? ws_search_begin_all(crawl, err) : status;
}

static void close_crawl(struct ws_crawl *crawl)
{
    ws_agenda_fini(&crawl->agenda);
    ws_turns_close(&crawl->turns);
    ws_books_close(&crawl->books);
}

/* --- the manifest --- */

static enum ws_status count_records(const char *path, int64_t *n, struct ws_err *err)
{
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    *n = 0;
    enum ws_status status = ws_warc_reader_open(&reader, path, 0, MAX_RECORD_BYTES, err);
    while (status == WS_OK && (status = ws_warc_next(reader, &record, err)) == WS_OK)
        ++*n;
    ws_warc_reader_close(&reader);
    return status == WS_DONE ? WS_OK : status;
}

/** Digest and record count of a finished shard; kept in the frontier, as a shard never changes. */
static enum ws_status describe_shard(struct ws_crawl *crawl, const char *name, const char *path,
                                     struct ws_digest *digest, int64_t *n_records, struct ws_err *err)
{
    char key[300], value[WS_DIGEST_HEX + 32], hex[WS_DIGEST_HEX];
    struct ws_buf known = {0};
    long long count;
    snprintf(key, sizeof key, "shard %s", name);
    enum ws_status status = ws_frontier_get_meta(crawl->books.frontier, key, &known, err);
    const bool is_known =
        status == WS_OK && sscanf(known.ptr, "%64s %lld", hex, &count) == 2 && ws_digest_parse(hex, digest);
    ws_buf_fini(&known);
    if (is_known) {
        *n_records = count;
        return WS_OK;
    }
    if (status == WS_OK || status == WS_DONE)
        status = ws_sha256_file(path, digest, err);
    if (status == WS_OK)
        status = count_records(path, n_records, err);
    if (status != WS_OK)
        return status;
    ws_digest_hex(digest, hex);
    snprintf(value, sizeof value, "%s %lld", hex, (long long)*n_records);
    return ws_frontier_put_meta(crawl->books.frontier, key, value, err);
}

static enum ws_status add_shard(struct ws_crawl *crawl, const char *dir, const char *shard,
                                struct ws_manifest *manifest, struct ws_err *err)
{
    char path[WS_PATH_BYTES], name[300];
    struct ws_digest digest;
    int64_t n_records;
    if (snprintf(name, sizeof name, "crawl/%s", shard) >= (int)sizeof name)
        return ws_fail(err, WS_E_CONFIG, "a WARC file's name is too long: %.60s…", shard);
    enum ws_status status = ws_path_join(path, dir, err, "%s", shard);
    if (status == WS_OK)
        status = describe_shard(crawl, shard, path, &digest, &n_records, err);
    if (status == WS_OK && !ws_manifest_output(manifest, name, &digest, n_records))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status;
}

static enum ws_status add_shards(struct ws_crawl *crawl, const char *dir, struct ws_manifest *manifest,
                                 struct ws_err *err)
{
    struct ws_dir_list shards = {0};
    enum ws_status status = ws_dir_list_open(&shards, dir, ".warc.gz", err);
    for (size_t i = 0; status == WS_OK && i < shards.n; i++)
        status = add_shard(crawl, dir, shards.names[i], manifest, err);
    ws_dir_list_close(&shards);
    return status == WS_OK ? ws_frontier_commit(crawl->books.frontier, err) : status;
}

static enum ws_status count(struct ws_crawl *crawl, struct ws_outcome *outcome, struct ws_err *err)
{
    const enum ws_status status = ws_outcome_count(outcome, crawl->config, &crawl->books, err);
    return status == WS_OK ? ws_search_count(crawl, outcome, err) : status;
}

static enum ws_status write_failures(struct ws_crawl *crawl, const char *path, struct ws_err *err)
{
    struct ws_failures failures;
    enum ws_status status = ws_failures_open(&failures, path, err);
    if (status == WS_OK)
        status = ws_failures_add_pictures(&failures, &crawl->books, err);
    if (status == WS_OK)
        status = ws_search_write_failures(crawl, &failures, err);
    if (status == WS_OK)
        status = ws_failures_finish(&failures, err);
    ws_failures_close(&failures);
    return status;
}

/** The books closed, and all that a manifest tells of them. */
static enum ws_status close_books(struct ws_crawl *crawl, const struct ws_run *run, const struct ws_outcome *outcome,
                                  struct ws_manifest *manifest, struct ws_err *err)
{
    char dir[WS_PATH_BYTES], failures[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(dir, run->work, err, "crawl");
    if (status == WS_OK)
        status = ws_path_join(failures, dir, err, "failures.jsonl");
    if (status == WS_OK)
        status = ws_archive_finish(&crawl->books.archive, crawl->books.frontier, err);
    if (status == WS_OK)
        status = write_failures(crawl, failures, err);
    if (status == WS_OK)
        status = add_shards(crawl, dir, manifest, err);
    if (status == WS_OK && !ws_outcome_describe(outcome, run->config, manifest))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status;
}

static int64_t count_of(const json_t *counts, const char *key)
{
    return json_integer_value(json_object_get(counts, key));
}

bool ws_round_had_all(const json_t *manifest, const struct ws_config *config)
{
    const json_t *counts = json_object_get(manifest, "counts");
    return count_of(counts, "left") == 0 && count_of(counts, "sources_left") == 0 &&
           ws_outcome_failure_share(count_of(counts, "images"), count_of(counts, "failed"), 0) <=
               ws_crawl_keys(config)->max_failure_share;
}

/* --- the round --- */

enum ws_status ws_round_plan(const struct ws_run *run, struct ws_err *err)
{
    struct ws_agenda agenda;
    const struct ws_crawl_keys *conf = ws_crawl_keys(run->config);
    const enum ws_status status = ws_agenda_make(&agenda, run->config, ws_source_table, err);
    for (size_t i = 0; status == WS_OK && i < agenda.n; i++) {
        const struct ws_search *search = &agenda.searches[i];
        printf("%-10s %-24s %s%s%s\n", search->ops->name, search->source_name, search->source->url,
               search->query ? "  query: " : "", search->query ? search->query : "");
    }
    printf("%zu searches and walks; at least %u ms between two requests to a host, %u at once per host, %u in all\n",
           agenda.n, (unsigned)conf->delay_ms, (unsigned)conf->per_host, (unsigned)conf->concurrency);
    ws_agenda_fini(&agenda);
    return status;
}

static void tell_outcome(const struct ws_outcome *outcome)
{
    ws_log(WS_LOG_INFO,
           "%lld pictures of %lld found (%lld duplicates, %lld failed, %lld forbidden by robots.txt, %lld opted "
           "out, %lld left)",
           (long long)ws_outcome_n_kept(outcome), (long long)outcome->n_found,
           (long long)outcome->states[WS_ENTRY_DUPLICATE], (long long)outcome->states[WS_ENTRY_FAILED],
           (long long)outcome->states[WS_ENTRY_FORBIDDEN], (long long)outcome->states[WS_ENTRY_OPTED_OUT],
           (long long)outcome->states[WS_ENTRY_QUEUED]);
}

static enum ws_status crawl_and_close(struct ws_crawl *crawl, const struct ws_run *run, const struct ws_round *round,
                                      struct ws_manifest *manifest, bool *is_closed, struct ws_err *err)
{
    struct ws_outcome outcome = {0};
    enum ws_status status = open_crawl(crawl, run, err);
    if (status == WS_OK && round->is_further)
        status = ws_picture_retry_failed(crawl, err);
    if (status == WS_OK)
        status = ws_loop_run(&crawl->turns, &jobs, crawl, err);
    if (status == WS_OK)
        status = count(crawl, &outcome, err);
    if (status == WS_OK)
        status = ws_outcome_judge(&outcome, run->config, &crawl->books.tally, run->limit > 0, round->is_published, err);
    if (status == WS_OK || status == WS_E_PARTIAL) {
        const enum ws_status closed = close_books(crawl, run, &outcome, manifest, status == WS_OK ? err : NULL);
        *is_closed = closed == WS_OK;
        status = status == WS_OK ? closed : status;
        tell_outcome(&outcome);
    }
    ws_outcome_fini(&outcome);
    return status;
}

enum ws_status ws_round_run(const struct ws_run *run, const struct ws_round *round, struct ws_manifest *manifest,
                            bool *is_closed, struct ws_err *err)
{
    *is_closed = false;
    struct ws_crawl *crawl = ws_calloc(1, sizeof *crawl);
    if (!crawl)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the crawl");
    const enum ws_status status = crawl_and_close(crawl, run, round, manifest, is_closed, err);
    close_crawl(crawl);
    free(crawl);
    return status;
}
