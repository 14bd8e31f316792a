/* Models: what a file must hold, and what it tells about itself. */
#include "../../distill/learn/predict.h"
#include "../../distill/model/network.h"
#include "near.h"
#include "temp.h"

#include "webstill/nn/onnx.h"
#include "webstill/tensors/file.h"

enum { SIDE = 8, CLASSES = 3 };

static char *class_names[] = {"red", "green", "blue"};

static struct ws_card make_card(void)
{
    return (struct ws_card){.arch = "resnet8",
                            .classes = class_names,
                            .n_classes = CLASSES,
                            .height = SIDE,
                            .width = SIDE,
                            .channels = 3,
                            .mean = {.1f, .2f, .3f},
                            .std = {.4f, .5f, .6f},
                            .method = "ce",
                            .seed = 7,
                            .config_sha256 = "c0",
                            .accuracy = .875};
}

static struct ws_model *make_model(const struct ws_card *card)
{
    struct ws_model *model;
    struct ws_err err = {0};
    assert_int_equal(ws_model_build(&model, card, &err), WS_OK);
    ws_net_init(model->net, 3);
    return model;
}

static void a_saved_model_comes_back_whole(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_card card = make_card();
    struct ws_model *model = make_model(&card), *loaded;
    temp_join(path, *state, "m.safetensors");
    assert_int_equal(ws_model_save(model, path, &err), WS_OK);
    assert_int_equal(ws_model_load(&loaded, path, NULL, &err), WS_OK);
    assert_memory_equal(loaded->net->values, model->net->values, model->net->n_values * sizeof(float));
    assert_memory_equal(&loaded->digest, &model->digest, sizeof model->digest);
    assert_string_equal(loaded->card.arch, "resnet8");
    assert_string_equal(loaded->card.classes[2], "blue");
    assert_int_equal(loaded->card.n_classes, CLASSES);
    assert_memory_equal(loaded->card.mean, card.mean, sizeof card.mean);
    assert_memory_equal(loaded->card.std, card.std, sizeof card.std);
    assert_int_equal(loaded->card.seed, 7);
    assert_near(loaded->card.accuracy, .875, 0);
    assert_string_equal(loaded->card.config_sha256, "c0");
    ws_model_free(&loaded);
    ws_model_free(&model);
}

static void equal_models_give_equal_bytes(void **state)
{
    char a_path[TEMP_PATH], b_path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_digest a, b;
    struct ws_card card = make_card();
    struct ws_model *model = make_model(&card);
    assert_int_equal(ws_model_save(model, temp_join(a_path, *state, "a.safetensors"), &err), WS_OK);
    assert_int_equal(ws_model_save(model, temp_join(b_path, *state, "b.safetensors"), &err), WS_OK);
    assert_int_equal(ws_sha256_file(a_path, &a, &err), WS_OK);
    assert_int_equal(ws_sha256_file(b_path, &b, &err), WS_OK);
    assert_memory_equal(&a, &b, sizeof a);
    ws_model_free(&model);
}

/* A file with one tensor missing, one extra, one misshapen, one counter of PyTorch's. */
static void write_misfit(const char *path, const struct ws_model *model, bool is_whole)
{
    struct ws_tensor_entry entries[64];
    static float values[100000];
    static const int64_t one = 1;
    struct ws_err err = {0};
    size_t n = 0;
    for (int i = 0; i < model->net->n_params; i++) {
        const struct ws_param *param = &model->net->params[i];
        if (!is_whole && strcmp(param->name, "layer2.0.bn1.bias") == 0)
            continue;
        entries[n] = (struct ws_tensor_entry){
            .name = param->name, .rank = param->rank, .data = values, .size_bytes = param->n * sizeof(float)};
        for (int d = 0; d < param->rank; d++)
            entries[n].shape[d] = param->shape[d];
        if (!is_whole && strcmp(param->name, "fc.weight") == 0) {
            entries[n].shape[0] = 10;
            entries[n].size_bytes = 10 * 64 * sizeof(float);
        }
        n++;
    }
    entries[n++] = (struct ws_tensor_entry){"bn1.num_batches_tracked", WS_I64, 1, {1}, &one, sizeof one};
    if (!is_whole)
        entries[n++] = (struct ws_tensor_entry){"head.extra", WS_F32, 1, {2}, values, 2 * sizeof(float)};
    assert_int_equal(ws_tensors_write(path, entries, n, NULL, 0, &err), WS_OK);
}

static void every_misfit_is_named_in_one_message(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_card card = make_card();
    struct ws_model *model = make_model(&card), *loaded;
    write_misfit(temp_join(path, *state, "odd.safetensors"), model, false);
    assert_int_equal(ws_model_load(&loaded, path, &card, &err), WS_E_FORMAT);
    const char *tail = strstr(err.text, "does not fit");
    assert_non_null(tail);
    assert_string_equal(tail,
                        "does not fit resnet8 with 3 classes: 1 missing: layer2.0.bn1.bias; 1 misshapen: fc.weight "
                        "(expected [3,64], found [10,64]); 1 extra: head.extra");
    ws_model_free(&model);
}

static void a_foreign_file_needs_only_what_nothing_else_tells(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_card card = make_card();
    struct ws_model *model = make_model(&card), *loaded;
    write_misfit(temp_join(path, *state, "torch.safetensors"), model, true);
    assert_int_equal(ws_model_load(&loaded, path, &card, &err), WS_OK);
    ws_model_free(&loaded);
    memset(card.std, 0, sizeof card.std);
    assert_int_equal(ws_model_load(&loaded, path, &card, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "mean and std"));
    assert_non_null(strstr(err.hint, "webstill.card"));
    assert_int_equal(ws_model_load(&loaded, path, NULL, &err), WS_E_FORMAT);
    ws_model_free(&model);
}

static struct ws_card make_student_card(int factor)
{
    struct ws_card card = make_card();
    if (factor > 0)
        card.head = (struct ws_head){WS_HEAD_PROJECTED, factor, 64, 1};
    return card;
}

static void a_student_with_a_projector_has_only_the_teachers_classifier(void **state)
{
    (void)state;
    struct ws_card plain = make_card(), card = make_student_card(2);
    struct ws_model *model = make_model(&card), *base = make_model(&plain);
    int n_fc = 0;
    for (int i = 0; i < model->net->n_params; i++)
        n_fc += strncmp(model->net->params[i].name, "fc.", 3) == 0;
    assert_int_equal(n_fc, 2);
    assert_true(model->net->params[ws_net_find_param(model->net, "fc.weight")].is_frozen);
    assert_true(model->net->params[ws_net_find_param(model->net, "fc.bias")].is_frozen);
    assert_false(model->net->params[ws_net_find_param(model->net, "projector.0.weight")].is_frozen);
    const int64_t phi = 64 * 32 + 32 * 32 * 9 + 32 * 64 + 2 * (32 + 32 + 64);
    assert_int_equal(ws_net_count_params(model->net), ws_net_count_params(base->net) + phi);
    ws_model_free(&model);
    ws_model_free(&base);
}

/* Of every net: phi stands behind the backbone, and the teacher's classifier in the place and under the name of its
 * own. */
static void any_net_of_the_zoo_becomes_a_student_with_a_projector(void **state)
{
    (void)state;
    for (const char *const *name = ws_zoo_names(); *name; name++) {
        struct ws_card plain = make_card(), card = make_student_card(2);
        plain.height = plain.width = card.height = card.width = 32;
        snprintf(plain.arch, sizeof plain.arch, "%s", *name);
        snprintf(card.arch, sizeof card.arch, "%s", *name);
        struct ws_err err = {0};
        struct ws_model *model, *base;
        assert_int_equal(ws_model_build(&model, &card, &err), WS_OK);
        assert_int_equal(ws_model_build(&base, &plain, &err), WS_OK);
        const struct ws_node *own = &base->net->nodes[base->logits], *shared = &model->net->nodes[model->logits];
        assert_string_equal(shared->name, own->name);
        assert_int_equal(ws_model_classifier(base), base->logits);
        assert_int_equal(ws_model_classifier(model), model->logits);
        for (int i = 0; i < 2; i++)
            assert_true(model->net->params[shared->params[i]].is_frozen);
        const int64_t features = base->net->nodes[base->features].channels;
        const int64_t phi = features * 32 + 32 * 32 * 9 + 32 * 64 + 2 * (32 + 32 + 64);
        assert_int_equal(ws_net_count_params(model->net),
                         ws_net_count_params(base->net) - CLASSES * (features + 1) + phi + CLASSES * (64 + 1));
        ws_model_free(&model);
        ws_model_free(&base);
    }
}

static void a_head_of_several_linear_layers_is_no_shared_classifier(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        int side;
        bool is_shared;
    } table[] = {{"vgg11", 224, false}, {"vgg11", 96, true}, {"mobilenetv2", 224, true}, {"lenet", 32, true}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct ws_err err = {0};
        struct ws_zoo_taps taps;
        struct ws_model model = {0};
        const int side = table[i].side;
        assert_int_equal(ws_zoo_build(&model.net, &taps, table[i].arch, side, side, 3, CLASSES, &err), WS_OK);
        model.head_pooled = taps.pooled;
        model.logits = taps.logits;
        assert_int_equal(ws_model_classifier(&model), table[i].is_shared ? taps.logits : -1);
        ws_net_free(&model.net);
    }
}

static void a_student_with_a_projector_survives_its_file(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_card card = make_student_card(2);
    struct ws_model *model = make_model(&card), *loaded;
    assert_int_equal(ws_model_save(model, temp_join(path, *state, "s.safetensors"), &err), WS_OK);
    assert_int_equal(ws_model_load(&loaded, path, NULL, &err), WS_OK);
    assert_int_equal(loaded->card.head.channels, 64);
    char *text = ws_card_text(&loaded->card); /* its words are those of all files that there are */
    assert_non_null(strstr(text, "\"head\":\"kd3\",\"projector_factor\":2,\"projector_channels\":64,"
                                 "\"projector_pool\":1}"));
    free(text);
    assert_int_equal(loaded->projected, model->projected);
    assert_memory_equal(loaded->net->values, model->net->values, model->net->n_values * sizeof(float));
    ws_model_free(&loaded);
    ws_model_free(&model);
}

static void set_value(struct ws_net *net, const char *name, size_t at, float value)
{
    const int param = ws_net_find_param(net, name);
    assert_true(param >= 0);
    static float values[1 << 17];
    ws_net_get(net, param, values, net->params[param].n);
    values[at] = value;
    ws_net_set(net, param, values, net->params[param].n);
}

/* phi := identity: centre taps of 1, BN that returns its input in evaluation. */
static void make_identity(struct ws_net *net)
{
    static const char *const convs[] = {"projector.0.weight", "projector.3.weight", "projector.6.weight"};
    static const size_t windows[] = {1, 9, 1};
    for (int i = 0; i < 3; i++) {
        const struct ws_param *param = &net->params[ws_net_find_param(net, convs[i])];
        memset(net->values + param->offset, 0, param->n * sizeof(float));
        for (size_t c = 0; c < 64; c++)
            set_value(net, convs[i], (c * 64 + c) * windows[i] + windows[i] / 2, 1);
        char name[64];
        for (size_t c = 0; c < 64; c++) {
            snprintf(name, sizeof name, "projector.%d.weight", 3 * i + 1);
            set_value(net, name, c, sqrtf(1 + 1e-5f));
        }
    }
}

static void the_teacher_behind_an_identity_projector_is_the_teacher(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_workers *workers;
    struct ws_card teacher_card = make_card(), student_card = make_student_card(1);
    struct ws_model *teacher = make_model(&teacher_card), *student = make_model(&student_card);
    struct ws_predictor t = {0}, s = {0};
    for (int i = 0; i < teacher->net->n_params; i++) {
        static float values[1 << 17];
        const struct ws_param *param = &teacher->net->params[i];
        ws_net_get(teacher->net, i, values, param->n);
        ws_net_set(student->net, ws_net_find_param(student->net, param->name), values, param->n);
    }
    make_identity(student->net);
    assert_int_equal(ws_workers_open(&workers, 2, &err), WS_OK);
    assert_int_equal(ws_predictor_open(&t, teacher, workers, 4, true, &err), WS_OK);
    assert_int_equal(ws_predictor_open(&s, student, workers, 4, false, &err), WS_OK);
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, 0, 0);
    for (int i = 0; i < 4 * SIDE * SIDE * 3; i++)
        ws_exec_input(t.exec)[i] = ws_exec_input(s.exec)[i] = (float)ws_rng_normal(&rng);
    ws_predictor_forward(&t, 4);
    ws_predictor_forward(&s, 4);
    const float *a = ws_exec_value(t.exec, t.model->projected), *b = ws_exec_value(s.exec, s.model->projected);
    for (int i = 0; i < 4 * 2 * 2 * 64; i++)
        assert_near(b[i], a[i], 1e-4 * (1 + fabs((double)a[i])));
    a = ws_exec_value(t.exec, t.model->logits);
    b = ws_exec_value(s.exec, s.model->logits);
    for (int i = 0; i < 4 * CLASSES; i++)
        assert_near(b[i], a[i], 1e-4 * (1 + fabs((double)a[i])));
    ws_predictor_close(&t);
    ws_predictor_close(&s);
    ws_workers_close(&workers);
    ws_model_free(&teacher);
    ws_model_free(&student);
}

static void a_card_that_is_no_card_is_refused(void **state)
{
    static const char *const texts[] = {"[]",
                                        "{",
                                        "{\"format\":2}",
                                        "{\"channels\":7}",
                                        "{\"classes\":[\"one\"]}",
                                        "{\"mean\":[1,2]}",
                                        "{\"std\":[0,1,1]}",
                                        "{\"arch\":\"resnet9\"}",
                                        "{\"head\":\"kd3\"}",
                                        "{\"head\":\"other\"}"};
    struct ws_card card = make_card();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char path[TEMP_PATH];
        struct ws_err err = {0};
        struct ws_model *loaded = NULL;
        const float value = 0;
        const struct ws_tensor_entry entry = {"x", WS_F32, 1, {1}, &value, sizeof value};
        temp_join(path, *state, "bad.safetensors");
        assert_int_equal(ws_tensors_write(path, &entry, 1, &(struct ws_metadata){"webstill.card", texts[i]}, 1, &err),
                         WS_OK);
        assert_int_not_equal(ws_model_load(&loaded, path, &card, &err), WS_OK);
        assert_null(loaded);
        assert_non_null(strstr(err.text, "bad.safetensors"));
    }
}

/* A file of arch "onnx" with this graph; "AAAA" and the like are base64 of something else. */
static void a_graph_that_is_no_graph_is_refused(void **state)
{
    static const char *const graphs[] = {NULL, "", "no base64", "AAAA", "CAg=", "CAgSCHdlYnN0aWxs"};
    struct ws_card card = make_card();
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        char path[TEMP_PATH];
        struct ws_err err = {0};
        struct ws_model *loaded = NULL;
        const float value = 0;
        const struct ws_tensor_entry entry = {"x", WS_F32, 1, {1}, &value, sizeof value};
        const struct ws_metadata metadata[] = {{"webstill.card", "{\"arch\":\"onnx\"}"}, {"webstill.graph", graphs[i]}};
        temp_join(path, *state, "graph.safetensors");
        assert_int_equal(ws_tensors_write(path, &entry, 1, metadata, graphs[i] ? 2 : 1, &err), WS_OK);
        const enum ws_status status = ws_model_load(&loaded, path, &card, &err);
        assert_true(status == WS_E_FORMAT || status == WS_E_UNSUPPORTED);
        assert_null(loaded);
        assert_non_null(strstr(err.text, "graph.safetensors"));
        assert_non_null(strstr(err.text, "webstill.graph"));
    }
}

/* A small graph's card, for another picture size and another number of classes. */
static void a_graph_and_its_card_must_agree(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_card card = make_card();
    struct ws_model *model = make_model(&card), *imported = NULL, *loaded = NULL;
    struct ws_buf bytes = {0};
    const struct ws_onnx_options options = {.opset = 13, .output = model->logits};
    assert_int_equal(ws_onnx_write(model->net, &options, &bytes, &err), WS_OK);
    temp_write(temp_join(path, *state, "net.onnx"), bytes.ptr, bytes.len);
    assert_int_equal(ws_model_import_onnx(&imported, path, &card, &err), WS_OK);
    assert_string_equal(imported->card.arch, "onnx");
    assert_memory_equal(imported->net->values, model->net->values, model->net->n_values * sizeof(float));
    assert_int_equal(ws_model_save(imported, temp_join(path, *state, "good.safetensors"), &err), WS_OK);
    assert_int_equal(ws_model_load(&loaded, path, NULL, &err), WS_OK);
    ws_model_free(&loaded);
    imported->card.height = 2 * SIDE;
    assert_int_equal(ws_model_save(imported, temp_join(path, *state, "bad.safetensors"), &err), WS_OK);
    assert_int_equal(ws_model_load(&loaded, path, NULL, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "bad.safetensors"));
    ws_buf_fini(&bytes);
    ws_model_free(&imported);
    ws_model_free(&model);
}

/* A net of four channels on 8 x 8 pixels, by its head: pooled or not, then a layer more, then the classifier. */
static struct ws_model *import_head(const char *folder, bool is_pooled, bool is_convolution)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_card card = make_card();
    struct ws_model *imported = NULL;
    struct ws_buf bytes = {0};
    struct ws_net *net = ws_net_new(8, 8, 1);
    int x = ws_net_relu(net, "relu1", ws_net_conv(net, "conv1", 0, 4, (struct ws_window)WS_SQUARE(3, 1, 1), true));
    if (is_pooled)
        x = ws_net_global_average_pool(net, "pool", x);
    x = is_convolution ? ws_net_conv(net, "head", x, 6, (struct ws_window)WS_SQUARE(1, 1, 0), true)
                       : ws_net_gemm(net, "head", x, 6, true);
    x = ws_net_gemm(net, "classifier", ws_net_relu(net, "relu2", x), card.n_classes, true);
    assert_int_equal(ws_net_alloc(net, &err), WS_OK);
    const struct ws_onnx_options options = {.opset = 17, .output = x};
    assert_int_equal(ws_onnx_write(net, &options, &bytes, &err), WS_OK);
    temp_write(temp_join(path, folder, "head.onnx"), bytes.ptr, bytes.len);
    if (ws_model_import_onnx(&imported, path, &card, &err) != WS_OK)
        fail_msg("%s", err.text);
    ws_buf_fini(&bytes);
    ws_net_free(&net);
    return imported;
}

/* MobileNetV4's head, and V3's: what the last linear layer reads is the last map, of one pixel. */
static void layers_behind_the_pooling_end_in_the_map_that_is_shared(void **state)
{
    for (int is_convolution = 0; is_convolution < 2; is_convolution++) {
        struct ws_model *model = import_head(*state, true, is_convolution == 1);
        const struct ws_node *last = &model->net->nodes[model->projected];
        assert_int_equal(ws_model_classifier(model), model->logits);
        assert_int_equal(last->op, WS_OP_RELU);
        assert_true(last->channels == 6 && last->height == 1 && last->width == 1);
        assert_true(model->features == model->projected && model->pooled == model->projected);
        assert_true(model->head_pooled == model->projected);
        ws_model_free(&model);
    }
}

static void a_flattened_map_is_not_a_pooled_one(void **state)
{
    struct ws_model *model = import_head(*state, false, false);
    assert_int_equal(ws_model_classifier(model), -1);
    assert_int_equal(model->net->nodes[model->features].height, 8);
    ws_model_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_saved_model_comes_back_whole, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(equal_models_give_equal_bytes, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(every_misfit_is_named_in_one_message, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_foreign_file_needs_only_what_nothing_else_tells, temp_setup, temp_teardown),
        cmocka_unit_test(a_student_with_a_projector_has_only_the_teachers_classifier),
        cmocka_unit_test(any_net_of_the_zoo_becomes_a_student_with_a_projector),
        cmocka_unit_test(a_head_of_several_linear_layers_is_no_shared_classifier),
        cmocka_unit_test_setup_teardown(a_student_with_a_projector_survives_its_file, temp_setup, temp_teardown),
        cmocka_unit_test(the_teacher_behind_an_identity_projector_is_the_teacher),
        cmocka_unit_test_setup_teardown(a_graph_that_is_no_graph_is_refused, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_graph_and_its_card_must_agree, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(layers_behind_the_pooling_end_in_the_map_that_is_shared, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(a_flattened_map_is_not_a_pooled_one, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_card_that_is_no_card_is_refused, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
