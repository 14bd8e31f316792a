#include "webstill/curate/selection.h"

#include "webstill/tensors/file.h"

#include <inttypes.h>
#include <stdio.h>

/* A written text that names a number: %.17g brings every double back. */
static struct ws_metadata number(char text[32], const char *key, double value)
{
    snprintf(text, 32, "%.17g", value);
    return (struct ws_metadata){key, text};
}

enum ws_status ws_selection_write(const char *path, const struct ws_image_id *ids, const struct ws_selection *selection,
                                  const struct ws_selection_facts *facts, struct ws_err *err)
{
    const int64_t n = (int64_t)selection->n, n_classes = selection->n_classes;
    const size_t images = selection->n, classes = (size_t)selection->n_classes;
    const struct ws_tensor_entry entries[] = {
        {"ids", WS_U8, 2, {n, 16}, ids, images * 16},
        {"keep", WS_U8, 1, {n}, selection->keep, images},
        {"confidence", WS_F32, 1, {n}, selection->confidence, images * sizeof(float)},
        {"predicted", WS_I32, 1, {n}, selection->predicted, images * sizeof(int32_t)},
        {"threshold", WS_F64, 1, {n_classes}, selection->threshold, classes * sizeof(double)},
        {"n_predicted", WS_I64, 1, {n_classes}, selection->n_predicted, classes * sizeof(int64_t)},
        {"n_kept", WS_I64, 1, {n_classes}, selection->n_kept, classes * sizeof(int64_t)},
        {"reason", WS_U8, 1, {n}, selection->reason, images},
        {"weight", WS_F32, 1, {n}, selection->weight, images * sizeof(float)},
    };
    char alpha[32], cutoff[32], epoch[32];
    snprintf(epoch, sizeof epoch, "%" PRIu32, facts->epoch);
    const struct ws_metadata metadata[] = {
        {"rule", facts->rule},
        number(alpha, "alpha", selection->alpha),
        {"epoch", epoch},
        number(cutoff, "p_cutoff", facts->p_cutoff),
    };
    return ws_tensors_write(path, entries, sizeof entries / sizeof *entries, metadata,
                            sizeof metadata / sizeof *metadata, err);
}
