/**
 * The list of ops: an op is its row, ws_op_NAME, in the file of its family (distill/nn/op), and its line here: enumerator
 * WS_OP_ID, row, and ONNX's name ("ChannelShuffle" where ONNX has none). What it computes stands beside its line, in the
 * attributes of struct ws_node.
 */
#ifndef WEBSTILL_NN_OPS_H
#define WEBSTILL_NN_OPS_H

/* clang-format off */
#define WS_OPS(OP)                                                                                                                                                   \
    OP(INPUT, input, "Input")                                         /* the image */                                                                                \
    OP(CONSTANT, constant, "Constant")                                /* value [C, H, W], the same for each image; does not learn */                                 \
    OP(CONV, conv, "Conv")                                            /* weight [out, in/groups, kh, kw], bias? [out] */                                             \
    OP(BATCHNORM, batchnorm, "BatchNormalization")                    /* weight, bias, running_mean, running_var: each [channels] */                                 \
    OP(RELU, relu, "Relu")                                                                                                                                           \
    OP(LEAKY_RELU, leaky_relu, "LeakyRelu")                           /* x > 0 ? x : alpha x */                                                                      \
    OP(CLIP, clip, "Clip")                                            /* min(max(x, alpha), beta); the gradient passes strictly inside, as PyTorch's hardtanh */     \
    OP(SIGMOID, sigmoid, "Sigmoid")                                                                                                                                  \
    OP(HARD_SIGMOID, hard_sigmoid, "HardSigmoid")                     /* min(max(alpha x + beta, 0), 1) */                                                           \
    OP(HARD_SWISH, hard_swish, "HardSwish")                           /* x min(max(x/6 + 1/2, 0), 1) */                                                              \
    OP(TANH, tanh, "Tanh")                                                                                                                                           \
    OP(SOFTMAX, softmax, "Softmax")                                   /* over `axis` */                                                                              \
    OP(DROPOUT, dropout, "Dropout")                                   /* training: a share of alpha becomes zero, the rest is divided by 1 - alpha; else identity */ \
    OP(ADD, add, "Add")                                               /* two inputs; a dimension of 1 is repeated to the other's */                                  \
    OP(MUL, mul, "Mul")                                               /* the same */                                                                                 \
    OP(CONCAT, concat, "Concat")                                      /* along `axis` */                                                                             \
    OP(MAX_POOL, max_pool, "MaxPool")                                                                                                                                \
    OP(AVERAGE_POOL, average_pool, "AveragePool")                     /* padding counted only if count_padding */                                                    \
    OP(GLOBAL_AVERAGE_POOL, global_average_pool, "GlobalAveragePool") /* output 1 x 1 x channels */                                                                  \
    OP(REDUCE_MEAN, reduce_mean, "ReduceMean")                        /* over the axes in `axes`, which become 1 */                                                  \
    OP(GEMM, gemm, "Gemm")                                            /* weight [out, in], bias? [out]; the input is flattened in C, H, W order when it has a map */ \
    OP(RESHAPE, reshape, "Reshape")                                   /* the elements in C, H, W order, read as another C, H, W */                                   \
    OP(TRANSPOSE, transpose, "Transpose")                             /* output dimension i is input dimension perm[i] (in height, width, channels order) */         \
    OP(CHANNEL_SHUFFLE, channel_shuffle, "ChannelShuffle")            /* channels seen as [groups, C/groups], transposed (ShuffleNet) */                             \
    OP(SLICE, slice, "Slice")                                         /* dimension i: begin[i], begin[i] + step[i], …; as many as the output has */                  \
    OP(PAD, pad, "Pad")                                               /* pads[2i] before and pads[2i+1] after dimension i; constant value, edge or reflection */     \
    OP(RESIZE, resize, "Resize")                                      /* height and width, nearest or linear */
/* clang-format on */

#endif
