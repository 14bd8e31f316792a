/* The table of ops as ONNX knows them, and the search in it. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define WS_ONNX_ROW(ID, row, name) extern const struct ws_onnx_row ws_onnx_row_##row;
WS_OPS(WS_ONNX_ROW)
#undef WS_ONNX_ROW

/* The image is no node in ONNX, and a constant is written by its first reader. */
const struct ws_onnx_row ws_onnx_row_input = {0}, ws_onnx_row_constant = {0};

#define WS_ONNX_ROW(ID, row, name) &ws_onnx_row_##row,
const struct ws_onnx_row *const ws_onnx_rows[WS_N_OPS] = {WS_OPS(WS_ONNX_ROW)};
#undef WS_ONNX_ROW

/* The types that become an op; WS_N_OPS: the others. */
static const struct ws_onnx_type *types_of(int op)
{
    static const struct ws_onnx_type none[] = {{.name = NULL}};
    return op == WS_N_OPS ? ws_onnx_other_types : ws_onnx_rows[op]->reads ? ws_onnx_rows[op]->reads : none;
}

const struct ws_onnx_type *ws_onnx_type_find(const char *name, int opset, enum ws_op *op)
{
    for (int i = 0; i <= WS_N_OPS; i++)
        for (const struct ws_onnx_type *type = types_of(i); type->name; type++)
            if (strcmp(type->name, name) == 0 && opset >= type->since && opset <= type->until) {
                *op = (enum ws_op)i;
                return type;
            }
    return NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *ws_onnx_type_list(struct ws_arena *memory)
{
    enum { MAX_TYPES = 128 };
    const char *names[MAX_TYPES];
    char text[600] = "";
    size_t n = 0, used = 0;
    for (int i = 0; i <= WS_N_OPS; i++)
        for (const struct ws_onnx_type *type = types_of(i); type->name && n < MAX_TYPES; type++)
            names[n++] = type->name;
    qsort(names, n, sizeof *names, compare_texts);
    for (size_t i = 0; i < n && used + 40 < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "", names[i]);
    const char *copy = ws_arena_strdup(memory, text);
    return copy ? copy : "";
}
