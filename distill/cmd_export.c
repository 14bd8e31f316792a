/* The stage `export`: each student as ONNX, with what a stranger needs to run it in the file's metadata. */
#include "commands.h"
#include "job.h"
#include "model.h"
#include "predict.h"

#include "webstill/base/log.h"
#include "webstill/nn/onnx.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_IMAGES = 16 };

static const double fold_tolerance = 1e-4; /* of the largest logit */

static enum ws_status note_inputs(struct ws_job *job, const struct ws_config *config, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    for (unsigned i = 0; status == WS_OK && i < config->distill.n_methods; i++) {
        char manifest[128], output[128];
        snprintf(manifest, sizeof manifest, "runs/%.60s/manifest.json", config->distill.methods[i]);
        snprintf(output, sizeof output, "runs/%.60s/student.safetensors", config->distill.methods[i]);
        status = ws_job_input_stage(job, manifest, output, NULL, err);
    }
    return status;
}

/* Random inputs, as a normalised image has them. */
static void fill_inputs(float *input, size_t n)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        input[i] = (float)ws_rng_normal(&rng);
}

/* Largest difference between the logits of the network as trained and as exported, relative to the largest logit. */
static double compare(struct ws_predictor *plain, struct ws_predictor *folded, size_t n_inputs, size_t n_logits)
{
    fill_inputs(ws_exec_input(plain->exec), n_inputs);
    fill_inputs(ws_exec_input(folded->exec), n_inputs);
    ws_predictor_forward(plain, CHECK_IMAGES);
    ws_predictor_forward(folded, CHECK_IMAGES);
    const float *a = ws_exec_value(plain->exec, plain->model->logits);
    const float *b = ws_exec_value(folded->exec, folded->model->logits);
    double largest = 0.0, difference = 0.0;
    for (size_t i = 0; i < n_logits; i++) {
        largest = fmax(largest, fabs((double)a[i]));
        difference = fmax(difference, fabs((double)a[i] - (double)b[i]));
    }
    return difference / fmax(largest, 1e-30);
}

static enum ws_status check_fold(struct ws_model *model, struct ws_pool *pool, double *difference, struct ws_err *err)
{
    struct ws_predictor plain = {0}, folded = {0};
    const struct ws_card *card = &model->card;
    const size_t image = (size_t)card->height * (size_t)card->width * (size_t)card->channels;
    enum ws_status status = ws_predictor_open(&plain, model, pool, CHECK_IMAGES, false, err);
    if (status == WS_OK)
        status = ws_predictor_open(&folded, model, pool, CHECK_IMAGES, true, err);
    if (status == WS_OK) {
        *difference = compare(&plain, &folded, CHECK_IMAGES * image, CHECK_IMAGES * (size_t)card->n_classes);
        if (!(*difference <= fold_tolerance))
            status = ws_fail(err, WS_E_INTERNAL,
                             "folding BatchNorm moved the logits by %g of the largest; at most %g is "
                             "expected",
                             *difference, fold_tolerance);
    }
    ws_predictor_close(&plain);
    ws_predictor_close(&folded);
    return status;
}

/* Texts of the metadata; JSON where it is a list. */
struct labels {
    char *classes, *mean, *std, *card;
    char digest[WS_DIGEST_HEX];
};

static char *dump_floats(const float *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real((double)values[i]));
    char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(list);
    return text;
}

static bool fill_labels(struct labels *labels, const struct ws_model *model)
{
    const struct ws_card *card = &model->card;
    json_t *classes = json_array();
    for (int i = 0; i < card->n_classes; i++)
        json_array_append_new(classes, json_string(card->classes[i]));
    *labels = (struct labels){
        .classes = json_dumps(classes, JSON_COMPACT),
        .mean = dump_floats(card->mean, card->channels),
        .std = dump_floats(card->std, card->channels),
        .card = ws_card_text(card),
    };
    ws_digest_hex(&model->digest, labels->digest);
    json_decref(classes);
    return labels->classes && labels->mean && labels->std && labels->card;
}

static void free_labels(struct labels *labels)
{
    free(labels->classes);
    free(labels->mean);
    free(labels->std);
    free(labels->card);
}

static enum ws_status serialise(const struct ws_model *model, const struct ws_config *config, struct ws_buf *out,
                                struct ws_err *err)
{
    struct labels labels;
    if (!fill_labels(&labels, model)) {
        free_labels(&labels);
        return ws_fail(err, WS_E_MEMORY, "out of memory for the model's metadata");
    }
    const struct ws_onnx_option metadata[] = {
        {"classes", labels.classes},
        {"mean", labels.mean},
        {"std", labels.std},
        {"input", config->export_.normalise ? "pixels 0..255; normalisation is part of the graph"
                                            : "(pixel/255 - mean)/std per channel"},
        {"webstill.card", labels.card},
        {"webstill.sha256", labels.digest},
    };
    const struct ws_onnx_options options = {
        .opset = (int)config->export_.opset,
        .output = model->logits,
        .mean = config->export_.normalise ? model->card.mean : NULL,
        .std = config->export_.normalise ? model->card.std : NULL,
        .metadata = metadata,
        .n_metadata = sizeof metadata / sizeof *metadata,
    };
    const enum ws_status status = ws_onnx_write(model->net, &options, out, err);
    free_labels(&labels);
    return status;
}

static enum ws_status write_facts(const struct ws_run *run, const char *method, const struct ws_buf *onnx,
                                  double difference, struct ws_err *err)
{
    char path[WS_PATH_BYTES], hex[WS_DIGEST_HEX];
    const struct ws_digest digest = ws_sha256(onnx->ptr, onnx->len);
    ws_digest_hex(&digest, hex);
    json_t *root = json_pack("{s:s,s:s,s:I,s:i,s:b,s:b,s:f}", "file", "student.onnx", "sha256", hex, "bytes",
                             (json_int_t)onnx->len, "opset", (int)run->config->export_.opset, "fold_bn",
                             run->config->export_.fold_bn, "normalise", run->config->export_.normalise,
                             "fold_difference", difference);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    enum ws_status status = text ? ws_work_path(path, run->work, err, "runs/%s/export.json", method)
                                 : ws_fail(err, WS_E_MEMORY, "out of memory for export.json");
    if (status == WS_OK)
        status = ws_file_replace(path, text, strlen(text), err);
    free(text);
    return status;
}

static enum ws_status export_student(const struct ws_run *run, struct ws_job *job, const char *method,
                                     struct ws_pool *pool, struct ws_err *err)
{
    char path[WS_PATH_BYTES], output[128];
    struct ws_model *model = NULL, *folded = NULL;
    struct ws_buf onnx = {0};
    double difference = 0.0;
    snprintf(output, sizeof output, "runs/%.60s/student.onnx", method);
    enum ws_status status = ws_work_path(path, run->work, err, "runs/%s/student.safetensors", method);
    if (status == WS_OK)
        status = ws_model_load(&model, path, NULL, err);
    if (status == WS_OK && run->config->export_.fold_bn) {
        status = check_fold(model, pool, &difference, err);
        if (status == WS_OK)
            status = ws_model_fold(&folded, model, err);
    }
    if (status == WS_OK)
        status = serialise(folded ? folded : model, run->config, &onnx, err);
    if (status == WS_OK)
        status = ws_work_path(path, run->work, err, "%s", output);
    if (status == WS_OK)
        status = ws_file_replace(path, onnx.ptr, onnx.len, err);
    if (status == WS_OK)
        status = write_facts(run, method, &onnx, difference, err);
    if (status == WS_OK)
        status = ws_job_output_file(job, output, 1, err);
    if (status == WS_OK)
        ws_log(WS_LOG_INFO, "%s: %zu bytes, opset %u", path, onnx.len, run->config->export_.opset);
    else
        ws_err_note(err, "%s", method);
    ws_buf_fini(&onnx);
    ws_model_free(&folded);
    ws_model_free(&model);
    return status;
}

static enum ws_status export_all(const struct ws_run *run, struct ws_job *job, struct ws_err *err)
{
    const struct ws_conf_distill *distill = &run->config->distill;
    struct ws_pool *pool = NULL;
    enum ws_status status = ws_job_start(job, err);
    if (status == WS_OK)
        status = ws_job_pool_open(&pool, run->config, err);
    for (unsigned i = 0; status == WS_OK && i < distill->n_methods; i++)
        status = export_student(run, job, distill->methods[i], pool, err);
    ws_pool_close(&pool);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

enum ws_status ws_export_command(const struct ws_run *run, struct ws_err *err)
{
    struct ws_job job;
    enum ws_status status = ws_job_refuse_limit(run, "export", err);
    if (status == WS_OK)
        status = ws_job_open(&job, run, "export", "export", "export", run->config, err);
    if (status != WS_OK)
        return status;
    status = note_inputs(&job, run->config, err);
    if (status == WS_OK && ws_job_is_current(&job))
        ws_job_tell_current(&job, !run->dry_run);
    else if (status == WS_OK && run->dry_run)
        printf("export: would write student.onnx of %u runs\n", run->config->distill.n_methods);
    else if (status == WS_OK)
        status = export_all(run, &job, err);
    ws_job_close(&job);
    return status;
}
