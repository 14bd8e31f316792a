/** Fuzz target: any bytes as a safetensors file. Touches every byte that an entry claims. */
#define _GNU_SOURCE /* memfd_create */
#include "webstill/tensors/file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const struct ws_tensors *tensors)
{
    unsigned sum = 0;
    for (size_t i = 0; i < ws_tensors_count(tensors); i++) {
        const struct ws_tensor_entry *entry = ws_tensors_at(tensors, i);
        size_t n = ws_dtype_size(entry->dtype);
        for (int k = 0; k < entry->rank; k++)
            n *= (size_t)entry->shape[k];
        if (n != entry->size_bytes || ws_tensors_find(tensors, entry->name) != entry)
            abort();
        for (size_t k = 0; k < entry->size_bytes; k++)
            sum += ((const uint8_t *)entry->data)[k];
    }
    for (size_t i = 0; i < ws_tensors_metadata_count(tensors); i++)
        sum += (unsigned)strlen(ws_tensors_metadata_at(tensors, i).value);
    if (sum == UINT32_MAX && ws_tensors_count(tensors) == SIZE_MAX) /* never: keeps the sum, and with it the reads */
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct ws_tensors *tensors = NULL;
    struct ws_err err = {0};
    const int fd = memfd_create("tensors", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, data + done, size - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum ws_status status = ws_tensors_open(&tensors, path, &err);
    if ((status == WS_OK) != (tensors != NULL) || status == WS_E_INTERNAL)
        abort();
    if (tensors)
        touch(tensors);
    ws_tensors_close(&tensors);
    (void)close(fd);
    return 0;
}
