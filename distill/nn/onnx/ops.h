/* How ops are read and written, as their rows name it (graph/row.h). */
#ifndef WEBSTILL_DISTILL_NN_ONNX_OPS_H
#define WEBSTILL_DISTILL_NN_ONNX_OPS_H

struct ws_onnx_reader;
struct ws_onnx_writer;

/* window.c */
void ws_onnx_read_conv(struct ws_onnx_reader *r);
void ws_onnx_read_batchnorm(struct ws_onnx_reader *r);
void ws_onnx_read_pool(struct ws_onnx_reader *r);
void ws_onnx_read_global_pool(struct ws_onnx_reader *r);
void ws_onnx_read_gemm(struct ws_onnx_reader *r);
void ws_onnx_read_matmul(struct ws_onnx_reader *r);
/* point.c */
/** An op of one input without attributes: the one whose row has the type. */
void ws_onnx_read_plain(struct ws_onnx_reader *r);
void ws_onnx_read_leaky_relu(struct ws_onnx_reader *r);
void ws_onnx_read_hard_sigmoid(struct ws_onnx_reader *r);
void ws_onnx_read_clip(struct ws_onnx_reader *r);
void ws_onnx_read_dropout(struct ws_onnx_reader *r);
void ws_onnx_read_softmax(struct ws_onnx_reader *r);
void ws_onnx_read_arithmetic(struct ws_onnx_reader *r);
void ws_onnx_read_identity(struct ws_onnx_reader *r);
void ws_onnx_read_cast(struct ws_onnx_reader *r);
/* layout.c */
void ws_onnx_read_flatten(struct ws_onnx_reader *r);
void ws_onnx_read_reshape(struct ws_onnx_reader *r);
void ws_onnx_read_squeeze(struct ws_onnx_reader *r);
void ws_onnx_read_transpose(struct ws_onnx_reader *r);
void ws_onnx_read_concat(struct ws_onnx_reader *r);
void ws_onnx_read_split(struct ws_onnx_reader *r);
void ws_onnx_read_slice(struct ws_onnx_reader *r);
void ws_onnx_read_pad(struct ws_onnx_reader *r);
void ws_onnx_read_resize(struct ws_onnx_reader *r);
void ws_onnx_read_reduce_mean(struct ws_onnx_reader *r);
void ws_onnx_read_gather(struct ws_onnx_reader *r);
void ws_onnx_read_shape(struct ws_onnx_reader *r);
/* fold.c */
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
/* loop.c */
void ws_onnx_read_loop(struct ws_onnx_reader *r);

/** One node of ONNX's name of the op, with the one input and no attributes. */
void ws_onnx_write_plain(struct ws_onnx_writer *w, int id);
void ws_onnx_write_conv(struct ws_onnx_writer *w, int id);
void ws_onnx_write_gemm(struct ws_onnx_writer *w, int id);
void ws_onnx_write_batchnorm(struct ws_onnx_writer *w, int id);
void ws_onnx_write_clip(struct ws_onnx_writer *w, int id);
void ws_onnx_write_leaky_relu(struct ws_onnx_writer *w, int id);
void ws_onnx_write_hard_sigmoid(struct ws_onnx_writer *w, int id);
void ws_onnx_write_hard_swish(struct ws_onnx_writer *w, int id);
void ws_onnx_write_softmax(struct ws_onnx_writer *w, int id);
void ws_onnx_write_dropout(struct ws_onnx_writer *w, int id);
void ws_onnx_write_binary(struct ws_onnx_writer *w, int id);
void ws_onnx_write_concat(struct ws_onnx_writer *w, int id);
void ws_onnx_write_pool(struct ws_onnx_writer *w, int id);
void ws_onnx_write_global_pool(struct ws_onnx_writer *w, int id);
void ws_onnx_write_reduce_mean(struct ws_onnx_writer *w, int id);
void ws_onnx_write_reshape(struct ws_onnx_writer *w, int id);
void ws_onnx_write_transpose(struct ws_onnx_writer *w, int id);
void ws_onnx_write_channel_shuffle(struct ws_onnx_writer *w, int id);
void ws_onnx_write_slice(struct ws_onnx_writer *w, int id);
void ws_onnx_write_pad(struct ws_onnx_writer *w, int id);
void ws_onnx_write_resize(struct ws_onnx_writer *w, int id);

#endif
