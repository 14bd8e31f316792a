/**
 * Where a step's images come from: stored ones, all or a choice of each epoch; such as are drawn from random numbers;
 * such as are made in the run (ring.h).
 *
 * The loop asks: begin (what this epoch trains on), draw (a step's batch), show (its pixels, into the input of a
 * network), note (how well each image was learnt, back to whoever drew it). A draw is a function of the seed, the place
 * and the supply's saved state alone: a resumed training draws what the one would have drawn that was not stopped.
 */
#ifndef WEBSTILL_DISTILL_LEARN_SUPPLY_H
#define WEBSTILL_DISTILL_LEARN_SUPPLY_H

#include "checkpoint.h"
#include "session.h"

/** What an epoch trains on. Arrays live until the next begin; NULL = not applicable. */
struct ws_epoch {
    const uint32_t *images; /**< [n] indices into the data; NULL: they are made in the run */
    size_t n;
    const float *weights;    /**< [n] factor of each image's loss, mean 1; NULL = all 1 */
    double alpha;            /**< weight of the teacher in the selection; negative = no selection */
    const double *threshold; /**< [n_classes] */
    const int64_t *n_kept;   /**< [n_classes] */
};

/** A step's images. Arrays live until the next draw; NULL = nobody knows. */
struct ws_batch {
    int n;
    const struct ws_dataset *set;   /**< what `images` count in */
    const uint32_t *images;         /**< [n] */
    const int32_t *labels, *groups; /**< [n]; WS_NO_LABEL where an image has none; groups NULL where none has */
    const float *weights;           /**< [n] factor of each image's loss; NULL = all 1 */
    uint32_t view_pass;             /**< key of the augmentation (ws_view.pass) */
};

struct ws_supply;

/** Verbs that a supply has nothing to do in are NULL. */
struct ws_supply_kind {
    /** Choose what epoch `number` (from 1) trains on: supply->epoch. Once per epoch, before its first step, not on a
     * resume inside. */
    enum ws_status (*begin)(struct ws_supply *supply, uint32_t number, struct ws_err *err);
    void (*draw)(struct ws_supply *supply, const struct ws_place *place, struct ws_batch *batch);
    /** Make a batch of images that the caller names, as draw numbers them: for a step that is run again. */
    enum ws_status (*take)(struct ws_supply *supply, const uint32_t *images, int n, uint32_t view_pass,
                           struct ws_batch *batch, struct ws_err *err);
    /** Write the batch's pixels, normalised, [n][height][width][channels]. */
    void (*show)(struct ws_supply *supply, const struct ws_batch *batch, const struct ws_place *place, float *input);
    /** Of the batch drawn last: the loss of each image. */
    void (*note)(struct ws_supply *supply, const struct ws_batch *batch, const float *loss_of);
    /** `is_begun`: an epoch is under way, and begin will not be asked again. */
    void (*save)(struct ws_supply *supply, struct ws_checkpoint *checkpoint, bool is_begun);
    /** Behind it the epoch under way (if one is) goes on. */
    enum ws_status (*load)(struct ws_supply *supply, const struct ws_tensors *checkpoint, bool is_begun,
                           struct ws_err *err);
    void (*close)(struct ws_supply *supply);
};

/** The beginning of every supply. */
struct ws_supply {
    const struct ws_supply_kind *kind;
    const struct ws_session *session; /**< borrowed */
    struct ws_epoch epoch;            /**< of the last begin or load */
};

/** Free it; accepts NULL, sets NULL. */
void ws_supply_close(struct ws_supply **supply);

/** Chooses what an epoch trains on; arrays live until the next call. */
typedef enum ws_status ws_choose_fn(void *chooser, uint32_t number, struct ws_epoch *epoch, struct ws_err *err);

/** Stored images of the session's data, in a random view each. */
struct ws_stored {
    struct ws_supply base;
    ws_choose_fn *choose;          /**< NULL: all training images, each epoch */
    void *chooser;                 /**< borrowed */
    const uint8_t *const *refined; /**< NULL, or [data->n] other pixels of these images … */
    double refined_share;          /**< … and how often they are shown */
    struct ws_sampler sampler;
    uint32_t *order, *batch; /**< owned: [n_train], [batch] */
    int32_t *labels;         /**< owned: [batch] */
    int32_t *groups;         /**< owned: [batch] */
    uint32_t *images;        /**< owned: [n_train] list of a resumed epoch */
    float *weights;          /**< owned: [n_train] likewise */
    double *threshold;       /**< owned: [n_classes] likewise */
    int64_t *n_kept;         /**< owned: [n_classes] likewise */
    float *weight_of;        /**< owned: [data->n] of each image of this epoch, when it has weights */
    float *batch_weights;    /**< owned: [batch] */
};

/** Opens a supply of a session: a method's row names one. */
typedef enum ws_status ws_supply_fn(struct ws_supply **out, const struct ws_session *session, struct ws_err *err);

/** Every training image, each epoch. */
WS_MUST_USE enum ws_status ws_supply_open_pool(struct ws_supply **out, const struct ws_session *session,
                                               struct ws_err *err);
/** Of these, those that carry a label. */
WS_MUST_USE enum ws_status ws_supply_open_labelled(struct ws_supply **out, const struct ws_session *session,
                                                   struct ws_err *err);
/** Pictures of noise: every pixel of every channel uniform in 0..255, a function of (seed, step, place in the batch)
 * alone. The pool gives the number of steps and nothing else. */
WS_MUST_USE enum ws_status ws_supply_open_noise(struct ws_supply **out, const struct ws_session *session,
                                                struct ws_err *err);
/** What `choose` says, each epoch; `chooser` outlives the supply. */
WS_MUST_USE enum ws_status ws_supply_open_choice(struct ws_stored **out, const struct ws_session *session,
                                                 ws_choose_fn *choose, void *chooser, struct ws_err *err);

/** Show a supply of stored images in other pixels, a share of the time: `refined` has one pointer an image of the data,
 * and outlives the supply. */
void ws_supply_refine(struct ws_supply *supply, const uint8_t *const *refined, double share);

#endif
