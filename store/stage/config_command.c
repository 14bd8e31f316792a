/** `webstill config`: what a run really uses, for people and for make. */
#include "webstill/base/path.h"
#include "webstill/stage/cli.h"

#include "webstill/base/file.h"
#include "webstill/stage/rules.h"
#include "webstill/stage/table.h"

#include <stdbool.h>
#include <stdio.h>

const struct ws_option ws_config_options[] = {
    {"section", "NAME", "print one section only (\"crawl\", \"classes\", …); all by default"},
    {"write", "DIR", "write DIR/STAGE.yaml for each stage, and their rules for make, leaving unchanged files alone"},
    {"reference", NULL, "print every key with its default, sentence, unit and range instead"},
    {"own", NULL, "print what this program alone knows of (the other programs ask it that)"},
    {NULL, NULL, NULL},
};

static enum ws_status write_file(const struct ws_run *run, const char *folder, const char *name, const char *suffix,
                                 const struct ws_buf *text, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    const enum ws_status status = ws_path_join(path, folder, err, "%s.%s", name, suffix);
    if (status != WS_OK) {
        ws_err_note(err, "--write");
        return status;
    }
    if (!run->dry_run)
        return ws_file_replace_if_changed(path, text->ptr, text->len, err);
    printf("%s\n", path);
    return WS_OK;
}

static enum ws_status write_stages(const struct ws_run *run, const char *folder, struct ws_err *err)
{
    struct ws_buf text = {0};
    enum ws_status status = WS_OK;
    for (const struct ws_stage *stage = ws_stage_table; status == WS_OK && stage->name; stage++) {
        ws_buf_clear(&text);
        status = ws_config_part(run->config, stage, NULL, &text, err);
        if (status == WS_OK)
            status = write_file(run, folder, stage->name, "yaml", &text, err);
    }
    ws_buf_clear(&text);
    if (status == WS_OK)
        status = ws_stage_rules(run->config, &text, err);
    if (status == WS_OK)
        status = write_file(run, folder, "stages", "mk", &text, err);
    ws_buf_fini(&text);
    return status;
}

enum ws_status ws_config_command(const struct ws_run *run, struct ws_err *err)
{
    const char *folder = ws_run_option(run, "write", NULL);
    struct ws_buf text = {0};
    enum ws_status status;
    const bool is_own = ws_run_option(run, "own", NULL), is_reference = ws_run_option(run, "reference", NULL);
    if (folder && !is_reference)
        return write_stages(run, folder, err);
    if (is_own)
        status = is_reference ? ws_config_print_own_reference(run->config, &text, err)
                              : ws_config_print_own(run->config, &text, err);
    else if (is_reference)
        status = ws_config_print_reference(run->config, &text, err);
    else
        status = ws_config_print(run->config, ws_run_option(run, "section", NULL), &text, err);
    if (status == WS_OK && fwrite(text.ptr ? text.ptr : "", 1, text.len, stdout) != text.len)
        status = ws_fail_errno(err, "standard output");
    ws_buf_fini(&text);
    return status;
}
