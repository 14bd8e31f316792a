/* Kernels of pooling, one window at a time. Included by kernels_impl.h: one copy for each instruction set. */

static void pool(const struct ws_pool_window *w, const float *x, float *y)
{
    const size_t channels = w->channels;
    for (size_t c = 0; c < channels; c++)
        y[c] = w->is_max ? -INFINITY : 0;
    for (size_t row = 0; row < w->rows; row++)
        for (size_t column = 0; column < w->columns; column++) {
            const float *pixel = x + row * w->row_stride + column * w->column_stride;
            if (w->is_max)
                for (size_t c = 0; c < channels; c++)
                    y[c] = pixel[c] <= y[c] || y[c] != y[c] ? y[c] : pixel[c];
            else
                for (size_t c = 0; c < channels; c++)
                    y[c] += pixel[c];
        }
    if (!w->is_max)
        for (size_t c = 0; c < channels; c++)
            y[c] *= w->share;
}

/** The largest of up to BLOCK channels: what is left of dy goes to the first pixel that equals y. */
static inline void max_pool_dx(const struct ws_pool_window *w, const float *x, const float *y, const float *dy,
                               size_t length, float *dx)
{
    float left[BLOCK];
    for (size_t c = 0; c < length; c++)
        left[c] = dy[c];
    for (size_t row = 0; row < w->rows; row++)
        for (size_t column = 0; column < w->columns; column++) {
            const size_t at = row * w->row_stride + column * w->column_stride;
            for (size_t c = 0; c < length; c++) {
                const bool is_it = x[at + c] == y[c];
                dx[at + c] += is_it ? left[c] : 0;
                left[c] = is_it ? 0 : left[c];
            }
        }
}

static void pool_dx(const struct ws_pool_window *w, const float *x, const float *y, const float *dy, float *dx)
{
    if (w->is_max) {
        size_t c = 0;
        for (; c + BLOCK <= w->channels; c += BLOCK)
            max_pool_dx(w, x + c, y + c, dy + c, BLOCK, dx + c);
        max_pool_dx(w, x + c, y + c, dy + c, w->channels - c, dx + c);
        return;
    }
    for (size_t row = 0; row < w->rows; row++)
        for (size_t column = 0; column < w->columns; column++)
            axpy(w->share, dy, w->channels, dx + row * w->row_stride + column * w->column_stride);
}
