/** Parts of `webstill inspect`. */
#ifndef WEBSTILL_STORE_LOOK_INSPECT_H
#define WEBSTILL_STORE_LOOK_INSPECT_H

#include "webstill/base/err.h"

/** Print the databases of an LMDB environment, and for an image store what is in it. WS_E_DAMAGED, WS_E_IO. */
WS_MUST_USE enum ws_status ws_inspect_lmdb(const char *folder, struct ws_err *err);

#endif
