/** One view of every labelled or unlabelled set of images: IDX files, class folders, the image store. */
#ifndef WEBSTILL_DISTILL_DATA_SET_H
#define WEBSTILL_DISTILL_DATA_SET_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/stage/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_NO_LABEL = -1 };

struct ws_images;

/** Images of one size, bytes in 0..255, rows top to bottom, channels interleaved. All-zero is a valid empty set. */
struct ws_dataset {
    size_t n;
    int height, width, channels;
    const uint8_t **pixels;  /**< owned: [n] pointers into `block` or into the store's mapping */
    int32_t *labels;         /**< owned: [n] class index, or WS_NO_LABEL */
    int32_t *groups;         /**< owned: [n], or NULL: nothing tells groups apart */
    struct ws_image_id *ids; /**< owned: [n] */
    struct ws_digest digest; /**< content: equal images, labels, groups and order give equal digests */
    uint8_t *block;          /**< owned: pixels that were read into memory, or NULL */
    struct ws_images *store; /**< owned: the opened store, or NULL */
};

static inline size_t ws_dataset_image_bytes(const struct ws_dataset *set)
{
    return (size_t)set->height * (size_t)set->width * (size_t)set->channels;
}

/**
 * Read a pair of IDX files (http://yann.lecun.com/exdb/mnist), plain or gzip: unsigned bytes, [n][height][width] images
 * (or [n][height][width][channels]) and [n] labels.
 *
 * Strict: magic, dimensions and lengths must agree to the byte, labels must be below `n_classes`. Ids are the image's
 * index as a big-endian number. WS_E_IO, WS_E_FORMAT (names file, offset and expectation), WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_dataset_open_idx(struct ws_dataset *set, const char *images_path, const char *labels_path,
                                               int n_classes, struct ws_err *err);

/**
 * Read a folder that holds one folder per class, named as the class is ('/' as '_'), with JPEG, PNG or WebP files. Each
 * image goes through the same conversion as web images (section `store`: size, channels, fit, background, invert).
 *
 * Files that cannot be decoded are an error that names the first of them: a labelled set is expected to be whole.
 */
WS_MUST_USE enum ws_status ws_dataset_open_folder(struct ws_dataset *set, const char *path,
                                                  const struct ws_config *config, struct ws_err *err);

/** Digest of all that ws_dataset_open_folder() would read, section `store` included, without decoding. WS_E_IO. */
WS_MUST_USE enum ws_status ws_dataset_folder_digest(const char *path, const struct ws_config *config,
                                                    struct ws_digest *digest, struct ws_err *err);

/**
 * The image store, in id order; labels are what the web's queries said. WS_E_FORMAT when it holds no image. `digest`
 * stays zero: the stage `store` has written it into its manifest.
 */
WS_MUST_USE enum ws_status ws_dataset_open_web(struct ws_dataset *set, const char *store_dir, struct ws_err *err);

/**
 * Leave in `set` (from ws_dataset_open_web()) the images that the file `list_path` names, one id a line; the rest keep
 * their order. Errors as ws_id_list_read() and ws_id_list_mark() have them: nothing is changed then.
 */
WS_MUST_USE enum ws_status ws_dataset_restrict(struct ws_dataset *set, const char *list_path, struct ws_err *err);

void ws_dataset_close(struct ws_dataset *set);

/** Give `set` room for n images of the given size; with `with_block`, pixels point into it. False: out of memory. */
WS_MUST_USE bool ws_dataset_alloc(struct ws_dataset *set, size_t n, int height, int width, int channels,
                                  bool with_block);

/** Leave the images i with keep[i] in `set`, in their order; `digest` stays what it was. */
void ws_dataset_keep(struct ws_dataset *set, const uint8_t *keep);

/** Recompute `digest` from size, ids, labels and pixels. */
void ws_dataset_update_digest(struct ws_dataset *set);

/**
 * Split by id: an image is held out iff its hash under `seed` falls below `share`, whatever the order or number of the
 * others. Both lists have room for set->n indices and come out ascending.
 */
void ws_dataset_split(const struct ws_dataset *set, double share, uint64_t seed, uint32_t *train, size_t *n_train,
                      uint32_t *held, size_t *n_held);

/** 32 bits of an id, for random-number keys. */
uint32_t ws_id_key(const struct ws_image_id *id);

/** Mean and standard deviation of each channel over the listed images, pixels scaled to 0..1. */
void ws_dataset_statistics(const struct ws_dataset *set, const uint32_t *images, size_t n, float *mean, float *std);

#endif
