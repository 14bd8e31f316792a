/* The plain twins of the ops that have no parameters (reference.h), value by value. Included by reference.h alone. */
#ifndef WEBSTILL_TESTS_REFERENCE_OPS_H
#define WEBSTILL_TESTS_REFERENCE_OPS_H

/* --- ops of one input, value by value --- */

static inline real reference_clip(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

static inline real reference_unary_value(const struct ws_node *n, real x)
{
    const real alpha = (real)n->point.alpha, beta = (real)n->point.beta;
    switch (n->op) {
    case WS_OP_RELU:
        return x > 0 ? x : 0;
    case WS_OP_LEAKY_RELU:
        return x > 0 ? x : alpha * x;
    case WS_OP_CLIP:
        return reference_clip(x, alpha, beta);
    case WS_OP_SIGMOID:
        return 1 / (1 + exp(-x));
    case WS_OP_HARD_SIGMOID:
        return reference_clip(alpha * x + beta, 0, 1);
    case WS_OP_HARD_SWISH:
        return x * reference_clip(x / 6 + 0.5, 0, 1);
    case WS_OP_TANH:
        return tanh(x);
    default:
        return x;
    }
}

static inline real reference_unary_slope(const struct ws_node *n, real x)
{
    const real alpha = (real)n->point.alpha, beta = (real)n->point.beta, line = alpha * x + beta;
    switch (n->op) {
    case WS_OP_RELU:
        return x > 0 ? 1 : 0;
    case WS_OP_LEAKY_RELU:
        return x > 0 ? 1 : alpha;
    case WS_OP_CLIP:
        return x > alpha && x < beta ? 1 : 0;
    case WS_OP_SIGMOID:
        return 1 / ((1 + exp(-x)) * (1 + exp(x)));
    case WS_OP_HARD_SIGMOID:
        return line > 0 && line < 1 ? alpha : 0;
    case WS_OP_HARD_SWISH:
        return x < -3 ? 0 : x > 3 ? 1 : x / 3 + 0.5;
    case WS_OP_TANH:
        return 1 / (cosh(x) * cosh(x));
    default:
        return 1;
    }
}

/* Distance of x from the nearest place where the slope jumps. */
static inline double reference_kink(const struct ws_node *n, double x)
{
    switch (n->op) {
    case WS_OP_RELU:
    case WS_OP_LEAKY_RELU:
        return fabs(x);
    case WS_OP_CLIP:
        return fmin(fabs(x - n->point.alpha), fabs(x - n->point.beta));
    case WS_OP_HARD_SIGMOID:
        return fmin(fabs(n->point.alpha * x + n->point.beta), fabs(n->point.alpha * x + n->point.beta - 1)) /
               fabs(n->point.alpha);
    case WS_OP_HARD_SWISH:
        return fmin(fabs(x - 3), fabs(x + 3));
    default:
        return INFINITY;
    }
}

static inline void reference_unary(struct reference *r, int id, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id];
    const int from = n->inputs[0];
    for (size_t i = 0; i < (size_t)r->batch * reference_size(r->net, id); i++)
        if (backward)
            r->gradient[from][i] += r->gradient[id][i] * reference_unary_slope(n, r->value[from][i]);
        else
            r->value[id][i] = reference_unary_value(n, r->value[from][i]);
}

/* --- one output value at a time --- */

/* A constant has one image. */
static inline size_t reference_in(const struct reference *r, int node, int image, int y, int x, int c)
{
    const struct ws_node *n = &r->net->nodes[node];
    return reference_at(n, n->op == WS_OP_CONSTANT ? 0 : image, y, x, c);
}

static inline size_t reference_repeated(const struct reference *r, int node, int image, int y, int x, int c)
{
    const struct ws_node *n = &r->net->nodes[node];
    return reference_in(r, node, image, n->height == 1 ? 0 : y, n->width == 1 ? 0 : x, n->channels == 1 ? 0 : c);
}

static inline void reference_combine(struct reference *r, int id, int image, int y, int x, int c, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id];
    const int a = n->inputs[0], b = n->inputs[1];
    const size_t at = reference_at(n, image, y, x, c);
    const size_t at_a = reference_repeated(r, a, image, y, x, c), at_b = reference_repeated(r, b, image, y, x, c);
    const real va = r->value[a][at_a], vb = r->value[b][at_b], g = r->gradient[id][at];
    if (!backward)
        r->value[id][at] = n->op == WS_OP_ADD ? va + vb : va * vb;
    if (!backward)
        return;
    r->gradient[a][at_a] += n->op == WS_OP_ADD ? g : g * vb;
    r->gradient[b][at_b] += n->op == WS_OP_ADD ? g : g * va;
}

static inline int reference_pad_source(const struct ws_node *n, int side, int i, int in)
{
    int at = i - n->pad.sides[2 * side];
    if (at >= 0 && at < in)
        return at;
    if (n->pad.mode == WS_PAD_CONSTANT)
        return -1;
    if (n->pad.mode == WS_PAD_EDGE)
        return at < 0 ? 0 : in - 1;
    return at < 0 ? -at : in - 1 - (at - (in - 1));
}

static inline double reference_coordinate(const struct ws_resize *s, int axis, int i, int in, int out)
{
    const double scale = s->scale[axis] > 0 ? s->scale[axis] : (double)out / (double)in;
    const double half_pixel = (i + 0.5) / scale - 0.5;
    if (s->grid == WS_GRID_HALF_PIXEL)
        return half_pixel;
    if (s->grid == WS_GRID_PYTORCH_HALF_PIXEL)
        return out > 1 ? half_pixel : 0;
    if (s->grid == WS_GRID_ALIGN_CORNERS)
        return out == 1 ? 0 : (double)i * (double)(in - 1) / (double)(out - 1);
    return i / scale;
}

static inline int reference_nearest(const struct ws_resize *s, int axis, int i, int in, int out)
{
    const double at = reference_coordinate(s, axis, i, in, out), below = floor(at);
    double to = below;
    if (s->rounding == WS_ROUND_CEIL)
        to = ceil(at);
    else if (s->rounding == WS_ROUND_PREFER_FLOOR)
        to = at - below > 0.5 ? below + 1 : below;
    else if (s->rounding == WS_ROUND_PREFER_CEIL)
        to = at - below >= 0.5 ? below + 1 : below;
    return to < 0 ? 0 : to > in - 1 ? in - 1 : (int)to;
}

/* Weight of input pixel k in output pixel i along one axis: the tent of a linear interpolation. */
static inline double reference_tent(const struct ws_resize *s, int axis, int i, int in, int out, int k)
{
    if (!s->is_linear)
        return reference_nearest(s, axis, i, in, out) == k ? 1 : 0;
    double at = reference_coordinate(s, axis, i, in, out);
    at = at < 0 ? 0 : at > in - 1 ? in - 1 : at;
    return fmax(0, 1 - fabs(at - k));
}

static inline void reference_resize(struct reference *r, int id, int image, int y, int x, int c, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id], *in = &r->net->nodes[n->inputs[0]];
    const size_t at = reference_at(n, image, y, x, c);
    for (int iy = 0; iy < in->height; iy++)
        for (int ix = 0; ix < in->width; ix++) {
            const size_t from = reference_in(r, n->inputs[0], image, iy, ix, c);
            const real share = (real)(reference_tent(&n->resize, 0, y, in->height, n->height, iy) *
                                      reference_tent(&n->resize, 1, x, in->width, n->width, ix));
            if (backward)
                r->gradient[n->inputs[0]][from] += share * r->gradient[id][at];
            else
                r->value[id][at] += share * r->value[n->inputs[0]][from];
        }
}

/* Node and index of the value that an op of layout puts at (y, x, c); false: a constant. */
static inline bool reference_source(const struct reference *r, int id, int image, const int to[3], int *node,
                                    size_t *at)
{
    const struct ws_node *n = &r->net->nodes[id], *in = &r->net->nodes[n->inputs[0]];
    int from[3] = {to[0], to[1], to[2]};
    const int in_sides[3] = {in->height, in->width, in->channels};
    *node = n->inputs[0];
    if (n->op == WS_OP_CONCAT) {
        int i = 0;
        for (;; i++) {
            const struct ws_node *part = &r->net->nodes[n->inputs[i]];
            const int sides[3] = {part->height, part->width, part->channels};
            if (from[n->along.axis] < sides[n->along.axis])
                break;
            from[n->along.axis] -= sides[n->along.axis];
        }
        *node = n->inputs[i];
    } else if (n->op == WS_OP_RESHAPE) {
        const int flat = (to[2] * n->height + to[0]) * n->width + to[1];
        from[1] = flat % in->width;
        from[0] = flat / in->width % in->height;
        from[2] = flat / in->width / in->height;
    } else if (n->op == WS_OP_TRANSPOSE) {
        for (int i = 0; i < 3; i++)
            from[n->transpose.perm[i]] = to[i];
    } else if (n->op == WS_OP_CHANNEL_SHUFFLE) {
        from[2] = to[2] % n->shuffle.groups * (n->channels / n->shuffle.groups) + to[2] / n->shuffle.groups;
    } else if (n->op == WS_OP_SLICE) {
        for (int i = 0; i < 3; i++)
            from[i] = n->slice.begin[i] + to[i] * n->slice.step[i];
    } else if (n->op == WS_OP_PAD) {
        for (int i = 0; i < 3; i++) {
            from[i] = reference_pad_source(n, i, to[i], in_sides[i]);
            if (from[i] < 0)
                return false;
        }
    }
    *at = reference_in(r, *node, image, from[0], from[1], from[2]);
    return true;
}

static inline void reference_layout(struct reference *r, int id, int image, int y, int x, int c, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id];
    const size_t at = reference_at(n, image, y, x, c);
    int node;
    size_t from;
    if (!reference_source(r, id, image, (int[]){y, x, c}, &node, &from)) {
        if (!backward)
            r->value[id][at] = (real)n->pad.value;
    } else if (backward) {
        r->gradient[node][from] += r->gradient[id][at];
    } else {
        r->value[id][at] = r->value[node][from];
    }
}

/* Softmax, and with equal weights the mean: over all inputs that agree with the output along the other sides. */
static inline void reference_over_sides(struct reference *r, int id, int image, int y, int x, int c, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id], *in = &r->net->nodes[n->inputs[0]];
    const bool is_softmax = n->op == WS_OP_SOFTMAX;
    const int to[3] = {y, x, c}, sides[3] = {in->height, in->width, in->channels};
    int first[3], end[3];
    size_t count = 1;
    for (int i = 0; i < 3; i++) {
        const bool is_over = is_softmax ? (int)n->along.axis == i : n->mean.axes[i];
        first[i] = is_over ? 0 : to[i];
        end[i] = is_over ? sides[i] : to[i] + 1;
        count *= (size_t)(end[i] - first[i]);
    }
    const size_t at = reference_at(n, image, y, x, c);
    const real *value = r->value[n->inputs[0]];
    real sum = 0;
    for (int iy = first[0]; iy < end[0]; iy++)
        for (int ix = first[1]; ix < end[1]; ix++)
            for (int ic = first[2]; ic < end[2]; ic++) {
                const size_t from = reference_at(in, image, iy, ix, ic);
                if (backward && is_softmax) /* dy_at/dx_from = y_at ([at = from] - y_from) */
                    r->gradient[n->inputs[0]][from] +=
                        r->gradient[id][at] * r->value[id][at] * ((at == from ? 1 : 0) - r->value[id][from]);
                else if (backward)
                    r->gradient[n->inputs[0]][from] += r->gradient[id][at] / (real)count;
                sum += is_softmax ? exp(value[from]) : value[from];
            }
    if (!backward)
        r->value[id][at] = is_softmax ? exp(value[at]) / sum : sum / (real)count;
}

/* Any op of this file; false when it has no twin here. */
static inline bool reference_op(struct reference *r, int id, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id];
    void (*one)(struct reference *, int, int, int, int, int, bool) = NULL;
    switch (n->op) {
    case WS_OP_RELU:
    case WS_OP_LEAKY_RELU:
    case WS_OP_CLIP:
    case WS_OP_SIGMOID:
    case WS_OP_HARD_SIGMOID:
    case WS_OP_HARD_SWISH:
    case WS_OP_TANH:
        reference_unary(r, id, backward);
        return true;
    case WS_OP_DROPOUT:
        reference_unary(r, id, backward);
        return r->mode != WS_BN_TRAIN;
    case WS_OP_CONSTANT: /* file order C, H, W */
        for (int i = 0; !backward && i < (int)reference_size(r->net, id); i++)
            r->value[id][reference_at(n, 0, i / n->width % n->height, i % n->width, i / n->width / n->height)] =
                r->param[n->params[0]][i];
        return true;
    case WS_OP_ADD:
    case WS_OP_MUL:
        one = reference_combine;
        break;
    case WS_OP_CONCAT:
    case WS_OP_RESHAPE:
    case WS_OP_TRANSPOSE:
    case WS_OP_CHANNEL_SHUFFLE:
    case WS_OP_SLICE:
    case WS_OP_PAD:
        one = reference_layout;
        break;
    case WS_OP_RESIZE:
        one = reference_resize;
        break;
    case WS_OP_SOFTMAX:
    case WS_OP_REDUCE_MEAN:
        one = reference_over_sides;
        break;
    default:
        return false;
    }
    for (int image = 0; image < r->batch; image++)
        for (int y = 0; y < n->height; y++)
            for (int x = 0; x < n->width; x++)
                for (int c = 0; c < n->channels; c++)
                    one(r, id, image, y, x, c, backward);
    return true;
}

#endif
