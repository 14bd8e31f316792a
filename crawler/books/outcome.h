/** What a crawl has come to, counted from its frontier: the manifest's figures and the verdict. */
#ifndef WEBSTILL_CRAWLER_BOOKS_OUTCOME_H
#define WEBSTILL_CRAWLER_BOOKS_OUTCOME_H

#include "books.h"

#include "webstill/stage/manifest.h"

struct ws_outcome {
    int64_t n_found;                   /**< picture URLs, redirects not counted */
    int64_t states[WS_N_ENTRY_STATES]; /**< by enum ws_entry_state */
    int64_t failures[WS_N_FAILURES];   /**< of the failed ones */
    int64_t n_bytes;                   /**< of kept bodies */
    int64_t *per_class;                /**< owned: [n_classes] kept pictures that a search or page gave the class */
    int64_t *found_per_class;          /**< owned: [n_classes] the same of all picture URLs, redirects not counted */
    /* Of the searches, which ws_search_count() adds (job/search.h): */
    int64_t n_requests, n_pages_skipped, n_searches_failed;
    int64_t n_unsupported;     /**< pictures not asked for: in formats that the store cannot decode */
    int64_t n_pages_opted_out; /**< pages that say their pictures must not be used */
    int64_t n_searches_left;   /**< those whose host could not be asked in this run */
};

/** Count the pictures of the whole frontier. */
WS_MUST_USE enum ws_status ws_outcome_count(struct ws_outcome *outcome, const struct ws_config *config,
                                            struct ws_books *books, struct ws_err *err);
void ws_outcome_fini(struct ws_outcome *outcome);

/** Kept pictures, duplicates included. */
int64_t ws_outcome_n_kept(const struct ws_outcome *outcome);

/**
 * The share that did not come of what was asked for: failed, or left because the host was silent. More than
 * crawl.max_failure_share is a partial crawl.
 */
double ws_outcome_failure_share(int64_t n_kept, int64_t n_failed, int64_t n_left);

/** Put the figures into a manifest; false when out of memory. */
WS_MUST_USE bool ws_outcome_describe(const struct ws_outcome *outcome, const struct ws_config *config,
                                     struct ws_manifest *manifest);

/**
 * Say what deserves a warning (classes without a picture), and judge: WS_E_NETWORK when nothing answered and there is
 * nothing to show or hosts that answered before are gone, WS_E_PARTIAL when a larger share failed than
 * crawl.max_failure_share, else WS_OK.
 *
 * @is_limited    the crawl was to stop at a number of pictures, so what is left was left on purpose
 * @is_published  an earlier run ended under this configuration; that is not taken back because the network is down
 */
WS_MUST_USE enum ws_status ws_outcome_judge(const struct ws_outcome *outcome, const struct ws_config *config,
                                            const struct ws_tally *tally, bool is_limited, bool is_published,
                                            struct ws_err *err);

#endif
