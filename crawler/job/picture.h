/** What becomes of a picture's URL: asked for, tried again, redirected, kept, or not kept for a reason. */
#ifndef WEBSTILL_CRAWLER_JOB_PICTURE_H
#define WEBSTILL_CRAWLER_JOB_PICTURE_H

#include "crawl.h"

extern const struct ws_errand_ops ws_picture_errand;

/** Queue all pictures again whose failure another try may mend. */
WS_MUST_USE enum ws_status ws_picture_retry_failed(struct ws_crawl *crawl, struct ws_err *err);

#endif
