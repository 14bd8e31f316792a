/** The rules of make, from the table of stages. */
#include "webstill/stage/rules.h"

#include "webstill/stage/table.h"

#include <string.h>

static enum ws_status find_idle(const struct ws_config *config, const struct ws_stage *stage, bool *is_idle,
                                struct ws_err *err)
{
    struct ws_buf text = {0};
    *is_idle = false;
    enum ws_status status = stage->idle ? ws_config_part(config, stage, NULL, &text, err) : WS_OK;
    if (status == WS_OK && stage->idle)
        *is_idle = text.ptr && strstr(text.ptr, stage->idle);
    ws_buf_fini(&text);
    return status;
}

static enum ws_status add_rule(const struct ws_stage *stage, const struct ws_config *config, struct ws_buf *out,
                               struct ws_err *err)
{
    bool is_whole = ws_buf_addf(out, "\n%s: $(WORK)/%s/manifest.json\n$(WORK)/%s/manifest.json:", stage->name,
                                stage->folder, stage->folder);
    for (size_t i = 0; stage->inputs[i]; i++) {
        const struct ws_stage *input = ws_stage_find(stage->inputs[i]);
        bool is_idle;
        const enum ws_status status = find_idle(config, input, &is_idle, err);
        if (status != WS_OK)
            return status;
        if (!is_idle)
            is_whole = is_whole && ws_buf_addf(out, " $(WORK)/%s/manifest.json", input->folder);
    }
    is_whole =
        is_whole && ws_buf_addf(out, " $(WORK)/config/%s.yaml | all\n\t$(call stage,%s)\n", stage->name, stage->name);
    return is_whole ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the rules of the stages");
}

enum ws_status ws_stage_rules(const struct ws_config *config, struct ws_buf *out, struct ws_err *err)
{
    enum ws_status status = ws_buf_addf(out, "# What each stage is made from: written by `webstill config --write`.\n")
                                ? WS_OK
                                : ws_fail(err, WS_E_MEMORY, "out of memory for the rules of the stages");
    for (const struct ws_stage *stage = ws_stage_table; status == WS_OK && stage->name; stage++)
        status = add_rule(stage, config, out, err);
    return status;
}
