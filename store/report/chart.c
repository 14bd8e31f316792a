/** Line charts and heat maps. */
#include "chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 200, LEFT = 42, RIGHT = 50, TOP = 10, BOTTOM = 34, MARKERS_MAX = 40, LABELS_MAX = 24 };

/** Values lo … hi on pixels from … to, with a mark each `step`; a logarithmic one has its marks at 1, 2 and 5. */
struct axis {
    double lo, hi, step;
    double from, to;
    bool is_log;
};

static double place(const struct axis *axis, double value)
{
    if (axis->is_log)
        return axis->from + log(value / axis->lo) / log(axis->hi / axis->lo) * (axis->to - axis->from);
    return axis->from + (value - axis->lo) / (axis->hi - axis->lo) * (axis->to - axis->from);
}

/** The step 1, 2 or 5 times a power of ten that cuts `range` in about `n` parts. */
static double choose_step(double range, int n)
{
    const double raw = range / n, power = pow(10, floor(log10(raw))), share = raw / power;
    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

static bool find_range(const struct ws_chart *chart, bool is_x, double *lo, double *hi)
{
    bool is_found = false;
    for (size_t s = 0; s < chart->n_series; s++) {
        const struct ws_chart_series *series = &chart->series[s];
        for (size_t i = 0; i < series->n; i++) {
            const double value = is_x ? series->x[i] : series->y[i];
            if (!isfinite(series->x[i]) || !isfinite(series->y[i]))
                continue;
            *lo = !is_found || value < *lo ? value : *lo;
            *hi = !is_found || value > *hi ? value : *hi;
            is_found = true;
            if (!is_x && series->lo && isfinite(series->lo[i]) && isfinite(series->hi[i])) {
                *lo = series->lo[i] < *lo ? series->lo[i] : *lo;
                *hi = series->hi[i] > *hi ? series->hi[i] : *hi;
            }
        }
    }
    return is_found;
}

static struct axis plan_y(const struct ws_chart *chart, double lo, double hi)
{
    for (size_t i = 0; chart->y_range && i < 2; i++) {
        lo = chart->y_range[i] < lo ? chart->y_range[i] : lo;
        hi = chart->y_range[i] > hi ? chart->y_range[i] : hi;
    }
    if (isfinite(chart->y_top) && hi < chart->y_top)
        hi = chart->y_top;
    if (chart->from_zero && lo > 0)
        lo = 0;
    if (hi - lo < 1e-9 * (fabs(hi) + 1e-9))
        hi = lo + (fabs(lo) > 0 ? fabs(lo) * 0.1 : 1);
    struct axis y = {.from = HEIGHT - BOTTOM, .to = TOP, .step = choose_step(hi - lo, 4)};
    y.lo = floor(lo / y.step + 1e-9) * y.step;
    y.hi = ceil(hi / y.step - 1e-9) * y.step;
    return y;
}

static struct axis plan_x(const struct ws_chart *chart, double lo, double hi)
{
    if (hi <= lo)
        hi = chart->is_log ? lo * 2 : lo + 1;
    struct axis x = {.lo = lo,
                     .hi = hi,
                     .from = LEFT,
                     .to = WIDTH - RIGHT,
                     .step = choose_step(hi - lo, 5),
                     .is_log = chart->is_log && lo > 0};
    if (x.step < 1 && lo >= 1)
        x.step = 1; /* epochs and steps are whole */
    return x;
}

/** As few decimals as tell two marks apart; thousands as "12k". */
static void add_tick(struct ws_html *html, double value, double step)
{
    if (step >= 1000 && fabs(value) >= 1000) {
        ws_html_addf(html, "%.0fk", value / 1000);
        return;
    }
    int decimals = 0;
    for (double s = step; s < 0.999 && decimals < 6; s *= 10)
        decimals++;
    ws_html_addf(html, "%.*f", decimals, fabs(value) < step * 1e-6 ? 0.0 : value);
}

static void draw_x_tick(struct ws_html *html, const struct axis *x, double value, double step)
{
    ws_html_addf(html, "<text x=\"%.1f\" y=\"%d\" class=\"mid\">", place(x, value), HEIGHT - BOTTOM + 15);
    add_tick(html, value, step);
    ws_html_add(html, "</text>");
}

static void draw_x_ticks(struct ws_html *html, const struct axis *x)
{
    static const double digits[] = {1, 2, 5};
    for (double value = ceil(x->lo / x->step) * x->step; !x->is_log && value < x->hi + x->step * 1e-6; value += x->step)
        draw_x_tick(html, x, value, x->step);
    if (!x->is_log)
        return;
    for (double power = pow(10, floor(log10(x->lo))); power <= x->hi; power *= 10) {
        for (size_t i = 0; i < sizeof digits / sizeof digits[0]; i++) {
            const double value = digits[i] * power;
            if (value >= x->lo * (1 - 1e-9) && value <= x->hi * (1 + 1e-9))
                draw_x_tick(html, x, value, power);
        }
    }
}

static void draw_axes(struct ws_html *html, const struct ws_chart *chart, const struct axis *x, const struct axis *y)
{
    for (double value = y->lo; value < y->hi + y->step / 2; value += y->step) {
        const double at = place(y, value);
        ws_html_addf(html, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT,
                     at, at);
        ws_html_addf(html, "<text x=\"%d\" y=\"%.1f\" class=\"end\">", LEFT - 6, at + 3.5);
        add_tick(html, value, y->step);
        ws_html_add(html, "</text>");
    }
    draw_x_ticks(html, x);
    ws_html_addf(html, "<text x=\"%.1f\" y=\"%d\" class=\"mid\">", (x->from + x->to) / 2, HEIGHT - 4);
    ws_html_text(html, chart->x_title);
    ws_html_add(html, "</text>");
}

static bool is_on_band(const struct ws_chart_series *series, size_t i)
{
    return isfinite(series->x[i]) && isfinite(series->lo[i]) && isfinite(series->hi[i]);
}

/** The area between lo and hi: along the upper edge, and back along the lower one. */
static void draw_band(struct ws_html *html, const struct ws_chart_series *series, const struct axis *x,
                      const struct axis *y)
{
    bool is_pen_down = false;
    for (size_t i = 0; series->lo && series->hi && i < series->n; i++) {
        if (!is_on_band(series, i))
            continue;
        if (!is_pen_down)
            ws_html_addf(html, "<path class=\"band s%d\" d=\"M", series->slot);
        ws_html_addf(html, "%s%.1f %.1f", is_pen_down ? "L" : "", place(x, series->x[i]), place(y, series->hi[i]));
        is_pen_down = true;
    }
    for (size_t i = series->n; is_pen_down && i > 0; i--) {
        if (is_on_band(series, i - 1))
            ws_html_addf(html, "L%.1f %.1f", place(x, series->x[i - 1]), place(y, series->lo[i - 1]));
    }
    ws_html_add(html, is_pen_down ? "Z\"/>" : "");
}

static void draw_line(struct ws_html *html, const struct ws_chart *chart, const struct ws_chart_series *series,
                      const struct axis *x, const struct axis *y)
{
    bool is_pen_down = false;
    ws_html_addf(html, "<path class=\"line s%d\" d=\"", series->slot);
    for (size_t i = 0; i < series->n; i++) {
        if (!isfinite(series->x[i]) || !isfinite(series->y[i])) {
            is_pen_down = false;
            continue;
        }
        ws_html_addf(html, "%c%.1f %.1f", is_pen_down ? 'L' : 'M', place(x, series->x[i]), place(y, series->y[i]));
        is_pen_down = true;
    }
    ws_html_add(html, "\"/>");
    for (size_t i = 0; series->slot != WS_CHART_SOFT && series->n <= MARKERS_MAX && i < series->n; i++) {
        if (!isfinite(series->x[i]) || !isfinite(series->y[i]))
            continue;
        ws_html_addf(html, "<circle class=\"dot s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\"><title>", series->slot,
                     place(x, series->x[i]), place(y, series->y[i]));
        ws_html_text(html, series->name);
        ws_html_addf(html, ", ");
        ws_html_text(html, chart->x_title);
        ws_html_addf(html, " %.6g: %.*f</title></circle>", series->x[i], chart->decimals, series->y[i]);
    }
}

struct label {
    double at, value;
    int slot;
};

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/** One past the last finite point; 0 when there is none. */
static size_t find_last(const struct ws_chart_series *series)
{
    size_t last = series->n;
    while (last > 0 && !isfinite(series->y[last - 1]))
        last--;
    return last;
}

/** The last value of each series at the right edge, pushed apart where they would meet. */
static void draw_labels(struct ws_html *html, const struct ws_chart *chart, const struct axis *y)
{
    struct label labels[LABELS_MAX];
    size_t n = 0;
    for (size_t s = 0; s < chart->n_series && n < LABELS_MAX; s++) {
        const struct ws_chart_series *series = &chart->series[s];
        const size_t last = find_last(series);
        if (last > 0 && series->slot != WS_CHART_SOFT)
            labels[n++] = (struct label){place(y, series->y[last - 1]), series->y[last - 1], series->slot};
    }
    qsort(labels, n, sizeof *labels, compare_labels);
    for (size_t i = 1; i < n; i++) {
        if (labels[i].at < labels[i - 1].at + 12)
            labels[i].at = labels[i - 1].at + 12;
    }
    const double over = n > 0 ? labels[n - 1].at - (HEIGHT - BOTTOM) : 0;
    for (size_t i = 0; i < n; i++) {
        const double at = labels[i].at - (over > 0 ? over : 0);
        ws_html_addf(html, "<circle class=\"dot s%d\" cx=\"%d\" cy=\"%.1f\" r=\"2.4\"/>", labels[i].slot,
                     WIDTH - RIGHT + 7, at);
        ws_html_addf(html, "<text x=\"%d\" y=\"%.1f\" class=\"value\">%.*f</text>", WIDTH - RIGHT + 12, at + 3.5,
                     chart->decimals, labels[i].value);
    }
}

/** What the chart says, for those who do not see it: its title, and each line's last value. */
static void add_spoken(struct ws_html *html, const struct ws_chart *chart)
{
    ws_html_text(html, chart->title);
    for (size_t s = 0; s < chart->n_series; s++) {
        const struct ws_chart_series *series = &chart->series[s];
        const size_t last = find_last(series);
        if (last == 0)
            continue;
        ws_html_add(html, s == 0 ? ". At the last " : "; ");
        if (s == 0) {
            ws_html_text(html, chart->x_title);
            ws_html_add(html, ": ");
        }
        ws_html_text(html, series->name);
        ws_html_addf(html, " %.*f", chart->decimals, series->y[last - 1]);
    }
}

void ws_chart_lines(struct ws_html *html, const struct ws_chart *chart)
{
    double x_lo = 0, x_hi = 0, y_lo = 0, y_hi = 0;
    if (!find_range(chart, true, &x_lo, &x_hi) || !find_range(chart, false, &y_lo, &y_hi))
        return;
    const struct axis x = plan_x(chart, x_lo, x_hi), y = plan_y(chart, y_lo, y_hi);
    ws_html_add(html, "<figure class=\"chart\"><figcaption>");
    ws_html_text(html, chart->title);
    ws_html_addf(html, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    add_spoken(html, chart);
    ws_html_add(html, "\">");
    draw_axes(html, chart, &x, &y);
    for (size_t s = 0; s < chart->n_series; s++)
        draw_band(html, &chart->series[s], &x, &y);
    for (size_t s = 0; s < chart->n_series; s++)
        draw_line(html, chart, &chart->series[s], &x, &y);
    draw_labels(html, chart, &y);
    ws_html_add(html, "</svg></figure>\n");
}

/* --- heat maps --- */

enum { MAP_WIDTH = 500, MAP_LEFT = 96, MAP_ROW = 21, MAP_BOTTOM = 32, TITLES_MAX = 4000 };

static double find_largest(const struct ws_heatmap *map)
{
    double largest = 0;
    for (size_t i = 0; i < map->n_rows * map->n_columns; i++)
        largest = isfinite(map->values[i]) && map->values[i] > largest ? map->values[i] : largest;
    return largest;
}

static void draw_cell(struct ws_html *html, const struct ws_heatmap *map, size_t row, size_t column, double largest)
{
    const size_t i = row * map->n_columns + column;
    if (!isfinite(map->values[i]))
        return;
    const double shade = map->shades ? map->shades[i] : largest > 0 ? map->values[i] / largest : 0;
    const double width = (double)(MAP_WIDTH - MAP_LEFT) / (double)map->n_columns, gap = width > 6 ? 1.5 : 0;
    const double left = MAP_LEFT + width * (double)column;
    ws_html_addf(html, "<rect class=\"heat\" x=\"%.2f\" y=\"%zu\" width=\"%.2f\" height=\"%.1f\" fill-opacity=\"%.3f\"",
                 left, row * MAP_ROW, width - gap, MAP_ROW - 1.5, 0.04 + 0.68 * shade);
    if (map->n_rows * map->n_columns > TITLES_MAX) {
        ws_html_add(html, "/>");
    } else {
        ws_html_add(html, "><title>");
        ws_html_text(html, map->rows[row]);
        ws_html_add(html, ", ");
        if (map->columns)
            ws_html_text(html, map->columns[column]);
        else
            ws_html_addf(html, "%s %zu", map->x_title, column + 1);
        ws_html_addf(html, ": %.*f</title></rect>", map->decimals, map->values[i]);
    }
    if (map->shows_values && width >= 22)
        ws_html_addf(html, "<text x=\"%.1f\" y=\"%.1f\" class=\"cell\">%.*f</text>", left + (width - gap) / 2,
                     (double)(row * MAP_ROW) + 14, map->decimals, map->values[i]);
}

/** Names under the columns: numbers at a readable distance, or short names when all fit. */
static void draw_columns(struct ws_html *html, const struct ws_heatmap *map)
{
    const double width = (double)(MAP_WIDTH - MAP_LEFT) / (double)map->n_columns;
    size_t every = (size_t)ceil((map->columns ? 30 : 22) / width);
    every = every > 0 ? every : 1;
    for (size_t c = 0; c < map->n_columns; c += every) {
        ws_html_addf(html, "<text x=\"%.1f\" y=\"%zu\" class=\"mid\">", MAP_LEFT + width * ((double)c + 0.5),
                     map->n_rows * MAP_ROW + 13);
        if (map->columns)
            ws_html_text_short(html, map->columns[c], width > 60 ? 10 : 4);
        else
            ws_html_addf(html, "%zu", c + 1);
        ws_html_add(html, "</text>");
    }
    ws_html_addf(html, "<text x=\"%d\" y=\"%zu\" class=\"mid\">", (MAP_LEFT + MAP_WIDTH) / 2,
                 map->n_rows * MAP_ROW + MAP_BOTTOM - 4);
    ws_html_text(html, map->x_title);
    ws_html_add(html, "</text>");
}

void ws_chart_heatmap(struct ws_html *html, const struct ws_heatmap *map)
{
    if (map->n_rows == 0 || map->n_columns == 0)
        return;
    const double largest = find_largest(map);
    ws_html_add(html, "<figure class=\"chart wide\"><figcaption>");
    ws_html_text(html, map->title);
    ws_html_addf(html, "</figcaption><svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"", MAP_WIDTH,
                 map->n_rows * MAP_ROW + MAP_BOTTOM);
    ws_html_text(html, map->title);
    ws_html_add(html, "\">");
    for (size_t row = 0; row < map->n_rows; row++) {
        ws_html_addf(html, "<text x=\"%d\" y=\"%zu\" class=\"end row\">", MAP_LEFT - 8, row * MAP_ROW + 14);
        ws_html_text_short(html, map->rows[row], 15);
        ws_html_add(html, "</text>");
        for (size_t column = 0; column < map->n_columns; column++)
            draw_cell(html, map, row, column, largest);
    }
    draw_columns(html, map);
    ws_html_add(html, "</svg></figure>\n");
}
