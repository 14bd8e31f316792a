/**
 * A small made-up working directory: crawl, store, teacher, scores, selections, runs, evaluations, with real file
 * formats and real manifests, so that what reads them can be tested without running a stage.
 *
 *   struct workdir work;                       // classes from `config`; pictures are stripes and squares
 *   workdir_make(&work, folder, 30, 3);        // 30 images, 3 epochs
 *   …
 *   workdir_free(&work);                       // the folder is the caller's
 */
#ifndef WEBSTILL_TESTS_UNIT_WORKDIR_H
#define WEBSTILL_TESTS_UNIT_WORKDIR_H

#include "../../store/images/format.h"
#include "program.h"
#include "temp.h"

#include "webstill/base/file.h"
#include "webstill/base/rng.h"
#include "webstill/stage/cli.h"
#include "webstill/stage/config.h"
#include "webstill/stage/manifest.h"
#include "webstill/stage/table.h"
#include "webstill/tensors/file.h"
#include "webstill/warc/file.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WORKDIR_SIDE = 28 };

struct workdir {
    char folder[TEMP_PATH]; /**< WORK */
    char config_path[TEMP_PATH];
    struct ws_config *config;
    size_t n_images;
    int n_epochs;
    struct ws_image_id *ids; /**< ascending, as the store has them */
    float *logits;           /**< [n][C] */
};

#define WORKDIR_OK(call)                                                                                               \
    do {                                                                                                               \
        struct ws_err workdir_err = {0};                                                                               \
        struct ws_err *err = &workdir_err;                                                                             \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s: %s", #call, workdir_err.text);                                                               \
    } while (0)

static inline char *workdir_path(const struct workdir *work, char path[TEMP_PATH], const char *name)
{
    return temp_join(path, work->folder, name);
}

static inline void workdir_config(struct workdir *work, const char *folder)
{
    const char *text = "classes: [\"T-shirt <top>\", Trouser, \"Bag & case\"]\n"
                       "crawl: {user_agent: \"test/1 (+mailto:a@b.example)\"}\n"
                       "store: {size: 28, channels: 1}\n"
                       "distill: {methods: [kd3, kd], arch: resnet8}\n"
                       "teacher: {arch: resnet20}\n"
                       "report: {title: \"A <test> & more\", contact: 12}\n";
    temp_join(work->config_path, folder, "c.yaml");
    if (access(work->config_path, R_OK) != 0)
        temp_write(work->config_path, text, strlen(text));
    WORKDIR_OK(ws_config_load(&work->config, test_program(), work->config_path, NULL, 0, err));
}

static inline int workdir_compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static inline void workdir_draw(uint8_t *pixels, size_t i, int c)
{
    for (int y = 0; y < WORKDIR_SIDE; y++) {
        for (int x = 0; x < WORKDIR_SIDE; x++) {
            const int wave = (x * (c + 1) + y * (int)(i % 5)) % 14 < 7;
            const int inside = x > 4 && x < 23 && y > 3 + (int)(i % 4) && y < 24;
            pixels[y * WORKDIR_SIDE + x] = (uint8_t)(inside ? (wave ? 235 : 90 + 10 * c) : 6);
        }
    }
}

static inline void workdir_origin(struct ws_tables *db, const struct workdir *work, size_t i, int c, int number)
{
    char url[200], hex[WS_IMAGE_ID_HEX], key[WS_URL_KEY_BYTES];
    uint8_t origin_key[WS_ORIGIN_KEY_BYTES] = {0};
    const char *name = work->config->classes[c].name;
    ws_image_id_hex(&work->ids[i], hex);
    snprintf(url, sizeof(url), "http://shop.test/%zu-%d.png", i, number);
    json_t *origin = json_pack("{s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:I,s:{s:s,s:i}}", "url", url, "page",
                               i == 0 ? "javascript:alert(1)" : "http://shop.test/p?a=1&b=2", "alt",
                               i % 7 == 0 ? "<script>alert('x')</script>" : "a picture of it", "query", name, "class",
                               c, "class_name", name, "licence", "CC0", "time", "2026-11-23T09:15:00Z", "warc",
                               "crawl/webstill-00000.warc.gz", "offset", (json_int_t)(1000 + i), "robots", "rule",
                               "Allow: /", "line", 3);
    assert_non_null(origin);
    char *text = json_dumps(origin, JSON_COMPACT);
    memcpy(origin_key, work->ids[i].bytes, 16);
    origin_key[16] = (uint8_t)number;
    WORKDIR_OK(ws_tables_put(db, WS_IMAGES_ORIGINS, ws_span_of(origin_key, sizeof(origin_key)),
                             ws_span_of(text, strlen(text)), err));
    const size_t len = ws_images_url_key(url, key);
    WORKDIR_OK(ws_tables_put(db, WS_IMAGES_URLS, ws_span_of(key, len), ws_span_of(work->ids[i].bytes, 16), err));
    free(text);
    json_decref(origin);
}

static inline void workdir_refuse(struct ws_tables *db, const char *url)
{
    char hex[WS_DIGEST_HEX], value[200], key[WS_URL_KEY_BYTES];
    const struct ws_digest digest = ws_sha256(url, strlen(url));
    const char *row = "{\"reason\":\"too_small\",\"detail\":\"12x9, at least 16 are asked for\",\"time\":\"2026\"}";
    ws_digest_hex(&digest, hex);
    snprintf(value, sizeof(value), "-too_small %s", hex);
    const size_t len = ws_images_url_key(url, key);
    WORKDIR_OK(ws_tables_put(db, WS_IMAGES_URLS, ws_span_of(key, len), ws_span_of(value, strlen(value)), err));
    WORKDIR_OK(ws_tables_put(db, WS_IMAGES_REFUSED, ws_span_of(digest.bytes, 32), ws_span_of(row, strlen(row)), err));
}

static inline void workdir_store(const struct workdir *work)
{
    char path[TEMP_PATH];
    struct ws_tables *db = NULL;
    uint8_t pixels[WORKDIR_SIDE * WORKDIR_SIDE];
    const int n_classes = (int)work->config->n_classes;
    workdir_path(work, path, "store");
    WORKDIR_OK(ws_images_create(&db, path, 1.0, err));
    WORKDIR_OK(ws_tables_begin(db, err));
    const char *const meta[][2] = {{"format", "1"}, {"size", "28"}, {"channels", "1"}, {"rule", "test"}};
    for (size_t i = 0; i < 4; i++)
        WORKDIR_OK(ws_tables_put(db, WS_IMAGES_META, ws_span_of(meta[i][0], strlen(meta[i][0])),
                                 ws_span_of(meta[i][1], strlen(meta[i][1])), err));
    for (size_t i = 0; i < work->n_images; i++) {
        const int c = (int)(i % (size_t)n_classes);
        const struct ws_image_record record = {.channels = 1,
                                               .format = WS_IMAGE_PNG,
                                               .width = WORKDIR_SIDE,
                                               .height = WORKDIR_SIDE,
                                               .original_width = 512,
                                               .original_height = 300,
                                               .label = (int16_t)(i % 10 == 9 ? WS_LABEL_NONE : c),
                                               .flags = 1};
        workdir_draw(pixels, i, c);
        WORKDIR_OK(ws_images_put(db, &work->ids[i], record, pixels, err));
        workdir_origin(db, work, i, c, 0);
        if (i % 5 == 0)
            workdir_origin(db, work, i, c, 1);
    }
    workdir_refuse(db, "http://shop.test/tiny.png");
    WORKDIR_OK(ws_tables_commit(db, err));
    ws_tables_close(&db);
}

/** One selection by KD3's rule on made-up confidences. */
static inline void workdir_select(const struct workdir *work, const char *name, int epoch)
{
    const size_t n = work->n_images, n_classes = work->config->n_classes;
    uint8_t *keep = calloc(n, 1), *reason = calloc(n, 1);
    float *confidence = calloc(n, sizeof(float)), *weight = calloc(n, sizeof(float));
    int32_t *predicted = calloc(n, sizeof(int32_t));
    double *threshold = calloc(n_classes, sizeof(double));
    int64_t *n_predicted = calloc(n_classes, sizeof(int64_t)), *n_kept = calloc(n_classes, sizeof(int64_t));
    assert_true(keep && reason && confidence && weight && predicted && threshold && n_predicted && n_kept);
    for (size_t i = 0; i < n; i++) {
        const float *row = work->logits + i * n_classes;
        /* The student grows surer of most images, and less sure of some. */
        const double surer = i % 13 == 5 ? 3.0 / (1 + epoch) : 1 + 0.1 * epoch;
        double sum = 0, largest = 0;
        for (size_t c = 0; c < n_classes; c++) {
            /* Every eleventh image the student takes for the class beside the teacher's. */
            const float logit = row[i % 11 == 10 ? (c + 1) % n_classes : c];
            const double part = exp((double)logit * surer);
            sum += part;
            predicted[i] = part > largest ? (int32_t)c : predicted[i];
            largest = fmax(largest, part);
        }
        confidence[i] = (float)(largest / sum);
        n_predicted[predicted[i]]++;
    }
    int64_t most = 1;
    for (size_t c = 0; c < n_classes; c++)
        most = n_predicted[c] > most ? n_predicted[c] : most;
    for (size_t c = 0; c < n_classes; c++)
        threshold[c] = 0.95 * (double)n_predicted[c] / (2.0 * (double)most - (double)n_predicted[c]);
    for (size_t i = 0; i < n; i++) {
        const bool is_above = (double)confidence[i] > threshold[predicted[i]], is_over = i % 17 == 16;
        keep[i] = is_above && !is_over;
        reason[i] = (uint8_t)(keep[i] ? 0 : is_above ? 4 : 1); /* quota, threshold */
        weight[i] = i % 3 == 0 ? 0.5F : 1.0F;
        n_kept[predicted[i]] += keep[i];
    }
    const int64_t rows = (int64_t)n, columns = (int64_t)n_classes;
    const struct ws_tensor_entry entries[] = {
        {"ids", WS_U8, 2, {rows, 16}, work->ids, n * 16},
        {"keep", WS_U8, 1, {rows}, keep, n},
        {"confidence", WS_F32, 1, {rows}, confidence, n * sizeof(float)},
        {"predicted", WS_I32, 1, {rows}, predicted, n * sizeof(int32_t)},
        {"threshold", WS_F64, 1, {columns}, threshold, n_classes * sizeof(double)},
        {"n_predicted", WS_I64, 1, {columns}, n_predicted, n_classes * sizeof(int64_t)},
        {"n_kept", WS_I64, 1, {columns}, n_kept, n_classes * sizeof(int64_t)},
        {"reason", WS_U8, 1, {rows}, reason, n},
        {"weight", WS_F32, 1, {rows}, weight, n * sizeof(float)},
    };
    char path[TEMP_PATH], epoch_text[16], alpha[32];
    snprintf(epoch_text, sizeof(epoch_text), "%d", epoch);
    snprintf(alpha, sizeof(alpha), "%.4f", 1.0 / epoch);
    const struct ws_metadata metadata[] = {
        {"rule", "kd3"}, {"alpha", alpha}, {"epoch", epoch_text}, {"p_cutoff", "0.95"}};
    workdir_path(work, path, name);
    WORKDIR_OK(ws_tensors_write(path, entries, 9, metadata, 4, err));
    free(keep);
    free(reason);
    free(weight);
    free(confidence);
    free(predicted);
    free(threshold);
    free(n_predicted);
    free(n_kept);
}

static inline void workdir_scores(const struct workdir *work)
{
    char path[TEMP_PATH];
    const size_t n = work->n_images, n_classes = work->config->n_classes;
    const struct ws_tensor_entry entries[] = {
        {"logits", WS_F32, 2, {(int64_t)n, (int64_t)n_classes}, work->logits, n * n_classes * sizeof(float)},
        {"ids", WS_U8, 2, {(int64_t)n, 16}, work->ids, n * 16},
    };
    workdir_path(work, path, "scores/teacher.safetensors");
    WORKDIR_OK(ws_tensors_write(path, entries, 2, NULL, 0, err));
}

static inline void workdir_teacher(const struct workdir *work)
{
    char path[TEMP_PATH];
    const float weights[4] = {1, 2, 3, 4};
    const struct ws_tensor_entry entry = {"fc.weight", WS_F32, 2, {2, 2}, weights, sizeof(weights)};
    const struct ws_metadata card = {"webstill.card", "{\"arch\":\"resnet20\",\"accuracy\":0.9123}"};
    workdir_path(work, path, "teacher/teacher.safetensors");
    WORKDIR_OK(ws_tensors_write(path, &entry, 1, &card, 1, err));
}

static inline void workdir_metrics(const struct workdir *work, const char *method, const char *name, bool selects)
{
    char path[TEMP_PATH];
    workdir_path(work, path, name);
    temp_write(path, "", 0);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    const int phase = (int)method[2];
    for (int e = 1; e <= work->n_epochs; e++) {
        for (int s = 0; s < 20; s++) {
            const int step = (e - 1) * 20 + s + 1;
            fprintf(stream, "{\"kind\":\"step\",\"method\":\"%s\",\"epoch\":%d,\"step\":%d,\"loss\":%.4f}\n", method, e,
                    step, 2.0 / (1 + 0.05 * step) + 0.1 * sin(step * 1.7 + phase));
        }
        json_t *line = json_pack("{s:s,s:s,s:i,s:i,s:f,s:f,s:i,s:i,s:i,s:f}", "kind", "epoch", "method", method,
                                 "epoch", e, "step", e * 20, "loss", 2.0 / (1 + 1.0 * e), "agreement",
                                 0.5 + 0.4 * (1 - exp(-0.4 * e)) - 0.01 * (phase % 3), "n_selected",
                                 (int)work->n_images * (6 + e % 4) / 10, "n_pool", (int)work->n_images, "images_seen",
                                 e * 20 * 128, "seconds", 3.5 * e);
        if (selects) {
            json_t *counts = json_array(), *thresholds = json_array();
            json_object_set_new(line, "alpha", json_real(exp(-0.2 * e)));
            for (unsigned c = 0; c < work->config->n_classes; c++) {
                json_array_append_new(counts, json_integer((json_int_t)(10 + 7 * c * (unsigned)e)));
                json_array_append_new(thresholds, json_real(0.95 * fabs(sin(0.6 * (c + 1) + 0.05 * e))));
            }
            json_object_set_new(line, "selected_per_class", counts);
            json_object_set_new(line, "threshold_per_class", thresholds);
        }
        char *text = json_dumps(line, JSON_COMPACT);
        fprintf(stream, "%s\n", text);
        free(text);
        json_decref(line);
    }
    fclose(stream);
}

static inline void workdir_eval(const struct workdir *work, const char *name, double accuracy, double multiply_adds)
{
    char path[TEMP_PATH];
    const size_t n_classes = work->config->n_classes;
    json_t *per_class = json_array(), *confusion = json_array();
    for (size_t c = 0; c < n_classes; c++) {
        const int right = (int)(1000 * fmin(0.99, accuracy + 0.06 * sin(2.0 * (double)c)));
        json_t *row = json_array();
        for (size_t k = 0; k < n_classes; k++)
            json_array_append_new(row, json_integer(k == c ? right : (1000 - right) / ((int)n_classes - 1)));
        json_array_append_new(confusion, row);
        json_array_append_new(per_class, json_pack("{s:s,s:i,s:f,s:f}", "class", work->config->classes[c].name, "n",
                                                   1000, "accuracy", right / 1000.0, "precision", 0.8));
    }
    json_t *eval = json_pack("{s:s,s:i,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:o,s:i,s:f}", "model", name, "images", 10000,
                             "accuracy", accuracy, "nll", 1.2 - accuracy, "brier", 0.3, "ece", 0.041, "agreement",
                             accuracy + 0.02, "kl", 0.1, "per_class", per_class, "confusion", confusion, "parameters",
                             (int)(multiply_adds / 140), "multiply_adds", multiply_adds);
    char *text = json_dumps(eval, JSON_INDENT(1));
    workdir_path(work, path, name);
    temp_write(path, text, strlen(text));
    free(text);
    json_decref(eval);
}

/** Add to WORK/NAME's manifest; digests are those of the files as they are. */
static inline struct ws_digest workdir_digest(const struct workdir *work, const char *name)
{
    char path[TEMP_PATH];
    struct ws_digest digest;
    workdir_path(work, path, name);
    if (strcmp(name, "store") == 0) {
        struct ws_images *images = NULL;
        WORKDIR_OK(ws_images_open(&images, path, err));
        WORKDIR_OK(ws_images_digest(images, &digest, err));
        ws_images_close(&images);
    } else if (strstr(name, ".safetensors")) {
        struct ws_tensors *tensors = NULL;
        WORKDIR_OK(ws_tensors_open(&tensors, path, err));
        digest = *ws_tensors_digest(tensors);
        ws_tensors_close(&tensors);
    } else {
        WORKDIR_OK(ws_sha256_file(path, &digest, err));
    }
    return digest;
}

static inline void workdir_manifest(const struct workdir *work, const char *stage, const char *folder,
                                    const char *input, const char *output, int64_t count)
{
    char path[TEMP_PATH], relative[300];
    struct ws_manifest manifest = {0};
    const char *run = strncmp(folder, "runs/", 5) == 0 ? folder + 5 : NULL;
    WORKDIR_OK(ws_manifest_begin(&manifest, ws_stage_find(stage), "test 1", work->config, run, err));
    if (input) {
        const struct ws_digest digest = workdir_digest(work, input);
        assert_true(ws_manifest_input(&manifest, input, &digest));
    }
    const struct ws_digest digest = workdir_digest(work, output);
    assert_true(ws_manifest_output(&manifest, output, &digest, count));
    assert_true(ws_manifest_count(&manifest, "images", count));
    if (strcmp(stage, "crawl") == 0) {
        assert_true(ws_manifest_count(&manifest, "found", count * 2));
        assert_true(ws_manifest_fact(&manifest, "failed_by_reason", json_pack("{s:i,s:i}", "4xx", 7, "robots", 12)));
        const int found = (int)count * 2 / 3, fetched = (int)count * 45 / 100;
        assert_true(ws_manifest_fact(
            &manifest, "found_per_class",
            json_pack("{s:i,s:i,s:i}", "T-shirt <top>", found, "Trouser", found - 1, "Bag & case", found - 2)));
        assert_true(ws_manifest_fact(
            &manifest, "images_per_class",
            json_pack("{s:i,s:i,s:i}", "T-shirt <top>", fetched, "Trouser", fetched - 1, "Bag & case", fetched - 2)));
    }
    if (strcmp(stage, "store") == 0) {
        assert_true(ws_manifest_count(&manifest, "duplicates", 5));
        assert_true(
            ws_manifest_fact(&manifest, "refused_by_reason", json_pack("{s:i,s:i}", "too_small", 1, "corrupt", 3)));
    }
    snprintf(relative, sizeof(relative), "%s/manifest.json", folder);
    workdir_path(work, path, relative);
    WORKDIR_OK(ws_manifest_finish(&manifest, path, err));
    ws_manifest_fini(&manifest);
}

static inline void workdir_warc(const struct workdir *work)
{
    char path[TEMP_PATH];
    struct ws_warc_writer *writer = NULL;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n", body[] = "not really a picture";
    struct ws_warc_record_out record = {.type = WS_WARC_RESPONSE,
                                        .target_uri = "http://shop.test/0-0.png",
                                        .content_type = "application/http; msgtype=response",
                                        .head = {(const uint8_t *)head, sizeof(head) - 1},
                                        .payload = {(const uint8_t *)body, sizeof(body) - 1}};
    workdir_path(work, path, "crawl");
    WORKDIR_OK(ws_dir_make(path, err));
    WORKDIR_OK(ws_warc_writer_open(&writer, path, "software: test\r\n", 1 << 20, 0, 0, err));
    WORKDIR_OK(ws_warc_write(writer, &record, err));
    WORKDIR_OK(ws_warc_writer_finish(writer, err));
    ws_warc_writer_close(&writer);
    workdir_path(work, path, "crawl/failures.jsonl");
    const char *failure = "{\"url\":\"http://shop.test/gone.png\",\"reason\":\"4xx\",\"status\":404,\"tries\":1}\n";
    temp_write(path, failure, strlen(failure));
}

static inline void workdir_make(struct workdir *work, const char *folder, size_t n_images, int n_epochs)
{
    *work = (struct workdir){.n_images = n_images, .n_epochs = n_epochs};
    snprintf(work->folder, sizeof(work->folder), "%s", folder);
    workdir_config(work, folder);
    const size_t n_classes = work->config->n_classes;
    work->ids = calloc(n_images, sizeof(*work->ids));
    work->logits = calloc(n_images * n_classes, sizeof(float));
    assert_true(work->ids && work->logits);
    for (size_t i = 0; i < n_images; i++) {
        const struct ws_digest digest = ws_sha256(&i, sizeof(i));
        work->ids[i] = ws_image_id_of(&digest);
    }
    qsort(work->ids, n_images, sizeof(*work->ids), workdir_compare_ids);
    for (size_t i = 0; i < n_images; i++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 1, WS_STREAM_TEST, (uint32_t)i, 0);
        for (size_t c = 0; c < n_classes; c++)
            work->logits[i * n_classes + c] = (float)(ws_rng_normal(&rng) + (c == i % n_classes ? 1.8 : 0));
    }
    workdir_warc(work);
    workdir_manifest(work, "crawl", "crawl", NULL, "crawl/webstill-00000.warc.gz", (int64_t)n_images + 9);
    workdir_store(work);
    workdir_manifest(work, "store", "store", "crawl/webstill-00000.warc.gz", "store", (int64_t)n_images);
    workdir_teacher(work);
    workdir_metrics(work, "teacher", "teacher/metrics.jsonl", false);
    workdir_manifest(work, "teacher", "teacher", NULL, "teacher/teacher.safetensors", 1);
    workdir_eval(work, "teacher/eval.json", 0.9123, 40.8e6);
    workdir_scores(work);
    workdir_manifest(work, "score", "scores", "store", "scores/teacher.safetensors", (int64_t)n_images);
    workdir_select(work, "selection/epoch.safetensors", 1);
    workdir_manifest(work, "curate", "selection", "scores/teacher.safetensors", "selection/epoch.safetensors", 1);
    for (int e = 1; e <= n_epochs; e++) {
        char name[64];
        snprintf(name, sizeof(name), "runs/kd3/selection/epoch-%03d.safetensors", e);
        workdir_select(work, name, e);
    }
    static const char *const runs[] = {"kd3", "kd"};
    for (int r = 0; r < 2; r++) {
        char name[64], folder_of_run[64];
        snprintf(folder_of_run, sizeof(folder_of_run), "runs/%s", runs[r]);
        snprintf(name, sizeof(name), "runs/%s/metrics.jsonl", runs[r]);
        workdir_metrics(work, runs[r], name, r == 0);
        workdir_manifest(work, "distill", folder_of_run, "store", name, 1);
        snprintf(name, sizeof(name), "runs/%s/eval.json", runs[r]);
        workdir_eval(work, name, 0.8021 - 0.0213 * r, 12.4e6);
        snprintf(name, sizeof(name), "runs/%s/best-eval.json", runs[r]);
        workdir_eval(work, name, 0.8044 - 0.0213 * r, 12.4e6);
    }
}

typedef enum ws_status workdir_command(const struct ws_run *run, struct ws_err *err);

/** Run a command as main would, its standard output caught as text in `out` (free it). */
static inline enum ws_status workdir_run(const struct workdir *work, workdir_command *command, const char *argument,
                                         bool json, char **out, struct ws_err *failure)
{
    char path[TEMP_PATH], text[TEMP_PATH];
    snprintf(text, sizeof(text), "%s", argument ? argument : "");
    char *args[] = {text, NULL};
    const struct ws_option_value options[] = {{json ? "json" : NULL, "1"}, {NULL, NULL}};
    const struct ws_run run = {.config = work->config,
                               .config_path = work->config_path,
                               .work = work->folder,
                               .n_args = argument ? 1 : 0,
                               .args = args,
                               .options = options};
    workdir_path(work, path, "stdout.txt");
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_true(kept >= 0 && freopen(path, "w", stdout) != NULL);
    const enum ws_status status = command(&run, failure);
    fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    struct ws_buf caught = {0};
    WORKDIR_OK(ws_file_read(path, 1 << 24, &caught, err));
    *out = caught.ptr ? caught.ptr : calloc(1, 1);
    temp_remove(path);
    return status;
}

static inline void workdir_free(struct workdir *work)
{
    ws_config_free(&work->config);
    free(work->ids);
    free(work->logits);
    *work = (struct workdir){0};
}

#endif
