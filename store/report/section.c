#include "section.h"

void ws_report_add_missing(struct ws_html *html, const char *what, const char *stage)
{
    ws_html_add(html, "<p class=\"missing\">");
    ws_html_text(html, what);
    ws_html_add(html, " Stage <b>");
    ws_html_text(html, stage);
    ws_html_add(html, "</b> has not been run: <code>webstill ");
    ws_html_text(html, stage);
    ws_html_add(html, " CONFIG</code>.</p>\n");
}
