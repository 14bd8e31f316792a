/* `webstill curate --explain`: why each image is in the selection, or is not. */
#include "curating.h"
#include "order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_MIN = 4 };

/* The numbers of the file as one list, the images of a class by rank. */
struct listing {
    const struct ws_config *config;
    const struct ws_selection_file *file;
    uint32_t *by_rank; /* [n] owned */
};

static void print_head(void)
{
    printf("id\tclass\tconfidence\tthreshold\trank\tof_class\tfate\tdropped_by\tweight\n");
}

static void print_row(const struct listing *listing, uint32_t row, size_t rank, size_t n_of_class)
{
    const struct ws_selection_file *file = listing->file;
    const int c = file->predicted[row];
    char hex[WS_IMAGE_ID_HEX];
    ws_image_id_hex(&file->ids[row], hex);
    const char *reason = file->reason ? ws_selection_reason_name(file->reason[row]) : "threshold";
    const double weight = file->weight ? (double)file->weight[row] : (double)file->keep[row];
    printf("%s\t%s\t%.6f\t%.6f\t%zu\t%zu\t%s\t%s\t%.6f\n", hex,
           c < (int)listing->config->n_classes ? listing->config->classes[c].name : "?", (double)file->confidence[row],
           file->threshold[c], rank, n_of_class, file->keep[row] ? "kept" : "dropped", file->keep[row] ? "-" : reason,
           weight);
}

static void print_class(const struct listing *listing, int c)
{
    size_t n = 0;
    for (size_t i = 0; i < listing->file->n; i++)
        if (listing->file->predicted[i] == c)
            listing->by_rank[n++] = (uint32_t)i;
    ws_order_by_confidence(listing->by_rank, n, listing->file->confidence);
    for (size_t k = 0; k < n; k++)
        print_row(listing, listing->by_rank[k], k + 1, n);
}

static bool is_prefix(const char *what)
{
    const size_t len = strlen(what);
    return len >= PREFIX_MIN && len < WS_IMAGE_ID_HEX && what[strspn(what, "0123456789abcdefABCDEF")] == '\0';
}

static bool matches(const struct ws_image_id *id, const char *prefix)
{
    char hex[WS_IMAGE_ID_HEX];
    ws_image_id_hex(id, hex);
    for (size_t k = 0; prefix[k]; k++)
        if (hex[k] != (prefix[k] >= 'A' && prefix[k] <= 'F' ? prefix[k] - 'A' + 'a' : prefix[k]))
            return false;
    return true;
}

static enum ws_status print_matches(const struct listing *listing, const char *prefix, struct ws_err *err)
{
    bool is_headed = false;
    for (size_t i = 0; i < listing->file->n; i++) {
        if (!matches(&listing->file->ids[i], prefix))
            continue;
        if (!is_headed)
            print_head();
        is_headed = true;
        size_t n_of_class;
        const size_t rank = ws_selection_file_rank(listing->file, i, &n_of_class);
        print_row(listing, (uint32_t)i, rank, n_of_class);
    }
    if (is_headed)
        return WS_OK;
    const enum ws_status status =
        ws_fail(err, WS_E_CONFIG, "--explain: no image of %zu has the id %s", listing->file->n, prefix);
    ws_err_hint(err, "`webstill explain CONFIG %s` tells whether another stage knows it", prefix);
    return status;
}

static enum ws_status explain(const struct listing *listing, const char *what, struct ws_err *err)
{
    const struct ws_config *config = listing->config;
    const bool is_all = strcmp(what, "all") == 0;
    bool is_found = is_all;
    for (int c = 0; c < listing->file->n_classes && c < (int)config->n_classes; c++) {
        if (!is_all && strcmp(what, config->classes[c].name) != 0)
            continue;
        if (!is_all || c == 0)
            print_head();
        print_class(listing, c);
        is_found = true;
    }
    if (is_found)
        return WS_OK;
    if (is_prefix(what))
        return print_matches(listing, what, err);
    ws_fail(err, WS_E_CONFIG,
            "--explain: \"%s\" is neither a class, nor an image id (%d to 32 hexadecimal digits), nor all", what,
            PREFIX_MIN);
    ws_err_hint(err, "the first class is \"%s\"", config->classes[0].name);
    return WS_E_CONFIG;
}

enum ws_status ws_curate_explain(const struct ws_config *config, const char *path, const char *what, struct ws_err *err)
{
    struct ws_selection_file file;
    enum ws_status status = ws_selection_open(&file, path, err);
    if (status != WS_OK)
        return status;
    const struct listing listing = {config, &file, ws_calloc(file.n, sizeof *listing.by_rank)};
    status = listing.by_rank ? explain(&listing, what, err)
                             : ws_fail(err, WS_E_MEMORY, "out of memory for the ranks of %zu images", file.n);
    free(listing.by_rank);
    ws_selection_close(&file);
    return status;
}
