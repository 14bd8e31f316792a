/** Charts as inline SVG; colours come from the page's style sheet, so they follow light and dark. */
#ifndef WEBSTILL_STORE_CHART_H
#define WEBSTILL_STORE_CHART_H

#include "html.h"

#include <stddef.h>

struct ws_chart_series {
    const char *name; /**< borrowed: shown in tooltips */
    int slot;         /**< colour: class "s0" … "s5" */
    size_t n;
    const double *x, *y; /**< borrowed: [n]; NaN breaks the line */
};

/** Lines over a common x axis. */
struct ws_chart {
    const char *title;
    const char *x_title;
    bool from_zero; /**< the y axis begins at zero */
    double y_top;   /**< the y axis ends at least here; NaN: at the data */
    int decimals;   /**< of the values in labels and tooltips */
    const struct ws_chart_series *series;
    size_t n_series;
};

/** Draw lines with axes, and each series' last value at its end. Nothing is drawn when no point is finite. */
void ws_chart_lines(struct ws_html *html, const struct ws_chart *chart);

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
