/* The stage `export`: each student as ONNX, with what a stranger needs to run it in the file's metadata. */
#include "commands.h"
#include "keys/distill.h"
#include "learn/predict.h"
#include "machine.h"
#include "model/network.h"

#include "webstill/base/log.h"
#include "webstill/base/path.h"
#include "webstill/nn/onnx.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ws_export_keys {
    uint32_t opset;
    bool fold_bn;
    bool normalise; /**< put (x/255 - mean)/std inside the graph, so that 0..255 goes in */
};

static const struct ws_conf_key export_keys[] = {
    {WS_CONF_UINT(struct ws_export_keys, opset), .unit = "version", .min = 13, .max = 17, .fallback = "17",
     .help = "ONNX operator set."},
    {WS_CONF_BOOL(struct ws_export_keys, fold_bn), .fallback = "true",
     .help = "Fold batch normalisation into the convolutions."},
    {WS_CONF_BOOL(struct ws_export_keys, normalise), .fallback = "false",
     .help = "Put (x/255 - mean)/std inside the graph, so that bytes 0..255 (as floats) go in."},
    {.name = NULL},
};

const struct ws_conf_section ws_export_section = {
    .name = "export",
    .title = "student -> student.onnx",
    WS_CONF_KEYS(struct ws_export_keys, export_keys),
};

static const struct ws_export_keys *keys_of(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_export_section);
}

enum { CHECK_IMAGES = 16 };

static const double tolerance = 1e-4; /* of the largest logit */

static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_distill_keys *distill = ws_distill_keys(job->run->config);
    enum ws_status status = WS_OK;
    (void)self;
    for (unsigned i = 0; status == WS_OK && i < distill->runs.n_methods; i++) {
        char output[128];
        snprintf(output, sizeof output, "runs/%.60s/student.safetensors", distill->runs.methods[i]);
        status = ws_job_input_stage(job, "distill", distill->runs.methods[i], output, NULL, err);
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

/* The same, as pixels of 0..255. */
static void make_pixels(float *pixels, const float *input, size_t n, const struct ws_card *card)
{
    const size_t channels = (size_t)card->channels;
    for (size_t i = 0; i < n; i++)
        pixels[i] = 255.0F * (input[i] * card->std[i % channels] + card->mean[i % channels]);
}

/* Largest difference, relative to the largest expected value; infinite where one is not finite. */
static double distance(const float *found, const float *expected, size_t n)
{
    double largest = 0.0, difference = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)expected[i] - (double)found[i]);
        largest = fmax(largest, fabs((double)expected[i]));
        difference = isfinite(d) ? fmax(difference, d) : (double)INFINITY;
    }
    return difference / fmax(largest, 1e-30);
}

/* The file as a reader sees it, on the inputs that `plain` has run; what it makes of them is compared. */
static enum ws_status compare_reread(const struct ws_predictor *plain, const struct ws_buf *onnx, bool takes_pixels,
                                     struct ws_workers *workers, double *difference, struct ws_err *err)
{
    struct ws_net *net = NULL;
    struct ws_onnx_info info = {0};
    struct ws_exec *exec = NULL;
    const struct ws_card *card = &plain->model->card;
    const size_t n = CHECK_IMAGES * (size_t)card->height * (size_t)card->width * (size_t)card->channels;
    const struct ws_exec_options options = {.max_batch = CHECK_IMAGES};
    enum ws_status status = ws_onnx_read_bytes(&net, &info, onnx->ptr, onnx->len, NULL, "student.onnx", err);
    if (status == WS_OK && (info.height != card->height || info.width != card->width ||
                            info.channels != card->channels || info.n_classes != card->n_classes))
        status = ws_fail(err, WS_E_INTERNAL, "student.onnx reads as a network of another input or of other classes");
    if (status != WS_OK)
        goto close;
    status = ws_exec_open(&exec, net, workers, &options, err);
    if (status != WS_OK)
        goto close;
    const float *input = ws_exec_input(plain->exec);
    if (takes_pixels)
        make_pixels(ws_exec_input(exec), input, n, card);
    else
        memcpy(ws_exec_input(exec), input, n * sizeof *input);
    ws_exec_forward(exec, CHECK_IMAGES, WS_BN_EVAL);
    *difference = distance(ws_exec_value(exec, info.logits), ws_exec_value(plain->exec, plain->model->logits),
                           CHECK_IMAGES * (size_t)card->n_classes);
close:
    ws_exec_close(&exec);
    ws_net_free(&net);
    ws_onnx_info_fini(&info);
    return status;
}

/* Read back what was written, and compare its logits with those of the network as trained. */
static enum ws_status check_file(struct ws_model *model, const struct ws_buf *onnx,
                                 const struct ws_export_keys *options, struct ws_workers *workers, double *difference,
                                 struct ws_err *err)
{
    struct ws_predictor plain = {0};
    const struct ws_card *card = &model->card;
    const size_t image = (size_t)card->height * (size_t)card->width * (size_t)card->channels;
    enum ws_status status = ws_predictor_open(&plain, model, workers, CHECK_IMAGES, false, err);
    if (status != WS_OK)
        return status;
    fill_inputs(ws_exec_input(plain.exec), CHECK_IMAGES * image);
    ws_predictor_forward(&plain, CHECK_IMAGES);
    status = compare_reread(&plain, onnx, options->normalise, workers, difference, err);
    if (status == WS_OK && !(*difference <= tolerance))
        status =
            ws_fail(err, WS_E_INTERNAL,
                    "student.onnx, read back, gives logits that differ by %g of the largest; at most %g is expected: "
                    "it was not published%s",
                    *difference, tolerance, options->fold_bn ? " (try export.fold_bn=false)" : "");
    ws_predictor_close(&plain);
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
        {"input", keys_of(config)->normalise ? "pixels 0..255; normalisation is part of the graph"
                                             : "(pixel/255 - mean)/std per channel"},
        {"webstill.card", labels.card},
        {"webstill.sha256", labels.digest},
    };
    const struct ws_onnx_options options = {
        .opset = (int)keys_of(config)->opset,
        .output = model->logits,
        .mean = keys_of(config)->normalise ? model->card.mean : NULL,
        .std = keys_of(config)->normalise ? model->card.std : NULL,
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
                             (json_int_t)onnx->len, "opset", (int)keys_of(run->config)->opset, "fold_bn",
                             keys_of(run->config)->fold_bn, "normalise", keys_of(run->config)->normalise, "difference",
                             difference);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    enum ws_status status = text ? ws_path_join(path, run->work, err, "runs/%s/export.json", method)
                                 : ws_fail(err, WS_E_MEMORY, "out of memory for export.json");
    if (status == WS_OK)
        status = ws_file_replace(path, text, strlen(text), err);
    free(text);
    return status;
}

/* The student as ONNX, in memory, read back and compared. */
static enum ws_status make_file(const struct ws_run *run, const char *method, struct ws_workers *workers,
                                struct ws_buf *onnx, double *difference, struct ws_err *err)
{
    const struct ws_export_keys *keys = keys_of(run->config);
    char path[WS_PATH_BYTES];
    struct ws_model *model = NULL, *folded = NULL;
    enum ws_status status = ws_path_join(path, run->work, err, "runs/%s/student.safetensors", method);
    if (status != WS_OK)
        return status;
    status = ws_model_load(&model, path, NULL, err);
    if (status != WS_OK)
        return status;
    if (keys->fold_bn)
        status = ws_model_fold(&folded, model, err);
    if (status == WS_OK)
        status = serialise(folded ? folded : model, run->config, onnx, err);
    if (status == WS_OK)
        status = check_file(model, onnx, keys, workers, difference, err);
    ws_model_free(&folded);
    ws_model_free(&model);
    return status;
}

static enum ws_status publish(const struct ws_run *run, struct ws_job *job, const char *method,
                              const struct ws_buf *onnx, double difference, struct ws_err *err)
{
    char path[WS_PATH_BYTES], output[128];
    snprintf(output, sizeof output, "runs/%.60s/student.onnx", method);
    enum ws_status status = ws_path_join(path, run->work, err, "%s", output);
    if (status != WS_OK)
        return status;
    status = ws_file_replace(path, onnx->ptr, onnx->len, err);
    if (status != WS_OK)
        return status;
    status = write_facts(run, method, onnx, difference, err);
    if (status != WS_OK)
        return status;
    status = ws_job_output_file(job, output, 1, err);
    if (status == WS_OK)
        ws_log(WS_LOG_INFO, "%s: %zu bytes, opset %u; read back, its logits differ by %.1g of the largest", path,
               onnx->len, keys_of(run->config)->opset, difference);
    return status;
}

static enum ws_status export_student(const struct ws_run *run, struct ws_job *job, const char *method,
                                     struct ws_workers *workers, struct ws_err *err)
{
    struct ws_buf onnx = {0};
    double difference = 0.0;
    enum ws_status status = make_file(run, method, workers, &onnx, &difference, err);
    if (status == WS_OK)
        status = publish(run, job, method, &onnx, difference, err);
    if (status != WS_OK)
        ws_err_note(err, "%s", method);
    ws_buf_fini(&onnx);
    return status;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    (void)err;
    printf("export: would write student.onnx of %u runs\n", ws_config_runs(job->run->config)->n_methods);
    return WS_OK;
}

static enum ws_status export_all(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_run *run = job->run;
    const struct ws_distill_keys *distill = ws_distill_keys(run->config);
    struct ws_workers *workers = NULL;
    enum ws_status status = ws_job_start(job, err);
    (void)self;
    if (status == WS_OK)
        status = ws_machine_workers_open(&workers, run->config, err);
    for (unsigned i = 0; status == WS_OK && i < distill->runs.n_methods; i++)
        status = export_student(run, job, distill->runs.methods[i], workers, err);
    ws_workers_close(&workers);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

enum ws_status ws_export_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = tell_plan, .make = export_all};
    const struct ws_job_setup setup = {.stage = ws_stage_find("export")};
    const enum ws_status status = ws_run_refuse_limit(run, "export", err);
    return status == WS_OK ? ws_machine_run(run, setup, &steps, NULL, err) : status;
}
