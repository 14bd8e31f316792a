/** How a picture's URL enters the frontier, and how each way it was found reaches the archive. */
#ifndef WEBSTILL_CRAWLER_JOB_ADMIT_H
#define WEBSTILL_CRAWLER_JOB_ADMIT_H

#include "crawl.h"

/** Take a picture into the frontier, or add the sighting to a known one. WS_DONE when the same sighting was known. */
WS_MUST_USE enum ws_status ws_admit(struct ws_crawl *crawl, const struct ws_sighting *sighting, struct ws_err *err);
/**
 * Hand all sightings of a redirected picture on to `target`, with `entry->url` added to their `via` chains. WS_DONE
 * when none could be handed on (a loop, too many hops).
 */
WS_MUST_USE enum ws_status ws_admit_forward(struct ws_crawl *crawl, const struct ws_image_id *key,
                                            struct ws_url_entry *entry, const struct ws_url *target,
                                            struct ws_err *err);
/** Write the metadata records of all sightings of a kept picture that have none yet. */
WS_MUST_USE enum ws_status ws_admit_write(struct ws_crawl *crawl, const struct ws_image_id *key,
                                          const struct ws_url_entry *entry, struct ws_err *err);

#endif
