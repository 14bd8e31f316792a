/* The image store as a data set: pixels stay in the store's mapping. */
#include "set.h"

#include "webstill/base/mem.h"
#include "webstill/images/read.h"
#include "webstill/tensors/id_list.h"

#include <stdlib.h>

enum ws_status ws_dataset_open_web(struct ws_dataset *set, const char *store_dir, struct ws_err *err)
{
    *set = (struct ws_dataset){0};
    struct ws_images *images = NULL;
    enum ws_status status = ws_images_open(&images, store_dir, err);
    if (status != WS_OK)
        return status;
    const size_t n = ws_images_count(images);
    const int size = ws_images_size(images), channels = ws_images_channels(images);
    if (n == 0) {
        status = ws_fail(err, WS_E_FORMAT, "%s: the image store is empty", store_dir);
        ws_err_hint(err, "run `webstill report` with this configuration to see why every image was refused");
        goto close_images;
    }
    if (!ws_dataset_alloc(set, n, size, size, channels, false)) {
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for the list of %zu images", store_dir, n);
        goto close_images;
    }
    for (size_t i = 0; i < n; i++) {
        set->pixels[i] = ws_images_pixels(images, i);
        set->labels[i] = ws_images_record(images, i)->label;
        set->ids[i] = *ws_images_id(images, i);
    }
    set->store = images;
    images = NULL;
close_images:
    ws_images_close(&images);
    return status;
}

enum ws_status ws_dataset_restrict(struct ws_dataset *set, const char *list_path, struct ws_err *err)
{
    struct ws_id_list list = {0};
    uint8_t *keep = ws_calloc(set->n ? set->n : 1, sizeof *keep);
    if (!keep)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the choice among %zu images", set->n);
    enum ws_status status = ws_id_list_read(&list, list_path, err);
    if (status == WS_OK)
        status = ws_id_list_mark(&list, list_path, set->ids, set->n, keep, err);
    if (status == WS_OK)
        ws_dataset_keep(set, keep);
    ws_id_list_free(&list);
    free(keep);
    return status;
}
