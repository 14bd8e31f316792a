/** The command of webstill-crawl. */
#ifndef WEBSTILL_CRAWLER_COMMANDS_H
#define WEBSTILL_CRAWLER_COMMANDS_H

#include "webstill/stage/cli.h"

/** `webstill crawl CONFIG`: class names to WARC files. */
enum ws_status ws_crawl_command(const struct ws_run *run, struct ws_err *err);

/** Names and versions of the libraries behind the crawler, for --version and manifests. */
void ws_crawl_libraries(char *text, size_t size_bytes);

#endif
