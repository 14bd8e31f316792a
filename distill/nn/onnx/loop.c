/*
 * One loop is read: the one by which PyTorch's exporter writes Tensor.as_strided, over known sizes and strides. Its
 * body, one turn for each axis from the last to the first, builds the indices that a Gather then takes from the
 * flattened tensor:
 *
 *     j = rank - i - 1;  indices = expand(indices, size[j:]) + reshape(range(0, size[j]) * stride[j], [size[j], 1, …])
 *
 * so the result is sum over j of index_j stride[j], of shape `size`. Any other loop is refused.
 */
#include "reader.h"

#include <inttypes.h>
#include <string.h>

/** The body's nodes in their order; inputs name what makes them: a letter's node, or a captured or carried value. */
static const struct {
    const char *type;
    int inputs[3]; /**< index of an earlier node of the body, or one of the sources below */
    int n_inputs;
} pattern[] = {
#define RANK -1 /* number of axes */
#define TURN -2 /* i */
#define ONE -3  /* integer 1 */
#define MINUS_ONE -4
#define SIZE -5
#define STRIDE -6
#define CARRIED -7  /* indices so far */
#define SEQUENCE -8 /* ones so far: one more of them in each turn */
#define ZERO -9
#define ONE_LIST -10 /* [1.0] */
#define CONDITION -11
    {"Sub", {RANK, TURN}, 2},                    /* 0 */
    {"Sub", {0, ONE}, 2},                        /* 1: j */
    {"Reshape", {1, MINUS_ONE}, 2},              /* 2: [j] */
    {"Gather", {SIZE, 2}, 2},                    /* 3: size[j] */
    {"Slice", {SIZE, 2, RANK}, 3},               /* 4: size[j:] */
    {"Gather", {STRIDE, 2}, 2},                  /* 5: stride[j] */
    {"Expand", {CARRIED, 4}, 2},                 /* 6 */
    {"Range", {ZERO, 3, ONE}, 3},                /* 7 */
    {"Mul", {7, 5}, 2},                          /* 8 */
    {"Equal", {TURN, ZERO}, 2},                  /* 9 */
    {"If", {9}, 1},                              /* 10: [size[j], 1, …]; checked by its branches' ops */
    {"Reshape", {8, 10}, 2},                     /* 11 */
    {"Add", {6, 11}, 2},                         /* 12 */
    {"SequenceInsert", {SEQUENCE, ONE_LIST}, 2}, /* 13 */
    {"Identity", {CONDITION}, 1},                /* 14 */
};
enum { N_BODY = sizeof pattern / sizeof pattern[0], N_CARRIED = 4 };

struct loop {
    const Onnx__GraphProto *body;
    const struct ws_onnx_constant *size, *stride;
};

/** A captured value as a constant of one integer, or false. */
static bool is_number(struct ws_onnx_reader *r, const char *name, int64_t wanted)
{
    const struct ws_onnx_value *v = ws_onnx_value_find(r, name);
    return v && v->kind == WS_ONNX_CONSTANT && v->constant.is_int && v->constant.n == 1 &&
           v->constant.ints[0] == wanted;
}

/** Make a captured initializer a constant. */
static const struct ws_onnx_constant *captured(struct ws_onnx_reader *r, const char *name)
{
    struct ws_onnx_value *v = ws_onnx_value_find(r, name);
    if (v && v->kind == WS_ONNX_TENSOR) {
        struct ws_err err = {0};
        if (ws_onnx_tensor_read(r->file, v->tensor, &v->constant, &err) == WS_OK)
            v->kind = WS_ONNX_CONSTANT;
    }
    return v && v->kind == WS_ONNX_CONSTANT ? &v->constant : NULL;
}

/** The same list of integers wherever the pattern names it. */
static bool is_list(struct ws_onnx_reader *r, const char *name, const struct ws_onnx_constant **list)
{
    const struct ws_onnx_constant *c = captured(r, name);
    if (!c || !c->is_int || c->rank != 1 || c->n < 1 || c->n > WS_ONNX_MAX_RANK || (*list && *list != c))
        return false;
    *list = c;
    return true;
}

/** Whether a body node's input is what the pattern wants. */
static bool is_source(struct ws_onnx_reader *r, struct loop *loop, const char *name, int wanted)
{
    const Onnx__GraphProto *body = loop->body;
    if (wanted >= 0)
        return strcmp(name, body->node[wanted]->output[0]) == 0;
    static const int carried[N_CARRIED] = {TURN, CONDITION, CARRIED, SEQUENCE};
    for (int i = 0; i < N_CARRIED; i++)
        if (wanted == carried[i])
            return body->input[i]->name && strcmp(name, body->input[i]->name) == 0;
    if (wanted == SIZE)
        return is_list(r, name, &loop->size);
    if (wanted == STRIDE)
        return is_list(r, name, &loop->stride);
    const struct ws_onnx_constant *c = captured(r, name);
    if (wanted == ONE_LIST)
        return c && !c->is_int && c->rank == 1 && c->n == 1 && c->floats[0] == 1;
    if (wanted == RANK)
        return c && loop->size ? is_number(r, name, loop->size->n) : c && c->is_int && c->n == 1;
    return is_number(r, name, wanted == ONE ? 1 : wanted == ZERO ? 0 : -1);
}

/** Whether a branch is a chain of these ops, each on the one before (and one outer value), to its output. */
static bool is_branch(const Onnx__GraphProto *branch, const char *const *types, size_t n, const char *size)
{
    if (!branch || branch->n_node != n || branch->n_output != 1 || branch->n_input != 0)
        return false;
    bool uses_size = false;
    for (size_t i = 0; i < n; i++) {
        const Onnx__NodeProto *node = branch->node[i];
        if (!node->op_type || strcmp(node->op_type, types[i]) != 0 || node->n_output != 1)
            return false;
        for (size_t k = 0; k < node->n_input; k++)
            uses_size = uses_size || strcmp(node->input[k], size) == 0;
    }
    return uses_size && branch->output[0]->name && strcmp(branch->output[0]->name, branch->node[n - 1]->output[0]) == 0;
}

static bool is_shape_choice(const Onnx__NodeProto *choice, const char *size)
{
    static const char *const first[] = {"Identity"}, *const later[] = {"ConcatFromSequence", "Cast", "Concat", "Cast"};
    const Onnx__GraphProto *then = NULL, *otherwise = NULL;
    for (size_t i = 0; i < choice->n_attribute; i++) {
        const Onnx__AttributeProto *a = choice->attribute[i];
        if (a->name && strcmp(a->name, "then_branch") == 0)
            then = a->g;
        if (a->name && strcmp(a->name, "else_branch") == 0)
            otherwise = a->g;
    }
    return choice->n_attribute == 2 && is_branch(then, first, 1, size) && is_branch(otherwise, later, 4, size);
}

/** Whether the loop's body is the pattern, node by node and wire by wire. */
static bool is_as_strided(struct ws_onnx_reader *r, struct loop *loop)
{
    const Onnx__GraphProto *body = loop->body;
    if (!body || body->n_node != N_BODY || body->n_input != N_CARRIED || body->n_output != 3 || body->n_initializer)
        return false;
    for (size_t i = 0; i < N_BODY; i++) {
        const Onnx__NodeProto *node = body->node[i];
        const size_t n_inputs = (size_t)pattern[i].n_inputs;
        if (!node->op_type || strcmp(node->op_type, pattern[i].type) != 0 || node->n_input != n_inputs ||
            node->n_output != 1)
            return false;
        const size_t n_attributes = strcmp(pattern[i].type, "If") == 0 ? 2 : strcmp(pattern[i].type, "Gather") == 0;
        if (node->n_attribute > n_attributes ||
            (n_attributes == 1 && node->n_attribute == 1 && node->attribute[0]->i != 0))
            return false;
    }
    for (int pass = 0; pass < 2; pass++) /* again when the number of axes is known */
        for (size_t i = 0; i < N_BODY; i++)
            for (int k = 0; k < pattern[i].n_inputs; k++)
                if (!is_source(r, loop, body->node[i]->input[k], pattern[i].inputs[k]))
                    return false;
    const int results[3] = {14, 12, 13};
    for (int i = 0; i < 3; i++)
        if (!body->output[i]->name || strcmp(body->output[i]->name, body->node[results[i]]->output[0]) != 0)
            return false;
    return loop->size && loop->stride && loop->size->n == loop->stride->n &&
           is_shape_choice(body->node[10], body->node[3]->output[0]);
}

void ws_onnx_read_loop(struct ws_onnx_reader *r)
{
    const Onnx__AttributeProto *attribute = ws_onnx_attr_find(r, "body");
    struct loop loop = {.body = attribute ? attribute->g : NULL};
    const struct ws_onnx_value *sequence = ws_onnx_input(r, 3);
    const struct ws_onnx_constant *turns = ws_onnx_input_ints(r, 0, true), *start = ws_onnx_input_constant(r, 2, true);
    if (r->status != WS_OK)
        return;
    const bool is_read = r->proto->n_input == 4 && !ws_onnx_input(r, 1) && turns && turns->n == 1 && start &&
                         start->is_int && start->n == 1 && start->ints[0] == 0 && sequence &&
                         sequence->kind == WS_ONNX_SEQUENCE && is_as_strided(r, &loop) &&
                         turns->ints[0] == loop.size->n;
    if (!is_read) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                       "is not the loop that PyTorch writes for as_strided; export without control flow");
        return;
    }
    struct ws_onnx_constant out;
    const int rank = (int)loop.size->n;
    if (ws_onnx_count(rank, loop.size->ints, 1 << 24) < 1 ||
        !ws_onnx_constant_new(&r->file->memory, true, rank, loop.size->ints, &out)) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "as_strided to nothing, or to more than 2^24 elements");
        return;
    }
    for (int64_t i = 0; i < out.n; i++) {
        int64_t rest = i;
        for (int k = rank - 1; k >= 0; k--) {
            const int64_t stride = loop.stride->ints[k];
            if (stride < 0 || stride > WS_ONNX_MAX_VALUE) {
                ws_onnx_refuse(r, WS_E_FORMAT, "a stride of %" PRId64, stride);
                return;
            }
            out.ints[i] += rest % loop.size->ints[k] * stride;
            rest /= loop.size->ints[k];
        }
    }
    ws_onnx_output_constant(r, 0, &out);
}
