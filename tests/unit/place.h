/**
 * A working directory with crawl and store done, and the other stages as commands on it:
 *
 *   struct place place;
 *   make_place(&place, folder, "kd3, ce");     // distill.methods
 *   must(&place, ws_teacher_command);
 *   free_place(&place);
 */
#ifndef WEBSTILL_TESTS_UNIT_PLACE_H
#define WEBSTILL_TESTS_UNIT_PLACE_H

#include "../../distill/commands.h"
#include "program.h"
#include "workdir.h"

#include "webstill/stage/cli.h"

enum { N_WEB = 80, N_TRAIN = 150, N_TEST = 60, SIDE = WORKDIR_SIDE };

struct place {
    struct workdir work;
    char *folder;
};

typedef enum ws_status command_fn(const struct ws_run *run, struct ws_err *err);

static inline void write_idx(const char *folder, const char *name, size_t first, size_t n, bool is_images)
{
    char path[TEMP_PATH];
    static uint8_t bytes[16 + N_TRAIN * SIDE * SIDE];
    const uint8_t head[] = {0, 0, 8, is_images ? 3 : 1, 0, 0, 0, (uint8_t)n, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    size_t len = is_images ? 16 : 8;
    memcpy(bytes, head, len);
    for (size_t i = first; i < first + n; i++) {
        if (is_images)
            workdir_draw(bytes + len, i, (int)(i % 3));
        else
            bytes[len] = (uint8_t)(i % 3);
        len += is_images ? SIDE * SIDE : 1;
    }
    temp_write(temp_join(path, folder, name), bytes, len);
}

static inline void make_place(struct place *place, char *folder, const char *methods)
{
    char text[4096], path[TEMP_PATH];
    place->folder = folder;
    place->work = (struct workdir){.n_images = N_WEB};
    write_idx(folder, "train-images", 0, N_TRAIN, true);
    write_idx(folder, "train-labels", 0, N_TRAIN, false);
    write_idx(folder, "test-images", 1000, N_TEST, true);
    write_idx(folder, "test-labels", 1000, N_TEST, false);
    snprintf(
        text, sizeof text,
        "classes: [one, two, three]\nstore: {size: 28, channels: 1}\n"
        "teacher: {train_images: %s/train-images, train_labels: %s/train-labels, arch: resnet8, steps: 30, batch: 16,\n"
        "  holdout: 0.2, lr: 0.1, schedule: onecycle}\n"
        "distill: {methods: [%s], arch: resnet8, epochs: 2, steps_per_epoch: 6, batch: 16, holdout: 0.2,\n"
        "  kd3: {embedding: 16}, kd3_plus: {refine_steps: 2}}\n"
        "curate: {p_cutoff: 0.3}\n"
        "eval: {images: %s/test-images, labels: %s/test-labels}\n",
        folder, folder, methods, folder, folder);
    temp_write(temp_join(path, folder, "c.yaml"), text, strlen(text));
    snprintf(place->work.folder, sizeof place->work.folder, "%s", folder);
    workdir_config(&place->work, folder);
    place->work.ids = calloc(N_WEB, sizeof *place->work.ids);
    for (size_t i = 0; i < N_WEB; i++) {
        const struct ws_digest digest = ws_sha256(&i, sizeof i);
        place->work.ids[i] = ws_image_id_of(&digest);
    }
    qsort(place->work.ids, N_WEB, sizeof *place->work.ids, workdir_compare_ids);
    workdir_store(&place->work);
    workdir_manifest(&place->work, "store", "store", NULL, "store", N_WEB);
}

static inline void free_place(struct place *place)
{
    ws_config_free(&place->work.config);
    free(place->work.ids);
}

/* Load the configuration again, with the methods changed in the file. */
static inline void set_methods(struct place *place, const char *from, const char *to)
{
    char path[TEMP_PATH], text[4096], changed[4096];
    temp_join(path, place->folder, "c.yaml");
    FILE *stream = fopen(path, "r");
    const size_t len = fread(text, 1, sizeof text - 1, stream);
    fclose(stream);
    text[len] = '\0';
    char *at = strstr(text, from);
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    temp_write(path, changed, strlen(changed));
    ws_config_free(&place->work.config);
    WORKDIR_OK(ws_config_load(&place->work.config, test_program(), path, NULL, 0, err));
}

static inline enum ws_status run_with(struct place *place, command_fn *command, const struct ws_option_value *options,
                                      int64_t limit, struct ws_err *err)
{
    static const struct ws_option_value none = {NULL, NULL};
    const struct ws_run run = {.config = place->work.config,
                               .config_path = place->work.config_path,
                               .work = place->folder,
                               .limit = limit,
                               .options = options ? options : &none};
    *err = (struct ws_err){0};
    return command(&run, err);
}

static inline void must(struct place *place, command_fn *command)
{
    struct ws_err err;
    if (run_with(place, command, NULL, 0, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static inline struct ws_digest digest_of(const struct place *place, const char *name)
{
    char path[TEMP_PATH];
    struct ws_digest digest;
    temp_join(path, place->folder, name);
    WORKDIR_OK(ws_sha256_file(path, &digest, err));
    return digest;
}

#endif
