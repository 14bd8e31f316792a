/** The keys of an optimiser and its rate, which stand in the section of whoever trains: teacher and student. */
#ifndef WEBSTILL_DISTILL_KEYS_OPTIM_H
#define WEBSTILL_DISTILL_KEYS_OPTIM_H

#include "webstill/conf/section.h"
#include "webstill/nn/optim.h"

enum ws_schedule { WS_SCHEDULE_ONECYCLE, WS_SCHEDULE_COSINE, WS_SCHEDULE_STEP, WS_SCHEDULE_CONSTANT };

struct ws_optim_keys {
    struct ws_optim_options options; /**< key `optimizer`, and what belongs to each */
    double lr;                       /**< peak learning rate */
    enum ws_schedule schedule;
    double warmup;      /**< onecycle: share of the steps that rise */
    double *milestones; /**< step: shares of the epochs after which lr falls by `gamma` */
    unsigned n_milestones;
    double gamma;
};

/** The keys, for WS_CONF_GROUP(). */
extern const struct ws_conf_section ws_optim_group;

/** Milestones have to rise. */
WS_MUST_USE enum ws_status ws_optim_keys_check(const struct ws_optim_keys *optim, const char *section,
                                               struct ws_err *err);

#endif
