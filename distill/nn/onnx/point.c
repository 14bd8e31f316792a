/* The ops that keep their input's sides: activations, arithmetic, Dropout, Softmax. */
#include "message.h"
#include "reader.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- activations --- */

static void add_unary(struct ws_onnx_reader *r, struct ws_onnx_value *x, enum ws_op op, double alpha, double beta)
{
    if (r->status != WS_OK)
        return;
    const int node = ws_net_unary(r->net, op, ws_onnx_name_after(r, NULL), x->node, alpha, beta);
    if (r->net->err.status == WS_OK)
        (void)ws_onnx_output_data(r, 0, node, x->rank, x->dims);
}

static void read_plain(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (x)
        add_unary(r, x, r->op, 0, 0);
}

static void read_leaky_relu(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (x)
        add_unary(r, x, r->op, ws_onnx_attr_float(r, "alpha", 0.01), 0);
}

static void read_hard_sigmoid(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (x) {
        const double alpha = ws_onnx_attr_float(r, "alpha", 0.2);
        add_unary(r, x, r->op, alpha, ws_onnx_attr_float(r, "beta", 0.5));
    }
}

/** A limit of Clip from opset 11 on: a constant number, or not there. */
static double limit_input(struct ws_onnx_reader *r, size_t i, double fallback)
{
    const struct ws_onnx_constant *c = ws_onnx_input_floats(r, i, true);
    if (c && c->n != 1)
        ws_onnx_refuse(r, WS_E_FORMAT, "limit %zu has %" PRId64 " values; expected one", i, c->n);
    return c && r->status == WS_OK ? (double)c->floats[0] : fallback;
}

static void read_clip(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    double low = -(double)INFINITY, high = (double)INFINITY;
    if (r->opset < 11) {
        low = ws_onnx_attr_float(r, "min", low);
        high = ws_onnx_attr_float(r, "max", high);
    } else {
        low = limit_input(r, 1, low);
        high = limit_input(r, 2, high);
    }
    if (r->status == WS_OK)
        add_unary(r, x, WS_OP_CLIP, low < high ? low : high, high); /* ONNX: max wins over min */
}

static void read_dropout(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    double ratio = 0.5;
    if (r->opset < 12) {
        ratio = ws_onnx_attr_float(r, "ratio", 0.5);
    } else {
        (void)ws_onnx_attr_int(r, "seed", 0);
        const struct ws_onnx_constant *share = ws_onnx_input_floats(r, 1, true),
                                      *trains = ws_onnx_input_constant(r, 2, true);
        if ((share && share->n != 1) || (trains && (!trains->is_int || trains->n != 1)))
            ws_onnx_refuse(r, WS_E_FORMAT, "ratio and training_mode: expected one number each");
        if (r->status != WS_OK)
            return;
        ratio = share ? (double)share->floats[0] : ratio;
        r->is_training_form = r->is_training_form || (trains && trains->ints[0] != 0 && ratio > 0);
    }
    if (r->status == WS_OK && !(ratio >= 0 && ratio < 1))
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a ratio of %g; expected 0 or more and less than 1", ratio);
    add_unary(r, x, WS_OP_DROPOUT, ratio, 0);
}

static void read_softmax(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (!x)
        return;
    const int axis = ws_onnx_image_axis(r, x, ws_onnx_attr_int(r, "axis", r->opset < 13 ? 1 : -1));
    if (r->status != WS_OK)
        return;
    /* Before opset 13 all axes from `axis` on are one. */
    const int end = r->opset < 13 ? x->rank : axis + 1;
    const bool is_plain = x->rank <= WS_N_SIDES && end == axis + 1;
    const int64_t before = ws_onnx_count(axis, x->dims, WS_ONNX_MAX_VALUE);
    const int64_t along = ws_onnx_count(end - axis, x->dims + axis, WS_ONNX_MAX_VALUE);
    const int64_t count = ws_onnx_value_count(x);
    const bool is_flat = before == 1 && along == count;
    const int map = is_plain  ? ws_onnx_value_as_map(r, x)
                    : is_flat ? ws_onnx_value_as_dims(r, x, 1, 1, count)
                              : ws_onnx_value_as_dims(r, x, along, count / before / along, before);
    if (r->status != WS_OK)
        return;
    const enum ws_side side = is_plain ? ws_onnx_side_of(axis) : is_flat ? WS_CHANNELS : WS_HEIGHT;
    const int node = ws_net_softmax(r->net, ws_onnx_name_after(r, NULL), map, side);
    (void)ws_onnx_output_data(r, 0, node, x->rank, x->dims);
}

/* --- arithmetic --- */

/**
 * A constant's sides against an image's value, by ONNX's rule (aligned at the last axis); false after a refusal. *rank
 * is that of the result without the batch.
 */
static bool align(struct ws_onnx_reader *r, const struct ws_onnx_value *x, const struct ws_onnx_constant *c,
                  int64_t dims[WS_N_SIDES])
{
    int first = 0; /* leading sides of 1 beyond the value's own */
    while (c->rank - first > x->rank && c->dims[first] == 1 && c->rank - first > 0)
        first++;
    const int rank = c->rank - first;
    if (c->n < 1)
        ws_onnx_refuse(r, WS_E_FORMAT, "its constant is empty");
    else if (rank > x->rank || c->rank > x->rank + 1)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                       "its constant has %d axes, the first with %" PRId64
                       " values, one for each image or more: works along the "
                       "batch axis",
                       c->rank, c->dims[0]);
    else if (x->rank > WS_N_SIDES && c->n != 1)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a constant against a value with %d axes; expected at most 4", x->rank + 1);
    if (r->status != WS_OK)
        return false;
    for (int i = 0; i < WS_N_SIDES; i++)
        dims[i] = 1;
    for (int i = 0; i < rank && x->rank <= WS_N_SIDES; i++)
        dims[x->rank - rank + i] = c->dims[first + i];
    return true;
}

/** The constant operand as a node: sign and reciprocal are applied here, so that Add and Mul are enough. */
static int constant_operand(struct ws_onnx_reader *r, size_t input, const int64_t dims[WS_N_SIDES])
{
    const struct ws_onnx_constant *c = ws_onnx_input_floats(r, input, false);
    float *values = c ? ws_onnx_take(r, (size_t)c->n, sizeof *values) : NULL;
    if (!values)
        return 0;
    const char *type = r->type->name;
    for (int64_t i = 0; i < c->n; i++) {
        const float x = c->floats[i];
        values[i] = strcmp(type, "Sub") == 0 && input == 1 ? -x : strcmp(type, "Div") == 0 ? 1 / x : x;
    }
    return ws_onnx_constant_add(r, r->proto->input[input], (int)dims[1], (int)dims[2], (int)dims[0], values);
}

static int add_scalar(struct ws_onnx_reader *r, const char *suffix, float value)
{
    float *values = ws_onnx_take(r, 1, sizeof *values);
    if (!values)
        return 0;
    values[0] = value;
    return ws_onnx_constant_add(r, ws_onnx_name_helper(r, suffix), 1, 1, 1, values);
}

/** Set the output after the sides that the builder worked out, under `rank` axes. */
static void set_combined(struct ws_onnx_reader *r, int node, const struct ws_onnx_value *x)
{
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return;
    const struct ws_node *n = &r->net->nodes[node];
    if (x->rank > WS_N_SIDES)
        (void)ws_onnx_output_data(r, 0, node, x->rank, x->dims);
    else
        (void)ws_onnx_output_data(r, 0, node, x->rank, (int64_t[]){n->channels, n->height, n->width});
}

static void read_with_constant(struct ws_onnx_reader *r, size_t data, struct ws_onnx_value *x)
{
    const char *type = r->type->name;
    const struct ws_onnx_constant *c = ws_onnx_input_floats(r, 1 - data, false);
    int64_t dims[WS_N_SIDES];
    if (!c || !align(r, x, c, dims))
        return;
    if (data == 1 && strcmp(type, "Div") == 0) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "divides by a value of the image; expected a constant divisor");
        return;
    }
    int node = x->rank <= WS_N_SIDES ? ws_onnx_value_as_map(r, x) : x->node;
    if (data == 1 && strcmp(type, "Sub") == 0) {
        const int minus = add_scalar(r, "minus", -1);
        node = ws_net_mul(r->net, ws_onnx_name_helper(r, "negated"), node, minus);
    }
    const int other = constant_operand(r, 1 - data, dims);
    if (r->status != WS_OK)
        return;
    const bool is_sum = strcmp(type, "Add") == 0 || strcmp(type, "Sub") == 0;
    const char *name = ws_onnx_name_after(r, NULL);
    set_combined(r, is_sum ? ws_net_add(r->net, name, node, other) : ws_net_mul(r->net, name, node, other), x);
}

static void read_arithmetic(struct ws_onnx_reader *r)
{
    const char *type = r->type->name;
    const struct ws_onnx_value *in[2] = {ws_onnx_input(r, 0), ws_onnx_input(r, 1)};
    for (size_t i = 0; i < 2; i++)
        if (in[i] && in[i]->kind == WS_ONNX_CONSTANT) {
            struct ws_onnx_value *x = ws_onnx_input_data(r, 1 - i);
            if (x)
                read_with_constant(r, 1 - i, x);
            return;
        }
    struct ws_onnx_value *a = ws_onnx_input_data(r, 0), *b = ws_onnx_input_data(r, 1);
    if (r->status != WS_OK)
        return;
    if (strcmp(type, "Div") == 0) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "divides by a value of the image; expected a constant divisor");
        return;
    }
    const bool is_same = a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
    if (a->rank != b->rank) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%d axes against %d: the batch axes do not meet", a->rank + 1, b->rank + 1);
        return;
    }
    if (a->rank > WS_N_SIDES && !is_same)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "repeats a value with %d axes; expected at most 4", a->rank + 1);
    if (r->status != WS_OK)
        return;
    const struct ws_node sides = r->net->nodes[a->node]; /* beyond 4 axes any sides do, when both have them */
    const int first = a->rank <= WS_N_SIDES ? ws_onnx_value_as_map(r, a) : a->node;
    int second = a->rank <= WS_N_SIDES ? ws_onnx_value_as_map(r, b)
                                       : ws_onnx_value_as_dims(r, b, sides.height, sides.width, sides.channels);
    if (strcmp(type, "Sub") == 0) {
        const int minus = add_scalar(r, "minus", -1);
        second = ws_net_mul(r->net, ws_onnx_name_helper(r, "negated"), second, minus);
    }
    if (r->status != WS_OK)
        return;
    const char *name = ws_onnx_name_after(r, NULL);
    set_combined(
        r, strcmp(type, "Mul") == 0 ? ws_net_mul(r->net, name, first, second) : ws_net_add(r->net, name, first, second),
        a);
}

/* --- writing --- */

static void write_plain(struct ws_onnx_writer *w, int id)
{
    ws_onnx_writer_unary(w, id, ws_op_name(w->net->nodes[id].op), 1);
}

static void write_leaky_relu(struct ws_onnx_writer *w, int id)
{
    Onnx__NodeProto *to = ws_onnx_writer_unary(w, id, "LeakyRelu", 1);
    ws_onnx_writer_float(w, to, "alpha", w->net->nodes[id].point.alpha);
}

static void write_hard_sigmoid(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *to = ws_onnx_writer_unary(w, id, "HardSigmoid", 1);
    ws_onnx_writer_float(w, to, "alpha", node->point.alpha);
    ws_onnx_writer_float(w, to, "beta", node->point.beta);
}

/* A limit at infinity is left out: an input without a name. */
static void write_clip(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *clip = ws_onnx_writer_unary(w, id, "Clip", 3);
    if (isinf(node->point.alpha))
        ws_onnx_writer_input(clip, ws_onnx_writer_name(w, "", ""));
    else
        ws_onnx_writer_scalar_input(w, clip, node->name, ".out.min", node->point.alpha);
    if (!isinf(node->point.beta))
        ws_onnx_writer_scalar_input(w, clip, node->name, ".out.max", node->point.beta);
}

static void write_hard_swish(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (w->opset >= 14) {
        ws_onnx_writer_unary(w, id, "HardSwish", 1);
        return;
    }
    char *x = ws_onnx_writer_value(w, node->inputs[0]), *gate = ws_onnx_writer_name(w, node->name, ".out.gate");
    char *gate_name = ws_onnx_writer_name(w, node->name, ".gate");
    if (w->no_memory)
        return;
    Onnx__NodeProto *hard = ws_onnx_writer_node(w, "HardSigmoid", gate_name, 1, gate);
    ws_onnx_writer_input(hard, x);
    ws_onnx_writer_float(w, hard, "alpha", 1.0 / 6.0);
    ws_onnx_writer_float(w, hard, "beta", 0.5);
    Onnx__NodeProto *mul = ws_onnx_writer_unary(w, id, "Mul", 2);
    ws_onnx_writer_input(mul, gate);
}

/* A file with weights is for inference. */
static void write_dropout(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (w->omits_weights) {
        ws_onnx_writer_scalar_input(w, ws_onnx_writer_unary(w, id, "Dropout", 2), node->name, ".out.ratio",
                                    node->point.alpha);
        return;
    }
    w->values[id] = ws_onnx_writer_value(w, node->inputs[0]);
    w->is_flat[id] = w->is_flat[node->inputs[0]];
}

static void write_softmax(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const bool is_flat = w->is_flat[node->inputs[0]] && node->along.axis == WS_CHANNELS;
    char *x = is_flat ? w->values[node->inputs[0]] : ws_onnx_writer_map_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Softmax", node->name, 1, w->values[id]);
    ws_onnx_writer_input(to, x);
    ws_onnx_writer_int(w, to, "axis", ws_onnx_axes[node->along.axis]);
    w->is_flat[id] = is_flat;
}

/* Whether a value is a vector in the file, or a constant that can stand beside one. */
static bool suits_vectors(const struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    return w->is_flat[id] || (node->op == WS_OP_CONSTANT && node->height == 1 && node->width == 1);
}

/* Two vectors, or maps: a lone vector becomes one. */
static void write_binary(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    char *operands[2];
    const bool is_flat = suits_vectors(w, node->inputs[0]) && suits_vectors(w, node->inputs[1]);
    for (int i = 0; i < 2; i++)
        operands[i] =
            is_flat ? ws_onnx_writer_flat_value(w, node->inputs[i]) : ws_onnx_writer_map_value(w, node->inputs[i]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, ws_op_name(node->op), node->name, 2, w->values[id]);
    ws_onnx_writer_input(to, operands[0]);
    ws_onnx_writer_input(to, operands[1]);
    w->is_flat[id] = is_flat;
}

/* --- the rows --- */

const struct ws_onnx_row ws_onnx_row_relu = {
    .reads = (const struct ws_onnx_type[]){{"Relu", 7, 20, read_plain, NULL}, {.name = NULL}}, .write = write_plain};

const struct ws_onnx_row ws_onnx_row_leaky_relu = {
    .reads = (const struct ws_onnx_type[]){{"LeakyRelu", 7, 20, read_leaky_relu, NULL}, {.name = NULL}},
    .write = write_leaky_relu};

const struct ws_onnx_row ws_onnx_row_clip = {
    .reads = (const struct ws_onnx_type[]){{"Clip", 7, 20, read_clip, NULL}, {.name = NULL}}, .write = write_clip};

const struct ws_onnx_row ws_onnx_row_sigmoid = {
    .reads = (const struct ws_onnx_type[]){{"Sigmoid", 7, 20, read_plain, NULL}, {.name = NULL}}, .write = write_plain};

const struct ws_onnx_row ws_onnx_row_hard_sigmoid = {
    .reads = (const struct ws_onnx_type[]){{"HardSigmoid", 7, 20, read_hard_sigmoid, NULL}, {.name = NULL}},
    .write = write_hard_sigmoid};

const struct ws_onnx_row ws_onnx_row_hard_swish = {
    .reads = (const struct ws_onnx_type[]){{"HardSwish", 14, 20, read_plain, NULL}, {.name = NULL}},
    .write = write_hard_swish};

const struct ws_onnx_row ws_onnx_row_tanh = {
    .reads = (const struct ws_onnx_type[]){{"Tanh", 7, 20, read_plain, NULL}, {.name = NULL}}, .write = write_plain};

const struct ws_onnx_row ws_onnx_row_dropout = {
    .reads = (const struct ws_onnx_type[]){{"Dropout", 7, 20, read_dropout, NULL}, {.name = NULL}},
    .write = write_dropout};

const struct ws_onnx_row ws_onnx_row_softmax = {
    .reads = (const struct ws_onnx_type[]){{"Softmax", 7, 20, read_softmax, NULL}, {.name = NULL}},
    .write = write_softmax};

const struct ws_onnx_row ws_onnx_row_add = {
    .reads = (const struct ws_onnx_type[]){{"Add", 7, 20, read_arithmetic, ws_onnx_fold_arithmetic},
                                           {"Sub", 7, 20, read_arithmetic, ws_onnx_fold_arithmetic},
                                           {.name = NULL}},
    .write = write_binary};

const struct ws_onnx_row ws_onnx_row_mul = {
    .reads = (const struct ws_onnx_type[]){{"Mul", 7, 20, read_arithmetic, ws_onnx_fold_arithmetic},
                                           {"Div", 7, 20, read_arithmetic, ws_onnx_fold_arithmetic},
                                           {.name = NULL}},
    .write = write_binary};
