/** What the files of the stage `teacher` share. */
#ifndef WEBSTILL_DISTILL_TEACHER_H
#define WEBSTILL_DISTILL_TEACHER_H

#include "job.h"
#include "model.h"

#include <jansson.h>

/**
 * Import teacher.import_path, whose content says whether it is ONNX or safetensors, and save it as `to`. The
 * configuration tells what the file does not: class names, mean and deviation. WS_E_CONFIG when its input or its
 * classes are not the configuration's; else as ws_model_import_onnx() and ws_model_load().
 */
WS_MUST_USE enum ws_status teacher_import(const struct ws_config *config, const char *to, struct ws_err *err);

/** Say, in the log and as facts of the manifest, what an imported network is and which methods it cannot serve, and
 * why. */
void teacher_describe_import(struct ws_job *job, const struct ws_model *model);

#endif
