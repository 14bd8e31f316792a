/** Dots with bars: values with their deviation, a row each. */
#include "chart.h"

#include <math.h>

enum { WIDTH = 560, LEFT = 190, RIGHT = 96, ROW = 25, BOTTOM = 24, TOP = 4, N_MARKS = 5 };

/** What the axis holds: all means with their bars, and a margin. */
struct range {
    double lo, hi;
    bool is_any;
};

static void widen(struct range *range, double value)
{
    if (!isfinite(value))
        return;
    range->lo = range->is_any && range->lo < value ? range->lo : value;
    range->hi = range->is_any && range->hi > value ? range->hi : value;
    range->is_any = true;
}

static struct range find_range(const struct ws_chart_spread *rows, size_t n_rows)
{
    struct range range = {0};
    for (size_t i = 0; i < n_rows; i++) {
        widen(&range, rows[i].mean);
        widen(&range, rows[i].mean - rows[i].sd);
        widen(&range, rows[i].mean + rows[i].sd);
        for (size_t p = 0; p < rows[i].n_points; p++)
            widen(&range, rows[i].points[p]);
    }
    const double margin = range.hi > range.lo ? 0.03 * (range.hi - range.lo) : 1;
    range.lo -= margin;
    range.hi += margin;
    return range;
}

static double place(const struct range *range, double value)
{
    return LEFT + (value - range->lo) / (range->hi - range->lo) * (WIDTH - LEFT - RIGHT);
}

static void draw_axis(struct ws_html *html, const struct range *range, double bottom)
{
    const double raw = (range->hi - range->lo) / N_MARKS, power = pow(10, floor(log10(raw))), share = raw / power;
    const double step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
    for (double value = ceil(range->lo / step) * step; value <= range->hi; value += step) {
        const double at = place(range, value);
        ws_html_addf(html, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>", at, at, TOP, bottom);
        ws_html_addf(html, "<text x=\"%.1f\" y=\"%.1f\" class=\"mid\">%.*f</text>", at, bottom + 16, step < 1 ? 1 : 0,
                     fabs(value) < step * 1e-6 ? 0.0 : value);
    }
}

static void draw_row(struct ws_html *html, const struct ws_chart_spread *row, const struct range *range, double y,
                     int decimals)
{
    const double x = place(range, row->mean);
    ws_html_addf(html, "<text x=\"%d\" y=\"%.1f\" class=\"end row\">", LEFT - 12, y + 4);
    ws_html_text_short(html, row->name, 30);
    ws_html_add(html, "</text>");
    for (size_t p = 0; p < row->n_points; p++) {
        if (isfinite(row->points[p]))
            ws_html_addf(html, "<circle class=\"faint s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", row->slot,
                         place(range, row->points[p]), y);
    }
    if (isfinite(row->sd))
        ws_html_addf(html, "<path class=\"line s%d\" d=\"M%.1f %.1fL%.1f %.1f\"/>", row->slot,
                     place(range, row->mean - row->sd), y, place(range, row->mean + row->sd), y);
    ws_html_addf(html, "<circle class=\"dot s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.2\"/>", row->slot, x, y);
    ws_html_addf(html, "<text x=\"%d\" y=\"%.1f\" class=\"value\">%.*f", WIDTH - RIGHT + 12, y + 4, decimals,
                 row->mean);
    if (isfinite(row->sd))
        ws_html_addf(html, " ± %.*f", decimals, row->sd);
    ws_html_add(html, "</text>");
}

void ws_chart_spreads(struct ws_html *html, const char *title, const struct ws_chart_spread *rows, size_t n_rows,
                      int decimals)
{
    const struct range range = find_range(rows, n_rows);
    size_t n_shown = 0;
    for (size_t i = 0; i < n_rows; i++)
        n_shown += isfinite(rows[i].mean) ? 1 : 0;
    if (!range.is_any || n_shown == 0)
        return;
    const double bottom = TOP + ROW * (double)n_shown;
    ws_html_add(html, "<figure class=\"chart wide\"><figcaption>");
    ws_html_text(html, title);
    ws_html_addf(html, "</figcaption><svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"", WIDTH, bottom + BOTTOM);
    ws_html_text(html, title);
    ws_html_add(html, "; the table gives the same figures\">");
    draw_axis(html, &range, bottom);
    double y = TOP + ROW / 2.0;
    for (size_t i = 0; i < n_rows; i++) {
        if (!isfinite(rows[i].mean))
            continue;
        draw_row(html, &rows[i], &range, y, decimals);
        y += ROW;
    }
    ws_html_add(html, "</svg></figure>\n");
}
