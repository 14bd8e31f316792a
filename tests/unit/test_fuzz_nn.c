/**
 * Replays the fuzz targets of network files over a small corpus: good files made here, cut at every byte, with every
 * bit flipped, and seeded mutations of them. `make fuzz` runs the same targets under a fuzzing engine; with FUZZ_CORPUS
 * set to a folder, the good files are written there for it.
 */
#define LLVMFuzzerTestOneInput fuzz_tensors
#include "../fuzz/fuzz_tensors.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_onnx
#include "../fuzz/fuzz_onnx.c"
#undef LLVMFuzzerTestOneInput

#include "mutate.h"

#include "webstill/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../format/onnx_model.h"

struct seed {
    const char *name;
    uint8_t *ptr; /**< owned */
    size_t len;
};

static struct seed keep(const char *name, uint8_t *ptr, size_t len)
{
    const char *folder = getenv("FUZZ_CORPUS");
    if (folder) {
        char path[512];
        struct ws_err err = {0};
        snprintf(path, sizeof path, "%s/%s", folder, name);
        assert_int_equal(ws_file_replace(path, ptr, len, &err), WS_OK);
    }
    return (struct seed){name, ptr, len};
}

static void replay(int (*target)(const uint8_t *, size_t), struct seed *seed, uint32_t rounds)
{
    assert_int_equal(target(seed->ptr, seed->len), 0);
    for (size_t n = 0; n < seed->len; n++) {
        uint8_t *cut = malloc(n + 1); /* its own block, so that a checker sees a read beyond */
        assert_non_null(cut);
        memcpy(cut, seed->ptr, n);
        assert_int_equal(target(cut, n), 0);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * seed->len; bit++) {
        seed->ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(target(seed->ptr, seed->len), 0);
        seed->ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (uint32_t i = 0; i < rounds; i++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 1, WS_STREAM_TEST, (uint32_t)seed->len, i);
        size_t len = seed->len;
        uint8_t *bad = mutate(seed->ptr, &len, &rng);
        assert_int_equal(target(bad, len), 0);
        free(bad);
    }
    free(seed->ptr);
}

static const float numbers[64] = {0.5F, -1, 0.25F, 2, 1, -0.5F, 0.125F, 3};

/** Convolution, BatchNorm, pooling, Gemm. */
static struct seed make_convnet(void)
{
    struct model m;
    size_t len;
    model_begin(&m, 17, 4, (int64_t[]){0, 1, 6, 6});
    model_floats(&m, "c.weight", 4, (int64_t[]){2, 1, 3, 3}, numbers);
    for (int i = 0; i < 4; i++)
        model_floats(&m, (const char *[]){"b.weight", "b.bias", "b.mean", "b.var"}[i], 1, (int64_t[]){2},
                     numbers + (i == 3 ? 3 : 0));
    model_floats(&m, "f.weight", 2, (int64_t[]){3, 2}, numbers);
    Onnx__NodeProto *conv = model_node(&m, "Conv", "x c.weight", "a");
    model_ints(&m, conv, "pads", 4, (int64_t[]){1, 0, 1, 1});
    model_node(&m, "BatchNormalization", "a b.weight b.bias b.mean b.var", "b");
    model_node(&m, "Relu", "b", "c");
    Onnx__NodeProto *pool = model_node(&m, "MaxPool", "c", "d");
    model_ints(&m, pool, "kernel_shape", 2, (int64_t[]){2, 2});
    model_node(&m, "GlobalAveragePool", "d", "e");
    model_node(&m, "Flatten", "e", "f");
    Onnx__NodeProto *gemm = model_node(&m, "Gemm", "f f.weight", "y");
    model_int(&m, gemm, "transB", 1);
    uint8_t *bytes = model_pack(&m, &len);
    ws_arena_fini(&m.memory);
    return keep("convnet.onnx", bytes, len);
}

/** Shape arithmetic and layout: split, concat, shuffle, slice, pad, resize, softmax, the old flatten. */
static struct seed make_layout(void)
{
    struct model m;
    size_t len;
    model_begin(&m, 13, 4, (int64_t[]){0, 4, 3, 3});
    model_list(&m, "shape5", 5, (int64_t[]){0, 2, 2, 3, 3});
    model_list(&m, "shape4", 4, (int64_t[]){-1, 4, 3, 3});
    model_list(&m, "pads", 8, (int64_t[]){0, 0, 1, 0, 0, 0, 0, 2});
    model_list(&m, "sizes", 4, (int64_t[]){1, 4, 6, 5});
    model_list(&m, "one", 1, (int64_t[]){1});
    model_list(&m, "minus", 1, (int64_t[]){-1});
    model_list(&m, "axis0", 1, (int64_t[]){0});
    model_floats(&m, "w", 2, (int64_t[]){60, 1}, numbers);
    model_node(&m, "Reshape", "x shape5", "r5");
    Onnx__NodeProto *turn = model_node(&m, "Transpose", "r5", "t5");
    model_ints(&m, turn, "perm", 5, (int64_t[]){0, 2, 1, 3, 4});
    model_node(&m, "Reshape", "t5 shape4", "r4");
    Onnx__NodeProto *split = model_node(&m, "Split", "r4", "s1 s2");
    model_int(&m, split, "axis", 1);
    Onnx__NodeProto *concat = model_node(&m, "Concat", "s2 s1", "cat");
    model_int(&m, concat, "axis", 1);
    model_node(&m, "Pad", "cat pads", "padded");
    model_node(&m, "Resize", "padded - - sizes", "resized");
    Onnx__NodeProto *softmax = model_node(&m, "Softmax", "resized", "soft");
    model_int(&m, softmax, "axis", 1);
    model_node(&m, "Slice", "soft axis0 minus one", "cut"); /* all channels but the last */
    model_node(&m, "Shape", "cut", "dims");
    model_node(&m, "Gather", "dims axis0", "n");
    Onnx__NodeProto *join = model_node(&m, "Concat", "n minus", "flat_shape");
    model_int(&m, join, "axis", 0);
    model_node(&m, "Reshape", "cut flat_shape", "flat");
    model_node(&m, "Slice", "flat axis0 shape_end one", "first");
    model_list(&m, "shape_end", 1, (int64_t[]){60});
    model_node(&m, "MatMul", "first w", "y");
    uint8_t *bytes = model_pack(&m, &len);
    ws_arena_fini(&m.memory);
    return keep("layout.onnx", bytes, len);
}

static void no_mutated_onnx_file_breaks_the_reader(void **state)
{
    (void)state;
    struct seed seeds[] = {make_convnet(), make_layout()};
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        struct ws_net *net = NULL;
        struct ws_onnx_info info;
        struct ws_err err = {0};
        if (ws_onnx_read_bytes(&net, &info, seeds[i].ptr, seeds[i].len, NULL, seeds[i].name, &err) != WS_OK)
            fail_msg("%s", err.text); /* a seed that is refused reaches little */
        ws_onnx_info_fini(&info);
        ws_net_free(&net);
        replay(fuzz_onnx, &seeds[i], 3000);
    }
}

static void no_mutated_safetensors_file_breaks_the_reader(void **state)
{
    (void)state;
    char path[] = "/tmp/webstill-fuzz-XXXXXX";
    struct ws_err err = {0};
    struct ws_buf buf = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const struct ws_tensor_entry entries[] = {
        {.name = "w", .dtype = WS_F32, .rank = 2, .shape = {3, 4}, .data = numbers, .size_bytes = 48},
        {.name = "n", .dtype = WS_U8, .rank = 1, .shape = {5}, .data = numbers, .size_bytes = 5},
        {.name = "e", .dtype = WS_I64, .rank = 0, .data = numbers, .size_bytes = 8},
    };
    const struct ws_metadata metadata[] = {{"key", "a \"value\" {}"}};
    assert_int_equal(ws_tensors_write(path, entries, 3, metadata, 1, &err), WS_OK);
    assert_int_equal(ws_file_read(path, 1 << 16, &buf, &err), WS_OK);
    unlink(path);
    uint8_t *bytes = malloc(buf.len);
    assert_non_null(bytes);
    memcpy(bytes, buf.ptr, buf.len);
    struct seed seed = keep("three.safetensors", bytes, buf.len);
    ws_buf_fini(&buf);
    replay(fuzz_tensors, &seed, 3000);

    static const char foreign[] = "{\"a\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}       12345678";
    const uint64_t header = sizeof foreign - 1 - 8;
    bytes = malloc(sizeof foreign + 7);
    assert_non_null(bytes);
    memcpy(bytes, &header, 8);
    memcpy(bytes + 8, foreign, sizeof foreign - 1);
    seed = keep("foreign.safetensors", bytes, sizeof foreign + 7);
    replay(fuzz_tensors, &seed, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mutated_onnx_file_breaks_the_reader),
        cmocka_unit_test(no_mutated_safetensors_file_breaks_the_reader),
    };
    return cmocka_run_group_tests_name("fuzz_nn", tests, NULL, NULL);
}
