/** A picture's whole story, gathered from every stage's files as one JSON object. */
#ifndef WEBSTILL_STORE_LOOK_STORY_H
#define WEBSTILL_STORE_LOOK_STORY_H

#include "webstill/base/hash.h"
#include "webstill/images/read.h"
#include "webstill/stage/config.h"

#include <jansson.h>

/** Where a story is gathered from. */
struct ws_story_place {
    const struct ws_config *config; /**< borrowed */
    const char *work;               /**< borrowed */
    const struct ws_images *images; /**< borrowed */
};

/**
 * Tell image `i`'s story: id, stored facts, origins, teacher's best guesses, fate in each epoch of each run, students.
 * A stage that has not been run leaves its member out. WS_E_DAMAGED, WS_E_IO, WS_E_MEMORY. json_decref() the result.
 */
WS_MUST_USE enum ws_status ws_story_tell(const struct ws_story_place *place, size_t i, json_t **out,
                                         struct ws_err *err);

/** The line of crawl/failures.jsonl about a URL, or NULL. json_decref() it. */
json_t *ws_story_find_failure(const char *work, const char *url);

/** Print a story for people. */
void ws_story_print(const json_t *story);

#endif
