/** Dots with bars: values with their deviation, a row each, as boxes rather than a drawing: a phone keeps the text's
 * size. */
#include "chart.h"

#include <math.h>

enum { N_MARKS = 4 };

/** What the axis holds: all means with their bars and single values, and a margin. */
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

/** Per cent of the axis' length. */
static double place(const struct range *range, double value)
{
    return 100 * (value - range->lo) / (range->hi - range->lo);
}

static double choose_step(const struct range *range)
{
    const double raw = (range->hi - range->lo) / N_MARKS, power = pow(10, floor(log10(raw))), share = raw / power;
    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

/** The marks as lines behind a row, or as numbers below all. */
static void add_marks(struct ws_html *html, const struct range *range, bool is_numbers)
{
    const double step = choose_step(range);
    for (double value = ceil(range->lo / step) * step; value <= range->hi; value += step) {
        ws_html_addf(html, is_numbers ? "<em style=\"left:%.2f%%\">" : "<i style=\"left:%.2f%%\">",
                     place(range, value));
        if (is_numbers)
            ws_html_addf(html, "%.*f", step < 1 ? 1 : 0, fabs(value) < step * 1e-6 ? 0.0 : value);
        ws_html_add(html, is_numbers ? "</em>" : "</i>");
    }
}

static void add_row(struct ws_html *html, const struct ws_chart_spread *row, const struct range *range, int decimals)
{
    ws_html_addf(html, "<div class=\"row k%d\"><span class=\"label\">", row->slot);
    ws_html_text_short(html, row->name, 40);
    ws_html_add(html, "</span><span class=\"track\">");
    add_marks(html, range, false);
    for (size_t p = 0; p < row->n_points; p++) {
        if (isfinite(row->points[p]))
            ws_html_addf(html, "<s style=\"left:%.2f%%\"></s>", place(range, row->points[p]));
    }
    if (isfinite(row->sd))
        ws_html_addf(html, "<u style=\"left:%.2f%%;width:%.2f%%\"></u>", place(range, row->mean - row->sd),
                     place(range, row->mean + row->sd) - place(range, row->mean - row->sd));
    ws_html_addf(html, "<b style=\"left:%.2f%%\"></b></span><span class=\"n\">%.*f", place(range, row->mean), decimals,
                 row->mean);
    if (isfinite(row->sd))
        ws_html_addf(html, " <span class=\"sd\">± %.*f</span>", decimals, row->sd);
    ws_html_add(html, "</span></div>\n");
}

void ws_chart_spreads(struct ws_html *html, const char *title, const struct ws_chart_spread *rows, size_t n_rows,
                      int decimals)
{
    const struct range range = find_range(rows, n_rows);
    if (!range.is_any)
        return;
    ws_html_add(html, "<figure class=\"chart\"><figcaption>");
    ws_html_text(html, title);
    ws_html_add(html, "</figcaption><div class=\"spreads\" role=\"img\" aria-label=\"");
    ws_html_text(html, title);
    ws_html_add(html, "; the table gives the same figures\">\n");
    for (size_t i = 0; i < n_rows; i++) {
        if (isfinite(rows[i].mean))
            add_row(html, &rows[i], &range, decimals);
    }
    ws_html_add(html, "<div class=\"row\"><span class=\"label\"></span><span class=\"track axis\">");
    add_marks(html, &range, true);
    ws_html_add(html, "</span><span class=\"n\"></span></div>\n</div></figure>\n");
}
