/** `webstill inspect` of LMDB environments: the crawler's frontier and the image store. */
#include "inspect.h"

#include "webstill/base/mem.h"
#include "webstill/images/read.h"
#include "webstill/table/lmdb.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATABASES_MAX = 64, LABELS_SHOWN = 1000 };

static enum ws_status fail_lmdb(struct ws_err *err, const char *folder, int rc)
{
    return ws_fail(err, rc == ENOENT || rc == EACCES ? WS_E_IO : WS_E_DAMAGED, "%s: %s", folder, mdb_strerror(rc));
}

/** The main database of an environment holds the names of the others. */
static int print_databases(MDB_txn *txn)
{
    MDB_dbi main_dbi, dbi;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int rc = mdb_dbi_open(txn, NULL, 0, &main_dbi);
    if (rc == 0)
        rc = mdb_cursor_open(txn, main_dbi, &cursor);
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT_NODUP)) == 0) {
        char name[128];
        MDB_stat stat;
        snprintf(name, sizeof name, "%.*s", (int)(key.mv_size < 100 ? key.mv_size : 100), (const char *)key.mv_data);
        if (mdb_dbi_open(txn, name, 0, &dbi) == 0 && mdb_stat(txn, dbi, &stat) == 0)
            printf("  %-12s %zu records, depth %u\n", name, stat.ms_entries, stat.ms_depth);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static enum ws_status print_environment(const char *folder, struct ws_err *err)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_create(&env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env, DATABASES_MAX);
    if (rc == 0)
        rc = mdb_env_open(env, folder, MDB_RDONLY, 0600);
    if (rc == 0)
        rc = ws_lmdb_restore_length(env, folder);
    if (rc == 0)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = mdb_env_info(env, &info);
    if (rc == 0)
        rc = mdb_env_stat(env, &stat);
    if (rc == 0) {
        const double used_mib = (double)(info.me_last_pgno + 1) * (double)stat.ms_psize / (1 << 20);
        printf("%s: LMDB, %.1f MiB used, map %.1f GiB, transaction %zu\n", folder, used_mib,
               (double)info.me_mapsize / (1 << 30), info.me_last_txnid);
        rc = print_databases(txn);
    }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return rc == 0 ? WS_OK : fail_lmdb(err, folder, rc);
}

static enum ws_status print_images(const char *folder, struct ws_err *err)
{
    static const char *const formats[] = {"unknown", "JPEG", "PNG", "WebP"};
    struct ws_images *images = NULL;
    const enum ws_status status = ws_images_open(&images, folder, err);
    if (status != WS_OK)
        return status;
    int64_t by_format[4] = {0}, *by_label = ws_calloc(LABELS_SHOWN + 1, sizeof *by_label);
    const size_t n = ws_images_count(images);
    for (size_t i = 0; i < n; i++) {
        const struct ws_image_record *record = ws_images_record(images, i);
        by_format[record->format < 4 ? record->format : 0]++;
        if (by_label && record->label >= WS_LABEL_NONE && record->label < LABELS_SHOWN)
            by_label[record->label + 1]++;
    }
    printf("image store: %zu images of %dx%d, %d channel%s (checksums checked)\n", n, ws_images_size(images),
           ws_images_size(images), ws_images_channels(images), ws_images_channels(images) == 1 ? "" : "s");
    for (int i = 0; i < 4; i++) {
        if (by_format[i] > 0)
            printf("  from %-7s %" PRId64 "\n", formats[i], by_format[i]);
    }
    for (int i = 0; by_label && i <= LABELS_SHOWN; i++) {
        if (by_label[i] > 0 && i == 0)
            printf("  no label     %" PRId64 "\n", by_label[i]);
        else if (by_label[i] > 0)
            printf("  class %-6d %" PRId64 "\n", i - 1, by_label[i]);
    }
    free(by_label);
    ws_images_close(&images);
    return WS_OK;
}

/** An image store is known by its `images` database; it is opened again by its own reader once LMDB has closed it. */
static bool is_image_store(const char *folder)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    bool is_store = false;
    if (mdb_env_create(&env) != 0)
        return false;
    if (mdb_env_set_maxdbs(env, DATABASES_MAX) == 0 && mdb_env_open(env, folder, MDB_RDONLY, 0600) == 0 &&
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0)
        is_store = mdb_dbi_open(txn, "images", 0, &dbi) == 0 && mdb_dbi_open(txn, "origins", 0, &dbi) == 0;
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return is_store;
}

enum ws_status ws_inspect_lmdb(const char *folder, struct ws_err *err)
{
    enum ws_status status = print_environment(folder, err);
    if (status == WS_OK && is_image_store(folder))
        status = print_images(folder, err);
    return status;
}
