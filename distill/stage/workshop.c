/* What all runs share. */
#include "workshop.h"
#include "keys/distill.h"
#include "learn/start_check.h"
#include "machine.h"
#include "teacher.h"

#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What the warnings before the start are judged on, at least. */
enum { ASKED_MIN = 1000 };

void ws_workshop_close(struct ws_workshop *shop)
{
    ws_predictor_close(&shop->predictor);
    ws_dataset_close(&shop->data);
    ws_workers_close(&shop->workers);
    free(shop->train);
    free(shop->held);
    free(shop->asked);
    free(shop->choices);
}

static enum ws_status open_teacher(struct ws_workshop *shop, struct ws_err *err)
{
    const struct ws_config *config = shop->run->config;
    struct ws_model *model = NULL;
    enum ws_status status = ws_path_join(shop->teacher_path, shop->run->work, err, "teacher/teacher.safetensors");
    if (status != WS_OK)
        return status;
    status = ws_model_load(&model, shop->teacher_path, NULL, err);
    if (status != WS_OK)
        return status;
    status = ws_card_check_classes(&model->card, config, err);
    if (status == WS_OK)
        status = ws_machine_workers_open(&shop->workers, config, err);
    if (status == WS_OK)
        status = ws_predictor_take(&shop->predictor, &model, shop->workers, (int)ws_distill_keys(config)->batch, err);
    ws_model_free(&model);
    shop->teacher = shop->predictor.model;
    return status;
}

/* The hold-out's right answers are the teacher's choices: no label of the web is believed. The warnings are judged on
 * them, too. */
static enum ws_status ask_teacher(struct ws_workshop *shop, struct ws_err *err)
{
    memcpy(shop->asked, shop->held, shop->n_held * sizeof *shop->asked);
    shop->n_asked = shop->n_held;
    for (size_t i = 0; i < shop->n_train && shop->n_asked < ASKED_MIN; i++)
        shop->asked[shop->n_asked++] = shop->train[i];
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&shop->teacher->card, &augment);
    const size_t n_classes = (size_t)shop->teacher->card.n_classes;
    float *logits = ws_calloc(shop->n_asked + 1, n_classes * sizeof *logits);
    if (!logits)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the teacher's choices");
    const enum ws_status status =
        ws_predict(&shop->predictor, &shop->data, &view, shop->asked, shop->n_asked, logits, NULL, err);
    for (size_t i = 0; status == WS_OK && i < shop->n_asked; i++)
        shop->choices[i] = ws_argmax(logits + i * n_classes, (int)n_classes);
    free(logits);
    return status;
}

static enum ws_status open_web(struct ws_workshop *shop, const char *pool, struct ws_err *err)
{
    char store[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(store, shop->run->work, err, "store");
    if (status != WS_OK)
        return status;
    status = ws_dataset_open_web(&shop->data, store, err);
    if (status != WS_OK || !pool[0])
        return status;
    status = ws_dataset_restrict(&shop->data, pool, err);
    if (status != WS_OK)
        ws_err_note(err, "distill.pool");
    return status;
}

/* The web's images, or as an upper bound the teacher's own. */
static enum ws_status open_data(struct ws_workshop *shop, struct ws_err *err)
{
    const struct ws_config *config = shop->run->config;
    const bool is_web = ws_distill_keys(config)->data == WS_DATA_WEB;
    const enum ws_status status =
        is_web ? open_web(shop, ws_config_runs(config)->pool, err) : ws_teacher_data_open(&shop->data, config, err);
    return status == WS_OK
               ? ws_predictor_check(shop->teacher, &shop->data, is_web ? "the store" : "the teacher's data", err)
               : status;
}

static void warn_before(const struct ws_workshop *shop)
{
    const struct ws_start start = {.config = shop->run->config,
                                   .teacher = shop->teacher,
                                   .data = &shop->data,
                                   .is_web = ws_distill_keys(shop->run->config)->data == WS_DATA_WEB,
                                   .n_train = shop->n_train,
                                   .asked = shop->asked,
                                   .choices = shop->choices,
                                   .n_asked = shop->n_asked};
    if (!ws_run_option(shop->run, "replay", NULL))
        (void)ws_start_check(&start);
}

static enum ws_status split_data(struct ws_workshop *shop, struct ws_err *err)
{
    const struct ws_config *config = shop->run->config;
    const size_t n = shop->data.n;
    shop->train = ws_calloc(n, sizeof *shop->train);
    shop->held = ws_calloc(n, sizeof *shop->held);
    shop->asked = ws_calloc(n, sizeof *shop->asked);
    shop->choices = ws_calloc(n, sizeof *shop->choices);
    if (!shop->train || !shop->held || !shop->asked || !shop->choices)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the order of %zu images", n);
    ws_dataset_split(&shop->data, ws_distill_keys(config)->holdout, config->seed, shop->train, &shop->n_train,
                     shop->held, &shop->n_held);
    return WS_OK;
}

enum ws_status ws_workshop_open(struct ws_workshop *shop, struct ws_err *err)
{
    if (shop->is_open)
        return WS_OK;
    enum ws_status status = open_teacher(shop, err);
    if (status != WS_OK)
        return status;
    status = open_data(shop, err);
    if (status != WS_OK)
        return status;
    status = split_data(shop, err);
    if (status != WS_OK)
        return status;
    status = ask_teacher(shop, err);
    if (status != WS_OK)
        return status;
    shop->is_open = true;
    warn_before(shop);
    return WS_OK;
}
