/** The texts of --help. */
#include "cli_int.h"

#include <string.h>

static const char exit_codes[] =
    "Exit codes:\n"
    "  0 complete  1 internal error, memory, or training left the numbers  2 usage or configuration  3 disk\n"
    "  4 network down  5 input format  6 partial: above the configured failure share  11 stopped by a signal\n"
    "  12 budget reached  13 another process holds the working directory  14 damaged store\n";

void ws_cli_help_program(const char *program, const struct ws_command *commands, FILE *out)
{
    fprintf(out, "Usage: %s COMMAND …\n\nCommands:\n", program);
    for (; commands->name; commands++)
        fprintf(out, "  %-10s %s\n", commands->name, commands->summary);
    fprintf(out, "\n`%s COMMAND --help` tells more, `%s --version` the versions.\n", program, program);
}

static void print_option(const struct ws_option *option, const char *dashes, FILE *out)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s", dashes, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    fprintf(out, "  %-20s %s\n", left, option->help);
}

void ws_cli_help_command(const struct ws_command *command, FILE *out)
{
    fprintf(out, "Usage: webstill %s %s\n\n%s\n", command->name, command->usage ? command->usage : "",
            command->summary);
    if (command->details)
        fprintf(out, "\n%s\n", command->details);
    if (command->options && command->options->name)
        fprintf(out, "\nOptions:\n");
    for (const struct ws_option *own = command->options; own && own->name; own++)
        print_option(own, "--", out);
    fprintf(out, "\nCommon options:\n");
    for (const struct ws_cli_common *common = ws_cli_common; common->option.name; common++)
        if (command->needs_config || !common->needs_config)
            print_option(&common->option, common->id == WS_CLI_OVERRIDE ? "-" : "--", out);
    fprintf(out, "\n%s", exit_codes);
}
