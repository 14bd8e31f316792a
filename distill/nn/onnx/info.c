/* What the caller is told of a network that was read: its sizes, its taps, its origin. */
#include "reader.h"

#include <limits.h>

static bool has_map(const struct ws_node *node)
{
    return node->height > 1 || node->width > 1;
}

static bool is_pooling(enum ws_op op)
{
    return op == WS_OP_GLOBAL_AVERAGE_POOL || op == WS_OP_REDUCE_MEAN || op == WS_OP_AVERAGE_POOL ||
           op == WS_OP_MAX_POOL;
}

/**
 * Walk back from the logits over the nodes that all paths pass. The first that pools to one pixel is `pooled`; the
 * first map met before one is what a linear layer flattens. Gates (squeeze and excitation) are passed beside, so never
 * taken.
 */
static void find_taps(const struct ws_net *net, struct ws_onnx_info *info, bool *is_open)
{
    info->pooled = info->features = -1;
    is_open[info->logits] = true;
    for (int id = info->logits, n_open = 1; id > 0; id--) {
        const struct ws_node *node = &net->nodes[id];
        if (!is_open[id])
            continue;
        n_open--;
        const int first = node->n_inputs > 0 ? node->inputs[0] : -1;
        const bool pools = node->op == WS_OP_GLOBAL_AVERAGE_POOL ||
                           (is_pooling(node->op) && !has_map(node) && has_map(&net->nodes[first]));
        if (n_open == 0 && (pools || has_map(node))) {
            info->pooled = pools ? id : -1;
            info->features = !pools ? id : first > 0 ? first : -1;
            return;
        }
        for (int i = 0; i < node->n_inputs; i++) {
            const int input = node->inputs[i];
            if (net->nodes[input].op == WS_OP_CONSTANT || is_open[input])
                continue;
            is_open[input] = true;
            n_open++;
        }
    }
}

static const char *copy_text(struct ws_onnx_info *info, const char *text)
{
    return ws_arena_strdup(&info->memory, text ? text : "");
}

enum ws_status ws_onnx_info_fill(struct ws_onnx_info *info, const struct ws_onnx_reader *r, const char *input,
                                 const char *output, struct ws_err *err)
{
    const Onnx__ModelProto *model = r->file->model;
    info->opset = r->opset;
    info->ir_version = model->ir_version > INT_MAX ? INT_MAX : (int)model->ir_version;
    info->height = r->net->nodes[0].height;
    info->width = r->net->nodes[0].width;
    info->channels = r->net->nodes[0].channels;
    info->n_classes = r->net->nodes[info->logits].channels;
    info->n_batchnorm = r->n_batchnorm;
    info->is_training_form = r->is_training_form;
    info->n_params = ws_net_count_params(r->net);
    info->n_macs = ws_net_count_macs(r->net);
    bool *is_open = ws_arena_alloc(&info->memory, (size_t)r->net->n_nodes, sizeof *is_open);
    if (!is_open)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory", r->file->name);
    find_taps(r->net, info, is_open);
    const char *version = model->producer_version ? model->producer_version : "";
    info->producer = ws_arena_printf(&info->memory, "%s%s%s", model->producer_name ? model->producer_name : "",
                                     *version ? " " : "", version);
    info->input = copy_text(info, input);
    info->output = copy_text(info, output);
    info->metadata = ws_arena_alloc(&info->memory, model->n_metadata_props + 1, sizeof *info->metadata);
    bool is_complete = info->producer && info->input && info->output && info->metadata;
    for (size_t i = 0; is_complete && i < model->n_metadata_props; i++) {
        struct ws_onnx_option *entry = &info->metadata[info->n_metadata++];
        entry->key = copy_text(info, model->metadata_props[i]->key);
        entry->value = copy_text(info, model->metadata_props[i]->value);
        is_complete = entry->key && entry->value;
    }
    return is_complete ? WS_OK : ws_fail(err, WS_E_MEMORY, "%s: out of memory", r->file->name);
}

void ws_onnx_info_fini(struct ws_onnx_info *info)
{
    ws_arena_fini(&info->memory);
    *info = (struct ws_onnx_info){0};
}
