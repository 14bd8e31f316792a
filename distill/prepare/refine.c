#include "refine.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"
#include "webstill/base/rng.h"
#include "webstill/base/stop.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/statistics.h"
#include "webstill/tensors/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MOVE = 2, BATCHES_PER_PART = 8, KEY_BYTES = 256 };
static const double beta1 = 0.9, beta2 = 0.999, eps = 1e-10; /* Adam's */

/* --- the view: a move and a mirror, and the way back --- */

struct move {
    int down, right;
    bool is_mirrored;
};

/* The pixel of the image that the view shows at (y, x), or -1 outside. */
static ptrdiff_t source_of(const struct ws_dataset *data, struct move move, int y, int x)
{
    const int from_y = y + move.down, from_x = (move.is_mirrored ? data->width - 1 - x : x) + move.right;
    if (from_y < 0 || from_y >= data->height || from_x < 0 || from_x >= data->width)
        return -1;
    return (ptrdiff_t)from_y * data->width + from_x;
}

/* --- one batch of images under descent --- */

struct descent {
    const struct ws_dataset *data; /* borrowed */
    struct ws_workers *workers;    /* borrowed */
    struct ws_model *teacher;      /* borrowed */
    const struct ws_refine_options *options;
    struct ws_exec *exec;                    /* owned */
    float *x, *momentum, *square;            /* owned: [batch][image] */
    int32_t *targets;                        /* owned: [batch] */
    int batch;                               /* images of it */
    float low[3], high[3];                   /* pixels 0 and 255 as the teacher sees them */
    struct move move;                        /* of the step */
    double correct_momentum, correct_square; /* Adam's, of the step */
    struct ws_progress progress;             /* told at each step: a batch takes longer than a line may be late */
    int64_t n_refined, n_taken;              /* images before the batch, and of it */
};

static void close_descent(struct descent *d)
{
    ws_exec_close(&d->exec);
    free(d->x);
    free(d->momentum);
    free(d->square);
    free(d->targets);
}

static enum ws_status open_descent(struct descent *d, struct ws_err *err)
{
    const struct ws_card *card = &d->teacher->card;
    const size_t floats = ws_size_mul((size_t)d->batch, ws_dataset_image_bytes(d->data));
    for (int c = 0; c < d->data->channels; c++) {
        d->low[c] = (0.0f - card->mean[c]) / card->std[c];
        d->high[c] = (1.0f - card->mean[c]) / card->std[c];
    }
    d->x = ws_calloc(floats, sizeof *d->x);
    d->momentum = ws_calloc(floats, sizeof *d->momentum);
    d->square = ws_calloc(floats, sizeof *d->square);
    d->targets = ws_calloc((size_t)d->batch, sizeof *d->targets);
    if (!d->x || !d->momentum || !d->square || !d->targets)
        return ws_fail(err, WS_E_MEMORY, "out of memory to refine %d images at a time", d->batch);
    const struct ws_exec_options options = {
        .max_batch = d->batch, .backward = true, .input_gradient = true, .taps = &d->teacher->logits, .n_taps = 1};
    return ws_exec_open(&d->exec, d->teacher->net, d->workers, &options, err);
}

static void show_image(void *argument, int slice, int worker)
{
    (void)worker;
    const struct descent *d = argument;
    const size_t channels = (size_t)d->data->channels, at = (size_t)slice * ws_dataset_image_bytes(d->data);
    const float *x = d->x + at;
    float *out = ws_exec_input(d->exec) + at;
    for (int y = 0; y < d->data->height; y++)
        for (int column = 0; column < d->data->width; column++) {
            const ptrdiff_t from = source_of(d->data, d->move, y, column);
            for (size_t c = 0; c < channels; c++)
                *out++ = from < 0 ? d->low[c] : x[(size_t)from * channels + c];
        }
}

/* Adam (Kingma and Ba, 2015) on the pixels that the view showed. */
static void move_image(void *argument, int slice, int worker)
{
    (void)worker;
    const struct descent *d = argument;
    const size_t channels = (size_t)d->data->channels, at = (size_t)slice * ws_dataset_image_bytes(d->data);
    const float *gradient = ws_exec_input_gradient(d->exec) + at;
    float *x = d->x + at, *momentum = d->momentum + at, *square = d->square + at;
    for (int y = 0; y < d->data->height; y++)
        for (int column = 0; column < d->data->width; column++, gradient += channels) {
            const ptrdiff_t from = source_of(d->data, d->move, y, column);
            for (size_t c = 0; from >= 0 && c < channels; c++) {
                const size_t i = (size_t)from * channels + c;
                const double g = (double)gradient[c];
                momentum[i] = (float)(beta1 * (double)momentum[i] + (1.0 - beta1) * g);
                square[i] = (float)(beta2 * (double)square[i] + (1.0 - beta2) * g * g);
                const double step = d->options->lr * ((double)momentum[i] / d->correct_momentum) /
                                    (sqrt((double)square[i] / d->correct_square) + eps);
                const float moved = (float)((double)x[i] - step);
                x[i] = moved < d->low[c] ? d->low[c] : moved > d->high[c] ? d->high[c] : moved;
            }
        }
}

static void choose_targets(struct descent *d, struct ws_rng *rng)
{
    const int n_classes = d->teacher->card.n_classes;
    const float *logits = ws_exec_value(d->exec, d->teacher->logits);
    for (int i = 0; i < d->batch; i++) {
        const bool is_any = ws_rng_uniform(rng) < d->options->any_class;
        const int32_t any = (int32_t)ws_rng_below(rng, (uint32_t)n_classes);
        d->targets[i] = is_any ? any : ws_argmax(logits + (size_t)i * (size_t)n_classes, n_classes);
    }
}

static void descend(struct descent *d, struct ws_rng *rng)
{
    const size_t floats = (size_t)d->batch * ws_dataset_image_bytes(d->data);
    memset(d->momentum, 0, floats * sizeof *d->momentum);
    memset(d->square, 0, floats * sizeof *d->square);
    for (int t = 1; t <= d->options->steps; t++) {
        d->move.down = (int)ws_rng_below(rng, 2 * MAX_MOVE + 1) - MAX_MOVE;
        d->move.right = (int)ws_rng_below(rng, 2 * MAX_MOVE + 1) - MAX_MOVE;
        d->move.is_mirrored = ws_rng_uniform(rng) < 0.5;
        ws_workers_run(d->workers, d->batch, show_image, d);
        ws_exec_forward(d->exec, d->batch, WS_BN_OBSERVE);
        if (t == 1)
            choose_targets(d, rng);
        ws_loss_cross_entropy((struct ws_tap){d->exec, d->teacher->logits}, d->targets, 0.0, 1.0, NULL);
        ws_loss_statistics(d->exec, d->teacher->net, d->options->statistics);
        ws_exec_backward(d->exec);
        d->correct_momentum = 1.0 - pow(beta1, t);
        d->correct_square = 1.0 - pow(beta2, t);
        ws_workers_run(d->workers, d->batch, move_image, d);
        ws_progress_step(&d->progress, d->n_refined + d->n_taken * t / d->options->steps, NULL);
    }
}

/* --- bytes in, bytes out --- */

static void take_bytes(struct descent *d, int slot, const uint8_t *pixels)
{
    const struct ws_card *card = &d->teacher->card;
    const size_t n = ws_dataset_image_bytes(d->data), channels = (size_t)d->data->channels;
    for (size_t i = 0; i < n; i++)
        d->x[(size_t)slot * n + i] = ((float)pixels[i] / 255.0f - card->mean[i % channels]) / card->std[i % channels];
}

static void give_bytes(const struct descent *d, int slot, uint8_t *pixels)
{
    const struct ws_card *card = &d->teacher->card;
    const size_t n = ws_dataset_image_bytes(d->data), channels = (size_t)d->data->channels;
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)lrintf(fminf(
            fmaxf((d->x[(size_t)slot * n + i] * card->std[i % channels] + card->mean[i % channels]) * 255.0f, 0.0f),
            255.0f));
}

/* Batch `number` of the order; the last one is filled up with the order's beginning, whose result is not taken. */
static void refine_batch(struct descent *d, const uint32_t *order, size_t n, size_t number, uint8_t *pixels)
{
    const size_t bytes = ws_dataset_image_bytes(d->data), first = number * (size_t)d->batch;
    struct ws_rng rng;
    ws_rng_init(&rng, d->options->seed, WS_STREAM_REFINE, (uint32_t)number, 1);
    for (int i = 0; i < d->batch; i++)
        take_bytes(d, i, d->data->pixels[order[(first + (size_t)i) % n]]);
    d->n_refined = (int64_t)first;
    d->n_taken = n - first < (size_t)d->batch ? (int64_t)(n - first) : d->batch;
    descend(d, &rng);
    for (int i = 0; i < d->batch && first + (size_t)i < n; i++)
        give_bytes(d, i, pixels + (first + (size_t)i) * bytes);
}

/* --- parts on disk --- */

/* What the bytes depend on, as text. */
static void write_key(char key[KEY_BYTES], const struct descent *d, const uint32_t *order, size_t n)
{
    char teacher[WS_DIGEST_HEX];
    uint64_t images = 0; /* ids, and pixels: the same picture may have been stored in another way since */
    for (size_t i = 0; i < n; i++) {
        images = ws_xxh64(&d->data->ids[order[i]], sizeof *d->data->ids, images);
        images = ws_xxh64(d->data->pixels[order[i]], ws_dataset_image_bytes(d->data), images);
    }
    ws_digest_hex(&d->teacher->digest, teacher);
    snprintf(key, KEY_BYTES,
             "steps %d lr %.9g statistics %.9g any_class %.9g batch %d seed %" PRIu64 " teacher %s images "
             "%016" PRIx64,
             d->options->steps, d->options->lr, d->options->statistics, d->options->any_class, d->batch,
             d->options->seed, teacher, images);
}

struct part {
    char path[WS_PATH_BYTES];
    size_t first, n; /* images of the order */
};

static enum ws_status name_part(char path[WS_PATH_BYTES], const char *dir, size_t number, struct ws_err *err)
{
    return ws_path_join(path, dir, err, "part-%03zu.safetensors", number + 1);
}

static enum ws_status find_part(struct part *part, const char *dir, size_t number, int batch, size_t n,
                                struct ws_err *err)
{
    const size_t size = (size_t)batch * BATCHES_PER_PART;
    part->first = number * size;
    part->n = n - part->first < size ? n - part->first : size;
    return name_part(part->path, dir, number, err);
}

/* True when the part is there, and of this key. */
static bool read_part(const struct part *part, const char *key, size_t bytes, uint8_t *pixels)
{
    struct ws_tensors *file = NULL;
    struct ws_err ignored = {0};
    if (ws_tensors_open(&file, part->path, &ignored) != WS_OK)
        return false;
    const char *found = ws_tensors_metadata(file, "webstill.refine");
    const struct ws_tensor_entry *entry = ws_tensors_find(file, "pixels");
    const bool is_ours = found && strcmp(found, key) == 0 && entry && entry->size_bytes == part->n * bytes;
    if (is_ours)
        memcpy(pixels + part->first * bytes, entry->data, part->n * bytes);
    ws_tensors_close(&file);
    return is_ours;
}

static enum ws_status write_part(const struct part *part, const char *key, const struct ws_dataset *data,
                                 const uint32_t *order, const uint8_t *pixels, struct ws_err *err)
{
    const size_t bytes = ws_dataset_image_bytes(data);
    struct ws_image_id *ids = ws_calloc(part->n, sizeof *ids);
    if (!ids)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %zu image ids", part->n);
    for (size_t i = 0; i < part->n; i++)
        ids[i] = data->ids[order[part->first + i]];
    const struct ws_tensor_entry entries[] = {
        {"ids", WS_U8, 2, {(int64_t)part->n, 16}, ids, part->n * sizeof *ids},
        {"pixels",
         WS_U8,
         4,
         {(int64_t)part->n, data->height, data->width, data->channels},
         pixels + part->first * bytes,
         part->n * bytes},
    };
    const struct ws_metadata metadata = {"webstill.refine", key};
    const enum ws_status status = ws_tensors_write(part->path, entries, 2, &metadata, 1, err);
    free(ids);
    return status;
}

static enum ws_status make_part(struct descent *d, const struct part *part, const char *key, const uint32_t *order,
                                size_t n, uint8_t *pixels, struct ws_err *err)
{
    const size_t batch = (size_t)d->batch;
    for (size_t first = part->first; first < part->first + part->n; first += batch) {
        if (ws_stop_asked())
            return ws_fail(err, WS_E_STOPPED, "stopped while refining images; finished parts are kept");
        refine_batch(d, order, n, first / batch, pixels);
    }
    return write_part(part, key, d->data, order, pixels, err);
}

/* Parts of a larger pool that lay here before. */
static void drop_parts_from(const char *dir, size_t number)
{
    char path[WS_PATH_BYTES];
    while (name_part(path, dir, number++, NULL) == WS_OK && remove(path) == 0)
        continue;
}

static enum ws_status make_parts(struct descent *d, const uint32_t *order, size_t n, const char *dir, uint8_t *pixels,
                                 struct ws_err *err)
{
    const size_t size = (size_t)d->batch * BATCHES_PER_PART;
    char key[KEY_BYTES];
    enum ws_status status = ws_dir_make(dir, err);
    write_key(key, d, order, n);
    ws_progress_begin(&d->progress, "refine", "images", (int64_t)n, 0);
    const size_t n_parts = (n + size - 1) / size;
    for (size_t number = 0; status == WS_OK && number < n_parts; number++) {
        struct part part;
        status = find_part(&part, dir, number, d->batch, n, err);
        if (status == WS_OK && !read_part(&part, key, ws_dataset_image_bytes(d->data), pixels))
            status = make_part(d, &part, key, order, n, pixels, err);
    }
    if (status == WS_OK)
        drop_parts_from(dir, n_parts);
    ws_progress_end(&d->progress, (int64_t)n, NULL);
    return status;
}

enum ws_status ws_refine(struct ws_refined *out, struct ws_model *teacher, struct ws_workers *workers,
                         const struct ws_dataset *data, const uint32_t *images, size_t n,
                         const struct ws_refine_options *options, const char *dir, struct ws_err *err)
{
    ws_assert(options->steps >= 1 && options->batch >= 2 && n >= 2 && ws_statistics_count(teacher->net) > 0);
    *out = (struct ws_refined){0};
    struct descent d = {.data = data,
                        .workers = workers,
                        .teacher = teacher,
                        .options = options,
                        .batch = n < (size_t)options->batch ? (int)n : options->batch};
    const size_t bytes = ws_dataset_image_bytes(data);
    uint32_t *order = ws_calloc(n, sizeof *order);
    out->block = ws_calloc(n, bytes);
    out->pixels = ws_calloc(data->n, sizeof *out->pixels);
    enum ws_status status = order && out->block && out->pixels
                                ? open_descent(&d, err)
                                : ws_fail(err, WS_E_MEMORY, "out of memory for %zu refined images", n);
    if (status == WS_OK) {
        struct ws_rng rng;
        ws_rng_init(&rng, options->seed, WS_STREAM_REFINE, 0, 0);
        ws_rng_permutation(&rng, order, n);
        for (size_t i = 0; i < n; i++) {
            order[i] = images[order[i]];
            out->pixels[order[i]] = out->block + i * bytes;
        }
        status = make_parts(&d, order, n, dir, out->block, err);
    }
    close_descent(&d);
    free(order);
    if (status != WS_OK)
        ws_refined_close(out);
    return status;
}

void ws_refined_close(struct ws_refined *refined)
{
    free(refined->pixels);
    free(refined->block);
    *refined = (struct ws_refined){0};
}

/* --- as a step before a training --- */

static const struct ws_conf_key refine_keys[] = {
    {WS_CONF_MEMBER("refine_steps", WS_CONF_TYPE_UINT, struct ws_refine_keys, steps, uint32_t), .unit = "steps",
     .min = 0, .max = 10000, .fallback = "30",
     .help = "Before the first step, each picture is pulled towards what the teacher's BatchNorm layers remember of "
             "its data, by so many steps of gradient descent on its pixels (DeepInversion, CVPR 2020, begun from the "
             "picture instead of from noise). Shapes stay the web's, fill and texture become the data's. 0 = not done; "
             "needs a teacher with BatchNorm."},
    {WS_CONF_MEMBER("refine_images", WS_CONF_TYPE_UINT, struct ws_refine_keys, images, uint32_t), .unit = "images",
     .min = 0, .max = 1000000000, .fallback = "8000",
     .help = "At most so many pictures are refined, drawn from a larger pool by the seed, and training shows these "
             "alone: what refining costs grows with them, and what it brings does not. 0 = all."},
    {WS_CONF_MEMBER("refine_lr", WS_CONF_TYPE_NUMBER, struct ws_refine_keys, lr, double), .unit = "rate", .min = 0,
     .max = 10, .excluded = WS_CONF_ABOVE, .fallback = "0.1",
     .help = "Adam's rate of this descent, in units of the normalised input."},
    {WS_CONF_MEMBER("refine_statistics", WS_CONF_TYPE_NUMBER, struct ws_refine_keys, statistics, double),
     .unit = "factor", .min = 0, .max = 1000, .fallback = "1",
     .help = "Weight of the distance to the remembered statistics beside the class loss."},
    {WS_CONF_MEMBER("refine_any_class", WS_CONF_TYPE_NUMBER, struct ws_refine_keys, any_class, double), .unit = "share",
     .min = 0, .max = 1, .fallback = "0.3",
     .help = "Share of the pictures that are pulled to any class instead of the one that the teacher sees in them."},
    {WS_CONF_MEMBER("refined_share", WS_CONF_TYPE_NUMBER, struct ws_refine_keys, share, double), .unit = "share",
     .min = 0, .max = 1, .fallback = "0.8", .help = "How often a picture is shown in its refined form."},
    {.name = NULL},
};
const struct ws_conf_section ws_refine_section = {
    .name = "distill.kd3_plus", WS_CONF_KEYS(struct ws_refine_keys, refine_keys), .is_part = true};

static const struct ws_refine_keys *keys_of(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_refine_section);
}

bool ws_refine_is_asked(const struct ws_config *config)
{
    return keys_of(config)->steps > 0 && keys_of(config)->share > 0.0;
}

static int compare_hashes(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* `most` of the n images, whose order is kept; `hashes` is room for 2 n. */
static void draw_sample(uint32_t *sample, size_t most, const struct ws_session *whole, uint64_t *hashes)
{
    const size_t n = whole->n_train;
    for (size_t i = 0; i < n; i++)
        hashes[i] = ws_xxh64(&whole->data->ids[whole->train[i]], sizeof *whole->data->ids, whole->seed);
    memcpy(hashes + n, hashes, n * sizeof *hashes);
    qsort(hashes + n, n, sizeof *hashes, compare_hashes);
    for (size_t i = 0, taken = 0; taken < most; i++)
        if (hashes[i] <= hashes[n + most - 1])
            sample[taken++] = whole->train[i];
}

static enum ws_status narrow(struct ws_session *session, uint32_t **owned, struct ws_err *err)
{
    const size_t most = keys_of(session->config)->images, n = session->n_train;
    *owned = NULL;
    if (most == 0 || n <= most)
        return WS_OK;
    uint32_t *sample = *owned = ws_calloc(most, sizeof *sample);
    uint64_t *hashes = ws_calloc(ws_size_mul(n, 2), sizeof *hashes);
    if (!sample || !hashes) {
        free(hashes);
        return ws_fail(err, WS_E_MEMORY, "out of memory to draw %zu of %zu images", most, n);
    }
    draw_sample(sample, most, session, hashes);
    free(hashes);
    session->train = sample;
    session->n_train = most;
    session->n_pool = n;
    ws_log(WS_LOG_INFO, "%s refines %zu of the %zu images and trains on these (%s.refine_images)", session->card.method,
           most, n, ws_refine_section.name);
    return WS_OK;
}

static enum ws_status make(void **made, const struct ws_session *session, const char *dir, struct ws_err *err)
{
    const struct ws_refine_keys *said = keys_of(session->config);
    const struct ws_refine_options options = {
        .steps = (int)said->steps,
        .lr = said->lr,
        .statistics = said->statistics,
        .any_class = said->any_class,
        .batch = session->batch,
        .seed = session->seed,
    };
    struct ws_model *teacher = NULL;
    struct ws_refined *refined = *made = ws_calloc(1, sizeof *refined);
    if (!refined)
        return ws_fail(err, WS_E_MEMORY, "out of memory for refined images");
    enum ws_status status = ws_model_load(&teacher, session->teacher_path, NULL, err);
    if (status == WS_OK)
        status = ws_refine(refined, teacher, session->workers, session->data, session->train, session->n_train,
                           &options, dir, err);
    ws_model_free(&teacher);
    return status;
}

static void close_made(void **made)
{
    if (!*made)
        return;
    ws_refined_close(*made);
    free(*made);
    *made = NULL;
}

const struct ws_prepare ws_prepare_refine = {
    .name = "refine",
    .folder = "refined",
    .what = "pulled by gradient descent on its pixels towards the statistics that the teacher’s BatchNorm layers "
            "remember of their data",
    .is_asked = ws_refine_is_asked,
    .narrow = narrow,
    .make = make,
    .close = close_made,
};
