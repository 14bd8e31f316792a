/* Architectures: torchvision's tensor names and shapes, known sizes, and refusals that help. */
#include "webstill/nn/zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The graph alone: vgg's weights would take half a gigabyte. */
static struct ws_net *build(const char *arch, int side, int channels, int n_classes, struct ws_zoo_taps *taps)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    if (ws_zoo_build(&net, taps, arch, side, side, channels, n_classes, &err) != WS_OK)
        fail_msg("%s", err.text);
    return net;
}

/* torchvision's own list, one "name 64x3x7x7" a line, in its order. */
static void check_names(const char *arch, const char *list)
{
    struct ws_zoo_taps taps;
    struct ws_net *net = build(arch, 224, 3, 1000, &taps);
    char path[128], name[128], shape[64];
    snprintf(path, sizeof path, "tests/golden/%s.names", list);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    int n_listed = 0;
    while (fscanf(file, "%127s %63s", name, shape) == 2) {
        const int id = ws_net_find_param(net, name);
        if (id < 0)
            fail_msg("%s has no \"%s\"", arch, name);
        char ours[64] = "";
        for (int i = 0; i < net->params[id].rank; i++)
            snprintf(ours + strlen(ours), sizeof ours - strlen(ours), "%s%d", i ? "x" : "", net->params[id].shape[i]);
        assert_string_equal(ours, shape);
        n_listed++;
    }
    fclose(file);
    assert_int_equal(net->n_params, n_listed);
    ws_net_free(&net);
}

static void nets_of_torchvision_have_its_tensors_and_no_others(void **state)
{
    (void)state;
    check_names("resnet18", "resnet18");
    check_names("resnet34", "resnet34");
    check_names("resnet50", "resnet50");
    check_names("vgg11", "vgg11_bn");
    check_names("mobilenetv2", "mobilenet_v2");
    check_names("shufflenetv2", "shufflenet_v2_x1_0");
}

static void check_size(const char *arch, int side, int n_classes, int64_t n_params, int64_t n_macs)
{
    struct ws_zoo_taps taps;
    struct ws_net *net = build(arch, side, 3, n_classes, &taps);
    assert_int_equal(ws_net_count_params(net), n_params);
    assert_int_equal(ws_net_count_macs(net), n_macs);
    ws_net_free(&net);
}

static void resnet20_has_0_27_million_parameters_and_41_million_multiply_adds(void **state)
{
    (void)state;
    /* Option A has 269,722 and 40,551,040; the two 1x1 shortcuts with BN add 2,752 and 262,144. */
    check_size("resnet20", 32, 10, 269722 + 2752, 40551040 + 262144);
}

static void resnet18_has_the_published_sizes(void **state)
{
    (void)state;
    check_size("resnet18", 224, 1000, 11689512, 1814073344); /* torchvision */
    check_size("resnet18", 32, 10, 11173962, 555422720);     /* the CIFAR form, 3x3 stem without max-pool */
    check_size("resnet34", 32, 100, 21328292, 1159448576);
}

/* Counted by hooks on torchvision's modules; the parameters are those of its documentation. */
static void nets_of_torchvision_have_its_sizes(void **state)
{
    (void)state;
    check_size("resnet50", 224, 1000, 25557032, 4089184256);
    check_size("vgg11", 224, 1000, 132868840, 7609090048);
    check_size("mobilenetv2", 224, 1000, 3504872, 300774272);
    check_size("shufflenetv2", 224, 1000, 2278604, 144907992);
}

static void check_params(const char *arch, int side, int channels, int n_classes, int64_t n_params)
{
    struct ws_zoo_taps taps;
    struct ws_net *net = build(arch, side, channels, n_classes, &taps);
    if (ws_net_count_params(net) != n_params)
        fail_msg("%s has %lld parameters, expected %lld", arch, (long long)ws_net_count_params(net),
                 (long long)n_params);
    ws_net_free(&net);
}

/* CIFAR-100: 0.70, 2.26, 3.97, 9.46, 1.23 and 7.43 million in the papers' tables; LeNet-5 for ten grey digits: 61,706.
 */
static void nets_of_the_distillation_papers_have_their_sizes(void **state)
{
    (void)state;
    check_params("wrn-16-2", 32, 3, 100, 703284);
    check_params("wrn-40-2", 32, 3, 100, 2255156);
    check_params("vgg8", 32, 3, 100, 3965028);
    check_params("vgg13", 32, 3, 100, 9462180);
    check_params("resnet8x4", 32, 3, 100, 1233540);
    check_params("resnet32x4", 32, 3, 100, 7433860);
    check_params("lenet", 32, 1, 10, 61706);
    check_params("wrn-28-10", 32, 3, 10, 36479194);
}

/* The tap's contract, at sizes that choose each form of each net. */
static void each_name_builds_with_taps_in_order(void **state)
{
    (void)state;
    static const int sides[] = {28, 32, 64, 96, 224};
    for (const char *const *name = ws_zoo_names(); *name; name++)
        for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
            if (strncmp(*name, "lenet", 5) == 0 && sides[i] > 64)
                continue;
            struct ws_zoo_taps taps;
            struct ws_net *net = build(*name, sides[i], i % 2 ? 3 : 1, 7, &taps);
            assert_int_equal(net->nodes[taps.logits].channels, 7);
            assert_int_equal(net->nodes[taps.logits].op, WS_OP_GEMM);
            assert_int_equal(taps.logits, net->n_nodes - 1);
            assert_int_equal(net->nodes[taps.pooled].op, WS_OP_GLOBAL_AVERAGE_POOL);
            assert_int_equal(net->nodes[taps.pooled].inputs[0], taps.features);
            ws_net_free(&net);
        }
}

static void taps_name_the_last_map_its_mean_and_the_logits(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = build("resnet8", 28, 1, 10, &taps);
    const struct ws_node *features = &net->nodes[taps.features];
    assert_int_equal(features->op, WS_OP_RELU);
    assert_int_equal(features->channels, 64);
    assert_int_equal(features->height, 7);
    assert_int_equal(net->nodes[taps.pooled].op, WS_OP_GLOBAL_AVERAGE_POOL);
    assert_int_equal(net->nodes[taps.pooled].inputs[0], taps.features);
    assert_int_equal(net->nodes[taps.logits].inputs[0], taps.pooled);
    assert_true(ws_net_find_param(net, "layer2.0.downsample.0.weight") >= 0);
    assert_true(ws_net_find_param(net, "layer1.0.downsample.0.weight") < 0);
    ws_net_free(&net);

    net = build("resnet34", 64, 3, 10, &taps);
    assert_int_equal(net->nodes[taps.features].height, 8);
    assert_int_equal(net->nodes[taps.features].channels, 512);
    ws_net_free(&net);
    net = build("resnet18", 96, 3, 10, &taps);
    assert_int_equal(net->nodes[taps.features].height, 3);
    ws_net_free(&net);
}

static int side_of(const char *arch, int side)
{
    struct ws_zoo_taps taps;
    struct ws_net *net = build(arch, side, 3, 10, &taps);
    const int map = net->nodes[taps.features].height;
    ws_net_free(&net);
    return map;
}

static void small_pictures_keep_a_map_to_compare(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        int at_32, at_64, at_96, at_224;
    } table[] = {
        {"resnet20", 8, 16, 24, 56}, {"wrn-16-2", 8, 16, 24, 56},  {"resnet50", 4, 8, 3, 7},
        {"mobilenetv2", 4, 8, 3, 7}, {"shufflenetv2", 4, 8, 3, 7}, {"vgg8", 4, 4, 6, 7},
        {"vgg19", 4, 4, 6, 7},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(side_of(table[i].arch, 32), table[i].at_32);
        assert_int_equal(side_of(table[i].arch, 64), table[i].at_64);
        assert_int_equal(side_of(table[i].arch, 96), table[i].at_96);
        assert_int_equal(side_of(table[i].arch, 224), table[i].at_224);
    }
}

static void depth_counts_the_weighted_layers(void **state)
{
    (void)state;
    for (const char *const *name = ws_zoo_names(); *name; name++) {
        if (strncmp(*name, "resnet", 6) != 0 && strncmp(*name, "vgg", 3) != 0)
            continue;
        struct ws_zoo_taps taps;
        struct ws_net *net = build(*name, 224, 3, 10, &taps);
        int n_layers = 0;
        for (int i = 0; i < net->n_nodes; i++) {
            const struct ws_node *node = &net->nodes[i];
            n_layers += (node->op == WS_OP_CONV || node->op == WS_OP_GEMM) && !strstr(node->name, "downsample");
        }
        assert_int_equal(n_layers, atoi(*name + strcspn(*name, "0123456789")));
        ws_net_free(&net);
    }
}

static void wide_nets_have_any_depth_of_6n_4(void **state)
{
    (void)state;
    struct ws_zoo_taps taps;
    struct ws_net *net = build("wrn-22-3", 32, 3, 10, &taps);
    assert_int_equal(net->nodes[taps.features].channels, 192);
    assert_true(ws_net_find_param(net, "block3.layer.2.conv2.weight") >= 0);
    assert_true(ws_net_find_param(net, "block3.layer.3.conv2.weight") < 0);
    assert_true(ws_net_find_param(net, "block1.layer.0.convShortcut.weight") >= 0);
    ws_net_free(&net);

    static const char *const wrong[] = {"wrn-17-2",  "wrn-16",    "wrn-16-0", "wrn-4-1",
                                        "wrn-16-2x", "wrn-016-2", "wrn-16-+2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ws_err err = {0};
        assert_int_equal(ws_zoo_build(&net, &taps, wrong[i], 32, 32, 3, 10, &err), WS_E_CONFIG);
        assert_non_null(strstr(err.hint, "6n + 4"));
    }
}

/* The papers' size: l1 of 100 noise values to 128 x 8 x 8, then 3x3 convolutions of 128, 64 and 3. */
static void generator_turns_noise_into_a_picture(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    struct ws_zoo_generator shape = {.nz = 100, .ngf = 64, .height = 32, .width = 32, .channels = 3};
    assert_int_equal(ws_zoo_build_generator(&net, &shape, &err), WS_OK);
    const struct ws_node *image = &net->nodes[net->n_nodes - 1];
    assert_int_equal(image->op, WS_OP_SIGMOID);
    assert_int_equal(image->height * 10000 + image->width * 100 + image->channels, 323203);
    assert_int_equal(ws_net_count_params(net),
                     101 * 8192 + 256 + 128 * 128 * 9 + 256 + 128 * 64 * 9 + 128 + 64 * 27 + 3);
    assert_true(ws_net_find_param(net, "l1.0.weight") >= 0);
    assert_true(ws_net_find_param(net, "conv_blocks.9.bias") >= 0);
    ws_net_free(&net);

    shape = (struct ws_zoo_generator){.nz = 8, .ngf = 4, .height = 28, .width = 24, .channels = 1, .is_tanh = true};
    assert_int_equal(ws_zoo_build_generator(&net, &shape, &err), WS_OK);
    assert_int_equal(net->nodes[net->n_nodes - 1].op, WS_OP_TANH);
    assert_int_equal(net->nodes[net->n_nodes - 1].height, 28);
    assert_int_equal(net->nodes[net->n_nodes - 1].width, 24);
    ws_net_free(&net);
    shape.width = 30;
    assert_int_equal(ws_zoo_build_generator(&net, &shape, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "28 x 30"));
    assert_null(net);
}

static void unknown_name_is_refused_with_the_nearest_one(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    assert_int_equal(ws_zoo_build(&net, &taps, "resnet21", 32, 32, 3, 10, &err), WS_E_CONFIG);
    assert_null(net);
    assert_non_null(strstr(err.text, "resnet2"));
    assert_non_null(strstr(err.hint, "resnet110"));
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    assert_int_equal(ws_zoo_build(&net, &taps, "resnet8", 4, 32, 3, 10, &err), WS_E_CONFIG);
    assert_int_equal(ws_zoo_build(&net, &taps, "resnet8", 32, 32, 0, 10, &err), WS_E_CONFIG);
    assert_int_equal(ws_zoo_build(&net, &taps, "resnet8", 32, 32, 3, 0, &err), WS_E_CONFIG);
    assert_null(net);

    assert_int_equal(ws_zoo_build(&net, &taps, "lenet", 16, 16, 1, 10, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "conv3"));
    assert_int_equal(ws_zoo_build(&net, &taps, "vgg16", 256, 256, 3, 10, &err), WS_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "multiples of 224"));
    assert_null(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nets_of_torchvision_have_its_tensors_and_no_others),
        cmocka_unit_test(resnet20_has_0_27_million_parameters_and_41_million_multiply_adds),
        cmocka_unit_test(resnet18_has_the_published_sizes),
        cmocka_unit_test(nets_of_torchvision_have_its_sizes),
        cmocka_unit_test(nets_of_the_distillation_papers_have_their_sizes),
        cmocka_unit_test(each_name_builds_with_taps_in_order),
        cmocka_unit_test(taps_name_the_last_map_its_mean_and_the_logits),
        cmocka_unit_test(small_pictures_keep_a_map_to_compare),
        cmocka_unit_test(depth_counts_the_weighted_layers),
        cmocka_unit_test(wide_nets_have_any_depth_of_6n_4),
        cmocka_unit_test(generator_turns_noise_into_a_picture),
        cmocka_unit_test(unknown_name_is_refused_with_the_nearest_one),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("zoo", tests, NULL, NULL);
}
