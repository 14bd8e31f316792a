/* ONNX import: what we write comes back the same; each trap of the format by a hand-made model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "onnx_result.h"

#include "webstill/base/rng.h"
#include "webstill/nn/zoo.h"

#include <math.h>

/* --- round trips --- */

static void fill_random(float *x, size_t n, uint32_t stream)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 5, WS_STREAM_TEST, stream, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ws_rng_normal(&rng);
}

/** Weights from a seed, statistics away from 0 and 1. */
static void randomise(struct ws_net *net)
{
    ws_net_init(net, 8);
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *p = &net->params[i];
        if (p->rank != 1)
            continue;
        fill_random(net->values + p->offset, p->n, (uint32_t)i);
        for (size_t k = 0; k < p->n; k++)
            net->values[p->offset + k] = 1 + 0.25F * fabsf(net->values[p->offset + k]);
    }
}

static void round_trip(const char *arch, int side, int channels, int opset, bool normalises)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL, *read = NULL;
    struct ws_zoo_taps taps;
    struct ws_buf file = {0};
    struct ws_onnx_info info;
    const float mean[] = {0.3F, 0.4F, 0.5F}, std[] = {0.2F, 0.3F, 0.4F};
    assert_int_equal(ws_zoo_build(&net, &taps, arch, side, side, channels, 7, &err), WS_OK);
    assert_int_equal(ws_net_alloc(net, &err), WS_OK);
    randomise(net);
    const struct ws_onnx_option metadata[] = {{"classes", "[\"a\"]"}};
    const struct ws_onnx_options options = {.opset = opset,
                                            .output = taps.logits,
                                            .mean = normalises ? mean : NULL,
                                            .std = normalises ? std : NULL,
                                            .metadata = metadata,
                                            .n_metadata = 1};
    assert_int_equal(ws_onnx_write(net, &options, &file, &err), WS_OK);
    if (ws_onnx_read_bytes(&read, &info, file.ptr, file.len, NULL, "round.onnx", &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_int_equal(info.opset, opset);
    assert_int_equal(info.n_classes, 7);
    assert_int_equal(info.channels, channels);
    assert_int_equal(info.n_params, ws_net_count_params(net));
    assert_int_equal(info.n_macs, ws_net_count_macs(net));
    int n_batchnorm = 0;
    for (int i = 0; i < net->n_nodes; i++)
        n_batchnorm += net->nodes[i].op == WS_OP_BATCHNORM;
    assert_int_equal(info.n_batchnorm, n_batchnorm);
    assert_string_equal(info.producer, "webstill");
    assert_string_equal(info.metadata[0].key, "classes");
    assert_string_equal(read->nodes[info.pooled].name, net->nodes[taps.pooled].name);
    assert_string_equal(read->nodes[info.features].name, net->nodes[taps.features].name);
    if (!normalises) { /* tensor by tensor, under the same names */
        assert_int_equal(read->n_params, net->n_params);
        for (int i = 0; i < net->n_params; i++) {
            const int k = ws_net_find_param(read, net->params[i].name);
            assert_true(k >= 0);
            assert_memory_equal(read->values + read->params[k].offset, net->values + net->params[i].offset,
                                net->params[i].n * sizeof(float));
        }
        enum { BATCH = 2 };
        float out[2][BATCH * 7];
        const size_t n = BATCH * (size_t)(side * side * channels);
        float *images = malloc(n * sizeof *images);
        fill_random(images, n, 77);
        model_run(net, taps.logits, images, BATCH, out[0]);
        model_run(read, info.logits, images, BATCH, out[1]);
        for (int i = 0; i < BATCH * 7; i++) /* folded limits and shuffles may take another kernel */
            assert_true(fabsf(out[0][i] - out[1][i]) <= 1e-6F * (1 + fabsf(out[0][i])));
        free(images);
    }
    ws_onnx_info_fini(&info);
    ws_buf_fini(&file);
    ws_net_free(&read);
    ws_net_free(&net);
}

static void what_we_write_comes_back(void **state)
{
    (void)state;
    round_trip("resnet8", 20, 1, 13, false);
    round_trip("resnet20", 16, 3, 17, false);
    static const char *const families[] = {"resnet18", "wrn-16-1", "vgg8", "mobilenetv2", "shufflenetv2", "lenet"};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        round_trip(families[i], 32, 3, 15, false);
    round_trip("resnet8", 20, 3, 17, true);
}

/* --- tensors --- */

static void weights_of_every_type_are_read(void **state)
{
    (void)state;
    static const uint16_t half[] = {0x3c00, 0xc000, 0x3800, 0x0001}, brain[] = {0x3f80, 0xc000, 0x3f00, 0x3380};
    static const float plain[] = {1, -2, 0.5F, 5.9604645e-8F};
    static const double wide[] = {1, -2, 0.5, 5.9604644775390625e-8};
    for (int kind = 0; kind < 8; kind++) {
        struct model m;
        const int64_t dims[] = {2, 2};
        model_begin(&m, 13, 2, (int64_t[]){0, 2});
        const int types[] = {1, 1, 10, 10, 11, 11, 16, 16};
        const void *raw[] = {plain, plain, half, half, wide, wide, brain, brain};
        const size_t sizes[] = {4, 4, 2, 2, 8, 8, 2, 2};
        Onnx__TensorProto *t = model_tensor(&m, "f.weight", types[kind], 2, dims, sizes[kind], raw[kind]);
        if (kind % 2) { /* the typed array instead */
            t->has_raw_data = false;
            t->raw_data.len = 0;
            t->n_float_data = kind == 1 ? 4 : 0;
            t->n_double_data = kind == 5 ? 4 : 0;
            t->n_int32_data = kind == 3 || kind == 7 ? 4 : 0;
            t->float_data = model_take(&m, 4, 4);
            t->double_data = model_take(&m, 4, 8);
            t->int32_data = model_take(&m, 4, 4);
            memcpy(t->float_data, plain, sizeof plain);
            memcpy(t->double_data, wide, sizeof wide);
            for (int i = 0; i < 4; i++)
                t->int32_data[i] = kind == 3 ? half[i] : brain[i];
        }
        if (kind < 4) {
            model_add(&m, t);
        } else { /* as a Constant node */
            Onnx__NodeProto *constant = model_node(&m, "Constant", "", "f.weight");
            model_attribute(&m, constant, "value", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR)->t = t;
        }
        model_int(&m, model_node(&m, "Gemm", "x f.weight", "y"), "transB", 1);
        struct result r = read_good(&m);
        float got[4];
        ws_net_get(r.net, ws_net_find_param(r.net, "f.weight"), got, 4);
        assert_memory_equal(got, plain, sizeof got);
        release(&r);
    }
}

/* --- names --- */

static void nodes_are_named_after_their_weights(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 13, 4, (int64_t[]){0, 1, 4, 4});
    model_floats(&m, "layer1.0.conv1.weight", 4, (int64_t[]){1, 1, 1, 1}, counting);
    model_floats(&m, "onnx::Conv_12", 4, (int64_t[]){1, 1, 1, 1}, counting);
    model_node(&m, "Conv", "x layer1.0.conv1.weight", "a");
    model_node(&m, "Conv", "a layer1.0.conv1.weight", "b"); /* the same weight again: by the node's name */
    model_node(&m, "Conv", "b onnx::Conv_12", "c")->name = model_text(&m, "/conv/Conv");
    model_node(&m, "Conv", "c onnx::Conv_12", "d")->name = model_text(&m, "has a space");
    model_node(&m, "Conv", "d onnx::Conv_12", "e")->name = model_text(&m, "");
    model_node(&m, "GlobalAveragePool", "e", "f")->name = model_text(&m, "/conv/Conv"); /* taken */
    model_node(&m, "Flatten", "f", "y");
    struct result r = read_good(&m);
    static const char *const names[] = {"input", "layer1.0.conv1", "n1", "/conv/Conv", "op_3", "op_4", "op_5"};
    assert_int_equal(r.net->n_nodes, 7);
    for (int i = 0; i < 7; i++)
        assert_string_equal(r.net->nodes[i].name, names[i]);
    assert_true(ws_net_find_param(r.net, "layer1.0.conv1.weight") >= 0);
    assert_int_equal(r.info.pooled, 6);
    assert_int_equal(r.info.features, 5);
    release(&r);
}

/* --- ops --- */

static void clip_takes_attributes_then_inputs_that_may_be_missing(void **state)
{
    (void)state;
    const float image[] = {-3, -1, 1, 3};
    struct model m;
    model_begin(&m, 10, 2, (int64_t[]){0, 4});
    Onnx__NodeProto *clip = model_node(&m, "Clip", "x", "y");
    model_float(&m, clip, "min", -2);
    model_float(&m, clip, "max", 2);
    expect_vector(&m, image, (float[]){-2, -1, 1, 2});
    model_begin(&m, 11, 2, (int64_t[]){0, 4});
    model_floats(&m, "high", 0, NULL, (float[]){2});
    model_node(&m, "Clip", "x - high", "y");
    expect_vector(&m, image, (float[]){-3, -1, 1, 2});
    model_begin(&m, 13, 2, (int64_t[]){0, 4});
    model_floats(&m, "low", 0, NULL, (float[]){-2});
    model_node(&m, "Clip", "x low", "y");
    expect_vector(&m, image, (float[]){-2, -1, 1, 3});
}

static void softmax_flattens_before_opset_13(void **state)
{
    (void)state;
    for (int opset = 11; opset <= 13; opset += 2) {
        struct model m;
        const float image[] = {1, 2, 3, 4, 5, 6};
        float wanted[6];
        model_begin(&m, opset, 3, (int64_t[]){0, 2, 3});
        model_int(&m, model_node(&m, "Softmax", "x", "a"), "axis", 1);
        model_node(&m, "Flatten", "a", "y");
        for (int i = 0; i < 6; i++) {
            float sum = 0;
            for (int k = 0; k < 6; k++)
                sum += opset == 11 || k % 3 == i % 3 ? expf(image[k] - image[i]) : 0;
            wanted[i] = 1 / sum;
        }
        expect_vector(&m, image, wanted);
    }
}

static void linear_layers_of_every_form_agree(void **state)
{
    (void)state;
    const float image[] = {1, -1, 2}, w_in_out[] = {1, 4, 2, 5, 3, 6}, w_out_in[] = {1, 2, 3, 4, 5, 6}, b[] = {10, 20};
    struct model m;
    model_begin(&m, 13, 2, (int64_t[]){0, 3});
    model_floats(&m, "w", 2, (int64_t[]){2, 3}, w_out_in);
    model_floats(&m, "b", 2, (int64_t[]){1, 2}, b);
    Onnx__NodeProto *gemm = model_node(&m, "Gemm", "x w b", "y");
    model_int(&m, gemm, "transB", 1);
    model_float(&m, gemm, "alpha", 2);
    model_float(&m, gemm, "beta", 0.5F);
    expect_vector(&m, image, (float[]){2 * 5 + 5, 2 * 11 + 10});
    model_begin(&m, 13, 2, (int64_t[]){0, 3});
    model_floats(&m, "w", 2, (int64_t[]){3, 2}, w_in_out);
    model_node(&m, "Gemm", "x w", "y");
    expect_vector(&m, image, (float[]){5, 11});
    for (int order = 0; order < 2; order++) {
        model_begin(&m, 13, 2, (int64_t[]){0, 3});
        model_floats(&m, "fc.weight", 2, (int64_t[]){3, 2}, w_in_out);
        model_floats(&m, "b", 1, (int64_t[]){2}, b);
        model_node(&m, "MatMul", "x fc.weight", "a");
        model_node(&m, "Add", order ? "b a" : "a b", "y");
        struct result r = read_good(&m);
        assert_int_equal(r.net->n_nodes, 2); /* one layer with a bias */
        assert_true(ws_net_find_param(r.net, "fc.bias") >= 0);
        expect_outputs(&r, image, 1, (float[]){15, 31});
        release(&r);
    }
}

static void constants_are_subtracted_and_divided_by(void **state)
{
    (void)state;
    const float image[] = {1, 2, 3, 4};
    struct model m;
    model_begin(&m, 13, 4, (int64_t[]){0, 2, 1, 2});
    model_floats(&m, "mean", 4, (int64_t[]){1, 2, 1, 1}, (float[]){1, 2});
    model_floats(&m, "std", 3, (int64_t[]){2, 1, 1}, (float[]){2, 4});
    model_floats(&m, "ten", 0, NULL, (float[]){10});
    model_node(&m, "Sub", "x mean", "a");
    model_node(&m, "Div", "a std", "b");
    model_node(&m, "Sub", "ten b", "c");
    model_node(&m, "Flatten", "c", "y");
    expect_vector(&m, image, (float[]){10, 9.5F, 9.75F, 9.5F});
}

static void flattening_idioms_cost_no_node(void **state)
{
    (void)state;
    for (int way = 0; way < 5; way++) {
        struct model m;
        model_begin(&m, 13, 4, (int64_t[]){way == 2 ? 1 : 0, 2, 2, 2});
        model_floats(&m, "fc.weight", 2, (int64_t[]){2, 8}, counting);
        model_list(&m, "zero_rest", 2, (int64_t[]){0, -1});
        model_list(&m, "one_eight", 2, (int64_t[]){1, 8});
        model_list(&m, "minus", 1, (int64_t[]){-1});
        model_list(&m, "axis0", 1, (int64_t[]){0});
        model_add(&m, model_tensor(&m, "first", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, 8, (int64_t[]){0}));
        if (way == 0) {
            model_node(&m, "Flatten", "x", "f");
        } else if (way == 1) {
            model_node(&m, "Reshape", "x zero_rest", "f");
        } else if (way == 2) { /* the batch of 1 is lost on the way, and comes back */
            model_node(&m, "Reshape", "x minus", "a");
            model_node(&m, "Reshape", "a one_eight", "f");
        } else if (way == 3) {
            model_node(&m, "Shape", "x", "s");
            model_int(&m, model_node(&m, "Gather", "s first", "n"), "axis", 0);
            model_node(&m, "Unsqueeze", "n axis0", "n1");
            model_int(&m, model_node(&m, "Concat", "n1 minus", "shape"), "axis", 0);
            model_node(&m, "Reshape", "x shape", "f");
        } else {
            model_list(&m, "shape3", 3, (int64_t[]){-1, 4, 2});
            model_node(&m, "Reshape", "x shape3", "a");
            model_int(&m, model_node(&m, "Flatten", "a", "f"), "axis", -2);
        }
        model_int(&m, model_node(&m, "Gemm", "f fc.weight", "y"), "transB", 1);
        struct result r = read_good(&m);
        assert_int_equal(r.net->n_nodes, 2);
        assert_int_equal(r.info.features, -1);
        float wanted[4] = {0};
        for (int i = 0; i < 4; i++) /* image, class: in C, H, W order */
            for (int k = 0; k < 8; k++)
                wanted[i] += counting[i / 2 * 8 + k] * counting[i % 2 * 8 + k];
        expect_outputs(&r, counting, 2, wanted);
        release(&r);
    }
}

static void a_channel_shuffle_is_one_node(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 13, 4, (int64_t[]){0, 6, 1, 2});
    model_list(&m, "five", 5, (int64_t[]){0, 2, 3, 1, 2});
    model_list(&m, "four", 4, (int64_t[]){0, -1, 1, 2});
    model_node(&m, "Reshape", "x five", "a");
    model_ints(&m, model_node(&m, "Transpose", "a", "b"), "perm", 5, (int64_t[]){0, 2, 1, 3, 4});
    model_node(&m, "Reshape", "b four", "c");
    model_node(&m, "Flatten", "c", "y");
    struct result r = read_good(&m);
    assert_int_equal(r.net->nodes[1].op, WS_OP_CHANNEL_SHUFFLE);
    assert_int_equal(r.net->nodes[1].shuffle.groups, 2);
    expect_outputs(&r, counting, 1, (float[]){1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12});
    release(&r);
}

static void old_and_new_resizes_agree(void **state)
{
    (void)state;
    for (int opset = 7; opset <= 19; opset += opset == 7 ? 2 : opset == 9 ? 1 : opset == 10 ? 3 : 5) {
        struct model m;
        model_begin(&m, opset, 4, (int64_t[]){0, 1, 1, 2});
        const float scales[] = {1, 1, 1, 2};
        model_floats(&m, "scales", 1, (int64_t[]){4}, scales);
        Onnx__NodeProto *node = model_node(&m, opset < 10 ? "Upsample" : "Resize",
                                           opset < 9    ? "x"
                                           : opset < 11 ? "x scales"
                                                        : "x - scales",
                                           "a");
        model_string(&m, node, "mode", "nearest");
        if (opset < 9) {
            Onnx__AttributeProto *a =
                model_attribute(&m, node, "scales", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
            a->floats = model_take(&m, 4, sizeof *a->floats);
            memcpy(a->floats, scales, sizeof scales);
            a->n_floats = 4;
        }
        model_node(&m, "Flatten", "a", "y");
        expect_vector(&m, counting, (float[]){1, 1, 2, 2});
    }
}

static void means_and_squeezes_take_axes_old_and_new(void **state)
{
    (void)state;
    for (int opset = 11; opset <= 18; opset += 7) {
        struct model m;
        model_begin(&m, opset, 4, (int64_t[]){0, 2, 1, 2});
        model_list(&m, "axes", 2, (int64_t[]){-1, 2});
        Onnx__NodeProto *mean = model_node(&m, "ReduceMean", opset < 18 ? "x" : "x axes", "a");
        if (opset < 18)
            model_ints(&m, mean, "axes", 2, (int64_t[]){-1, 2});
        Onnx__NodeProto *squeeze = model_node(&m, "Squeeze", opset < 13 ? "a" : "a axes", "y");
        if (opset < 13)
            model_ints(&m, squeeze, "axes", 2, (int64_t[]){2, 3});
        struct result r = read_good(&m);
        assert_int_equal(r.net->nodes[1].op, WS_OP_GLOBAL_AVERAGE_POOL);
        assert_int_equal(r.info.pooled, 1);
        expect_outputs(&r, counting, 1, (float[]){1.5F, 3.5F});
        release(&r);
    }
}

static void batchnorm_and_dropout_stay_for_training(void **state)
{
    (void)state;
    for (int opset = 9; opset <= 15; opset += 6) {
        struct model m;
        model_begin(&m, opset, 4, (int64_t[]){0, 1, 2, 2});
        model_floats(&m, "bn.weight", 1, (int64_t[]){1}, (float[]){2});
        model_floats(&m, "bn.bias", 1, (int64_t[]){1}, (float[]){1});
        model_floats(&m, "mean", 1, (int64_t[]){1}, (float[]){0.5F});
        model_floats(&m, "var", 1, (int64_t[]){1}, (float[]){4});
        model_floats(&m, "share", 0, NULL, (float[]){0.25F});
        model_add(&m, model_tensor(&m, "yes", ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, 0, NULL, 1, "\1"));
        /* In training form: more outputs, which nobody reads. */
        Onnx__NodeProto *bn = model_node(&m, "BatchNormalization", "x bn.weight bn.bias mean var", "a mean2 var2");
        model_float(&m, bn, "momentum", 0.75F);
        model_float(&m, bn, "epsilon", 0.01F);
        if (opset >= 14)
            model_int(&m, bn, "training_mode", 1);
        Onnx__NodeProto *dropout = model_node(&m, "Dropout", opset < 12 ? "a" : "a share yes", "b mask");
        if (opset < 12)
            model_float(&m, dropout, "ratio", 0.25F);
        model_node(&m, "Flatten", "b", "y");
        struct result r = read_good(&m);
        const struct ws_node *node = &r.net->nodes[1];
        assert_int_equal(node->op, WS_OP_BATCHNORM);
        assert_true(fabs(node->batchnorm.momentum - 0.25) < 1e-6 && fabs(node->batchnorm.eps - 0.01) < 1e-6);
        assert_int_equal(r.net->nodes[2].op, WS_OP_DROPOUT);
        assert_true(fabs(r.net->nodes[2].point.alpha - 0.25) < 1e-6);
        assert_int_equal(r.info.n_batchnorm, 1);
        assert_true(r.info.is_training_form);
        const float scale = 2 / sqrtf(4.01F);
        expect_outputs(&r, counting, 1,
                       (float[]){1 + 0.5F * scale, 1 + 1.5F * scale, 1 + 2.5F * scale, 1 + 3.5F * scale});
        release(&r);
    }
}

/** A gate pools too, but its map goes on beside it; a swish behind the last pooling has two paths. */
static void the_pooling_is_found_past_gates_and_swishes(void **state)
{
    (void)state;
    struct model m;
    model_begin(&m, 13, 4, (int64_t[]){0, 2, 2, 2});
    model_floats(&m, "fc.weight", 2, (int64_t[]){2, 2}, counting);
    model_node(&m, "Relu", "x", "a");
    model_node(&m, "GlobalAveragePool", "a", "gate");
    model_node(&m, "Mul", "a gate", "last_map");
    model_node(&m, "GlobalAveragePool", "last_map", "pooled");
    model_node(&m, "HardSigmoid", "pooled", "b");
    model_node(&m, "Mul", "pooled b", "c");
    model_node(&m, "Flatten", "c", "d");
    model_node(&m, "Gemm", "d fc.weight", "y");
    struct result r = read_good(&m);
    assert_string_equal(r.net->nodes[r.info.pooled].name, "n3");
    assert_string_equal(r.net->nodes[r.info.features].name, "n2");
    release(&r);
}

static void what_was_read_can_learn(void **state)
{
    (void)state;
    struct model m;
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    model_begin(&m, 13, 2, (int64_t[]){0, 2});
    model_floats(&m, "fc.weight", 2, (int64_t[]){3, 2}, counting);
    model_int(&m, model_node(&m, "Gemm", "x fc.weight", "y"), "transB", 1);
    struct result r = read_good(&m);
    assert_int_equal(ws_workers_open(&workers, 1, &err), WS_OK);
    const struct ws_exec_options options = {.max_batch = 1, .backward = true};
    assert_int_equal(ws_exec_open(&exec, r.net, workers, &options, &err), WS_OK);
    memcpy(ws_exec_input(exec), counting, 2 * sizeof(float));
    ws_exec_forward(exec, 1, WS_BN_TRAIN);
    ws_exec_output_gradient(exec, r.info.logits)[1] = 1;
    ws_exec_backward(exec);
    float gradient[6];
    ws_net_get_gradient(r.net, 0, gradient, 6);
    assert_memory_equal(gradient, ((float[]){0, 0, 1, 2, 0, 0}), sizeof gradient);
    ws_exec_close(&exec);
    ws_workers_close(&workers);
    release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_comes_back),
        cmocka_unit_test(weights_of_every_type_are_read),
        cmocka_unit_test(nodes_are_named_after_their_weights),
        cmocka_unit_test(clip_takes_attributes_then_inputs_that_may_be_missing),
        cmocka_unit_test(softmax_flattens_before_opset_13),
        cmocka_unit_test(linear_layers_of_every_form_agree),
        cmocka_unit_test(constants_are_subtracted_and_divided_by),
        cmocka_unit_test(flattening_idioms_cost_no_node),
        cmocka_unit_test(a_channel_shuffle_is_one_node),
        cmocka_unit_test(old_and_new_resizes_agree),
        cmocka_unit_test(means_and_squeezes_take_axes_old_and_new),
        cmocka_unit_test(batchnorm_and_dropout_stay_for_training),
        cmocka_unit_test(the_pooling_is_found_past_gates_and_swishes),
        cmocka_unit_test(what_was_read_can_learn),
    };
    return cmocka_run_group_tests_name("onnx_read", tests, NULL, NULL);
}
