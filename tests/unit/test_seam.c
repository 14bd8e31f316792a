/*
 * A made-up method through the public seam alone: no labels, no pictures of the pool. A generator and its latents learn
 * against the teacher, what they make goes into a ring, and the student learns from that ring by priority; three
 * learners, two optimisers, two phases. It resumes byte for byte like any other.
 */
#include "../../distill/learn/ring.h"
#include "../../distill/learn/update.h"
#include "program.h"
#include "train_bench.h"

#include "webstill/nn/loss.h"
#include "webstill/nn/statistics.h"

enum { LATENT = 6, CAPACITY = 48, STUDENT = 1, MAKERS = 2 | 4 };

struct toy {
    const struct ws_session *session;
    struct ws_optim_keys adam;              /* of generator and latents */
    struct ws_network *generator, *teacher; /* the teacher as it was, with a gradient for its input */
    struct ws_learner *latent;
    struct ws_ring *ring;
    int32_t targets[BATCH];
};

static void remember_losses(void *argument, struct ws_ring *ring, const struct ws_batch *batch, const float *loss_of)
{
    (void)argument;
    for (int i = 0; i < batch->n; i++)
        ws_ring_set_priority(ring, batch->images[i], (double)loss_of[i] + 1e-6);
}

static struct ws_net *make_generator(void)
{
    struct ws_net *net = ws_net_new(1, 1, LATENT);
    int x = ws_net_gemm(net, "fc", 0, 4 * SIDE * SIDE, true);
    x = ws_net_reshape(net, "map", x, SIDE, SIDE, 4);
    x = ws_net_relu(net, "relu", ws_net_batchnorm(net, "bn", x));
    ws_net_conv(net, "conv", x, 1, (struct ws_window)WS_SQUARE(3, 1, 1), true);
    return net;
}

static enum ws_status open_toy(struct ws_training *training, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    enum ws_status status = ws_training_alloc(training, &training->state, 1, sizeof(struct toy), err);
    struct toy *toy = training->state;
    if (status != WS_OK)
        return status;
    toy->session = session;
    toy->adam = (struct ws_optim_keys){.options = {.kind = WS_OPTIM_ADAM, .beta1 = .5, .beta2 = .999, .eps = 1e-8},
                                       .lr = .02,
                                       .schedule = WS_SCHEDULE_CONSTANT};
    const struct ws_exec_options both = {.max_batch = BATCH, .backward = true, .input_gradient = true};
    const struct ws_ring_options ring = {
        .capacity = CAPACITY, .correction = .4, .note = remember_losses, .argument = toy};
    struct ws_net *generator = make_generator();
    status = ws_training_add_student(training, &session->card, -1, err);
    if (status == WS_OK)
        status = ws_training_add_teacher(training, err);
    if (status == WS_OK)
        status = ws_training_add_net(training, "generator", "generator", &generator, &toy->adam, &both, &toy->generator,
                                     err);
    if (status == WS_OK)
        status = ws_training_add_numbers(training, "latent", BATCH * LATENT, &toy->adam, &toy->latent, err);
    if (status == WS_OK)
        status = ws_training_add_run(training, "inverted", session->teacher->net, NULL, &both, &toy->teacher, err);
    if (status == WS_OK)
        status = ws_ring_open(&toy->ring, session, &ring, err);
    if (status == WS_OK)
        training->supply = ws_ring_supply(toy->ring);
    return status;
}

/* Latents and classes are drawn anew each step, and then learn for as many turns as the phase has. */
static void draw_latents(struct toy *toy, int64_t step)
{
    struct ws_rng rng;
    ws_rng_init(&rng, toy->session->seed, WS_STREAM_TEST, (uint32_t)step, 0);
    for (size_t i = 0; i < toy->latent->n; i++)
        toy->latent->values[i] = (float)(2.0 * ws_rng_uniform(&rng) - 1.0);
    for (int i = 0; i < BATCH; i++)
        toy->targets[i] = (int32_t)ws_rng_below(&rng, CLASSES);
}

static void invert(void *state, struct ws_step *step)
{
    struct toy *toy = state;
    const struct ws_model *teacher = toy->session->teacher;
    const struct ws_point made = {toy->generator, toy->generator->net->n_nodes - 1};
    const struct ws_point logits = {toy->teacher, teacher->logits};
    if (step->place.turn == 0)
        draw_latents(toy, step->place.step);
    ws_step_flow_numbers(step, toy->latent, toy->generator);
    ws_step_forward(step, toy->generator, step->n, WS_BN_TRAIN);
    ws_step_flow(step, made, toy->teacher, 0);
    ws_step_forward(step, toy->teacher, step->n, WS_BN_OBSERVE);
    const double wrong = ws_loss_cross_entropy(ws_point_tap(logits), toy->targets, 0.0, 1.0, NULL);
    ws_step_add_loss(step, "class", wrong, 1.0);
    ws_step_add_loss(step, "statistics", ws_loss_statistics(toy->teacher->exec, teacher->net, .1), .1);
}

static void keep_images(void *state, struct ws_step *step)
{
    struct toy *toy = state;
    const struct ws_point made = {toy->generator, toy->generator->net->n_nodes - 1};
    if (step->place.turn == 1)
        ws_ring_put(toy->ring, ws_point_value(made), step->n, toy->targets, NULL);
}

/* Not before there are two batches to draw from. */
static int count_distil(void *state, const struct ws_place *place)
{
    (void)place;
    const struct toy *toy = state;
    return ws_ring_count(toy->ring) >= 2 * BATCH ? 3 : 0;
}

/* Each image's divergence by its own weight. */
static void distil(void *state, struct ws_step *step)
{
    (void)state;
    const struct ws_point student = ws_step_student_logits(step), teacher = ws_step_teacher_logits(step);
    ws_step_run_student(step);
    ws_step_run_teacher(step, step->training->student);
    assert_non_null(step->batch.weights);
    ws_step_imitate(step, "kd", student, teacher, 4, step->batch.weights, 1.0);
}

static void add_metrics(void *state, json_t *line)
{
    const struct toy *toy = state;
    json_object_set_new(line, "n_made", json_integer((json_int_t)ws_ring_count(toy->ring)));
}

static const struct ws_phase phases[] = {
    {.name = "invert", .steps = 2, .learners = MAKERS, .draws_nothing = true, .losses = invert, .done = keep_images},
    {.name = "distil", .learners = STUDENT, .count = count_distil, .losses = distil},
    {0},
};
static const struct ws_need needs[] = {{.kind = WS_NEED_BATCHNORM}, {0}};
static const struct ws_method toy_method = {
    .name = "toy", .summary = "a test's", .needs = needs, .phases = phases, .open = open_toy, .metrics = add_metrics};

static void it_teaches_a_student_that_saw_no_picture(void **state)
{
    static struct bench b;
    char path[TEMP_PATH];
    struct ws_buf text = {0};
    open_bench(&b, *state, "toy", 2, the_teacher);
    b.session.epochs = 12;
    must_run(&b, &toy_method);
    if (!(b.result.held_best > .5))
        fail_msg("%g of the hold-out are right", b.result.held_best);
    read_file(temp_join(path, b.dir, "metrics.jsonl"), &text);
    assert_non_null(strstr(text.ptr, "\"n_made\":48"));
    assert_non_null(strstr(text.ptr, "\"class\":"));
    assert_non_null(strstr(text.ptr, "\"kd\":"));
    ws_buf_fini(&text);
    close_bench(&b);
}

static void each_phase_trains_its_own_learners_alone(void **state)
{
    (void)state;
    static struct bench b;
    struct ws_training training;
    struct ws_err err = {0};
    const struct ws_phase *phase;
    open_bench(&b, *state, "toy", 1, the_teacher);
    assert_int_equal(ws_method_open(&toy_method, &training, &b.session, &err), WS_OK);
    const struct toy *toy = training.state;
    assert_int_equal(training.n_learners, 3);
    const size_t n = training.learners[0]->n;
    float *before = malloc(n * sizeof *before), *generator = malloc(training.learners[1]->n * sizeof *generator);
    memcpy(before, training.learners[0]->values, n * sizeof *before);
    for (int64_t i = 0; i < 3; i++) {
        struct ws_step step = {.training = &training, .place = {.epoch = 1, .epochs = 1, .step = i, .rate_steps = 9}};
        memcpy(generator, training.learners[1]->values, training.learners[1]->n * sizeof *generator);
        assert_int_equal(ws_update_step(&toy_method, &step, &phase, &err), WS_OK);
        assert_memory_not_equal(generator, training.learners[1]->values, training.learners[1]->n * sizeof *generator);
        /* Two turns a step of the makers; the student waits for two batches, then takes three. */
        assert_int_equal(training.learners[1]->optim.n_steps, 2 * (i + 1));
        assert_int_equal(training.learners[2]->optim.n_steps, 2 * (i + 1));
        assert_int_equal(training.learners[0]->optim.n_steps, i == 0 ? 0 : 3 * i);
        assert_int_equal(memcmp(before, training.learners[0]->values, n * sizeof *before) == 0, i == 0);
    }
    int n_told = 0; /* what the student found hard came back to the ring */
    for (uint32_t slot = 0; slot < ws_ring_count(toy->ring); slot++)
        n_told += ws_ring_priority(toy->ring, slot) != 1.0;
    assert_true(n_told > BATCH);
    free(before);
    free(generator);
    ws_method_close(&toy_method, &training);
    close_bench(&b);
}

/* The inverted teacher, the generator and the latents hang on one tape: along the latents' own gradient, the slope of
 * the loss is its length. */
static void the_tape_reaches_the_latents(void **state)
{
    static struct bench b;
    struct ws_training training;
    struct ws_err err = {0};
    open_bench(&b, *state, "toy", 1, the_teacher);
    assert_int_equal(ws_method_open(&toy_method, &training, &b.session, &err), WS_OK);
    struct toy *toy = training.state;
    struct ws_learner *latent = toy->latent;
    float start[BATCH * LATENT], direction[BATCH * LATENT];
    double loss[3];
    toy->adam.lr = 0; /* the rate is read at each step: nothing moves */
    draw_latents(toy, 0);
    memcpy(start, latent->values, sizeof start);
    const double reach = 2e-3;
    double length = 0;
    for (int side = 0; side < 3; side++) {
        struct ws_step step = {.training = &training, .place = {.epoch = 1, .epochs = 1, .turn = 5}, .n = BATCH};
        for (size_t i = 0; i < latent->n; i++)
            latent->values[i] = start[i] + (side == 0 ? 0 : (float)(side == 1 ? reach : -reach) * direction[i]);
        training.n_losses = 0;
        assert_int_equal(ws_update_phase(phases, &step, &err), WS_OK);
        loss[side] = step.loss;
        if (side > 0)
            continue;
        length = ws_learner_norm(latent);
        for (size_t i = 0; i < latent->n; i++)
            direction[i] = (float)((double)latent->gradients[i] / length);
    }
    const double slope = (loss[1] - loss[2]) / (2 * reach);
    if (!(length > 1e-3 && fabs(slope - length) < .03 * length))
        fail_msg("slope %g, gradient %g", slope, length);
    ws_method_close(&toy_method, &training);
    close_bench(&b);
}

static void cut_anywhere_it_ends_with_the_same_bytes(void **state)
{
    static struct bench whole, cut;
    open_bench(&whole, *state, "whole", 1, the_teacher);
    must_run(&whole, &toy_method);
    enum ws_status status = WS_E_BUDGET;
    for (int n_calls = 0; status == WS_E_BUDGET; n_calls++) {
        struct ws_err err;
        open_bench(&cut, *state, "cut", 1 + n_calls % 3, the_teacher);
        cut.options.limit = 1 + n_calls % 4;
        status = run(&cut, &toy_method, &err);
        close_bench(&cut);
        assert_true(n_calls < 40);
    }
    assert_int_equal(status, WS_OK);
    assert_same_file(whole.last, cut.last);
    assert_same_file(whole.best, cut.best);
    assert_same_metrics(whole.dir, cut.dir);
    close_bench(&whole);
}

/* As kill -9 leaves it: an old checkpoint, and metrics of later steps. */
static void killed_behind_a_checkpoint_it_ends_with_the_same_bytes(void **state)
{
    static struct bench whole, killed;
    struct ws_err err;
    char checkpoint[TEMP_PATH], early[TEMP_PATH];
    open_bench(&whole, *state, "whole", 2, the_teacher);
    must_run(&whole, &toy_method);
    open_bench(&killed, *state, "killed", 3, the_teacher);
    temp_join(checkpoint, killed.dir, "checkpoint.safetensors");
    temp_join(early, *state, "early.safetensors");
    killed.options.limit = 7;
    assert_int_equal(run(&killed, &toy_method, &err), WS_E_BUDGET);
    copy_file(checkpoint, early);
    killed.options.limit = 6;
    assert_int_equal(run(&killed, &toy_method, &err), WS_E_BUDGET);
    copy_file(early, checkpoint);
    killed.options.limit = 0;
    must_run(&killed, &toy_method);
    assert_same_file(whole.last, killed.last);
    assert_same_metrics(whole.dir, killed.dir);
    close_bench(&whole);
    close_bench(&killed);
}

static void a_phase_that_leaves_the_numbers_is_kept_and_run_again(void **state)
{
    static struct bench b;
    struct ws_err err;
    char kept[TEMP_PATH], *text = NULL;
    size_t len = 0;
    struct ws_phase spoilt[3];
    memcpy(spoilt, phases, sizeof spoilt);
    struct ws_method method = toy_method;
    method.phases = spoilt;
    open_bench(&b, *state, "toy", 2, the_teacher);
    KEYS(&b.config, distill)->optim.lr = 1e30;
    KEYS(&b.config, distill)->optim.schedule = WS_SCHEDULE_CONSTANT;
    assert_int_equal(run(&b, &method, &err), WS_E_NUMERIC);
    assert_non_null(strstr(err.text, "it began in the student's"));
    const char *at = strstr(err.hint, "--replay ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "--replay %1023s", kept), 1);
    close_bench(&b);
    open_bench(&b, *state, "toy", 1, the_teacher);
    b.options.replay = kept;
    b.options.replay_out = open_memstream(&text, &len);
    assert_int_equal(run(&b, &toy_method, &err), WS_OK);
    fclose(b.options.replay_out);
    if (!strstr(text, "it began in the student's") || !strstr(text, "16 images") || strstr(text, "\ngenerator"))
        fail_msg("%s", text); /* of the phase that failed, and of no other */
    free(text);
    close_bench(&b);
}

/* Each of many losses has its place in steps, sums and checkpoints. */
static void many_losses(void *state, struct ws_step *step)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    ws_method_ce.phases->losses(state, step);
    for (int i = 0; i < 12; i++)
        ws_step_add_loss(step, names[i], i, 0.0);
}

static void there_may_be_any_number_of_losses(void **state)
{
    static struct bench b;
    struct ws_err err;
    struct ws_buf text = {0};
    char path[TEMP_PATH];
    struct ws_method method = ws_method_ce;
    const struct ws_phase list[] = {{.name = "learn", .losses = many_losses}, {0}};
    method.phases = list;
    open_bench(&b, *state, "many", 2, NULL);
    b.options.limit = 3;
    assert_int_equal(run(&b, &method, &err), WS_E_BUDGET);
    b.options.limit = 0;
    must_run(&b, &method);
    read_file(temp_join(path, b.dir, "metrics.jsonl"), &text);
    assert_non_null(strstr(text.ptr, "\"k\":10.0,\"l\":11.0}"));
    ws_buf_fini(&text);
    close_bench(&b);
}

/* Two ranks, of which the other has the same gradients doubled: the mean is three halves of one's own. */
static int n_reduced;

static enum ws_status reduce(const struct ws_comm *comm, float *gradients, size_t n, struct ws_err *err)
{
    (void)err;
    assert_int_equal(comm->n_ranks, 2);
    for (size_t i = 0; i < n; i++)
        gradients[i] *= 1.5f;
    n_reduced++;
    return WS_OK;
}

static void gradients_are_reduced_before_their_norm_is_taken(void **state)
{
    const struct ws_comm comm = {.rank = 0, .n_ranks = 2, .reduce = reduce};
    double norms[2];
    for (int ranks = 0; ranks < 2; ranks++) {
        static struct bench b;
        struct ws_training training;
        struct ws_err err = {0};
        const struct ws_phase *phase;
        open_bench(&b, *state, "comm", 1, the_teacher);
        b.session.comm = ranks ? &comm : NULL;
        assert_int_equal(ws_method_open(&toy_method, &training, &b.session, &err), WS_OK);
        struct ws_step step = {.training = &training, .place = {.epoch = 1, .epochs = 1, .rate_steps = 9}};
        ((struct toy *)training.state)->adam.lr = 0; /* so that both turns have the same gradients */
        assert_int_equal(ws_update_step(&toy_method, &step, &phase, &err), WS_OK);
        norms[ranks] = step.gradient_norm;
        ws_method_close(&toy_method, &training);
        close_bench(&b);
    }
    assert_int_equal(n_reduced, 4); /* generator and latents, twice */
    assert_true(fabs(norms[1] / norms[0] - 1.5) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(it_teaches_a_student_that_saw_no_picture),
        IN_FOLDER(each_phase_trains_its_own_learners_alone),
        IN_FOLDER(the_tape_reaches_the_latents),
        IN_FOLDER(cut_anywhere_it_ends_with_the_same_bytes),
        IN_FOLDER(killed_behind_a_checkpoint_it_ends_with_the_same_bytes),
        IN_FOLDER(a_phase_that_leaves_the_numbers_is_kept_and_run_again),
        IN_FOLDER(there_may_be_any_number_of_losses),
        IN_FOLDER(gradients_are_reduced_before_their_norm_is_taken),
    };
    return cmocka_run_group_tests_name("seam", tests, train_teacher, free_teacher);
}
