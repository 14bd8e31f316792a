/* Whole training steps against PyTorch 1.13, tensor by tensor: generate.py wrote the files, recipe.h draws weights and
 * inputs. */
#include "recipe.h"

#include "loss/arrays.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/optim.h"
#include "webstill/nn/zoo.h"
#include "webstill/tensors/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

static void *take(size_t n)
{
    float *p = calloc(n ? n : 1, sizeof *p);
    assert_non_null(p);
    return p;
}

/* --- golden files --- */

static struct ws_tensors *open_golden(const char *name)
{
    struct ws_err err = {0};
    struct ws_tensors *file = NULL;
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
    check(ws_tensors_open(&file, path, &err), &err);
    return file;
}

static int golden_int(const struct ws_tensors *file, const char *key)
{
    const char *text = ws_tensors_metadata(file, key);
    assert_non_null(text);
    return atoi(text);
}

/* Largest difference at most `tolerance` times the largest value. */
static void compare(const struct ws_tensors *file, const char *name, const float *found, size_t n, double tolerance)
{
    const struct ws_tensor_entry *entry = ws_tensors_find(file, name);
    if (!entry)
        fail_msg("the golden file has no \"%s\"", name);
    assert_int_equal(entry->dtype, WS_F32);
    assert_int_equal(entry->size_bytes, n * sizeof(float));
    const float *expected = entry->data;
    double largest = 0.0, worst = 0.0;
    size_t worst_at = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        const double difference = fabs((double)found[i] - (double)expected[i]);
        if (!(difference <= worst)) {
            worst = difference;
            worst_at = i;
        }
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s[%zu]: %.9g, PyTorch has %.9g; largest value %.3g, tolerance %g", name, worst_at,
                 (double)found[worst_at], (double)expected[worst_at], largest, tolerance);
}

static void compare_one(const struct ws_tensors *file, const char *name, double found, double tolerance)
{
    const float value = (float)found;
    compare(file, name, &value, 1, tolerance);
}

enum { VALUES, GRADIENTS };

/* Every parameter for which the file has "<prefix><name>"; returns how many there were. */
static int compare_params(const struct ws_tensors *file, const char *prefix, const struct ws_net *net, int what,
                          double tolerance)
{
    int n_compared = 0;
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, param->name);
        if (!ws_tensors_find(file, name))
            continue;
        float *found = take(param->n);
        if (what == GRADIENTS)
            ws_net_get_gradient(net, i, found, param->n);
        else
            ws_net_get(net, i, found, param->n);
        compare(file, name, found, param->n, tolerance);
        free(found);
        n_compared++;
    }
    return n_compared;
}

/* How many tensors of the file begin with `prefix`. */
static int count_golden(const struct ws_tensors *file, const char *prefix)
{
    int n = 0;
    for (size_t i = 0; i < ws_tensors_count(file); i++)
        n += strncmp(ws_tensors_at(file, i)->name, prefix, strlen(prefix)) == 0;
    return n;
}

/* --- a plain classifier --- */

static struct ws_exec *open_exec(struct ws_net *net, struct ws_workers *workers, int batch, const int *taps, int n_taps)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const struct ws_exec_options options = {.max_batch = batch, .backward = true, .taps = taps, .n_taps = n_taps};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);
    return exec;
}

static double step(struct ws_net *net, struct ws_exec *exec, int logits, int batch)
{
    int32_t labels[64];
    for (int i = 0; i < batch; i++)
        labels[i] = recipe_label(i);
    ws_net_zero_gradients(net);
    ws_exec_forward(exec, batch, WS_BN_TRAIN);
    const double loss = ws_loss_cross_entropy((struct ws_tap){exec, logits}, labels, 0.0, 1.0, NULL);
    ws_exec_backward(exec);
    return loss;
}

static void check_resnet8(const char *golden)
{
    struct ws_err err = {0};
    struct ws_tensors *file = open_golden(golden);
    const int batch = golden_int(file, "batch"), side = golden_int(file, "side"), ch = golden_int(file, "channels");
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    struct ws_workers *workers = NULL;
    struct ws_optim optim;
    check(ws_workers_open(&workers, 2, &err), &err);
    check(ws_zoo_build(&net, &taps, "resnet8", side, side, ch, 10, &err), &err);
    check(ws_net_alloc(net, &err), &err);
    check(ws_net_alloc_gradients(net, &err), &err);
    const struct ws_optim_options sgd = {.momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};
    check(ws_optim_init(&optim, net, &sgd, &err), &err);
    struct ws_exec *exec = open_exec(net, workers, batch, NULL, 0);
    const size_t n_logits = (size_t)batch * 10;

    recipe_fill(net, "model", "");
    recipe_images("x", ws_exec_input(exec), batch, side, side, ch);
    ws_exec_forward(exec, batch, WS_BN_EVAL);
    compare(file, "eval_logits", ws_exec_value(exec, taps.logits), n_logits, 1e-5);

    compare_one(file, "loss", step(net, exec, taps.logits, batch), 1e-5);
    compare(file, "logits", ws_exec_value(exec, taps.logits), n_logits, 1e-5);
    assert_int_equal(compare_params(file, "gradient/", net, GRADIENTS, 1e-4), count_golden(file, "gradient/"));
    assert_int_equal(compare_params(file, "after/", net, VALUES, 1e-5), count_golden(file, "after/"));

    recipe_fill(net, "model", "");
    float losses[10];
    for (int i = 0; i < 10; i++) {
        losses[i] = (float)step(net, exec, taps.logits, batch);
        ws_optim_step(&optim, net, 0.02);
    }
    compare(file, "sgd_losses", losses, 10, 1e-4);
    assert_int_equal(compare_params(file, "final/", net, VALUES, 1e-3), count_golden(file, "final/"));

    ws_exec_close(&exec);
    ws_optim_fini(&optim);
    ws_net_free(&net);
    ws_workers_close(&workers);
    ws_tensors_close(&file);
}

static void resnet8_trains_as_in_pytorch_on_grey_28(void **state)
{
    (void)state;
    check_resnet8("resnet8_28x28x1");
}

static void resnet8_trains_as_in_pytorch_on_colour_32(void **state)
{
    (void)state;
    check_resnet8("resnet8_32x32x3");
}

/* --- optimisers --- */

/* At most 64 values of each parameter, as generate.py takes them. */
static int compare_sampled(const struct ws_tensors *file, const char *prefix, const struct ws_net *net)
{
    int n_compared = 0;
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        if (param->is_buffer)
            continue;
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, param->name);
        float *found = take(param->n);
        ws_net_get(net, i, found, param->n);
        const size_t stride = (param->n + 63) / 64;
        size_t n = 0;
        for (size_t k = 0; k < param->n; k += stride)
            found[n++] = found[k];
        compare(file, name, found, n, 1e-3);
        free(found);
        n_compared++;
    }
    return n_compared;
}

static void ten_steps_of_each_optimiser_are_pytorchs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double lr;
        struct ws_optim_options options;
    } cases[] = {
        {"momentum", 0.02, {.momentum = 0.9}},
        {"nesterov", 0.02, {.momentum = 0.9, .nesterov = true}},
        {"decay", 0.02, {.momentum = 0.9, .weight_decay = 0.05}},
        {"adam", 0.001, {.kind = WS_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-4, .weight_decay = 0.01}},
        {"adamw", 0.001, {.kind = WS_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-4, .weight_decay = 2.0}},
    };
    struct ws_err err = {0};
    struct ws_tensors *file = open_golden("optimisers");
    const int batch = golden_int(file, "batch"), side = golden_int(file, "side");
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    struct ws_workers *workers = NULL;
    check(ws_workers_open(&workers, 2, &err), &err);
    check(ws_zoo_build(&net, &taps, "resnet8", side, side, 1, 10, &err), &err);
    check(ws_net_alloc(net, &err), &err);
    struct ws_exec *exec = open_exec(net, workers, batch, NULL, 0);
    recipe_images("x", ws_exec_input(exec), batch, side, side, 1);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct ws_optim optim;
        float losses[10];
        char prefix[32], name[64];
        recipe_fill(net, "model", "");
        check(ws_optim_init(&optim, net, &cases[c].options, &err), &err);
        for (int i = 0; i < 10; i++) {
            losses[i] = (float)step(net, exec, taps.logits, batch);
            ws_optim_step(&optim, net, cases[c].lr);
        }
        snprintf(prefix, sizeof prefix, "%s/", cases[c].name);
        snprintf(name, sizeof name, "%slosses", prefix);
        compare(file, name, losses, 10, 1e-4);
        assert_int_equal(compare_sampled(file, prefix, net) + 1, count_golden(file, prefix));
        ws_optim_fini(&optim);
    }
    ws_exec_close(&exec);
    ws_net_free(&net);
    ws_workers_close(&workers);
    ws_tensors_close(&file);
}

/* --- the zoo --- */

static void check_zoo(const struct ws_tensors *file, struct ws_workers *workers, const char *arch, int side)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    const int batch = golden_int(file, "batch");
    check(ws_zoo_build(&net, &taps, arch, side, side, 3, 10, &err), &err);
    check(ws_net_alloc(net, &err), &err);
    check(ws_net_alloc_gradients(net, &err), &err);
    recipe_fill(net, "zoo", "");
    struct ws_exec *exec = open_exec(net, workers, batch, NULL, 0);
    recipe_images("x", ws_exec_input(exec), batch, side, side, 3);
    char name[64];
    snprintf(name, sizeof name, "%s_%d", arch, side);
    ws_exec_forward(exec, batch, WS_BN_EVAL);
    compare(file, name, ws_exec_value(exec, taps.logits), (size_t)batch * 10, 1e-5);
    if (side == 32) {
        ws_exec_forward(exec, batch, WS_BN_TRAIN);
        /* Statistics of four images, fifty layers deep, enlarge a rounding: PyTorch's own float32 is 1.3e-5 off. */
        strcat(name, "_train");
        compare(file, name, ws_exec_value(exec, taps.logits), (size_t)batch * 10, 1e-4);
    }
    ws_exec_close(&exec);
    ws_net_free(&net);
}

/* 32 pixels choose the forms for small pictures, 96 torchvision's. */
static void nets_of_the_zoo_give_pytorchs_logits(void **state)
{
    (void)state;
    static const char *const archs[] = {"resnet50", "vgg11", "mobilenetv2", "shufflenetv2", "wrn-16-2"};
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_tensors *file = open_golden("zoo");
    check(ws_workers_open(&workers, 2, &err), &err);
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        check_zoo(file, workers, archs[i], 32);
        check_zoo(file, workers, archs[i], 96);
    }
    ws_workers_close(&workers);
    ws_tensors_close(&file);
}

/* --- KD3 --- */

enum { SIDE = 28, TEACHER_WIDTH = 64, TEMPERATURE_PERCENT = 30 };

struct kd3 {
    struct ws_tensors *file;
    struct ws_workers *workers;
    int batch, embedding;
    struct ws_net *teacher, *student, *embed_t;
    struct ws_zoo_taps t, s;
    int projected, classifier, embed; /* the student's own nodes */
    struct ws_exec *teach, *on_x, *on_mixed, *embed_x, *embed_mixed;
};

static int add_projector(struct ws_net *net, int x)
{
    const int width[3] = {TEACHER_WIDTH / 2, TEACHER_WIDTH / 2, TEACHER_WIDTH};
    for (int i = 0; i < 3; i++) {
        char name[32];
        const struct ws_window window = WS_SQUARE(i == 1 ? 3 : 1, 1, i == 1 ? 1 : 0);
        snprintf(name, sizeof name, "projector.%d", 3 * i);
        x = ws_net_conv(net, name, x, width[i], window, false);
        snprintf(name, sizeof name, "projector.%d", 3 * i + 1);
        x = ws_net_batchnorm(net, name, x);
        snprintf(name, sizeof name, "projector.%d", 3 * i + 2);
        x = ws_net_relu(net, name, x);
    }
    return x;
}

static void freeze(struct ws_net *net, const char *name)
{
    net->params[ws_net_find_param(net, name)].is_frozen = true;
}

static void open_networks(struct kd3 *k)
{
    struct ws_err err = {0};
    check(ws_zoo_build(&k->teacher, &k->t, "resnet8", SIDE, SIDE, 1, 10, &err), &err);
    check(ws_net_alloc(k->teacher, &err), &err);
    recipe_fill(k->teacher, "teacher", "");
    const struct ws_param *fc = &k->teacher->params[ws_net_find_param(k->teacher, "fc.weight")];
    for (size_t i = 0; i < fc->n; i++)
        k->teacher->values[fc->offset + i] *= 0.125F;

    check(ws_zoo_build(&k->student, &k->s, "resnet8", SIDE, SIDE, 1, 10, &err), &err);
    k->projected = add_projector(k->student, k->s.features);
    const int pooled = ws_net_global_average_pool(k->student, "projected_pool", k->projected);
    k->classifier = ws_net_gemm(k->student, "classifier", pooled, 10, true);
    k->embed = ws_net_gemm(k->student, "embed", k->s.pooled, k->embedding, true);
    check(ws_net_alloc(k->student, &err), &err);
    check(ws_net_alloc_gradients(k->student, &err), &err);
    recipe_fill(k->student, "student", "");
    const char *const shared[] = {"weight", "bias"};
    for (int i = 0; i < 2; i++) {
        char from[32], to[32];
        snprintf(from, sizeof from, "fc.%s", shared[i]);
        snprintf(to, sizeof to, "classifier.%s", shared[i]);
        const int id = ws_net_find_param(k->teacher, from);
        const size_t n = k->teacher->params[id].n;
        float *values = take(n);
        ws_net_get(k->teacher, id, values, n);
        ws_net_set(k->student, ws_net_find_param(k->student, to), values, n);
        free(values);
        freeze(k->student, to);
    }

    k->embed_t = ws_net_new(1, 1, TEACHER_WIDTH);
    ws_net_gemm(k->embed_t, "embed_t", 0, k->embedding, true);
    check(ws_net_alloc(k->embed_t, &err), &err);
    check(ws_net_alloc_gradients(k->embed_t, &err), &err);
    recipe_fill(k->embed_t, "embed_t", "embed_t.");
}

static void open_execs(struct kd3 *k)
{
    struct ws_err err = {0};
    const int t_taps[] = {k->t.features, k->t.pooled};
    const struct ws_exec_options teacher = {.max_batch = k->batch, .taps = t_taps, .n_taps = 2};
    const int s_taps[] = {k->projected, k->classifier, k->embed};
    check(ws_exec_open(&k->teach, k->teacher, k->workers, &teacher, &err), &err);
    k->on_x = open_exec(k->student, k->workers, k->batch, s_taps, 3);
    k->on_mixed = open_exec(k->student, k->workers, k->batch, s_taps, 3);
    k->embed_x = open_exec(k->embed_t, k->workers, k->batch, NULL, 0);
    k->embed_mixed = open_exec(k->embed_t, k->workers, k->batch, NULL, 0);
}

static double contrast(const struct kd3 *k, struct ws_exec *a, struct ws_exec *b, int node)
{
    float *scratch = take(ws_loss_ntxent_scratch(k->batch, k->embedding));
    const double loss = ws_array_ntxent(NULL, ws_exec_value(a, node), ws_exec_value(b, node), k->batch, k->embedding,
                                        TEMPERATURE_PERCENT / 100.0, 0.5, ws_exec_output_gradient(a, node),
                                        ws_exec_output_gradient(b, node), scratch);
    free(scratch);
    return loss;
}

/* Teacher on X' first, so that its features of X are still there for the alignment. */
static void run_kd3_step(struct kd3 *k)
{
    const size_t pooled = (size_t)k->batch * TEACHER_WIDTH;
    recipe_images("mixed", ws_exec_input(k->teach), k->batch, SIDE, SIDE, 1);
    ws_exec_forward(k->teach, k->batch, WS_BN_EVAL);
    memcpy(ws_exec_input(k->embed_mixed), ws_exec_value(k->teach, k->t.pooled), pooled * sizeof(float));
    recipe_images("x", ws_exec_input(k->teach), k->batch, SIDE, SIDE, 1);
    ws_exec_forward(k->teach, k->batch, WS_BN_EVAL);
    memcpy(ws_exec_input(k->embed_x), ws_exec_value(k->teach, k->t.pooled), pooled * sizeof(float));
    ws_exec_forward(k->embed_x, k->batch, WS_BN_TRAIN);
    ws_exec_forward(k->embed_mixed, k->batch, WS_BN_TRAIN);

    recipe_images("x", ws_exec_input(k->on_x), k->batch, SIDE, SIDE, 1);
    ws_exec_forward(k->on_x, k->batch, WS_BN_TRAIN);
    recipe_images("mixed", ws_exec_input(k->on_mixed), k->batch, SIDE, SIDE, 1);
    ws_exec_forward(k->on_mixed, k->batch, WS_BN_TRAIN);

    const float *z_s = ws_exec_value(k->on_x, k->classifier), *z_t = ws_exec_value(k->teach, k->t.logits);
    compare(k->file, "teacher_logits", z_t, (size_t)k->batch * 10, 1e-5);
    compare(k->file, "student_logits", z_s, (size_t)k->batch * 10, 1e-5);
    float *weights = take((size_t)k->batch), losses[3];
    for (int i = 0; i < k->batch; i++) {
        double sum = 0.0;
        for (int c = 0; c < 10; c++)
            sum += pow((double)z_s[i * 10 + c] - (double)z_t[i * 10 + c] + 1e-6, 2.0);
        weights[i] = (float)(1.0 / (1.0 + exp(-sqrt(sum))));
    }
    compare(k->file, "weights", weights, (size_t)k->batch, 1e-5);

    losses[0] = (float)ws_loss_alignment((struct ws_tap){k->on_x, k->projected},
                                         (struct ws_tap){k->teach, k->t.features}, 1, weights, 1.0, NULL, NULL);
    losses[1] = (float)contrast(k, k->on_x, k->on_mixed, k->embed);
    losses[2] = (float)contrast(k, k->embed_x, k->embed_mixed, ws_net_find(k->embed_t, "embed_t"));
    compare(k->file, "losses", losses, 3, 1e-5);
    free(weights);
    ws_exec_backward(k->on_x);
    ws_exec_backward(k->on_mixed);
    ws_exec_backward(k->embed_x);
    ws_exec_backward(k->embed_mixed);
}

static void kd3_step_gives_pytorchs_losses_and_gradients(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct kd3 k = {.file = open_golden("kd3_step")};
    k.batch = golden_int(k.file, "batch");
    k.embedding = golden_int(k.file, "embedding");
    check(ws_workers_open(&k.workers, 2, &err), &err);
    open_networks(&k);
    open_execs(&k);
    run_kd3_step(&k);

    const int n_student = compare_params(k.file, "gradient/", k.student, GRADIENTS, 1e-4);
    const int n_embed = compare_params(k.file, "gradient/", k.embed_t, GRADIENTS, 1e-4);
    assert_int_equal(n_student + n_embed, count_golden(k.file, "gradient/"));
    assert_int_equal(compare_params(k.file, "after/", k.student, VALUES, 1e-5), count_golden(k.file, "after/"));

    ws_exec_close(&k.teach);
    ws_exec_close(&k.on_x);
    ws_exec_close(&k.on_mixed);
    ws_exec_close(&k.embed_x);
    ws_exec_close(&k.embed_mixed);
    ws_net_free(&k.teacher);
    ws_net_free(&k.student);
    ws_net_free(&k.embed_t);
    ws_workers_close(&k.workers);
    ws_tensors_close(&k.file);
}

/* --- losses alone --- */

static void kd_is_pytorchs_kl_div_batchmean_times_t_squared(void **state)
{
    (void)state;
    enum { B = 9, C = 10 };
    struct ws_tensors *file = open_golden("losses");
    float student[B * C], teacher[B * C], gradient[B * C] = {0};
    recipe_draw("z", student, B * C, 4.0, 0.0);
    recipe_draw("t", teacher, B * C, 4.0, 0.0);
    compare_one(file, "kd", ws_array_kd(student, teacher, NULL, B, C, 4.0, 1.0, gradient, NULL), 1e-6);
    compare(file, "kd_gradient", gradient, B * C, 1e-6);
    ws_tensors_close(&file);
}

static void the_noisy_cross_entropy_and_its_two_gradients_are_pytorchs(void **state)
{
    (void)state;
    enum { B = 9, C = 10 };
    struct ws_tensors *file = open_golden("losses");
    float z[B * C], noise[C * (C - 1)], gradient[B * C] = {0}, noise_gradient[C * (C - 1)] = {0};
    double scratch[2 * C * (C - 1)];
    int32_t labels[B];
    recipe_draw("z", z, B * C, 4.0, 0.0);
    recipe_draw("noise", noise, C * (C - 1), 2.0, 0.0);
    for (int i = 0; i < B; i++)
        labels[i] = recipe_label(i);
    compare_one(file, "noisy", ws_array_noisy(z, labels, noise, B, C, 0.9, 1.0, gradient, noise_gradient, scratch),
                1e-6);
    compare(file, "noisy_gradient", gradient, B * C, 1e-6);
    compare(file, "noisy_gradient_matrix", noise_gradient, C * (C - 1), 1e-6);
    ws_tensors_close(&file);
}

static void losses_and_their_gradients_are_pytorchs(void **state)
{
    (void)state;
    enum { B = 9, C = 10, D = 24 };
    struct ws_tensors *file = open_golden("losses");
    float z[B * C], u[B * D], v[B * D], w[B], g[B * D], h[B * D];
    int32_t labels[B];
    recipe_draw("z", z, B * C, 4.0, 0.0);
    recipe_draw("u", u, B * D, 1.0, 0.0);
    recipe_draw("v", v, B * D, 1.0, 0.0);
    recipe_draw("w", w, B, 0.25, 0.75);
    for (int i = 0; i < B; i++)
        labels[i] = recipe_label(i);

    memset(g, 0, sizeof g);
    compare_one(file, "ce", ws_array_cross_entropy(z, labels, B, C, 0.1, 1.0, g, NULL), 1e-6);
    compare(file, "ce_gradient", g, B * C, 1e-6);

    float *scratch = take(ws_loss_ntxent_scratch(B, D));
    memset(g, 0, sizeof g);
    memset(h, 0, sizeof h);
    compare_one(file, "ntxent", ws_array_ntxent(NULL, u, v, B, D, 0.3, 1.0, g, h, scratch), 1e-6);
    compare(file, "ntxent_gradient_u", g, B * D, 1e-5);
    compare(file, "ntxent_gradient_v", h, B * D, 1e-5);
    memset(g, 0, sizeof g);
    memset(h, 0, sizeof h);
    compare_one(file, "infonce", ws_array_infonce(NULL, u, v, B, D, 0.3, 1.0, g, h, scratch), 1e-6);
    compare(file, "infonce_gradient_u", g, B * D, 1e-5);
    compare(file, "infonce_gradient_v", h, B * D, 1e-5);
    free(scratch);
    memset(g, 0, sizeof g);
    compare_one(file, "alignment", ws_array_alignment(u, v, w, B, D, 1.0, g, NULL), 1e-6);
    compare(file, "alignment_gradient", g, B * D, 1e-6);
    ws_tensors_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kd_is_pytorchs_kl_div_batchmean_times_t_squared),
        cmocka_unit_test(the_noisy_cross_entropy_and_its_two_gradients_are_pytorchs),
        cmocka_unit_test(losses_and_their_gradients_are_pytorchs),
        cmocka_unit_test(resnet8_trains_as_in_pytorch_on_grey_28),
        cmocka_unit_test(resnet8_trains_as_in_pytorch_on_colour_32),
        cmocka_unit_test(ten_steps_of_each_optimiser_are_pytorchs),
        cmocka_unit_test(nets_of_the_zoo_give_pytorchs_logits),
        cmocka_unit_test(kd3_step_gives_pytorchs_losses_and_gradients),
    };
    return cmocka_run_group_tests_name("golden files", tests, NULL, NULL);
}
