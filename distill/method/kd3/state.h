/** KD3's state, split over step.c (the step), select.c (what each epoch trains on), curate.c (the rules
 * beyond KD3's) and plus.c (what kd3+ adds). */
#ifndef WEBSTILL_DISTILL_METHOD_KD3_STATE_H
#define WEBSTILL_DISTILL_METHOD_KD3_STATE_H

#include "method/embedding.h"
#include "method/method.h"
#include "method/shared_head.h"
#include "prepare/refine.h"

#include "webstill/curate/curation.h"
#include "webstill/curate/select.h"

/** Memory of the selection pass, taken once. All-zero is a valid closed one. */
struct kd3_selection {
    bool is_off;                 /**< the whole pool each epoch, and nobody is asked */
    bool has_threshold;          /**< KD3's rule; else only those beyond it */
    bool is_clean;               /**< the pass looks at the images as they are */
    size_t piece;                /**< images predicted at a time */
    float *teacher_logits;       /**< owned: [piece][n_classes] */
    float *student_logits;       /**< owned: likewise */
    float *teacher_cache;        /**< owned: [n_train][n_classes], or NULL: they change, or are more than the cap */
    bool is_cached;              /**< teacher_cache is filled */
    uint32_t *images;            /**< owned: the kept ones */
    struct ws_image_id *ids;     /**< owned: of the training images, in id order */
    struct ws_arena arena;       /**< owned: the selection of this epoch */
    struct ws_curation curation; /**< owned: the rules beyond KD3's */
    float *weights;              /**< owned: [n_train] of the kept images; NULL when those rules are off */
};

WS_MUST_USE enum ws_status kd3_selection_open(struct kd3_selection *selection, const struct ws_session *session,
                                              const struct ws_conf_kd3 *options, struct ws_err *err);
void kd3_selection_close(struct kd3_selection *selection);

/** Prepare the rules beyond KD3's for the training images; selection->ids are filled in. With source_precision the
 * teacher looks at all of them once. */
WS_MUST_USE enum ws_status kd3_curation_open(struct kd3_selection *selection, const struct ws_session *session,
                                             struct ws_err *err);

/**
 * Selection of one epoch: both networks in evaluation mode on one view of each training image, then the rule. The view
 * is random (stream WS_STREAM_SELECT), the same for both networks, or the clean one, whose logits of the teacher are
 * computed in the first epoch alone where they may be kept. Writes DIR/selection/epoch-NNN.safetensors. Fewer than 2
 * kept images are WS_E_NUMERIC.
 */
WS_MUST_USE enum ws_status kd3_select(struct kd3_selection *selection, const struct ws_session *session,
                                      uint32_t number, struct ws_epoch *epoch, struct ws_err *err);

/** What kd3+ adds; all-zero: nothing. */
struct kd3_plus {
    const struct ws_conf_kd3_plus *options; /**< borrowed; NULL: this is kd3 */
    struct ws_conf_kd3 kd3_options;         /**< section kd3 with what kd3+ says otherwise */
    struct ws_session session;              /**< the whole one, with a sample of its training images */
    uint32_t *sample;                       /**< owned: that sample; NULL: all of them */
    struct ws_refined refined;              /**< owned */
};

struct kd3 {
    const struct ws_session *session;     /**< borrowed */
    const struct ws_conf_kd3 *options;    /**< borrowed */
    struct ws_trainee trainee;            /**< owned: backbone, phi, g; runs on X */
    struct ws_net backbone;               /**< borrowed: the trainee's network up to its pooled features */
    struct ws_exec *mixed;                /**< owned: the backbone on X'; NULL: no X' is made */
    struct ws_embedding embed_s, embed_t; /**< owned */
    bool has_contrast;                    /**< of one kind or the other */
    bool is_cross;                        /**< of student and teacher; else of X and X' */
    struct ws_shared_head head;           /**< owned */
    double *lam;                          /**< owned: [batch] */
    uint32_t *partner;                    /**< owned: [batch] */
    void *mix_scratch;                    /**< owned */
    float *weights;                       /**< owned: [batch] w_i */
    struct kd3_plus plus;                 /**< owned */
    struct kd3_selection selection;       /**< owned */
};

/** Open the state for kd3, or with `plus` for kd3+. As ws_method.open. */
WS_MUST_USE enum ws_status kd3_open(void **state, const struct ws_session *session, const struct ws_conf_kd3_plus *plus,
                                    struct ws_model **model, struct ws_err *err);
WS_MUST_USE enum ws_status kd3_epoch_begin(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err);
WS_MUST_USE enum ws_status kd3_step(void *state, struct ws_step *step, struct ws_err *err);
void kd3_save(void *state, struct ws_checkpoint *checkpoint);
WS_MUST_USE enum ws_status kd3_load(void *state, const struct ws_tensors *checkpoint, struct ws_err *err);
int kd3_networks(void *state, struct ws_method_network *list);
void kd3_close(void **state);

/* plus.c */

/** Section kd3 with what kd3+ says otherwise; borrowed from `plus`. */
const struct ws_conf_kd3 *kd3_plus_settle(struct kd3_plus *plus, const struct ws_session *session,
                                          const struct ws_conf_kd3_plus *options);
/** Where the pool is larger than what is refined at most, let `session` be one whose training images are a sample of
 * it: those whose ids' hashes under the seed are smallest, so that a pool which grew changes it least. */
WS_MUST_USE enum ws_status kd3_plus_narrow(struct kd3_plus *plus, const struct ws_session **session,
                                           struct ws_err *err);
/** Make or read the refined images, where any are asked for. */
WS_MUST_USE enum ws_status kd3_plus_refine(struct kd3_plus *plus, const struct ws_session *session, struct ws_err *err);
void kd3_plus_close(struct kd3_plus *plus);

#endif
