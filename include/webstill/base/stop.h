/** SIGINT and SIGTERM: the first asks for an orderly stop (exit 11), the second ends the process at once. */
#ifndef WEBSTILL_BASE_STOP_H
#define WEBSTILL_BASE_STOP_H

#include <stdbool.h>

/** Install the handlers; SIGPIPE is ignored. Call once in main. */
void ws_stop_install(void);
/** True once a stop was asked for. Long loops ask between units of work and return WS_E_STOPPED. */
bool ws_stop_asked(void);

#endif
