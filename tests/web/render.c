/**
 * render: draws the pictures of the miniature web. A test tool: nothing of webstill links it.
 *
 * usage: render LIST [WORKERS]
 *
 * LIST has one job a line, fields parted by a tab:
 *
 *     SOURCE  OUT  WIDTH  FORMAT [GROUND [CROP]]
 *
 * SOURCE is an SVG, PNG or JPEG file (told by its name's end). WIDTH is in pixels; the height follows from the source's
 * shape. FORMAT is png, webp, jpeg, jpeg-progressive or jpeg-grey. GROUND is #rrggbb or none (JPEG without a ground
 * gets white). CROP is "x y width height" in thousandths of the source, or none.
 *
 * WORKERS processes (default: one a core) share the list. They are processes, not threads, because a drawing may bring
 * the SVG library down: then one job is lost instead of all. A job that fails leaves no file and one line on stderr;
 * the caller sees by the missing file which drawing to leave out.
 *
 * Exit codes: 0 the list was worked through (some drawings may have failed), 1 a worker died and nobody could take
 * over, 2 usage, 5 a line of LIST is malformed.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS is not in POSIX.1-2008 */

#include <errno.h>
#include <librsvg/rsvg.h>
#include <math.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <webp/encode.h>

#include <jpeglib.h> /* needs stdio.h before it */

enum { MAX_WIDTH = 4096, MAX_HEIGHT = 4096, MAX_WORKERS = 64, JPEG_QUALITY = 86 };

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define JPEG_CAIRO_ORDER JCS_EXT_BGRX
#else
#define JPEG_CAIRO_ORDER JCS_EXT_XRGB
#endif

enum format { FORMAT_PNG, FORMAT_WEBP, FORMAT_JPEG, FORMAT_JPEG_PROGRESSIVE, FORMAT_JPEG_GREY };

struct job {
    char *source;
    char *out;
    int width;
    enum format format;
    bool has_ground;
    double ground[3]; /* red, green, blue in 0..1 */
    double crop[4];   /* x, y, width, height in 0..1 of the source */
};

struct job_list {
    struct job *jobs;
    size_t n_jobs;
};

/* Lives in shared memory: all that the workers have in common. */
struct progress {
    atomic_size_t next;
    atomic_size_t n_failed;
};

struct jpeg_guard {
    struct jpeg_error_mgr base;
    jmp_buf escape;
};

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text);
    const size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- reading the list ---- */

static bool parse_format(const char *word, enum format *format)
{
    static const struct {
        const char *word;
        enum format format;
    } table[] = {
        {"png", FORMAT_PNG},
        {"webp", FORMAT_WEBP},
        {"jpeg", FORMAT_JPEG},
        {"jpeg-progressive", FORMAT_JPEG_PROGRESSIVE},
        {"jpeg-grey", FORMAT_JPEG_GREY},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(word, table[i].word) == 0) {
            *format = table[i].format;
            return true;
        }
    }
    return false;
}

static bool parse_ground(const char *word, struct job *job)
{
    if (strcmp(word, "none") == 0)
        return true;
    unsigned rgb = 0;
    if (strlen(word) != 7 || sscanf(word, "#%6x", &rgb) != 1)
        return false;
    job->has_ground = true;
    job->ground[0] = (rgb >> 16 & 255U) / 255.0;
    job->ground[1] = (rgb >> 8 & 255U) / 255.0;
    job->ground[2] = (rgb & 255U) / 255.0;
    return true;
}

static bool parse_crop(const char *word, struct job *job)
{
    if (strcmp(word, "none") == 0)
        return true;
    double *const c = job->crop;
    if (sscanf(word, "%lf %lf %lf %lf", &c[0], &c[1], &c[2], &c[3]) != 4)
        return false;
    for (int i = 0; i < 4; i++)
        c[i] /= 1000.0;
    return c[0] >= 0 && c[1] >= 0 && c[2] > 0 && c[3] > 0 && c[0] + c[2] <= 1.0001 && c[1] + c[3] <= 1.0001;
}

static bool parse_job(char *line, struct job *job)
{
    char *fields[6] = {NULL};
    char *save = NULL;
    int n_fields = 0;
    for (char *field = strtok_r(line, "\t\n", &save); field && n_fields < 6; field = strtok_r(NULL, "\t\n", &save))
        fields[n_fields++] = field;
    if (n_fields < 4)
        return false;
    *job = (struct job){.width = atoi(fields[2]), .crop = {0, 0, 1, 1}};
    if (job->width < 1 || job->width > MAX_WIDTH || !parse_format(fields[3], &job->format))
        return false;
    if (n_fields > 4 && !parse_ground(fields[4], job))
        return false;
    if (n_fields > 5 && !parse_crop(fields[5], job))
        return false;
    job->source = strdup(fields[0]);
    job->out = strdup(fields[1]);
    return job->source && job->out;
}

static int read_list(const char *path, struct job_list *list)
{
    FILE *const file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "render: cannot read the list %s: %s\n", path, strerror(errno));
        return 2;
    }
    char *line = NULL;
    size_t size = 0;
    size_t capacity = 0;
    int status = 0;
    while (getline(&line, &size, file) > 0) {
        if (list->n_jobs == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            struct job *const grown = realloc(list->jobs, capacity * sizeof *grown);
            if (!grown) {
                status = 1;
                break;
            }
            list->jobs = grown;
        }
        if (!parse_job(line, &list->jobs[list->n_jobs])) {
            fprintf(stderr, "render: %s line %zu: expected SOURCE, OUT, WIDTH, FORMAT [GROUND [CROP]] parted by tabs\n",
                    path, list->n_jobs + 1);
            status = 5;
            break;
        }
        list->n_jobs++;
    }
    free(line);
    fclose(file);
    return status;
}

static void free_list(struct job_list *list)
{
    for (size_t i = 0; i < list->n_jobs; i++) {
        free(list->jobs[i].source);
        free(list->jobs[i].out);
    }
    free(list->jobs);
    *list = (struct job_list){0};
}

/* ---- JPEG in and out ---- */

static void escape_jpeg_error(j_common_ptr codec)
{
    struct jpeg_guard *const guard = (struct jpeg_guard *)(void *)codec->err;
    longjmp(guard->escape, 1);
}

/* Decodes at the smallest of the decoder's own scales that still gives `width` pixels. */
static cairo_surface_t *load_jpeg(const char *path, double width)
{
    FILE *const file = fopen(path, "rb");
    if (!file)
        return NULL;
    struct jpeg_decompress_struct codec;
    struct jpeg_guard guard;
    cairo_surface_t *volatile surface = NULL;
    codec.err = jpeg_std_error(&guard.base);
    guard.base.error_exit = escape_jpeg_error;
    if (setjmp(guard.escape)) {
        jpeg_destroy_decompress(&codec);
        fclose(file);
        if (surface)
            cairo_surface_destroy(surface);
        return NULL;
    }
    jpeg_create_decompress(&codec);
    jpeg_stdio_src(&codec, file);
    jpeg_read_header(&codec, TRUE);
    codec.scale_num = 1;
    codec.scale_denom = 1;
    while (codec.scale_denom < 8 && codec.image_width / (2.0 * codec.scale_denom) >= width)
        codec.scale_denom *= 2;
    codec.out_color_space = JPEG_CAIRO_ORDER;
    jpeg_start_decompress(&codec);
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)codec.output_width, (int)codec.output_height);
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS)
        escape_jpeg_error((j_common_ptr)&codec);
    unsigned char *const pixels = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    while (codec.output_scanline < codec.output_height) {
        JSAMPROW row = pixels + codec.output_scanline * stride;
        jpeg_read_scanlines(&codec, &row, 1);
    }
    jpeg_finish_decompress(&codec);
    jpeg_destroy_decompress(&codec);
    fclose(file);
    cairo_surface_mark_dirty(surface);
    return surface;
}

static bool save_jpeg(cairo_surface_t *surface, const struct job *job)
{
    FILE *const file = fopen(job->out, "wb");
    if (!file)
        return false;
    struct jpeg_compress_struct codec;
    struct jpeg_guard guard;
    codec.err = jpeg_std_error(&guard.base);
    guard.base.error_exit = escape_jpeg_error;
    if (setjmp(guard.escape)) {
        jpeg_destroy_compress(&codec);
        fclose(file);
        return false;
    }
    jpeg_create_compress(&codec);
    jpeg_stdio_dest(&codec, file);
    codec.image_width = (JDIMENSION)cairo_image_surface_get_width(surface);
    codec.image_height = (JDIMENSION)cairo_image_surface_get_height(surface);
    codec.input_components = 4;
    codec.in_color_space = JPEG_CAIRO_ORDER;
    jpeg_set_defaults(&codec);
    if (job->format == FORMAT_JPEG_GREY)
        jpeg_set_colorspace(&codec, JCS_GRAYSCALE);
    jpeg_set_quality(&codec, JPEG_QUALITY, TRUE);
    if (job->format == FORMAT_JPEG_PROGRESSIVE)
        jpeg_simple_progression(&codec);
    jpeg_start_compress(&codec, TRUE);
    unsigned char *const pixels = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    while (codec.next_scanline < codec.image_height) {
        JSAMPROW row = pixels + codec.next_scanline * stride;
        jpeg_write_scanlines(&codec, &row, 1);
    }
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    return fclose(file) == 0;
}

/* ---- WebP out ---- */

static bool save_webp(cairo_surface_t *surface, const struct job *job)
{
    const int width = cairo_image_surface_get_width(surface);
    const int height = cairo_image_surface_get_height(surface);
    const int stride = cairo_image_surface_get_stride(surface);
    const unsigned char *const pixels = cairo_image_surface_get_data(surface);
    uint8_t *const rgba = malloc((size_t)width * (size_t)height * 4);
    if (!rgba)
        return false;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint32_t p;
            memcpy(&p, pixels + (ptrdiff_t)y * stride + 4 * x, 4);
            const unsigned alpha = job->has_ground ? 255U : p >> 24;
            uint8_t *const q = rgba + 4 * ((size_t)y * (size_t)width + (size_t)x);
            for (unsigned c = 0; c < 3; c++) { /* cairo keeps colours multiplied by alpha; WebP wants them plain */
                const unsigned v = p >> (16 - 8 * c) & 255U;
                q[c] = (uint8_t)(alpha ? (v * 255U + alpha / 2) / alpha : 0);
            }
            q[3] = (uint8_t)alpha;
        }
    }
    uint8_t *bytes = NULL;
    const size_t size = WebPEncodeRGBA(rgba, width, height, width * 4, 82.0F, &bytes);
    free(rgba);
    if (size == 0)
        return false;
    FILE *const file = fopen(job->out, "wb");
    bool ok = file && fwrite(bytes, 1, size, file) == size;
    if (file)
        ok = fclose(file) == 0 && ok;
    WebPFree(bytes);
    return ok;
}

/* ---- drawing ---- */

static bool measure_drawing(RsvgHandle *drawing, double *width, double *height)
{
    if (rsvg_handle_get_intrinsic_size_in_pixels(drawing, width, height) && *width > 0 && *height > 0)
        return true;
    gboolean has_width;
    gboolean has_height;
    gboolean has_box;
    RsvgLength ignored_width;
    RsvgLength ignored_height;
    RsvgRectangle box;
    rsvg_handle_get_intrinsic_dimensions(drawing, &has_width, &ignored_width, &has_height, &ignored_height, &has_box,
                                         &box);
    if (!has_box || !(box.width > 0) || !(box.height > 0))
        return false;
    *width = box.width;
    *height = box.height;
    return true;
}

/* The canvas for a job whose source is `width` x `height` units: sized by the crop, ground laid, source units set. */
static cairo_t *open_canvas(const struct job *job, double width, double height)
{
    const double scale = job->width / (job->crop[2] * width);
    const double rows = job->crop[3] * height * scale;
    if (!(rows < MAX_HEIGHT))
        return NULL;
    const bool opaque = job->has_ground || job->format >= FORMAT_JPEG;
    cairo_surface_t *const surface = cairo_image_surface_create(opaque ? CAIRO_FORMAT_RGB24 : CAIRO_FORMAT_ARGB32,
                                                                job->width, rows < 1 ? 1 : (int)lround(rows));
    cairo_t *const cr = cairo_create(surface);
    cairo_surface_destroy(surface); /* the context holds it */
    if (opaque) {
        if (job->has_ground)
            cairo_set_source_rgb(cr, job->ground[0], job->ground[1], job->ground[2]);
        else
            cairo_set_source_rgb(cr, 1, 1, 1);
        cairo_paint(cr);
    }
    cairo_scale(cr, scale, scale);
    cairo_translate(cr, -job->crop[0] * width, -job->crop[1] * height);
    return cr;
}

static cairo_t *draw_svg(const struct job *job)
{
    RsvgHandle *const drawing = rsvg_handle_new_from_file(job->source, NULL);
    if (!drawing)
        return NULL;
    rsvg_handle_set_dpi(drawing, 96);
    cairo_t *cr = NULL;
    double width;
    double height;
    if (measure_drawing(drawing, &width, &height))
        cr = open_canvas(job, width, height);
    if (cr && !rsvg_handle_render_document(drawing, cr, &(RsvgRectangle){0, 0, width, height}, NULL)) {
        cairo_destroy(cr);
        cr = NULL;
    }
    g_object_unref(drawing);
    return cr;
}

static cairo_t *draw_bitmap(const struct job *job)
{
    cairo_surface_t *const bitmap = ends_with(job->source, ".png") ? cairo_image_surface_create_from_png(job->source)
                                                                   : load_jpeg(job->source, job->width / job->crop[2]);
    if (!bitmap)
        return NULL;
    cairo_t *cr = NULL;
    if (cairo_surface_status(bitmap) == CAIRO_STATUS_SUCCESS)
        cr = open_canvas(job, cairo_image_surface_get_width(bitmap), cairo_image_surface_get_height(bitmap));
    if (cr) {
        cairo_set_source_surface(cr, bitmap, 0, 0);
        cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
        cairo_paint(cr);
    }
    cairo_surface_destroy(bitmap);
    return cr;
}

static bool render_job(const struct job *job)
{
    cairo_t *const cr = ends_with(job->source, ".svg") ? draw_svg(job) : draw_bitmap(job);
    if (!cr)
        return false;
    bool ok = cairo_status(cr) == CAIRO_STATUS_SUCCESS;
    cairo_surface_t *const surface = cairo_get_target(cr);
    cairo_surface_flush(surface);
    if (ok && job->format == FORMAT_PNG)
        ok = cairo_surface_write_to_png(surface, job->out) == CAIRO_STATUS_SUCCESS;
    else if (ok && job->format == FORMAT_WEBP)
        ok = save_webp(surface, job);
    else if (ok)
        ok = save_jpeg(surface, job);
    cairo_destroy(cr);
    if (!ok)
        unlink(job->out);
    return ok;
}

/* ---- workers ---- */

static void work(const struct job_list *list, struct progress *progress)
{
    for (;;) {
        const size_t i = atomic_fetch_add(&progress->next, 1);
        if (i >= list->n_jobs)
            return;
        if (!render_job(&list->jobs[i])) {
            atomic_fetch_add(&progress->n_failed, 1);
            fprintf(stderr, "render: left out %s: it cannot be drawn\n", list->jobs[i].source);
        }
    }
}

static bool start_worker(const struct job_list *list, struct progress *progress)
{
    const pid_t pid = fork();
    if (pid == 0) {
        work(list, progress);
        _exit(0);
    }
    return pid > 0;
}

/* Waits for all workers; one that died is replaced: its job is lost, and the rest of the list goes on. */
static bool run_workers(const struct job_list *list, struct progress *progress, long n_workers)
{
    long n_running = 0;
    while (n_running < n_workers && start_worker(list, progress))
        n_running++;
    bool ok = n_running > 0;
    while (n_running > 0) {
        int status;
        if (wait(&status) < 0)
            return false;
        n_running--;
        if (status == 0)
            continue;
        atomic_fetch_add(&progress->n_failed, 1);
        if (start_worker(list, progress))
            n_running++;
        else
            ok = n_running > 0 && ok;
    }
    return ok;
}

int main(int argc, char **argv)
{
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    const long n_workers = argc > 2 ? atol(argv[2]) : n_cores < MAX_WORKERS ? n_cores : MAX_WORKERS;
    if (argc < 2 || argc > 3 || n_workers < 1 || n_workers > MAX_WORKERS) {
        fprintf(stderr, "usage: render LIST [WORKERS]    (1 to %d workers)\n", MAX_WORKERS);
        return 2;
    }
    struct job_list list = {0};
    int status = read_list(argv[1], &list);
    struct progress *progress = NULL;
    if (status == 0) {
        progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        status = progress == MAP_FAILED || !run_workers(&list, progress, n_workers);
    }
    if (status == 0)
        printf("rendered %zu of %zu\n", list.n_jobs - atomic_load(&progress->n_failed), list.n_jobs);
    free_list(&list);
    return status;
}
