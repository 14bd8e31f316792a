/* What `webstill distill` warns of before it begins: a student as large as its teacher, ten images, a pool of junk. */
#include "../../distill/learn/start_check.h"
#include "pool_data.h"
#include "program.h"

enum { N = 240, CLASSES = 3, SIDE = 8 };

static char *class_names[] = {"a", "b", "c"};

struct bench {
    struct ws_config config;
    struct ws_dataset data;
    struct ws_model *teacher;
    uint32_t asked[N];
    int32_t choices[N];
    struct ws_start start;
};

static void open_bench(struct bench *b, size_t n)
{
    static char student[] = "resnet8";
    struct ws_err err = {0};
    struct ws_card card = {
        .arch = "resnet14", .classes = class_names, .n_classes = CLASSES, .height = SIDE, .width = SIDE, .channels = 1};
    memset(b, 0, sizeof *b);
    test_config_init(&b->config);
    pool_data_make(&b->data, n, SIDE, 1, CLASSES);
    assert_int_equal(ws_model_build(&b->teacher, &card, &err), WS_OK);
    KEYS(&b->config, distill)->runs.arch = student;
    KEYS(&b->config, distill)->batch = 16;
    for (uint32_t i = 0; i < n; i++) { /* the teacher is asked of half of the pool, and agrees with the search words */
        b->asked[i] = i;
        b->choices[i] = b->data.labels[i];
    }
    b->start = (struct ws_start){.config = &b->config,
                                 .teacher = b->teacher,
                                 .data = &b->data,
                                 .is_web = true,
                                 .n_train = n / 2,
                                 .asked = b->asked,
                                 .choices = b->choices,
                                 .n_asked = n / 2};
}

static void close_bench(struct bench *b)
{
    ws_config_fini(&b->config);
    ws_model_free(&b->teacher);
    ws_dataset_close(&b->data);
}

static void a_good_start_has_no_warning(void **state)
{
    static struct bench b;
    (void)state;
    open_bench(&b, N);
    assert_int_equal(ws_start_check(&b.start), 0);
    close_bench(&b);
}

static void a_student_as_large_as_its_teacher_is_told(void **state)
{
    static char *const students[] = {"resnet14", "resnet20"};
    static struct bench b;
    (void)state;
    open_bench(&b, N);
    for (int i = 0; i < 2; i++) {
        KEYS(&b.config, distill)->runs.arch = students[i];
        assert_int_equal(ws_start_check(&b.start), 1);
    }
    close_bench(&b);
}

static void ten_images_are_fewer_than_a_batch_and_than_a_pool(void **state)
{
    static struct bench b;
    (void)state;
    open_bench(&b, 20);
    assert_int_equal(ws_start_check(&b.start), 2);
    b.start.is_web = false; /* of the teacher's own data only the batch is told */
    assert_int_equal(ws_start_check(&b.start), 1);
    close_bench(&b);
}

static void junk_and_mixed_up_classes_are_told(void **state)
{
    static struct bench b;
    (void)state;
    open_bench(&b, N);
    for (int i = 0; i < N; i++)
        b.choices[i] = i / 3 % CLASSES; /* whatever was searched for */
    assert_int_equal(ws_start_check(&b.start), 1);
    for (int i = 0; i < N; i++)
        b.choices[i] = (b.data.labels[i] + 1) % CLASSES;
    assert_int_equal(ws_start_check(&b.start), 1);
    close_bench(&b);
}

static void a_class_that_nothing_was_found_for_is_told(void **state)
{
    static struct bench b;
    (void)state;
    open_bench(&b, N);
    for (int i = 0; i < N; i++)
        if (b.data.labels[i] == 1)
            b.data.labels[i] = WS_NO_LABEL;
    assert_int_equal(ws_start_check(&b.start), 1);
    close_bench(&b);
}

static void asked_images_without_labels_are_no_pool_without_them(void **state)
{
    static struct bench b;
    (void)state;
    open_bench(&b, N);
    b.start.n_asked = 0;
    assert_int_equal(ws_start_check(&b.start), 0);
    for (int i = 0; i < N; i++)
        b.data.labels[i] = WS_NO_LABEL;
    assert_int_equal(ws_start_check(&b.start), 1);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_start_has_no_warning),
        cmocka_unit_test(a_student_as_large_as_its_teacher_is_told),
        cmocka_unit_test(ten_images_are_fewer_than_a_batch_and_than_a_pool),
        cmocka_unit_test(junk_and_mixed_up_classes_are_told),
        cmocka_unit_test(a_class_that_nothing_was_found_for_is_told),
        cmocka_unit_test(asked_images_without_labels_are_no_pool_without_them),
    };
    return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
