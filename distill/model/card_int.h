/** What card.c and network.c share. */
#ifndef WEBSTILL_DISTILL_MODEL_CARD_INT_H
#define WEBSTILL_DISTILL_MODEL_CARD_INT_H

#include "network.h"

#include <jansson.h>

/** Read a card's JSON text (NULL: none) over `fallback` (NULL: none); what neither tells is WS_E_FORMAT. */
WS_MUST_USE enum ws_status card_read(struct ws_card *card, const char *text, const struct ws_card *fallback,
                                     struct ws_err *err);

/** onnx.c: the network and the taps of a card of arch "onnx", values zero. */
WS_MUST_USE enum ws_status model_build_graph(struct ws_model *model, struct ws_err *err);

#endif
