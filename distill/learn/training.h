/**
 * Everything that learns and everything that runs in a training, each under its name. A method's open() adds them; the
 * loop then zeroes, checks, steps, saves, loads, lists and searches by walking these lists, and frees them.
 */
#ifndef WEBSTILL_DISTILL_LEARN_TRAINING_H
#define WEBSTILL_DISTILL_LEARN_TRAINING_H

#include "keys/optim.h"
#include "session.h"
#include "supply.h"

#include "webstill/base/mem.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/optim.h"

/** Numbers that learn: a student, a projector, an embedding, a generator, or (without a network) a matrix, a latent. */
struct ws_learner {
    const char *name;       /**< "student": in checkpoints and messages */
    struct ws_net *net;     /**< owned, or the model's; NULL: numbers that no network runs */
    struct ws_model *model; /**< owned: NULL for all but a classifier */
    float *values;          /**< [n] of the network, or owned */
    float *gradients;       /**< likewise: zero at the beginning of each phase */
    size_t n;
    struct ws_optim optim;            /**< owned */
    const struct ws_optim_keys *rate; /**< borrowed: its schedule */
};

/** A network as steps run it: a learner's, or one that does not learn. */
struct ws_network {
    const char *name; /**< "student", "mixed", "teacher": in messages and kept steps */
    const struct ws_net *net;
    struct ws_exec *exec;
    bool is_borrowed;           /**< the exec is somebody else's */
    struct ws_learner *learner; /**< NULL: does not learn */
    bool goes_back;             /**< planned for backward */
    bool gives_input_gradient;
    enum ws_bn_mode mode; /**< of the last forward on the tape */
};

/** A value of a step: a node of a network that has run. */
struct ws_point {
    struct ws_network *network;
    int node;
};

/** One entry of a step's tape: a forward pass, or numbers that went into a network's input. */
struct ws_record {
    struct ws_network *network; /**< that ran, or into whose input rows `row` … went */
    struct ws_point from;       /**< … a value of this one */
    struct ws_learner *numbers; /**< … or these */
    int row, n;
    bool is_flow;
};

/** A named part of a step's loss, unweighted. */
struct ws_loss {
    const char *name;
    double value;
};

/** All-zero is a valid closed one. Pointers to learners and networks stay valid. */
struct ws_training {
    const struct ws_session *session; /**< borrowed */
    void *state;                      /**< the method's own, of ws_training_alloc() or freed by its close() */
    struct ws_learner **learners;     /**< owned; phases name them by their number here */
    struct ws_network **networks;     /**< owned, in the order in which they were added */
    int n_learners, n_networks;
    struct ws_network *student, *teacher; /**< of these; NULL until added */
    struct ws_model *model;               /**< the student's: what is evaluated and saved */
    struct ws_supply *supply;             /**< owned */
    struct ws_arena arena;                /**< owned */
    struct ws_record *tape;               /**< owned */
    int n_records, cap_records;
    struct ws_loss *losses; /**< owned: of the step under way */
    int n_losses, cap_losses;
    float *loss_of; /**< [batch] of each image; NULL: the supply does not ask */
};

/** Free everything that was added. */
void ws_training_close(struct ws_training *training);

/** Zeroed memory that lives as long as the training. */
WS_MUST_USE enum ws_status ws_training_alloc(struct ws_training *training, void **out, size_t n, size_t size_bytes,
                                             struct ws_err *err);

/**
 * The network under training: build `card`, initialise from the session's seed, plan for its batch with taps pooled,
 * projected, head_pooled, logits and `tap` (-1: none), a node of the network that the card describes. Learns by the
 * session's optimiser.
 */
WS_MUST_USE enum ws_status ws_training_add_student(struct ws_training *training, const struct ws_card *card, int tap,
                                                   struct ws_err *err);
/** The session's folded teacher, run on what a student has in its input. */
WS_MUST_USE enum ws_status ws_training_add_teacher(struct ws_training *training, struct ws_err *err);

/** A network that learns, complete but for its memory, and a run of it called `run`; *net is taken in any case. Initial
 * values are drawn from the session's seed and the run's name. */
WS_MUST_USE enum ws_status ws_training_add_net(struct ws_training *training, const char *name, const char *run,
                                               struct ws_net **net, const struct ws_optim_keys *optim,
                                               const struct ws_exec_options *options, struct ws_network **out,
                                               struct ws_err *err);
/** `n` numbers, zero, that learn without a network. */
WS_MUST_USE enum ws_status ws_training_add_numbers(struct ws_training *training, const char *name, size_t n,
                                                   const struct ws_optim_keys *optim, struct ws_learner **out,
                                                   struct ws_err *err);
/** A further run of a learner's network, or (learner NULL) of one that does not learn and outlives the training. */
WS_MUST_USE enum ws_status ws_training_add_run(struct ws_training *training, const char *name, struct ws_net *net,
                                               struct ws_learner *learner, const struct ws_exec_options *options,
                                               struct ws_network **out, struct ws_err *err);

/** Square root of the sum of the squared gradients of one learner. */
double ws_learner_norm(const struct ws_learner *learner);
/** Put all learners and the supply into a checkpoint, and take them back; `is_begun`: an epoch is under way. */
void ws_training_save(struct ws_training *training, struct ws_checkpoint *checkpoint, bool is_begun);
WS_MUST_USE enum ws_status ws_training_load(struct ws_training *training, const struct ws_tensors *checkpoint,
                                            bool is_begun, struct ws_err *err);

/** Learning rate of a schedule at a place. Milestones of the step schedule are shares of the epochs, and the rate falls
 * behind them (strictly greater, as the released KD3 code does). */
double ws_rate_at(const struct ws_optim_keys *rate, const struct ws_place *place);

#endif
