/** The keys of an optimiser. */
#include "keys/optim.h"

static const struct ws_conf_word optimizers[] = {
    {"sgd", WS_OPTIM_SGD},
    {"adam", WS_OPTIM_ADAM},
    {"adamw", WS_OPTIM_ADAMW},
    {NULL, 0},
};
static const struct ws_conf_word schedules[] = {
    {"onecycle", WS_SCHEDULE_ONECYCLE},
    {"cosine", WS_SCHEDULE_COSINE},
    {"step", WS_SCHEDULE_STEP},
    {"constant", WS_SCHEDULE_CONSTANT},
    {NULL, 0},
};

static const struct ws_conf_key optim_keys[] = {
    {WS_CONF_MEMBER("optimizer", WS_CONF_TYPE_WORD, struct ws_optim_keys, options.kind, enum ws_optim_kind),
     .words = optimizers, .fallback = "sgd", .help = "sgd, adam or adamw, each as PyTorch defines it."},
    {WS_CONF_NUMBER(struct ws_optim_keys, lr), .unit = "rate", .min = 0, .max = 10, .excluded = WS_CONF_ABOVE,
     .fallback = "0.05", .help = "Peak learning rate; adam and adamw want about a fiftieth of what sgd does (0.001)."},
    {WS_CONF_MEMBER("momentum", WS_CONF_TYPE_NUMBER, struct ws_optim_keys, options.momentum, double), .unit = "factor",
     .min = 0, .max = 1, .excluded = WS_CONF_BELOW, .fallback = "0.9", .help = "sgd."},
    {WS_CONF_MEMBER("weight_decay", WS_CONF_TYPE_NUMBER, struct ws_optim_keys, options.weight_decay, double),
     .unit = "factor", .min = 0, .max = 1, .fallback = "0.0005",
     .help = "sgd, adam: added to the gradient as weight_decay times the weight; adamw: each step takes lr times "
             "weight_decay of the weight away."},
    {WS_CONF_MEMBER("nesterov", WS_CONF_TYPE_BOOL, struct ws_optim_keys, options.nesterov, bool), .fallback = "false",
     .help = "sgd: Nesterov's form of the momentum."},
    {WS_CONF_MEMBER("beta1", WS_CONF_TYPE_NUMBER, struct ws_optim_keys, options.beta1, double), .unit = "factor",
     .min = 0, .max = 1, .excluded = WS_CONF_BELOW, .fallback = "0.9",
     .help = "adam, adamw: decay of the gradient's running mean …"},
    {WS_CONF_MEMBER("beta2", WS_CONF_TYPE_NUMBER, struct ws_optim_keys, options.beta2, double), .unit = "factor",
     .min = 0, .max = 1, .excluded = WS_CONF_BELOW, .fallback = "0.999", .help = "… and of its square's."},
    {WS_CONF_MEMBER("eps", WS_CONF_TYPE_NUMBER, struct ws_optim_keys, options.eps, double), .unit = "number", .min = 0,
     .max = 1, .excluded = WS_CONF_ABOVE, .fallback = "0.00000001", .help = "adam, adamw: added to the square's root."},
    {WS_CONF_WORD(struct ws_optim_keys, schedule, enum ws_schedule, schedules), .fallback = "step",
     .help = "onecycle (rises, then falls to zero), cosine, step (falls by gamma at the milestones) or constant."},
    {WS_CONF_NUMBER(struct ws_optim_keys, warmup), .unit = "share", .min = 0, .max = 1, .excluded = WS_CONF_BELOW,
     .fallback = "0.3", .help = "onecycle: share of the steps that rise."},
    {WS_CONF_NUMBERS(struct ws_optim_keys, milestones), .unit = "share", .min = 0, .max = 1,
     .excluded = WS_CONF_ABOVE | WS_CONF_BELOW, .fallback = "[0.625, 0.75, 0.875]",
     .help = "step: shares of the epochs after which lr falls (150, 180 and 210 of 240), rising."},
    {WS_CONF_NUMBER(struct ws_optim_keys, gamma), .unit = "factor", .min = 0, .max = 1, .excluded = WS_CONF_ABOVE,
     .fallback = "0.1", .help = "step: what lr is multiplied by at each milestone."},
    {.name = NULL},
};

const struct ws_conf_section ws_optim_group = {.name = "", WS_CONF_KEYS(struct ws_optim_keys, optim_keys)};

enum ws_status ws_optim_keys_check(const struct ws_optim_keys *optim, const char *section, struct ws_err *err)
{
    for (unsigned i = 1; i < optim->n_milestones; i++)
        if (optim->milestones[i] <= optim->milestones[i - 1])
            return ws_fail(err, WS_E_CONFIG, "%s.milestones: expected rising shares, found %g behind %g", section,
                           optim->milestones[i], optim->milestones[i - 1]);
    return WS_OK;
}
