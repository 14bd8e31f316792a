#include "shared_head.h"

#include <stdlib.h>
#include <string.h>

static enum ws_status check_teacher(const struct ws_session *session, const char *method, struct ws_err *err)
{
    const struct ws_model *teacher = session->teacher_predictor->model;
    if (teacher->features >= 0 && ws_model_classifier(session->teacher) >= 0)
        return WS_OK;
    ws_fail(err, WS_E_UNSUPPORTED,
            "%s shares the teacher's classifier with the student, which must be one linear layer behind global "
            "average pooling; the head of this teacher (%s, %d x %d pixels) ends in \"%s\" behind further layers",
            method, teacher->card.arch, teacher->card.height, teacher->card.width,
            teacher->net->nodes[teacher->logits].name);
    ws_err_hint(err, "use method kd with this teacher; a vgg has one linear layer for pictures below 224 pixels");
    return WS_E_UNSUPPORTED;
}

/* The teacher's last map must be an integer multiple of the student's, or the other way round. */
static enum ws_status match_maps(struct ws_shared_head *head, struct ws_card *card, const char *method,
                                 const struct ws_model *student_shape, struct ws_err *err)
{
    const struct ws_model *teacher = head->session->teacher_predictor->model;
    const struct ws_node *t = &teacher->net->nodes[teacher->projected];
    const struct ws_node *s = &student_shape->net->nodes[student_shape->features];
    card->projector_channels = t->channels;
    head->teacher_pool = card->projector_pool = 1;
    if (head->align == WS_ALIGN_POOLED)
        return WS_OK;
    const bool is_student_larger = s->height > t->height;
    const struct ws_node *large = is_student_larger ? s : t, *small = is_student_larger ? t : s;
    const int ratio = large->height / small->height;
    if (large->height != ratio * small->height || large->width != ratio * small->width) {
        ws_fail(err, WS_E_UNSUPPORTED,
                "%s compares feature maps: the teacher's (%s) is %d x %d, the student's (%s) %d x %d; expected "
                "equal sizes or an integer ratio, the same in height and width",
                method, teacher->card.arch, t->height, t->width, card->arch, s->height, s->width);
        ws_err_hint(err, "use method kd3 with distill.kd3.align: pooled, which compares the maps' averages");
        return WS_E_UNSUPPORTED;
    }
    card->projector_pool = is_student_larger ? ratio : 1;
    head->teacher_pool = is_student_larger ? 1 : ratio;
    return WS_OK;
}

static enum ws_status check_factor(const struct ws_card *card, const char *method, struct ws_err *err)
{
    if (card->projector_factor >= 1 && card->projector_channels / card->projector_factor >= 1)
        return WS_OK;
    return ws_fail(err, WS_E_CONFIG, "distill.%s.projector_factor: expected 1 to %d (the teacher's channels), found %d",
                   method, card->projector_channels, card->projector_factor);
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

static enum ws_status alloc_map(struct ws_shared_head *head, const struct ws_model *student, const char *method,
                                struct ws_err *err)
{
    head->compared = head->align == WS_ALIGN_POOLED ? student->head_pooled : student->projected;
    const struct ws_node *map = &student->net->nodes[head->compared];
    head->map_floats = (size_t)map->height * (size_t)map->width * (size_t)map->channels;
    head->teacher_map =
        ws_calloc_aligned(ws_size_mul((size_t)head->session->batch, head->map_floats), sizeof *head->teacher_map);
    return head->teacher_map ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for %s's feature maps", method);
}

enum ws_status ws_shared_head_open(struct ws_shared_head *head, struct ws_trainee *trainee,
                                   const struct ws_session *session, const char *method, int projector_factor,
                                   enum ws_align align, struct ws_err *err)
{
    *head = (struct ws_shared_head){.session = session, .align = align};
    struct ws_session with_projector = *session;
    struct ws_model *shape = NULL;
    enum ws_status status = check_teacher(session, method, err);
    if (status == WS_OK)
        status = ws_model_build(&shape, &session->card, err);
    if (status == WS_OK)
        status = match_maps(head, &with_projector.card, method, shape, err);
    ws_model_free(&shape);
    with_projector.card.projector_factor = projector_factor;
    if (status == WS_OK)
        status = check_factor(&with_projector.card, method, err);
    if (status == WS_OK)
        status = ws_trainee_open(trainee, &with_projector, err);
    if (status == WS_OK) {
        share_classifier(session->teacher, trainee->model);
        status = alloc_map(head, trainee->model, method, err);
    }
    return status;
}

void ws_shared_head_close(struct ws_shared_head *head)
{
    free(head->teacher_map);
    *head = (struct ws_shared_head){0};
}

void ws_map_average(const float *map, const struct ws_node *node, int batch, int pool, float *out)
{
    const int height = node->height / pool, width = node->width / pool;
    const size_t channels = (size_t)node->channels, row = (size_t)node->width * channels;
    for (int b = 0; b < batch; b++) {
        const float *image = map + (size_t)b * (size_t)node->height * row;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (size_t c = 0; c < channels; c++) {
                    double sum = 0.0;
                    for (int v = 0; v < pool; v++)
                        for (int h = 0; h < pool; h++)
                            sum += (double)image[(size_t)(y * pool + v) * row + (size_t)(x * pool + h) * channels + c];
                    *out++ = (float)(sum / (double)(pool * pool));
                }
    }
}

const float *ws_shared_head_teacher_map(struct ws_shared_head *head, int n)
{
    const struct ws_predictor *teacher = head->session->teacher_predictor;
    if (head->align == WS_ALIGN_POOLED)
        return ws_exec_value(teacher->exec, teacher->model->head_pooled);
    const float *map = ws_exec_value(teacher->exec, teacher->model->projected);
    if (head->teacher_pool == 1)
        return map;
    ws_map_average(map, &teacher->model->net->nodes[teacher->model->projected], n, head->teacher_pool,
                   head->teacher_map);
    return head->teacher_map;
}
