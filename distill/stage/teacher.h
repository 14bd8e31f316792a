/** What the files of the stage `teacher` share. */
#ifndef WEBSTILL_DISTILL_STAGE_TEACHER_H
#define WEBSTILL_DISTILL_STAGE_TEACHER_H

#include "data/set.h"
#include "machine.h"
#include "model/network.h"

#include <jansson.h>

/**
 * Import teacher.import_path, whose content says whether it is ONNX or safetensors, and save it as `to`. The
 * configuration tells what the file does not: class names, mean and deviation. WS_E_CONFIG when its input or its
 * classes are not the configuration's; else as ws_model_import_onnx() and ws_model_load().
 */
WS_MUST_USE enum ws_status ws_teacher_import(const struct ws_config *config, const char *to, struct ws_err *err);

/** Say, in the log and as facts of the manifest, what an imported network is and which methods it cannot serve, and
 * why. */
void ws_teacher_describe_import(struct ws_job *job, const struct ws_model *model);

/**
 * Note the files of the teacher's labelled data as inputs: the folder of classes, or images and labels as IDX files.
 * WS_E_CONFIG with the key when one is not named or does not exist.
 */
WS_MUST_USE enum ws_status ws_teacher_data_input(struct ws_job *job, const struct ws_config *config,
                                                 struct ws_err *err);
/** Read them; as ws_dataset_open_folder() and ws_dataset_open_idx(). */
WS_MUST_USE enum ws_status ws_teacher_data_open(struct ws_dataset *data, const struct ws_config *config,
                                                struct ws_err *err);

#endif
