#include "start_check.h"
#include "keys/distill.h"

#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/curate/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void warn(void *argument, const char *sentence)
{
    (void)argument;
    ws_log(WS_LOG_WARN, "%s", sentence);
}

/* Multiply-adds of an image through the student as it is shipped, but for a projector; negative when it cannot be
 * built, which the training itself will tell better. */
static int64_t count_student(const struct ws_start *start)
{
    struct ws_card card = {0};
    struct ws_model *student = NULL;
    int64_t n = -1;
    if (!ws_card_copy(&card, &start->teacher->card))
        return n;
    card.head = (struct ws_head){.kind = WS_HEAD_OWN};
    snprintf(card.arch, sizeof card.arch, "%s", ws_config_runs(start->config)->arch);
    if (ws_model_build(&student, &card, NULL) == WS_OK)
        n = ws_net_count_macs(student->net);
    ws_model_free(&student);
    ws_card_fini(&card);
    return n;
}

static int check_student(const struct ws_start *start)
{
    const int64_t student = count_student(start), teacher = ws_net_count_macs(start->teacher->net);
    if (student < teacher)
        return 0;
    ws_log(WS_LOG_WARN,
           "the student (%s, %" PRId64 " multiply-adds an image) is no smaller than the teacher (%s, %" PRId64
           "): expect it to be no faster and at best as good; a smaller distill.arch is what distillation is for",
           ws_config_runs(start->config)->arch, student, start->teacher->card.arch, teacher);
    return 1;
}

static int check_batch(const struct ws_start *start)
{
    if (start->n_train >= ws_distill_keys(start->config)->batch)
        return 0;
    ws_log(WS_LOG_WARN,
           "%zu images to train on are fewer than one batch of %" PRIu32
           ": every step sees all of them; expect a student that knows these pictures and little else",
           start->n_train, ws_distill_keys(start->config)->batch);
    return 1;
}

/* Images that each class was found by; returns how many have a class at all. */
static size_t count_labelled(const struct ws_dataset *data, int64_t *per_class)
{
    size_t n = 0;
    for (size_t i = 0; i < data->n; i++)
        if (data->labels[i] >= 0) {
            per_class[data->labels[i]]++;
            n++;
        }
    return n;
}

static int check_pool(const struct ws_start *start)
{
    const size_t n_classes = (size_t)start->teacher->card.n_classes;
    int32_t *labels = ws_calloc(start->n_asked + 1, sizeof *labels);
    int64_t *confusion = ws_calloc(n_classes, n_classes * sizeof *confusion);
    int64_t *n_found = ws_calloc(n_classes, sizeof *n_found);
    const char *const *names = (const char *const *)start->teacher->card.classes;
    int n = 0;
    for (size_t i = 0; labels && i < start->n_asked; i++)
        labels[i] = start->data->labels[start->asked[i]];
    if (labels && confusion && n_found) {
        struct ws_pool_look look = ws_pool_look(start->choices, labels, start->n_asked, (int)n_classes, confusion);
        look.n = start->n_train;
        const size_t n_labelled = count_labelled(start->data, n_found);
        if (look.n_labelled == 0) /* they may be a single picture */
            look.n_labelled = n_labelled;
        n = ws_pool_warn(&look, confusion, names, warn, NULL) +
            ws_pool_warn_unfound(n_found, (int)n_classes, names, warn, NULL);
    }
    free(labels);
    free(confusion);
    free(n_found);
    return n;
}

int ws_start_check(const struct ws_start *start)
{
    int n = check_student(start) + check_batch(start);
    if (start->is_web)
        n += check_pool(start);
    return n;
}
