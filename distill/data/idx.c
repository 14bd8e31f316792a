/* IDX files as the MNIST family ships them: big-endian head, then unsigned bytes, plain or gzip. */
#include "set.h"

#include "webstill/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { IDX_UNSIGNED_BYTE = 8, IDX_MAX_RANK = 4, READ_BLOCK = 1 << 20 };

/* A budget against a head that announces more than any machine here holds. */
static const size_t max_payload_bytes = (size_t)16 << 30;

struct idx {
    gzFile file;
    const char *path;
    int rank;
    size_t shape[IDX_MAX_RANK];
};

static enum ws_status fail_truncated(const struct idx *idx, const char *part, size_t expected, size_t found,
                                     struct ws_err *err)
{
    return ws_fail(err, WS_E_FORMAT, "%s: %s: expected %zu bytes, the file ends after %zu", idx->path, part, expected,
                   found);
}

/* Reads exactly `len` bytes; a short read or broken gzip data is WS_E_FORMAT. */
static enum ws_status read_exactly(const struct idx *idx, const char *part, uint8_t *bytes, size_t len,
                                   struct ws_err *err)
{
    size_t done = 0;
    while (done < len) {
        const unsigned want = len - done < READ_BLOCK ? (unsigned)(len - done) : READ_BLOCK;
        const int got = gzread(idx->file, bytes + done, want);
        if (got < 0) {
            int code = 0;
            const char *why = gzerror(idx->file, &code);
            if (code == Z_ERRNO)
                return ws_fail_errno(err, "%s: reading %s", idx->path, part);
            return ws_fail(err, WS_E_FORMAT, "%s: damaged gzip data in %s behind byte %zu: %s", idx->path, part, done,
                           why);
        }
        if (got == 0)
            return fail_truncated(idx, part, len, done, err);
        done += (size_t)got;
    }
    return WS_OK;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum ws_status read_head(struct idx *idx, int min_rank, int max_rank, struct ws_err *err)
{
    uint8_t magic[4], dimensions[4 * IDX_MAX_RANK];
    enum ws_status status = read_exactly(idx, "the magic number", magic, sizeof magic, err);
    if (status != WS_OK)
        return status;
    idx->rank = magic[3];
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != IDX_UNSIGNED_BYTE || idx->rank < min_rank || idx->rank > max_rank)
        return ws_fail(err, WS_E_FORMAT,
                       "%s: magic number %02x%02x%02x%02x at byte 0: expected 000008%02x%s (unsigned bytes, rank %d%s)",
                       idx->path, magic[0], magic[1], magic[2], magic[3], (unsigned)min_rank,
                       max_rank > min_rank ? " or one more" : "", min_rank, max_rank > min_rank ? " or 4" : "");
    status = read_exactly(idx, "the dimensions", dimensions, 4 * (size_t)idx->rank, err);
    for (int i = 0; status == WS_OK && i < idx->rank; i++) {
        idx->shape[i] = big_endian(dimensions + 4 * i);
        if (idx->shape[i] == 0)
            status = ws_fail(err, WS_E_FORMAT, "%s: dimension %d at byte %d is 0", idx->path, i, 4 + 4 * i);
    }
    return status;
}

static enum ws_status open_idx(struct idx *idx, const char *path, int min_rank, int max_rank, struct ws_err *err)
{
    *idx = (struct idx){.path = path};
    errno = 0;
    idx->file = gzopen(path, "rb");
    if (!idx->file) {
        const enum ws_status status = ws_fail_errno(err, "%s", path);
        ws_err_hint(err, "check teacher.train_images, teacher.train_labels, eval.images and eval.labels; `make data` "
                         "fetches Fashion-MNIST for the demo");
        return status;
    }
    gzbuffer(idx->file, 1 << 17);
    return read_head(idx, min_rank, max_rank, err);
}

/* The payload must end where the dimensions say it does; reading on also makes zlib check its CRC. */
static enum ws_status read_payload(const struct idx *idx, uint8_t *bytes, size_t len, struct ws_err *err)
{
    const enum ws_status status = read_exactly(idx, "the data", bytes, len, err);
    if (status != WS_OK)
        return status;
    uint8_t more;
    const int got = gzread(idx->file, &more, 1);
    if (got > 0)
        return ws_fail(err, WS_E_FORMAT, "%s: expected the end behind %zu bytes of data, found more", idx->path, len);
    if (got < 0)
        return ws_fail(err, WS_E_FORMAT, "%s: damaged gzip data behind %zu bytes of data", idx->path, len);
    return WS_OK;
}

/* A gzip member that is cut right behind its data still yields all of it: gzclose tells. */
static enum ws_status close_idx(struct idx *idx, enum ws_status status, struct ws_err *err)
{
    if (!idx->file)
        return status;
    const int code = gzclose_r(idx->file);
    idx->file = NULL;
    if (status == WS_OK && code == Z_BUF_ERROR)
        return ws_fail(err, WS_E_FORMAT, "%s: the gzip stream ends without its checksum", idx->path);
    return status;
}

static enum ws_status read_images(struct ws_dataset *set, const char *path, struct ws_err *err)
{
    struct idx idx;
    enum ws_status status = open_idx(&idx, path, 3, 4, err);
    if (status != WS_OK)
        return close_idx(&idx, status, err);
    const size_t n = idx.shape[0], channels = idx.rank == 4 ? idx.shape[3] : 1;
    const size_t bytes = ws_size_mul(ws_size_mul(n, idx.shape[1]), ws_size_mul(idx.shape[2], channels));
    if (channels != 1 && channels != 3)
        status = ws_fail(err, WS_E_UNSUPPORTED, "%s: %zu channels: expected 1 or 3", path, channels);
    else if (bytes > max_payload_bytes || idx.shape[1] > 4096 || idx.shape[2] > 4096 || n > INT32_MAX)
        status =
            ws_fail(err, WS_E_MEMORY, "%s: announces %zu images of %zu x %zu: more than %zu GiB or 4096 pixels a side",
                    path, n, idx.shape[1], idx.shape[2], max_payload_bytes >> 30);
    else if (!ws_dataset_alloc(set, n, (int)idx.shape[1], (int)idx.shape[2], (int)channels, true))
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for %zu bytes of pixels", path, bytes);
    if (status == WS_OK)
        status = read_payload(&idx, set->block, bytes, err);
    return close_idx(&idx, status, err);
}

static enum ws_status read_labels(struct ws_dataset *set, const char *path, int n_classes, struct ws_err *err)
{
    struct idx idx;
    uint8_t *labels = NULL;
    enum ws_status status = open_idx(&idx, path, 1, 1, err);
    if (status == WS_OK && idx.shape[0] != set->n)
        status = ws_fail(err, WS_E_FORMAT, "%s: expected %zu labels, one for each image, found %zu", path, set->n,
                         idx.shape[0]);
    if (status == WS_OK && !(labels = ws_calloc(set->n, 1)))
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for %zu labels", path, set->n);
    if (status == WS_OK)
        status = read_payload(&idx, labels, set->n, err);
    for (size_t i = 0; status == WS_OK && i < set->n; i++) {
        set->labels[i] = labels[i];
        if (labels[i] < n_classes)
            continue;
        status = ws_fail(err, WS_E_FORMAT,
                         "%s: label %d at byte %zu: expected a class below %d, as the configuration lists %d classes",
                         path, labels[i], 8 + i, n_classes, n_classes);
        ws_err_hint(err, "list every class of the labels under `classes`, in the labels' order");
    }
    free(labels);
    return close_idx(&idx, status, err);
}

enum ws_status ws_dataset_open_idx(struct ws_dataset *set, const char *images_path, const char *labels_path,
                                   int n_classes, struct ws_err *err)
{
    *set = (struct ws_dataset){0};
    enum ws_status status = read_images(set, images_path, err);
    if (status == WS_OK)
        status = read_labels(set, labels_path, n_classes, err);
    if (status != WS_OK) {
        if (status == WS_E_FORMAT)
            ws_err_hint(err,
                        "the file is cut or damaged, or another one than its key asks for: fetch it again (for the "
                        "demo: remove build/data/fashion-mnist, then `make data`)");
        ws_dataset_close(set);
        return status;
    }
    for (size_t i = 0; i < set->n; i++)
        for (unsigned b = 0; b < 8; b++)
            set->ids[i].bytes[15 - b] = (uint8_t)((uint64_t)i >> 8 * b);
    ws_dataset_update_digest(set);
    return WS_OK;
}
