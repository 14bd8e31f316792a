/** A round of the crawl, without its lock and its manifest's place: those are the stage's. */
#ifndef WEBSTILL_CRAWLER_ROUND_H
#define WEBSTILL_CRAWLER_ROUND_H

#include "webstill/stage/cli.h"
#include "webstill/stage/manifest.h"

/** What went before. */
struct ws_round {
    bool is_published; /**< a round has ended under this very configuration */
    bool is_further;   /**< a round has ended, under whatever configuration: its failures get another chance */
};

/** Did the round that wrote this manifest bring all that can be had? False: another one tries again. */
bool ws_round_had_all(const json_t *manifest, const struct ws_config *config);

/** Print the searches and walks that a round would begin with; asks nobody. */
WS_MUST_USE enum ws_status ws_round_plan(const struct ws_run *run, struct ws_err *err);

/**
 * Crawl until nothing is left, a limit is reached or a signal comes; then close the books and tell `manifest` what
 * there is. WS_E_PARTIAL when more failed than may: the books are closed all the same. *is_closed says whether they
 * are, and the manifest is whole.
 */
WS_MUST_USE enum ws_status ws_round_run(const struct ws_run *run, const struct ws_round *round,
                                        struct ws_manifest *manifest, bool *is_closed, struct ws_err *err);

#endif
