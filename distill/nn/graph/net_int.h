/* What net.c lends to the ops' builders: appending nodes and parameters. */
#ifndef WEBSTILL_DISTILL_NN_GRAPH_NET_INT_H
#define WEBSTILL_DISTILL_NN_GRAPH_NET_INT_H

#include "webstill/nn/graph.h"

/** Append a node that has its inputs (-1: none), the first one's shape and a name; returns its id, or 0 with net->err
 * set. */
int ws_net_add_node(struct ws_net *net, enum ws_op op, const char *name, int a, int b);

/** The same with one input, as a pointer that holds until the next node; NULL after a mistake. */
struct ws_node *ws_net_append(struct ws_net *net, enum ws_op op, const char *name, int x, int *id);

static inline void ws_node_set_sides(struct ws_node *node, const int sides[WS_N_SIDES])
{
    node->height = sides[WS_HEIGHT];
    node->width = sides[WS_WIDTH];
    node->channels = sides[WS_CHANNELS];
}

static inline void ws_node_get_sides(const struct ws_node *node, int sides[WS_N_SIDES])
{
    sides[WS_HEIGHT] = node->height;
    sides[WS_WIDTH] = node->width;
    sides[WS_CHANNELS] = node->channels;
}

/** Append a parameter "<node's name>.<suffix>" to the newest node; see struct ws_param for the inner sizes. */
void ws_net_add_param(struct ws_net *net, int node_id, const char *suffix, int rank, const int *shape,
                      int inner_channels, int inner_window, bool is_buffer);

/**
 * Append a node of another network with all its attributes and parameters, under their names; `map[old]` is where each
 * of its inputs' values is found here. Returns the new id, or 0 with net->err set. Values are not copied.
 */
int ws_net_copy_node(struct ws_net *net, const struct ws_net *from, int id, const int *map);

#endif
