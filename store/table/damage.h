/** What LMDB leaves to its users: files that were cut off, pages that break its format, a full disk. */
#ifndef WEBSTILL_STORE_TABLE_DAMAGE_H
#define WEBSTILL_STORE_TABLE_DAMAGE_H

#include <lmdb.h>
#include <stdbool.h>

/** Is `rc` what a full disk looks like? LMDB reports its short write as EIO, so the code alone does not tell. */
bool ws_tables_is_disk_full(int rc, const char *dir);

/**
 * Give DIR/data.mdb at least the length that its own books promise; call it right behind mdb_env_open().
 *
 * A file that was cut off (a copy that ended early) would end the process with SIGBUS at the first read behind its end.
 * A short file alone proves nothing, as LMDB need not write its last pages when they are unused: so what is missing
 * becomes zeros, and LMDB's page checks and our checksums find it. Bytes that are there stay as they are, also with a
 * writer beside. Returns 0, or MDB_CORRUPTED for a short file that cannot be written.
 */
int ws_tables_restore_length(MDB_env *env, const char *dir);

/** Where LMDB would abort over a page of `env`, the process ends with the exit code of a damaged store, and says so. */
void ws_tables_end_on_damage(MDB_env *env);

#endif
