/**
 * Checked allocation and arenas.
 *
 * Sizes that come from outside are multiplied with ws_size_mul(), which saturates, so that an overflow becomes
 * an allocation that fails. An arena gives many results one owner: one per record, batch or graph.
 */
#ifndef WEBSTILL_BASE_MEM_H
#define WEBSTILL_BASE_MEM_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** a*b, or SIZE_MAX when that overflows. */
size_t ws_size_mul(size_t a, size_t b);

/** a+b, or SIZE_MAX when that overflows. */
size_t ws_size_add(size_t a, size_t b);

/** Zeroed array of n elements, or NULL. Free with free(). */
void *ws_calloc(size_t n, size_t size_bytes);

/** Resize to n elements; NULL leaves `p` as it was. */
void *ws_realloc(void *p, size_t n, size_t size_bytes);

/** Zeroed bytes on a 64-byte boundary, or NULL. Free with free(). */
void *ws_calloc_aligned(size_t n, size_t size_bytes);

/** The same with any bytes in them: large memory that is written before it is read costs nothing until then. */
void *ws_alloc_aligned(size_t n, size_t size_bytes);

/** Bytes with one owner. All-zero is a valid empty arena. Not thread-safe. */
struct ws_arena {
    struct ws_arena_block *blocks; /**< owned */
    size_t used_bytes;             /**< plain: handed out since the last reset */
};

/** Zeroed bytes, 16-byte aligned (64-byte from 4 KiB up), that live until reset or fini; NULL when out of memory. */
void *ws_arena_alloc(struct ws_arena *arena, size_t n, size_t size_bytes);

/** Copy of a string, or NULL. */
char *ws_arena_strdup(struct ws_arena *arena, const char *text);

/** Copy of `len` bytes with a NUL behind them, or NULL. */
char *ws_arena_strndup(struct ws_arena *arena, const char *text, size_t len);

/** printf into the arena, or NULL. */
char *ws_arena_printf(struct ws_arena *arena, const char *format, ...) WS_PRINTF(2, 3);

/** Forget everything but keep the largest block for reuse. */
void ws_arena_reset(struct ws_arena *arena);

/** Release everything; the arena is empty and usable again. */
void ws_arena_fini(struct ws_arena *arena);

#endif
