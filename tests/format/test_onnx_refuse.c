/* ONNX import refuses what is broken, hostile or beyond us, and says where, what it expected and what it found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "onnx_result.h"

#include "webstill/base/file.h"

#include <unistd.h>

static void sizes_must_match_the_bytes(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        static const char *const words[] = {"f.weight|16 bytes; 12 are there",
                                            "f.weight|wants 4 elements; 0 are there",
                                            "f.weight|[-1, 2]",
                                            "f.weight|[4611686018427387904, 2]",
                                            "f.weight|data type 8",
                                            "f.weight|data type 99"};
        struct model m;
        model_begin(&m, 13, 2, (int64_t[]){0, 2});
        Onnx__TensorProto *t = model_floats(&m, "f.weight", 2, (int64_t[]){2, 2}, counting);
        if (kind == 0)
            t->raw_data.len = 12;
        else if (kind == 1)
            t->has_raw_data = false;
        else if (kind == 2)
            t->dims[0] = -1;
        else if (kind == 3)
            t->dims[0] = INT64_C(1) << 62;
        else
            t->data_type = kind == 4 ? 8 : 99;
        model_node(&m, "Gemm", "x f.weight", "y");
        expect_refusal(&m, kind < 4 ? WS_E_FORMAT : WS_E_UNSUPPORTED, words[kind]);
    }
}

static void external_data_stays_beneath_the_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/webstill-onnx-XXXXXX", path[128], link_path[128];
    struct ws_err err = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sub/w.bin", folder);
    assert_int_equal(ws_file_replace(path, counting, 64, &err), WS_OK);
    snprintf(link_path, sizeof link_path, "%s/link", folder);
    assert_int_equal(symlink("sub", link_path), 0);
    static const struct {
        const char *location, *offset, *length, *words;
    } cases[] = {
        {"sub/w.bin", "8", "16", NULL},
        {"sub/w.bin", "48", NULL, NULL},
        {"sub/w.bin", "56", "16", "bytes 56 to 72 are wanted; the file has 64"},
        {"sub/w.bin", "18446744073709551615", "16", "expected a number of bytes"},
        {"sub/w.bin", "-8", "16", "expected a number of bytes"},
        {"sub/w.bin", "0", "12", "16 bytes; 12 are there"},
        {"sub/../sub/w.bin", "0", "16", "beneath the model's folder"},
        {"../w.bin", "0", "16", "beneath the model's folder"},
        {"/etc/passwd", "0", "16", "beneath the model's folder"},
        {"link/w.bin", "0", "16", "beneath the model's folder"},
        {"sub", "0", "16", "not a regular file"},
        {"nowhere.bin", "0", "16", "nowhere.bin"},
    };
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        const bool has_folder = i < sizeof cases / sizeof cases[0];
        const size_t k = has_folder ? i : 0;
        struct model m;
        model_begin(&m, 13, 2, (int64_t[]){0, 2});
        Onnx__TensorProto *t = model_floats(&m, "f.weight", 2, (int64_t[]){2, 2}, counting);
        t->has_raw_data = false;
        t->has_data_location = true;
        t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
        t->external_data = model_take(&m, 3, sizeof *t->external_data);
        const char *pairs[3][2] = {
            {"location", cases[k].location}, {"offset", cases[k].offset}, {"length", cases[k].length}};
        for (int p = 0; p < 3; p++) {
            if (!pairs[p][1])
                continue;
            Onnx__StringStringEntryProto *entry = model_take(&m, 1, sizeof *entry);
            onnx__string_string_entry_proto__init(entry);
            entry->key = model_text(&m, pairs[p][0]);
            entry->value = model_text(&m, pairs[p][1]);
            t->external_data[t->n_external_data++] = entry;
        }
        model_node(&m, "Gemm", "x f.weight", "y");
        struct result r = read_in(&m, has_folder ? folder : NULL);
        const char *words = has_folder ? cases[k].words : "there is no folder";
        if ((r.status == WS_OK) != !words || (words && !strstr(r.err.text, words)))
            fail_msg("%s: %s", cases[k].location, r.err.text);
        if (!words) {
            float got[4];
            ws_net_get(r.net, 0, got, 4);
            assert_true(got[0] == (k == 0 ? 3 : 13)); /* the file's third or thirteenth number */
        }
        release(&r);
    }
    unlink(path);
    unlink(link_path);
    snprintf(path, sizeof path, "%s/sub", folder);
    rmdir(path);
    rmdir(folder);
}

static void every_node_in_the_way_is_named_at_once(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 13, 4, (int64_t[]){0, 2, 2, 2});
    m.extra = m.opset;
    m.extra.domain = model_text(&m, "com.example");
    m.extra.version = 3;
    m.opsets[m.proto.n_opset_import++] = &m.extra;
    model_node(&m, "Relu", "x", "a");
    model_node(&m, "Einsum", "a", "b");
    model_node(&m, "Einsum", "x", "c");
    model_node(&m, "Fancy", "b", "d")->domain = model_text(&m, "com.example");
    model_int(&m, model_node(&m, "Softmax", "a", "e"), "axis", 0);
    model_int(&m, model_node(&m, "Relu", "a", "f"), "power", 2);
    model_node(&m, "Add", "d e", "g");
    model_node(&m, "Add", "c f", "h");
    model_node(&m, "Add", "g h", "y");
    expect_refusal(
        &m, WS_E_UNSUPPORTED,
        "5 nodes|Einsum (domain \"ai.onnx\", opset 13): \"n1\", \"n2\"|Fancy (domain \"com.example\", opset 3): "
        "\"n3\"|node \"n4\" (Softmax, opset 13): works along the batch axis|node \"n5\" (Relu, opset 13): "
        "attribute \"power\" is unknown");
    model_begin(&m, 13, 2, (int64_t[]){0, 2}); /* but what the output does not need is in nobody's way */
    model_node(&m, "Einsum", "x", "unused");
    model_node(&m, "Relu", "x", "y");
    struct result r = read_good(&m);
    release(&r);
}

/** One loop is read, PyTorch's as_strided; this one has its inputs and another body. */
static void other_loops_are_refused(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 20, 2, (int64_t[]){1, 2});
    model_add(&m, model_tensor(&m, "turns", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, 8, (int64_t[]){2}));
    model_add(&m, model_tensor(&m, "zero", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, 8, (int64_t[]){0}));
    model_list(&m, "minus", 1, (int64_t[]){-1});
    model_node(&m, "SequenceEmpty", "", "s");
    Onnx__NodeProto *loop = model_node(&m, "Loop", "turns - zero s", "indices t");
    Onnx__GraphProto *body = model_take(&m, 1, sizeof *body);
    onnx__graph_proto__init(body);
    model_attribute(&m, loop, "body", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)->g = body;
    model_node(&m, "Reshape", "x minus", "flat");
    model_node(&m, "Gather", "flat indices", "y");
    expect_refusal(&m, WS_E_UNSUPPORTED, "1 node|\"n1\" (Loop, opset 20): is not the loop that PyTorch writes");
}

static void the_batch_axis_is_not_touched(void **state)
{
    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        struct model m;
        model_begin(&m, 13, 2, (int64_t[]){kind == 7 ? 3 : 0, 4});
        model_list(&m, "mixed", 2, (int64_t[]){-1, 2});
        model_list(&m, "flat", 1, (int64_t[]){-1});
        model_list(&m, "zero", 1, (int64_t[]){0});
        model_list(&m, "one", 1, (int64_t[]){1});
        model_floats(&m, "each", 2, (int64_t[]){3, 4}, counting);
        if (kind == 0)
            model_node(&m, "Reshape", "x mixed", "y");
        else if (kind == 1)
            model_node(&m, "Reshape", "x flat", "y");
        else if (kind == 2)
            model_ints(&m, model_node(&m, "Transpose", "x", "y"), "perm", 2, (int64_t[]){1, 0});
        else if (kind == 3)
            model_int(&m, model_node(&m, "Concat", "x x", "y"), "axis", 0);
        else if (kind == 4)
            model_node(&m, "Slice", "x zero one zero", "y");
        else if (kind == 5)
            model_node(&m, "Unsqueeze", "x zero", "y");
        else if (kind == 6)
            model_ints(&m, model_node(&m, "ReduceMean", "x", "y"), "axes", 1, (int64_t[]){0});
        else
            model_node(&m, "Add", "x each", "y");
        expect_refusal(&m, WS_E_UNSUPPORTED, "batch axis");
    }
}

static void broken_graphs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *words;
        enum ws_status status;
    } cases[] = {
        {"x nothing a", "a y", "\"n0\"|\"nothing\" is defined nowhere", WS_E_FORMAT},
        {"y a", "a y", "\"n0\"|not in topological order, or form a cycle", WS_E_FORMAT},
        {"x y", "x y", "\"y\" is written twice", WS_E_FORMAT},
        {"x x", "x y", "\"x\" is written twice", WS_E_FORMAT},
        {"x a", "a z", "output \"y\" is computed nowhere", WS_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        char in[32], out[32];
        model_begin(&m, 13, 2, (int64_t[]){0, 2});
        for (int k = 0; k < 2; k++) { /* all but the last word are inputs */
            const char *text = k ? cases[i].b : cases[i].a, *last = strrchr(text, ' ');
            snprintf(in, sizeof in, "%.*s", (int)(last - text), text);
            snprintf(out, sizeof out, "%s", last + 1);
            model_node(&m, strchr(in, ' ') ? "Add" : "Relu", in, out);
        }
        expect_refusal(&m, cases[i].status, cases[i].words);
    }
}

static void inputs_outputs_and_opsets_are_checked(void **state)
{
    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        static const char *const words[] = {"opset 6; expected 7 to 20",    "opset 21; expected 7 to 20",
                                            "two inputs, \"x\" and \"z\"",  "2 outputs; expected one",
                                            "axis 2 has no fixed side",     "element type 7; expected float",
                                            "expected logits [N, classes]", "does not depend on the image"};
        struct model m;
        model_begin(&m, kind == 0 ? 6 : kind == 1 ? 21 : 13, 4, (int64_t[]){0, 2, kind == 4 ? 0 : 2, 2});
        if (kind == 2)
            m.graph.input[m.graph.n_input++] = model_value(&m, "z", 2, (int64_t[]){0, 2});
        if (kind == 3)
            m.graph.output[m.graph.n_output++] = model_value(&m, "x", 2, (int64_t[]){0, 2});
        if (kind == 5)
            m.graph.input[0]->type->tensor_type->elem_type = 7;
        model_node(&m, "Relu", "x", "a");
        model_node(&m, kind == 6 ? "Relu" : kind == 7 ? "Shape" : "Flatten", "a", "y");
        expect_refusal(&m, WS_E_UNSUPPORTED, words[kind]);
    }
}

static void old_files_list_their_weights_as_inputs(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 7, 2, (int64_t[]){3, 2});
    m.proto.ir_version = 3;
    model_floats(&m, "w", 2, (int64_t[]){2, 2}, (float[]){1, 0, 0, 1});
    m.graph.input[m.graph.n_input++] = model_value(&m, "w", 2, (int64_t[]){2, 2});
    model_node(&m, "MatMul", "x w", "y");
    expect_vector(&m, counting, (float[]){1, 2});
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 13, 4, (int64_t[]){0, 2, 4, 4});
    model_floats(&m, "w", 4, (int64_t[]){2, 3, 1, 1}, counting);
    model_node(&m, "Conv", "x w", "a");
    model_node(&m, "Flatten", "a", "y");
    expect_refusal(&m, WS_E_FORMAT, "\"n0\" (Conv, opset 13)|1 groups of 3 input channels; the input has 2");
    model_begin(&m, 13, 4, (int64_t[]){0, 2, 4, 4});
    model_floats(&m, "w", 4, (int64_t[]){1, 2, 3, 3}, counting);
    model_ints(&m, model_node(&m, "Conv", "x w", "a"), "strides", 2, (int64_t[]){0, 1});
    model_node(&m, "Flatten", "a", "y");
    expect_refusal(&m, WS_E_FORMAT, "strides holds 0");
    model_begin(&m, 13, 4, (int64_t[]){0, 2, 2, 2});
    model_floats(&m, "w", 4, (int64_t[]){1, 2, 3, 3}, counting);
    model_node(&m, "Conv", "x w", "a");
    model_node(&m, "Flatten", "a", "y");
    expect_refusal(&m, WS_E_FORMAT, "3 x 3|does not fit a 2 x 2 map");
    model_begin(&m, 13, 4, (int64_t[]){0, 1 << 20, 1 << 20, 2});
    model_node(&m, "Flatten", "x", "y");
    expect_refusal(&m, WS_E_UNSUPPORTED, "more than 2^28 values");
    model_begin(&m, 13, 2, (int64_t[]){0, 2}); /* 2^62 elements by a shape of eight bytes */
    model_list(&m, "shape", 2, (int64_t[]){INT64_C(1) << 31, INT64_C(1) << 31});
    model_node(&m, "ConstantOfShape", "shape", "c");
    model_node(&m, "Add", "x c", "y");
    expect_refusal(&m, WS_E_UNSUPPORTED, "more than 2^24 elements");
    model_begin(&m, 13, 2, (int64_t[]){0, 2}); /* 2^26 elements out of 2^14 */
    static const float many[1 << 13] = {1};
    model_floats(&m, "a", 2, (int64_t[]){1 << 13, 1}, many);
    model_floats(&m, "b", 2, (int64_t[]){1, 1 << 13}, many);
    model_node(&m, "Add", "a b", "c");
    model_node(&m, "Add", "x c", "y");
    expect_refusal(&m, WS_E_MEMORY, "\"n0\" (Add, opset 13)|2^24 elements");
}

/** One message in another, deeper than any stack. */
static void deep_nesting_is_refused_before_it_is_parsed(void **state)
{
    (void)state;
    enum { LEVELS = 99999 }; /* the outermost is a graph */
    static uint8_t bytes[12 * LEVELS];
    size_t at = sizeof bytes, inner = 0;
    for (int level = 0; level < LEVELS; level++) {
        const uint8_t keys[] = {0x32, 0x2a, 0x0a}; /* attribute's graph, node's attribute, graph's node */
        uint8_t head[10];
        size_t n = 0;
        head[n++] = keys[level % 3];
        for (size_t rest = inner; n == 1 || rest > 0; rest >>= 7)
            head[n++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        if (n + 1 > at)
            break;
        at -= n;
        memcpy(bytes + at, head, n);
        inner += n;
    }
    struct model m;
    size_t len;
    model_begin(&m, 13, 2, (int64_t[]){0, 2});
    m.proto.graph = NULL;
    uint8_t *front = model_pack(&m, &len);
    uint8_t *all = malloc(len + 6 + inner);
    assert_non_null(all);
    memcpy(all, front, len);
    all[len++] = 0x3a; /* graph */
    for (size_t rest = inner, first = 1; first || rest > 0; rest >>= 7, first = 0)
        all[len++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    memcpy(all + len, bytes + at, inner);
    struct result r = {0};
    r.status = ws_onnx_read_bytes(&r.net, &r.info, all, len + inner, NULL, "deep.onnx", &r.err);
    assert_int_equal(r.status, WS_E_FORMAT);
    assert_non_null(strstr(r.err.text, "nested too deep"));
    free(all);
    free(front);
    ws_arena_fini(&m.memory);
    release(&r);
}

static void other_formats_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *hint;
        size_t len;
    } cases[] = {
        {"PK\3\4..............", "PyTorch checkpoint", 18},
        {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull", 43},
        {"<!DOCTYPE html><html>", "web page", 21},
        {"\x10\0\0\0\0\0\0\0{\"a\":1}         ", "safetensors", 24},
        {"", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct result r = {0};
        r.status = ws_onnx_read_bytes(&r.net, &r.info, cases[i].bytes, cases[i].len, NULL, "some.onnx", &r.err);
        assert_int_equal(r.status, WS_E_FORMAT);
        assert_non_null(strstr(r.err.text, "not an ONNX file"));
        if (!strstr(r.err.hint, cases[i].hint))
            fail_msg("%s: hint \"%s\"", r.err.text, r.err.hint);
    }
    struct result r = {0}; /* the length alone is looked at */
    r.status = ws_onnx_read_bytes(&r.net, &r.info, "", (size_t)1 << 31, NULL, "large.onnx", &r.err);
    assert_int_equal(r.status, WS_E_UNSUPPORTED);
    assert_non_null(strstr(r.err.text, "protobuf allows 2 GiB"));
    r.status = ws_onnx_read(&r.net, &r.info, "/nowhere/model.onnx", &r.err);
    assert_int_equal(r.status, WS_E_IO);
    assert_non_null(strstr(r.err.text, "/nowhere/model.onnx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_must_match_the_bytes),
        cmocka_unit_test(external_data_stays_beneath_the_folder),
        cmocka_unit_test(every_node_in_the_way_is_named_at_once),
        cmocka_unit_test(other_loops_are_refused),
        cmocka_unit_test(the_batch_axis_is_not_touched),
        cmocka_unit_test(broken_graphs_are_refused),
        cmocka_unit_test(inputs_outputs_and_opsets_are_checked),
        cmocka_unit_test(old_files_list_their_weights_as_inputs),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(deep_nesting_is_refused_before_it_is_parsed),
        cmocka_unit_test(other_formats_are_named),
    };
    return cmocka_run_group_tests_name("onnx_refuse", tests, NULL, NULL);
}
