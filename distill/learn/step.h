/**
 * One run of a phase, as a method's losses() sees it: the batch, the tape on which networks run and values flow from
 * one into another, and the losses. What is on the tape the loop propagates in reverse (update.h).
 */
#ifndef WEBSTILL_DISTILL_LEARN_STEP_H
#define WEBSTILL_DISTILL_LEARN_STEP_H

#include "training.h"

struct ws_step {
    struct ws_training *training;
    struct ws_place place;
    struct ws_batch batch;
    int n; /**< images of it; of a phase without a supply the session's batch */
    double lr;
    double loss;
    const struct ws_loss *losses; /**< [n_losses] the training's; of all phases of the step so far */
    int n_losses;
    int n_right;          /**< images whose label was predicted; -1 = the method knows no labels */
    double gradient_norm; /**< over all learners of the phase */
};

/** Put the batch's pixels into a network's input, and let its Dropout draw the step's masks. */
void ws_step_show(struct ws_step *step, struct ws_network *network);
/** Run a network on the first `n` rows of its input; backward will come back through it. */
void ws_step_forward(struct ws_step *step, struct ws_network *network, int n, enum ws_bn_mode mode);
/** Show the batch to the student and run it in training mode. */
void ws_step_run_student(struct ws_step *step);
/** Run the teacher on what `of` has in its input. */
void ws_step_run_teacher(struct ws_step *step, struct ws_network *of);
/** Copy a value of the step's images into rows `row` … of another network's input; where that gives input gradients,
 * they come back as the value's. */
void ws_step_flow(struct ws_step *step, struct ws_point from, struct ws_network *to, int row);
/** Likewise a learner's numbers, of which a row of `to` is a part: a latent. */
void ws_step_flow_numbers(struct ws_step *step, struct ws_learner *from, struct ws_network *to);

/** Add `weight` times a named part to the step's loss. */
void ws_step_add_loss(struct ws_step *step, const char *name, double value, double weight);
/** Hinton's loss, T^2 KL(teacher || student), as a part of the step's, each image by its weight (NULL: 1); returns it
 * without `weight`. */
double ws_step_imitate(struct ws_step *step, const char *name, struct ws_point student, struct ws_point teacher,
                       double temperature, const float *weights, double weight);
/** What Hinton's distillation is: both networks on the batch, and that loss on their logits as part "kd". */
void ws_step_distill(struct ws_step *step, double temperature);
/** Cross entropy on the batch's labels, and how many were predicted. */
void ws_step_classify(struct ws_step *step, const char *name, struct ws_point logits, double smoothing);
/** Mean square distance of a value to another's mean over windows of side x side, each image by its weight (NULL: 1).
 * `scratch`, for side > 1: [n][values of `from`]. */
double ws_step_align(struct ws_step *step, const char *name, struct ws_point from, struct ws_point to, int side,
                     const float *weights, double weight, float *scratch);

/** The student's and the teacher's logits. */
struct ws_point ws_step_student_logits(const struct ws_step *step);
struct ws_point ws_step_teacher_logits(const struct ws_step *step);

/** As losses take it. */
static inline struct ws_tap ws_point_tap(struct ws_point point)
{
    return (struct ws_tap){point.network->exec, point.node};
}

/** Its numbers, for who has to read them: [n][ws_point_floats()]. */
static inline const float *ws_point_value(struct ws_point point)
{
    return ws_exec_value(point.network->exec, point.node);
}

/** Values of one image at a point. */
static inline size_t ws_point_floats(struct ws_point point)
{
    return ws_tap_floats(ws_point_tap(point));
}

#endif
