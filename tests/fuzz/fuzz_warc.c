/** Fuzz target: any bytes as a WARC file. Reads every record; then again from each place where a reader may start. */
#define _GNU_SOURCE /* memfd_create */
#include "webstill/warc/file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BLOCK = 1 << 16, MAX_STEPS = 10000 };

/** Read to the end; touches the borrowed bytes, so that a bad span is seen. Returns the first record's end. */
static uint64_t read_from(const char *path, uint64_t start)
{
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    uint64_t first_end = 0;
    unsigned sum = 0;
    enum ws_status status = ws_warc_reader_open(&reader, path, start, MAX_BLOCK, &err);
    for (int step = 0; reader && status != WS_DONE; step++) {
        status = ws_warc_next(reader, &record, &err);
        if (step > MAX_STEPS || (status != WS_OK && status != WS_DONE && status != WS_E_FORMAT))
            abort();
        for (size_t i = 0; status == WS_OK && i < record.payload.len; i++)
            sum += record.payload.ptr[i];
        if (status == WS_OK && first_end == 0)
            first_end = record.end_bytes;
    }
    ws_warc_reader_close(&reader);
    if (sum == UINT32_MAX && first_end == UINT64_MAX) /* never: keeps the sum, and with it the reads */
        abort();
    return first_end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int fd = memfd_create("warc", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, data + done, size - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const uint64_t end = read_from(path, 0);
    if (end > 0)
        (void)read_from(path, end);
    (void)close(fd);
    return 0;
}
