/* Trainings that end before their end: killed ones, and those whose numbers leave the floats. */
#include "place.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Weights grow ninefold a step until they leave the floats: the stage stops, and its replay tells the same. */
static void a_training_that_leaves_the_numbers_can_be_replayed(void **state)
{
    struct place place;
    struct ws_err failure;
    char kept[TEMP_PATH], out[TEMP_PATH];
    struct ws_buf table = {0};
    make_place(&place, *state, "ce");
    set_methods(&place, "steps: 30", "steps: 300");
    set_methods(&place, "lr: 0.1, schedule: onecycle", "lr: 10, weight_decay: 1, schedule: constant");
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 0, &failure), WS_E_NUMERIC);
    const char *at = strstr(failure.hint, "--replay ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "--replay %500s", kept), 1);

    temp_join(out, place.folder, "replay.txt");
    const struct ws_option_value options[] = {{"replay", kept}, {NULL, NULL}};
    fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    assert_non_null(freopen(out, "w", stdout));
    const enum ws_status status = run_with(&place, ws_teacher_command, options, 0, &failure);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(status, WS_OK);
    WORKDIR_OK(ws_file_read(out, 1 << 20, &table, err));
    assert_non_null(strstr(table.ptr, "it began in the student's "));
    assert_non_null(strstr(table.ptr, "conv1"));
    ws_buf_fini(&table);
    free_place(&place);
}

/* With several methods the stage cannot tell whose step it is: the hint's command has to say so. */
static void a_students_lost_step_is_told_with_the_command_that_replays_it(void **state)
{
    struct place place;
    struct ws_err failure;
    char kept[TEMP_PATH], method[32];
    make_place(&place, *state, "ce, kd");
    must(&place, ws_teacher_command);
    set_methods(&place, "epochs: 2, steps_per_epoch: 6, batch: 16,",
                "epochs: 40, steps_per_epoch: 6, batch: 16, lr: 10, weight_decay: 1, schedule: constant,");
    assert_int_equal(run_with(&place, ws_distill_command, NULL, 0, &failure), WS_E_NUMERIC);
    const char *at = strstr(failure.hint, "--method ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "--method %31s --replay %500s", method, kept), 2);
    assert_string_equal(method, "ce");
    const struct ws_option_value options[] = {{"method", method}, {"replay", kept}, {NULL, NULL}};
    assert_int_equal(run_with(&place, ws_distill_command, options, 0, &failure), WS_OK);
    free_place(&place);
}

static int64_t cpu_ns(void)
{
    struct timespec spent;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), 0);
    return (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
}

/* Run a command in a child that is killed when it has worked for so long; true when it ended by itself, well. */
static bool run_and_kill(struct place *place, command_fn *command, int64_t after_ns)
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ws_err err;
        timer_t timer;
        struct sigevent kill = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
        const struct itimerspec when = {
            .it_value = {.tv_sec = (time_t)(after_ns / 1000000000), .tv_nsec = (long)(after_ns % 1000000000)}};
        if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &kill, &timer) != 0 || timer_settime(timer, 0, &when, NULL) != 0)
            _exit(2);
        _exit(run_with(place, command, NULL, 0, &err) == WS_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/*
 * The first place is left alone, the second killed again and again, at ever later instants: parts of what the first has
 * worked, so that they lie as close on a slow machine.
 */
static void killed_at_any_instant_the_bytes_end_up_the_same(void **state)
{
    static const char *const made[] = {"teacher/teacher.safetensors",
                                       "runs/kd3/student.safetensors",
                                       "runs/kd3/best.safetensors",
                                       "runs/ce/student.safetensors",
                                       "runs/kd3/selection/epoch-002.safetensors",
                                       "runs/refined/part-001.safetensors",
                                       "runs/kd3+/student.safetensors"};
    struct place whole, killed;
    char folder[TEMP_PATH];
    (void)state;
    temp_make(folder);
    make_place(&whole, *state, "kd3, ce, kd3+");
    make_place(&killed, folder, "kd3, ce, kd3+");
    KEYS(killed.work.config, teacher)->checkpoint_s = KEYS(killed.work.config, distill)->checkpoint_s = 0;
    static command_fn *const commands[] = {ws_teacher_command, ws_distill_command};
    for (int i = 0; i < 2; i++) {
        const int64_t begin = cpu_ns();
        must(&whole, commands[i]);
        const int64_t step = (cpu_ns() - begin) / 32;
        int n_kills = 0;
        while (!run_and_kill(&killed, commands[i], (n_kills + 1) * step))
            n_kills++;
        assert_true(n_kills >= 3);
    }
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        struct ws_tensors *a, *b;
        char path[TEMP_PATH];
        WORKDIR_OK(ws_tensors_open(&a, temp_join(path, whole.folder, made[i]), err));
        WORKDIR_OK(ws_tensors_open(&b, temp_join(path, killed.folder, made[i]), err));
        /* The two places name their inputs by different paths, so the cards' configuration digests differ. */
        assert_memory_equal(ws_tensors_digest(a), ws_tensors_digest(b), sizeof(struct ws_digest));
        ws_tensors_close(&a);
        ws_tensors_close(&b);
    }
    free_place(&whole);
    free_place(&killed);
    temp_remove(folder);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_training_that_leaves_the_numbers_can_be_replayed),
        IN_FOLDER(a_students_lost_step_is_told_with_the_command_that_replays_it),
        IN_FOLDER(killed_at_any_instant_the_bytes_end_up_the_same),
    };
    return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
