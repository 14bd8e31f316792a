#ifndef WEBSTILL_DISTILL_NN_OP_WINDOW_H
#define WEBSTILL_DISTILL_NN_OP_WINDOW_H

#include "webstill/nn/graph.h"

/** Give a node, which has its input's height and width, those of its output. False, and net->err is set: no window
 * fits. */
bool ws_net_set_window(struct ws_net *net, int id, const struct ws_window *w, bool ceil_mode);

#endif
