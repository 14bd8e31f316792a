#include "shared_head.h"

#include <string.h>

bool ws_map_match(const struct ws_node *teacher, const struct ws_node *student, int *teacher_pool, int *student_pool)
{
    const bool is_student_larger = student->height > teacher->height;
    const struct ws_node *large = is_student_larger ? student : teacher, *small = is_student_larger ? teacher : student;
    const int ratio = large->height / small->height;
    *student_pool = is_student_larger ? ratio : 1;
    *teacher_pool = is_student_larger ? 1 : ratio;
    return large->height == ratio * small->height && large->width == ratio * small->width;
}

static const struct ws_node *teachers_map(const struct ws_session *session)
{
    const struct ws_model *teacher = session->teacher_predictor->model;
    return &teacher->net->nodes[teacher->projected];
}

/* The teacher's last map must be an integer multiple of the student's, or the other way round. */
static enum ws_status match_maps(const struct ws_session *session, const struct ws_node *s, const char *method,
                                 struct ws_err *err)
{
    const struct ws_node *t = teachers_map(session);
    int teacher_pool, student_pool;
    if (ws_map_match(t, s, &teacher_pool, &student_pool))
        return WS_OK;
    ws_fail(err, WS_E_UNSUPPORTED,
            "%s compares feature maps: the teacher's (%s) is %d x %d, the student's (%s) %d x %d; expected "
            "equal sizes or an integer ratio, the same in height and width",
            method, session->teacher_predictor->model->card.arch, t->height, t->width, session->card.arch, s->height,
            s->width);
    ws_err_hint(err, "use method kd3 with distill.kd3.align: pooled, which compares the maps' averages");
    return WS_E_UNSUPPORTED;
}

enum ws_status ws_shared_head_check(const struct ws_session *session, const char *method, int projector_factor,
                                    enum ws_align align, struct ws_err *err)
{
    const int channels = teachers_map(session)->channels;
    struct ws_model *shape = NULL;
    enum ws_status status = ws_model_build(&shape, &session->card, err);
    if (status == WS_OK && align == WS_ALIGN_MAP)
        status = match_maps(session, &shape->net->nodes[shape->features], method, err);
    ws_model_free(&shape);
    if (status == WS_OK && (projector_factor < 1 || channels / projector_factor < 1))
        status = ws_fail(err, WS_E_CONFIG,
                         "distill.%s.projector_factor: expected 1 to %d (the teacher's channels), found %d", method,
                         channels, projector_factor);
    return status;
}

/* z_s goes through the teacher's own g: the same bytes, which then never change (their gradient does not exist). */
static void share_classifier(const struct ws_model *teacher, struct ws_model *student)
{
    const int g = ws_model_classifier(teacher);
    const struct ws_node *from = &teacher->net->nodes[g], *to = &student->net->nodes[student->logits];
    for (int i = 0; i < from->n_params; i++) { /* a classifier without bias leaves the student's at zero */
        const struct ws_param *source = &teacher->net->params[from->params[i]];
        const struct ws_param *target = &student->net->params[to->params[i]];
        ws_assert(source->n == target->n);
        memcpy(student->net->values + target->offset, teacher->net->values + source->offset,
               target->n * sizeof *student->net->values);
    }
}

/* The session's card with the projector that fits the teacher. */
static enum ws_status fill_card(struct ws_card *card, struct ws_shared_head *head, const struct ws_session *session,
                                int projector_factor, struct ws_err *err)
{
    struct ws_model *shape = NULL;
    *card = session->card;
    card->head = (struct ws_head){WS_HEAD_PROJECTED, projector_factor, teachers_map(session)->channels, 1};
    head->teacher_pool = 1;
    if (head->align == WS_ALIGN_POOLED)
        return WS_OK;
    const enum ws_status status = ws_model_build(&shape, &session->card, err);
    if (status == WS_OK)
        (void)ws_map_match(teachers_map(session), &shape->net->nodes[shape->features], &head->teacher_pool,
                           &card->head.pool);
    ws_model_free(&shape);
    return status;
}

enum ws_status ws_shared_head_open(struct ws_shared_head **out, struct ws_training *training, int projector_factor,
                                   enum ws_align align, struct ws_err *err)
{
    struct ws_card card;
    void *memory = NULL;
    enum ws_status status = ws_training_alloc(training, &memory, 1, sizeof **out, err);
    struct ws_shared_head *head = *out = memory;
    if (status != WS_OK)
        return status;
    head->align = align;
    status = fill_card(&card, head, training->session, projector_factor, err);
    if (status == WS_OK)
        status = ws_training_add_student(training, &card, -1, err);
    if (status != WS_OK)
        return status;
    share_classifier(training->session->teacher, training->model);
    head->compared = align == WS_ALIGN_POOLED ? training->model->head_pooled : training->model->projected;
    status = ws_training_alloc(
        training, &memory, (size_t)training->session->batch,
        ws_point_floats((struct ws_point){training->student, head->compared}) * sizeof *head->scratch, err);
    head->scratch = memory;
    return status;
}

void ws_shared_head_align(struct ws_shared_head *head, struct ws_step *step, const float *weights)
{
    const struct ws_training *training = step->training;
    const struct ws_model *teacher = training->session->teacher_predictor->model;
    const int node = head->align == WS_ALIGN_POOLED ? teacher->head_pooled : teacher->projected;
    ws_step_align(step, "align", (struct ws_point){training->student, head->compared},
                  (struct ws_point){training->teacher, node}, head->teacher_pool, weights, 1.0, head->scratch);
}
