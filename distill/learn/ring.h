/**
 * A supply of images that are made in the run: the newest so many of them, from which each step draws with replacement,
 * by priority.
 *
 *   P_i = priority_i / sum of priorities,   weight_i = (n P_i)^-correction
 *
 * (Schaul, Quan, Antonoglou, Silver, "Prioritized Experience Replay", ICLR 2016, equations 1 and section 3.4;
 * priorities come already raised to their power.) With all priorities equal that is uniform, and every weight 1.
 */
#ifndef WEBSTILL_DISTILL_LEARN_RING_H
#define WEBSTILL_DISTILL_LEARN_RING_H

#include "supply.h"

struct ws_ring;

/** Told the losses of a step's images, which it may turn into priorities. */
typedef void ws_ring_note_fn(void *argument, struct ws_ring *ring, const struct ws_batch *batch, const float *loss_of);

struct ws_ring_options {
    size_t capacity;       /**< images; 2 or more */
    bool keeps_floats;     /**< values as they were made, shown as they are; else bytes, shown in a random view */
    double correction;     /**< 0: no weights; 1: a weighted mean is that of all images */
    ws_ring_note_fn *note; /**< NULL: losses are not asked for */
    void *argument;        /**< of note */
};

/** Open an empty ring for images of the session's size. */
WS_MUST_USE enum ws_status ws_ring_open(struct ws_ring **out, const struct ws_session *session,
                                        const struct ws_ring_options *options, struct ws_err *err);
/** For training->supply, which then owns the ring. */
struct ws_supply *ws_ring_supply(struct ws_ring *ring);

/**
 * Put `n` images, normalised as a network reads them, [n][height][width][channels]; the oldest ones make room. `labels`
 * and `groups` [n] may be NULL. Bytes are what they round to, cut to 0..255. A new image's priority is the largest one.
 */
void ws_ring_put(struct ws_ring *ring, const float *images, int n, const int32_t *labels, const int32_t *groups);

/** Images there are; they have the slots 0 … n-1, by which batches number them. */
size_t ws_ring_count(const struct ws_ring *ring);
/** Labels by slot: [ws_ring_count()]; WS_NO_LABEL where none was given. */
const int32_t *ws_ring_labels(const struct ws_ring *ring);
/** Positive; of a slot. */
double ws_ring_priority(const struct ws_ring *ring, uint32_t slot);
void ws_ring_set_priority(struct ws_ring *ring, uint32_t slot, double priority);

#endif
