/* The table of ops, and the two that nothing is run for. */
#include "graph/row.h"

#define WS_OP_ROW(ID, row, name) extern const struct ws_op_row ws_op_##row;
WS_OPS(WS_OP_ROW)
#undef WS_OP_ROW

const struct ws_op_row ws_op_input = {0}, ws_op_constant = {0};

#define WS_OP_ROW(ID, row, name) &ws_op_##row,
const struct ws_op_row *const ws_op_rows[WS_N_OPS] = {WS_OPS(WS_OP_ROW)};
#undef WS_OP_ROW

int64_t ws_net_count_macs(const struct ws_net *net)
{
    int64_t n = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const struct ws_op_row *row = ws_op_rows[net->nodes[i].op];
        n += row->macs ? row->macs(net, &net->nodes[i]) : 0;
    }
    return n;
}
