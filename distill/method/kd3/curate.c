/* The rules beyond KD3's, prepared for the pool that a run trains on. */
#include "state.h"
#include "webstill/curate/keys.h"

#include "webstill/base/log.h"

#include <inttypes.h>
#include <stdlib.h>

/* The teacher's choice on each training image as it is: sources are judged once, not anew with every random view. */
static enum ws_status ask_teacher(const struct ws_session *session, struct ws_selection *choices,
                                  struct ws_arena *arena, struct ws_err *err)
{
    const struct ws_select_options alone = {.alpha = 1.0};
    const size_t n = session->n_train, n_classes = (size_t)session->card.n_classes, piece = (size_t)session->batch;
    struct ws_augment clean;
    const struct ws_view view = ws_view_clean(&session->card, &clean);
    float *logits = ws_arena_alloc(arena, ws_size_mul(piece, n_classes), sizeof *logits);
    if (!logits || !ws_select_begin(choices, arena, n, session->card.n_classes, &alone))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the teacher's choices on %zu images", n);
    enum ws_status status = WS_OK;
    for (size_t first = 0; status == WS_OK && first < n; first += piece) {
        const size_t here = n - first < piece ? n - first : piece;
        status = ws_predict(session->teacher_predictor, session->data, &view, session->train + first, here, logits,
                            NULL, err);
        if (status == WS_OK)
            ws_select_predict(choices, logits, NULL, first, here, &alone);
    }
    return status;
}

static enum ws_status judge_sources(struct ws_curation *curation, const struct ws_session *session, struct ws_err *err)
{
    struct ws_arena arena = {0};
    struct ws_selection choices;
    const enum ws_status status = ask_teacher(session, &choices, &arena, err);
    if (status == WS_OK) {
        int n_dropped = 0;
        ws_curation_judge(curation, choices.predicted, choices.confidence);
        for (int s = 0; s < curation->sources.n_sources; s++)
            n_dropped += curation->source_rows[s].weight <= 0.0;
        ws_log(WS_LOG_INFO, "%d sources; the teacher believes %.1f %% of their images; %d of them dropped",
               curation->sources.n_sources, 100.0 * curation->source_mean, n_dropped);
    }
    ws_arena_fini(&arena);
    return status;
}

enum ws_status ws_kd3_curation_open(struct ws_kd3_selection *selection, struct ws_err *err)
{
    const struct ws_session *session = selection->session;
    const struct ws_curate_keys *rule = ws_curate_keys(session->config);
    const struct ws_dataset *data = session->data;
    const uint8_t **pixels = ws_calloc(session->n_train, sizeof *pixels);
    selection->weights = ws_calloc(session->n_train, sizeof *selection->weights);
    if (!pixels || !selection->weights) {
        free(pixels);
        return ws_fail(err, WS_E_MEMORY, "out of memory for the weights of %zu images", session->n_train);
    }
    for (size_t i = 0; i < session->n_train; i++)
        pixels[i] = data->pixels[session->train[i]];
    const struct ws_curation_pool pool = {.n = session->n_train,
                                          .n_classes = session->card.n_classes,
                                          .ids = selection->ids,
                                          .pixels = pixels,
                                          .height = data->height,
                                          .width = data->width,
                                          .channels = data->channels,
                                          .store = data->store};
    enum ws_status status = ws_curation_open(&selection->curation, rule, &pool, err);
    free(pixels);
    if (status == WS_OK && ws_curation_asks_teacher(rule))
        status = judge_sources(&selection->curation, session, err);
    return status;
}
