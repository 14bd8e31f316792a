/* ONNX export, read back by a small protobuf reader of its own: what is in the file, not what the generator says. */
#include "webstill/nn/onnx.h"
#include "webstill/nn/zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a reader of protobuf's wire format --- */

struct field {
    unsigned number;
    uint64_t integer;          /* varint */
    float real;                /* fixed32 */
    const unsigned char *data; /* length-delimited, or NULL */
    size_t size;
};

static uint64_t read_varint(const unsigned char **p, const unsigned char *end)
{
    uint64_t value = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        const unsigned char byte = *(*p)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    fail_msg("a varint runs over the end");
    return 0;
}

/* The next field of a message; false at its end. */
static bool next_field(const unsigned char **p, const unsigned char *end, struct field *field)
{
    if (*p == end)
        return false;
    const uint64_t key = read_varint(p, end);
    *field = (struct field){.number = (unsigned)(key >> 3)};
    switch (key & 7) {
    case 0:
        field->integer = read_varint(p, end);
        return true;
    case 2:
        field->size = (size_t)read_varint(p, end);
        assert_true(field->size <= (size_t)(end - *p));
        field->data = *p;
        *p += field->size;
        return true;
    case 5:
        assert_true(end - *p >= 4);
        memcpy(&field->real, *p, 4);
        *p += 4;
        return true;
    default:
        fail_msg("wire type %d", (int)(key & 7));
        return false;
    }
}

/* The nth (from 0) field with this number in a message. */
static bool find_field(struct field message, unsigned number, int nth, struct field *found)
{
    const unsigned char *p = message.data;
    while (next_field(&p, message.data + message.size, found))
        if (found->number == number && nth-- == 0)
            return true;
    return false;
}

static int count_fields(struct field message, unsigned number)
{
    struct field field;
    int n = 0;
    while (find_field(message, number, n, &field))
        n++;
    return n;
}

static bool has_text(struct field message, unsigned number, int nth, const char *text)
{
    struct field field;
    return find_field(message, number, nth, &field) && field.size == strlen(text) &&
           memcmp(field.data, text, field.size) == 0;
}

/* Field numbers of onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    TENSOR_DIMS = 1,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9
};

static int count_ops(struct field graph, const char *op)
{
    struct field node;
    int n = 0;
    for (int i = 0; find_field(graph, GRAPH_NODE, i, &node); i++)
        n += has_text(node, NODE_OP, 0, op);
    return n;
}

static bool find_initializer(struct field graph, const char *name, struct field *tensor)
{
    for (int i = 0; find_field(graph, GRAPH_INITIALIZER, i, tensor); i++)
        if (has_text(*tensor, TENSOR_NAME, 0, name))
            return true;
    return false;
}

/* --- models under test --- */

static struct ws_net *make_resnet8(struct ws_zoo_taps *taps)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    if (ws_zoo_build(&net, taps, "resnet8", 28, 28, 3, 10, &err) != WS_OK || ws_net_alloc(net, &err) != WS_OK)
        fail_msg("%s", err.text);
    ws_net_init(net, 5);
    return net;
}

static struct field write_model(const struct ws_net *net, const struct ws_onnx_options *options, struct ws_buf *buf)
{
    struct ws_err err = {0};
    if (ws_onnx_write(net, options, buf, &err) != WS_OK)
        fail_msg("%s", err.text);
    return (struct field){.data = (const unsigned char *)buf->ptr, .size = buf->len};
}

static struct field graph_of(struct field model)
{
    struct field graph;
    assert_true(find_field(model, MODEL_GRAPH, 0, &graph));
    return graph;
}

static void file_says_ir_8_opset_producer_and_metadata(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_buf buf = {0};
    const struct ws_onnx_option metadata[] = {{"classes", "[\"a\",\"b\"]"}, {"method", "kd3"}};
    for (int opset = 13; opset <= 17; opset++) {
        const struct ws_onnx_options options = {
            .opset = opset, .output = taps.logits, .metadata = metadata, .n_metadata = 2};
        const struct field model = write_model(net, &options, &buf);
        struct field field, version;
        assert_true(find_field(model, MODEL_IR, 0, &field) && field.integer == 8);
        assert_true(has_text(model, MODEL_PRODUCER, 0, "webstill"));
        assert_true(find_field(model, MODEL_OPSET, 0, &field));
        assert_true(find_field(field, 2, 0, &version) && version.integer == (uint64_t)opset);
        assert_int_equal(count_fields(model, MODEL_METADATA), 2);
        assert_true(find_field(model, MODEL_METADATA, 1, &field));
        assert_true(has_text(field, 1, 0, "method") && has_text(field, 2, 0, "kd3"));
    }
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void plain_graph_has_one_node_for_each_op(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_buf buf = {0};
    const struct ws_onnx_options options = {.opset = 13, .output = taps.logits};
    const struct field graph = graph_of(write_model(net, &options, &buf));
    assert_int_equal(count_ops(graph, "Conv"), 9);
    assert_int_equal(count_ops(graph, "BatchNormalization"), 9);
    assert_int_equal(count_ops(graph, "Relu"), 7);
    assert_int_equal(count_ops(graph, "Add"), 3);
    assert_int_equal(count_ops(graph, "GlobalAveragePool"), 1);
    assert_int_equal(count_ops(graph, "Flatten"), 1);
    assert_int_equal(count_ops(graph, "Gemm"), 1);
    assert_int_equal(count_fields(graph, GRAPH_NODE), 31);
    assert_int_equal(count_fields(graph, GRAPH_INITIALIZER), net->n_params);

    struct field value;
    assert_int_equal(count_fields(graph, GRAPH_INPUT), 1);
    assert_true(find_field(graph, GRAPH_INPUT, 0, &value) && has_text(value, 1, 0, "input"));
    assert_int_equal(count_fields(graph, GRAPH_OUTPUT), 1);
    assert_true(find_field(graph, GRAPH_OUTPUT, 0, &value) && has_text(value, 1, 0, "logits"));
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void weights_are_written_in_file_order(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_buf buf = {0};
    const struct ws_onnx_options options = {.opset = 13, .output = taps.logits};
    const struct field graph = graph_of(write_model(net, &options, &buf));
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        struct field tensor, raw;
        assert_true(find_initializer(graph, param->name, &tensor));
        assert_true(find_field(tensor, TENSOR_RAW, 0, &raw));
        assert_int_equal(raw.size, param->n * sizeof(float));
        float *values = malloc(param->n * sizeof *values);
        assert_non_null(values);
        ws_net_get(net, i, values, param->n);
        assert_memory_equal(raw.data, values, raw.size);
        free(values);
        for (int d = 0; d < param->rank; d++) {
            struct field dim;
            assert_true(find_field(tensor, TENSOR_DIMS, d, &dim) && dim.integer == (uint64_t)param->shape[d]);
        }
    }
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void each_input_was_written_before_it_is_read(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps), *folded = NULL;
    struct ws_err err = {0};
    struct ws_buf buf = {0};
    const float mean[3] = {0.4F, 0.5F, 0.6F}, std[3] = {0.2F, 0.3F, 0.4F};
    assert_int_equal(ws_net_fold(&folded, net, NULL, &err), WS_OK);
    const struct ws_onnx_options options = {.opset = 17, .output = folded->n_nodes - 1, .mean = mean, .std = std};
    const struct field graph = graph_of(write_model(folded, &options, &buf));

    struct field node, input, output, tensor;
    for (int i = 0; find_field(graph, GRAPH_NODE, i, &node); i++) {
        for (int j = 0; find_field(node, NODE_INPUT, j, &input); j++) {
            char name[128] = "";
            assert_true(input.size > 0 && input.size < sizeof name);
            memcpy(name, input.data, input.size);
            bool is_known = strcmp(name, "input") == 0 || find_initializer(graph, name, &tensor);
            struct field earlier;
            for (int k = 0; k < i && !is_known; k++)
                is_known = find_field(graph, GRAPH_NODE, k, &earlier) && find_field(earlier, NODE_OUTPUT, 0, &output) &&
                           output.size == input.size && memcmp(output.data, input.data, input.size) == 0;
            if (!is_known)
                fail_msg("node %d reads \"%s\", which nothing has written", i, name);
        }
    }
    ws_buf_fini(&buf);
    ws_net_free(&folded);
    ws_net_free(&net);
}

static void folded_graph_writes_fused_add_and_relu_as_nodes(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps), *folded = NULL;
    struct ws_err err = {0};
    struct ws_buf buf = {0};
    assert_int_equal(ws_net_fold(&folded, net, NULL, &err), WS_OK);
    const struct ws_onnx_options options = {.opset = 13, .output = folded->n_nodes - 1};
    const struct field graph = graph_of(write_model(folded, &options, &buf));
    assert_int_equal(count_ops(graph, "Conv"), 9);
    assert_int_equal(count_ops(graph, "BatchNormalization"), 0);
    assert_int_equal(count_ops(graph, "Relu"), 7);
    assert_int_equal(count_ops(graph, "Add"), 3);
    ws_buf_fini(&buf);
    ws_net_free(&folded);
    ws_net_free(&net);
}

static void batchnorm_momentum_is_the_share_of_the_old_value(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_buf buf = {0};
    const struct ws_onnx_options options = {.opset = 13, .output = taps.logits};
    const struct field graph = graph_of(write_model(net, &options, &buf));
    struct field node, attribute, value;
    int n_found = 0;
    for (int i = 0; find_field(graph, GRAPH_NODE, i, &node); i++) {
        if (!has_text(node, NODE_OP, 0, "BatchNormalization"))
            continue;
        for (int j = 0; find_field(node, NODE_ATTRIBUTE, j, &attribute); j++) {
            const bool is_momentum = has_text(attribute, 1, 0, "momentum");
            if (!is_momentum && !has_text(attribute, 1, 0, "epsilon"))
                continue;
            assert_true(find_field(attribute, 2, 0, &value));
            const float expected = is_momentum ? 0.9F : 1e-5F;
            assert_float_equal(value.real, expected, 1e-9F);
            n_found++;
        }
    }
    assert_int_equal(n_found, 2 * 9);
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void normalisation_goes_in_as_two_nodes(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_buf buf = {0};
    const float mean[3] = {0.5F, 0.25F, 0.125F}, std[3] = {0.2F, 0.4F, 0.8F};
    const struct ws_onnx_options options = {.opset = 13, .output = taps.logits, .mean = mean, .std = std};
    const struct field graph = graph_of(write_model(net, &options, &buf));
    assert_int_equal(count_ops(graph, "Sub"), 1);
    assert_int_equal(count_ops(graph, "Div"), 1);
    struct field tensor, raw;
    assert_true(find_initializer(graph, "input.mean", &tensor) && find_field(tensor, TENSOR_RAW, 0, &raw));
    const float expected[3] = {127.5F, 63.75F, 31.875F};
    assert_int_equal(raw.size, sizeof expected);
    assert_memory_equal(raw.data, expected, sizeof expected);
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void only_what_the_output_needs_is_written(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    assert_int_equal(ws_zoo_build(&net, &taps, "resnet8", 28, 28, 1, 10, &err), WS_OK);
    const int pooled = ws_net_global_average_pool(net, "second_pool", taps.features);
    const int classifier = ws_net_gemm(net, "classifier", pooled, 4, true);
    assert_int_equal(ws_net_alloc(net, &err), WS_OK);
    struct ws_buf buf = {0};
    const struct ws_onnx_options options = {.opset = 13, .output = classifier};
    const struct field graph = graph_of(write_model(net, &options, &buf));
    struct field tensor;
    assert_true(find_initializer(graph, "classifier.weight", &tensor));
    assert_false(find_initializer(graph, "fc.weight", &tensor));
    assert_int_equal(count_ops(graph, "Gemm"), 1);
    assert_int_equal(count_ops(graph, "GlobalAveragePool"), 1);
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_err err = {0};
    struct ws_buf buf = {0};
    struct ws_onnx_options options = {.opset = 12, .output = taps.logits};
    assert_int_equal(ws_onnx_write(net, &options, &buf, &err), WS_E_CONFIG);
    options.opset = 18;
    assert_int_equal(ws_onnx_write(net, &options, &buf, &err), WS_E_CONFIG);
    options = (struct ws_onnx_options){.opset = 13, .output = taps.features};
    assert_int_equal(ws_onnx_write(net, &options, &buf, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "layer3.0.relu2"));
    assert_int_equal(buf.len, 0);
    ws_net_free(&net);

    net = ws_net_new(4, 4, 1);
    assert_non_null(net);
    const int both[] = {0, ws_net_constant(net, "extra", 4, 4, 1)};
    int x = ws_net_concat(net, "joined", both, 2, WS_CHANNELS);
    x = ws_net_gemm(net, "fc", x, 3, true);
    assert_int_equal(ws_net_alloc(net, &err), WS_OK);
    options = (struct ws_onnx_options){.opset = 13, .output = x};
    assert_int_equal(ws_onnx_write(net, &options, &buf, &err), WS_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "joined"));
    ws_net_free(&net);

    net = ws_net_new(4, 4, 1);
    assert_non_null(net);
    const struct ws_window dilated = {.kernel = {2, 2}, .stride = {1, 1}, .dilation = {2, 2}};
    x = ws_net_average_pool(net, "sparse", 0, dilated);
    x = ws_net_gemm(net, "fc", x, 3, true);
    assert_int_equal(ws_net_alloc(net, &err), WS_OK);
    options = (struct ws_onnx_options){.opset = 17, .output = x};
    assert_int_equal(ws_onnx_write(net, &options, &buf, &err), WS_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "sparse"));
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = make_resnet8(&taps);
    struct ws_err err = {0};
    struct ws_buf buf = {.max_bytes = 1000};
    const struct ws_onnx_options options = {.opset = 13, .output = taps.logits};
    assert_int_equal(ws_onnx_write(net, &options, &buf, &err), WS_E_MEMORY);
    ws_buf_fini(&buf);
    ws_net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_says_ir_8_opset_producer_and_metadata),
        cmocka_unit_test(plain_graph_has_one_node_for_each_op),
        cmocka_unit_test(weights_are_written_in_file_order),
        cmocka_unit_test(each_input_was_written_before_it_is_read),
        cmocka_unit_test(folded_graph_writes_fused_add_and_relu_as_nodes),
        cmocka_unit_test(batchnorm_momentum_is_the_share_of_the_old_value),
        cmocka_unit_test(normalisation_goes_in_as_two_nodes),
        cmocka_unit_test(only_what_the_output_needs_is_written),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests_name("ONNX export", tests, NULL, NULL);
}
