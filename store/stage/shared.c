/** The keys of no section, and those that more than one program reads. */
#include "webstill/stage/config.h"

#include <string.h>

static const struct ws_conf_key class_keys[] = {
    {WS_CONF_TEXT(struct ws_class, name)},
    {WS_CONF_TEXTS(struct ws_class, queries), .fallback = "[]"},
    {.name = NULL},
};
static const struct ws_conf_section class_record = {.name = "classes[]", WS_CONF_KEYS(struct ws_class, class_keys)};

static const struct ws_conf_key top_keys[] = {
    {WS_CONF_RECORDS(struct ws_top_keys, classes, struct ws_class, &class_record), .fallback = "[]",
     .must = "list the class names in the order of the teacher's outputs: classes: [cat, dog]",
     .help =
         "The classes, in the order of the teacher's outputs. An entry is a name, or a name and the words to search it "
         "by:\n"
         "  classes:\n"
         "  - coat\n"
         "  - {name: T-shirt/top, queries: [t-shirt, tee]}\n"
         "Your file must have this key, with two classes or more."},
    {WS_CONF_ULONG(struct ws_top_keys, seed), .unit = "number", .max = 9007199254740991, .fallback = "1",
     .help = "All randomness follows from it: the same seed gives the same bytes for any number of threads."},
    {WS_CONF_UINT(struct ws_top_keys, threads), .unit = "threads", .max = 1024, .fallback = "0",
     .help = "Worker threads; 0 = one per core this process may use. Does not change any result."},
    {.name = NULL},
};

static enum ws_status check_top(const void *keys, const char *name, struct ws_err *err)
{
    const struct ws_top_keys *top = keys;
    (void)name;
    if (top->n_classes == 1)
        return ws_fail(err, WS_E_CONFIG, "classes: expected two or more, found one (\"%s\")", top->classes[0].name);
    for (unsigned i = 0; i < top->n_classes; i++) {
        if (top->classes[i].name[0] == '\0')
            return ws_fail(err, WS_E_CONFIG, "classes[%u]: expected a name, found an empty text", i);
        for (unsigned q = 0; q < top->classes[i].n_queries; q++)
            if (top->classes[i].queries[q][0] == '\0')
                return ws_fail(err, WS_E_CONFIG, "classes[%u].queries[%u]: expected search words, found an empty text",
                               i, q);
        for (unsigned j = 0; j < i; j++)
            if (strcmp(top->classes[i].name, top->classes[j].name) == 0)
                return ws_fail(err, WS_E_CONFIG, "classes[%u] and classes[%u] have the same name \"%s\"", j, i,
                               top->classes[i].name);
    }
    return WS_OK;
}

const struct ws_conf_section ws_top_section = {
    .name = "", WS_CONF_KEYS(struct ws_top_keys, top_keys), .check = check_top};

static const struct ws_conf_key runs_keys[] = {
    {WS_CONF_TEXTS(struct ws_runs_keys, methods), .fallback = "[kd3]", .help = "The runs to make, one folder each:"},
    {WS_CONF_TEXT(struct ws_runs_keys, arch), .fallback = "resnet8",
     .help = "The student; the same names as teacher.arch."},
    {WS_CONF_UINT(struct ws_runs_keys, epochs), .unit = "epochs", .min = 1, .max = 100000, .fallback = "240",
     .help = "Each epoch selects anew."},
    {WS_CONF_TEXT(struct ws_runs_keys, pool), .fallback = "",
     .help = "The images that may be used: a file with one image id (32 hexadecimal digits) a line; \"\" = the whole "
             "store. `score` looks at all of them all the same, `curate` at these."},
    {.name = NULL},
};
const struct ws_conf_section ws_runs_section = {
    .name = "distill", WS_CONF_KEYS(struct ws_runs_keys, runs_keys), .is_part = true};

static const struct ws_conf_key teacher_keys[] = {
    {WS_CONF_TEXT(struct ws_teacher_part, arch), .fallback = "resnet20",
     .help = "The network. resnet18 to resnet50, mobilenetv2 and shufflenetv2 are torchvision's above 64 pixels, and "
             "without "
             "its first reductions up to there; the others are for small pictures. vgg has BN; of wrn-D-K, any depth D "
             "= 6n + 4 and width K will do:"},
    {.name = NULL},
};
const struct ws_conf_section ws_teacher_part = {
    .name = "teacher", WS_CONF_KEYS(struct ws_teacher_part, teacher_keys), .is_part = true};
