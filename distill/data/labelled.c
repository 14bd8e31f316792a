/* The labelled images that a teacher is trained on, for its own training and for the students' upper bounds. */
#include "keys/teacher.h"
#include "stage/teacher.h"

/* An imported teacher brings no data; who names some all the same may use it. */
static bool is_folder(const struct ws_teacher_keys *teacher)
{
    return teacher->kind == WS_TEACHER_FOLDERS || (teacher->kind == WS_TEACHER_IMPORT && teacher->folder[0]);
}

enum ws_status ws_teacher_data_input(struct ws_job *job, const struct ws_config *config, struct ws_err *err)
{
    const struct ws_teacher_keys *teacher = ws_teacher_keys(config);
    if (is_folder(teacher)) {
        struct ws_digest digest;
        enum ws_status status = ws_data_require(teacher->folder, "teacher.folder", err);
        if (status == WS_OK)
            status = ws_dataset_folder_digest(teacher->folder, config, &digest, err);
        return status == WS_OK ? ws_job_input(job, teacher->folder, &digest, err) : status;
    }
    enum ws_status status = ws_data_require(teacher->train_images, "teacher.train_images", err);
    if (status == WS_OK)
        status = ws_data_require(teacher->train_labels, "teacher.train_labels", err);
    if (status == WS_OK)
        status = ws_job_input_file(job, teacher->train_images, err);
    return status == WS_OK ? ws_job_input_file(job, teacher->train_labels, err) : status;
}

enum ws_status ws_teacher_data_open(struct ws_dataset *data, const struct ws_config *config, struct ws_err *err)
{
    const struct ws_teacher_keys *teacher = ws_teacher_keys(config);
    if (is_folder(teacher))
        return ws_dataset_open_folder(data, teacher->folder, config, err);
    return ws_dataset_open_idx(data, teacher->train_images, teacher->train_labels, (int)config->n_classes, err);
}
