/** webstill-crawl: class names to WARC files, politely. */
#include "commands.h"

#include <stddef.h>

static const struct ws_command commands[] = {
    {
        .name = "crawl",
        .summary = "class names to WARC files, politely",
        .usage = "CONFIG [options]",
        .details =
            "Asks the search APIs and seed pages of crawl.sources for each class's queries and fetches the pictures "
            "they\n"
            "name into WORK/crawl/*.warc.gz (WARC 1.1). robots.txt comes before anything else; each host gets its\n"
            "delay; opt-outs in answers are obeyed; private addresses are refused unless crawl.allow_addresses names\n"
            "them. WORK/crawl/failures.jsonl tells what was not kept, and why.\n\n"
            "Can be stopped at any instant and run again: it goes on where the frontier's last commit stands. New\n"
            "classes or sources add to what is there. --limit N stops at N pictures; --dry-run prints the plan and\n"
            "asks nobody.\n\n"
            "Example: webstill crawl configs/web-fashion.yaml --limit 100",
        .needs_config = true,
        .run = ws_crawl_command,
    },
    {.name = NULL},
};

int main(int argc, char **argv)
{
    char libraries[512];
    ws_crawl_libraries(libraries, sizeof libraries);
    return ws_cli_main("webstill-crawl", libraries, commands, argc, argv);
}
