#include "webstill/curate/phash.h"

#include "webstill/base/err.h"

#include <math.h>
#include <stdlib.h>

enum { GRID = 32, FREQUENCIES = 8, BITS = FREQUENCIES * FREQUENCIES };

static const double PI = 3.14159265358979323846;
static const double MARGIN = 0.1; /* of the frequencies' root mean square */

/* Luma of ITU-R BT.601, 0..255. */
static double luma(const uint8_t *pixel, int channels)
{
    if (channels == 1)
        return (double)pixel[0];
    return 0.299 * (double)pixel[0] + 0.587 * (double)pixel[1] + 0.114 * (double)pixel[2];
}

/* Means over the cells of a grid of `rows` x `columns`, neither larger than the picture. */
static void shrink(const uint8_t *pixels, int height, int width, int channels, int rows, int columns,
                   double grid[GRID][GRID])
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            const int y0 = r * height / rows, y1 = (r + 1) * height / rows;
            const int x0 = c * width / columns, x1 = (c + 1) * width / columns;
            double sum = 0.0;
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    sum += luma(pixels + ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels, channels);
            grid[r][c] = sum / (double)((y1 - y0) * (x1 - x0));
        }
}

static void cosines(int n, double table[FREQUENCIES][GRID])
{
    for (int u = 0; u < FREQUENCIES; u++)
        for (int x = 0; x < n; x++)
            table[u][x] = cos(PI * (double)((2 * x + 1) * (u + 1)) / (double)(2 * n));
}

/* The cosine transform at frequencies 1..8 in both directions. The lowest of all, the mean, is not among them. */
static void transform(double grid[GRID][GRID], int rows, int columns, double out[BITS])
{
    double along[FREQUENCIES][GRID], across[FREQUENCIES][GRID], half[GRID][FREQUENCIES];
    cosines(columns, along);
    cosines(rows, across);
    for (int r = 0; r < rows; r++)
        for (int u = 0; u < FREQUENCIES; u++) {
            half[r][u] = 0.0;
            for (int c = 0; c < columns; c++)
                half[r][u] += grid[r][c] * along[u][c];
        }
    for (int v = 0; v < FREQUENCIES; v++)
        for (int u = 0; u < FREQUENCIES; u++) {
            double sum = 0.0;
            for (int r = 0; r < rows; r++)
                sum += half[r][u] * across[v][r];
            out[v * FREQUENCIES + u] = sum;
        }
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

uint64_t ws_phash(const uint8_t *pixels, int height, int width, int channels)
{
    ws_assert(height >= 1 && width >= 1 && (channels == 1 || channels == 3));
    const int rows = height < GRID ? height : GRID, columns = width < GRID ? width : GRID;
    double grid[GRID][GRID], wave[BITS], sorted[BITS], squares = 0.0;
    shrink(pixels, height, width, channels, rows, columns, grid);
    transform(grid, rows, columns, wave);
    for (int k = 0; k < BITS; k++) {
        sorted[k] = wave[k];
        squares += wave[k] * wave[k];
    }
    qsort(sorted, BITS, sizeof *sorted, compare_doubles);
    const double rms = sqrt(squares / BITS);
    if (rms < 1e-3 * (double)(rows * columns)) /* even but for rounding */
        return 0;
    const double level = 0.5 * (sorted[BITS / 2 - 1] + sorted[BITS / 2]) + MARGIN * rms;
    uint64_t hash = 0;
    for (int k = 0; k < BITS; k++)
        hash |= (uint64_t)(wave[k] > level) << k;
    return hash;
}

int ws_phash_distance(uint64_t a, uint64_t b)
{
    return __builtin_popcountll(a ^ b);
}
