/** The table of stages. */
#include "webstill/stage/table.h"

#include <string.h>

#define POOL "From the web to a pool of images"
#define STUDENT "From a teacher to a student"
#define LOOK "Look into it"

/*
 * What a stage reads: only what changes a stage's output. `threads` never does, and what an earlier stage depends on
 * reaches a later one through the digest of its input. The Makefile reads the names off this file, one a line.
 */
const struct ws_stage ws_stage_table[] = {
    {
        .name = "crawl",
        .program = "crawl",
        .folder = "crawl",
        .part = POOL,
        .summary = "fetch what the web shows for the class names, into WARC files",
        .reads = {"classes", "crawl"},
        .idle = "  sources: []\n", /* the store is then made of the WARC files under store.warc alone */
    },
    {
        .name = "store",
        .program = "store",
        .folder = "store",
        .part = POOL,
        .summary = "decode WARC files into the image store",
        .reads = {"classes", "store"},
        .inputs = {"crawl"},
    },
    {
        .name = "teacher",
        .program = "distill",
        .folder = "teacher",
        .part = STUDENT,
        .summary = "train the teacher, or import one",
        .reads = {"seed", "teacher"},
    },
    {
        .name = "score",
        .program = "distill",
        .folder = "scores",
        .part = STUDENT,
        .summary = "write a network's predictions for every stored image",
        .reads = {"score"},
        .inputs = {"teacher", "store"},
    },
    {
        .name = "curate",
        .program = "curate",
        .folder = "selection",
        .part = STUDENT,
        .summary = "select images by the predictions of teacher and student",
        .reads = {"curate", "distill.epochs", "distill.pool"},
        .inputs = {"score", "store"},
    },
    {
        .name = "distill",
        .program = "distill",
        .folder = "runs",
        .part = STUDENT,
        .summary = "train the students without the teacher's own data",
        /* and what its methods read: struct ws_program */
        .reads = {"classes", "seed", "distill.*", "-distill.checkpoint_s", "-curate.epoch", "-curate.drift_warn"},
        .inputs = {"teacher", "store"},
        .has_runs = true,
    },
    {
        .name = "eval",
        .program = "distill",
        .folder = "eval",
        .part = STUDENT,
        .summary = "measure teacher and students on the clean test set",
        .reads = {"eval"},
        .inputs = {"teacher", "distill"},
    },
    {
        .name = "export",
        .program = "distill",
        .folder = "export",
        .part = STUDENT,
        .summary = "write a student as ONNX",
        .reads = {"export"},
        .inputs = {"distill"},
    },
    {
        .name = "report",
        .program = "store",
        .folder = "report",
        .part = LOOK,
        .summary = "write report/index.html from the manifests",
        .reads = {"report"},
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
