/* The ops that change a map's sides: padding, resizing, means over axes. */
#include "message.h"
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* --- padding --- */

static const char *const pad_modes[] = {
    [WS_PAD_CONSTANT] = "constant", [WS_PAD_EDGE] = "edge", [WS_PAD_REFLECT] = "reflect"};

/** Where the k-th pair of pads goes: an image axis; -1 for the batch (or after a refusal). */
static int padded_axis(struct ws_onnx_reader *r, const struct ws_onnx_value *x, const struct ws_onnx_constant *axes,
                       int64_t k, bool is_zero)
{
    const int64_t axis = axes ? axes->ints[k] : k;
    if ((axis == 0 || axis == -(x->rank + 1)) && is_zero)
        return -1;
    return ws_onnx_image_axis(r, x, axis);
}

static void read_pad(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    const char *mode = ws_onnx_attr_string(r, "mode", "constant");
    const struct ws_onnx_constant *list = NULL, *fill = NULL, *axes = NULL;
    const int64_t *pads = NULL;
    size_t n = 0;
    double value = 0;
    if (r->opset < 11) {
        pads = ws_onnx_attr_ints(r, "pads", &n);
        value = ws_onnx_attr_float(r, "value", 0);
    } else {
        list = ws_onnx_input_ints(r, 1, false);
        fill = ws_onnx_input_floats(r, 2, true);
        axes = r->opset >= 18 ? ws_onnx_input_ints(r, 3, true) : NULL;
        pads = list ? list->ints : NULL;
        n = list ? (size_t)list->n : 0;
        value = fill && fill->n == 1 ? (double)fill->floats[0] : 0;
    }
    if (r->status != WS_OK)
        return;
    const int64_t n_pairs = axes ? axes->n : x->rank + 1;
    int kind = 0;
    while (kind <= WS_PAD_REFLECT && strcmp(mode, pad_modes[kind]) != 0)
        kind++;
    if (kind > WS_PAD_REFLECT)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "mode \"%s\"; expected constant, edge or reflect", mode);
    else if (!pads || n_pairs > x->rank + 1 || (int64_t)n != 2 * n_pairs)
        ws_onnx_refuse(r, WS_E_FORMAT, "%zu pads for %" PRId64 " axes", n, n_pairs);
    const int map = ws_onnx_value_as_map(r, x);
    int sides[2 * WS_N_SIDES] = {0};
    int64_t dims[WS_ONNX_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    for (int64_t k = 0; r->status == WS_OK && k < n_pairs; k++) {
        const int64_t before = pads[k], after = pads[k + n_pairs];
        const int axis = padded_axis(r, x, axes, k, before == 0 && after == 0);
        if (axis < 0)
            continue;
        if (before < -INT_MAX / 4 || before > INT_MAX / 4 || after < -INT_MAX / 4 || after > INT_MAX / 4) {
            ws_onnx_refuse(r, WS_E_FORMAT, "pads of %" PRId64 " and %" PRId64, before, after);
            return;
        }
        sides[2 * ws_onnx_side_of(axis)] = (int)before;
        sides[2 * ws_onnx_side_of(axis) + 1] = (int)after;
        dims[axis] = x->dims[axis] + before + after;
    }
    if (r->status != WS_OK)
        return;
    const int node = ws_net_pad(r->net, ws_onnx_name_after(r, NULL), map, sides, (enum ws_pad_mode)kind, value);
    if (r->net->err.status == WS_OK)
        (void)ws_onnx_output_data(r, 0, node, x->rank, dims);
}

/* --- resizing --- */

/** Which of `n` names this is; refuses others. */
static int choose(struct ws_onnx_reader *r, const char *what, const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%s \"%s\" is not computed", what, name);
    return 0;
}

static void read_resize_modes(struct ws_onnx_reader *r, struct ws_resize *resize)
{
    static const char *const grids[] = {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    static const char *const modes[] = {"nearest", "linear", "bilinear"};
    resize->is_linear = choose(r, "mode", ws_onnx_attr_string(r, "mode", "nearest"), modes, 3) > 0;
    resize->grid = WS_GRID_ASYMMETRIC;
    resize->rounding = WS_ROUND_FLOOR;
    if (r->opset < 11)
        return;
    const char *grid = ws_onnx_attr_string(r, "coordinate_transformation_mode", "half_pixel");
    const char *rounding = ws_onnx_attr_string(r, "nearest_mode", "round_prefer_floor");
    resize->grid = (enum ws_resize_grid)choose(r, "coordinate_transformation_mode", grid, grids, 4);
    resize->rounding = (enum ws_resize_round)choose(r, "nearest_mode", rounding, roundings, 4);
    (void)ws_onnx_attr_float(r, "cubic_coeff_a", -0.75);
    (void)ws_onnx_attr_float(r, "extrapolation_value", 0);
    (void)ws_onnx_attr_int(r, "exclude_outside", 0);
    if (r->opset >= 18 && ws_onnx_attr_int(r, "antialias", 0) != 0)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "antialias is not computed");
    if (r->opset >= 18 && strcmp(ws_onnx_attr_string(r, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "keep_aspect_ratio_policy: expected stretch");
}

/** The scales of an old Upsample, an attribute. */
static const struct ws_onnx_constant *scales_attribute(struct ws_onnx_reader *r)
{
    const Onnx__AttributeProto *a = ws_onnx_attr_find(r, "scales");
    struct ws_onnx_constant *c = ws_onnx_take(r, 1, sizeof *c);
    const int64_t n = a ? (int64_t)a->n_floats : 0;
    if (!c || n < 1 || !ws_onnx_constant_new(&r->file->memory, false, 1, &n, c)) {
        ws_onnx_refuse(r, WS_E_FORMAT, "scales are missing");
        return NULL;
    }
    memcpy(c->floats, a->floats, (size_t)n * sizeof *c->floats);
    return c;
}

/** Sides after scaling or as given: the image axes' entries of `given`, whose batch and channels must stay. */
static void resize_axis(struct ws_onnx_reader *r, const struct ws_onnx_value *x, int axis,
                        const struct ws_onnx_constant *given, int64_t k, int64_t dims[WS_ONNX_MAX_RANK],
                        struct ws_resize *resize)
{
    const bool is_scale = !given->is_int;
    const double scale = is_scale ? (double)given->floats[k] : 0;
    if (axis < 1) { /* batch or channels */
        const int64_t side = axis < 0 ? (r->batch ? r->batch : WS_ONNX_BATCH) : x->dims[0];
        const bool stays =
            is_scale ? scale == 1
                     : given->ints[k] == side || (axis < 0 && (given->ints[k] == WS_ONNX_BATCH || given->ints[k] == 1));
        if (!stays)
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "resizes the batch or the channels; expected height and width alone");
        return;
    }
    if (is_scale && (!(scale > 0) || scale > 1e6)) {
        ws_onnx_refuse(r, WS_E_FORMAT, "a scale of %g", scale);
        return;
    }
    dims[axis] = is_scale ? (int64_t)floorf((float)x->dims[axis] * given->floats[k]) : given->ints[k];
    resize->scale[axis - 1] = scale;
    if (dims[axis] < 1 || dims[axis] > INT_MAX)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a side of %" PRId64, dims[axis]);
}

static void read_resize(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    struct ws_resize resize = {0};
    const struct ws_onnx_constant *scales = NULL, *sizes = NULL, *given;
    read_resize_modes(r, &resize);
    if (r->opset < 9)
        scales = scales_attribute(r);
    else
        scales = ws_onnx_input_floats(r, r->opset < 11 ? 1 : 2, true);
    if (r->opset >= 11)
        sizes = ws_onnx_input_ints(r, 3, true);
    given = sizes && sizes->n > 0 ? sizes : scales;
    if (r->status != WS_OK)
        return;
    size_t n_axes = 0;
    const int64_t *axes = r->opset >= 18 ? ws_onnx_attr_ints(r, "axes", &n_axes) : NULL;
    const int64_t n = axes ? (int64_t)n_axes : 4;
    if (x->rank != WS_N_SIDES || !given || given->n != n || n > 4) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                       "%d axes and %" PRId64 " scales or sizes; expected [N, C, H, W] and one for each axis",
                       x->rank + 1, given ? given->n : 0);
        return;
    }
    const int map = ws_onnx_value_as_map(r, x);
    int64_t dims[WS_ONNX_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    for (int64_t k = 0; k < n && r->status == WS_OK; k++) {
        const int64_t axis = axes ? axes[k] + (axes[k] < 0 ? 4 : 0) : k;
        if (axis < 0 || axis > 3)
            ws_onnx_refuse(r, WS_E_FORMAT, "axis %" PRId64, axis);
        else
            resize_axis(r, x, (int)axis - 1, given, k, dims, &resize);
    }
    if (r->status != WS_OK)
        return;
    const int node = ws_net_resize(r->net, ws_onnx_name_after(r, NULL), map, (int)dims[1], (int)dims[2], resize);
    (void)ws_onnx_output_data(r, 0, node, x->rank, dims);
}

/* --- means --- */

/** The axes to average, of the image; the batch is refused. *n is their number. */
static void mean_axes(struct ws_onnx_reader *r, const struct ws_onnx_value *x, bool is_reduced[WS_ONNX_MAX_RANK],
                      int *n)
{
    size_t n_given = 0;
    const int64_t *axes = NULL;
    if (r->opset >= 18) {
        const struct ws_onnx_constant *c = ws_onnx_input_ints(r, 1, true);
        axes = c ? c->ints : NULL;
        n_given = c ? (size_t)c->n : 0;
    } else {
        axes = ws_onnx_attr_ints(r, "axes", &n_given);
    }
    const bool is_noop = r->opset >= 18 && ws_onnx_attr_int(r, "noop_with_empty_axes", 0) != 0;
    if (r->status == WS_OK && n_given == 0 && !is_noop)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "averages over all axes, the batch too; expected each image on its own");
    for (size_t i = 0; i < n_given && axes && r->status == WS_OK; i++) {
        const int axis = ws_onnx_image_axis(r, x, axes[i]);
        *n += axis >= 0 && !is_reduced[axis];
        if (axis >= 0)
            is_reduced[axis] = true;
    }
}

static void read_reduce_mean(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    const bool keeps = ws_onnx_attr_int(r, "keepdims", 1) != 0;
    bool is_reduced[WS_ONNX_MAX_RANK] = {false}, sides[WS_N_SIDES] = {false};
    int n = 0, n_out = 0;
    if (x)
        mean_axes(r, x, is_reduced, &n);
    if (r->status != WS_OK)
        return;
    int64_t dims[WS_ONNX_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        if (!is_reduced[i] || keeps)
            dims[n_out++] = is_reduced[i] ? 1 : x->dims[i];
        if (is_reduced[i] && x->rank <= WS_N_SIDES)
            sides[ws_onnx_side_of(i)] = true;
    }
    if (n == 0) {
        ws_onnx_output_alias(r, 0, x);
        return;
    }
    const int map = ws_onnx_value_as_map(r, x);
    if (r->status != WS_OK)
        return;
    const char *name = ws_onnx_name_after(r, NULL);
    const bool is_pooling = !is_reduced[0] && n == x->rank - 1; /* each channel's map: what executors are best at */
    const int node =
        is_pooling ? ws_net_global_average_pool(r->net, name, map) : ws_net_reduce_mean(r->net, name, map, sides);
    (void)ws_onnx_output_data(r, 0, node, n_out, dims);
}

/* --- writing --- */

static void write_reduce_mean(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    int axes[WS_N_SIDES];
    size_t n = 0;
    for (int side = 0; side < WS_N_SIDES; side++)
        if (node->mean.axes[side])
            axes[n++] = ws_onnx_axes[side];
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, n > 0 ? "ReduceMean" : "Identity", 1);
    if (n == 0)
        return;
    ws_onnx_writer_ints(w, to, "axes", n, axes);
    ws_onnx_writer_int(w, to, "keepdims", 1);
}

static void write_pad(struct ws_onnx_writer *w, int id)
{
    static const char *const modes[] = {
        [WS_PAD_CONSTANT] = "constant", [WS_PAD_EDGE] = "edge", [WS_PAD_REFLECT] = "reflect"};
    const struct ws_node *node = &w->net->nodes[id];
    int64_t pads[8] = {0};
    for (int side = 0; side < WS_N_SIDES; side++) {
        pads[ws_onnx_axes[side]] = node->pad.sides[2 * side];
        pads[4 + ws_onnx_axes[side]] = node->pad.sides[2 * side + 1];
    }
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, "Pad", 3);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.pads", 8, pads);
    if (node->pad.mode == WS_PAD_CONSTANT)
        ws_onnx_writer_scalar_input(w, to, node->name, ".out.fill", node->pad.value);
    ws_onnx_writer_text(w, to, "mode", modes[node->pad.mode]);
}

/* [N, C, height, width] of the result, N taken from `x` when the graph runs; its name. */
static char *write_sizes(struct ws_onnx_writer *w, const struct ws_node *node, char *x)
{
    static const char *const parts[] = {"shape", "batch", "sizes"};
    char *names[3], *values[3];
    for (int i = 0; i < 3; i++) {
        names[i] = ws_onnx_writer_name(w, node->name, ".");
        names[i] = names[i] ? ws_onnx_writer_name(w, names[i], parts[i]) : NULL;
        values[i] = ws_onnx_writer_name(w, node->name, ".out.");
        values[i] = values[i] ? ws_onnx_writer_name(w, values[i], parts[i]) : NULL;
    }
    if (w->no_memory)
        return NULL;
    ws_onnx_writer_input(ws_onnx_writer_node(w, "Shape", names[0], 1, values[0]), x);
    Onnx__NodeProto *slice = ws_onnx_writer_node(w, "Slice", names[1], 3, values[1]);
    ws_onnx_writer_input(slice, values[0]);
    ws_onnx_writer_ints_input(w, slice, node->name, ".out.zero", 1, (int64_t[]){0});
    ws_onnx_writer_ints_input(w, slice, node->name, ".out.one", 1, (int64_t[]){1});
    Onnx__NodeProto *concat = ws_onnx_writer_node(w, "Concat", names[2], 2, values[2]);
    ws_onnx_writer_input(concat, values[1]);
    ws_onnx_writer_ints_input(w, concat, node->name, ".out.rest", 3,
                              (int64_t[]){node->channels, node->height, node->width});
    ws_onnx_writer_int(w, concat, "axis", 0);
    return values[2];
}

/* Scales where the file gave them or they are whole numbers, so that no rounding can move a pixel; else sizes. */
static void write_resize(struct ws_onnx_writer *w, int id)
{
    static const char *const grids[] = {[WS_GRID_HALF_PIXEL] = "half_pixel",
                                        [WS_GRID_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
                                        [WS_GRID_ASYMMETRIC] = "asymmetric",
                                        [WS_GRID_ALIGN_CORNERS] = "align_corners"};
    static const char *const roundings[] = {[WS_ROUND_PREFER_FLOOR] = "round_prefer_floor",
                                            [WS_ROUND_PREFER_CEIL] = "round_prefer_ceil",
                                            [WS_ROUND_FLOOR] = "floor",
                                            [WS_ROUND_CEIL] = "ceil"};
    const struct ws_node *node = &w->net->nodes[id], *in = &w->net->nodes[node->inputs[0]];
    const struct ws_resize *resize = &node->resize;
    const bool is_given = resize->scale[0] > 0 && resize->scale[1] > 0;
    const bool is_whole = node->height % in->height == 0 && node->width % in->width == 0;
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]), *none = ws_onnx_writer_name(w, "", "");
    char *sizes = is_given || is_whole ? NULL : write_sizes(w, node, x);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Resize", node->name, 4, w->values[id]);
    ws_onnx_writer_input(to, x);
    ws_onnx_writer_input(to, none); /* the region, of another mode */
    if (is_given || is_whole) {
        char *name = ws_onnx_writer_name(w, node->name, ".out.scales");
        float *scales = name ? ws_onnx_writer_floats(w, name, 1, (int64_t[]){4}, 4) : NULL;
        if (!scales)
            return;
        scales[0] = scales[1] = 1;
        scales[2] = (float)(is_given ? resize->scale[0] : node->height / in->height);
        scales[3] = (float)(is_given ? resize->scale[1] : node->width / in->width);
        ws_onnx_writer_input(to, name);
    } else {
        ws_onnx_writer_input(to, none);
        ws_onnx_writer_input(to, sizes);
    }
    ws_onnx_writer_text(w, to, "mode", resize->is_linear ? "linear" : "nearest");
    ws_onnx_writer_text(w, to, "coordinate_transformation_mode", grids[resize->grid]);
    if (!resize->is_linear)
        ws_onnx_writer_text(w, to, "nearest_mode", roundings[resize->rounding]);
}

/* --- the rows --- */

const struct ws_onnx_row ws_onnx_row_reduce_mean = {
    .reads = (const struct ws_onnx_type[]){{"ReduceMean", 7, 20, read_reduce_mean, NULL}, {.name = NULL}},
    .write = write_reduce_mean};

const struct ws_onnx_row ws_onnx_row_pad = {
    .reads = (const struct ws_onnx_type[]){{"Pad", 7, 20, read_pad, NULL}, {.name = NULL}}, .write = write_pad};

const struct ws_onnx_row ws_onnx_row_resize = {.reads =
                                                   (const struct ws_onnx_type[]){{"Resize", 10, 20, read_resize, NULL},
                                                                                 {"Upsample", 7, 9, read_resize, NULL},
                                                                                 {.name = NULL}},
                                               .write = write_resize};
