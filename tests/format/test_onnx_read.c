/* ONNX import: what we write comes back the same; each trap of the format by a hand-made model; hostile files refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "onnx_model.h"

#include "webstill/base/file.h"
#include "webstill/base/rng.h"
#include "webstill/nn/zoo.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* --- round trips
 * ------------------------------------------------------------------------------------------------------ */

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
    assert_true(info.n_batchnorm > 0);
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
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        free(images);
    }
    ws_onnx_info_fini(&info);
    ws_buf_fini(&file);
    ws_net_free(&read);
    ws_net_free(&net);
}

static void what_we_write_comes_back_bit_for_bit(void **state)
{
    (void)state;
    round_trip("resnet8", 20, 1, 13, false);
    round_trip("resnet20", 16, 3, 17, false);
    round_trip("resnet18", 32, 3, 15, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_comes_back_bit_for_bit),
    };
    return cmocka_run_group_tests_name("onnx_read", tests, NULL, NULL);
}
