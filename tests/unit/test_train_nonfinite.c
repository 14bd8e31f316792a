/* A training that leaves the numbers: where it began is told, its step is kept, and runs again. */
#include "program.h"
#include "train_bench.h"

/* Cross entropy with one parameter spoilt before step 7. */
static struct {
    const char *param;
    float value;
} spoiler;

static void spoilt_losses(void *state, struct ws_step *step)
{
    const struct ws_net *net = step->training->student->net;
    if (step->place.step == 6) {
        const struct ws_param *param = &net->params[ws_net_find_param(net, spoiler.param)];
        for (size_t i = 0; i < param->n; i++)
            net->values[param->offset + i] = i % 2 ? spoiler.value : -spoiler.value;
    }
    ws_method_ce.phases->losses(state, step);
}

/* Trains into the spoilt step; the message, and what its replay prints (free it). */
static char *spoil(const char *folder, const char *param, float value, struct ws_err *err)
{
    static struct bench b;
    struct ws_method method = ws_method_ce;
    char kept[TEMP_PATH], *text = NULL;
    size_t len = 0;
    const struct ws_phase phases[] = {{.name = "learn", .losses = spoilt_losses}, {0}};
    method.phases = phases;
    spoiler.param = param;
    spoiler.value = value;
    open_bench(&b, folder, "ce", 2, NULL);
    assert_int_equal(run(&b, &method, err), WS_E_NUMERIC);
    assert_false(ws_file_exists(b.last));
    temp_join(kept, b.dir, "nan-step-7.safetensors");
    if (!ws_file_exists(kept))
        fail_msg("%s", err->text);
    assert_non_null(strstr(err->hint, kept));
    assert_non_null(strstr(err->hint, "--replay"));
    close_bench(&b);

    /* In a new process's state, without the spoiler: the file alone brings it back. */
    struct ws_err none;
    open_bench(&b, folder, "ce", 1, NULL);
    b.options.replay = kept;
    b.options.replay_out = open_memstream(&text, &len);
    if (run(&b, &ws_method_ce, &none) != WS_OK)
        fail_msg("%s", none.text);
    fclose(b.options.replay_out);
    close_bench(&b);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in: %s", part, text);
}

static void a_value_that_overflows_is_traced_to_its_node_and_replayed(void **state)
{
    struct ws_err err;
    char *replay = spoil(*state, "layer2.0.conv1.weight", 3e38f, &err);
    assert_has(err.text, "training left the numbers at step 7 (epoch 2)");
    assert_has(err.text, "student's activation of layer2.0.conv1 (");
    assert_has(replay, "step 7, epoch 2, 16 images");
    assert_has(replay, "it began in the student's activation of layer2.0.conv1\n");
    free(replay);
}

static void a_weight_that_is_no_number_is_named(void **state)
{
    struct ws_err err;
    char *replay = spoil(*state, "layer3.0.bn2.bias", NAN, &err);
    assert_has(err.text, "student's weight of layer3.0.bn2.bias (");
    assert_has(replay, "weight of layer3.0.bn2.bias");
    free(replay);
}

/* A smoothing beyond float, though not beyond double, makes a finite loss with a gradient that is not. */
static void a_gradient_that_overflows_stops_the_run_before_it_is_used(void **state)
{
    static struct bench b;
    struct ws_err err;
    char kept[TEMP_PATH], *replay = NULL;
    size_t len = 0;
    for (int again = 0; again < 2; again++) {
        open_bench(&b, *state, "ce", 2, NULL);
        b.session.label_smoothing = 1e100;
        temp_join(kept, b.dir, "nan-step-1.safetensors");
        if (again) {
            b.options.replay = kept;
            b.options.replay_out = open_memstream(&replay, &len);
            assert_int_equal(run(&b, &ws_method_ce, &err), WS_OK);
            fclose(b.options.replay_out);
        } else {
            assert_int_equal(run(&b, &ws_method_ce, &err), WS_E_NUMERIC);
            assert_has(err.text, "a gradient is not finite; it began in the student's gradient of fc.bias");
        }
        close_bench(&b);
    }
    assert_has(replay, "it began in the student's gradient of fc.bias\n");
    free(replay);
}

static void an_input_that_is_not_finite_is_blamed_on_no_layer(void **state)
{
    static struct bench b;
    struct ws_err err;
    char path[TEMP_PATH];
    struct ws_tensors *kept;
    open_bench(&b, *state, "kd3", 2, the_teacher);
    KEYS(&b.config, kd3)->select = false;
    b.session.augment.std[0] = 0;
    assert_int_equal(run(&b, &ws_method_kd3, &err), WS_E_NUMERIC);
    if (!strstr(err.text, "student's activation of input"))
        fail_msg("%s", err.text);
    assert_int_equal(ws_tensors_open(&kept, temp_join(path, b.dir, "nan-step-1.safetensors"), &err), WS_OK);
    static const char *const names[] = {"batch.images",  "batch.ids",   "batch.labels",   "input.student",
                                        "input.teacher", "input.mixed", "output.teacher", "student.conv1.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!ws_tensors_find(kept, names[i]))
            fail_msg("%s is not kept", names[i]);
    ws_tensors_close(&kept);
    close_bench(&b);
}

static void a_rate_that_is_too_high_ends_in_an_error_not_in_a_student(void **state)
{
    static struct bench b;
    struct ws_err err;
    open_bench(&b, *state, "ce", 2, NULL);
    KEYS(&b.config, distill)->optim.lr = 1e30;
    KEYS(&b.config, distill)->optim.schedule = WS_SCHEDULE_CONSTANT;
    assert_int_equal(run(&b, &ws_method_ce, &err), WS_E_NUMERIC);
    assert_has(err.text, "it began in the student's");
    assert_has(err.hint, "lower the learning rate");
    assert_false(ws_file_exists(b.last));
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_value_that_overflows_is_traced_to_its_node_and_replayed),
        IN_FOLDER(a_weight_that_is_no_number_is_named),
        IN_FOLDER(a_gradient_that_overflows_stops_the_run_before_it_is_used),
        IN_FOLDER(an_input_that_is_not_finite_is_blamed_on_no_layer),
        IN_FOLDER(a_rate_that_is_too_high_ends_in_an_error_not_in_a_student),
    };
    return cmocka_run_group_tests_name("train_nonfinite", tests, train_teacher, free_teacher);
}
