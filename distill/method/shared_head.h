/**
 * A student that ends in a projector and the teacher's own frozen classifier, as SimKD has it (Chen, Mei, Zhang, Wang,
 * Feng, Chen, "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022) and KD3 after it: building it,
 * and bringing the teacher's last feature map to the size in which the two are compared.
 */
#ifndef WEBSTILL_DISTILL_METHOD_SHARED_HEAD_H
#define WEBSTILL_DISTILL_METHOD_SHARED_HEAD_H

#include "learn/method.h"

/** Where the student's features are compared with the teacher's. */
enum ws_align { WS_ALIGN_MAP, WS_ALIGN_POOLED };

/** What of the teacher a comparison needs. */
struct ws_shared_head {
    int teacher_pool; /**< the teacher's map is averaged over windows of this side; 1 = as it is */
    enum ws_align align;
    int compared;   /**< node of the student: `projected`, or `head_pooled` */
    float *scratch; /**< [batch][values there]: the teacher's map, averaged */
};

/**
 * Whether student and teacher can be compared, before anything is built. `method` names the caller in messages and its
 * section of the configuration ("simkd"); `projector_factor` divides the teacher's channels inside the projector.
 * WS_E_UNSUPPORTED where the maps' sides have no integer ratio; WS_E_CONFIG for a factor that leaves no channel.
 */
WS_MUST_USE enum ws_status ws_shared_head_check(const struct ws_session *session, const char *method,
                                                int projector_factor, enum ws_align align, struct ws_err *err);

/**
 * Add a student of session->card with a projector to the teacher's channels and the teacher's classifier, copied and
 * frozen, of a session that has been checked. WS_ALIGN_MAP: the larger of the two last maps is averaged to the size of
 * the smaller one: the student's inside its network, the teacher's by the loss. WS_ALIGN_POOLED: what is compared are
 * both maps' averages, which the classifier reads; so the maps may have any size.
 */
WS_MUST_USE enum ws_status ws_shared_head_open(struct ws_shared_head **out, struct ws_training *training,
                                               int projector_factor, enum ws_align align, struct ws_err *err);

/** Part "align" of the step's loss: the weighted mean square distance of what is compared; weights NULL: all 1. */
void ws_shared_head_align(struct ws_shared_head *head, struct ws_step *step, const float *weights);

/**
 * Windows over which two maps are averaged to one size: the larger by an integer, the other by 1. False where their
 * sides have no such ratio, the same in height and width.
 */
bool ws_map_match(const struct ws_node *teacher, const struct ws_node *student, int *teacher_pool, int *student_pool);

#endif
