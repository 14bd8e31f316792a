/**
 * The list of methods: a method is its file and its line here. NAME stands for its row, ws_method_NAME; the word that
 * the configuration knows it by is in the row.
 */
#ifndef WEBSTILL_DISTILL_METHOD_LIST_H
#define WEBSTILL_DISTILL_METHOD_LIST_H

/* clang-format off */
#define WS_METHODS(METHOD) \
    METHOD(kd3)            \
    METHOD(kd3_plus)       \
    METHOD(simkd)          \
    METHOD(kd)             \
    METHOD(fitnet)         \
    METHOD(dfnd)           \
    METHOD(noise)          \
    METHOD(ce)
/* clang-format on */

#endif
