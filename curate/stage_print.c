/* What the stage `curate` says: tables on standard output, facts in the manifest, warnings. */
#include "curating.h"

#include "webstill/base/log.h"
#include "webstill/curate/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SOURCES_SHOWN = 30, DRIFT_IMAGES_MIN = 100 };

static bool is_curated(const struct ws_curating *curating)
{
    return curating->curation.rule != NULL;
}

/* Images of a class (-1: of all) that a rule dropped. */
static int64_t count_dropped(const struct ws_selection *found, int c, enum ws_reason reason)
{
    int64_t n = 0;
    for (size_t i = 0; i < found->n; i++)
        n += found->reason[i] == reason && (c < 0 || found->predicted[i] == c);
    return n;
}

static void print_dropped(const struct ws_curating *curating, int c)
{
    for (int reason = WS_REASON_SOURCE; is_curated(curating) && reason < WS_N_REASONS; reason++)
        printf(" %9" PRId64, count_dropped(&curating->found, c, (enum ws_reason)reason));
}

static void print_classes(const struct ws_curating *curating)
{
    const struct ws_selection *found = &curating->found;
    printf("%-20s %9s %9s %9s", "class", "predicted", "threshold", "kept");
    for (int reason = WS_REASON_SOURCE; is_curated(curating) && reason < WS_N_REASONS; reason++)
        printf(" %9s", ws_selection_reason_name(reason));
    printf("\n");
    for (int c = 0; c < found->n_classes; c++) {
        printf("%-20s %9" PRId64 " %9.3f %9" PRId64, curating->config->classes[c].name, found->n_predicted[c],
               found->threshold[c], found->n_kept[c]);
        print_dropped(curating, c);
        printf("\n");
    }
    printf("%-20s %9zu %9s %9" PRId64, "all", found->n, "", found->n_kept_total);
    print_dropped(curating, -1);
    printf("   alpha %.3f\n", found->alpha);
}

static const char *key_name(enum ws_source_key key)
{
    return key == WS_BY_QUERY ? "query" : key == WS_BY_LICENCE ? "licence" : "host";
}

static double believed_share(const struct ws_curation *curation, int source)
{
    const double precision = curation->source_rows[source].precision;
    return isnan(precision) ? 2.0 : precision; /* not known: last */
}

/* The least believed source that comes behind `last` (-1: of all), or -1; of equals the first by name. */
static int next_source(const struct ws_curation *curation, int last)
{
    int next = -1;
    for (int s = 0; s < curation->sources.n_sources; s++) {
        const double p = believed_share(curation, s), bound = last < 0 ? -1.0 : believed_share(curation, last);
        const bool is_behind = last < 0 || p > bound || (p >= bound && s > last);
        if (is_behind && (next < 0 || p < believed_share(curation, next)))
            next = s;
    }
    return next;
}

static void print_sources(const struct ws_curating *curating)
{
    const struct ws_curation *curation = &curating->curation;
    const int n = curation->sources.n_sources;
    printf("\n%-32s %8s %8s %9s %10s %7s\n", key_name(curation->rule->source_precision), "images", "judged", "believed",
           "precision", "weight");
    for (int shown = 0, s = next_source(curation, -1); s >= 0 && shown < SOURCES_SHOWN;
         shown++, s = next_source(curation, s)) {
        const struct ws_source_row *row = &curation->source_rows[s];
        printf("%-32.60s %8" PRId64 " %8" PRId64 " %9" PRId64 " %10.3f %7.3f\n", curation->sources.names[s],
               row->n_images, row->n_judged, row->n_believed, row->precision, row->weight);
    }
    if (n > SOURCES_SHOWN)
        printf("… and %d more: the manifest has them all\n", n - SOURCES_SHOWN);
    printf("the teacher believes %.3f of the whole pool\n", curation->source_mean);
}

static void print_drift(const struct ws_curating *curating)
{
    printf("\nsince the last run (%zu images, now %zu)\n", curating->drift.n_before, curating->drift.n_now);
    printf("%-20s %17s %17s %17s %7s\n", "class", "share", "mean confidence", "kept share", "drift");
    for (int c = 0; c < curating->found.n_classes; c++) {
        const struct ws_drift_class *row = &curating->drift_classes[c];
        printf("%-20s %7.3f to %6.3f %7.3f to %6.3f %7.3f to %6.3f %7.4f\n", curating->config->classes[c].name,
               row->share_before, row->share_now, row->confidence_before, row->confidence_now, row->kept_before,
               row->kept_now, row->confidence_drift);
    }
    printf("divergence of the classes' shares %.4f bits, of the confidences %.4f bits\n", curating->drift.class_drift,
           curating->drift.confidence_drift);
}

void ws_curate_print(const struct ws_curating *curating)
{
    print_classes(curating);
    if (curating->curation.source_rows)
        print_sources(curating);
    if (curating->drift_classes)
        print_drift(curating);
}

/* JSON has no NaN: what is not known becomes null. */
static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *pack_sources(const struct ws_curation *curation)
{
    json_t *list = json_array();
    for (int s = 0; s < curation->sources.n_sources; s++) {
        const struct ws_source_row *row = &curation->source_rows[s];
        json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:I,s:o,s:f}", "name", curation->sources.names[s], "images",
                                              (json_int_t)row->n_images, "judged", (json_int_t)row->n_judged,
                                              "believed", (json_int_t)row->n_believed, "precision",
                                              real_or_null(row->precision), "weight", row->weight));
    }
    return json_pack("{s:s,s:o,s:o}", "by", key_name(curation->rule->source_precision), "precision",
                     real_or_null(curation->source_mean), "rows", list);
}

static json_t *pack_drift(const struct ws_curating *curating)
{
    json_t *classes = json_object();
    for (int c = 0; c < curating->found.n_classes; c++) {
        const struct ws_drift_class *row = &curating->drift_classes[c];
        json_object_set_new(classes, curating->config->classes[c].name,
                            json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "share_before", real_or_null(row->share_before),
                                      "share_now", real_or_null(row->share_now), "confidence_before",
                                      real_or_null(row->confidence_before), "confidence_now",
                                      real_or_null(row->confidence_now), "kept_before", real_or_null(row->kept_before),
                                      "kept_now", real_or_null(row->kept_now), "confidence_drift",
                                      real_or_null(row->confidence_drift)));
    }
    char hex[WS_DIGEST_HEX];
    ws_digest_hex(ws_tensors_digest(curating->previous.tensors), hex);
    return json_pack("{s:s,s:I,s:o,s:o,s:o}", "against", hex, "images_before", (json_int_t)curating->drift.n_before,
                     "class_drift", real_or_null(curating->drift.class_drift), "confidence_drift",
                     real_or_null(curating->drift.confidence_drift), "classes", classes);
}

bool ws_curate_note(const struct ws_curating *curating, struct ws_manifest *manifest)
{
    json_t *dropped = json_object();
    for (int reason = WS_REASON_THRESHOLD; reason < WS_N_REASONS; reason++)
        json_object_set_new(dropped, ws_selection_reason_name(reason),
                            json_integer(ws_selection_count_reason(&curating->found, (enum ws_reason)reason)));
    bool is_whole = ws_manifest_fact(manifest, "dropped", dropped);
    if (curating->curation.n_near) {
        int64_t n = 0;
        for (size_t i = 0; i < curating->found.n; i++)
            n += curating->curation.n_near[i] > 1;
        is_whole = ws_manifest_fact(manifest, "images_with_near_duplicates", json_integer(n)) && is_whole;
    }
    if (curating->curation.source_rows)
        is_whole = ws_manifest_fact(manifest, "sources", pack_sources(&curating->curation)) && is_whole;
    if (curating->drift_classes)
        is_whole = ws_manifest_fact(manifest, "drift", pack_drift(curating)) && is_whole;
    return is_whole;
}

static void warn(void *argument, const char *sentence)
{
    (void)argument;
    ws_log(WS_LOG_WARN, "%s", sentence);
}

/* What was searched for; without a store nothing is known. */
static void warn_pool(const struct ws_curating *curating, const struct ws_image_id *ids)
{
    const size_t n = curating->found.n, n_classes = (size_t)curating->found.n_classes;
    int32_t *labels = ws_calloc(n, sizeof *labels);
    int64_t *confusion = ws_calloc(n_classes, n_classes * sizeof *confusion);
    int64_t *n_found = ws_calloc(n_classes, sizeof *n_found);
    const char **names = ws_calloc(n_classes, sizeof *names);
    for (size_t c = 0; names && c < n_classes; c++)
        names[c] = curating->config->classes[c].name;
    for (size_t i = 0; labels && curating->store && i < n; i++) {
        const int64_t at = ws_images_find(curating->store, &ids[i]);
        labels[i] = at >= 0 ? ws_images_record(curating->store, (size_t)at)->label : WS_LABEL_NONE;
        if (n_found && labels[i] >= 0 && (size_t)labels[i] < n_classes)
            n_found[labels[i]]++;
    }
    if (labels && confusion && n_found && names) {
        const struct ws_pool_look look =
            ws_pool_look(curating->choices.predicted, labels, n, (int)n_classes, confusion);
        if (curating->store)
            ws_pool_warn(&look, confusion, names, warn, NULL);
        ws_pool_warn_unfound(n_found, (int)n_classes, names, warn, NULL);
        ws_pool_warn_missing(curating->found.n_predicted, n, (int)n_classes, names, warn, NULL);
    }
    free(labels);
    free(confusion);
    free(n_found);
    free(names);
}

void ws_curate_warn(const struct ws_curating *curating, const struct ws_image_id *ids)
{
    const double bound = ws_curate_keys(curating->config)->drift_warn;
    warn_pool(curating, ids);
    if (curating->found.n_kept_total < 2)
        ws_log(WS_LOG_WARN, "fewer than two images are kept: lower curate.p_cutoff, or crawl more");
    if (!curating->drift_classes || bound >= 1.0)
        return;
    if (curating->drift.class_drift > bound || curating->drift.confidence_drift > bound)
        ws_log(WS_LOG_WARN,
               "the pool has drifted since the last run, or the teacher is another one: the classes by %.3f bits, the "
               "confidences by %.3f, the bound (curate.drift_warn) is %g; look at what came in before a student learns "
               "from it",
               curating->drift.class_drift, curating->drift.confidence_drift, bound);
    for (int c = 0; c < curating->found.n_classes; c++) {
        const struct ws_drift_class *row = &curating->drift_classes[c];
        if (row->n_before >= DRIFT_IMAGES_MIN && row->n_now >= DRIFT_IMAGES_MIN && row->confidence_drift > bound)
            ws_log(WS_LOG_WARN, "class \"%s\" has drifted since the last run: its confidences by %.3f bits",
                   curating->config->classes[c].name, row->confidence_drift);
    }
}
