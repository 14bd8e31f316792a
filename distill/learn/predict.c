#include "predict.h"

#include "webstill/base/stop.h"

#include <string.h>

enum ws_status ws_predictor_open(struct ws_predictor *predictor, struct ws_model *model, struct ws_workers *workers,
                                 int max_batch, bool fold, struct ws_err *err)
{
    *predictor = (struct ws_predictor){.model = model, .workers = workers, .max_batch = max_batch};
    if (fold) {
        const enum ws_status status = ws_model_fold(&predictor->folded, model, err);
        if (status != WS_OK)
            return status;
        predictor->model = predictor->folded;
    }
    /* Imported graphs may lack the first two. */
    const int wanted[] = {predictor->model->projected, predictor->model->head_pooled, predictor->model->logits};
    int taps[3], n_taps = 0;
    for (int i = 0; i < 3; i++)
        if (wanted[i] >= 0)
            taps[n_taps++] = wanted[i];
    const struct ws_exec_options options = {.max_batch = max_batch, .taps = taps, .n_taps = n_taps};
    struct ws_net *net = fold ? predictor->folded->net : model->net;
    const enum ws_status status = ws_exec_open(&predictor->exec, net, workers, &options, err);
    if (status != WS_OK)
        ws_predictor_close(predictor);
    return status;
}

enum ws_status ws_predictor_take(struct ws_predictor *predictor, struct ws_model **model, struct ws_workers *workers,
                                 int max_batch, struct ws_err *err)
{
    const enum ws_status status = ws_predictor_open(predictor, *model, workers, max_batch, true, err);
    ws_model_free(model);
    return status;
}

void ws_predictor_close(struct ws_predictor *predictor)
{
    ws_exec_close(&predictor->exec);
    ws_model_free(&predictor->folded);
    *predictor = (struct ws_predictor){0};
}

void ws_predictor_forward(struct ws_predictor *predictor, int n)
{
    ws_exec_forward(predictor->exec, n, WS_BN_EVAL);
}

enum ws_status ws_predict(struct ws_predictor *predictor, const struct ws_dataset *set, const struct ws_view *view,
                          const uint32_t *images, size_t n, float *logits, struct ws_progress *progress,
                          struct ws_err *err)
{
    const size_t n_classes = (size_t)predictor->model->card.n_classes;
    for (size_t done = 0; done < n;) {
        if (ws_stop_asked())
            return ws_fail(err, WS_E_STOPPED, "stopped by a signal after %zu of %zu images", done, n);
        const size_t left = n - done;
        const int batch = left < (size_t)predictor->max_batch ? (int)left : predictor->max_batch;
        ws_batch_load(predictor->workers, set, view, images + done, batch, ws_exec_input(predictor->exec));
        ws_predictor_forward(predictor, batch);
        memcpy(logits + done * n_classes, ws_exec_value(predictor->exec, predictor->model->logits),
               (size_t)batch * n_classes * sizeof *logits);
        done += (size_t)batch;
        if (progress)
            ws_progress_step(progress, (int64_t)done, NULL);
    }
    return WS_OK;
}

enum ws_status ws_predictor_check(const struct ws_model *model, const struct ws_dataset *set, const char *what,
                                  struct ws_err *err)
{
    const struct ws_card *card = &model->card;
    if (card->height == set->height && card->width == set->width && card->channels == set->channels)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "%s holds images of %d x %d with %d channel%s, the model reads %d x %d with %d", what,
            set->height, set->width, set->channels, set->channels == 1 ? "" : "s", card->height, card->width,
            card->channels);
    ws_err_hint(err, "set store.size and store.channels to what the teacher reads, then run `webstill store` again");
    return WS_E_CONFIG;
}

struct ws_view ws_view_clean(const struct ws_card *card, struct ws_augment *augment)
{
    *augment = (struct ws_augment){.kind = WS_AUGMENT_NONE};
    memcpy(augment->mean, card->mean, sizeof augment->mean);
    memcpy(augment->std, card->std, sizeof augment->std);
    return (struct ws_view){.augment = augment, .is_clean = true};
}

int ws_argmax(const float *values, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}
