/*
 * ONNX's own node tests (Debian: libonnx-testdata) for every op that we read.
 *
 * We read networks whose parameters are constants, so all inputs of a test but its first become initializers. Three
 * ways: as it is; image by image, where a second operand differs from image to image; and with every input known, so
 * that the node is computed while reading (its result is added to an image of zeros). A test passes when one way gives
 * output_0; what we refuse is pinned below with its reason, and a refusal must say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "onnx_model.h"

#include "webstill/base/file.h"

#include <math.h>
#include <stdio.h>

static const char folder[] = "/usr/share/libonnx-testdata/data/node";

enum { MAX_INPUTS = 16 };

#include "onnx_refused.h"

/** One test: its model, and its tensors as numbers. */
struct sample {
    struct ws_onnx_file file; /**< owns everything */
    Onnx__GraphProto *graph;
    int n_inputs;
    Onnx__TensorProto *inputs[MAX_INPUTS];
    struct ws_onnx_constant output;
    bool output_is_read;
    double tolerance; /**< of output_0's type: we compute half precision in single */
};

/** A file of the test in the sample's memory, or NULL. */
static uint8_t *read_file(struct sample *s, const char *test, const char *name, size_t *len)
{
    char path[512];
    struct ws_buf buf = {0};
    struct ws_err err = {0};
    snprintf(path, sizeof path, "%s/%s/%s", folder, test, name);
    if (!ws_file_exists(path) || ws_file_read(path, 1 << 24, &buf, &err) != WS_OK)
        return NULL;
    uint8_t *bytes = ws_arena_alloc(&s->file.memory, buf.len + 1, 1);
    assert_non_null(bytes);
    memcpy(bytes, buf.ptr, buf.len);
    *len = buf.len;
    ws_buf_fini(&buf);
    return bytes;
}

static Onnx__TensorProto *read_tensor(struct sample *s, const char *test, const char *kind, int i)
{
    char name[64];
    size_t len = 0;
    snprintf(name, sizeof name, "test_data_set_0/%s_%d.pb", kind, i);
    const uint8_t *bytes = read_file(s, test, name, &len);
    Onnx__TensorProto *own = bytes ? onnx__tensor_proto__unpack(NULL, len, bytes) : NULL;
    return own;
}

static bool open_sample(struct sample *s, const char *test)
{
    struct ws_err err = {0};
    size_t len = 0;
    *s = (struct sample){.file = {.name = test}};
    const uint8_t *bytes = read_file(s, test, "model.onnx", &len);
    if (!bytes || ws_onnx_file_parse(&s->file, bytes, len, &err) != WS_OK)
        return false;
    s->graph = s->file.model->graph;
    for (size_t i = 0; i < s->graph->n_node; i++) {
        const Onnx__NodeProto *node = s->graph->node[i];
        enum ws_op op;
        if ((node->domain && *node->domain) || !ws_onnx_type_find(node->op_type, node->op_type[0] == 'U' ? 9 : 20, &op))
            if (!ws_onnx_type_find(node->op_type, 20, &op))
                return false;
    }
    s->n_inputs = (int)s->graph->n_input < MAX_INPUTS ? (int)s->graph->n_input : MAX_INPUTS;
    for (int i = 0; i < s->n_inputs; i++)
        s->inputs[i] = read_tensor(s, test, "input", i);
    Onnx__TensorProto *output = read_tensor(s, test, "output", 0);
    /* bfloat16 tensors of the tests claim to be uint16. */
    if (output && s->graph->output[0]->type->tensor_type->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16)
        output->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
    s->output_is_read = output && ws_onnx_tensor_read(&s->file, output, &s->output, &err) == WS_OK;
    s->tolerance = !output || output->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ? 2e-5
                   : output->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16        ? 1e-3
                   : output->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16       ? 1e-2
                                                                                        : 2e-5;
    if (output)
        onnx__tensor_proto__free_unpacked(output, NULL);
    /* Some models name an op's first version as their opset; the op is the same in opset 7. */
    if (s->file.model->n_opset_import > 0 && s->file.model->opset_import[0]->version < WS_ONNX_OPSET_MIN)
        s->file.model->opset_import[0]->version = WS_ONNX_OPSET_MIN;
    /* A second output (a mask, indices, the other parts of a split) is not asked for: a network has one. */
    s->graph->n_output = s->graph->n_output > 1 ? 1 : s->graph->n_output;
    return true;
}

static void close_sample(struct sample *s)
{
    for (int i = 0; i < s->n_inputs; i++)
        if (s->inputs[i])
            onnx__tensor_proto__free_unpacked(s->inputs[i], NULL);
    ws_arena_fini(&s->file.memory);
}

static bool is_near(const struct sample *s, const float *ours, int64_t at, int64_t n)
{
    const struct ws_onnx_constant *theirs = &s->output;
    for (int64_t i = 0; i < n; i++) {
        const double want = theirs->is_int ? (double)theirs->ints[at + i] : (double)theirs->floats[at + i];
        const bool is_same = (double)ours[i] == want || (isnan(want) && isnan(ours[i])); /* also infinities */
        if (!is_same && !(fabs((double)ours[i] - want) <= s->tolerance * (1 + fabs(want))))
            return false;
    }
    return true;
}

/** The outcome of one way to run a test. */
struct outcome {
    enum { PASSED, REFUSED, WRONG } kind;
    bool is_training_form;
    struct ws_err err;
};

/** Read the packed model and run `batch` images; `n` values must be those of the output from `at` on. */
static struct outcome judge(struct sample *s, const float *images, int batch, int64_t at, int64_t n)
{
    struct outcome out = {.kind = REFUSED};
    struct ws_net *net = NULL;
    struct ws_onnx_info info = {0};
    const size_t len = onnx__model_proto__get_packed_size(s->file.model);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    onnx__model_proto__pack(s->file.model, bytes);
    if (ws_onnx_network_read(&net, &info, bytes, len, NULL, s->file.name, false, &out.err) == WS_OK) {
        const struct ws_node *last = &net->nodes[info.logits];
        const int64_t count = (int64_t)last->height * last->width * last->channels * batch;
        float *ours = calloc((size_t)count + 1, sizeof *ours);
        assert_non_null(ours);
        out.kind = WRONG;
        out.is_training_form = info.is_training_form;
        if (count == n) {
            model_run(net, info.logits, images, batch, ours);
            if (is_near(s, ours, at, n))
                out.kind = PASSED;
        }
        free(ours);
    }
    ws_onnx_info_fini(&info);
    ws_net_free(&net);
    free(bytes);
    return out;
}

/** The first input stays, the others become initializers. */
static void add_initializers(struct sample *s, Onnx__GraphProto *g, int first)
{
    g->initializer = ws_arena_alloc(&s->file.memory, MAX_INPUTS + g->n_initializer, sizeof *g->initializer);
    assert_non_null(g->initializer);
    g->n_initializer = 0;
    for (int i = first; i < s->n_inputs; i++) {
        if (!s->inputs[i])
            continue;
        if (g->input[i]->type->tensor_type->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16)
            s->inputs[i]->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
        free(s->inputs[i]->name);
        s->inputs[i]->name = strdup(g->input[i]->name);
        g->initializer[g->n_initializer++] = s->inputs[i];
    }
}

static struct outcome run_as_is(struct sample *s)
{
    struct ws_onnx_constant image = {0};
    struct outcome out = {.kind = REFUSED};
    if (s->n_inputs > 0 && (!s->inputs[0] || ws_onnx_tensor_read(&s->file, s->inputs[0], &image, &out.err) != WS_OK))
        return out;
    add_initializers(s, s->graph, 1);
    const int batch = image.rank > 0 && image.dims[0] > 0 ? (int)image.dims[0] : 1;
    if (image.is_int || image.n == 0)
        image.floats = calloc((size_t)image.n + 1, sizeof(float)); /* never run: refused for its type */
    out = judge(s, image.floats, batch, 0, s->output.n);
    if (image.is_int || image.n == 0)
        free(image.floats);
    return out;
}

/** Where all float inputs have the image's batch: one model for each image. */
static struct outcome run_by_image(struct sample *s, struct outcome before)
{
    struct ws_onnx_constant image;
    if (s->n_inputs < 2 || ws_onnx_tensor_read(&s->file, s->inputs[0], &image, NULL) != WS_OK || image.is_int ||
        image.rank < 2 || !s->output_is_read || s->output.dims[0] != image.dims[0])
        return before;
    const int64_t batch = image.dims[0];
    for (int i = 1; i < s->n_inputs; i++)
        if (!s->inputs[i] || s->inputs[i]->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
            s->inputs[i]->n_dims != (size_t)image.rank || s->inputs[i]->dims[0] != batch || !s->inputs[i]->has_raw_data)
            return before;
    struct outcome out = before;
    s->graph->input[0]->type->tensor_type->shape->dim[0]->dim_value = 1;
    for (int64_t k = 0; k < batch && (k == 0 || out.kind == PASSED); k++) {
        ProtobufCBinaryData whole[MAX_INPUTS];
        for (int i = 1; i < s->n_inputs; i++) {
            whole[i] = s->inputs[i]->raw_data;
            s->inputs[i]->raw_data.len /= (size_t)batch;
            s->inputs[i]->raw_data.data += (size_t)k * s->inputs[i]->raw_data.len;
            s->inputs[i]->dims[0] = 1;
        }
        const int64_t n = s->output.n / batch;
        out = judge(s, image.floats + k * (image.n / batch), 1, k * n, n);
        for (int i = 1; i < s->n_inputs; i++) {
            s->inputs[i]->raw_data = whole[i];
            s->inputs[i]->dims[0] = batch;
        }
    }
    s->graph->input[0]->type->tensor_type->shape->dim[0]->dim_value = batch;
    return out;
}

/** All inputs known; the result, as floats, is added to an image of zeros with its sides. */
static struct outcome run_folded(struct sample *s, struct outcome before)
{
    struct model m;
    int64_t dims[4] = {1, 1, 1, 1};
    if (!s->output_is_read || s->output.rank > 3 || s->output.n < 1 || s->graph->n_output != 1)
        return before;
    for (int i = 0; i < s->output.rank; i++)
        dims[i + 1] = s->output.dims[i];
    model_begin(&m, (int)s->file.model->opset_import[0]->version, s->output.rank + 1, dims);
    Onnx__GraphProto *own = s->graph;
    add_initializers(s, own, 0);
    m.graph.initializer = own->initializer;
    m.graph.n_initializer = own->n_initializer;
    m.graph.input[0]->name = model_text(&m, "the image");
    for (size_t i = 0; i < own->n_node; i++)
        m.graph.node[m.graph.n_node++] = own->node[i];
    Onnx__NodeProto *cast = model_node(&m, "Cast", "-", "the_floats");
    cast->input[0] = own->output[0]->name;
    model_int(&m, cast, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    Onnx__NodeProto *add = model_node(&m, "Add", "the_floats -", "the_sum");
    add->input[1] = model_text(&m, "the image");
    m.graph.output[0]->name = model_text(&m, "the_sum");
    Onnx__ModelProto *model = s->file.model;
    s->file.model = &m.proto;
    float *zeros = calloc((size_t)s->output.n, sizeof *zeros);
    assert_non_null(zeros);
    struct outcome out = judge(s, zeros, 1, 0, s->output.n);
    free(zeros);
    s->file.model = model;
    ws_arena_fini(&m.memory);
    return out.kind == REFUSED ? before : out;
}

static const struct refusal *find_refusal(const char *test)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strcmp(refusals[i].test, test) == 0)
            return &refusals[i];
    return NULL;
}

static void node_tests_pass_or_are_refused_for_a_pinned_reason(void **state)
{
    (void)state;
    struct ws_dir_list list = {0};
    struct ws_err err = {0};
    int n_passed = 0, n_wrong = 0, n_refused[N_REASONS] = {0};
    if (!ws_file_exists(folder)) {
        print_message("%s is not there (apt-get install libonnx-testdata): skipped\n", folder);
        skip();
    }
    assert_int_equal(ws_dir_list_open(&list, folder, "", &err), WS_OK);
    for (size_t i = 0; i < list.n; i++) {
        struct sample s;
        if (!open_sample(&s, list.names[i])) {
            close_sample(&s);
            continue;
        }
        struct outcome out = run_as_is(&s);
        if (out.kind == REFUSED)
            out = run_by_image(&s, out);
        if (out.kind == REFUSED)
            out = run_folded(&s, out);
        const struct refusal *pinned = find_refusal(list.names[i]);
        const enum reason reason = pinned ? pinned->reason : N_REASONS;
        if (out.kind == PASSED && !pinned) {
            n_passed++;
        } else if (out.kind == REFUSED && pinned && strstr(out.err.text, reasons[reason].words)) {
            n_refused[reason]++;
        } else if (out.kind == WRONG && ((reason == TRAINING && out.is_training_form) || reason == DISPUTED)) {
            n_refused[reason]++;
        } else {
            n_wrong++;
            print_message("%s: %s%s%s\n", list.names[i], out.kind == PASSED ? "passes, but is pinned as refused" : "",
                          out.kind == REFUSED ? out.err.text : "", out.kind == WRONG ? "wrong numbers" : "");
        }
        close_sample(&s);
    }
    print_message("ONNX's node tests: %d pass", n_passed);
    for (int i = 0; i < N_REASONS; i++)
        print_message("; %d %s", n_refused[i], reasons[i].what);
    print_message("\n");
    ws_dir_list_close(&list);
    assert_int_equal(n_wrong, 0);
    assert_true(n_passed > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_tests_pass_or_are_refused_for_a_pinned_reason),
    };
    return cmocka_run_group_tests_name("onnx_nodes", tests, NULL, NULL);
}
