/* webstill-curate: which images are worth learning from. */
#include "commands.h"

static const struct ws_command commands[] = {
    {.name = "curate",
     .summary = "apply the selection rule to the stored predictions",
     .usage = "CONFIG [options]",
     .details =
         "Reads scores/teacher.safetensors and, with --student, a student's scores. Writes\n"
         "selection/epoch.safetensors (ids, keep, confidence, predicted, thresholds, counts) and prints a table.\n"
         "Without a student the teacher decides alone; with one, curate.epoch sets the teacher's weight. Training "
         "with\n"
         "method kd3 selects anew each epoch by itself, with the same code.\n\n"
         "Example: webstill curate configs/web-fashion.yaml --student work/web-fashion/scores/kd3.safetensors",
     .needs_config = true,
     .options = ws_curate_options,
     .run = ws_curate_command},
    {.name = NULL},
};

int main(int argc, char **argv)
{
    return ws_cli_main("webstill-curate", ws_curate_libraries(), commands, argc, argv);
}
