#include "webstill/curate/check.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * Fewer labelled images tell nothing about agreement. Above a kappa of 0.1 it is more than chance whatever their
 * number; drawings found by honest queries can lie below it, so there chance is asked (three standard errors), down to
 * a kappa that nothing can be learnt from.
 */
enum { LABELLED_MIN = 50, PER_CLASS_MIN = 20, NAMES_SHOWN = 5, SENTENCE_BYTES = 1024 };
static const double KAPPA_CLEAR = 0.1, KAPPA_MIN = 0.03, ERRORS_MIN = 3.0, ASSOCIATION_MIN = 0.4;

static int64_t row_sum(const int64_t *confusion, int n_classes, int row)
{
    int64_t sum = 0;
    for (int c = 0; c < n_classes; c++)
        sum += confusion[row * n_classes + c];
    return sum;
}

static int64_t column_sum(const int64_t *confusion, int n_classes, int column)
{
    int64_t sum = 0;
    for (int r = 0; r < n_classes; r++)
        sum += confusion[r * n_classes + column];
    return sum;
}

/* phi^2 = chi^2 / n less what chance gives it, over the largest that it can be. */
static double associate(const int64_t *confusion, int n_classes, double n)
{
    double phi2 = -1.0;
    int rows = 0, columns = 0;
    for (int r = 0; r < n_classes; r++) {
        const double row = (double)row_sum(confusion, n_classes, r);
        rows += row > 0.0;
        columns += column_sum(confusion, n_classes, r) > 0;
        for (int c = 0; row > 0.0 && c < n_classes; c++) {
            const double count = (double)confusion[r * n_classes + c];
            if (count > 0.0)
                phi2 += count * count / (row * (double)column_sum(confusion, n_classes, c));
        }
    }
    if (n < 2.0)
        return 0.0;
    const double r = (double)rows, k = (double)columns;
    const double corrected = phi2 - (r - 1.0) * (k - 1.0) / (n - 1.0);
    const double r_corrected = r - (r - 1.0) * (r - 1.0) / (n - 1.0);
    const double k_corrected = k - (k - 1.0) * (k - 1.0) / (n - 1.0);
    const double most = (r_corrected < k_corrected ? r_corrected : k_corrected) - 1.0;
    return corrected > 0.0 && most > 0.0 ? sqrt(corrected / most) : 0.0;
}

struct ws_pool_look ws_pool_look(const int32_t *predicted, const int32_t *labels, size_t n, int n_classes,
                                 int64_t *confusion)
{
    struct ws_pool_look look = {.n = n,
                                .n_classes = n_classes,
                                .agreement = (double)NAN,
                                .chance = (double)NAN,
                                .kappa = (double)NAN,
                                .association = (double)NAN};
    memset(confusion, 0, (size_t)n_classes * (size_t)n_classes * sizeof *confusion);
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0 && labels[i] < n_classes) {
            confusion[labels[i] * n_classes + predicted[i]]++;
            look.n_labelled++;
        }
    if (look.n_labelled == 0)
        return look;
    const double total = (double)look.n_labelled;
    look.agreement = look.chance = 0.0;
    for (int c = 0; c < n_classes; c++) {
        look.agreement += (double)confusion[c * n_classes + c] / total;
        look.chance +=
            (double)row_sum(confusion, n_classes, c) / total * (double)column_sum(confusion, n_classes, c) / total;
    }
    /* One class alone on both sides: agreement and chance are both 1, and nothing is known. */
    look.kappa = look.chance < 1.0 ? (look.agreement - look.chance) / (1.0 - look.chance) : (double)NAN;
    look.association = associate(confusion, n_classes, total);
    return look;
}

/* The most frequent cell off the diagonal: what is called what. */
static void find_worst(const int64_t *confusion, int n_classes, int *label, int *called)
{
    int64_t most = -1;
    for (int r = 0; r < n_classes; r++)
        for (int c = 0; c < n_classes; c++)
            if (r != c && confusion[r * n_classes + c] > most) {
                most = confusion[r * n_classes + c];
                *label = r;
                *called = c;
            }
}

static void tell_order(const struct ws_pool_look *look, const int64_t *confusion, const char *const *names,
                       char sentence[SENTENCE_BYTES])
{
    int label = 0, called = 0;
    find_worst(confusion, look->n_classes, &label, &called);
    snprintf(
        sentence, SENTENCE_BYTES,
        "the teacher's classes do not match the queries: on %zu pictures it agrees with the search words in "
        "%.1f %%, by chance it would in %.1f %%, and yet it follows them: in %lld of %lld pictures searched as "
        "\"%.100s\" it sees \"%.100s\". Put `classes` into the order of the teacher's outputs; without that expect a "
        "student whose classes have the wrong names",
        look->n_labelled, 100.0 * look->agreement, 100.0 * look->chance,
        (long long)confusion[label * look->n_classes + called], (long long)row_sum(confusion, look->n_classes, label),
        names[label], names[called]);
}

static bool is_by_chance(const struct ws_pool_look *look)
{
    const double error = sqrt(look->chance * (1.0 - look->chance) / (double)look->n_labelled);
    return look->kappa < KAPPA_MIN ||
           (look->kappa < KAPPA_CLEAR && look->agreement - look->chance < ERRORS_MIN * error);
}

int ws_pool_warn(const struct ws_pool_look *look, const int64_t *confusion, const char *const *names,
                 void (*tell)(void *argument, const char *sentence), void *argument)
{
    char sentence[SENTENCE_BYTES];
    int n = 0;
    if (look->n < (size_t)look->n_classes * PER_CLASS_MIN) {
        snprintf(sentence, sizeof sentence,
                 "the pool has %zu image%s for %d classes, and hundreds of each are usual: expect a student far below "
                 "the teacher; crawl more, or add sources",
                 look->n, look->n == 1 ? "" : "s", look->n_classes);
        tell(argument, sentence);
        n++;
    }
    if (look->n_labelled == 0) {
        tell(argument, "no picture of this pool was found by a query for a class, so nothing but the teacher tells "
                       "whether they show the classes; expect what distillation on any pictures gives");
        return n + 1;
    }
    if (look->n_labelled < LABELLED_MIN || !is_by_chance(look))
        return n;
    if (look->association >= ASSOCIATION_MIN)
        tell_order(look, confusion, names, sentence);
    else
        snprintf(sentence, sizeof sentence,
                 "the teacher agrees with the search words on %.1f %% of %zu pictures, and chance alone gives %.1f %%: "
                 "the pictures show something else, or the teacher knows other classes. Expect a student that learns "
                 "how the teacher answers to such pictures, well below the teacher on its own; look at some of them "
                 "with `webstill report`",
                 100.0 * look->agreement, look->n_labelled, 100.0 * look->chance);
    tell(argument, sentence);
    return n + 1;
}

/* The classes that `counts` has none of, as text; returns how many there are. */
static int list_missing(const int64_t *counts, int n_classes, const char *const *names, char list[SENTENCE_BYTES / 2])
{
    int n_missing = 0;
    list[0] = '\0';
    for (int c = 0; c < n_classes; c++) {
        if (counts[c] > 0)
            continue;
        const size_t used = strlen(list);
        if (n_missing < NAMES_SHOWN)
            snprintf(list + used, SENTENCE_BYTES / 2 - used, "%s\"%.80s\"", n_missing > 0 ? ", " : "", names[c]);
        n_missing++;
    }
    const size_t used = strlen(list);
    if (n_missing > NAMES_SHOWN)
        snprintf(list + used, SENTENCE_BYTES / 2 - used, " and %d more", n_missing - NAMES_SHOWN);
    return n_missing;
}

int ws_pool_warn_missing(const int64_t *n_predicted, size_t n, int n_classes, const char *const *names,
                         void (*tell)(void *argument, const char *sentence), void *argument)
{
    char list[SENTENCE_BYTES / 2], sentence[SENTENCE_BYTES];
    const int n_missing = list_missing(n_predicted, n_classes, names, list);
    if (n_missing == 0)
        return 0;
    snprintf(sentence, sizeof sentence,
             "none of %zu images is taken for %s: nothing of %s can be selected, and the student is expected to miss "
             "%s; add words to the queries, or sources",
             n, list, n_missing == 1 ? "this class" : "these classes", n_missing == 1 ? "it" : "them");
    tell(argument, sentence);
    return 1;
}

int ws_pool_warn_unfound(const int64_t *n_found, int n_classes, const char *const *names,
                         void (*tell)(void *argument, const char *sentence), void *argument)
{
    char list[SENTENCE_BYTES / 2], sentence[SENTENCE_BYTES];
    const int n_missing = list_missing(n_found, n_classes, names, list);
    if (n_missing == 0 || n_missing == n_classes)
        return 0;
    snprintf(sentence, sizeof sentence,
             "no picture of this pool was found for %s: what the student learns of %s, it learns from pictures of "
             "something else; expect it to know %s worse, and add words to the queries, or sources",
             list, n_missing == 1 ? "this class" : "these classes", n_missing == 1 ? "it" : "them");
    tell(argument, sentence);
    return 1;
}
