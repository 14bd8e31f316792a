/** What the crawl's files share: the run, its jobs, and who calls whom. */
#ifndef WEBSTILL_CRAWLER_TURN_CRAWL_H
#define WEBSTILL_CRAWLER_TURN_CRAWL_H

#include "books/archive.h"
#include "books/frontier.h"
#include "host.h"
#include "net/fetch.h"
#include "net/robots.h"

#include "keys.h"
#include "webstill/base/log.h"
#include "webstill/stage/cli.h"

#include <stdbool.h>
#include <stdint.h>

struct ws_task;
struct ws_source_ops;

enum { WS_CRAWL_MAX_RETRY_AFTER_S = 600 /**< a server that asks for more is left alone for this run */ };

/** The robots.txt decision that a request was made under; it goes into the picture's provenance. */
struct ws_permission {
    struct ws_robots_decision decision;
    char sha256[WS_DIGEST_HEX];
    char fetched[24];
};

enum ws_job_kind { WS_JOB_ROBOTS, WS_JOB_IMAGE, WS_JOB_TASK };

/** A transfer in flight and what it is for. */
struct ws_job {
    enum ws_job_kind kind;
    bool is_busy;
    struct ws_host *host; /**< borrowed: whose queue the item came from */
    struct ws_item item;
    struct ws_permission permission;
};

/** What the run has seen so far; the frontier itself is counted at the end (job/outcome.c). */
struct ws_tally {
    int64_t n_images; /**< kept, in all runs */
    int64_t n_known;  /**< picture URLs that are not redirects */
    int64_t n_failed;
    int64_t n_answers;  /**< HTTP answers of any kind, in this run */
    int64_t n_silences; /**< transfers without any, in this run */
    int64_t n_lost;     /**< of these, of hosts that have answered before */
    int64_t n_images_in_flight;
    char silent_host[WS_ORIGIN_MAX]; /**< first host that did not answer, and what curl said */
    char silent_detail[256];
};

struct ws_crawl {
    const struct ws_config *config;   /**< borrowed */
    const struct ws_crawl_keys *conf; /**< borrowed: section `crawl` */
    int64_t limit;                    /**< pictures to keep in all; 0 = no limit */
    bool is_published;                /**< an earlier run ended under this configuration: its manifest stands */
    char token[WS_ROBOTS_TOKEN_MAX];
    struct ws_frontier *frontier; /**< owned */
    struct ws_fetcher *fetcher;   /**< owned */
    struct ws_archive archive;    /**< owned */
    struct ws_hosts hosts;        /**< owned */
    struct ws_task *tasks;        /**< owned: all searches and walks, in order of sources, classes, queries */
    size_t n_tasks;
    struct ws_job *jobs; /**< owned: one for each transfer that may be in flight */
    struct ws_tally tally;
    struct ws_progress progress;
    unsigned n_since_commit;
    double last_commit_s;
};

/* --- loop.c: the loop --- */

/** Crawl until nothing is left to do, or `limit` is reached. WS_E_STOPPED when a signal came; what was done is kept. */
WS_MUST_USE enum ws_status ws_crawl_run(struct ws_crawl *crawl, struct ws_err *err);
/** Something was queued for this origin, to be asked for no earlier than `due_ms` (Unix time): see that its turn comes.
 */
WS_MUST_USE enum ws_status ws_crawl_wake(struct ws_crawl *crawl, const char *origin, int64_t due_ms,
                                         struct ws_err *err);
/** Queue an item at the origin of `url` and wake it. */
WS_MUST_USE enum ws_status ws_crawl_queue(struct ws_crawl *crawl, const struct ws_url *url, enum ws_item_kind kind,
                                          const struct ws_image_id *id, int64_t due_ms, struct ws_err *err);
/** Start a transfer for a job of `host`. */
WS_MUST_USE enum ws_status ws_crawl_start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_job *job,
                                          const struct ws_request *request, struct ws_err *err);
/** True when no further picture may be asked for. */
bool ws_crawl_has_reached_limit(const struct ws_crawl *crawl);
/** The Unix time of the next try after `n_tries` failed ones: doubling waits with jitter, or what the server asked for.
 */
int64_t ws_crawl_retry_ms(const struct ws_crawl *crawl, const struct ws_image_id *id, unsigned n_tries,
                          int64_t retry_after_s);
int64_t ws_crawl_now_ms(void);

/* --- job/rules.c: robots.txt --- */

/** Make sure that the host's robots.txt is known: opens the host from the cache, or starts to fetch it. */
WS_MUST_USE enum ws_status ws_gate_ask(struct ws_crawl *crawl, struct ws_host *host, struct ws_err *err);
/** robots.txt has come, or has not; a redirect waits for the host's next turn. */
WS_MUST_USE enum ws_status ws_gate_conclude(struct ws_crawl *crawl, struct ws_job *job,
                                            const struct ws_response *response, struct ws_err *err);
/** May we ask for this URL? `permission` is filled in either way. */
WS_MUST_USE enum ws_status ws_gate_decide(struct ws_crawl *crawl, const struct ws_host *host, const struct ws_url *url,
                                          struct ws_permission *permission, struct ws_err *err);

/* --- job/picture.c: what becomes of a picture's URL --- */

/** Start the transfer, or conclude at once when robots.txt forbids it (`*is_started` is then false). */
WS_MUST_USE enum ws_status ws_picture_start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                                            bool *is_started, struct ws_err *err);
WS_MUST_USE enum ws_status ws_picture_conclude(struct ws_crawl *crawl, struct ws_job *job,
                                               const struct ws_response *response, struct ws_err *err);
/** Queue all pictures again whose failure another try may mend. */
WS_MUST_USE enum ws_status ws_picture_retry_failed(struct ws_crawl *crawl, struct ws_err *err);

/* --- job/admit.c: where pictures are found --- */

/** A picture as a source found it; NULL texts are unknown. */
struct ws_sighting {
    const struct ws_url *url;
    const char *page, *alt, *title, *query, *class_name, *source;
    const char *licence, *licence_url, *author, *attribution;
};
/** Take a picture into the frontier, or add the sighting to a known one. WS_DONE when the same sighting was known. */
WS_MUST_USE enum ws_status ws_admit(struct ws_crawl *crawl, const struct ws_sighting *sighting, struct ws_err *err);
/** True when the file name tells a format that the store cannot decode (svg, gif, …): not worth a request. */
bool ws_admit_is_unsupported(const struct ws_url *url);
/**
 * Hand all sightings of a redirected picture on to `target`, with `entry->url` added to their `via` chains. WS_DONE
 * with the reason in `entry->detail` when none could be handed on (a loop, too many hops).
 */
WS_MUST_USE enum ws_status ws_admit_forward(struct ws_crawl *crawl, const struct ws_image_id *key,
                                            struct ws_url_entry *entry, const struct ws_url *target,
                                            struct ws_err *err);
/** Write the metadata records of all sightings of a kept picture that have none yet. */
WS_MUST_USE enum ws_status ws_admit_write(struct ws_crawl *crawl, const struct ws_image_id *key,
                                          const struct ws_url_entry *entry, struct ws_err *err);

#endif
