/* Node tests that we refuse, each with its reason; the error must hold the reason's words. */
#ifndef TESTS_ONNX_REFUSED_H
#define TESTS_ONNX_REFUSED_H

enum reason { BATCH, AXES, TYPE, SEQUENCE, MODE, SELECT, EMPTY, TRAINING, DISPUTED, N_REASONS };

static const struct {
    const char *what, *words;
} reasons[N_REASONS] = {
    [BATCH] = {"touch the batch axis", "batch"},
    [AXES] = {"have windows or products over other axes than height and width", "axes; expected"},
    [TYPE] = {"do not compute with floats", "type"},
    [SEQUENCE] = {"have an input that is no tensor", "tensor"},
    [MODE] = {"resize in a way that we do not", "is not computed"},
    [SELECT] = {"gather several elements of the image", "gathers"},
    [EMPTY] = {"leave nothing", "nothing is left"},
    [TRAINING] = {"want batch statistics or noise (read, and told so)", ""},
    [DISPUTED] = {"differ from onnxruntime too", ""},
};

/*
 * TRAINING: the network is read and its info says that the file is in training form; we run it in evaluation form.
 * DISPUTED: ONNX 1.12 aligns corners by a fractional output side (2.4); onnxruntime and PyTorch by the real one (2).
 */
static const struct refusal {
    const char *test;
    enum reason reason;
} refusals[] = {
    {"test_flatten_axis0", BATCH},
    {"test_flatten_axis2", BATCH},
    {"test_flatten_axis3", BATCH},
    {"test_flatten_negative_axis1", BATCH},
    {"test_flatten_negative_axis2", BATCH},
    {"test_flatten_negative_axis4", BATCH},
    {"test_gather_0", BATCH},
    {"test_gemm_all_attributes", BATCH},
    {"test_gemm_default_matrix_bias", BATCH},
    {"test_gemm_transposeA", BATCH},
    {"test_reduce_mean_default_axes_keepdims_example", BATCH},
    {"test_reduce_mean_default_axes_keepdims_random", BATCH},
    {"test_reshape_allowzero_reordered", BATCH},
    {"test_reshape_negative_extended_dims", BATCH},
    {"test_softmax_axis_0", BATCH},
    {"test_split_equal_parts_1d", BATCH},
    {"test_split_equal_parts_default_axis", BATCH},
    {"test_split_variable_parts_1d", BATCH},
    {"test_split_variable_parts_default_axis", BATCH},
    {"test_split_zero_size_splits", BATCH},
    {"test_unsqueeze_axis_0", BATCH},
    {"test_averagepool_1d_default", AXES},
    {"test_averagepool_3d_default", AXES},
    {"test_matmul_3d", AXES},
    {"test_matmul_4d", AXES},
    {"test_maxpool_1d_default", AXES},
    {"test_maxpool_3d_default", AXES},
    {"test_cast_FLOAT_to_BFLOAT16", TYPE},
    {"test_cast_FLOAT_to_STRING", TYPE},
    {"test_cast_STRING_to_FLOAT", TYPE},
    {"test_castlike_FLOAT_to_BFLOAT16_expanded", TYPE},
    {"test_castlike_FLOAT_to_STRING", TYPE},
    {"test_castlike_FLOAT_to_STRING_expanded", TYPE},
    {"test_castlike_STRING_to_FLOAT", TYPE},
    {"test_castlike_STRING_to_FLOAT_expanded", TYPE},
    {"test_clip_default_int8_inbounds", TYPE},
    {"test_clip_default_int8_max", TYPE},
    {"test_clip_default_int8_min", TYPE},
    {"test_constantofshape_int_shape_zero", TYPE},
    {"test_edge_pad", TYPE},
    {"test_loop11", TYPE},
    {"test_loop13_seq", TYPE},
    {"test_loop16_seq_none", TYPE},
    {"test_maxpool_2d_uint8", TYPE},
    {"test_reflect_pad", TYPE},
    {"test_identity_opt", SEQUENCE},
    {"test_identity_sequence", SEQUENCE},
    {"test_resize_downsample_scales_cubic", MODE},
    {"test_resize_downsample_scales_cubic_A_n0p5_exclude_outside", MODE},
    {"test_resize_downsample_scales_cubic_align_corners", MODE},
    {"test_resize_downsample_sizes_cubic", MODE},
    {"test_resize_downsample_sizes_nearest_tf_half_pixel_for_nn", MODE},
    {"test_resize_tf_crop_and_resize", MODE},
    {"test_resize_upsample_scales_cubic", MODE},
    {"test_resize_upsample_scales_cubic_A_n0p5_exclude_outside", MODE},
    {"test_resize_upsample_scales_cubic_align_corners", MODE},
    {"test_resize_upsample_scales_cubic_asymmetric", MODE},
    {"test_resize_upsample_sizes_cubic", MODE},
    {"test_gather_1", SELECT},
    {"test_slice_start_out_of_bounds", EMPTY},
    {"test_batchnorm_epsilon_training_mode", TRAINING},
    {"test_batchnorm_example_training_mode", TRAINING},
    {"test_training_dropout", TRAINING},
    {"test_training_dropout_default", TRAINING},
    {"test_training_dropout_default_mask", TRAINING},
    {"test_training_dropout_mask", TRAINING},
    {"test_resize_downsample_scales_linear_align_corners", DISPUTED},
};

#endif
