/*
 * The floats of one exec. Where they lie the plan says; here they are taken, all at once, and given back.
 */
#ifndef WEBSTILL_DISTILL_NN_CPU_MEMORY_H
#define WEBSTILL_DISTILL_NN_CPU_MEMORY_H

#include "view.h"

/** All-zero is a valid closed one. */
struct ws_memory {
    struct ws_arena arena; /**< owns the tables, and the statistics of BatchNorms */
    float *floats;         /**< owned: what is read from outside (input, taps), then what passes within a run */
    size_t n_floats;
    float *passing;   /**< the second part of it; a borrower's: of its owner's */
    size_t n_passing; /**< floats of it that are this exec's own, to be borrowed by another */
    bool is_borrower;
    float **value;          /**< [n_nodes] of image 0; NULL where fused away */
    float **gradient;       /**< [n_nodes] */
    struct ws_bn_state *bn; /**< [n_nodes] */
    struct ws_scratch scratch;
    size_t n_scratch;     /**< floats wanted of the workers */
    float **packed;       /**< [n_steps] weights of the group's steps as their kernels want them, or NULL */
    float *packed_floats; /**< owned */
    float *group_floats;  /**< owned: what a group alone sees, of each worker */
    float **group_value;  /**< [workers][n_nodes] of a group's first image */
    size_t size_bytes;    /**< of everything above that grows with the network, the workers' scratch included */
};

/**
 * Take what the plan wants. `owner` NULL, or whose passing part is used too, if that is large enough. WS_E_MEMORY names
 * the bytes that were wanted.
 */
WS_MUST_USE enum ws_status ws_memory_open(struct ws_memory *memory, const struct ws_plan *plan,
                                          struct ws_workers *workers, const struct ws_memory *owner,
                                          struct ws_err *err);
void ws_memory_close(struct ws_memory *memory);

/** The workers' scratch, which another exec's opening may have moved. */
struct ws_scratch ws_memory_scratch(const struct ws_memory *memory, const struct ws_workers *workers);

/** The values of a group whose first image is `first`, as `worker` has them. */
float *const *ws_memory_group_values(const struct ws_memory *memory, const struct ws_plan *plan, size_t first,
                                     int worker);

#endif
