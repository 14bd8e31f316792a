/** webstill-store: the commands that need nothing but the disk. */
#include "commands.h"
#include "report/keys.h"

#include "webstill/picture/keys.h"

#include <stddef.h>

static const struct ws_command commands[] = {
    {
        .name = "store",
        .summary = "WARC files to images: decode, resize, keep once with their origins",
        .usage = "CONFIG [options]",
        .details =
            "Reads WORK/crawl/*.warc.gz (the finished shards that the crawl's manifest names) and the files and\n"
            "folders of store.warc: anyone's WARC, gzip or plain. Each answer 200 whose first bytes are those of a\n"
            "JPEG, PNG or WebP is decoded in a sandbox, brought to store.size and kept once in WORK/store (LMDB).\n"
            "What is refused is counted under a reason; `webstill explain CONFIG URL` tells it.\n\n"
            "Can be stopped at any instant and run again. A changed section `store` or list of classes makes the\n"
            "store anew. --limit N stops at N stored images.\n\n"
            "Example: webstill store configs/web-fashion.yaml -o 'store.warc=[other/crawl]'",
        .needs_config = true,
        .run = ws_store_command,
    },
    {
        .name = "status",
        .summary = "a line a stage: done, missing, stale or running",
        .usage = "CONFIG [--json]",
        .details = "Looks at the manifests of WORK and reads no data.",
        .needs_config = true,
        .options = ws_status_options,
        .run = ws_status_command,
    },
    {
        .name = "inspect",
        .summary = "what a file or folder of ours is",
        .usage = "PATH",
        .details = "Takes a safetensors file, a manifest, a WARC file, an image store or a crawl's frontier.",
        .min_args = 1,
        .max_args = 1,
        .run = ws_inspect_command,
    },
    {
        .name = "verify",
        .summary = "check every digest and checksum",
        .usage = "CONFIG",
        .details = "Reads everything in WORK that carries a digest. Ends with exit code 14 when something is damaged.",
        .needs_config = true,
        .run = ws_verify_command,
    },
    {
        .name = "explain",
        .summary = "a picture's whole story",
        .usage = "CONFIG ID|URL [--json]",
        .details = "Takes an image id (32 hexadecimal digits, or the first few) or the URL it was seen under.",
        .needs_config = true,
        .min_args = 1,
        .max_args = 1,
        .options = ws_explain_options,
        .run = ws_explain_command,
    },
    {
        .name = "report",
        .summary = "one HTML page about everything: WORK/report/index.html",
        .usage = "CONFIG [options]",
        .details =
            "Made from the manifests, metrics, evaluations and selections of all stages and from the image store; a\n"
            "stage that has not been run is named where its part would stand. The page loads nothing from "
            "elsewhere.\n\n"
            "Example: webstill report configs/web-fashion.yaml -o report.contact=120",
        .needs_config = true,
        .run = ws_report_command,
    },
    WS_CONFIG_COMMAND,
    {.name = NULL},
};

static const struct ws_conf_section *const sections[] = {&ws_top_section,  &ws_store_section,  &ws_teacher_part,
                                                         &ws_runs_section, &ws_report_section, NULL};
static const struct ws_program program = {.name = "store", .sections = sections};

int main(int argc, char **argv)
{
    char libraries[256];
    ws_store_libraries(libraries, sizeof libraries);
    return ws_cli_main(&program, libraries, commands, argc, argv);
}
