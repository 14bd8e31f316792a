/* What net.c lends to build.c: appending nodes and parameters. */
#ifndef WEBSTILL_DISTILL_NN_GRAPH_NET_INT_H
#define WEBSTILL_DISTILL_NN_GRAPH_NET_INT_H

#include "webstill/nn/graph.h"

/** Append a node that has its inputs (-1: none), the first one's shape and a name; returns its id, or 0 with net->err
 * set. */
int ws_net_add_node(struct ws_net *net, enum ws_op op, const char *name, int a, int b);

/** Append a parameter "<node's name>.<suffix>" to the newest node; see struct ws_param for the inner sizes. */
void ws_net_add_param(struct ws_net *net, int node_id, const char *suffix, int rank, const int *shape,
                      int inner_channels, int inner_window, bool is_buffer);

/**
 * Append a node of another network with all its attributes and parameters, under their names; `map[old]` is where each
 * of its inputs' values is found here. Returns the new id, or 0 with net->err set. Values are not copied.
 */
int ws_net_copy_node(struct ws_net *net, const struct ws_net *from, int id, const int *map);

#endif
