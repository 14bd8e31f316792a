/* The teacher from a file: ONNX, or safetensors with torchvision's names. */
#include "keys/teacher.h"
#include "method/methods.h"
#include "teacher.h"
#include "webstill/picture/keys.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"

#include <inttypes.h>
#include <string.h>

/* --- what a file is --- */

enum kind { KIND_ONNX, KIND_TENSORS, KIND_PICKLE };

/* safetensors begins with the length of a JSON object, far below 4 GiB; PyTorch's files are zip archives or pickles. */
static enum ws_status sniff(const char *path, enum kind *kind, struct ws_err *err)
{
    struct ws_file_map map;
    const enum ws_status status = ws_file_map_open(&map, path, err);
    if (status != WS_OK)
        return status;
    static const char zip[] = {'P', 'K', 3, 4}, length_end[4] = {0}, pickle[] = {(char)0x80, 2};
    const char *bytes = (const char *)map.bytes.ptr;
    *kind = KIND_ONNX;
    if (map.bytes.len > 8 && memcmp(bytes + 4, length_end, sizeof length_end) == 0 && bytes[8] == '{')
        *kind = KIND_TENSORS;
    else if (map.bytes.len > 4 && (memcmp(bytes, zip, sizeof zip) == 0 || memcmp(bytes, pickle, sizeof pickle) == 0))
        *kind = KIND_PICKLE;
    ws_file_map_close(&map);
    return WS_OK;
}

/* --- import --- */

static enum ws_status fill_fallback(struct ws_card *fallback, const struct ws_config *config, struct ws_err *err)
{
    const struct ws_teacher_keys *teacher = ws_teacher_keys(config);
    const unsigned n = teacher->n_mean;
    *fallback = (struct ws_card){.height = (int)ws_store_keys(config)->size,
                                 .width = (int)ws_store_keys(config)->size,
                                 .channels = (int)ws_store_keys(config)->channels,
                                 .method = "import",
                                 .accuracy = -1.0};
    snprintf(fallback->arch, sizeof fallback->arch, "%.31s", teacher->part.arch);
    if (n != teacher->n_std || (n > 0 && n != ws_store_keys(config)->channels))
        return ws_fail(
            err, WS_E_CONFIG,
            "teacher.mean has %u numbers and teacher.std %u; expected one per channel (store.channels: %u) in "
            "both, or none",
            n, teacher->n_std, ws_store_keys(config)->channels);
    for (unsigned c = 0; c < n && c < 3; c++) {
        fallback->mean[c] = (float)teacher->mean[c];
        fallback->std[c] = (float)teacher->std[c];
    }
    if (!ws_card_set_classes(fallback, config))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the class names");
    return WS_OK;
}

static enum ws_status check_input(const struct ws_card *card, const struct ws_config *config, const char *path,
                                  struct ws_err *err)
{
    const int size = (int)ws_store_keys(config)->size, channels = (int)ws_store_keys(config)->channels;
    if (card->height == size && card->width == size && card->channels == channels)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG,
            "%s reads images of %d x %d with %d channel%s; the configuration makes them %d x %d with %d", path,
            card->height, card->width, card->channels, card->channels == 1 ? "" : "s", size, size, channels);
    if (card->height == card->width)
        ws_err_hint(err, "set store.size: %d and store.channels: %d, and run `webstill store` again if it was run",
                    card->height, card->channels);
    else
        ws_err_hint(err, "pictures are stored square: export the network with a square input");
    return WS_E_CONFIG;
}

static enum ws_status check_card(const struct ws_card *card, const struct ws_config *config, const char *path,
                                 struct ws_err *err)
{
    enum ws_status status = check_input(card, config, path, err);
    if (status != WS_OK)
        return status;
    status = ws_card_check_classes(card, config, err);
    if (status != WS_OK)
        ws_err_note(err, "%s", path);
    return status;
}

static enum ws_status read_network(struct ws_model **model, enum kind kind, const char *path,
                                   const struct ws_card *fallback, struct ws_err *err)
{
    switch (kind) {
    case KIND_ONNX:
        return ws_model_import_onnx(model, path, fallback, err);
    case KIND_TENSORS:
        return ws_model_load(model, path, fallback, err);
    default:
        ws_fail(err, WS_E_UNSUPPORTED, "%s is a file of torch.save: it holds a program, which is not run", path);
        ws_err_hint(err, "convert it to ONNX or safetensors with a few lines of Python: the README has them");
        return WS_E_UNSUPPORTED;
    }
}

enum ws_status ws_teacher_import(const struct ws_config *config, const char *to, struct ws_err *err)
{
    const char *path = ws_teacher_keys(config)->import_path;
    struct ws_card fallback = {0};
    struct ws_model *model = NULL;
    enum kind kind = KIND_ONNX;
    enum ws_status status = sniff(path, &kind, err);
    if (status != WS_OK)
        return status;
    status = fill_fallback(&fallback, config, err);
    if (status == WS_OK)
        status = read_network(&model, kind, path, &fallback, err);
    if (status == WS_OK)
        status = check_card(&model->card, config, path, err);
    if (status == WS_OK)
        status = ws_model_save(model, to, err);
    ws_model_free(&model);
    ws_card_fini(&fallback);
    return status;
}

/* --- what it is --- */

static int count_batchnorm(const struct ws_net *net)
{
    int n = 0;
    for (int i = 0; i < net->n_nodes; i++)
        n += net->nodes[i].op == WS_OP_BATCHNORM;
    return n;
}

/* Methods that have a need which the network does not meet, each with when it has it: "kd3, kd3+, simkd"; and why not,
 * in the words of the first. */
static void name_needing(enum ws_need_kind kind, const struct ws_model *model, struct ws_buf *names, struct ws_buf *why)
{
    bool is_whole = true; /* a name that finds no memory is left out */
    for (const struct ws_method *const *method = ws_methods; *method; method++)
        for (const struct ws_need *need = (*method)->needs; need && need->kind != WS_NEED_NOTHING; need++) {
            if (need->kind != kind)
                continue;
            if (why->len == 0)
                is_whole = is_whole && ws_need_tell(need, model, (*method)->name, why);
            if (why->len > 0)
                is_whole = is_whole && ws_buf_addf(names, "%s%s%s", names->len ? ", " : "", (*method)->name,
                                                   need->when ? need->when : "");
        }
}

/* What some methods cannot do with this network, and why. */
static json_t *list_unserved(const struct ws_model *model)
{
    json_t *list = json_array();
    for (enum ws_need_kind kind = WS_NEED_NOTHING + 1; kind < WS_N_NEEDS; kind++) {
        struct ws_buf names = {0}, why = {0};
        name_needing(kind, model, &names, &why);
        if (names.len > 0) {
            json_array_append_new(list, json_pack("{s:s,s:s}", "methods", names.ptr, "why", why.ptr));
            ws_log(WS_LOG_WARN, "this teacher cannot serve %s: %s", names.ptr, why.ptr);
        }
        ws_buf_fini(&names);
        ws_buf_fini(&why);
    }
    return list;
}

void ws_teacher_describe_import(struct ws_job *job, const struct ws_model *model)
{
    const struct ws_card *card = &model->card;
    const int n_batchnorm = count_batchnorm(model->net);
    ws_job_fact(job, "input", json_pack("[i,i,i]", card->channels, card->height, card->width));
    ws_job_fact(job, "classes", json_integer(card->n_classes));
    ws_job_fact(job, "batchnorm_nodes", json_integer(n_batchnorm));
    ws_log(WS_LOG_INFO,
           "%s: %" PRId64 " parameters, %" PRId64 " multiply-adds, input %d x %d with %d channel%s, %d classes, %d "
           "BatchNorm nodes",
           card->arch, ws_net_count_params(model->net), ws_net_count_macs(model->net), card->height, card->width,
           card->channels, card->channels == 1 ? "" : "s", card->n_classes, n_batchnorm);
    ws_job_fact(job, "cannot_serve", list_unserved(model));
}
