/** Charts as inline SVG; colours come from the page's style sheet, so they follow light and dark. */
#ifndef WEBSTILL_STORE_REPORT_CHART_H
#define WEBSTILL_STORE_REPORT_CHART_H

#include "html.h"

#include <stddef.h>

enum { WS_CHART_SOFT = 6, WS_CHART_NEUTRAL = 7 };

struct ws_chart_series {
    const char *name; /**< borrowed: shown in tooltips */
    int slot; /**< colour: class "s0" … "s5"; WS_CHART_NEUTRAL: grey; WS_CHART_SOFT: dashed grey, without a label */
    size_t n;
    const double *x, *y;   /**< borrowed: [n]; NaN breaks the line */
    const double *lo, *hi; /**< borrowed: [n] the band around the line, or NULL; NaN leaves it out there */
};

/** Lines over a common x axis. */
struct ws_chart {
    const char *title;
    const char *x_title;
    bool from_zero;        /**< the y axis begins at zero */
    bool is_log;           /**< the x axis is logarithmic; x > 0 */
    double y_top;          /**< the y axis ends at least here; NaN: at the data */
    const double *y_range; /**< borrowed: [2] values the y axis holds, so that panels compare; or NULL */
    int decimals;          /**< of the values in labels and tooltips */
    const struct ws_chart_series *series;
    size_t n_series;
};

/**
 * Draw lines with axes, and each series' last value at its end; the last values are said to a screen reader, too.
 * Nothing is drawn when no point is finite.
 */
void ws_chart_lines(struct ws_html *html, const struct ws_chart *chart);

/** A value with its spread, a row of a ws_chart_spreads(). */
struct ws_chart_spread {
    const char *name;     /**< borrowed */
    int slot;             /**< colour */
    double mean;          /**< NaN: the row is left out */
    double sd;            /**< NaN: a dot without a bar */
    const double *points; /**< borrowed: [n_points] single values, drawn faintly; may be NULL */
    size_t n_points;
};

/** Draw dots with bars of one deviation to each side, a row each, on a common axis. Nothing without a finite mean. */
void ws_chart_spreads(struct ws_html *html, const char *title, const struct ws_chart_spread *rows, size_t n_rows,
                      int decimals);

/** A table of shaded cells: rows are classes, columns epochs (or classes). */
struct ws_heatmap {
    const char *title;
    const char *x_title;
    const char *const *rows; /**< [n_rows] names */
    size_t n_rows, n_columns;
    const double *values;       /**< [n_rows][n_columns]; NaN stays empty */
    const double *shades;       /**< [n_rows][n_columns] 0 … 1, or NULL: value over the largest value */
    const char *const *columns; /**< [n_columns] names for tooltips, or NULL: 1, 2, 3 … */
    int decimals;
    bool shows_values; /**< write each value into its cell */
};

void ws_chart_heatmap(struct ws_html *html, const struct ws_heatmap *map);

#endif
