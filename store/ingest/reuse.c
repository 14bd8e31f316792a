/** Is the store on disk one of this configuration and these inputs? Else it is made anew. */
#include "images/format.h"
#include "intake.h"
#include "webstill/picture/keys.h"

#include "webstill/base/buf.h"
#include "webstill/base/log.h"
#include "webstill/base/text.h"

#include <stdio.h>
#include <string.h>

enum { REASON = 200 };

/** Everything that the pixels and labels depend on, as one line. */
static bool describe_rule(const struct ws_config *config, struct ws_buf *out)
{
    const struct ws_store_keys *s = ws_store_keys(config);
    bool ok = ws_buf_addf(out,
                          "size=%u channels=%u fit=%d background=%d invert=%d min_side=%u max_megapixels=%.9g "
                          "max_aspect=%.9g classes=",
                          s->size, s->channels, (int)s->fit, (int)s->background, (int)s->invert, s->min_side,
                          s->max_megapixels, s->max_aspect);
    for (unsigned i = 0; ok && i < config->n_classes; i++)
        ok = ws_buf_addf(out, "%s|", config->classes[i].name);
    return ok;
}

struct shard_check {
    const struct ws_intake *intake;
    struct ws_tables *db;
    char reason[REASON]; /**< why the store must be made anew, or empty */
};

/** A WARC file that the store was made from must still be an input, unchanged. */
static enum ws_status check_shard(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    struct shard_check *check = argument;
    (void)value;
    for (size_t i = 0; i < check->intake->n_inputs; i++) {
        const struct ws_ingest_input *input = &check->intake->inputs[i];
        char name[WS_URL_KEY_BYTES];
        if (ws_images_url_key(input->name, name) != key.len || memcmp(name, key.ptr, key.len) != 0)
            continue;
        struct ws_ingest_shard shard;
        const enum ws_status status = ws_ingest_shard_read(check->db, input->name, &shard, err);
        if (status == WS_OK && strcmp(shard.sha256, input->sha256) != 0)
            snprintf(check->reason, sizeof check->reason, "%.150s has changed", input->name);
        return status;
    }
    snprintf(check->reason, sizeof check->reason, "%.*s is no input any more", (int)(key.len < 150 ? key.len : 150),
             (const char *)key.ptr);
    return WS_DONE;
}

/** Were the pixels on disk made by this rule? A new store has none yet. */
static enum ws_status check_rule(struct ws_tables *db, const struct ws_buf *rule, char reason[REASON],
                                 struct ws_err *err)
{
    struct ws_span was;
    const enum ws_status status = ws_tables_get(db, WS_IMAGES_META, ws_text_span("rule"), &was, err);
    if (status != WS_OK)
        return status == WS_DONE ? WS_OK : status;
    if (was.len != rule->len || memcmp(was.ptr, rule->ptr, rule->len) != 0)
        snprintf(reason, REASON, "the configuration has changed (it was: %.*s)", (int)(was.len < 130 ? was.len : 130),
                 (const char *)was.ptr);
    return WS_OK;
}

static enum ws_status check_shards(const struct ws_intake *intake, struct ws_tables *db, char reason[REASON],
                                   struct ws_err *err)
{
    struct shard_check check = {.intake = intake, .db = db};
    const enum ws_status status = ws_tables_each(db, WS_IMAGES_SHARDS, (struct ws_span){0}, check_shard, &check, err);
    snprintf(reason, REASON, "%s", check.reason);
    return status;
}

/** What the store is, for those who open it. */
static enum ws_status note_rule(const struct ws_store_keys *keys, struct ws_tables *db, const struct ws_buf *rule,
                                struct ws_err *err)
{
    char size[16], channels[16];
    snprintf(size, sizeof size, "%u", keys->size);
    snprintf(channels, sizeof channels, "%u", keys->channels);
    const char *const meta[][2] = {{"format", "1"}, {"rule", rule->ptr}, {"size", size}, {"channels", channels}};
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < sizeof meta / sizeof meta[0]; i++)
        status = ws_tables_put(db, WS_IMAGES_META, ws_text_span(meta[i][0]), ws_text_span(meta[i][1]), err);
    return status;
}

/** Open what is on disk, or begin it. `reason` says why it cannot be gone on with; empty when it can, or is new. */
static enum ws_status try_store(const struct ws_intake *intake, const struct ws_buf *rule, struct ws_tables **db,
                                char reason[REASON], struct ws_err *err)
{
    const struct ws_store_keys *keys = ws_store_keys(intake->run->config);
    reason[0] = '\0';
    enum ws_status status = ws_images_create(db, intake->dir, keys->map_gib, err);
    if (status != WS_OK)
        return status;
    status = ws_tables_begin(*db, err);
    if (status != WS_OK)
        return status;
    status = check_rule(*db, rule, reason, err);
    if (status == WS_OK && !reason[0])
        status = check_shards(intake, *db, reason, err);
    if (status == WS_OK && !reason[0])
        status = note_rule(keys, *db, rule, err);
    return status == WS_OK ? ws_tables_commit(*db, err) : status;
}

enum ws_status ws_intake_open_store(const struct ws_intake *intake, struct ws_tables **db, struct ws_err *err)
{
    struct ws_buf rule = {0};
    char reason[REASON];
    enum ws_status status = WS_OK;
    if (!describe_rule(intake->run->config, &rule)) {
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the store's rule");
        goto free_rule;
    }
    status = try_store(intake, &rule, db, reason, err);
    if (status != WS_OK || !reason[0])
        goto free_rule;
    ws_log(WS_LOG_INFO, "the store is made anew: %s", reason);
    ws_tables_close(db);
    status = ws_images_remove(intake->dir, err);
    if (status == WS_OK)
        status = try_store(intake, &rule, db, reason, err);
free_rule:
    ws_buf_fini(&rule);
    return status;
}
