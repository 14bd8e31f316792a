/**
 * A scratch folder for one test, below build/tmp/, removed with everything in it.
 *
 *   char folder[TEMP_PATH];
 *   temp_make(folder);                                   // aborts the test when it cannot
 *   temp_join(path, folder, "a/b.json");
 *   temp_write(path, "text", 4);                         // parents are made
 *   temp_remove(folder);
 *
 * As cmocka fixtures: cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown); *state is then the folder's
 * path.
 */
#ifndef WEBSTILL_TESTS_UNIT_TEMP_H
#define WEBSTILL_TESTS_UNIT_TEMP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMP_PATH = 1024 };

static inline void temp_check(int is_fine, const char *what, const char *path)
{
    if (is_fine)
        return;
    fprintf(stderr, "temp.h: cannot %s %s: %s\n", what, path, strerror(errno));
    abort();
}

/** Make a new folder and write its path. */
static inline void temp_make(char folder[TEMP_PATH])
{
    temp_check(mkdir("build", 0777) == 0 || errno == EEXIST, "make", "build");
    temp_check(mkdir("build/tmp", 0777) == 0 || errno == EEXIST, "make", "build/tmp");
    snprintf(folder, TEMP_PATH, "build/tmp/test-XXXXXX");
    temp_check(mkdtemp(folder) != NULL, "make", folder);
}

/** Remove a file, or a folder with all that is in it. Follows no links. */
static inline void temp_remove(const char *path)
{
    struct stat facts;
    if (lstat(path, &facts) != 0)
        return;
    if (!S_ISDIR(facts.st_mode)) {
        temp_check(unlink(path) == 0, "remove", path);
        return;
    }
    DIR *stream = opendir(path);
    temp_check(stream != NULL, "list", path);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t size = strlen(path) + strlen(entry->d_name) + 2;
        char *child = malloc(size);
        temp_check(child != NULL, "remove", path);
        snprintf(child, size, "%s/%s", path, entry->d_name);
        temp_remove(child);
        free(child);
    }
    closedir(stream);
    temp_check(rmdir(path) == 0, "remove", path);
}

/** "folder/name"; the result is `path`. */
static inline char *temp_join(char path[TEMP_PATH], const char *folder, const char *name)
{
    int length = snprintf(path, TEMP_PATH, "%s/%s", folder, name);
    temp_check(length > 0 && length < TEMP_PATH, "name", name);
    return path;
}

/** Write a file as it is; makes the folders above it. */
static inline void temp_write(const char *path, const void *bytes, size_t len)
{
    char part[TEMP_PATH];
    temp_check(strlen(path) < sizeof part, "name", path);
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        temp_check(mkdir(part, 0777) == 0 || errno == EEXIST, "make", part);
        *slash = '/';
    }
    FILE *stream = fopen(path, "wb");
    temp_check(stream != NULL, "create", path);
    temp_check(fwrite(bytes, 1, len, stream) == len, "write", path);
    temp_check(fclose(stream) == 0, "write", path);
}

/** cmocka fixture: *state becomes the path (char *) of a new folder. */
static inline int temp_setup(void **state)
{
    char *folder = malloc(TEMP_PATH);
    temp_check(folder != NULL, "make", "a path");
    temp_make(folder);
    *state = folder;
    return 0;
}

static inline int temp_teardown(void **state)
{
    temp_remove(*state);
    free(*state);
    return 0;
}

#endif
