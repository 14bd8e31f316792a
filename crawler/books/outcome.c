#include "outcome.h"

#include "webstill/base/log.h"
#include "webstill/base/mem.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_kept(const struct ws_url_entry *entry)
{
    return entry->state == WS_ENTRY_DONE || entry->state == WS_ENTRY_DUPLICATE;
}

/** Queued pictures of hosts that no further run will ask are no longer to be waited for. */
static void count_state(struct ws_outcome *outcome, const struct ws_books *books, const struct ws_url_entry *entry)
{
    const struct ws_parking *parking =
        entry->state == WS_ENTRY_QUEUED ? ws_parked_find_url(&books->parked, entry->url) : NULL;
    enum ws_entry_state state = entry->state;
    enum ws_failure failure = entry->failure;
    if (parking && ws_parking_is_final(parking)) {
        state = parking->is_forbidden ? WS_ENTRY_FORBIDDEN : WS_ENTRY_FAILED;
        failure = parking->failure;
    }
    outcome->states[state]++;
    outcome->n_found += state != WS_ENTRY_REDIRECTED;
    outcome->failures[failure] += state == WS_ENTRY_FAILED;
}

/** Count a picture under each class that it was found under, once. */
static enum ws_status count_classes(struct ws_outcome *outcome, const struct ws_config *config, struct ws_books *books,
                                    const struct ws_image_id *key, bool is_image_kept, struct ws_err *err)
{
    struct ws_find find = {0};
    bool *is_seen = ws_calloc(config->n_classes + 1, sizeof *is_seen);
    enum ws_status status =
        is_seen ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for %u classes", config->n_classes);
    for (bool is_first = true; status == WS_OK; is_first = false) {
        status = ws_frontier_next_find(books->frontier, key, is_first, &find, err);
        if (status != WS_OK)
            break;
        json_t *object = json_loadb(find.json.ptr, find.json.len, 0, NULL);
        const char *name = json_string_value(json_object_get(object, "class_name"));
        for (unsigned c = 0; name && c < config->n_classes; c++)
            is_seen[c] |= strcmp(config->classes[c].name, name) == 0;
        json_decref(object);
    }
    for (unsigned c = 0; status == WS_DONE && c < config->n_classes; c++) {
        outcome->found_per_class[c] += is_seen[c];
        outcome->per_class[c] += is_seen[c] && is_image_kept;
    }
    free(is_seen);
    ws_buf_fini(&find.json);
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_outcome_count(struct ws_outcome *outcome, const struct ws_config *config, struct ws_books *books,
                                struct ws_err *err)
{
    *outcome = (struct ws_outcome){0};
    outcome->per_class = ws_calloc(config->n_classes + 1, sizeof *outcome->per_class);
    outcome->found_per_class = ws_calloc(config->n_classes + 1, sizeof *outcome->found_per_class);
    struct ws_url_entry *entry = ws_calloc(1, sizeof *entry);
    struct ws_image_id key = {{0}};
    enum ws_status status = WS_OK;
    if (!outcome->per_class || !outcome->found_per_class || !entry)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the crawl's counts");
    for (bool is_first = true; status == WS_OK; is_first = false) {
        status = ws_frontier_next_url(books->frontier, &key, is_first, entry, err);
        if (status != WS_OK)
            break;
        count_state(outcome, books, entry);
        if (is_kept(entry))
            outcome->n_bytes += (int64_t)entry->body_bytes;
        if (entry->state != WS_ENTRY_REDIRECTED)
            status = count_classes(outcome, config, books, &key, is_kept(entry), err);
    }
    free(entry);
    return status == WS_DONE ? WS_OK : status;
}

void ws_outcome_fini(struct ws_outcome *outcome)
{
    free(outcome->per_class);
    free(outcome->found_per_class);
    outcome->per_class = outcome->found_per_class = NULL;
}

int64_t ws_outcome_n_kept(const struct ws_outcome *outcome)
{
    return outcome->states[WS_ENTRY_DONE] + outcome->states[WS_ENTRY_DUPLICATE];
}

/* --- manifest and verdict --- */

/** What did not come, by reason: robots and opt-outs beside the failures of enum ws_failure. */
static json_t *make_reasons(const struct ws_outcome *outcome)
{
    json_t *reasons = json_object();
    for (int i = 1; reasons && i < WS_N_FAILURES; i++)
        if (outcome->failures[i] > 0)
            json_object_set_new(reasons, ws_failure_name((enum ws_failure)i), json_integer(outcome->failures[i]));
    if (reasons && outcome->states[WS_ENTRY_FORBIDDEN] > 0)
        json_object_set_new(reasons, "robots", json_integer(outcome->states[WS_ENTRY_FORBIDDEN]));
    if (reasons && outcome->states[WS_ENTRY_OPTED_OUT] > 0)
        json_object_set_new(reasons, "opted_out", json_integer(outcome->states[WS_ENTRY_OPTED_OUT]));
    return reasons;
}

static json_t *make_classes(const int64_t *per_class, const struct ws_config *config)
{
    json_t *classes = json_object();
    for (unsigned c = 0; classes && c < config->n_classes; c++)
        json_object_set_new(classes, config->classes[c].name, json_integer(per_class[c]));
    return classes;
}

bool ws_outcome_describe(const struct ws_outcome *outcome, const struct ws_config *config, struct ws_manifest *manifest)
{
    const int64_t *states = outcome->states;
    return ws_manifest_count(manifest, "found", outcome->n_found) &&
           ws_manifest_count(manifest, "images", ws_outcome_n_kept(outcome)) &&
           ws_manifest_count(manifest, "duplicates", states[WS_ENTRY_DUPLICATE]) &&
           ws_manifest_count(manifest, "redirected", states[WS_ENTRY_REDIRECTED]) &&
           ws_manifest_count(manifest, "failed", states[WS_ENTRY_FAILED]) &&
           ws_manifest_count(manifest, "forbidden", states[WS_ENTRY_FORBIDDEN]) &&
           ws_manifest_count(manifest, "opted_out", states[WS_ENTRY_OPTED_OUT]) &&
           ws_manifest_count(manifest, "left", states[WS_ENTRY_QUEUED]) &&
           ws_manifest_count(manifest, "bytes", outcome->n_bytes) &&
           ws_manifest_count(manifest, "source_requests", outcome->n_requests) &&
           ws_manifest_count(manifest, "pages_skipped", outcome->n_pages_skipped) &&
           ws_manifest_count(manifest, "pages_opted_out", outcome->n_pages_opted_out) &&
           ws_manifest_count(manifest, "unsupported", outcome->n_unsupported) &&
           ws_manifest_count(manifest, "sources_broken_off", outcome->n_searches_failed) &&
           ws_manifest_count(manifest, "sources_left", outcome->n_searches_left) &&
           ws_manifest_fact(manifest, "failed_by_reason", make_reasons(outcome)) &&
           ws_manifest_fact(manifest, "found_per_class", make_classes(outcome->found_per_class, config)) &&
           ws_manifest_fact(manifest, "images_per_class", make_classes(outcome->per_class, config));
}

static void warn_empty_class(const struct ws_class *class)
{
    char queries[512] = "";
    size_t at = 0;
    for (unsigned q = 0; q < class->n_queries && at < sizeof queries - 1; q++) {
        const int n = snprintf(queries + at, sizeof queries - at, "%s\"%s\"", q ? ", " : "", class->queries[q]);
        at += n > 0 ? (size_t)n : 0;
    }
    ws_log(WS_LOG_WARN, "class \"%s\": no picture found for %s; add other words to its queries, or other sources",
           class->name, queries);
}

double ws_outcome_failure_share(int64_t n_kept, int64_t n_failed, int64_t n_left)
{
    const int64_t n_all = n_kept + n_failed + n_left;
    return n_all > 0 ? (double)(n_failed + n_left) / (double)n_all : 0;
}

/** Nobody answered, and that is news: not one dead host beside a crawl that is otherwise whole. */
static bool is_network_down(const struct ws_outcome *outcome, const struct ws_tally *tally, bool is_published)
{
    if (tally->n_answers > 0 || tally->n_silences == 0)
        return false;
    return ws_outcome_n_kept(outcome) == 0 || (tally->n_lost > 0 && !is_published);
}

enum ws_status ws_outcome_judge(const struct ws_outcome *outcome, const struct ws_config *config,
                                const struct ws_tally *tally, bool is_limited, bool is_published, struct ws_err *err)
{
    const int64_t kept = ws_outcome_n_kept(outcome), failed = outcome->states[WS_ENTRY_FAILED];
    const int64_t left = is_limited ? 0 : outcome->states[WS_ENTRY_QUEUED];
    if (is_network_down(outcome, tally, is_published)) {
        ws_fail(err, WS_E_NETWORK, "nothing answered; %s: %s", tally->silent_host, tally->silent_detail);
        ws_err_hint(err, "is the server up and the network there? then run the same command again: nothing is lost");
        return WS_E_NETWORK;
    }
    for (unsigned c = 0; c < config->n_classes; c++)
        if (outcome->per_class[c] == 0)
            warn_empty_class(&config->classes[c]);
    const double share = ws_outcome_failure_share(kept, failed, left);
    if (share <= ws_crawl_keys(config)->max_failure_share)
        return WS_OK;
    ws_fail(err, WS_E_PARTIAL, "%lld of %lld pictures failed (%.0f %%), more than crawl.max_failure_share = %g allows",
            (long long)(failed + left), (long long)(kept + failed + left), 100 * share,
            ws_crawl_keys(config)->max_failure_share);
    ws_err_hint(err, "crawl/failures.jsonl names each with its reason; what was fetched is kept, and the same command "
                     "tries the others again");
    return WS_E_PARTIAL;
}
