/** KD3's state, split over step.c (the step), select.c (what each epoch trains on), curate.c (the rules
 * beyond KD3's). */
#ifndef WEBSTILL_DISTILL_METHOD_KD3_STATE_H
#define WEBSTILL_DISTILL_METHOD_KD3_STATE_H

#include "keys.h"
#include "method/methods.h"
#include "method/shared_head.h"

#include "webstill/curate/curation.h"
#include "webstill/curate/select.h"

/** Memory of the selection pass, taken once. All-zero is a valid closed one. */
struct ws_kd3_selection {
    const struct ws_session *session; /**< borrowed */
    bool is_off;                      /**< the whole pool each epoch, and nobody is asked */
    bool has_threshold;               /**< KD3's rule; else only those beyond it */
    bool is_clean;                    /**< the pass looks at the images as they are */
    size_t piece;                     /**< images predicted at a time */
    float *teacher_logits;            /**< owned: [piece][n_classes] */
    float *student_logits;            /**< owned: likewise */
    float *teacher_cache;        /**< owned: [n_train][n_classes], or NULL: they change, or are more than the cap */
    bool is_cached;              /**< teacher_cache is filled */
    uint32_t *images;            /**< owned: the kept ones */
    struct ws_image_id *ids;     /**< owned: of the training images, in id order */
    struct ws_arena arena;       /**< owned: the selection of this epoch */
    struct ws_curation curation; /**< owned: the rules beyond KD3's */
    float *weights;              /**< owned: [n_train] of the kept images; NULL when those rules are off */
};

WS_MUST_USE enum ws_status ws_kd3_selection_open(struct ws_kd3_selection *selection, const struct ws_session *session,
                                                 const struct ws_kd3_keys *options, struct ws_err *err);
void ws_kd3_selection_close(struct ws_kd3_selection *selection);

/** Prepare the rules beyond KD3's for the training images; selection->ids are filled in. With source_precision the
 * teacher looks at all of them once. */
WS_MUST_USE enum ws_status ws_kd3_curation_open(struct ws_kd3_selection *selection, struct ws_err *err);

/**
 * Selection of one epoch: both networks in evaluation mode on one view of each training image, then the rule. The view
 * is random (stream WS_STREAM_SELECT), the same for both networks, or the clean one, whose logits of the teacher are
 * computed in the first epoch alone where they may be kept. Writes DIR/selection/epoch-NNN.safetensors. Fewer than 2
 * kept images are WS_E_NUMERIC.
 */
WS_MUST_USE enum ws_status ws_kd3_select(void *selection, uint32_t number, struct ws_epoch *epoch, struct ws_err *err);

struct ws_kd3 {
    const struct ws_kd3_keys *options;    /**< borrowed */
    struct ws_net backbone;               /**< the student's network up to its pooled features */
    struct ws_network *mixed;             /**< the backbone on X'; NULL: no X' is made */
    struct ws_network *embed_s, *embed_t; /**< NULL: no contrast */
    bool has_contrast;                    /**< of one kind or the other */
    bool is_cross;                        /**< of student and teacher; else of X and X' */
    struct ws_shared_head *head;          /**< NULL: the student has a classifier of its own */
    double *lam;                          /**< [batch] */
    uint32_t *partner;                    /**< [batch] */
    void *mix_scratch, *contrast_scratch;
    float *weights;                    /**< [batch] w_i */
    struct ws_kd3_selection selection; /**< owned */
};

/** As ws_method.open; `kd3` is zeroed and of the training's memory, `options` outlive it. */
WS_MUST_USE enum ws_status ws_kd3_open(struct ws_kd3 *kd3, struct ws_training *training,
                                       const struct ws_kd3_keys *options, struct ws_err *err);
/** As ws_method.check, ws_need.applies and ws_method.close. */
WS_MUST_USE enum ws_status ws_kd3_check(const struct ws_session *session, const struct ws_kd3_keys *options,
                                        struct ws_err *err);
bool ws_kd3_does_share(const struct ws_config *config);
void ws_kd3_close(void *state);

/** The parts of a step, in their order: all networks but the embeddings; alignment (or KL); contrast. */
void ws_kd3_run(struct ws_kd3 *kd3, struct ws_step *step);
void ws_kd3_align(struct ws_kd3 *kd3, struct ws_step *step);
void ws_kd3_contrast(struct ws_kd3 *kd3, struct ws_step *step);

#endif
