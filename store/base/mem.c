/* Checked allocation; arenas as chains of blocks, the newest first. */
#include "webstill/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHE_LINE = 64,
    SMALL_ALIGNMENT = 16,
    WIDE_FROM_BYTES = 4096, /* from here on results are aligned for vector loads */
    BLOCK_MIN_BYTES = 4096,
    BLOCK_MAX_BYTES = 1 << 20, /* blocks double up to this size */
};

size_t ws_size_mul(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

size_t ws_size_add(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

/* Object sizes above PTRDIFF_MAX cannot exist; a saturated product ends here. */
static bool is_possible(size_t size_bytes)
{
    if (size_bytes <= PTRDIFF_MAX - CACHE_LINE)
        return true;
    errno = ENOMEM;
    return false;
}

void *ws_calloc(size_t n, size_t size_bytes)
{
    size_t total = ws_size_mul(n, size_bytes);
    return is_possible(total) ? calloc(total > 0 ? total : 1, 1) : NULL;
}

void *ws_realloc(void *p, size_t n, size_t size_bytes)
{
    size_t total = ws_size_mul(n, size_bytes);
    return is_possible(total) ? realloc(p, total > 0 ? total : 1) : NULL;
}

static size_t round_up(size_t size_bytes, size_t alignment)
{
    return (size_bytes + alignment - 1) / alignment * alignment;
}

/* `size_bytes` has passed is_possible(). */
static void *allocate_lines(size_t size_bytes)
{
    return aligned_alloc(CACHE_LINE, round_up(size_bytes > 0 ? size_bytes : 1, CACHE_LINE));
}

void *ws_alloc_aligned(size_t n, size_t size_bytes)
{
    size_t total = ws_size_mul(n, size_bytes);
    return is_possible(total) ? allocate_lines(total) : NULL;
}

void *ws_calloc_aligned(size_t n, size_t size_bytes)
{
    void *p = ws_alloc_aligned(n, size_bytes);
    return p != NULL ? memset(p, 0, ws_size_mul(n, size_bytes)) : NULL;
}

struct ws_arena_block {
    struct ws_arena_block *next;
    size_t cap_bytes, used_bytes;
    _Alignas(CACHE_LINE) unsigned char bytes[];
};

static struct ws_arena_block *add_block(struct ws_arena *arena, size_t size_bytes)
{
    size_t cap = BLOCK_MIN_BYTES;
    if (arena->blocks != NULL && arena->blocks->cap_bytes < BLOCK_MAX_BYTES)
        cap = 2 * arena->blocks->cap_bytes;
    else if (arena->blocks != NULL)
        cap = BLOCK_MAX_BYTES;
    if (cap < size_bytes)
        cap = size_bytes;
    size_t total = ws_size_add(sizeof(struct ws_arena_block), cap);
    struct ws_arena_block *block = is_possible(total) ? allocate_lines(total) : NULL;
    if (block == NULL)
        return NULL;
    *block = (struct ws_arena_block){.next = arena->blocks, .cap_bytes = cap};
    arena->blocks = block;
    return block;
}

void *ws_arena_alloc(struct ws_arena *arena, size_t n, size_t size_bytes)
{
    size_t total = ws_size_mul(n, size_bytes);
    if (!is_possible(total))
        return NULL;
    size_t alignment = total >= WIDE_FROM_BYTES ? CACHE_LINE : SMALL_ALIGNMENT;
    struct ws_arena_block *block = arena->blocks;
    size_t at = block != NULL ? round_up(block->used_bytes, alignment) : 0;
    if (block == NULL || at > block->cap_bytes || total > block->cap_bytes - at) {
        block = add_block(arena, total);
        if (block == NULL)
            return NULL;
        at = 0;
    }
    block->used_bytes = at + total;
    arena->used_bytes += total;
    return memset(block->bytes + at, 0, total);
}

char *ws_arena_strndup(struct ws_arena *arena, const char *text, size_t len)
{
    char *copy = ws_arena_alloc(arena, ws_size_add(len, 1), 1);
    return copy != NULL && len > 0 ? memcpy(copy, text, len) : copy;
}

char *ws_arena_strdup(struct ws_arena *arena, const char *text)
{
    return ws_arena_strndup(arena, text, strlen(text));
}

char *ws_arena_printf(struct ws_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length >= 0 ? ws_arena_alloc(arena, (size_t)length + 1, 1) : NULL;
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

void ws_arena_reset(struct ws_arena *arena)
{
    struct ws_arena_block *largest = arena->blocks;
    for (struct ws_arena_block *block = arena->blocks; block != NULL; block = block->next)
        if (block->cap_bytes > largest->cap_bytes)
            largest = block;
    for (struct ws_arena_block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (block != largest)
            free(block);
    }
    if (largest != NULL) {
        largest->next = NULL;
        largest->used_bytes = 0;
    }
    *arena = (struct ws_arena){.blocks = largest};
}

void ws_arena_fini(struct ws_arena *arena)
{
    for (struct ws_arena_block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct ws_arena){0};
}
