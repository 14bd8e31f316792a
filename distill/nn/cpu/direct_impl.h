/*
 * Direct convolution for narrow maps (16 to 128 channels), where packing patches for a matrix product costs as much as
 * the product. Part of kernels_impl.h.
 *
 * A tile is PIXELS neighbouring outputs times VECTORS vectors of output channels, held in registers while the window
 * and the input channels are walked: each weight vector is loaded once a tile, each input value is broadcast.
 */

/* Vector length, and for blocks of 1, 2 and 4 vectors of output channels how many pixels (forward) or input channels
   (weight gradient) a tile has: sums, weights and a broadcast fit the 32 registers of AVX-512, else 16. */
#if defined(__AVX512F__)
enum { VECTOR = 16, PIXELS_1 = 14, PIXELS_2 = 14, PIXELS_4 = 7, CHANNELS_1 = 16, CHANNELS_2 = 8, CHANNELS_4 = 4 };
#elif defined(__AVX2__)
enum { VECTOR = 8, PIXELS_1 = 8, PIXELS_2 = 4, PIXELS_4 = 2, CHANNELS_1 = 8, CHANNELS_2 = 4, CHANNELS_4 = 2 };
#else
enum { VECTOR = 4, PIXELS_1 = 8, PIXELS_2 = 4, PIXELS_4 = 2, CHANNELS_1 = 8, CHANNELS_2 = 4, CHANNELS_4 = 2 };
#endif

typedef float vector __attribute__((vector_size(VECTOR * sizeof(float)), aligned(4), may_alias));

/** The widest block that the channels left over fill: 4, 2 or 1 vectors. */
static inline int block_vectors(int channels)
{
    return channels >= 4 * VECTOR ? 4 : channels >= 2 * VECTOR ? 2 : 1;
}

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/** One tile of outputs; `pixels` and `vectors` are constants at each call. `x` is the window's corner of the first
 * output. */
ALWAYS_INLINE void forward_tile(const struct ws_direct *d, const float *x, const float *w, bool accumulate, float *y,
                                const int pixels, const int vectors)
{
    vector sum[14 * 4];
    size_t step = (size_t)d->stride * (size_t)d->channels, out = (size_t)d->out_pitch;
#pragma GCC unroll 64
    for (int i = 0; i < pixels * vectors; i++)
        sum[i] = (vector){0};
    for (int ky = 0; ky < d->kernel; ky++) {
        const float *row = x + (size_t)ky * (size_t)d->padded_width * (size_t)d->channels;
        for (int i = 0; i < d->kernel * d->channels; i++, row++, w += out) {
            vector weight[4];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                weight[v] = *(const vector *)(w + v * VECTOR);
#pragma GCC unroll 16
            for (int p = 0; p < pixels; p++) {
                float value = row[(size_t)p * step];
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[p * vectors + v] += value * weight[v];
            }
        }
    }
#pragma GCC unroll 16
    for (int p = 0; p < pixels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            vector *to = (vector *)(y + (size_t)p * out + v * VECTOR);
            if (accumulate)
                *to += sum[p * vectors + v];
            else
                *to = sum[p * vectors + v];
        }
}

/** A row of outputs for one block of channels: the widest tiles first, then narrower ones. */
ALWAYS_INLINE void forward_row(const struct ws_direct *d, const float *x, const float *w, bool accumulate, float *y,
                               const int tile, const int vectors)
{
    size_t step = (size_t)d->stride * (size_t)d->channels, out = (size_t)d->out_pitch;
    int ox = 0;
#define TILES(n)                                                                                                       \
    for (; (n) <= tile && d->out_width - ox >= (n); ox += (n))                                                         \
        forward_tile(d, x + (size_t)ox * step, w, accumulate, y + (size_t)ox * out, (n) <= tile ? (n) : 1, vectors);
    TILES(14)
    TILES(8)
    TILES(7)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

static void conv_direct(const struct ws_direct *d, const float *x, const float *w, bool accumulate, float *y)
{
    size_t in_row = (size_t)d->stride * (size_t)d->padded_width * (size_t)d->channels;
    size_t out_row = (size_t)d->out_width * (size_t)d->out_pitch;
    for (int c = 0; c < d->out_channels;) {
        int vectors = block_vectors(d->out_channels - c);
        for (int oy = 0; oy < d->out_height; oy++) {
            const float *from = x + (size_t)oy * in_row;
            float *to = y + (size_t)oy * out_row + c;
            if (vectors == 4)
                forward_row(d, from, w + c, accumulate, to, PIXELS_4, 4);
            else if (vectors == 2)
                forward_row(d, from, w + c, accumulate, to, PIXELS_2, 2);
            else
                forward_row(d, from, w + c, accumulate, to, PIXELS_1, 1);
        }
        c += vectors * VECTOR;
    }
}

/** dw of `channels` input channels times `vectors` vectors of output channels at one window position, over a whole
 * image. */
ALWAYS_INLINE void weight_tile(const struct ws_direct *d, const float *x, const float *dy, float *dw,
                               const int channels, const int vectors)
{
    vector sum[16 * 4];
    size_t step = (size_t)d->stride * (size_t)d->channels, out = (size_t)d->out_pitch;
    size_t row = (size_t)d->stride * (size_t)d->padded_width * (size_t)d->channels;
#pragma GCC unroll 16
    for (int c = 0; c < channels; c++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[c * vectors + v] = *(const vector *)(dw + (size_t)c * out + v * VECTOR);
    for (int oy = 0; oy < d->out_height; oy++, x += row) {
        const float *pixel = x;
        for (int ox = 0; ox < d->out_width; ox++, pixel += step, dy += out) {
            vector gradient[4];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                gradient[v] = *(const vector *)(dy + v * VECTOR);
#pragma GCC unroll 16
            for (int c = 0; c < channels; c++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[c * vectors + v] += pixel[c] * gradient[v];
        }
    }
#pragma GCC unroll 16
    for (int c = 0; c < channels; c++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            *(vector *)(dw + (size_t)c * out + v * VECTOR) = sum[c * vectors + v];
}

/** All input channels of one window position for one block of output channels. */
ALWAYS_INLINE void weight_position(const struct ws_direct *d, const float *x, const float *dy, float *dw,
                                   const int tile, const int vectors)
{
    int c = 0;
#define TILES(n)                                                                                                       \
    for (; (n) <= tile && d->channels - c >= (n); c += (n))                                                            \
        weight_tile(d, x + c, dy, dw + (size_t)c * (size_t)d->out_pitch, (n) <= tile ? (n) : 1, vectors);
    TILES(16)
    TILES(8)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

static void conv_direct_dw(const struct ws_direct *d, const float *x, const float *dy, float *dw)
{
    size_t position = (size_t)d->channels * (size_t)d->out_pitch;
    for (int ky = 0; ky < d->kernel; ky++)
        for (int kx = 0; kx < d->kernel; kx++, dw += position) {
            const float *from = x + ((size_t)ky * (size_t)d->padded_width + (size_t)kx) * (size_t)d->channels;
            for (int c = 0; c < d->out_channels;) {
                int vectors = block_vectors(d->out_channels - c);
                if (vectors == 4)
                    weight_position(d, from, dy + c, dw + c, CHANNELS_4, 4);
                else if (vectors == 2)
                    weight_position(d, from, dy + c, dw + c, CHANNELS_2, 2);
                else
                    weight_position(d, from, dy + c, dw + c, CHANNELS_1, 1);
                c += vectors * VECTOR;
            }
        }
}
