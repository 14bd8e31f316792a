/** The table of stages. */
#include "webstill/stage/table.h"

#include <string.h>

/** Without a place to crawl, the store is made of the WARC files under store.warc alone. */
static bool has_no_source(const struct ws_config *config)
{
    return config->crawl.n_sources == 0;
}

#define POOL "From the web to a pool of images"
#define STUDENT "From a teacher to a student"
#define LOOK "Look into it"

/*
 * Sections: only what changes a stage's output. `threads` never does, and what an earlier stage depends on reaches a
 * later one through the digest of its input. The Makefile reads the names off this file, one a line.
 */
const struct ws_stage ws_stage_table[] = {
    {
        .name = "crawl",
        .program = "crawl",
        .folder = "crawl",
        .part = POOL,
        .summary = "fetch what the web shows for the class names, into WARC files",
        .sections = {"classes", "crawl"},
        .is_idle = has_no_source,
    },
    {
        .name = "store",
        .program = "store",
        .folder = "store",
        .part = POOL,
        .summary = "decode WARC files into the image store",
        .sections = {"classes", "store"},
        .inputs = {"crawl"},
    },
    {
        .name = "teacher",
        .program = "distill",
        .folder = "teacher",
        .part = STUDENT,
        .summary = "train the teacher, or import one",
        .sections = {"seed", "teacher"},
    },
    {
        .name = "score",
        .program = "distill",
        .folder = "scores",
        .part = STUDENT,
        .summary = "write a network's predictions for every stored image",
        .sections = {"score"},
        .inputs = {"teacher", "store"},
    },
    {
        .name = "curate",
        .program = "curate",
        .folder = "selection",
        .part = STUDENT,
        .summary = "select images by the predictions of teacher and student",
        .sections = {"curate", "distill"},
        .inputs = {"score", "store"},
    },
    {
        .name = "distill",
        .program = "distill",
        .folder = "runs",
        .part = STUDENT,
        .summary = "train the students without the teacher's own data",
        .sections = {"classes", "seed", "curate", "distill"},
        .inputs = {"teacher", "store"},
        .has_runs = true,
    },
    {
        .name = "eval",
        .program = "distill",
        .folder = "eval",
        .part = STUDENT,
        .summary = "measure teacher and students on the clean test set",
        .sections = {"eval"},
        .inputs = {"teacher", "distill"},
    },
    {
        .name = "export",
        .program = "distill",
        .folder = "export",
        .part = STUDENT,
        .summary = "write a student as ONNX",
        .sections = {"export"},
        .inputs = {"distill"},
    },
    {
        .name = "report",
        .program = "store",
        .folder = "report",
        .part = LOOK,
        .summary = "write report/index.html from the manifests",
        .sections = {"report"},
        .inputs = {"eval", "export", "curate"},
    },
    {.name = NULL},
};

const struct ws_stage *ws_stage_find(const char *name)
{
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++)
        if (strcmp(stage->name, name) == 0)
            return stage;
    return NULL;
}

/** Where the last "/FOLDER/" in `path` begins, or NULL. */
static const char *find_folder(const char *path, const char *folder)
{
    const size_t len = strlen(folder);
    const char *last = NULL;
    for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/'))
        if (strncmp(at + 1, folder, len) == 0 && at[1 + len] == '/')
            last = at;
    return last;
}

const struct ws_stage *ws_stage_of_path(const char *path)
{
    const struct ws_stage *innermost = NULL;
    const char *last = path; /* the working directory may itself lie below "store" */
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        const char *at = find_folder(path, stage->folder);
        if (at && at >= last) {
            last = at;
            innermost = stage;
        }
    }
    return innermost;
}

static bool add_rule(const struct ws_stage *stage, const struct ws_config *config, struct ws_buf *out)
{
    bool is_whole = ws_buf_addf(out, "\n%s: $(WORK)/%s/manifest.json\n$(WORK)/%s/manifest.json:", stage->name,
                                stage->folder, stage->folder);
    for (size_t i = 0; stage->inputs[i]; i++) {
        const struct ws_stage *input = ws_stage_find(stage->inputs[i]);
        if (!input->is_idle || !input->is_idle(config))
            is_whole = is_whole && ws_buf_addf(out, " $(WORK)/%s/manifest.json", input->folder);
    }
    return is_whole &&
           ws_buf_addf(out, " $(WORK)/config/%s.yaml | all\n\t$(call stage,%s)\n", stage->name, stage->name);
}

bool ws_stage_rules(const struct ws_config *config, struct ws_buf *out)
{
    bool is_whole = ws_buf_addf(out, "# What each stage is made from: written by `webstill config --write`.\n");
    for (const struct ws_stage *stage = ws_stage_table; is_whole && stage->name; stage++)
        is_whole = add_rule(stage, config, out);
    return is_whole;
}
