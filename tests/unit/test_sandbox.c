/** The sandbox: whatever one image does to its decoder, every other image is answered, once. */
#include "../../store/picture/sandbox.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_BODY = 1 << 20, N_TICKETS = 200 };

/** Answers by ticket. */
struct answers {
    struct ws_picture_result results[N_TICKETS];
    uint8_t first_pixel[N_TICKETS];
    size_t body_len[N_TICKETS];
    int n[N_TICKETS];
};

static void take(void *argument, size_t ticket, const struct ws_picture_result *result, const uint8_t *square,
                 struct ws_span body)
{
    struct answers *answers = argument;
    assert_true(ticket < N_TICKETS);
    answers->results[ticket] = *result;
    answers->first_pixel[ticket] = square[0];
    answers->body_len[ticket] = body.len;
    answers->n[ticket]++;
}

/** A decoder that does what its body says. */
static void act(struct ws_span body, const struct ws_picture_rule *rule, uint8_t *square,
                struct ws_picture_result *result)
{
    (void)rule;
    volatile uint64_t spin = 0;
    void *memory = NULL;
    *result = (struct ws_picture_result){.reason = WS_IMAGE_OK};
    switch (body.ptr[0]) {
    case 'c':
        raise(SIGSEGV); /* outside the filter: kill() is forbidden, the effect is the same */
        abort();
    case 'o':
        (void)open("/etc/passwd", O_RDONLY);
        break;
    case 'x':
        _exit(7);
    case 'l':
        for (;;)
            spin++;
    case 'm':
        memory = malloc((size_t)8 << 30);
        result->reason = memory ? WS_IMAGE_OK : WS_IMAGE_DECODER_MEMORY;
        free(memory);
        break;
    case 'n':
        memset(result, 0xff, sizeof *result); /* nonsense from a decoder that was taken over */
        break;
    default:
        square[0] = body.ptr[1];
    }
}

static struct ws_sandbox *open_sandbox(struct answers *answers, int n_workers)
{
    struct ws_sandbox *sandbox = NULL;
    struct ws_err err = {0};
    const struct ws_sandbox_setup setup = {
        .n_workers = n_workers,
        .rule = {.size = 4, .channels = 1, .max_pixels = 1000000},
        .work = act,
        .max_body_bytes = MAX_BODY,
        .timeout_s = 1,
        .done = take,
        .argument = answers,
    };
    memset(answers, 0, sizeof *answers);
    assert_int_equal(ws_sandbox_open(&sandbox, &setup, &err), WS_OK);
    return sandbox;
}

static void send(struct ws_sandbox *sandbox, size_t ticket, const char *body)
{
    struct ws_err err = {0};
    const struct ws_span span = {(const uint8_t *)body, strlen(body)};
    assert_int_equal(ws_sandbox_decode(sandbox, ticket, span, &err), WS_OK);
}

static void drain(struct ws_sandbox *sandbox)
{
    struct ws_err err = {0};
    assert_int_equal(ws_sandbox_drain(sandbox, &err), WS_OK);
}

static void test_every_body_is_answered_once_by_its_own_pixels(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 3);
    for (size_t i = 0; i < N_TICKETS; i++)
        send(sandbox, i, (char[]){'p', (char)(i + 1), 0});
    drain(sandbox);
    for (size_t i = 0; i < N_TICKETS; i++) {
        assert_int_equal(answers.n[i], 1);
        assert_int_equal(answers.results[i].reason, WS_IMAGE_OK);
        assert_int_equal(answers.first_pixel[i], (uint8_t)(i + 1));
    }
    ws_sandbox_close(&sandbox);
    assert_null(sandbox);
}

static void test_a_crash_costs_its_own_image_alone(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 2);
    for (size_t i = 0; i < 60; i++)
        send(sandbox, i, i % 10 == 3 ? "crash" : i % 10 == 7 ? "xit" : "pq");
    drain(sandbox);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(answers.n[i], 1);
        const bool bad = i % 10 == 3 || i % 10 == 7;
        assert_int_equal(answers.results[i].reason, bad ? WS_IMAGE_DECODER_CRASH : WS_IMAGE_OK);
        if (bad)
            assert_true(answers.results[i].detail[0] != 0 && answers.body_len[i] == (i % 10 == 3 ? 5 : 3));
    }
    assert_non_null(strstr(answers.results[7].detail, "exit code 7"));
    ws_sandbox_close(&sandbox);
}

static void test_a_forbidden_system_call_ends_the_decoder(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 1);
    const bool filtered = ws_sandbox_is_filtered(sandbox);
    send(sandbox, 0, "open");
    send(sandbox, 1, "pq");
    drain(sandbox);
    ws_sandbox_close(&sandbox);
    assert_int_equal(answers.results[1].reason, WS_IMAGE_OK);
    if (!filtered)
        skip(); /* sanitizers, or a kernel without seccomp */
    assert_int_equal(answers.results[0].reason, WS_IMAGE_DECODER_CRASH);
    assert_non_null(strstr(answers.results[0].detail, "forbidden system call"));
}

static void test_a_decoder_without_end_is_stopped(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 2);
    send(sandbox, 0, "loop");
    for (size_t i = 1; i < 20; i++)
        send(sandbox, i, "pq");
    drain(sandbox);
    assert_int_equal(answers.results[0].reason, WS_IMAGE_DECODER_TIMEOUT);
    for (size_t i = 1; i < 20; i++)
        assert_int_equal(answers.results[i].reason, WS_IMAGE_OK);
    ws_sandbox_close(&sandbox);
}

static void test_too_much_memory_is_refused_not_granted(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 1);
    const bool limited = ws_sandbox_is_filtered(sandbox);
    send(sandbox, 0, "memory");
    drain(sandbox);
    ws_sandbox_close(&sandbox);
    if (!limited)
        skip();
    assert_int_equal(answers.results[0].reason, WS_IMAGE_DECODER_MEMORY);
}

static void test_a_nonsense_answer_is_a_crash(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 1);
    send(sandbox, 0, "nonsense");
    send(sandbox, 1, "pq");
    drain(sandbox);
    assert_int_equal(answers.results[0].reason, WS_IMAGE_DECODER_CRASH);
    assert_int_equal(answers.results[1].reason, WS_IMAGE_OK);
    ws_sandbox_close(&sandbox);
}

static void test_closing_with_work_in_hand_leaves_no_process(void **state)
{
    (void)state;
    struct answers answers;
    struct ws_sandbox *sandbox = open_sandbox(&answers, 2);
    send(sandbox, 0, "loop");
    ws_sandbox_close(&sandbox);
    assert_int_equal(answers.n[0], 0);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as ws_stop_install() does in the programs */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_body_is_answered_once_by_its_own_pixels),
        cmocka_unit_test(test_a_crash_costs_its_own_image_alone),
        cmocka_unit_test(test_a_forbidden_system_call_ends_the_decoder),
        cmocka_unit_test(test_a_decoder_without_end_is_stopped),
        cmocka_unit_test(test_too_much_memory_is_refused_not_granted),
        cmocka_unit_test(test_a_nonsense_answer_is_a_crash),
        cmocka_unit_test(test_closing_with_work_in_hand_leaves_no_process),
    };
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
