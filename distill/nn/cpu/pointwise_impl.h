/* Kernels that work value by value. Included by kernels_impl.h: one copy for each instruction set. */

static void axpy(float a, const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

/* --- e^x --- */

/** x = n ln 2 + r with |r| <= ln(2)/2: 2^n, and e^r - 1 by its series. For x in -87.3 … 88; a NaN gives NaN. */
struct exp_parts {
    float power, less_one;
};

static inline struct exp_parts exp_split(float x)
{
    const float shifter = 12582912.0F; /* 1.5 2^23: adding it rounds to an integer, which the low bits then hold */
    const float shifted = x * 1.44269504F + shifter, n = shifted - shifter;
    const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F; /* ln 2 in two parts; the first has nine bits */
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000U;
    struct exp_parts e;
    memcpy(&e.power, &bits, sizeof bits);
    const float tail =
        1.0F / 2 + r * (1.0F / 6 + r * (1.0F / 24 + r * (1.0F / 120 + r * (1.0F / 720 + r * (1.0F / 5040)))));
    e.less_one = r + r * r * tail;
    return e;
}

static inline float exp_of(float x)
{
    const float least = -87.3F, most = 88.0F;
    float v = x < least ? least : x;
    v = v > most ? most : v;
    const struct exp_parts e = exp_split(v);
    const float y = e.power + e.power * e.less_one;
    return x < least ? 0 : x > most ? INFINITY : y;
}

static void exponential(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = exp_of(x[i]);
}

static inline float sigmoid_of(float x)
{
    const float e = exp_of(x < 0 ? x : -x), q = 1 / (1 + e);
    return x < 0 ? e * q : q;
}

/** By e^-2|x| - 1, which keeps its digits near 0. */
static inline float tanh_of(float x)
{
    float v = -2 * (x < 0 ? -x : x);
    v = v < -80 ? -80 : v;
    const struct exp_parts e = exp_split(v);
    const float less_one = e.power * e.less_one + (e.power - 1);
    const float t = -less_one / (2 + less_one);
    return x < 0 ? -t : t;
}

/* --- ops of one input --- */

static inline float clip_of(float x, float low, float high)
{
    const float v = x < low ? low : x;
    return v > high ? high : v;
}

#define EACH(value)                                                                                                    \
    for (size_t i = 0; i < n; i++)                                                                                     \
        y[i] = (value);                                                                                                \
    break

static void unary(enum ws_op op, const float *x, size_t n, float alpha, float beta, float *y)
{
    switch (op) {
    case WS_OP_RELU:
        EACH(x[i] < 0 ? 0 : x[i]);
    case WS_OP_LEAKY_RELU:
        EACH(x[i] < 0 ? alpha * x[i] : x[i]);
    case WS_OP_CLIP:
        EACH(clip_of(x[i], alpha, beta));
    case WS_OP_SIGMOID:
        EACH(sigmoid_of(x[i]));
    case WS_OP_HARD_SIGMOID:
        EACH(clip_of(alpha * x[i] + beta, 0, 1));
    case WS_OP_HARD_SWISH:
        EACH(x[i] * clip_of(x[i] * (1.0F / 6) + 0.5F, 0, 1));
    case WS_OP_TANH:
        EACH(tanh_of(x[i]));
    default:
        break;
    }
}
#undef EACH

#define EACH(slope)                                                                                                    \
    if (accumulate)                                                                                                    \
        for (size_t i = 0; i < n; i++)                                                                                 \
            dx[i] += dy[i] * (slope);                                                                                  \
    else                                                                                                               \
        for (size_t i = 0; i < n; i++)                                                                                 \
            dx[i] = dy[i] * (slope);                                                                                   \
    break

static inline float hard_swish_slope(float x)
{
    return x < -3 ? 0 : x > 3 ? 1 : x * (1.0F / 3) + 0.5F;
}

static inline float hard_sigmoid_slope(float x, float alpha, float beta)
{
    const float v = alpha * x + beta;
    return v > 0 && v < 1 ? alpha : 0;
}

static void unary_dx(enum ws_op op, const float *dy, const float *x, const float *y, size_t n, float alpha, float beta,
                     bool accumulate, float *dx)
{
    switch (op) {
    case WS_OP_RELU:
        EACH(x[i] > 0 ? 1 : 0);
    case WS_OP_LEAKY_RELU:
        EACH(x[i] > 0 ? 1 : alpha);
    case WS_OP_CLIP:
        EACH(x[i] > alpha && x[i] < beta ? 1 : 0);
    case WS_OP_SIGMOID:
        EACH(y[i] * (1 - y[i]));
    case WS_OP_HARD_SIGMOID:
        EACH(hard_sigmoid_slope(x[i], alpha, beta));
    case WS_OP_HARD_SWISH:
        EACH(hard_swish_slope(x[i]));
    case WS_OP_TANH:
        EACH(1 - y[i] * y[i]);
    default:
        break;
    }
}
#undef EACH

/* --- ops of two inputs --- */

/** `is_mul` and the steps (0 or 1) are constants where this is called, so that each case is a loop of its own. */
static inline void combine_with(bool is_mul, const float *a, size_t step_a, const float *b, size_t step_b, size_t n,
                                bool relu, float *y)
{
    if (relu)
        for (size_t i = 0; i < n; i++) {
            const float v = is_mul ? a[i * step_a] * b[i * step_b] : a[i * step_a] + b[i * step_b];
            y[i] = v < 0 ? 0 : v;
        }
    else
        for (size_t i = 0; i < n; i++)
            y[i] = is_mul ? a[i * step_a] * b[i * step_b] : a[i * step_a] + b[i * step_b];
}

static inline void combine_steps(bool is_mul, const float *a, bool a_one, const float *b, bool b_one, size_t n,
                                 bool relu, float *y)
{
    if (!a_one && !b_one)
        combine_with(is_mul, a, 1, b, 1, n, relu, y);
    else if (!a_one)
        combine_with(is_mul, a, 1, b, 0, n, relu, y);
    else if (!b_one)
        combine_with(is_mul, a, 0, b, 1, n, relu, y);
    else
        combine_with(is_mul, a, 0, b, 0, n, relu, y);
}

static void combine(bool is_mul, const float *a, bool a_one, const float *b, bool b_one, size_t n, bool relu, float *y)
{
    if (is_mul)
        combine_steps(true, a, a_one, b, b_one, n, relu, y);
    else
        combine_steps(false, a, a_one, b, b_one, n, relu, y);
}

enum { LANES = 16 };

/** Sum of dy[i] other[i] in LANES sums, which the compiler keeps in a register. */
static inline float dot_of(const float *dy, const float *other, size_t step, size_t n)
{
    float lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += other ? dy[i + k] * other[(i + k) * step] : dy[i + k];
    for (; i < n; i++)
        sum += other ? dy[i] * other[i * step] : dy[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lanes[k];
    return sum;
}

static void combine_dx(const float *dy, const float *other, bool other_one, size_t n, bool to_one, float *dx)
{
    if (to_one)
        dx[0] += !other      ? dot_of(dy, NULL, 0, n)
                 : other_one ? dot_of(dy, NULL, 0, n) * other[0]
                             : dot_of(dy, other, 1, n);
    else if (!other)
        axpy(1, dy, n, dx);
    else if (other_one)
        axpy(other[0], dy, n, dx);
    else
        for (size_t i = 0; i < n; i++)
            dx[i] += dy[i] * other[i];
}
