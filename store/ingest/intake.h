/** What a run of the stage reads: the WARC files of the crawl and of others; and whether the store on disk is of them.
 */
#ifndef WEBSTILL_STORE_INGEST_INTAKE_H
#define WEBSTILL_STORE_INGEST_INTAKE_H

#include "walk.h"

#include "webstill/stage/cli.h"

/** All-zero but for `run` is valid. */
struct ws_intake {
    const struct ws_run *run;       /**< borrowed */
    const char *dir;                /**< borrowed from the job: work/X/store */
    struct ws_ingest_input *inputs; /**< owned */
    size_t n_inputs;
};

/**
 * List the finished shards of the crawl's manifest and the files and folders of store.warc, each once. Without any it
 * is WS_E_FORMAT; WS_E_IO for what store.warc names and is not there.
 */
WS_MUST_USE enum ws_status ws_intake_collect(struct ws_intake *intake, struct ws_err *err);
void ws_intake_fini(struct ws_intake *intake);

/** Open the store on disk, or make it anew when it belongs to another configuration or other inputs. */
WS_MUST_USE enum ws_status ws_intake_open_store(const struct ws_intake *intake, struct ws_tables **db,
                                                struct ws_err *err);

#endif
