#include "ring.h"

#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ws_ring {
    struct ws_supply base;
    struct ws_ring_options options;
    struct ws_dataset set;       /* owned: pixels, labels and ids by slot; `n` are filled */
    float *values;               /* owned: [capacity][image] in place of its pixels, or NULL */
    int32_t *groups;             /* owned: [capacity] */
    double *priority;            /* owned: likewise */
    double *sums;                /* owned: [capacity] of the priorities up to each slot */
    uint32_t *slots;             /* owned: [batch] drawn */
    int32_t *labels, *of_groups; /* owned: [batch] of these */
    float *weights;              /* owned: [batch] likewise */
    int64_t n_put;               /* over the whole run: the next one goes to slot n_put mod capacity */
};

static struct ws_ring *ring_of(struct ws_supply *supply)
{
    return (struct ws_ring *)supply;
}

static void close_ring(struct ws_supply *supply)
{
    struct ws_ring *ring = ring_of(supply);
    ws_dataset_close(&ring->set);
    free(ring->values);
    free(ring->groups);
    free(ring->priority);
    free(ring->sums);
    free(ring->slots);
    free(ring->labels);
    free(ring->of_groups);
    free(ring->weights);
}

struct ws_supply *ws_ring_supply(struct ws_ring *ring)
{
    return &ring->base;
}

size_t ws_ring_count(const struct ws_ring *ring)
{
    return ring->set.n;
}

const int32_t *ws_ring_labels(const struct ws_ring *ring)
{
    return ring->set.labels;
}

double ws_ring_priority(const struct ws_ring *ring, uint32_t slot)
{
    return ring->priority[slot];
}

void ws_ring_set_priority(struct ws_ring *ring, uint32_t slot, double priority)
{
    ws_assert(slot < ring->set.n && priority > 0.0);
    ring->priority[slot] = priority;
}

/* --- putting --- */

static void put_bytes(struct ws_ring *ring, const float *image, uint8_t *pixels)
{
    const struct ws_augment *augment = &ring->base.session->augment;
    const size_t n = ws_dataset_image_bytes(&ring->set), channels = (size_t)ring->set.channels;
    for (size_t i = 0; i < n; i++) {
        const float byte = (image[i] * augment->std[i % channels] + augment->mean[i % channels]) * 255.0f;
        pixels[i] = (uint8_t)lrintf(fminf(fmaxf(byte, 0.0f), 255.0f));
    }
}

/* An image's id is its number in the run: so its views differ from those of the one that it replaced. */
static struct ws_image_id id_of(int64_t number)
{
    struct ws_image_id id = {{0}};
    for (size_t i = 0; i < 8; i++)
        id.bytes[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    return id;
}

void ws_ring_put(struct ws_ring *ring, const float *images, int n, const int32_t *labels, const int32_t *groups)
{
    const size_t floats = ws_dataset_image_bytes(&ring->set), capacity = ring->options.capacity;
    double largest = 0.0;
    for (size_t i = 0; i < ring->set.n; i++)
        largest = fmax(largest, ring->priority[i]);
    for (int i = 0; i < n; i++) {
        const size_t slot = (size_t)(ring->n_put % (int64_t)capacity);
        const float *image = images + (size_t)i * floats;
        if (ring->values)
            memcpy(ring->values + slot * floats, image, floats * sizeof *image);
        else
            put_bytes(ring, image, ring->set.block + slot * floats);
        ring->set.labels[slot] = labels ? labels[i] : WS_NO_LABEL;
        ring->set.ids[slot] = id_of(ring->n_put);
        ring->groups[slot] = groups ? groups[i] : WS_NO_LABEL;
        ring->priority[slot] = largest > 0.0 ? largest : 1.0;
        ring->n_put++;
        ring->set.n = ring->set.n < capacity ? ring->set.n + 1 : capacity;
    }
}

/* --- drawing --- */

static enum ws_status begin_ring(struct ws_supply *supply, uint32_t number, struct ws_err *err)
{
    (void)number;
    (void)err;
    supply->epoch = (struct ws_epoch){.n = ring_of(supply)->options.capacity, .alpha = -1.0};
    return WS_OK;
}

/* The first slot whose sum exceeds `at`. */
static uint32_t find_slot(const double *sums, size_t n, double at)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)low;
}

static void fill_batch(struct ws_ring *ring, int n, uint32_t view_pass, struct ws_batch *batch)
{
    for (int i = 0; i < n; i++) {
        ring->labels[i] = ring->set.labels[ring->slots[i]];
        ring->of_groups[i] = ring->groups[ring->slots[i]];
    }
    *batch = (struct ws_batch){.n = n,
                               .set = &ring->set,
                               .images = ring->slots,
                               .labels = ring->labels,
                               .groups = ring->of_groups,
                               .view_pass = view_pass};
}

static void draw_ring(struct ws_supply *supply, const struct ws_place *place, struct ws_batch *batch)
{
    enum { TURN_BITS = 8 };
    struct ws_ring *ring = ring_of(supply);
    const size_t n = ring->set.n;
    const int size = supply->session->batch;
    struct ws_rng rng;
    double sum = 0.0;
    ws_assert(n > 0);
    for (size_t i = 0; i < n; i++)
        ring->sums[i] = sum += ring->priority[i];
    ws_rng_init(&rng, supply->session->seed, WS_STREAM_REPLAY, (uint32_t)place->step, (uint32_t)place->turn);
    for (int i = 0; i < size; i++) {
        const uint32_t slot = ring->slots[i] = find_slot(ring->sums, n, ws_rng_uniform(&rng) * sum);
        ring->weights[i] = (float)pow((double)n * ring->priority[slot] / sum, -ring->options.correction);
    }
    fill_batch(ring, size, (uint32_t)(place->step << TURN_BITS) + (uint32_t)place->turn, batch);
    batch->weights = ring->options.correction > 0.0 ? ring->weights : NULL;
}

static enum ws_status take_ring(struct ws_supply *supply, const uint32_t *images, int n, uint32_t view_pass,
                                struct ws_batch *batch, struct ws_err *err)
{
    struct ws_ring *ring = ring_of(supply);
    for (int i = 0; i < n; i++)
        if (images[i] >= ring->set.n)
            return ws_fail(err, WS_E_DAMAGED, "batch.images: image %u of %zu", images[i], ring->set.n);
    memcpy(ring->slots, images, (size_t)n * sizeof *images);
    fill_batch(ring, n, view_pass, batch);
    return WS_OK;
}

static void show_ring(struct ws_supply *supply, const struct ws_batch *batch, const struct ws_place *place,
                      float *input)
{
    const struct ws_ring *ring = ring_of(supply);
    const struct ws_session *session = supply->session;
    const size_t floats = ws_dataset_image_bytes(&ring->set);
    (void)place;
    const struct ws_view view = {
        .augment = &session->augment, .seed = session->seed, .stream = WS_STREAM_AUGMENT, .pass = batch->view_pass};
    if (!ring->values)
        ws_batch_load(session->workers, &ring->set, &view, batch->images, batch->n, input);
    for (int i = 0; ring->values && i < batch->n; i++)
        memcpy(input + (size_t)i * floats, ring->values + (size_t)batch->images[i] * floats, floats * sizeof *input);
}

static void note_ring(struct ws_supply *supply, const struct ws_batch *batch, const float *loss_of)
{
    struct ws_ring *ring = ring_of(supply);
    ring->options.note(ring->options.argument, ring, batch, loss_of);
}

/* --- keeping --- */

static void save_ring(struct ws_supply *supply, struct ws_checkpoint *checkpoint, bool is_begun)
{
    const struct ws_ring *ring = ring_of(supply);
    const size_t n = ring->set.n, floats = ws_dataset_image_bytes(&ring->set);
    (void)is_begun;
    ws_checkpoint_add_list(checkpoint, "ring.n_put", WS_I64, 1, &ring->n_put);
    if (ring->values)
        ws_checkpoint_add_list(checkpoint, "ring.values", WS_F32, n * floats, ring->values);
    else
        ws_checkpoint_add_list(checkpoint, "ring.pixels", WS_U8, n * floats, ring->set.block);
    ws_checkpoint_add_list(checkpoint, "ring.labels", WS_I32, n, ring->set.labels);
    ws_checkpoint_add_list(checkpoint, "ring.groups", WS_I32, n, ring->groups);
    ws_checkpoint_add_list(checkpoint, "ring.priority", WS_F64, n, ring->priority);
}

static bool take_list(const struct ws_tensors *file, const char *name, enum ws_dtype dtype, size_t n, void *out)
{
    size_t found = 0;
    const void *list = ws_checkpoint_get_list(file, name, dtype, &found);
    if (!list || found != n)
        return false;
    memcpy(out, list, n * ws_dtype_size(dtype));
    return true;
}

static enum ws_status load_ring(struct ws_supply *supply, const struct ws_tensors *file, bool is_begun,
                                struct ws_err *err)
{
    struct ws_ring *ring = ring_of(supply);
    const size_t capacity = ring->options.capacity, floats = ws_dataset_image_bytes(&ring->set);
    int64_t n_put = 0;
    if (!take_list(file, "ring.n_put", WS_I64, 1, &n_put) || n_put < 0)
        return ws_fail(err, WS_E_DAMAGED, "tensor ring.n_put is missing or no count");
    const size_t n = n_put < (int64_t)capacity ? (size_t)n_put : capacity;
    if (!(ring->values ? take_list(file, "ring.values", WS_F32, n * floats, ring->values)
                       : take_list(file, "ring.pixels", WS_U8, n * floats, ring->set.block)) ||
        !take_list(file, "ring.labels", WS_I32, n, ring->set.labels) ||
        !take_list(file, "ring.groups", WS_I32, n, ring->groups) ||
        !take_list(file, "ring.priority", WS_F64, n, ring->priority))
        return ws_fail(err, WS_E_DAMAGED, "the ring's tensors are missing or not of %zu images", n);
    for (size_t i = 0; i < n; i++)
        if (!(ring->priority[i] > 0.0) || !isfinite(ring->priority[i]))
            return ws_fail(err, WS_E_DAMAGED, "ring.priority: %g of image %zu", ring->priority[i], i);
    ring->n_put = n_put;
    ring->set.n = n;
    for (int64_t k = n_put - (int64_t)n; k < n_put; k++)
        ring->set.ids[k % (int64_t)capacity] = id_of(k);
    return is_begun ? begin_ring(supply, 0, err) : WS_OK;
}

static bool alloc_ring(struct ws_ring *ring, const struct ws_session *session)
{
    const size_t capacity = ring->options.capacity, batch = (size_t)session->batch;
    const struct ws_dataset *like = session->data;
    if (!ws_dataset_alloc(&ring->set, capacity, like->height, like->width, like->channels, !ring->options.keeps_floats))
        return false;
    ring->set.n = 0;
    if (ring->options.keeps_floats)
        ring->values = ws_calloc(capacity, ws_size_mul(ws_dataset_image_bytes(like), sizeof *ring->values));
    ring->groups = ws_calloc(capacity, sizeof *ring->groups);
    ring->priority = ws_calloc(capacity, sizeof *ring->priority);
    ring->sums = ws_calloc(capacity, sizeof *ring->sums);
    ring->slots = ws_calloc(batch, sizeof *ring->slots);
    ring->labels = ws_calloc(batch, sizeof *ring->labels);
    ring->of_groups = ws_calloc(batch, sizeof *ring->of_groups);
    ring->weights = ws_calloc(batch, sizeof *ring->weights);
    return (ring->values || !ring->options.keeps_floats) && ring->groups && ring->priority && ring->sums &&
           ring->slots && ring->labels && ring->of_groups && ring->weights;
}

enum ws_status ws_ring_open(struct ws_ring **out, const struct ws_session *session,
                            const struct ws_ring_options *options, struct ws_err *err)
{
    static const struct ws_supply_kind silent = {.begin = begin_ring,
                                                 .draw = draw_ring,
                                                 .take = take_ring,
                                                 .show = show_ring,
                                                 .save = save_ring,
                                                 .load = load_ring,
                                                 .close = close_ring};
    static const struct ws_supply_kind asking = {.begin = begin_ring,
                                                 .draw = draw_ring,
                                                 .take = take_ring,
                                                 .show = show_ring,
                                                 .note = note_ring,
                                                 .save = save_ring,
                                                 .load = load_ring,
                                                 .close = close_ring};
    ws_assert(options->capacity >= 2);
    struct ws_ring *ring = *out = ws_calloc(1, sizeof *ring);
    if (!ring)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a ring of images");
    ring->options = *options;
    ring->base = (struct ws_supply){.kind = options->note ? &asking : &silent, .session = session};
    if (alloc_ring(ring, session))
        return WS_OK;
    struct ws_supply *supply = &ring->base;
    ws_supply_close(&supply);
    *out = NULL;
    return ws_fail(err, WS_E_MEMORY, "out of memory for a ring of %zu images", options->capacity);
}
