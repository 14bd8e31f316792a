/* webstill-distill: everything with a network in it. */
#include "commands.h"
#include "keys/distill.h"
#include "keys/teacher.h"
#include "method/methods.h"
#include "stage/machine.h"

#include "webstill/curate/keys.h"
#include "webstill/nn/blas.h"
#include "webstill/nn/zoo.h"
#include "webstill/picture/keys.h"

static const struct ws_command commands[] = {
    {.name = "teacher",
     .summary = "train the teacher on labelled images, or import one",
     .usage = "CONFIG [options]",
     .details =
         "Reads the labelled set of section `teacher` (IDX files, or one folder a class), or imports a .safetensors\n"
         "file. Writes teacher/teacher.safetensors with its card, metrics.jsonl, checkpoint.safetensors and\n"
         "manifest.json. --limit N ends after N steps with exit code 12 and goes on next time.\n\n"
         "Example: webstill teacher configs/web-fashion.yaml",
     .needs_config = true,
     .options = ws_teacher_options,
     .run = ws_teacher_command},
    {.name = "score",
     .summary = "predict every image of the store with one model",
     .usage = "CONFIG [options]",
     .details =
         "Reads store/ and teacher/ (or --model). Writes scores/teacher.safetensors (or scores/NAME.safetensors):\n"
         "ids U8 [n,16] and logits F32 [n,classes], in id order.\n\n"
         "Example: webstill score configs/web-fashion.yaml --model work/web-fashion/runs/kd3/student.safetensors",
     .needs_config = true,
     .options = ws_score_options,
     .run = ws_score_command},
    {.name = "distill",
     .summary = "train the students from the store and the teacher",
     .usage = "CONFIG [options]",
     .details =
         "Reads store/ and teacher/. For each method of distill.methods it writes runs/METHOD/: student.safetensors\n"
         "(last epoch), best.safetensors (best agreement with the teacher on held-out web images), metrics.jsonl,\n"
         "selection/epoch-NNN.safetensors, checkpoint.safetensors and manifest.json. Finished runs are left alone.\n"
         "--limit N ends after N steps of a run with exit code 12 and goes on next time.\n\n"
         "Example: webstill distill configs/web-fashion.yaml --method kd3",
     .needs_config = true,
     .options = ws_distill_options,
     .run = ws_distill_command},
    {.name = "eval",
     .summary = "evaluate teacher and students on the clean test set",
     .usage = "CONFIG [options]",
     .details =
         "Reads the test set of section `eval`, which no other stage opens. Writes eval.json and best-eval.json into\n"
         "each run's folder, teacher/eval.json, and prints a table.\n\n"
         "Example: webstill eval configs/web-fashion.yaml",
     .needs_config = true,
     .run = ws_eval_command},
    {.name = "export",
     .summary = "write the students as ONNX",
     .usage = "CONFIG [options]",
     .details = "Writes runs/METHOD/student.onnx: BatchNorm folded (export.fold_bn), normalisation inside "
                "(export.normalise),\n"
                "class names, mean, std and card in the metadata. What was written is read back and compared first.\n\n"
                "Example: webstill export configs/web-fashion.yaml -o export.fold_bn=true -o export.normalise=true",
     .needs_config = true,
     .run = ws_export_command},
    WS_CONFIG_COMMAND,
    {.name = NULL},
};

enum { MAX_SECTIONS = 64, MAX_OWN = 16 };

/** Each method brings its sections, which stand behind `distill`. */
static void list_sections(const struct ws_conf_section *sections[MAX_SECTIONS])
{
    const struct ws_conf_section *const before[] = {&ws_top_section,   &ws_store_section,  &ws_teacher_section,
                                                    &ws_score_section, &ws_curate_section, &ws_distill_section};
    const struct ws_conf_section *const behind[] = {&ws_eval_section, &ws_export_section};
    size_t n = 0;
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        sections[n++] = before[i];
    n += ws_method_sections(sections + n, MAX_SECTIONS - MAX_OWN);
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        sections[n++] = behind[i];
    sections[n] = NULL;
}

static bool get_architecture(size_t i, const char **name, const char **sentence)
{
    *name = ws_zoo_names()[i];
    *sentence = NULL;
    return *name != NULL;
}

static const struct ws_conf_listing listings[] = {
    {"teacher.arch", get_architecture},
    {"distill.methods", ws_method_row},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    char libraries[256];
    const struct ws_conf_section *sections[MAX_SECTIONS];
    const struct ws_program program = {
        .name = "distill", .sections = sections, .listings = listings, .method_reads = ws_method_reads};
    list_sections(sections);
    ws_blas_prepare(argv);
    return ws_cli_main(&program, ws_machine_libraries(libraries), commands, argc, argv);
}
