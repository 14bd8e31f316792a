#include "needs.h"

#include "model/hint.h"

#include "webstill/nn/statistics.h"

/* --- any teacher --- */

static enum ws_status check_teacher(const struct ws_need *need, const struct ws_session *session, const char *name,
                                    struct ws_err *err)
{
    (void)need;
    if (session->teacher)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "method %s learns from a teacher, and here a teacher is being trained", name);
    ws_err_hint(err, "train a teacher with method ce");
    return WS_E_CONFIG;
}

/* --- BatchNorm --- */

static bool has_batchnorm(const struct ws_model *teacher)
{
    return ws_statistics_count(teacher->net) > 0;
}

static bool tell_batchnorm(const struct ws_need *need, const struct ws_model *teacher, const char *name,
                           struct ws_buf *out)
{
    (void)name;
    if (has_batchnorm(teacher))
        return true;
    return ws_buf_add_str(out, "BatchNorm was folded at export, or never there, and refining needs its statistics "
                               "(torch.onnx.export keeps it with training=TrainingMode.PRESERVE)") &&
           (!need->key || ws_buf_addf(out, "; with %s at 0 it does without", need->key));
}

/* The session's teacher may be folded: its file tells. */
static enum ws_status check_batchnorm(const struct ws_need *need, const struct ws_session *session, const char *name,
                                      struct ws_err *err)
{
    (void)name;
    if (has_batchnorm(session->teacher))
        return WS_OK;
    struct ws_model *whole = NULL;
    enum ws_status status = session->teacher_path ? ws_model_load(&whole, session->teacher_path, NULL, err) : WS_OK;
    const bool is_met = whole && has_batchnorm(whole);
    ws_model_free(&whole);
    if (status != WS_OK || is_met)
        return status;
    ws_fail(err, WS_E_UNSUPPORTED,
            "images are refined towards what the teacher's BatchNorm layers remember of its "
            "data; expected such layers, found none in this teacher (%s)",
            session->teacher->card.arch);
    ws_err_hint(err, "export the teacher without folding BatchNorm%s%s%s", need->key ? ", or set " : "",
                need->key ? need->key : "", need->key ? " to 0" : "");
    return WS_E_UNSUPPORTED;
}

/* --- accuracy --- */

static bool tell_accuracy(const struct ws_need *need, const struct ws_model *teacher, const char *name,
                          struct ws_buf *out)
{
    (void)need;
    return teacher->card.accuracy >= 0.0 ||
           ws_buf_addf(out,
                       "the file does not tell how often the network is right, and %s corrects its mistakes by that",
                       name);
}

static enum ws_status check_accuracy(const struct ws_need *need, const struct ws_session *session, const char *name,
                                     struct ws_err *err)
{
    const double accuracy = session->teacher->card.accuracy;
    if (accuracy >= 0.0 && accuracy <= 1.0)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG,
            "%s corrects the teacher's mistakes by its accuracy, which this teacher's card does not "
            "tell",
            name);
    if (need->key)
        ws_err_hint(err, "set %s to its accuracy on data of its own task that no student is tested on", need->key);
    return WS_E_CONFIG;
}

/* --- middle map --- */

static bool tell_middle_map(const struct ws_need *need, const struct ws_model *teacher, const char *name,
                            struct ws_buf *out)
{
    (void)need;
    (void)name;
    return ws_hint_find(teacher) >= 0 ||
           ws_buf_add_str(out, "no feature map halfway: it compares the middle maps of teacher and student");
}

static enum ws_status check_middle_map(const struct ws_need *need, const struct ws_session *session, const char *name,
                                       struct ws_err *err)
{
    (void)need;
    const struct ws_model *teacher = session->teacher_predictor->model;
    if (ws_hint_find(teacher) >= 0)
        return WS_OK;
    ws_fail(err, WS_E_UNSUPPORTED, "%s compares maps halfway through the networks; the teacher (%s) has none", name,
            teacher->card.arch);
    ws_err_hint(err, "use method kd, which compares logits alone");
    return WS_E_UNSUPPORTED;
}

/* --- one linear layer --- */

static bool tell_linear_layer(const struct ws_need *need, const struct ws_model *teacher, const char *name,
                              struct ws_buf *out)
{
    (void)need;
    (void)name;
    if (teacher->features < 0)
        return ws_buf_add_str(out, "no pooled feature map: they compare the last maps of teacher and student");
    return ws_model_classifier(teacher) >= 0 ||
           ws_buf_add_str(out, "its logits are no linear layer of the pooled map: the student shares that layer");
}

static enum ws_status check_linear_layer(const struct ws_need *need, const struct ws_session *session, const char *name,
                                         struct ws_err *err)
{
    (void)need;
    const struct ws_model *teacher = session->teacher_predictor->model;
    if (teacher->features >= 0 && ws_model_classifier(session->teacher) >= 0)
        return WS_OK;
    ws_fail(err, WS_E_UNSUPPORTED,
            "%s shares the teacher's classifier with the student, which must be one linear layer behind global "
            "average pooling; the head of this teacher (%s, %d x %d pixels) ends in \"%s\" behind further layers",
            name, teacher->card.arch, teacher->card.height, teacher->card.width,
            teacher->net->nodes[teacher->logits].name);
    ws_err_hint(err, "use method kd with this teacher; a vgg has one linear layer for pictures below 224 pixels");
    return WS_E_UNSUPPORTED;
}

/* --- labels --- */

static enum ws_status check_labels(const struct ws_need *need, const struct ws_session *session, const char *name,
                                   struct ws_err *err)
{
    (void)need;
    size_t n_labelled = 0;
    for (size_t i = 0; i < session->n_train; i++)
        n_labelled += session->data->labels[session->train[i]] >= 0;
    if (n_labelled >= 2)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "method %s: %zu of %zu training images carry a label; expected at least 2", name,
            n_labelled, session->n_train);
    ws_err_hint(err, "images of foreign WARC files have no query and so no label: leave \"%s\" out of distill.methods",
                name);
    return WS_E_CONFIG;
}

/* --- the table --- */

static const struct row {
    bool (*tell)(const struct ws_need *need, const struct ws_model *teacher, const char *name, struct ws_buf *out);
    enum ws_status (*check)(const struct ws_need *need, const struct ws_session *session, const char *name,
                            struct ws_err *err);
} rows[WS_N_NEEDS] = {
    [WS_NEED_TEACHER] = {NULL, check_teacher},
    [WS_NEED_BATCHNORM] = {tell_batchnorm, check_batchnorm},
    [WS_NEED_ACCURACY] = {tell_accuracy, check_accuracy},
    [WS_NEED_MIDDLE_MAP] = {tell_middle_map, check_middle_map},
    [WS_NEED_LINEAR_LAYER] = {tell_linear_layer, check_linear_layer},
    [WS_NEED_LABELS] = {NULL, check_labels},
};

bool ws_need_tell(const struct ws_need *need, const struct ws_model *teacher, const char *name, struct ws_buf *out)
{
    return !rows[need->kind].tell || rows[need->kind].tell(need, teacher, name, out);
}

enum ws_status ws_need_check(const struct ws_need *need, const struct ws_session *session, const char *name,
                             struct ws_err *err)
{
    return rows[need->kind].check(need, session, name, err);
}
