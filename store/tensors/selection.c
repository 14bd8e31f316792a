#include "webstill/tensors/selection.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ws_image_id) == 16, "an array of ids is an array of 16 bytes each");

/* --- writing --- */

/* A written text that names a number: %.17g brings every double back. */
static struct ws_metadata number(char text[32], const char *key, double value)
{
    snprintf(text, 32, "%.17g", value);
    return (struct ws_metadata){key, text};
}

enum ws_status ws_selection_write(const char *path, const struct ws_image_id *ids, const struct ws_selection *selection,
                                  const struct ws_selection_facts *facts, struct ws_err *err)
{
    const int64_t n = (int64_t)selection->n, n_classes = selection->n_classes;
    const size_t images = selection->n, classes = (size_t)selection->n_classes;
    const struct ws_tensor_entry entries[] = {
        {"ids", WS_U8, 2, {n, 16}, ids, images * 16},
        {"keep", WS_U8, 1, {n}, selection->keep, images},
        {"confidence", WS_F32, 1, {n}, selection->confidence, images * sizeof(float)},
        {"predicted", WS_I32, 1, {n}, selection->predicted, images * sizeof(int32_t)},
        {"threshold", WS_F64, 1, {n_classes}, selection->threshold, classes * sizeof(double)},
        {"n_predicted", WS_I64, 1, {n_classes}, selection->n_predicted, classes * sizeof(int64_t)},
        {"n_kept", WS_I64, 1, {n_classes}, selection->n_kept, classes * sizeof(int64_t)},
        {"reason", WS_U8, 1, {n}, selection->reason, images},
        {"weight", WS_F32, 1, {n}, selection->weight, images * sizeof(float)},
    };
    char alpha[32], cutoff[32], epoch[32];
    snprintf(epoch, sizeof epoch, "%" PRIu32, facts->epoch);
    const struct ws_metadata metadata[] = {
        {"rule", facts->rule},
        number(alpha, "alpha", selection->alpha),
        {"epoch", epoch},
        number(cutoff, "p_cutoff", facts->p_cutoff),
    };
    return ws_tensors_write(path, entries, sizeof entries / sizeof *entries, metadata,
                            sizeof metadata / sizeof *metadata, err);
}

/* --- reading --- */

/** An array by name, type and shape; -1 stands for any extent. */
static enum ws_status find_array(const struct ws_tensors *tensors, const char *path, const char *name,
                                 enum ws_dtype dtype, int rank, int64_t rows, int64_t columns,
                                 const struct ws_tensor_entry **out, struct ws_err *err)
{
    const struct ws_tensor_entry *e = ws_tensors_find(tensors, name);
    if (!e)
        return ws_fail(err, WS_E_DAMAGED, "%s: has no array \"%s\"", path, name);
    if (e->dtype != dtype || e->rank != rank || (rows >= 0 && e->shape[0] != rows) ||
        (rank > 1 && columns >= 0 && e->shape[1] != columns))
        return ws_fail(err, WS_E_DAMAGED, "%s: array \"%s\" has not the type and shape that the others ask for", path,
                       name);
    *out = e;
    return WS_OK;
}

static enum ws_status check_predicted(const struct ws_selection_file *file, const char *path, struct ws_err *err)
{
    for (size_t i = 0; i < file->n; i++) {
        if (file->predicted[i] < 0 || file->predicted[i] >= file->n_classes)
            return ws_fail(err, WS_E_DAMAGED, "%s: row %zu predicts class %d of %d", path, i, (int)file->predicted[i],
                           file->n_classes);
    }
    return WS_OK;
}

static enum ws_status fill_selection(struct ws_selection_file *file, const char *path, struct ws_err *err)
{
    const struct ws_tensors *t = file->tensors;
    const struct ws_tensor_entry *ids, *keep, *confidence, *predicted, *threshold, *n_predicted, *n_kept;
    enum ws_status status = find_array(t, path, "ids", WS_U8, 2, -1, 16, &ids, err);
    if (status == WS_OK)
        status = find_array(t, path, "threshold", WS_F64, 1, -1, 0, &threshold, err);
    if (status != WS_OK)
        return status;
    const int64_t n = ids->shape[0], n_classes = threshold->shape[0];
    if (n_classes < 1 || n_classes > INT_MAX)
        return ws_fail(err, WS_E_DAMAGED, "%s: array \"threshold\" is empty", path);
    status = find_array(t, path, "keep", WS_U8, 1, n, 0, &keep, err);
    if (status == WS_OK)
        status = find_array(t, path, "confidence", WS_F32, 1, n, 0, &confidence, err);
    if (status == WS_OK)
        status = find_array(t, path, "predicted", WS_I32, 1, n, 0, &predicted, err);
    if (status == WS_OK)
        status = find_array(t, path, "n_predicted", WS_I64, 1, n_classes, 0, &n_predicted, err);
    if (status == WS_OK)
        status = find_array(t, path, "n_kept", WS_I64, 1, n_classes, 0, &n_kept, err);
    if (status != WS_OK)
        return status;
    file->n = (size_t)n;
    file->n_classes = (int)n_classes;
    file->ids = ids->data;
    file->keep = keep->data;
    file->confidence = confidence->data;
    file->predicted = predicted->data;
    file->threshold = threshold->data;
    file->n_predicted = n_predicted->data;
    file->n_kept = n_kept->data;
    if (ws_tensors_find(t, "reason")) {
        const struct ws_tensor_entry *reason, *weight;
        status = find_array(t, path, "reason", WS_U8, 1, n, 0, &reason, err);
        if (status == WS_OK)
            status = find_array(t, path, "weight", WS_F32, 1, n, 0, &weight, err);
        if (status != WS_OK)
            return status;
        file->reason = reason->data;
        file->weight = weight->data;
    }
    const char *alpha = ws_tensors_metadata(t, "alpha"), *epoch = ws_tensors_metadata(t, "epoch");
    file->alpha = alpha ? strtod(alpha, NULL) : (double)NAN;
    file->epoch = epoch ? (int)strtol(epoch, NULL, 10) : 0;
    return check_predicted(file, path, err);
}

enum ws_status ws_selection_open(struct ws_selection_file *out, const char *path, struct ws_err *err)
{
    *out = (struct ws_selection_file){0};
    enum ws_status status = ws_tensors_open(&out->tensors, path, err);
    if (status == WS_OK)
        status = fill_selection(out, path, err);
    if (status != WS_OK)
        ws_selection_close(out);
    return status;
}

void ws_selection_close(struct ws_selection_file *file)
{
    ws_tensors_close(&file->tensors);
    *file = (struct ws_selection_file){0};
}

const char *ws_selection_reason_name(int reason)
{
    static const char *const names[] = {"kept", "threshold", "source", "density", "quota"};
    return reason >= 0 && reason < (int)(sizeof names / sizeof *names) ? names[reason] : "unknown";
}

size_t ws_selection_file_rank(const struct ws_selection_file *file, size_t row, size_t *n_of_class)
{
    size_t rank = 1;
    const float confidence = file->confidence[row];
    *n_of_class = 0;
    for (size_t i = 0; i < file->n; i++) {
        if (file->predicted[i] != file->predicted[row])
            continue;
        ++*n_of_class;
        rank += i != row && (file->confidence[i] > confidence || (file->confidence[i] >= confidence && i < row));
    }
    return rank;
}

int64_t ws_id_find(const struct ws_image_id *ids, size_t n, const struct ws_image_id *id)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(ids[i].bytes, id->bytes, sizeof(id->bytes)) == 0)
            return (int64_t)i;
    }
    return -1;
}
