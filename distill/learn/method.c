#include "method.h"

enum ws_status ws_method_check(const struct ws_method *method, const struct ws_session *session, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    const struct ws_need *need = method->needs;
    for (; status == WS_OK && need && need->kind != WS_NEED_NOTHING; need++)
        if (!need->applies || need->applies(session->config))
            status = ws_need_check(need, session, method->name, err);
    return status == WS_OK && method->check ? method->check(method, session, err) : status;
}

static enum ws_status open_plain(struct ws_training *training, struct ws_err *err)
{
    const enum ws_status status = ws_training_add_student(training, &training->session->card, -1, err);
    return status == WS_OK && training->session->teacher ? ws_training_add_teacher(training, err) : status;
}

static enum ws_status open_supply(const struct ws_method *method, struct ws_training *training, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    enum ws_status status = WS_OK;
    if (!training->supply)
        status = (method->supply ? method->supply : ws_supply_open_pool)(&training->supply, session, err);
    if (status != WS_OK || !training->supply->kind->note)
        return status;
    void *loss_of = NULL;
    status = ws_training_alloc(training, &loss_of, (size_t)session->batch, sizeof *training->loss_of, err);
    training->loss_of = loss_of;
    return status;
}

enum ws_status ws_method_open(const struct ws_method *method, struct ws_training *training,
                              const struct ws_session *session, struct ws_err *err)
{
    *training = (struct ws_training){.session = session};
    enum ws_status status = ws_method_check(method, session, err);
    if (status == WS_OK)
        status = (method->open ? method->open : open_plain)(training, err);
    if (status == WS_OK)
        status = open_supply(method, training, err);
    if (status != WS_OK)
        ws_method_close(method, training);
    return status;
}

void ws_method_close(const struct ws_method *method, struct ws_training *training)
{
    if (method->close && training->state)
        method->close(training->state);
    ws_training_close(training);
}

void ws_method_save(const struct ws_method *method, struct ws_training *training, struct ws_checkpoint *checkpoint,
                    bool is_begun)
{
    ws_training_save(training, checkpoint, is_begun);
    if (method->save)
        method->save(training->state, checkpoint);
}

enum ws_status ws_method_load(const struct ws_method *method, struct ws_training *training,
                              const struct ws_tensors *checkpoint, bool is_begun, struct ws_err *err)
{
    const enum ws_status status = ws_training_load(training, checkpoint, is_begun, err);
    return status == WS_OK && method->load ? method->load(training->state, checkpoint, err) : status;
}
