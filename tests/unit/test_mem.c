/* Sizes that saturate, allocations that refuse them, arenas that own. */
#include "webstill/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_aligned(const void *p, uintptr_t alignment)
{
    return (uintptr_t)p % alignment == 0;
}

static bool is_zero(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void sizes_saturate_instead_of_wrapping(void **state)
{
    (void)state;
    assert_int_equal(ws_size_mul(6, 7), 42);
    assert_int_equal(ws_size_mul(0, SIZE_MAX), 0);
    assert_true(ws_size_mul(SIZE_MAX / 2, 3) == SIZE_MAX);
    assert_true(ws_size_mul((size_t)1 << 32, (size_t)1 << 32) == SIZE_MAX);
    assert_int_equal(ws_size_add(1, 2), 3);
    assert_true(ws_size_add(SIZE_MAX, 1) == SIZE_MAX);
}

static void overflowing_allocations_give_null(void **state)
{
    (void)state;
    size_t huge = (size_t)1 << 33;
    assert_null(ws_calloc(huge, huge));
    assert_null(ws_calloc_aligned(huge, huge));
    assert_null(ws_calloc(1, SIZE_MAX));
    void *p = ws_calloc(4, 4);
    assert_non_null(p);
    assert_null(ws_realloc(p, huge, huge));
    free(p); /* still ours */
    struct ws_arena arena = {0};
    assert_null(ws_arena_alloc(&arena, huge, huge));
    assert_null(ws_arena_strndup(&arena, "", SIZE_MAX));
    assert_int_equal(arena.used_bytes, 0);
    ws_arena_fini(&arena);
}

static void allocations_are_zeroed_and_empty_ones_exist(void **state)
{
    (void)state;
    unsigned char *p = ws_calloc(100, 10), *q = ws_calloc_aligned(1000, 7);
    assert_true(is_zero(p, 1000) && is_zero(q, 7000));
    assert_true(is_aligned(q, 64));
    free(p);
    free(q);
    void *none = ws_calloc(0, 8), *none_aligned = ws_calloc_aligned(0, 8);
    assert_non_null(none);
    assert_non_null(none_aligned);
    none = ws_realloc(none, 0, 8);
    assert_non_null(none);
    free(none);
    free(none_aligned);
}

static void arena_memory_is_zeroed_aligned_and_disjoint(void **state)
{
    (void)state;
    enum { N = 400 };
    struct ws_arena arena = {0};
    unsigned char *parts[N];
    size_t sizes[N], total = 0;
    for (size_t i = 0; i < N; i++) {
        sizes[i] = i % 50 == 0 ? 5000 + i : 1 + i * 7 % 300;
        total += sizes[i];
        parts[i] = ws_arena_alloc(&arena, sizes[i], 1);
        assert_non_null(parts[i]);
        assert_true(is_aligned(parts[i], sizes[i] >= 4096 ? 64 : 16));
        assert_true(is_zero(parts[i], sizes[i]));
        memset(parts[i], (int)(1 + i % 255), sizes[i]);
    }
    assert_int_equal(arena.used_bytes, total);
    for (size_t i = 0; i < N; i++) /* a neighbour that overlaps would have written another value */
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(parts[i][j], 1 + i % 255);
    ws_arena_fini(&arena);
    assert_null(arena.blocks);
}

static void reset_keeps_the_largest_block_and_zeroes_again(void **state)
{
    (void)state;
    struct ws_arena arena = {0};
    for (int i = 0; i < 10; i++)
        memset(ws_arena_alloc(&arena, 3000, 1), 0xAA, 3000);
    unsigned char *large = ws_arena_alloc(&arena, 3 << 20, 1);
    memset(large, 0xAA, 3 << 20);
    ws_arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    unsigned char *again = ws_arena_alloc(&arena, 2 << 20, 1);
    assert_ptr_equal(again, large);
    assert_true(is_zero(again, 2 << 20));
    ws_arena_fini(&arena);
    ws_arena_reset(&arena); /* an empty one, too */
    assert_non_null(ws_arena_alloc(&arena, 1, 1));
    ws_arena_fini(&arena);
}

static void arena_copies_and_prints_texts(void **state)
{
    (void)state;
    struct ws_arena arena = {0};
    char source[] = "images";
    char *copy = ws_arena_strdup(&arena, source), *part = ws_arena_strndup(&arena, source, 3);
    source[0] = 'X';
    assert_string_equal(copy, "images");
    assert_string_equal(part, "ima");
    assert_string_equal(ws_arena_printf(&arena, "%s-%03d", part, 7), "ima-007");
    assert_string_equal(ws_arena_strndup(&arena, "", 0), "");
    ws_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_saturate_instead_of_wrapping),
        cmocka_unit_test(overflowing_allocations_give_null),
        cmocka_unit_test(allocations_are_zeroed_and_empty_ones_exist),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_disjoint),
        cmocka_unit_test(reset_keeps_the_largest_block_and_zeroes_again),
        cmocka_unit_test(arena_copies_and_prints_texts),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
