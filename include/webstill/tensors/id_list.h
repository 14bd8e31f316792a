/**
 * A list of image ids: a text file with one id, 32 hexadecimal digits, a line. It says which images of a store a run
 * may use.
 */
#ifndef WEBSTILL_TENSORS_ID_LIST_H
#define WEBSTILL_TENSORS_ID_LIST_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"

#include <stddef.h>
#include <stdint.h>

/** Ids in the file's order: ids[i] stands in line i + 1. All-zero is a valid empty one. */
struct ws_id_list {
    struct ws_image_id *ids; /**< owned: [n] */
    size_t n;
};

/**
 * Take a list out of a text. `name` is the file's, for messages. WS_E_FORMAT for a line that is no id and for a list
 * without one; both name the file and the line. WS_E_MEMORY. The end of the last line may be missing.
 */
WS_MUST_USE enum ws_status ws_id_list_parse(struct ws_id_list *list, const char *text, size_t len, const char *name,
                                            struct ws_err *err);

/** Read a file: WS_E_CONFIG when it does not exist, WS_E_IO, and as ws_id_list_parse(). Free with ws_id_list_free(). */
WS_MUST_USE enum ws_status ws_id_list_read(struct ws_id_list *list, const char *path, struct ws_err *err);
void ws_id_list_free(struct ws_id_list *list);

/**
 * Find the list among `ids` ([n], ascending): keep[i] becomes 1 where ids[i] is listed, else 0. WS_E_CONFIG, with the
 * file `name` and the line, for an id that is not there or stands twice.
 *
 * Cost: list->n binary searches.
 */
WS_MUST_USE enum ws_status ws_id_list_mark(const struct ws_id_list *list, const char *name,
                                           const struct ws_image_id *ids, size_t n, uint8_t *keep, struct ws_err *err);

#endif
