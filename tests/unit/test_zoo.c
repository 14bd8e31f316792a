/* Architectures: torchvision's tensor names and shapes, known sizes, and refusals that help. */
#include "webstill/nn/zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ws_net *build(const char *arch, int side, int channels, int n_classes, struct ws_zoo_taps *taps)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    if (ws_zoo_build(&net, taps, arch, side, side, channels, n_classes, &err) != WS_OK ||
        ws_net_alloc(net, &err) != WS_OK)
        fail_msg("%s", err.text);
    return net;
}

/* torchvision's own list, one "name 64x3x7x7" a line, in its order. */
static void check_names(const char *arch)
{
    struct ws_zoo_taps taps;
    struct ws_net *net = build(arch, 224, 3, 1000, &taps);
    char path[128], name[128], shape[64];
    snprintf(path, sizeof path, "tests/golden/%s.names", arch);
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

static void resnet18_has_torchvisions_tensors_and_no_others(void **state)
{
    (void)state;
    check_names("resnet18");
}

static void resnet34_has_torchvisions_tensors_and_no_others(void **state)
{
    (void)state;
    check_names("resnet34");
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

static void each_name_builds_with_one_and_three_channels(void **state)
{
    (void)state;
    for (const char *const *name = ws_zoo_names(); *name; name++) {
        for (int channels = 1; channels <= 3; channels += 2) {
            struct ws_zoo_taps taps;
            struct ws_net *net = build(*name, 28, channels, 7, &taps);
            assert_int_equal(net->nodes[taps.logits].channels, 7);
            assert_int_equal(taps.logits, net->n_nodes - 1);
            ws_net_free(&net);
        }
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

static void depth_counts_the_weighted_layers(void **state)
{
    (void)state;
    for (const char *const *name = ws_zoo_names(); *name; name++) {
        struct ws_zoo_taps taps;
        struct ws_net *net = build(*name, 32, 3, 10, &taps);
        int n_layers = 0;
        for (int i = 0; i < net->n_nodes; i++) {
            const struct ws_node *node = &net->nodes[i];
            n_layers += (node->op == WS_OP_CONV || node->op == WS_OP_GEMM) && !strstr(node->name, "downsample");
        }
        assert_int_equal(n_layers, atoi(*name + strlen("resnet")));
        ws_net_free(&net);
    }
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet18_has_torchvisions_tensors_and_no_others),
        cmocka_unit_test(resnet34_has_torchvisions_tensors_and_no_others),
        cmocka_unit_test(resnet20_has_0_27_million_parameters_and_41_million_multiply_adds),
        cmocka_unit_test(resnet18_has_the_published_sizes),
        cmocka_unit_test(each_name_builds_with_one_and_three_channels),
        cmocka_unit_test(taps_name_the_last_map_its_mean_and_the_logits),
        cmocka_unit_test(depth_counts_the_weighted_layers),
        cmocka_unit_test(unknown_name_is_refused_with_the_nearest_one),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("zoo", tests, NULL, NULL);
}
