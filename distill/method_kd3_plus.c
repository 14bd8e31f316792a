/*
 * KD3+: KD3 for pools that look unlike the teacher's data.
 *
 * Most places of a batch show a picture in its refined form (refine.h): pulled towards what the teacher's BatchNorm
 * layers remember of its data. The loss is KD3's and, where kl_weight is not 0,
 *
 *   + lambda T^2 KL( softmax(z_t / T) || softmax(z_s / T) )
 *
 * with z_t and z_s the logits of teacher and student through the one classifier they share. Selection, contrast and KL
 * are options, off unless asked for; weights of images count in the alignment alone. Everything else is KD3
 * (method_kd3.c).
 */
#include "kd3.h"

#include <stdio.h>

const struct ws_conf_kd3 *kd3_plus_settle(struct kd3_plus *plus, const struct ws_session *session,
                                          const struct ws_conf_kd3_plus *options)
{
    plus->options = options;
    plus->kd3_options = session->config->distill.kd3;
    plus->kd3_options.select = options->select;
    plus->kd3_options.contrast = options->contrast;
    return &plus->kd3_options;
}

enum ws_status kd3_plus_refine(struct kd3_plus *plus, const struct ws_session *session, struct ws_err *err)
{
    const struct ws_conf_kd3_plus *said = plus->options;
    if (said->refine_steps == 0 || said->refined_share <= 0.0)
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
