#include "checkpoint.h"

#include "webstill/base/file.h"

#include <stdlib.h>
#include <string.h>

void ws_checkpoint_add(struct ws_checkpoint *checkpoint, const struct ws_tensor_entry *entry)
{
    if (!entry->name || (!entry->data && entry->size_bytes > 0)) {
        checkpoint->is_short = true;
        return;
    }
    if (checkpoint->n == checkpoint->cap) {
        const size_t cap = checkpoint->cap ? 2 * checkpoint->cap : 64;
        struct ws_tensor_entry *entries = ws_realloc(checkpoint->entries, cap, sizeof *entries);
        if (!entries) {
            checkpoint->is_short = true;
            return;
        }
        checkpoint->entries = entries;
        checkpoint->cap = cap;
    }
    checkpoint->entries[checkpoint->n++] = *entry;
}

void ws_checkpoint_add_net(struct ws_checkpoint *checkpoint, const char *prefix, const struct ws_net *net)
{
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        float *values = ws_arena_alloc(&checkpoint->arena, param->n, sizeof *values);
        if (values)
            ws_net_get(net, i, values, param->n);
        struct ws_tensor_entry entry = {
            .name = ws_arena_printf(&checkpoint->arena, "%s.%s", prefix, param->name),
            .dtype = WS_F32,
            .rank = param->rank,
            .data = values,
            .size_bytes = param->n * sizeof *values,
        };
        for (int d = 0; d < param->rank; d++)
            entry.shape[d] = param->shape[d];
        ws_checkpoint_add(checkpoint, &entry);
    }
}

void ws_checkpoint_add_numbers(struct ws_checkpoint *checkpoint, const char *prefix, const float *values, size_t n)
{
    const char *name = ws_arena_printf(&checkpoint->arena, "%s.values", prefix);
    ws_checkpoint_add_list(checkpoint, name, WS_F32, n, values);
}

void ws_checkpoint_add_optim(struct ws_checkpoint *checkpoint, const char *prefix, const struct ws_optim *optim,
                             size_t n)
{
    for (int i = 0; i < 2 && optim->moments[i]; i++) {
        const char *name = ws_arena_printf(&checkpoint->arena, "%s.moment%d", prefix, i + 1);
        ws_checkpoint_add_list(checkpoint, name, WS_F32, n, optim->moments[i]);
    }
    const char *name = ws_arena_printf(&checkpoint->arena, "%s.n_steps", prefix);
    ws_checkpoint_add_list(checkpoint, name, WS_I64, 1, &optim->n_steps);
}

void ws_checkpoint_add_list(struct ws_checkpoint *checkpoint, const char *name, enum ws_dtype dtype, size_t n,
                            const void *data)
{
    const struct ws_tensor_entry entry = {
        .name = name,
        .dtype = dtype,
        .rank = 1,
        .shape = {(int64_t)n},
        .data = data,
        .size_bytes = n * ws_dtype_size(dtype),
    };
    ws_checkpoint_add(checkpoint, &entry);
}

enum ws_status ws_checkpoint_write(struct ws_checkpoint *checkpoint, const char *path, const char *key,
                                   const json_t *loop, struct ws_err *err)
{
    char *text = loop ? json_dumps(loop, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    enum ws_status status;
    if (!text || checkpoint->is_short) {
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for a checkpoint", path);
    } else {
        const struct ws_metadata metadata[] = {{"webstill.key", key}, {"webstill.loop", text}};
        status = ws_tensors_write(path, checkpoint->entries, checkpoint->n, metadata, 2, err);
    }
    free(text);
    ws_checkpoint_fini(checkpoint);
    return status;
}

void ws_checkpoint_fini(struct ws_checkpoint *checkpoint)
{
    ws_arena_fini(&checkpoint->arena);
    free(checkpoint->entries);
    *checkpoint = (struct ws_checkpoint){0};
}

enum ws_status ws_checkpoint_open(struct ws_tensors **file, json_t **loop, const char *path, const char *key,
                                  struct ws_err *err)
{
    *file = NULL;
    *loop = NULL;
    if (!ws_file_exists(path))
        return WS_DONE;
    enum ws_status status = ws_tensors_open(file, path, err);
    if (status != WS_OK) {
        ws_err_hint(err, "remove %s and run the stage again: it then starts anew", path);
        return status;
    }
    const char *found = ws_tensors_metadata(*file, "webstill.key");
    const char *text = ws_tensors_metadata(*file, "webstill.loop");
    if (!found || strcmp(found, key) != 0)
        status = ws_fail(err, WS_E_CONFIG, "%s belongs to another configuration, teacher or pool", path);
    else if (!text || !(*loop = json_loads(text, 0, NULL)))
        status = ws_fail(err, WS_E_DAMAGED, "%s: metadata \"webstill.loop\" is missing or no JSON", path);
    if (status != WS_OK)
        ws_tensors_close(file);
    return status;
}

static enum ws_status fail_tensor(const char *name, const char *expected, size_t n, struct ws_err *err)
{
    ws_fail(err, WS_E_DAMAGED, "checkpoint: tensor %s is missing or not %zu %s", name, n, expected);
    ws_err_hint(err, "remove the checkpoint and run the same command again: it then starts anew");
    return WS_E_DAMAGED;
}

static enum ws_status get_floats(const struct ws_tensors *file, const char *prefix, const char *what, float *values,
                                 size_t n, struct ws_err *err)
{
    char name[2 * WS_NAME_MAX];
    size_t found = 0;
    snprintf(name, sizeof name, "%s.%s", prefix, what);
    const float *tensor = ws_checkpoint_get_list(file, name, WS_F32, &found);
    if (!tensor || found != n)
        return fail_tensor(name, "floats", n, err);
    memcpy(values, tensor, n * sizeof *values);
    return WS_OK;
}

enum ws_status ws_checkpoint_get_numbers(const struct ws_tensors *file, const char *prefix, float *values, size_t n,
                                         struct ws_err *err)
{
    return get_floats(file, prefix, "values", values, n, err);
}

enum ws_status ws_checkpoint_get_optim(const struct ws_tensors *file, const char *prefix, struct ws_optim *optim,
                                       size_t n, struct ws_err *err)
{
    static const char *const moments[] = {"moment1", "moment2"};
    char name[2 * WS_NAME_MAX];
    for (int i = 0; i < 2 && optim->moments[i]; i++) {
        const enum ws_status status = get_floats(file, prefix, moments[i], optim->moments[i], n, err);
        if (status != WS_OK)
            return status;
    }
    size_t n_counts = 0;
    snprintf(name, sizeof name, "%s.n_steps", prefix);
    const int64_t *n_steps = ws_checkpoint_get_list(file, name, WS_I64, &n_counts);
    if (!n_steps || n_counts != 1 || *n_steps < 0)
        return fail_tensor(name, "count", 1, err);
    optim->n_steps = *n_steps;
    return WS_OK;
}

enum ws_status ws_checkpoint_get_net(const struct ws_tensors *file, const char *prefix, struct ws_net *net,
                                     struct ws_err *err)
{
    char name[2 * WS_NAME_MAX];
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        snprintf(name, sizeof name, "%s.%s", prefix, param->name);
        const struct ws_tensor_entry *entry = ws_tensors_find(file, name);
        if (!entry || entry->dtype != WS_F32 || entry->size_bytes != param->n * sizeof(float))
            return fail_tensor(name, "floats", param->n, err);
        ws_net_set(net, i, entry->data, param->n);
    }
    return WS_OK;
}

const void *ws_checkpoint_get_list(const struct ws_tensors *file, const char *name, enum ws_dtype dtype, size_t *n)
{
    const struct ws_tensor_entry *entry = ws_tensors_find(file, name);
    if (!entry || entry->dtype != dtype)
        return NULL;
    *n = entry->size_bytes / ws_dtype_size(dtype);
    return entry->data;
}
