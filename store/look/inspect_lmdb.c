/** `webstill inspect` of LMDB environments: the crawler's frontier and the image store. */
#include "inspect.h"

#include "webstill/base/mem.h"
#include "webstill/images/read.h"
#include "webstill/table/tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS_SHOWN = 1000 };

static void print_environment(const char *folder, const struct ws_tables_facts *facts)
{
    printf("%s: LMDB, %.1f MiB used, map %.1f GiB, transaction %zu\n", folder, (double)facts->used_bytes / (1 << 20),
           (double)facts->map_bytes / (1 << 30), facts->transaction);
    for (int i = 0; i < facts->n_tables; i++)
        printf("  %-12s %zu records, depth %u\n", facts->tables[i].name, facts->tables[i].n_rows,
               facts->tables[i].depth);
}

static enum ws_status print_images(const char *folder, struct ws_err *err)
{
    static const char *const formats[] = {"unknown", "JPEG", "PNG", "WebP"};
    struct ws_images *images = NULL;
    const enum ws_status status = ws_images_open(&images, folder, err);
    if (status != WS_OK)
        return status;
    int64_t by_format[4] = {0}, *by_label = ws_calloc(LABELS_SHOWN + 1, sizeof(*by_label));
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

static bool has_table(const struct ws_tables_facts *facts, const char *name)
{
    for (int i = 0; i < facts->n_tables; i++)
        if (strcmp(facts->tables[i].name, name) == 0)
            return true;
    return false;
}

enum ws_status ws_inspect_lmdb(const char *folder, struct ws_err *err)
{
    struct ws_tables_facts facts;
    const enum ws_status status = ws_tables_look(folder, &facts, err);
    if (status != WS_OK)
        return status;
    print_environment(folder, &facts);
    const bool is_image_store = has_table(&facts, "images") && has_table(&facts, "origins");
    return is_image_store ? print_images(folder, err) : WS_OK;
}
