/** The commands of webstill-distill; main.c lists them in its table. */
#ifndef WEBSTILL_DISTILL_COMMANDS_H
#define WEBSTILL_DISTILL_COMMANDS_H

#include "webstill/stage/cli.h"

/** `webstill teacher CONFIG`: train a teacher on labelled images, or import one. */
enum ws_status ws_teacher_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_teacher_options[];

/** `webstill score CONFIG [--model PATH]`: logits of one model on every image of the store. */
enum ws_status ws_score_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_score_options[];

/** `webstill distill CONFIG [--method NAME]`: train the students. */
enum ws_status ws_distill_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_distill_options[];

/** `webstill eval CONFIG`: teacher and students on the clean test set. */
enum ws_status ws_eval_command(const struct ws_run *run, struct ws_err *err);

/** `webstill export CONFIG`: the students as ONNX. */
enum ws_status ws_export_command(const struct ws_run *run, struct ws_err *err);

/** The sections of the stages that no other file reads. */
extern const struct ws_conf_section ws_score_section, ws_eval_section, ws_export_section;

#endif
