/* What the files of the ONNX reader share. */
#ifndef WEBSTILL_DISTILL_NN_ONNX_READER_H
#define WEBSTILL_DISTILL_NN_ONNX_READER_H

#include "webstill/base/mem.h"
#include "webstill/nn/onnx.h"

#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ONNX_MAX_RANK = 8,
    ONNX_OPSET_MIN = 7,
    ONNX_OPSET_MAX = 20,
    ONNX_MAX_NODES = 1 << 14,
};
/** Elements of all parameters and folded constants: 2 GiB of floats. */
#define ONNX_MAX_ELEMENTS ((int64_t)1 << 29)
/** Elements of one image's value. */
#define ONNX_MAX_VALUE ((int64_t)1 << 28)
/** Stands for the batch size in a shape that the graph computes. */
#define ONNX_BATCH (INT64_MIN + 1)

/* --- file.c: bytes → messages --- */

/** A parsed file. Everything lives in `memory`. */
struct onnx_file {
    struct ws_arena memory; /**< owned */
    Onnx__ModelProto *model;
    const char *name;   /**< in messages */
    const char *folder; /**< of tensors outside the file, or NULL */
};

/** Check the bytes' structure (lengths, nesting, counts), then parse them. */
WS_MUST_USE enum ws_status onnx_file_parse(struct onnx_file *file, const void *bytes, size_t len, struct ws_err *err);

/** Bring a tensor's bytes from the file where they lie into its raw_data; does nothing for a tensor that has its own.
 */
WS_MUST_USE enum ws_status onnx_file_load(struct onnx_file *file, Onnx__TensorProto *tensor, struct ws_err *err);

/** A name fit for a message: no control characters, not too long; lives in `memory`. NULL gives "". */
const char *onnx_printable(struct ws_arena *memory, const char *name);

/* --- tensor.c: TensorProto → numbers --- */

/** Known numbers: float, or integers of any width (also bool). A shape may hold ONNX_BATCH. */
struct constant {
    bool is_int;
    int rank;
    int64_t dims[ONNX_MAX_RANK], n;
    float *floats; /**< borrowed from the reader's arena; NULL for integers */
    int64_t *ints;
};

WS_MUST_USE enum ws_status onnx_tensor_read(struct onnx_file *file, Onnx__TensorProto *tensor, struct constant *out,
                                            struct ws_err *err);
/** Product of `dims`, or -1 when one is negative or the product is over `limit`. */
int64_t onnx_count(int rank, const int64_t *dims, int64_t limit);
/** A constant of that shape with room for its elements (zero); false when out of memory or over the budget. */
bool onnx_constant_new(struct ws_arena *memory, bool is_int, int rank, const int64_t *dims, struct constant *out);

/* --- read.c: the graph --- */

enum value_kind {
    VALUE_UNSET,  /**< not computed yet */
    VALUE_TENSOR, /**< an initializer that nobody has read yet */
    VALUE_CONSTANT,
    VALUE_DATA,     /**< depends on the image */
    VALUE_SEQUENCE, /**< an empty sequence */
    VALUE_POISONED, /**< comes from a node that was refused */
};

/**
 * A named value of the file. Data: `node` holds its elements, which in C, H, W order are the logical elements of one
 * image in ONNX's order; `dims` are the logical sides without the batch. So reshaping is free until a node needs sides.
 */
struct value {
    const char *name;
    enum value_kind kind;
    Onnx__TensorProto *tensor;
    struct constant constant;
    int node;
    int rank; /**< without the batch */
    int64_t dims[ONNX_MAX_RANK];
    bool has_no_batch;   /**< the file has fixed N = 1 and this value has dropped it */
    int made_by;         /**< index of the file's node, or -1 */
    int n_uses, used_by; /**< nodes that read it, and one of them */
};

struct onnx_op;

struct reader {
    struct onnx_file *file;
    struct ws_net *net;
    Onnx__GraphProto *graph;
    int opset;
    int64_t batch; /**< the declared batch, or 0 when it is symbolic */
    struct value *values;
    size_t n_values, n_sorted;
    struct value **by_name;  /**< [n_sorted] in the order of their names */
    bool *is_needed;         /**< [n_node] */
    bool *is_merged;         /**< [n_node] already part of an earlier node of ours */
    struct pending *pending; /**< parameter values to set when the network has memory */
    int64_t n_elements;
    bool is_training_form;
    int n_batchnorm;

    /* the node at hand */
    const Onnx__NodeProto *proto;
    const struct onnx_op *op;
    int index;
    uint64_t seen;         /**< attributes that were asked for */
    enum ws_status status; /**< the first failure sticks */
    struct ws_err err;
};

/** How an op is read. A row knows the opsets in which its attributes mean what `read` thinks. */
struct onnx_op {
    const char *type;
    int since, until;
    void (*read)(struct reader *r); /**< NULL: only on constants */
    void (*fold)(struct reader *r); /**< all inputs known; NULL: never folded */
};

/** Fail at the node at hand: "node "x" (Conv, opset 13): …". The first failure sticks. */
void refuse(struct reader *r, enum ws_status status, const char *format, ...) WS_PRINTF(3, 4);

struct value *find_value(struct reader *r, const char *name);
/** The i-th input, or NULL when it is not given. Its constant is read. */
struct value *node_input(struct reader *r, size_t i);
size_t node_n_outputs(const struct reader *r);
/** Input i as data with a batch, or NULL after a refusal. */
struct value *data_input(struct reader *r, size_t i);
/** Input i as a constant, or NULL: not given (when `optional`), or after a refusal. */
struct constant *constant_input(struct reader *r, size_t i, bool optional);
/** Input i as floats or as integers of rank 0 or 1. */
struct constant *float_input(struct reader *r, size_t i, bool optional);
struct constant *int_input(struct reader *r, size_t i, bool optional);

int64_t attr_int(struct reader *r, const char *name, int64_t fallback);
double attr_float(struct reader *r, const char *name, double fallback);
const char *attr_string(struct reader *r, const char *name, const char *fallback);
/** The integers of an attribute, or NULL and *n = 0 when it is not there. */
const int64_t *attr_ints(struct reader *r, const char *name, size_t *n);
const Onnx__AttributeProto *attr_find(struct reader *r, const char *name);
bool attr_is_given(struct reader *r, const char *name);

/** Give output i its value. */
struct value *set_data(struct reader *r, size_t i, int node, int rank, const int64_t *dims);
void set_constant(struct reader *r, size_t i, const struct constant *constant);
void set_alias(struct reader *r, size_t i, const struct value *of);

/** A free name for a node of ours: after a weight, after the file's node, or op_N; with `suffix` for a helper node. */
const char *name_after(struct reader *r, const char *weight);
const char *helper_name(struct reader *r, const char *suffix);

/** The value's node with sides channels = dims[0], height = dims[1], width = dims[2]; a RESHAPE where it has others. */
int as_map(struct reader *r, struct value *v);
/** The same with sides of the caller's choice. */
int as_sides(struct reader *r, struct value *v, int64_t height, int64_t width, int64_t channels);
/** ONNX's axis (negative: from the end) as one of the image (0 = channels), or -1 after a refusal; the batch is
 * refused. */
int image_axis(struct reader *r, const struct value *v, int64_t axis);
/** The side of a map that an image axis is. */
enum ws_side side_of(int axis);
int64_t value_count(const struct value *v);

/** Remember a parameter's values (file order, in the arena) for when the network has memory. */
void set_param(struct reader *r, int node, int param, float *values, size_t n);
/** A CONSTANT node of these sides; `values` in C, H, W order. */
int add_constant(struct reader *r, const char *wanted_name, int height, int width, int channels, float *values);
void *take(struct reader *r, size_t n, size_t size_bytes);

const struct onnx_op *onnx_op_find(const char *type, int opset);
/** "Add, AveragePool, …" */
const char *onnx_op_list(struct ws_arena *memory);

/** ws_onnx_read_bytes(); unless `is_classifier`, the output may have any shape: info->logits is the node with its
 * elements. */
WS_MUST_USE enum ws_status onnx_read_network(struct ws_net **out, struct ws_onnx_info *info, const void *bytes,
                                             size_t len, const char *folder, const char *name, bool is_classifier,
                                             struct ws_err *err);

/* window.c */
void read_conv(struct reader *r);
void read_batchnorm(struct reader *r);
void read_pool(struct reader *r);
void read_global_pool(struct reader *r);
void read_gemm(struct reader *r);
void read_matmul(struct reader *r);
/* point.c */
void read_unary(struct reader *r);
void read_clip(struct reader *r);
void read_dropout(struct reader *r);
void read_softmax(struct reader *r);
void read_arithmetic(struct reader *r);
void read_identity(struct reader *r);
/* layout.c */
void read_flatten(struct reader *r);
void read_reshape(struct reader *r);
void read_squeeze(struct reader *r);
void read_transpose(struct reader *r);
void read_concat(struct reader *r);
void read_split(struct reader *r);
void read_slice(struct reader *r);
void read_pad(struct reader *r);
void read_resize(struct reader *r);
void read_reduce_mean(struct reader *r);
void read_gather(struct reader *r);
void read_shape(struct reader *r);
/* fold.c */
void fold_identity(struct reader *r);
void fold_cast(struct reader *r);
void fold_constant(struct reader *r);
void fold_fill(struct reader *r);
void fold_shape(struct reader *r);
void fold_reshape(struct reader *r);
void fold_squeeze(struct reader *r);
void fold_gather(struct reader *r);
void fold_concat(struct reader *r);
void fold_slice(struct reader *r);
void fold_transpose(struct reader *r);
void fold_arithmetic(struct reader *r);
void fold_unary(struct reader *r);
void fold_sequence(struct reader *r);
/* loop.c */
void read_loop(struct reader *r);
/* info.c */
/** Fill in all but `logits`, which is given. Texts live in info->memory. */
WS_MUST_USE enum ws_status onnx_fill_info(struct ws_onnx_info *info, const struct reader *r, const char *input,
                                          const char *output, struct ws_err *err);

#endif
