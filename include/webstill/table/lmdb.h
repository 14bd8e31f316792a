/** What LMDB leaves to its users. */
#ifndef WEBSTILL_TABLE_LMDB_H
#define WEBSTILL_TABLE_LMDB_H

#include <lmdb.h>
#include <stdbool.h>

/** Is `rc` what a full disk looks like? LMDB reports its short write as EIO, so the code alone does not tell. */
bool ws_lmdb_is_disk_full(int rc, const char *dir);

/**
 * Give DIR/data.mdb at least the length that its own books promise; call it right behind mdb_env_open().
 *
 * A file that was cut off (a copy that ended early) would end the process with SIGBUS at the first read behind its end.
 * A short file alone proves nothing, as LMDB need not write its last pages when they are unused: so what is missing
 * becomes zeros, and LMDB's page checks and our checksums find it. Bytes that are there stay as they are, also with a
 * writer beside. Returns 0, or MDB_CORRUPTED for a short file that cannot be written. Where LMDB itself would abort
 * over a page, the process ends with the exit code of a damaged store and says so: LMDB lets nobody return from its
 * assertions.
 */
int ws_lmdb_restore_length(MDB_env *env, const char *dir);

/** This thread walks the pages of DIR from here on (NULL: no more): a memory fault then ends the process as an
 * assertion of LMDB does. `dir` must live until the next call. */
void ws_lmdb_walk(const char *dir);

#endif
