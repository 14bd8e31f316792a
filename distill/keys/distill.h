/** Section `distill` of the configuration. The sections in it belong to the methods. */
#ifndef WEBSTILL_DISTILL_KEYS_DISTILL_H
#define WEBSTILL_DISTILL_KEYS_DISTILL_H

#include "keys/optim.h"

#include "webstill/stage/config.h"

enum ws_train_data { WS_DATA_WEB, WS_DATA_TEACHER };

/** How a picture is shown. */
enum ws_augment_kind {
    WS_AUGMENT_NONE,
    WS_AUGMENT_SHIFT,        /**< crop of the image's size out of the image with a zero border of `pad` pixels */
    WS_AUGMENT_RESIZED_CROP, /**< torchvision's RandomResizedCrop */
};

struct ws_distill_keys {
    struct ws_runs_keys runs; /**< methods, architecture, epochs, pool */
    enum ws_train_data data;  /**< the web's images, or the labelled ones of section `teacher` */
    uint32_t steps_per_epoch; /**< 0 = the selected images once; else the selection is cycled for so many steps */
    uint32_t batch;
    double holdout; /**< share of the pool, chosen by id, that is never trained on: agreement with the teacher */
    enum ws_augment_kind augment;
    uint32_t crop_pad;    /**< shift: zero padding of the random crop, pixels */
    double crop_min_area; /**< resized-crop: smallest share of the area */
    bool flip;
    uint32_t checkpoint_s;
    struct ws_optim_keys optim;
};

extern const struct ws_conf_section ws_distill_section;

static inline const struct ws_distill_keys *ws_distill_keys(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_distill_section);
}

#endif
