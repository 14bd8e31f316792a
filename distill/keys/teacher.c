/** The keys of section `teacher`. */
#include "keys/teacher.h"

static const struct ws_conf_word kinds[] = {
    {"idx", WS_TEACHER_IDX},
    {"folders", WS_TEACHER_FOLDERS},
    {"import", WS_TEACHER_IMPORT},
    {NULL, 0},
};

static const struct ws_conf_key teacher_keys[] = {
    {WS_CONF_WORD(struct ws_teacher_keys, kind, enum ws_teacher_kind, kinds), .fallback = "idx",
     .help =
         "idx: train on IDX files; folders: train on one folder a class; import: take a trained network from a file."},
    {WS_CONF_TEXT(struct ws_teacher_keys, train_images), .fallback = "",
     .help = "idx: images and labels, .gz or plain."},
    {WS_CONF_TEXT(struct ws_teacher_keys, train_labels), .fallback = ""},
    {WS_CONF_TEXT(struct ws_teacher_keys, folder), .fallback = "",
     .help = "folders: a folder with one folder of images per class, named like the classes."},
    {WS_CONF_TEXT(struct ws_teacher_keys, import_path), .fallback = "",
     .help = "import: a trained network. Either an ONNX file (opset 7 to 20; the graph may be any classifier of known "
             "ops), or a .safetensors file whose tensors have torchvision's names, for the network named in `arch`. "
             "The content decides, not the name. Its input must be store.size and store.channels; its outputs are the "
             "classes, in their order."},
    {WS_CONF_NUMBERS(struct ws_teacher_keys, mean), .unit = "share", .min = 0, .max = 1, .fallback = "[]", .n_max = 3,
     .help = "import: how the network wants its pixels, (x/255 - mean)/std, one number per channel. Needed where the "
             "file does not tell; our own exports do. torchvision's: [0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]. "
             "A network that takes 0..255 itself: [0, 0, 0] and [0.00392157, 0.00392157, 0.00392157]."},
    {WS_CONF_NUMBERS(struct ws_teacher_keys, std), .unit = "share", .min = 0, .max = 10, .excluded = WS_CONF_ABOVE,
     .fallback = "[]", .n_max = 3},
    {WS_CONF_GROUP(struct ws_teacher_keys, part, struct ws_teacher_part, &ws_teacher_part)},
    {WS_CONF_TEXT(struct ws_teacher_keys, method), .is_late = true, .fallback = "ce",
     .help = "What trains it: one of the methods that distill.methods lists, which needs labels and no teacher."},
    {WS_CONF_UINT(struct ws_teacher_keys, epochs), .unit = "epochs", .min = 1, .max = 100000, .fallback = "240",
     .help = "Passes over the training data."},
    {WS_CONF_UINT(struct ws_teacher_keys, steps), .unit = "steps", .min = 0, .max = 1000000000, .fallback = "0",
     .help = "0 = whole epochs; else training ends after so many steps, and the schedule spans them."},
    {WS_CONF_UINT(struct ws_teacher_keys, batch), .unit = "images", .min = 2, .max = 65536, .fallback = "64",
     .help = "Images per step."},
    {WS_CONF_UINT(struct ws_teacher_keys, crop_pad), .unit = "pixels", .min = 0, .max = 64, .fallback = "4",
     .help = "Augmentation: zero padding of the random crop; 0 = no crop."},
    {WS_CONF_BOOL(struct ws_teacher_keys, flip), .fallback = "true",
     .help = "Augmentation: mirror half of the images."},
    {WS_CONF_NUMBER(struct ws_teacher_keys, label_smoothing), .unit = "share", .min = 0, .max = 1,
     .excluded = WS_CONF_BELOW, .fallback = "0", .help = "Probability taken from the true class and spread over all."},
    {WS_CONF_NUMBER(struct ws_teacher_keys, holdout), .unit = "share", .min = 0, .max = 0.9, .fallback = "0.05",
     .help = "Share of the training data kept back, for the validation accuracy on the card."},
    {WS_CONF_UINT(struct ws_teacher_keys, checkpoint_s), .unit = "s", .min = 1, .max = 86400, .fallback = "60",
     .help = "Time between checkpoints."},
    {WS_CONF_GROUP(struct ws_teacher_keys, optim, struct ws_optim_keys, &ws_optim_group)},
    {.name = NULL},
};

enum ws_status ws_keys_check_pair(const char *a_key, const char *a, const char *b_key, const char *b,
                                  struct ws_err *err)
{
    if ((a[0] == '\0') == (b[0] == '\0'))
        return WS_OK;
    return ws_fail(err, WS_E_CONFIG, "%s and %s go together: expected both or neither, found only %s", a_key, b_key,
                   a[0] ? a_key : b_key);
}

static enum ws_status check_teacher(const void *keys, const char *name, struct ws_err *err)
{
    const struct ws_teacher_keys *teacher = keys;
    enum ws_status status = ws_optim_keys_check(&teacher->optim, name, err);
    if (status == WS_OK)
        status = ws_keys_check_pair("teacher.train_images", teacher->train_images, "teacher.train_labels",
                                    teacher->train_labels, err);
    return status;
}

const struct ws_conf_section ws_teacher_section = {
    .name = "teacher",
    .title = "labelled data, or a file -> teacher.safetensors",
    WS_CONF_KEYS(struct ws_teacher_keys, teacher_keys),
    .check = check_teacher,
};
