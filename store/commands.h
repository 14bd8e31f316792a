/** The commands of webstill-store; main.c lists them in its table. */
#ifndef WEBSTILL_STORE_COMMANDS_H
#define WEBSTILL_STORE_COMMANDS_H

#include "webstill/stage/cli.h"

/** `webstill store CONFIG`: WARC files to the image store. */
enum ws_status ws_store_command(const struct ws_run *run, struct ws_err *err);

/** Names and versions of the libraries behind the store's programs, for --version and manifests. */
void ws_store_libraries(char *text, size_t size_bytes);

/** `webstill report CONFIG`: one HTML file from manifests, metrics and data of all stages. */
enum ws_status ws_report_command(const struct ws_run *run, struct ws_err *err);

/** `webstill status CONFIG [--json]`: one line a stage: done, missing, stale or running. */
enum ws_status ws_status_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_status_options[];

/** `webstill inspect PATH`: says what a file or folder of ours is. */
enum ws_status ws_inspect_command(const struct ws_run *run, struct ws_err *err);

/** `webstill verify CONFIG`: checks every digest; WS_E_DAMAGED when one does not fit. */
enum ws_status ws_verify_command(const struct ws_run *run, struct ws_err *err);

/** `webstill explain CONFIG ID|URL [--json]`: a picture's whole story. */
enum ws_status ws_explain_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_explain_options[];

#endif
