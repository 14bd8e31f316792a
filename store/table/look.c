#include "damage.h"

#include "webstill/table/tables.h"

#include <errno.h>
#include <stdio.h>

enum { LISTED_MAX = sizeof((struct ws_tables_facts){0}).tables / sizeof(struct ws_table_facts) };

/** The main table of an environment holds the names of the others. */
static int list_tables(MDB_txn *txn, struct ws_tables_facts *facts)
{
    MDB_dbi main_dbi, dbi;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int rc = mdb_dbi_open(txn, NULL, 0, &main_dbi);
    if (rc == 0)
        rc = mdb_cursor_open(txn, main_dbi, &cursor);
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT_NODUP)) == 0 && facts->n_tables < LISTED_MAX) {
        struct ws_table_facts *table = &facts->tables[facts->n_tables];
        MDB_stat stat;
        snprintf(table->name, sizeof table->name, "%.*s", (int)(key.mv_size < 100 ? key.mv_size : 100),
                 (const char *)key.mv_data);
        if (mdb_dbi_open(txn, table->name, 0, &dbi) != 0 || mdb_stat(txn, dbi, &stat) != 0)
            continue; /* a row of the main table, not a table */
        table->n_rows = stat.ms_entries;
        table->depth = stat.ms_depth;
        facts->n_tables++;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum ws_status ws_tables_look(const char *dir, struct ws_tables_facts *facts, struct ws_err *err)
{
    *facts = (struct ws_tables_facts){0};
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_create(&env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env, LISTED_MAX);
    if (rc == 0)
        rc = mdb_env_open(env, dir, MDB_RDONLY, 0600);
    if (rc == 0) {
        ws_tables_end_on_damage(env);
        rc = ws_tables_restore_length(env, dir);
    }
    if (rc == 0)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = mdb_env_info(env, &info);
    if (rc == 0)
        rc = mdb_env_stat(env, &stat);
    if (rc == 0) {
        facts->used_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
        facts->map_bytes = info.me_mapsize;
        facts->transaction = info.me_last_txnid;
        rc = list_tables(txn, facts);
    }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    if (rc == 0)
        return WS_OK;
    return ws_fail(err, rc == ENOENT || rc == EACCES ? WS_E_IO : WS_E_DAMAGED, "%s: %s", dir, mdb_strerror(rc));
}

const char *ws_tables_library(char text[32])
{
    int major = 0, minor = 0, patch = 0;
    (void)mdb_version(&major, &minor, &patch);
    snprintf(text, 32, "%d.%d.%d", major, minor, patch);
    return text;
}
