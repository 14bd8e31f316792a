#include "webstill/curate/curation.h"

#include "webstill/curate/phash.h"
#include "webstill/curate/provenance.h"

static bool has_quota(const struct ws_curate_keys *rule)
{
    return rule->quota > 0.0 && rule->quota < 1.0 && rule->quota_of != WS_BY_NOTHING;
}

bool ws_curation_asks_teacher(const struct ws_curate_keys *rule)
{
    return rule->source_precision != WS_BY_NOTHING;
}

static bool asks_origins(const struct ws_curate_keys *rule)
{
    return ws_curation_asks_teacher(rule) || has_quota(rule);
}

bool ws_curation_is_on(const struct ws_curate_keys *rule)
{
    return rule->density != WS_DENSITY_OFF || asks_origins(rule);
}

static enum ws_status no_memory(size_t n, struct ws_err *err)
{
    return ws_fail(err, WS_E_MEMORY, "out of memory for the curation of %zu images", n);
}

static enum ws_status open_density(struct ws_curation *curation, const struct ws_curation_pool *pool,
                                   struct ws_err *err)
{
    uint64_t *hashes = ws_arena_alloc(&curation->arena, pool->n, sizeof *hashes);
    curation->n_near = ws_arena_alloc(&curation->arena, pool->n, sizeof *curation->n_near);
    if (!hashes || !curation->n_near)
        return no_memory(pool->n, err);
    for (size_t i = 0; i < pool->n; i++)
        hashes[i] = ws_phash(pool->pixels[i], pool->height, pool->width, pool->channels);
    if (!ws_density_open(&curation->density, &curation->arena, hashes, pool->n, (int)curation->rule->density_distance))
        return no_memory(pool->n, err);
    ws_density_count(&curation->density, curation->n_near);
    return WS_OK;
}

static enum ws_status read_sources(struct ws_curation *curation, const struct ws_curation_pool *pool,
                                   enum ws_source_key key, struct ws_sources *out, struct ws_err *err)
{
    if (!pool->store)
        return ws_fail(err, WS_E_CONFIG, "curate.source_precision and curate.quota need an image store's origins");
    return ws_sources_read(out, &curation->arena, pool->store, pool->ids, pool->n, key, err);
}

static enum ws_status open_sources(struct ws_curation *curation, const struct ws_curation_pool *pool,
                                   struct ws_err *err)
{
    const enum ws_status status =
        read_sources(curation, pool, curation->rule->source_precision, &curation->sources, err);
    if (status != WS_OK)
        return status;
    const size_t n_sources = (size_t)curation->sources.n_sources;
    curation->source_rows = ws_arena_alloc(&curation->arena, n_sources + 1, sizeof *curation->source_rows);
    curation->source_weight = ws_arena_alloc(&curation->arena, pool->n, sizeof *curation->source_weight);
    if (!curation->source_rows || !curation->source_weight)
        return no_memory(pool->n, err);
    for (size_t i = 0; i < pool->n; i++)
        curation->source_weight[i] = 1.0f;
    return WS_OK;
}

static enum ws_status open_quota(struct ws_curation *curation, const struct ws_curation_pool *pool, struct ws_err *err)
{
    const enum ws_status status = read_sources(curation, pool, curation->rule->quota_of, &curation->owners, err);
    if (status != WS_OK)
        return status;
    const size_t n_owners = (size_t)curation->owners.n_sources;
    curation->quota = (struct ws_quota){
        .share = curation->rule->quota,
        .at_least = (int64_t)curation->rule->quota_at_least,
        .n_owners = (int)n_owners,
        .n_owned = ws_arena_alloc(&curation->arena, n_owners + 1, sizeof *curation->quota.n_owned),
        .by_rank = ws_arena_alloc(&curation->arena, pool->n, sizeof *curation->quota.by_rank),
    };
    curation->owner = ws_arena_alloc(&curation->arena, pool->n, sizeof *curation->owner);
    if (!curation->quota.n_owned || !curation->quota.by_rank || !curation->owner)
        return no_memory(pool->n, err);
    ws_source_own(&curation->owners, curation->quota.n_owned, curation->owner);
    return WS_OK;
}

enum ws_status ws_curation_open(struct ws_curation *curation, const struct ws_curate_keys *rule,
                                const struct ws_curation_pool *pool, struct ws_err *err)
{
    ws_assert(pool->n >= 1);
    *curation = (struct ws_curation){.rule = rule, .n = pool->n, .n_classes = pool->n_classes};
    enum ws_status status = WS_OK;
    if (rule->density != WS_DENSITY_OFF)
        status = open_density(curation, pool, err);
    if (status == WS_OK && rule->source_precision != WS_BY_NOTHING)
        status = open_sources(curation, pool, err);
    if (status == WS_OK && has_quota(rule))
        status = open_quota(curation, pool, err);
    if (status != WS_OK)
        ws_curation_close(curation);
    return status;
}

void ws_curation_close(struct ws_curation *curation)
{
    ws_arena_fini(&curation->arena);
    *curation = (struct ws_curation){0};
}

void ws_curation_judge(struct ws_curation *curation, const int32_t *predicted, const float *confidence)
{
    const struct ws_curate_keys *rule = curation->rule;
    const struct ws_source_rule how = {.belief = rule->source_belief,
                                       .confidence = rule->source_confidence,
                                       .prior = rule->source_prior,
                                       .drop_below = rule->source_drop_below};
    curation->source_mean = ws_source_judge(&curation->sources, predicted, confidence, &how, curation->source_rows);
    ws_source_weigh(&curation->sources, curation->source_rows, curation->source_weight);
}

/* Images that a rule has just taken out get its reason. */
static void note_reason(struct ws_selection *selection, enum ws_reason reason)
{
    for (size_t i = 0; i < selection->n; i++)
        if (!selection->keep[i] && selection->reason[i] == WS_REASON_KEPT)
            selection->reason[i] = (uint8_t)reason;
}

static void drop_sources(const struct ws_curation *curation, struct ws_selection *selection)
{
    for (size_t i = 0; i < selection->n; i++)
        if (curation->source_weight[i] <= 0.0f)
            selection->keep[i] = 0;
    note_reason(selection, WS_REASON_SOURCE);
}

static void count_kept(struct ws_selection *selection)
{
    selection->n_kept_total = 0;
    for (int c = 0; c < selection->n_classes; c++)
        selection->n_kept[c] = 0;
    for (size_t i = 0; i < selection->n; i++)
        if (selection->keep[i]) {
            selection->n_kept[selection->predicted[i]]++;
            selection->n_kept_total++;
        }
}

static double weigh(const struct ws_curation *curation, size_t i)
{
    double weight = curation->source_weight ? (double)curation->source_weight[i] : 1.0;
    if (curation->rule->density == WS_DENSITY_WEIGHT)
        weight /= (double)curation->n_near[i];
    return weight;
}

static void set_weights(const struct ws_curation *curation, struct ws_selection *selection)
{
    double sum = 0.0;
    for (size_t i = 0; i < selection->n; i++)
        sum += selection->keep[i] ? weigh(curation, i) : 0.0;
    const double scale = sum > 0.0 ? (double)selection->n_kept_total / sum : 0.0;
    for (size_t i = 0; i < selection->n; i++)
        selection->weight[i] = selection->keep[i] ? (float)(scale * weigh(curation, i)) : 0.0f;
}

void ws_curation_apply(struct ws_curation *curation, struct ws_selection *selection)
{
    if (!curation->rule)
        return;
    ws_assert(selection->n == curation->n && selection->n_classes == curation->n_classes);
    if (curation->source_weight)
        drop_sources(curation, selection);
    if (curation->rule->density == WS_DENSITY_DROP) {
        (void)ws_density_thin(&curation->density, selection->confidence, selection->keep);
        note_reason(selection, WS_REASON_DENSITY);
    }
    if (curation->owner) {
        (void)ws_quota_apply(&curation->quota, selection->n, selection->n_classes, selection->predicted,
                             selection->confidence, curation->owner, selection->keep);
        note_reason(selection, WS_REASON_QUOTA);
    }
    count_kept(selection);
    set_weights(curation, selection);
}

int64_t ws_selection_count_reason(const struct ws_selection *selection, enum ws_reason reason)
{
    int64_t n = 0;
    for (size_t i = 0; i < selection->n; i++)
        n += selection->reason[i] == reason;
    return n;
}
