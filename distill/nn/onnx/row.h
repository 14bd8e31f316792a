/*
 * How an op is read from ONNX and written to it: a row ws_onnx_row_NAME in the file of its family, one for each line of
 * webstill/nn/ops.h. It stands apart from the op's own row (graph/row.h), because ONNX is read by building ops.
 */
#ifndef WEBSTILL_DISTILL_NN_ONNX_ROW_H
#define WEBSTILL_DISTILL_NN_ONNX_ROW_H

#include "webstill/nn/graph.h"

struct ws_onnx_reader;
struct ws_onnx_writer;

/** How a type of ONNX node is read. Opsets: those in which its attributes mean what `read` thinks. */
struct ws_onnx_type {
    const char *name; /**< "Conv" */
    int since, until;
    void (*read)(struct ws_onnx_reader *r); /**< NULL: only on constants */
    void (*fold)(struct ws_onnx_reader *r); /**< all inputs known; NULL: never folded */
};

struct ws_onnx_row {
    const struct ws_onnx_type *reads; /**< the types that become this op; ends with a NULL name. NULL: none */
    /** As one ONNX node or a few; sets values[id] and is_flat[id]. NULL: by its readers, or never. */
    void (*write)(struct ws_onnx_writer *w, int id);
};

/** The types that become no op of ours (others.c). */
extern const struct ws_onnx_type ws_onnx_other_types[];

extern const struct ws_onnx_row *const ws_onnx_rows[WS_N_OPS];

#endif
