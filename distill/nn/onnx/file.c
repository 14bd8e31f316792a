/*
 * From bytes to messages. The bytes are walked once before protobuf-c sees them: its parser descends as deep as a file
 * asks, and a message of two bytes in the file takes a few hundred in memory. Tensors that lie outside the file are
 * opened component by component beneath its folder, so that no link and no ".." leads out of it.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 40, MAX_MESSAGES = 1 << 20, MAX_SHOWN = 120 };

/* --- structure --- */

struct walk {
    const uint8_t *bytes;
    size_t at;
    int64_t n_messages;
    const char *file;
    struct ws_err *err;
};

static enum ws_status broken(const struct walk *w, const char *what)
{
    return ws_fail(w->err, WS_E_FORMAT, "%s: byte %zu: %s", w->file, w->at, what);
}

static bool read_varint(struct walk *w, size_t end, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 70 && w->at < end; shift += 7) {
        const uint8_t byte = w->bytes[w->at++];
        *out |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/** Step over one field's content; *length is that of a length-delimited one. */
static enum ws_status skip_content(struct walk *w, size_t end, unsigned wire_type, uint64_t *length)
{
    *length = wire_type == 1 ? 8 : wire_type == 5 ? 4 : 0;
    if (wire_type == 0) {
        uint64_t ignored;
        return read_varint(w, end, &ignored) ? WS_OK : broken(w, "a number does not end");
    }
    if (wire_type == 2 && !read_varint(w, end, length))
        return broken(w, "a length does not end");
    if (wire_type != 1 && wire_type != 2 && wire_type != 5)
        return broken(w, "an unknown kind of field");
    if (*length > end - w->at)
        return ws_fail(w->err, WS_E_FORMAT, "%s: byte %zu: a field of %" PRIu64 " bytes, of which %zu are there",
                       w->file, w->at, *length, end - w->at);
    return WS_OK;
}

static enum ws_status walk_message(struct walk *w, size_t end, const ProtobufCMessageDescriptor *type, int depth)
{
    if (depth > MAX_DEPTH)
        return broken(w, "messages are nested too deep");
    while (w->at < end) {
        uint64_t key, length;
        if (!read_varint(w, end, &key) || key >> 3 == 0 || key >> 3 > INT_MAX)
            return broken(w, "no field begins here");
        enum ws_status status = skip_content(w, end, (unsigned)(key & 7), &length);
        if (status != WS_OK)
            return status;
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, (unsigned)(key >> 3));
        const size_t next = w->at + (size_t)length;
        if (field && field->label == PROTOBUF_C_LABEL_REPEATED && (key & 7) == 2 &&
            (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING ||
             field->type == PROTOBUF_C_TYPE_BYTES) &&
            ++w->n_messages > MAX_MESSAGES)
            return broken(w, "too many nodes, tensors and names");
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && (key & 7) == 2) {
            status = walk_message(w, next, field->descriptor, depth + 1);
            if (status != WS_OK)
                return status;
        }
        w->at = next;
    }
    return WS_OK;
}

/* --- parsing --- */

static void *arena_alloc(void *arena, size_t size_bytes)
{
    return ws_arena_alloc(arena, 1, size_bytes);
}

static void arena_free(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

/** What the bytes look like instead, or NULL. */
static const char *other_format(const uint8_t *bytes, size_t len)
{
    static const struct {
        size_t at;
        const char *magic, *what;
    } known[] = {
        {0, "PK\3\4", "a zip file, perhaps a PyTorch checkpoint (.pth): export it with torch.onnx.export"},
        {0, "\x80\2", "a pickle, perhaps a PyTorch checkpoint: export it with torch.onnx.export"},
        {0, "\x89HDF", "an HDF5 file (Keras): export it with tf2onnx"},
        {8, "{\"", "a safetensors file: name it as weights of an architecture instead"},
        {0, "version https://git-lfs", "a Git LFS pointer: fetch the file itself with git lfs pull"},
        {0, "<", "a web page: the download went wrong"},
        {4, "ORTM", "an ORT file: export to .onnx instead"},
        {4, "TFL3", "a TensorFlow Lite file: export it with tf2onnx"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const size_t n = strlen(known[i].magic);
        if (len >= known[i].at + n && memcmp(bytes + known[i].at, known[i].magic, n) == 0)
            return known[i].what;
    }
    return NULL;
}

enum ws_status ws_onnx_file_parse(struct ws_onnx_file *file, const void *bytes, size_t len, struct ws_err *err)
{
    if (len > INT_MAX)
        return ws_fail(err, WS_E_UNSUPPORTED,
                       "%s: %zu bytes: protobuf allows 2 GiB; keep the weights in a file beside it (external data)",
                       file->name, len);
    struct walk w = {.bytes = bytes, .file = file->name, .err = err};
    enum ws_status status = len > 0 ? walk_message(&w, len, &onnx__model_proto__descriptor, 0)
                                    : ws_fail(err, WS_E_FORMAT, "%s: is empty", file->name);
    if (status == WS_OK) {
        ProtobufCAllocator allocator = {arena_alloc, arena_free, &file->memory};
        file->model = onnx__model_proto__unpack(&allocator, len, bytes);
        if (!file->model)
            status = ws_fail(err, WS_E_FORMAT, "%s: a field has another type than ONNX gives it", file->name);
        else if (!file->model->graph || !file->model->has_ir_version)
            status = ws_fail(err, WS_E_FORMAT, "%s: has no graph or no IR version", file->name);
    }
    const char *other = len > 0 ? other_format(bytes, len) : NULL;
    if (status == WS_E_FORMAT) {
        if (other)
            ws_err_hint(err, "it looks like %s", other);
        ws_err_note(err, "not an ONNX file, or a damaged one");
    }
    return status;
}

const char *ws_onnx_printable(struct ws_arena *memory, const char *name)
{
    if (!name)
        return "";
    const size_t n = strlen(name);
    char *copy = ws_arena_strndup(memory, name, n < MAX_SHOWN ? n : MAX_SHOWN);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return copy ? copy : "";
}

/* --- tensors outside the file --- */

/** Open folder/a/b/c without following a link and without leaving the folder; -1 with errno. */
static int open_beneath(const char *folder, const char *location)
{
    char part[NAME_MAX + 1];
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0) {
        const size_t n = strcspn(location, "/");
        const bool is_last = location[n] == 0;
        if (n == 0 || n > NAME_MAX || (n == 1 && location[0] == '.') || (n == 2 && memcmp(location, "..", 2) == 0)) {
            (void)close(fd);
            errno = EINVAL;
            return -1;
        }
        memcpy(part, location, n);
        part[n] = 0;
        const int next = openat(fd, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (is_last ? 0 : O_DIRECTORY));
        const int reason = errno;
        (void)close(fd);
        errno = reason;
        fd = next;
        if (is_last)
            break;
        location += n + 1;
    }
    return fd;
}

/** A plain decimal number of bytes; false for anything else. */
static bool parse_bytes(const char *text, uint64_t *out)
{
    *out = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || *out > (uint64_t)INT64_MAX / 10 - 10)
            return false;
        *out = *out * 10 + (uint64_t)(*c - '0');
    }
    return *text != 0;
}

static enum ws_status read_range(int fd, uint8_t *to, size_t len, uint64_t offset)
{
    for (size_t done = 0; done < len;) {
        const ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return WS_E_IO;
        done += (size_t)n;
    }
    return WS_OK;
}

/** Range-check and read [offset, offset + length) of the open file into the tensor. */
static enum ws_status load_range(struct ws_onnx_file *file, Onnx__TensorProto *tensor, int fd, uint64_t offset,
                                 uint64_t length, bool has_length, const char *where, struct ws_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ws_fail_errno(err, "%s", where);
    if (!S_ISREG(st.st_mode))
        return ws_fail(err, WS_E_FORMAT, "%s: is not a regular file", where);
    const uint64_t size = (uint64_t)st.st_size;
    if (!has_length)
        length = offset <= size ? size - offset : 0;
    if (offset > size || length > size - offset)
        return ws_fail(err, WS_E_FORMAT, "%s: bytes %" PRIu64 " to %" PRIu64 " are wanted; the file has %" PRIu64,
                       where, offset, offset + length, size);
    if (length > (uint64_t)WS_ONNX_MAX_ELEMENTS * sizeof(double))
        return ws_fail(err, WS_E_MEMORY, "%s: %" PRIu64 " bytes are over the budget", where, length);
    uint8_t *bytes = ws_arena_alloc(&file->memory, (size_t)length ? (size_t)length : 1, 1);
    if (!bytes)
        return ws_fail(err, WS_E_MEMORY, "%s: no memory for %" PRIu64 " bytes", where, length);
    if (read_range(fd, bytes, (size_t)length, offset) != WS_OK)
        return ws_fail_errno(err, "%s", where);
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){.len = (size_t)length, .data = bytes};
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
    return WS_OK;
}

enum ws_status ws_onnx_file_load(struct ws_onnx_file *file, Onnx__TensorProto *tensor, struct ws_err *err)
{
    if (!tensor->has_data_location || tensor->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return WS_OK;
    const char *name = ws_onnx_printable(&file->memory, tensor->name);
    const char *location = NULL;
    uint64_t offset = 0, length = 0;
    bool has_length = false;
    for (size_t i = 0; i < tensor->n_external_data; i++) {
        const char *key = tensor->external_data[i]->key, *value = tensor->external_data[i]->value;
        if (!key || !value)
            continue;
        bool is_good = true;
        if (strcmp(key, "location") == 0)
            location = value;
        else if (strcmp(key, "offset") == 0)
            is_good = parse_bytes(value, &offset);
        else if (strcmp(key, "length") == 0)
            is_good = has_length = parse_bytes(value, &length);
        if (!is_good)
            return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": %s \"%s\": expected a number of bytes", file->name,
                           name, ws_onnx_printable(&file->memory, key), ws_onnx_printable(&file->memory, value));
    }
    if (!location)
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": lies outside the file, but no location is given",
                       file->name, name);
    const char *shown = ws_onnx_printable(&file->memory, location);
    if (!file->folder)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: tensor \"%s\": lies in \"%s\", and there is no folder to open it in",
                       file->name, name, shown);
    const char *where = ws_arena_printf(&file->memory, "%s: tensor \"%s\" in \"%s\"", file->name, name, shown);
    if (!where)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory", file->name);
    const int fd = open_beneath(file->folder, location);
    if (fd < 0) {
        if (errno == EINVAL || errno == ELOOP || errno == ENOTDIR)
            return ws_fail(err, WS_E_FORMAT,
                           "%s: expected a file beneath the model's folder, without \"..\", \".\" or links", where);
        return ws_fail_errno(err, "%s", where);
    }
    enum ws_status status = load_range(file, tensor, fd, offset, length, has_length, where, err);
    (void)close(fd);
    return status;
}
