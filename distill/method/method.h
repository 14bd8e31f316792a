/**
 * Training methods: what the loop knows of them.
 *
 * A method is one file, its declaration here and its line in the table of table.c. The loop owns data, order of
 * images, learning rate, metrics, checkpoints, hold-out and files; a method owns networks, losses and optimisers, and
 * says each epoch which images count.
 */
#ifndef WEBSTILL_DISTILL_METHOD_METHOD_H
#define WEBSTILL_DISTILL_METHOD_METHOD_H

#include "data/batch.h"
#include "learn/checkpoint.h"
#include "learn/predict.h"
#include "model/network.h"

#include "webstill/base/mem.h"
#include "webstill/base/pool.h"
#include "webstill/conf/config.h"

/** What a training works with. Everything is borrowed and outlives the method's state. */
struct ws_session {
    const struct ws_config *config; /**< for a method's own keys */
    const char *dir;                /**< of the run, "…/runs/kd3" */
    struct ws_pool *pool;
    const struct ws_dataset *data;
    const uint32_t *train; /**< images that may be trained on, ascending: all but the held-out ones */
    size_t n_train;
    struct ws_card card;                    /**< of the network to train: arch, classes, sizes, normalisation, origin */
    const struct ws_model *teacher;         /**< NULL when a teacher is being trained */
    struct ws_predictor *teacher_predictor; /**< folded, max_batch = batch; NULL likewise */
    const char *teacher_path;               /**< its file, for a method that needs it as it was; NULL likewise */
    struct ws_predictor *student;           /**< the loop's, opened behind open(): reads the current weights */
    const struct ws_conf_optim *optim;
    struct ws_augment augment;
    double label_smoothing;
    uint64_t seed;
    int batch;
    uint32_t epochs;
};

/** What an epoch trains on. Arrays are owned by the method or the session and live until the next epoch_begin(); NULL
 * = not applicable. */
struct ws_epoch {
    const uint32_t *images; /**< [n] indices into the data */
    size_t n;
    const float *weights;    /**< [n] factor of each image's loss, mean 1; NULL = all 1 */
    double alpha;            /**< weight of the teacher in the selection; negative = no selection */
    const double *threshold; /**< [n_classes] */
    const int64_t *n_kept;   /**< [n_classes] */
};

enum { WS_MAX_LOSSES = 4 };

/** One step: filled in by the loop, results by the method. */
struct ws_step {
    const uint32_t *images; /**< [n] */
    const float *weights;   /**< [n] of these images in the epoch; NULL = all 1 */
    int n;
    uint32_t view_pass; /**< key of the augmentation (ws_view.pass) */
    int64_t index;      /**< over the whole run, from 0 */
    double lr;

    double loss;
    struct {
        const char *name;
        double value;
    } losses[WS_MAX_LOSSES]; /**< parts, unweighted */
    int n_losses;
    int n_right;          /**< images whose label was predicted; -1 = the method knows no labels */
    double gradient_norm; /**< over all trained parameters */
};

/** A network as a step runs it. */
struct ws_method_network {
    const char *name; /**< "student", "mixed", "teacher": in messages */
    const struct ws_net *net;
    struct ws_exec *exec;
};

enum { WS_MAX_NETWORKS = 8 };

struct ws_method {
    const char *name;    /**< "kd3" */
    const char *summary; /**< one line */

    /** Build everything; *model (borrowed from the state) is what is evaluated and saved. All memory is taken here. */
    enum ws_status (*open)(void **state, const struct ws_session *session, struct ws_model **model, struct ws_err *err);
    /** Choose the images of epoch `number` (from 1). Called once per epoch, before its first step, not on a resume
     * inside. */
    enum ws_status (*epoch_begin)(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err);
    /** Forward, backward, update. WS_E_NUMERIC, and nothing updated, for a loss or gradient that is not finite. */
    enum ws_status (*step)(void *state, struct ws_step *step, struct ws_err *err);
    /** Put everything that changes into a checkpoint, and take it back. */
    void (*save)(void *state, struct ws_checkpoint *checkpoint);
    enum ws_status (*load)(void *state, const struct ws_tensors *checkpoint, struct ws_err *err);
    /** What a step runs, in its order: at most WS_MAX_NETWORKS into `list`; returns how many. */
    int (*networks)(void *state, struct ws_method_network *list);
    /** Accepts NULL, sets NULL. */
    void (*close)(void **state);
};

/** Cross entropy on labels: the teacher's training, and the `ce` baseline on the web's labels. */
extern const struct ws_method ws_method_ce;
/** Hinton's distillation on the whole pool. */
extern const struct ws_method ws_method_kd;
/** The same on pictures of pure noise. */
extern const struct ws_method ws_method_noise;
/** KD3. */
extern const struct ws_method ws_method_kd3;
/** KD3 on refined images. */
extern const struct ws_method ws_method_kd3_plus;
/** SimKD: KD3's head and alignment on the whole pool, and nothing else of it. */
extern const struct ws_method ws_method_simkd;

/** DFND: the images that the teacher is surest of, and a matrix of its mistakes. */
extern const struct ws_method ws_method_dfnd;

/** FitNets: kd with a hint from the teacher's middle map. */
extern const struct ws_method ws_method_fitnet;

/** All of them; NULL behind the last. */
extern const struct ws_method *const ws_methods[];

/** By name; WS_E_CONFIG with the nearest name. */
WS_MUST_USE enum ws_status ws_method_find(const char *name, const struct ws_method **out, struct ws_err *err);

/** The network under training with its exec and optimiser: what most methods need. All-zero is a valid closed one. */
struct ws_trainee {
    struct ws_model *model; /**< owned */
    struct ws_exec *exec;   /**< owned: forward and backward, taps pooled, projected, head_pooled, logits */
    struct ws_optim optim;  /**< owned */
};

/** Build session->card, initialise from the session's seed, plan for its batch. */
WS_MUST_USE enum ws_status ws_trainee_open(struct ws_trainee *trainee, const struct ws_session *session,
                                           struct ws_err *err);
/** The same with one more tap, a node of the network that the card describes. */
WS_MUST_USE enum ws_status ws_trainee_open_tapped(struct ws_trainee *trainee, const struct ws_session *session, int tap,
                                                  struct ws_err *err);
void ws_trainee_close(struct ws_trainee *trainee);

/** The session's random view of a step's images. */
struct ws_view ws_step_view(const struct ws_session *session, const struct ws_step *step);
/** Load a step's images into the exec's input with the session's random view, and let its Dropout draw the step's
 * masks. */
void ws_step_load(const struct ws_session *session, const struct ws_step *step, struct ws_exec *exec);

/** Run the teacher on `n` images as a student has them in its input; maps are read from session->teacher_predictor. */
void ws_teacher_forward(const struct ws_session *session, const float *input, int n);

/** Add a named part to the step's losses. */
void ws_step_add_loss(struct ws_step *step, const char *name, double value);

/** WS_E_NUMERIC when step->loss is not finite; ask before backward. The loop finds out where it began. */
WS_MUST_USE enum ws_status ws_step_check(const struct ws_step *step, struct ws_err *err);
/** Take the norm of all gradients; WS_E_NUMERIC when it is not finite. Ask before any optimiser's step. */
WS_MUST_USE enum ws_status ws_step_check_gradient(struct ws_step *step, double norm, struct ws_err *err);
/** Behind backward, where nothing but the trainee learns: check its gradient and take the optimiser's step. */
WS_MUST_USE enum ws_status ws_trainee_update(struct ws_trainee *trainee, struct ws_step *step, struct ws_err *err);

/** The beginning of the state of a method that trains one network alone; save, load and networks serve any such. */
struct ws_learner {
    const struct ws_session *session; /**< borrowed */
    struct ws_trainee trainee;        /**< owned */
};
/** Behind the loading of the student's input: both networks, T^2 KL(teacher || student) at `temperature` (Hinton et
 * al., 2015), backward and update. */
WS_MUST_USE enum ws_status ws_learner_distill(struct ws_learner *learner, struct ws_step *step, double temperature,
                                              struct ws_err *err);
/** Each epoch on every training image, without a selection. */
WS_MUST_USE enum ws_status ws_learner_take_all(void *state, uint32_t number, struct ws_epoch *epoch,
                                               struct ws_err *err);
void ws_learner_save(void *state, struct ws_checkpoint *checkpoint);
WS_MUST_USE enum ws_status ws_learner_load(void *state, const struct ws_tensors *checkpoint, struct ws_err *err);
int ws_learner_networks(void *state, struct ws_method_network *list);

#endif
