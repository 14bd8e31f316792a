/** Section `teacher` of the configuration: its data, its training, or the file that it is imported from. */
#ifndef WEBSTILL_DISTILL_KEYS_TEACHER_H
#define WEBSTILL_DISTILL_KEYS_TEACHER_H

#include "keys/optim.h"

#include "webstill/stage/config.h"

enum ws_teacher_kind { WS_TEACHER_IDX, WS_TEACHER_FOLDERS, WS_TEACHER_IMPORT };

struct ws_teacher_keys {
    enum ws_teacher_kind kind;
    char *train_images, *train_labels; /**< idx: IDX files, .gz or plain */
    char *folder;                      /**< folders: one folder a class */
    char *import_path;                 /**< import: an ONNX or safetensors file */
    double *mean, *std;                /**< import: per channel, of pixels in 0..1; where the file does not tell */
    unsigned n_mean, n_std;
    struct ws_teacher_part part; /**< its architecture */
    char *method;                /**< a row of the table of methods that needs no teacher itself: "ce" */
    uint32_t epochs;
    uint32_t steps; /**< 0 = whole epochs; else ends after so many steps */
    uint32_t batch;
    uint32_t crop_pad; /**< augmentation: zero padding of the random crop, pixels; 0 = none */
    bool flip;         /**< augmentation: horizontal, half of the time */
    double label_smoothing;
    double holdout;        /**< share of the training data kept back for the card's validation accuracy */
    uint32_t checkpoint_s; /**< seconds between checkpoints */
    struct ws_optim_keys optim;
};

extern const struct ws_conf_section ws_teacher_section;

static inline const struct ws_teacher_keys *ws_teacher_keys(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_teacher_section);
}

/** Two files that go together: both or neither may be named. */
WS_MUST_USE enum ws_status ws_keys_check_pair(const char *a_key, const char *a, const char *b_key, const char *b,
                                              struct ws_err *err);

#endif
