/** The report's ablation: what a method gains by a part, from the rows "METHOD-no-PART" and "METHOD-with-PART". */
#include "seeds.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/** Tang et al., ICCV 2023, ablation on CIFAR-10, ResNet-34 to ResNet-18: points of accuracy. */
static const struct {
    const char *part;
    double gain;
} paper[] = {{"sharing", 1.79}, {"selection", 4.99}, {"contrast", 0.73}};

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

static double find_paper(const char *whole, const char *part)
{
    for (size_t i = 0; strcmp(whole, "kd3") == 0 && i < sizeof paper / sizeof paper[0]; i++) {
        if (strcmp(part, paper[i].part) == 0)
            return paper[i].gain;
    }
    return (double)NAN;
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

static void add_part(struct ws_html *html, const struct ws_results *results, const struct part *part)
{
    const struct ws_spread gain = ws_results_difference(results, part->whole, part->without, WS_MEASURE_ACCURACY);
    ws_html_add(html, "<tr><th scope=\"row\">");
    ws_html_text(html, part->name);
    ws_html_add(html, "</th><td class=\"left\">");
    ws_html_text(html, part->whole->row);
    ws_html_addf(html, "</td><td>%zu</td>", gain.n);
    add_gain(html, 100 * gain.mean, 100 * gain.sd);
    add_gain(html, find_paper(part->whole->row, part->name), (double)NAN);
    ws_html_add(html, "</tr>\n");
}

void ws_seeds_add_parts(struct ws_html *html, const struct ws_results *results, const char *experiment)
{
    bool is_begun = false;
    for (size_t g = 0; g < results->n_groups; g++) {
        struct part part;
        if (strcmp(results->groups[g].experiment, experiment) != 0 || !find_part(results, &results->groups[g], &part))
            continue;
        if (!is_begun)
            ws_html_add(html, "<h4>What each part brings</h4>\n<p class=\"soft\">Accuracy with the part less accuracy "
                              "without it, seed by seed, in points; beside it what the paper reports on "
                              "CIFAR-10.</p>\n<div class=\"scroll narrow\" tabindex=\"0\" role=\"region\" "
                              "aria-label=\"What each part brings\"><table data-experiment=\"parts\"><thead><tr>"
                              "<th scope=\"col\">Part</th><th scope=\"col\" class=\"left\">Of</th>"
                              "<th scope=\"col\">Seeds</th><th scope=\"col\">Gain</th>"
                              "<th scope=\"col\">In the paper</th></tr></thead><tbody>\n");
        is_begun = true;
        add_part(html, results, &part);
    }
    ws_html_add(html, is_begun ? "</tbody></table></div>\n" : "");
}
