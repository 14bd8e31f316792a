/* What the files of the ONNX reader share. */
#ifndef WEBSTILL_DISTILL_NN_ONNX_READER_H
#define WEBSTILL_DISTILL_NN_ONNX_READER_H

#include "webstill/base/mem.h"
#include "webstill/nn/onnx.h"

#include "row.h"

#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WS_ONNX_MAX_RANK = 8,
    WS_ONNX_OPSET_MIN = 7,
    WS_ONNX_OPSET_MAX = 20,
    WS_ONNX_MAX_NODES = 1 << 14,
};
/** Elements of all parameters and folded constants: 2 GiB of floats. */
#define WS_ONNX_MAX_ELEMENTS ((int64_t)1 << 29)
/** Elements of one image's value. */
#define WS_ONNX_MAX_VALUE ((int64_t)1 << 28)
/** Stands for the batch size in a shape that the graph computes. */
#define WS_ONNX_BATCH (INT64_MIN + 1)

/* --- file.c: bytes → messages --- */

/** A parsed file. Everything lives in `memory`. */
struct ws_onnx_file {
    struct ws_arena memory; /**< owned */
    Onnx__ModelProto *model;
    const char *name;   /**< in messages */
    const char *folder; /**< of tensors outside the file, or NULL */
};

/** Check the bytes' structure (lengths, nesting, counts), then parse them. */
WS_MUST_USE enum ws_status ws_onnx_file_parse(struct ws_onnx_file *file, const void *bytes, size_t len,
                                              struct ws_err *err);

/** Bring a tensor's bytes from the file where they lie into its raw_data; does nothing for a tensor that has its own.
 */
WS_MUST_USE enum ws_status ws_onnx_file_load(struct ws_onnx_file *file, Onnx__TensorProto *tensor, struct ws_err *err);

/** A name fit for a message: no control characters, not too long; lives in `memory`. NULL gives "". */
const char *ws_onnx_printable(struct ws_arena *memory, const char *name);

/* --- tensor.c: TensorProto → numbers --- */

/** Known numbers: float, or integers of any width (also bool). A shape may hold WS_ONNX_BATCH. */
struct ws_onnx_constant {
    bool is_int;
    int rank;
    int64_t dims[WS_ONNX_MAX_RANK], n;
    float *floats; /**< borrowed from the reader's arena; NULL for integers */
    int64_t *ints;
};

WS_MUST_USE enum ws_status ws_onnx_tensor_read(struct ws_onnx_file *file, Onnx__TensorProto *tensor,
                                               struct ws_onnx_constant *out, struct ws_err *err);
/** Product of `dims`, or -1 when one is negative or the product is over `limit`. */
int64_t ws_onnx_count(int rank, const int64_t *dims, int64_t limit);
/** A constant of that shape with room for its elements (zero); false when out of memory or over the budget. */
bool ws_onnx_constant_new(struct ws_arena *memory, bool is_int, int rank, const int64_t *dims,
                          struct ws_onnx_constant *out);

/* --- read.c: the graph --- */

enum ws_onnx_kind {
    WS_ONNX_UNSET,  /**< not computed yet */
    WS_ONNX_TENSOR, /**< an initializer that nobody has read yet */
    WS_ONNX_CONSTANT,
    WS_ONNX_DATA,     /**< depends on the image */
    WS_ONNX_SEQUENCE, /**< an empty sequence */
    WS_ONNX_POISONED, /**< comes from a node that was refused */
};

/**
 * A named value of the file. Data: `node` holds its elements, which in C, H, W order are the logical elements of one
 * image in ONNX's order; `dims` are the logical sides without the batch. So reshaping is free until a node needs sides.
 */
struct ws_onnx_value {
    const char *name;
    enum ws_onnx_kind kind;
    Onnx__TensorProto *tensor;
    struct ws_onnx_constant constant;
    int node;
    int rank; /**< without the batch */
    int64_t dims[WS_ONNX_MAX_RANK];
    bool has_no_batch;   /**< the file has fixed N = 1 and this value has dropped it */
    int made_by;         /**< index of the file's node, or -1 */
    int n_uses, used_by; /**< nodes that read it, and one of them */
};

/** A parameter's values, to be set when the network has memory. */
struct ws_onnx_pending {
    struct ws_onnx_pending *next;
    int param;
    float *values;
    size_t n;
};

struct ws_onnx_reader {
    struct ws_onnx_file *file;
    struct ws_net *net;
    Onnx__GraphProto *graph;
    int opset;
    int64_t batch; /**< the declared batch, or 0 when it is symbolic */
    struct ws_onnx_value *values;
    size_t n_values, n_sorted;
    struct ws_onnx_value **by_name;  /**< [n_sorted] in the order of their names */
    bool *is_needed;                 /**< [n_node] */
    bool *is_merged;                 /**< [n_node] already part of an earlier node of ours */
    struct ws_onnx_pending *pending; /**< parameter values to set when the network has memory */
    int64_t n_elements;
    bool is_training_form;
    int n_batchnorm;

    /* the node at hand */
    const Onnx__NodeProto *proto;
    const struct ws_onnx_type *type;
    enum ws_op op; /**< that it becomes; WS_N_OPS: none of its own */
    int index;
    uint64_t seen;         /**< attributes that were asked for */
    enum ws_status status; /**< the first failure sticks */
    struct ws_err err;
};

/** Fail at the node at hand: "node "x" (Conv, opset 13): …". The first failure sticks. */
void ws_onnx_refuse(struct ws_onnx_reader *r, enum ws_status status, const char *format, ...) WS_PRINTF(3, 4);

struct ws_onnx_value *ws_onnx_value_find(struct ws_onnx_reader *r, const char *name);
/** The i-th input, or NULL when it is not given. Its constant is read. */
struct ws_onnx_value *ws_onnx_input(struct ws_onnx_reader *r, size_t i);
size_t ws_onnx_n_outputs(const struct ws_onnx_reader *r);
/** Input i as data with a batch, or NULL after a refusal. */
struct ws_onnx_value *ws_onnx_input_data(struct ws_onnx_reader *r, size_t i);
/** Input i as a constant, or NULL: not given (when `optional`), or after a refusal. */
struct ws_onnx_constant *ws_onnx_input_constant(struct ws_onnx_reader *r, size_t i, bool optional);
/** Input i as floats or as integers of rank 0 or 1. */
struct ws_onnx_constant *ws_onnx_input_floats(struct ws_onnx_reader *r, size_t i, bool optional);
struct ws_onnx_constant *ws_onnx_input_ints(struct ws_onnx_reader *r, size_t i, bool optional);

int64_t ws_onnx_attr_int(struct ws_onnx_reader *r, const char *name, int64_t fallback);
double ws_onnx_attr_float(struct ws_onnx_reader *r, const char *name, double fallback);
const char *ws_onnx_attr_string(struct ws_onnx_reader *r, const char *name, const char *fallback);
/** The integers of an attribute, or NULL and *n = 0 when it is not there. */
const int64_t *ws_onnx_attr_ints(struct ws_onnx_reader *r, const char *name, size_t *n);
const Onnx__AttributeProto *ws_onnx_attr_find(struct ws_onnx_reader *r, const char *name);
bool ws_onnx_attr_is_given(struct ws_onnx_reader *r, const char *name);

/** Give output i its value. */
struct ws_onnx_value *ws_onnx_output_data(struct ws_onnx_reader *r, size_t i, int node, int rank, const int64_t *dims);
void ws_onnx_output_constant(struct ws_onnx_reader *r, size_t i, const struct ws_onnx_constant *constant);
void ws_onnx_output_alias(struct ws_onnx_reader *r, size_t i, const struct ws_onnx_value *of);

/** The value's axes with the batch (WS_ONNX_BATCH) in front. */
int ws_onnx_value_axes(const struct ws_onnx_value *x, int64_t axes[WS_ONNX_MAX_RANK + 1]);
/** Output 0 holds x's elements under these axes; the batch must lead, or be 1 in the file. */
void ws_onnx_output_axes(struct ws_onnx_reader *r, const struct ws_onnx_value *x, int n, const int64_t *axes);
/** Data with or without a batch; NULL after a refusal. */
struct ws_onnx_value *ws_onnx_input_any(struct ws_onnx_reader *r);

/** A free name for a node of ours: after a weight, after the file's node, or op_N; with `suffix` for a helper node. */
const char *ws_onnx_name_after(struct ws_onnx_reader *r, const char *weight);
const char *ws_onnx_name_helper(struct ws_onnx_reader *r, const char *suffix);

/** The value's node with sides channels = dims[0], height = dims[1], width = dims[2]; a RESHAPE where it has others. */
int ws_onnx_value_as_map(struct ws_onnx_reader *r, struct ws_onnx_value *v);
/** The same with sides of the caller's choice. */
int ws_onnx_value_as_dims(struct ws_onnx_reader *r, struct ws_onnx_value *v, int64_t height, int64_t width,
                          int64_t channels);
/** ONNX's axis (negative: from the end) as one of the image (0 = channels), or -1 after a refusal; the batch is
 * refused. */
int ws_onnx_image_axis(struct ws_onnx_reader *r, const struct ws_onnx_value *v, int64_t axis);
/** The side of a map that an image axis is. */
enum ws_side ws_onnx_side_of(int axis);
int64_t ws_onnx_value_count(const struct ws_onnx_value *v);

/** Remember a parameter's values (file order, in the arena) for when the network has memory. */
void ws_onnx_param_set(struct ws_onnx_reader *r, int node, int param, float *values, size_t n);
/** A CONSTANT node of these sides; `values` in C, H, W order. */
int ws_onnx_constant_add(struct ws_onnx_reader *r, const char *wanted_name, int height, int width, int channels,
                         float *values);
void *ws_onnx_take(struct ws_onnx_reader *r, size_t n, size_t size_bytes);

/** The type of that name in that opset, and the op that it becomes (WS_N_OPS: none of its own); NULL: unknown. */
const struct ws_onnx_type *ws_onnx_type_find(const char *name, int opset, enum ws_op *op);
/** "Add, AveragePool, …" */
const char *ws_onnx_type_list(struct ws_arena *memory);

/** ws_onnx_read_bytes(); unless `is_classifier`, the output may have any shape: info->logits is the node with its
 * elements. */
WS_MUST_USE enum ws_status ws_onnx_network_read(struct ws_net **out, struct ws_onnx_info *info, const void *bytes,
                                                size_t len, const char *folder, const char *name, bool is_classifier,
                                                struct ws_err *err);

/* --- fold.c: nodes whose inputs are all known --- */

void ws_onnx_fold_identity(struct ws_onnx_reader *r);
void ws_onnx_fold_cast(struct ws_onnx_reader *r);
void ws_onnx_fold_constant(struct ws_onnx_reader *r);
void ws_onnx_fold_fill(struct ws_onnx_reader *r);
void ws_onnx_fold_shape(struct ws_onnx_reader *r);
void ws_onnx_fold_reshape(struct ws_onnx_reader *r);
void ws_onnx_fold_squeeze(struct ws_onnx_reader *r);
void ws_onnx_fold_gather(struct ws_onnx_reader *r);
void ws_onnx_fold_concat(struct ws_onnx_reader *r);
void ws_onnx_fold_slice(struct ws_onnx_reader *r);
void ws_onnx_fold_transpose(struct ws_onnx_reader *r);
void ws_onnx_fold_arithmetic(struct ws_onnx_reader *r);
void ws_onnx_fold_unary(struct ws_onnx_reader *r);
void ws_onnx_fold_sequence(struct ws_onnx_reader *r);

/* --- loop.c --- */

void ws_onnx_read_loop(struct ws_onnx_reader *r);

/* --- info.c --- */

/** Fill in all but `logits`, which is given. Texts live in info->memory. */
WS_MUST_USE enum ws_status ws_onnx_info_fill(struct ws_onnx_info *info, const struct ws_onnx_reader *r,
                                             const char *input, const char *output, struct ws_err *err);

#endif
