/* The image store as a data set: pixels stay in the store's mapping. */
#include "dataset.h"

#include "webstill/store/images.h"

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
