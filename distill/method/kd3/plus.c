/*
 * KD3+: KD3 for pools that look unlike the teacher's data.
 *
 * Most places of a batch show a picture in its refined form (prepare/refine.h): pulled towards what the teacher's
 * BatchNorm layers remember of its data. Of a pool larger than refine_images a sample is refined and trained on:
 * refining costs more than training there, and brings no more. The loss is KD3's and, where kl_weight is not 0,
 *
 *   + lambda T^2 KL( softmax(z_t / T) || softmax(z_s / T) )
 *
 * with z_t and z_s the logits of teacher and student through the one classifier they share. Selection, contrast and KL
 * are options, off unless asked for; weights of images count in the alignment alone. Everything else is KD3
 * (step.c).
 */
#include "state.h"

#include "webstill/base/hash.h"
#include "webstill/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ws_conf_kd3 *kd3_plus_settle(struct kd3_plus *plus, const struct ws_session *session,
                                          const struct ws_conf_kd3_plus *options)
{
    plus->options = options;
    plus->kd3_options = session->config->distill.kd3;
    plus->kd3_options.select = options->select;
    plus->kd3_options.contrast = options->contrast;
    return &plus->kd3_options;
}

static bool does_refine(const struct ws_conf_kd3_plus *options)
{
    return options->refine_steps > 0 && options->refined_share > 0.0;
}

static int compare_hashes(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* `most` of the n images, whose order is kept; `hashes` is room for 2 n. */
static void draw_sample(uint32_t *sample, size_t most, const struct ws_session *whole, uint64_t *hashes)
{
    const size_t n = whole->n_train;
    for (size_t i = 0; i < n; i++)
        hashes[i] = ws_xxh64(&whole->data->ids[whole->train[i]], sizeof *whole->data->ids, whole->seed);
    memcpy(hashes + n, hashes, n * sizeof *hashes);
    qsort(hashes + n, n, sizeof *hashes, compare_hashes);
    for (size_t i = 0, taken = 0; taken < most; i++)
        if (hashes[i] <= hashes[n + most - 1])
            sample[taken++] = whole->train[i];
}

enum ws_status kd3_plus_narrow(struct kd3_plus *plus, const struct ws_session **session, struct ws_err *err)
{
    const struct ws_session *whole = *session;
    const size_t most = plus->options->refine_images;
    if (!does_refine(plus->options) || most == 0 || whole->n_train <= most)
        return WS_OK;
    plus->sample = ws_calloc(most, sizeof *plus->sample);
    uint64_t *hashes = ws_calloc(ws_size_mul(whole->n_train, 2), sizeof *hashes);
    if (!plus->sample || !hashes) {
        free(hashes);
        return ws_fail(err, WS_E_MEMORY, "out of memory to draw %zu of %zu images", most, whole->n_train);
    }
    draw_sample(plus->sample, most, whole, hashes);
    free(hashes);
    plus->session = *whole;
    plus->session.train = plus->sample;
    plus->session.n_train = most;
    *session = &plus->session;
    ws_log(WS_LOG_INFO, "kd3+ refines %zu of the %zu images and trains on these (distill.kd3_plus.refine_images)", most,
           whole->n_train);
    return WS_OK;
}

enum ws_status kd3_plus_refine(struct kd3_plus *plus, const struct ws_session *session, struct ws_err *err)
{
    const struct ws_conf_kd3_plus *said = plus->options;
    if (!does_refine(said))
        return WS_OK;
    const struct ws_refine_options options = {
        .steps = (int)said->refine_steps,
        .lr = said->refine_lr,
        .statistics = said->refine_statistics,
        .any_class = said->refine_any_class,
        .batch = session->batch,
        .seed = session->seed,
    };
    char dir[4096];
    struct ws_model *teacher = NULL;
    snprintf(dir, sizeof dir, "%.4000s/../refined", session->dir); /* other runs may want the same ones */
    enum ws_status status = ws_model_load(&teacher, session->teacher_path, NULL, err);
    if (status == WS_OK)
        status = ws_refine(&plus->refined, teacher, session->pool, session->data, session->train, session->n_train,
                           &options, dir, err);
    ws_model_free(&teacher);
    return status;
}

void kd3_plus_close(struct kd3_plus *plus)
{
    ws_refined_close(&plus->refined);
    free(plus->sample);
}

static enum ws_status open_kd3_plus(void **state, const struct ws_session *session, struct ws_model **model,
                                    struct ws_err *err)
{
    return kd3_open(state, session, &session->config->distill.kd3_plus, model, err);
}

const struct ws_method ws_method_kd3_plus = {
    .name = "kd3+",
    .summary = "kd3 on images refined towards what the teacher remembers of its data",
    .open = open_kd3_plus,
    .epoch_begin = kd3_epoch_begin,
    .step = kd3_step,
    .save = kd3_save,
    .load = kd3_load,
    .networks = kd3_networks,
    .close = kd3_close,
};
