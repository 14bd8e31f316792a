/** Reading a card, for network.c and onnx.c. */
#ifndef WEBSTILL_DISTILL_MODEL_CARD_INT_H
#define WEBSTILL_DISTILL_MODEL_CARD_INT_H

#include "network.h"

#include <jansson.h>

/** Read a card's JSON text (NULL: none) over `fallback` (NULL: none); what neither tells is WS_E_FORMAT. */
WS_MUST_USE enum ws_status ws_card_read(struct ws_card *card, const char *text, const struct ws_card *fallback,
                                        struct ws_err *err);

#endif
