#include "eval_table.h"

#include "webstill/base/file.h"
#include "webstill/base/path.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

enum { MAX_JSON_BYTES = 64 << 20 };

static enum ws_status read_json(const char *work, const char *relative, json_t **out, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_buf text = {0};
    *out = NULL;
    enum ws_status status = ws_path_join(path, work, err, "%s", relative);
    if (status == WS_OK)
        status = ws_file_read(path, MAX_JSON_BYTES, &text, err);
    if (status == WS_OK && !(*out = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL)))
        status = ws_fail(err, WS_E_DAMAGED, "%s is no JSON", path);
    ws_buf_fini(&text);
    return status;
}

/* "267,274" */
static const char *grouped(int64_t value, char text[32])
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%" PRId64, value);
    int at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static const char *percent(const json_t *object, const char *key, char text[32])
{
    const json_t *value = json_object_get(object, key);
    if (json_is_number(value))
        snprintf(text, 32, "%.2f %%", 100.0 * json_number_value(value));
    else
        snprintf(text, 32, "-");
    return text;
}

static void print_row(FILE *out, const char *name, const json_t *last, const json_t *best, const json_t *manifest)
{
    char parameters[32], cost[32], accuracy[32], best_accuracy[32], agreement[32], images[32];
    const json_t *facts = json_object_get(manifest, "facts");
    fprintf(out, "%-10s %-10s %12s %14s %10s %10s %10s %9.1f %12s\n", name,
            json_string_value(json_object_get(last, "arch")),
            grouped(json_integer_value(json_object_get(last, "parameters")), parameters),
            grouped(json_integer_value(json_object_get(last, "multiply_adds")), cost),
            percent(last, "accuracy", accuracy), percent(best, "accuracy", best_accuracy),
            percent(last, "agreement", agreement), json_number_value(json_object_get(facts, "train_seconds")),
            grouped(json_integer_value(json_object_get(facts, "images_seen")), images));
}

/* `method` NULL: the teacher. */
static enum ws_status print_model(const struct ws_run *run, const char *method, FILE *out, struct ws_err *err)
{
    char folder[80], path[128];
    json_t *last = NULL, *best = NULL, *manifest = NULL;
    snprintf(folder, sizeof folder, "%s%.60s", method ? "runs/" : "teacher", method ? method : "");
    snprintf(path, sizeof path, "%s/eval.json", folder);
    enum ws_status status = read_json(run->work, path, &last, err);
    snprintf(path, sizeof path, "%s/best-eval.json", folder);
    if (status == WS_OK && method)
        status = read_json(run->work, path, &best, err);
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    if (status == WS_OK)
        status = read_json(run->work, path, &manifest, err);
    if (status == WS_OK)
        print_row(out, method ? method : "teacher", last, best, manifest);
    json_decref(last);
    json_decref(best);
    json_decref(manifest);
    return status;
}

enum ws_status ws_eval_table_print(const struct ws_run *run, FILE *out, struct ws_err *err)
{
    fprintf(out, "%-10s %-10s %12s %14s %10s %10s %10s %9s %12s\n", "model", "network", "parameters", "multiply-adds",
            "accuracy", "best epoch", "agreement", "seconds", "images seen");
    enum ws_status status = print_model(run, NULL, out, err);
    for (unsigned i = 0; status == WS_OK && i < ws_config_runs(run->config)->n_methods; i++)
        status = print_model(run, ws_config_runs(run->config)->methods[i], out, err);
    if (status == WS_OK)
        fprintf(
            out,
            "accuracy: last epoch, clean test set; best epoch: the one that agreed best with the teacher on held-out "
            "web images;\nagreement: with the teacher on the test set.\n");
    return status;
}
