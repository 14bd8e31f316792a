/** The report's ablation: what a method gains by a part, from the rows "METHOD-no-PART" and "METHOD-with-PART". */
#include "seeds.h"

#include "webstill/base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/** The row with the part, and the one without. */
struct part {
    const struct ws_result_group *whole, *without;
    const char *name; /**< borrowed: behind "-no-" or "-with-" */
};

static bool find_part(const struct ws_results *results, const struct ws_result_group *group, struct part *out)
{
    const char *no = strstr(group->row, "-no-"), *with = strstr(group->row, "-with-"), *mark = no ? no : with;
    char name[64];
    if (!mark || mark == group->row || (size_t)(mark - group->row) >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(mark - group->row), group->row);
    const struct ws_result_group *method = ws_results_find(results, group->experiment, name, group->x);
    *out = no ? (struct part){.whole = method, .without = group, .name = no + strlen("-no-")}
              : (struct part){.whole = group, .without = method, .name = with + strlen("-with-")};
    return method != NULL;
}

/** What others report that a part brings; NaN: nothing. */
static double find_reported(const struct ws_experiment *experiment, const char *whole, const char *part)
{
    return ws_json_number(json_object_get(json_object_get(experiment->reported, "gains"), whole), part);
}

static void add_gain(struct ws_html *html, double gain, double sd)
{
    ws_html_add(html, "<td>");
    if (isfinite(gain))
        ws_html_add(html, gain < 0 ? "−" : "+");
    ws_html_number(html, fabs(gain), 2);
    if (isfinite(sd)) {
        ws_html_add(html, " <span class=\"sd\">± ");
        ws_html_number(html, sd, 2);
        ws_html_add(html, "</span>");
    }
    ws_html_add(html, "</td>");
}

static void add_part(struct ws_html *html, const struct ws_results *results, const struct ws_experiment *experiment,
                     const struct part *part)
{
    const struct ws_spread gain = ws_results_difference(results, part->whole, part->without, WS_MEASURE_ACCURACY);
    ws_html_add(html, "<tr><th scope=\"row\">");
    ws_html_text(html, part->name);
    ws_html_add(html, "</th><td class=\"left\">");
    ws_html_text(html, part->whole->row);
    ws_html_addf(html, "</td><td>%zu</td>", gain.n);
    add_gain(html, 100 * gain.mean, 100 * gain.sd);
    if (experiment->reported)
        add_gain(html, find_reported(experiment, part->whole->row, part->name), (double)NAN);
    ws_html_add(html, "</tr>\n");
}

static void begin_table(struct ws_html *html, const struct ws_experiment *experiment)
{
    ws_html_add(html, "<h4>What each part brings</h4>\n<p class=\"soft\">Accuracy with the part less accuracy "
                      "without it, seed by seed, in points");
    if (experiment->reported) {
        ws_html_add(html, "; beside it ");
        ws_html_text(html, ws_json_text(experiment->reported, "text"));
    }
    ws_html_add(html, ".</p>\n<div class=\"scroll narrow\" tabindex=\"0\" role=\"region\" "
                      "aria-label=\"What each part brings\"><table data-experiment=\"parts\"><thead><tr>"
                      "<th scope=\"col\">Part</th><th scope=\"col\" class=\"left\">Of</th>"
                      "<th scope=\"col\">Seeds</th><th scope=\"col\">Gain</th>");
    if (experiment->reported) {
        ws_html_add(html, "<th scope=\"col\">");
        ws_html_text(html, ws_json_text(experiment->reported, "title"));
        ws_html_add(html, "</th>");
    }
    ws_html_add(html, "</tr></thead><tbody>\n");
}

void ws_seeds_add_parts(struct ws_html *html, const struct ws_results *results, const struct ws_experiment *experiment)
{
    bool is_begun = false;
    for (size_t g = 0; g < results->n_groups; g++) {
        struct part part;
        if (strcmp(results->groups[g].experiment, experiment->name) != 0 ||
            !find_part(results, &results->groups[g], &part))
            continue;
        if (!is_begun)
            begin_table(html, experiment);
        is_begun = true;
        add_part(html, results, experiment, &part);
    }
    ws_html_add(html, is_begun ? "</tbody></table></div>\n" : "");
}
