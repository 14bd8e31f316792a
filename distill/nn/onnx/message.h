/* Building ONNX messages: nodes, attributes, initializers and value names, all in one arena. */
#ifndef WEBSTILL_DISTILL_NN_ONNX_MESSAGE_H
#define WEBSTILL_DISTILL_NN_ONNX_MESSAGE_H

#include "webstill/base/mem.h"
#include "webstill/nn/graph.h"

#include "onnx.pb-c.h"

struct ws_onnx_writer {
    struct ws_arena arena;
    const struct ws_net *net;
    int opset;
    bool omits_weights; /* parameters have names and shapes, but no data */
    Onnx__GraphProto graph;
    size_t cap_nodes, cap_initializers;
    char **values;   /* [n_nodes]: name of a node's value */
    char **flats;    /* [n_nodes]: name of its [N, C] form once written, or NULL */
    char **maps;     /* [n_nodes]: the same for [N, C, H, W] */
    bool *is_needed; /* [n_nodes]: the output depends on it */
    bool *is_flat;   /* [n_nodes]: its ONNX value is [N, C], not [N, C, H, W] */
    bool no_memory;
    enum ws_status status; /* the first op that ONNX cannot say, in *err */
    struct ws_err *err;
};

/* Memory of the arena, zero; NULL, and no_memory is set. */
void *ws_onnx_writer_take(struct ws_onnx_writer *w, size_t n, size_t size_bytes);
/* prefix + suffix, owned by the arena. */
char *ws_onnx_writer_name(struct ws_onnx_writer *w, const char *prefix, const char *suffix);

/* Append an op with room for `n_inputs` and its one output; NULL when out of memory: the rest then does nothing. */
Onnx__NodeProto *ws_onnx_writer_node(struct ws_onnx_writer *w, const char *op, const char *name, size_t n_inputs,
                                     char *output);
void ws_onnx_writer_input(Onnx__NodeProto *node, char *value);

void ws_onnx_writer_int(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, int64_t value);
void ws_onnx_writer_float(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, double value);
void ws_onnx_writer_text(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, const char *value);
void ws_onnx_writer_ints(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, size_t n,
                         const int *values);

/* Append an initializer and return the memory of its `n` values, or NULL. */
float *ws_onnx_writer_floats(struct ws_onnx_writer *w, char *name, int rank, const int64_t *dims, size_t n);
/* Append a scalar or a list of integers named prefix + suffix, and make it the next input of `node`. */
void ws_onnx_writer_scalar_input(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *prefix,
                                 const char *suffix, double value);
void ws_onnx_writer_ints_input(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *prefix, const char *suffix,
                               size_t n, const int64_t *values);
/* Append a parameter as initializer of these dims; returns its name. */
char *ws_onnx_writer_param(struct ws_onnx_writer *w, int param, int rank, const int64_t *dims);

/* A float value [N, then `dims`]. */
Onnx__ValueInfoProto *ws_onnx_writer_value_info(struct ws_onnx_writer *w, const char *name, int n_dims,
                                                const int *dims);

/* --- write_form.c: the forms of a value --- */

/* ONNX's axis of [N, C, H, W] for each side of ours. */
extern const int ws_onnx_axes[WS_N_SIDES];
/* Name of a node's value: in whatever form it has, as [N, C], as [N, C, H, W]; what is missing for that is written. */
char *ws_onnx_writer_value(struct ws_onnx_writer *w, int id);
char *ws_onnx_writer_flat_value(struct ws_onnx_writer *w, int id);
char *ws_onnx_writer_map_value(struct ws_onnx_writer *w, int id);
/* A Reshape of `from` to [N, dims...]. */
void ws_onnx_writer_reshape(struct ws_onnx_writer *w, const char *name, char *from, char *to, size_t n_dims,
                            const int64_t *dims);
/* An ONNX node for one of ours, with its first input and no attributes yet: in the form that has, or as a map. */
Onnx__NodeProto *ws_onnx_writer_unary(struct ws_onnx_writer *w, int id, const char *op, size_t n_inputs);
Onnx__NodeProto *ws_onnx_writer_map(struct ws_onnx_writer *w, int id, const char *op, size_t n_inputs);
/* A node's parameters as the next inputs. */
void ws_onnx_writer_params(struct ws_onnx_writer *w, Onnx__NodeProto *to, const struct ws_node *node);

enum { WS_ONNX_NODES_PER_NODE = 8, WS_ONNX_INITIALIZERS_PER_NODE = 6 };

#endif
