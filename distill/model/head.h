/**
 * What stands behind a backbone's last map: the architecture's own classifier, or another head in its place. A head is
 * a row of head.c; a card tells all but the own one.
 */
#ifndef WEBSTILL_DISTILL_MODEL_HEAD_H
#define WEBSTILL_DISTILL_MODEL_HEAD_H

#include "webstill/base/err.h"
#include "webstill/nn/graph.h"

#include <jansson.h>

enum ws_head_kind {
    WS_HEAD_OWN,
    WS_HEAD_PROJECTED, /**< a projector to another network's features, and that network's classifier, frozen */
    WS_N_HEADS,
};

/** A head and its sizes; those that it does not use are zero. */
struct ws_head {
    enum ws_head_kind kind;
    int factor;   /**< projected: the projector's middle has so many times fewer channels than its end */
    int channels; /**< of the features that the classifier reads */
    int pool;     /**< the backbone's map is averaged over windows of this side first; 1 = as it is */
};

/** Nodes of a network that has a head; see struct ws_model. */
struct ws_head_taps {
    int features, pooled, projected, head_pooled, logits;
};

/** Put the head in place of the one that `net`, not yet alive, ends in; *taps are those of the own head before. */
void ws_head_build(const struct ws_head *head, struct ws_net *net, struct ws_head_taps *taps, int n_classes);
/** Freeze what of the head never learns. */
void ws_head_freeze(const struct ws_head *head, struct ws_net *net, int logits);

/** Add a head to a card's JSON, and read it from there. False: out of memory. */
WS_MUST_USE bool ws_head_write(const struct ws_head *head, json_t *card);
/** No head in the card is WS_OK and leaves *head as it was; WS_E_UNSUPPORTED, WS_E_FORMAT. */
WS_MUST_USE enum ws_status ws_head_read(struct ws_head *head, const json_t *card, struct ws_err *err);

#endif
