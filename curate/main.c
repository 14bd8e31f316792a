/* webstill-curate: which images are worth learning from. */
#include "commands.h"

#include "webstill/curate/keys.h"

static const struct ws_command commands[] = {
    {.name = "curate",
     .summary = "apply the selection rule to the stored predictions",
     .usage = "CONFIG [options]",
     .details =
         "Reads scores/teacher.safetensors and, with --student, a student's scores. Writes\n"
         "selection/epoch.safetensors (ids, keep, confidence, predicted, thresholds, counts, reasons, weights) and\n"
         "prints a table; compares with the selection that was there before, which it keeps in selection/previous/.\n"
         "Without a student the teacher decides alone; with one, curate.epoch sets the teacher's weight. Training "
         "with\n"
         "method kd3 selects anew each epoch by itself, with the same code.\n\n"
         "--explain prints a line for each image: confidence, its class's threshold, its rank in the class, kept or\n"
         "dropped and by which rule (threshold, source, density, quota), its weight.\n\n"
         "Example: webstill curate configs/web-fashion.yaml --student work/web-fashion/scores/kd3.safetensors\n"
         "Example: webstill curate configs/web-fashion.yaml --explain Bag",
     .needs_config = true,
     .options = ws_curate_options,
     .run = ws_curate_command},
    WS_CONFIG_COMMAND,
    {.name = NULL},
};

static const struct ws_conf_section *const sections[] = {&ws_top_section, &ws_curate_section, &ws_runs_section, NULL};
static const struct ws_program program = {.name = "curate", .sections = sections};

int main(int argc, char **argv)
{
    return ws_cli_main(&program, ws_curate_libraries(), commands, argc, argv);
}
