/* A labelled set as people keep them: one folder a class. */
#include "set.h"
#include "webstill/picture/keys.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"
#include "webstill/base/stop.h"
#include "webstill/base/text.h"
#include "webstill/picture/square.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE_BYTES = 256 << 20 };

/* '/' cannot stand in a folder's name. */
static void folder_name(const char *class_name, char name[256])
{
    snprintf(name, 256, "%s", class_name);
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '_';
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static enum ws_status fail_folder(const char *path, const char *name, const struct ws_config *config,
                                  struct ws_err *err)
{
    const char **names = ws_calloc(config->n_classes + 1, sizeof *names);
    for (unsigned i = 0; names && i < config->n_classes; i++)
        names[i] = config->classes[i].name;
    const char *nearest = names ? ws_nearest_name(name, names) : NULL;
    ws_fail(err, WS_E_CONFIG, "%s/%s: a folder that is no class of the configuration%s%s%s", path, name,
            nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    ws_err_hint(err, "name each folder like its class, '/' as '_', or move it away");
    free(names);
    return WS_E_CONFIG;
}

/* Folders that no class claims are a mistake in one of the two lists. */
static enum ws_status check_folders(const char *path, const struct ws_config *config, struct ws_err *err)
{
    struct ws_dir_list list = {0};
    enum ws_status status = ws_dir_list_open(&list, path, "", err);
    for (size_t i = 0; status == WS_OK && i < list.n; i++) {
        char full[WS_PATH_BYTES], name[256];
        bool is_known = list.names[i][0] == '.';
        for (unsigned c = 0; !is_known && c < config->n_classes; c++) {
            folder_name(config->classes[c].name, name);
            is_known = strcmp(name, list.names[i]) == 0;
        }
        status = ws_path_join(full, path, err, "%s", list.names[i]);
        if (status == WS_OK && !is_known && is_folder(full))
            status = fail_folder(path, list.names[i], config, err);
    }
    ws_dir_list_close(&list);
    return status;
}

static enum ws_status list_classes(struct ws_dir_list *lists, const char *path, const struct ws_config *config,
                                   size_t *n, struct ws_err *err)
{
    *n = 0;
    for (unsigned c = 0; c < config->n_classes; c++) {
        char name[256], full[WS_PATH_BYTES];
        folder_name(config->classes[c].name, name);
        enum ws_status status = ws_path_join(full, path, err, "%s", name);
        if (status == WS_OK)
            status = ws_dir_list_open(&lists[c], full, "", err);
        if (status != WS_OK)
            return status;
        size_t kept = 0;
        for (size_t i = 0; i < lists[c].n; i++) {
            char *file = lists[c].names[i];
            if (file[0] == '.')
                free(file);
            else
                lists[c].names[kept++] = file;
        }
        lists[c].n = kept;
        *n += kept;
        if (kept > 0)
            continue;
        ws_fail(err, WS_E_FORMAT, "class \"%s\": expected images in the folder %s, found none", config->classes[c].name,
                full);
        ws_err_hint(err, "each class needs a folder of its name ('/' as '_') with JPEG, PNG or WebP files");
        return WS_E_FORMAT;
    }
    return WS_OK;
}

static enum ws_status read_image(struct ws_dataset *set, size_t i, const char *path, const struct ws_config *config,
                                 struct ws_buf *file, struct ws_err *err)
{
    char reason[WS_DECODE_REASON];
    const enum ws_status status = ws_file_read(path, MAX_FILE_BYTES, file, err);
    if (status != WS_OK)
        return status;
    const struct ws_span body = {(const uint8_t *)file->ptr, file->len};
    if (!ws_decode_square(body, ws_store_keys(config), set->block + i * ws_dataset_image_bytes(set), reason)) {
        ws_fail(err, WS_E_FORMAT, "%s: %s", path, reason);
        ws_err_hint(err, "mend or remove the file; section `store` sets the limits on size and shape");
        return WS_E_FORMAT;
    }
    const struct ws_digest digest = ws_sha256(file->ptr, file->len);
    set->ids[i] = ws_image_id_of(&digest);
    return WS_OK;
}

static enum ws_status read_classes(struct ws_dataset *set, const struct ws_dir_list *lists, const char *path,
                                   const struct ws_config *config, struct ws_err *err)
{
    struct ws_buf file = {0};
    struct ws_progress progress;
    ws_progress_begin(&progress, "reading", "images", (int64_t)set->n, 0);
    enum ws_status status = WS_OK;
    size_t i = 0;
    for (unsigned c = 0; status == WS_OK && c < config->n_classes; c++) {
        char name[256], full[WS_PATH_BYTES];
        folder_name(config->classes[c].name, name);
        for (size_t k = 0; status == WS_OK && k < lists[c].n; k++, i++) {
            set->labels[i] = (int32_t)c;
            status = ws_path_join(full, path, err, "%s/%s", name, lists[c].names[k]);
            if (status == WS_OK)
                status = ws_stop_asked()
                             ? ws_fail(err, WS_E_STOPPED, "stopped by a signal after %zu of %zu images", i, set->n)
                             : read_image(set, i, full, config, &file, err);
            ws_progress_step(&progress, (int64_t)i, NULL);
        }
    }
    ws_progress_end(&progress, (int64_t)i, NULL);
    ws_buf_fini(&file);
    return status;
}

enum ws_status ws_dataset_folder_digest(const char *path, const struct ws_config *config, struct ws_digest *digest,
                                        struct ws_err *err)
{
    struct ws_sha256_stream stream;
    struct ws_buf settings = {0};
    enum ws_status status = ws_config_print(config, "store", &settings, err);
    if (status == WS_OK && !ws_sha256_init(&stream))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the digest of %s", path);
    if (status != WS_OK) {
        ws_buf_fini(&settings);
        return status;
    }
    ws_sha256_add(&stream, settings.ptr, settings.len);
    for (unsigned c = 0; status == WS_OK && c < config->n_classes; c++) {
        struct ws_dir_list list = {0};
        char name[256], full[WS_PATH_BYTES];
        folder_name(config->classes[c].name, name);
        status = ws_path_join(full, path, err, "%s", name);
        if (status == WS_OK)
            status = ws_dir_list_open(&list, full, "", err);
        for (size_t i = 0; status == WS_OK && i < list.n; i++) {
            struct ws_digest file;
            status = ws_path_join(full, path, err, "%s/%s", name, list.names[i]);
            if (status != WS_OK || is_folder(full))
                continue;
            status = ws_sha256_file(full, &file, err);
            ws_sha256_add(&stream, file.bytes, sizeof file.bytes);
        }
        ws_sha256_add(&stream, name, strlen(name) + 1);
        ws_dir_list_close(&list);
    }
    *digest = ws_sha256_finish(&stream);
    ws_buf_fini(&settings);
    return status;
}

enum ws_status ws_dataset_open_folder(struct ws_dataset *set, const char *path, const struct ws_config *config,
                                      struct ws_err *err)
{
    *set = (struct ws_dataset){0};
    if (!is_folder(path)) {
        ws_fail(err, WS_E_IO, "\"%s\": expected a folder with one folder of images per class", path);
        ws_err_hint(err, "check teacher.folder and eval.folder");
        return WS_E_IO;
    }
    struct ws_dir_list *lists = ws_calloc(config->n_classes, sizeof *lists);
    if (!lists)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %u classes", config->n_classes);
    size_t n = 0;
    const int size = (int)ws_store_keys(config)->size;
    enum ws_status status = check_folders(path, config, err);
    if (status == WS_OK)
        status = list_classes(lists, path, config, &n, err);
    if (status == WS_OK && !ws_dataset_alloc(set, n, size, size, (int)ws_store_keys(config)->channels, true))
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for %zu images of %d pixels a side", path, n, size);
    if (status == WS_OK)
        status = read_classes(set, lists, path, config, err);
    if (status == WS_OK)
        ws_dataset_update_digest(set);
    else
        ws_dataset_close(set);
    for (unsigned c = 0; c < config->n_classes; c++)
        ws_dir_list_close(&lists[c]);
    free(lists);
    return status;
}
