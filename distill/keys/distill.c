/** The keys of section `distill`. */
#include "keys/distill.h"

#include <string.h>

static const struct ws_conf_word data_words[] = {
    {"web", WS_DATA_WEB},
    {"teacher", WS_DATA_TEACHER},
    {NULL, 0},
};
static const struct ws_conf_word augment_words[] = {
    {"resized-crop", WS_AUGMENT_RESIZED_CROP},
    {"shift", WS_AUGMENT_SHIFT},
    {"none", WS_AUGMENT_NONE},
    {NULL, 0},
};

static const struct ws_conf_key distill_keys[] = {
    {WS_CONF_GROUP(struct ws_distill_keys, runs, struct ws_runs_keys, &ws_runs_section)},
    {WS_CONF_WORD(struct ws_distill_keys, data, enum ws_train_data, data_words), .fallback = "web",
     .help = "What the runs train on: web (the store's images), or teacher (the labelled ones of section teacher: its "
             "folder, or its train_images and train_labels), which gives upper bounds: kd on the teacher's own data, "
             "ce on true labels."},
    {WS_CONF_UINT(struct ws_distill_keys, steps_per_epoch), .unit = "steps", .min = 0, .max = 1000000, .fallback = "0",
     .help = "0 = each selected image once; else the selection is cycled for so many steps."},
    {WS_CONF_UINT(struct ws_distill_keys, batch), .unit = "images", .min = 2, .max = 65536, .fallback = "1024",
     .help = "Images per step."},
    {WS_CONF_NUMBER(struct ws_distill_keys, holdout), .unit = "share", .min = 0, .max = 0.9, .fallback = "0.1",
     .help = "Share of the pool, chosen by image id, that is never trained on: the agreement with the teacher is "
             "measured there."},
    {WS_CONF_WORD(struct ws_distill_keys, augment, enum ws_augment_kind, augment_words), .fallback = "resized-crop",
     .help = "resized-crop (released code), shift (random crop after zero padding by crop_pad) or none."},
    {WS_CONF_UINT(struct ws_distill_keys, crop_pad), .unit = "pixels", .min = 0, .max = 64, .fallback = "4",
     .help = "shift: zero padding of the random crop."},
    {WS_CONF_NUMBER(struct ws_distill_keys, crop_min_area), .unit = "share", .min = 0, .max = 1,
     .excluded = WS_CONF_ABOVE, .fallback = "0.08", .help = "resized-crop: smallest share of the picture's area."},
    {WS_CONF_BOOL(struct ws_distill_keys, flip), .fallback = "true",
     .help = "Augmentation: mirror half of the images."},
    {WS_CONF_UINT(struct ws_distill_keys, checkpoint_s), .unit = "s", .min = 1, .max = 86400, .fallback = "60",
     .help = "Time between checkpoints."},
    {WS_CONF_GROUP(struct ws_distill_keys, optim, struct ws_optim_keys, &ws_optim_group)},
    {.name = NULL},
};

static enum ws_status check_distill(const void *keys, const char *name, struct ws_err *err)
{
    const struct ws_distill_keys *distill = keys;
    const struct ws_runs_keys *runs = &distill->runs;
    for (unsigned i = 0; i < runs->n_methods; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(runs->methods[i], runs->methods[j]) == 0)
                return ws_fail(err, WS_E_CONFIG, "distill.methods: \"%s\" stands twice", runs->methods[i]);
    return ws_optim_keys_check(&distill->optim, name, err);
}

const struct ws_conf_section ws_distill_section = {
    .name = "distill",
    .title = "store, selection and teacher -> runs/NAME/",
    .intro = "Defaults: KD3's released code.",
    WS_CONF_KEYS(struct ws_distill_keys, distill_keys),
    .check = check_distill,
};
