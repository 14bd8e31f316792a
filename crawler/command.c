/** `webstill crawl CONFIG`: open the books, crawl, close them with a manifest. */
#include "commands.h"

#include "books/failures.h"
#include "books/outcome.h"
#include "job/crawl.h"
#include "job/picture.h"
#include "job/rules.h"
#include "job/search.h"
#include "net/fetch.h"
#include "turn/loop.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/stage/table.h"

#include <libxml/xmlversion.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, MAX_RECORD_BYTES = 1 << 30 };

/** The jobs, as the loop calls them. */
static const struct ws_errand_table jobs = {
    .open_host = &ws_rules_errand,
    .serve = {[WS_ITEM_IMAGE] = &ws_picture_errand, [WS_ITEM_TASK] = &ws_search_errand},
};

static bool join(char path[PATH_BYTES], const struct ws_run *run, const char *name)
{
    return snprintf(path, PATH_BYTES, "%s/crawl/%s", run->work, name) < PATH_BYTES;
}

/* --- opening and closing --- */

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
    char dir[PATH_BYTES], frontier[PATH_BYTES];
    *crawl = (struct ws_crawl){.config = run->config, .conf = ws_crawl_keys(run->config)};
    if (!join(dir, run, "") || !join(frontier, run, "frontier"))
        return ws_fail(err, WS_E_CONFIG, "the working directory's name is too long: %.60s…", run->work);
    dir[strlen(dir) - 1] = '\0';
    ws_robots_token(crawl->conf->user_agent, crawl->token);
    if (!crawl->token[0])
        return ws_fail(err, WS_E_CONFIG,
                       "crawl.user_agent: expected a product name of letters, - and _ first, found \"%s\"",
                       crawl->conf->user_agent);
    enum ws_status status = ws_books_open(&crawl->books, dir, frontier, crawl->conf, err);
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

static enum ws_status add_shards(struct ws_crawl *crawl, const struct ws_run *run, struct ws_manifest *manifest,
                                 struct ws_err *err)
{
    char path[PATH_BYTES], dir[PATH_BYTES], name[300];
    struct ws_dir_list shards = {0};
    if (!join(dir, run, ""))
        return ws_fail(err, WS_E_CONFIG, "the working directory's name is too long");
    enum ws_status status = ws_dir_list_open(&shards, dir, ".warc.gz", err);
    for (size_t i = 0; status == WS_OK && i < shards.n; i++) {
        struct ws_digest digest;
        int64_t n_records;
        if (!join(path, run, shards.names[i]) ||
            snprintf(name, sizeof name, "crawl/%s", shards.names[i]) >= (int)sizeof name)
            status = ws_fail(err, WS_E_CONFIG, "a WARC file's name is too long: %.60s…", shards.names[i]);
        if (status == WS_OK)
            status = describe_shard(crawl, shards.names[i], path, &digest, &n_records, err);
        if (status == WS_OK && !ws_manifest_output(manifest, name, &digest, n_records))
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    }
    ws_dir_list_close(&shards);
    return status == WS_OK ? ws_frontier_commit(crawl->books.frontier, err) : status;
}

/** A manifest without outputs: configuration, and --limit as an input, since a limited crawl is not the whole one. */
static enum ws_status begin_manifest(struct ws_manifest *manifest, const struct ws_run *run, struct ws_err *err)
{
    char libraries[512], limit[32];
    ws_crawl_libraries(libraries, sizeof libraries);
    enum ws_status status = ws_manifest_begin(manifest, "crawl", libraries, run->config, NULL, err);
    snprintf(limit, sizeof limit, "%lld", (long long)run->limit);
    const struct ws_digest digest = ws_sha256(limit, strlen(limit));
    if (status == WS_OK && run->limit > 0 && !ws_manifest_input(manifest, "--limit", &digest))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status;
}

static int64_t count_of(const json_t *counts, const char *key)
{
    return json_integer_value(json_object_get(counts, key));
}

/** What earlier runs have published under this configuration. */
enum earlier {
    EARLIER_NONE,
    EARLIER_PARTIAL, /* hosts were silent, or more failed than may: another run tries again */
    EARLIER_WHOLE,
};

static enum earlier look_back(const struct ws_run *run, const char *path)
{
    struct ws_manifest manifest = {0};
    json_t *old = NULL;
    const bool is_published = begin_manifest(&manifest, run, NULL) == WS_OK &&
                              ws_manifest_is_current(&manifest, path, run->work) &&
                              ws_manifest_read(path, &old, NULL) == WS_OK;
    const json_t *counts = json_object_get(old, "counts");
    const bool is_whole = is_published && count_of(counts, "left") == 0 && count_of(counts, "sources_left") == 0 &&
                          ws_outcome_failure_share(count_of(counts, "images"), count_of(counts, "failed"), 0) <=
                              ws_crawl_keys(run->config)->max_failure_share;
    json_decref(old);
    ws_manifest_fini(&manifest);
    if (!is_published)
        return EARLIER_NONE;
    return is_whole || run->limit > 0 ? EARLIER_WHOLE : EARLIER_PARTIAL;
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

static enum ws_status publish(struct ws_crawl *crawl, const struct ws_run *run, const struct ws_outcome *outcome,
                              struct ws_manifest *manifest, struct ws_err *err)
{
    char failures[PATH_BYTES], path[PATH_BYTES];
    if (!join(failures, run, "failures.jsonl") || !join(path, run, "manifest.json"))
        return ws_fail(err, WS_E_CONFIG, "the working directory's name is too long");
    enum ws_status status = ws_archive_finish(&crawl->books.archive, crawl->books.frontier, err);
    if (status == WS_OK)
        status = write_failures(crawl, failures, err);
    if (status == WS_OK)
        status = add_shards(crawl, run, manifest, err);
    if (status == WS_OK && !ws_outcome_describe(outcome, run->config, manifest))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status == WS_OK ? ws_manifest_finish(manifest, path, err) : status;
}

/* --- the command --- */

static enum ws_status print_plan(const struct ws_run *run, struct ws_err *err)
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

static enum ws_status run_crawl(const struct ws_run *run, bool is_published, bool is_further_round, struct ws_err *err)
{
    struct ws_crawl *crawl = ws_calloc(1, sizeof *crawl);
    struct ws_manifest manifest = {0};
    struct ws_outcome outcome = {0};
    if (!crawl)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the crawl");
    enum ws_status status = begin_manifest(&manifest, run, err);
    if (status == WS_OK)
        status = open_crawl(crawl, run, err);
    if (status == WS_OK && is_further_round)
        status = ws_picture_retry_failed(crawl, err);
    if (status == WS_OK)
        status = ws_loop_run(&crawl->turns, &jobs, crawl, err);
    if (status == WS_OK)
        status = count(crawl, &outcome, err);
    if (status == WS_OK)
        status = ws_outcome_judge(&outcome, run->config, &crawl->books.tally, run->limit > 0, is_published, err);
    if (status == WS_OK || status == WS_E_PARTIAL) {
        const enum ws_status published = publish(crawl, run, &outcome, &manifest, status == WS_OK ? err : NULL);
        status = status == WS_OK ? published : status;
        ws_log(WS_LOG_INFO,
               "%lld pictures of %lld found (%lld duplicates, %lld failed, %lld forbidden by robots.txt, %lld opted "
               "out, %lld left)",
               (long long)ws_outcome_n_kept(&outcome), (long long)outcome.n_found,
               (long long)outcome.states[WS_ENTRY_DUPLICATE], (long long)outcome.states[WS_ENTRY_FAILED],
               (long long)outcome.states[WS_ENTRY_FORBIDDEN], (long long)outcome.states[WS_ENTRY_OPTED_OUT],
               (long long)outcome.states[WS_ENTRY_QUEUED]);
    }
    ws_outcome_fini(&outcome);
    ws_manifest_fini(&manifest);
    close_crawl(crawl);
    free(crawl);
    return status;
}

enum ws_status ws_crawl_command(const struct ws_run *run, struct ws_err *err)
{
    char lock_path[PATH_BYTES], manifest_path[PATH_BYTES];
    struct ws_lock lock = {0};
    enum ws_status status = check_config(run, err);
    if (status != WS_OK)
        return status;
    if (run->dry_run)
        return print_plan(run, err);
    if (!join(lock_path, run, "lock") || !join(manifest_path, run, "manifest.json"))
        return ws_fail(err, WS_E_CONFIG, "the working directory's name is too long: %.60s…", run->work);
    status = ws_lock_take(&lock, lock_path, "webstill-crawl", err);
    if (status != WS_OK)
        return status;
    const enum earlier earlier = look_back(run, manifest_path);
    if (earlier == EARLIER_WHOLE)
        ws_log(WS_LOG_INFO, "up to date");
    else /* a manifest of whatever configuration says that a round has ended: its failures get another chance */
        status = run_crawl(run, earlier != EARLIER_NONE, ws_file_exists(manifest_path), err);
    ws_lock_release(&lock);
    return status;
}

void ws_crawl_libraries(char *text, size_t size_bytes)
{
    int major, minor, patch;
    (void)mdb_version(&major, &minor, &patch);
    snprintf(text, size_bytes, "%s, libxml2 %s, LMDB %d.%d.%d", ws_fetcher_library(), LIBXML_DOTTED_VERSION, major,
             minor, patch);
}
