/**
 * glyph: draws characters of font files, as printed or as a pen would draw them. A tool of the tests: nothing of
 * webstill links it.
 *
 * usage: glyph LIST [WORKERS]
 *        glyph --covers FONT
 *
 * LIST has one job a line, fields parted by a tab:
 *
 *     FONT  CHARACTER  OUT  SIDE  STYLE  MARGIN  ANGLE  SHEAR  INK  GROUND
 *
 * CHARACTER is a code point in hexadecimal; OUT a PNG file of SIDE x SIDE pixels. STYLE is "print", or the width of a
 * pen in thousandths of SIDE: then the glyph is thinned to lines one pixel wide, twigs that thinning grew out of
 * corners and serifs are taken off, and a round pen follows the lines. MARGIN (in thousandths of SIDE) is kept free
 * around the glyph, around the pen's middle where there is a pen; the longer side fills the rest. ANGLE is in degrees,
 * SHEAR in thousandths. INK and GROUND are #rrggbb.
 *
 * A shape that is filled rather than stroked (a disc, a black triangle) has no lines to follow: it stays as printed.
 *
 * --covers prints the code points that the font draws with some ink, in hexadecimal, one a line.
 *
 * Exit codes: 0 the list was worked through (a glyph that a font lacks leaves no file and a line on stderr), 1 a worker
 * died, 2 usage, 5 a line of LIST is malformed, or no font.
 */
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_BBOX_H
#include FT_OUTLINE_H

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RASTER = 256, EDGE = 10, MAX_SIDE = 1024, MAX_WORKERS = 64, N_FIELDS = 10 };

/* Twigs, in units of the stroke's half width at the fork; see is_twig(). */
static const float TWIG = 1.1F, CORNER_TWIG = 3.0F, CORNER_TIP = 0.45F;
/* A filled shape's lines, in units of its half width; see is_blob(). */
static const float BLOB = 8.0F;

struct job {
    char *font, *out;
    unsigned long character;
    int side;
    double pen;    /* share of the side; 0 = as printed */
    double margin; /* share of the side */
    double angle, shear;
    uint8_t ink[3], ground[3];
};

/* The glyph as a grid of RASTER x RASTER pixels: what is thinned. */
struct grid {
    uint8_t ink[RASTER][RASTER];
    float depth[RASTER][RASTER]; /* distance to the nearest pixel without ink */
};

struct point {
    float x, y;
};

/* Lines between neighbouring pixels of the thinned glyph; a lone pixel is a line to itself. */
struct lines {
    struct point (*ends)[2];
    size_t n, capacity;
};

/* ---- the list ---- */

static bool parse_colour(const char *word, uint8_t rgb[3])
{
    unsigned value = 0;
    if (strlen(word) != 7 || sscanf(word, "#%6x", &value) != 1)
        return false;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(value >> (16 - 8 * c) & 255U);
    return true;
}

static bool parse_job(char *line, struct job *job)
{
    char *fields[N_FIELDS] = {NULL}, *save = NULL;
    int n = 0;
    for (char *field = strtok_r(line, "\t\n", &save); field && n < N_FIELDS; field = strtok_r(NULL, "\t\n", &save))
        fields[n++] = field;
    if (n != N_FIELDS)
        return false;
    *job = (struct job){.font = strdup(fields[0]),
                        .character = strtoul(fields[1], NULL, 16),
                        .out = strdup(fields[2]),
                        .side = atoi(fields[3]),
                        .pen = strcmp(fields[4], "print") == 0 ? 0 : atof(fields[4]) / 1000,
                        .margin = atof(fields[5]) / 1000,
                        .angle = atof(fields[6]) * M_PI / 180,
                        .shear = atof(fields[7]) / 1000};
    return job->font && job->out && job->side >= 8 && job->side <= MAX_SIDE && job->pen >= 0 && job->pen < 0.5 &&
           job->margin >= 0 && job->margin < 0.4 && parse_colour(fields[8], job->ink) &&
           parse_colour(fields[9], job->ground);
}

static int read_list(const char *path, struct job **jobs, size_t *n_jobs)
{
    FILE *const file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "glyph: cannot read the list %s: %s\n", path, strerror(errno));
        return 2;
    }
    char *line = NULL;
    size_t size = 0, capacity = 0;
    int status = 0;
    while (status == 0 && getline(&line, &size, file) > 0) {
        if (*n_jobs == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            struct job *const grown = realloc(*jobs, capacity * sizeof *grown);
            if (!grown) {
                status = 1;
                break;
            }
            *jobs = grown;
        }
        if (!parse_job(line, &(*jobs)[*n_jobs])) {
            fprintf(stderr,
                    "glyph: %s line %zu: expected FONT, CHARACTER, OUT, SIDE, STYLE, MARGIN, ANGLE, SHEAR, "
                    "INK, GROUND parted by tabs\n",
                    path, *n_jobs + 1);
            status = 5;
        }
        (*n_jobs)++;
    }
    free(line);
    fclose(file);
    return status;
}

/* ---- the glyph ---- */

/* Fit the outline's longer side into `side` pixels, less `margin` (in pixels) on each side, and rasterise it. */
static bool rasterise(FT_Library library, FT_Face face, const struct job *job, int side, double margin, uint8_t *pixels)
{
    const FT_UInt index = FT_Get_Char_Index(face, job->character);
    if (index == 0 || FT_Load_Glyph(face, index, FT_LOAD_NO_SCALE | FT_LOAD_NO_BITMAP) != 0 ||
        face->glyph->format != FT_GLYPH_FORMAT_OUTLINE)
        return false;
    FT_Outline *const outline = &face->glyph->outline;
    const double c = cos(job->angle), s = sin(job->angle), one = 65536;
    FT_Matrix turn = {(FT_Fixed)(c * one), (FT_Fixed)((c * job->shear - s) * one), (FT_Fixed)(s * one),
                      (FT_Fixed)((s * job->shear + c) * one)};
    /* Font units are few: turn and scale them at 1/64 of a unit. */
    FT_Outline_Transform(outline, &(FT_Matrix){64 << 16, 0, 0, 64 << 16});
    FT_Outline_Transform(outline, &turn);
    FT_BBox box;
    if (outline->n_points == 0 || FT_Outline_Get_BBox(outline, &box) != 0)
        return false;
    const double longer = fmax((double)(box.xMax - box.xMin), (double)(box.yMax - box.yMin));
    if (longer < 64)
        return false;
    const double scale = 64 * (side - 2 * margin) / longer;
    const FT_Fixed fixed = (FT_Fixed)(scale * one);
    FT_Outline_Transform(outline, &(FT_Matrix){fixed, 0, 0, fixed});
    FT_Outline_Translate(outline, (FT_Pos)(32.0 * side - scale * (double)(box.xMin + box.xMax) / 2),
                         (FT_Pos)(32.0 * side - scale * (double)(box.yMin + box.yMax) / 2));
    memset(pixels, 0, (size_t)side * (size_t)side);
    FT_Bitmap bitmap = {.rows = (unsigned)side,
                        .width = (unsigned)side,
                        .pitch = side,
                        .buffer = pixels,
                        .num_grays = 256,
                        .pixel_mode = FT_PIXEL_MODE_GRAY};
    return FT_Outline_Get_Bitmap(library, outline, &bitmap) == 0;
}

/* ---- thinning ---- */

/* Distances by two passes with steps of 1 and sqrt 2. */
static void measure_depth(struct grid *grid)
{
    const float diagonal = (float)M_SQRT2;
    for (int pass = 0; pass < 2; pass++) {
        const int d = pass == 0 ? -1 : 1;
        for (int k = 0; k < RASTER * RASTER; k++) {
            const int at = pass == 0 ? k : RASTER * RASTER - 1 - k, y = at / RASTER, x = at % RASTER;
            float least = !grid->ink[y][x] ? 0 : pass == 0 ? 1e9F : grid->depth[y][x];
            for (int i = 0; i < 4 && least > 0; i++) {
                const int ny = i < 3 ? y + d : y, nx = i < 3 ? x + i - 1 : x + d;
                const bool inside = ny >= 0 && ny < RASTER && nx >= 0 && nx < RASTER;
                least = fminf(least, (inside ? grid->depth[ny][nx] : 0) + (i == 0 || i == 2 ? diagonal : 1));
            }
            grid->depth[y][x] = least;
        }
    }
}

static const int around[8][2] = {{-1, 0}, {-1, 1}, {0, 1}, {1, 1}, {1, 0}, {1, -1}, {0, -1}, {-1, -1}};

/* The neighbours clockwise from above; returns how many have ink. */
static int neighbours(const struct grid *grid, int y, int x, bool p[8])
{
    int n = 0;
    for (int i = 0; i < 8; i++) {
        const int ny = y + around[i][0], nx = x + around[i][1];
        p[i] = ny >= 0 && ny < RASTER && nx >= 0 && nx < RASTER && grid->ink[ny][nx];
        n += p[i];
    }
    return n;
}

static int changes(const bool p[8])
{
    int n = 0;
    for (int i = 0; i < 8; i++)
        n += !p[i] && p[(i + 1) & 7];
    return n;
}

/* One of the two half steps of thin(): whether this pixel of the border goes. */
static bool may_go(const struct grid *grid, int y, int x, int half)
{
    bool p[8];
    const int n = neighbours(grid, y, x, p);
    if (n < 2 || n > 6 || changes(p) != 1)
        return false;
    return half == 0 ? !((p[0] && p[2] && p[4]) || (p[2] && p[4] && p[6]))
                     : !((p[0] && p[2] && p[6]) || (p[0] && p[4] && p[6]));
}

/* Zhang and Suen, "A fast parallel algorithm for thinning digital patterns" (1984). */
static void thin(struct grid *grid)
{
    static int inked[RASTER * RASTER], going[RASTER * RASTER];
    int n = 0;
    for (int k = 0; k < RASTER * RASTER; k++)
        if (grid->ink[k / RASTER][k % RASTER])
            inked[n++] = k;
    for (bool changed = true; changed;) {
        changed = false;
        for (int half = 0; half < 2; half++) {
            int n_going = 0, n_left = 0;
            for (int i = 0; i < n; i++) {
                if (may_go(grid, inked[i] / RASTER, inked[i] % RASTER, half))
                    going[n_going++] = inked[i];
                else
                    inked[n_left++] = inked[i];
            }
            for (int i = 0; i < n_going; i++)
                grid->ink[going[i] / RASTER][going[i] % RASTER] = 0;
            n = n_left;
            changed = changed || n_going > 0;
        }
    }
}

/* The next pixel of a line that came from (py, px), or false at a fork or an end. */
static bool follow(const struct grid *grid, int *y, int *x, int *py, int *px)
{
    bool p[8];
    const int n = neighbours(grid, *y, *x, p);
    int found = -1;
    for (int pass = 0; pass < 2 && found < 0; pass++) /* straight neighbours first */
        for (int i = pass; i < 8 && found < 0; i += 2) {
            const int ny = *y + around[i][0], nx = *x + around[i][1];
            if (p[i] && !(ny == *py && nx == *px) && (*py < 0 || abs(ny - *py) > 1 || abs(nx - *px) > 1))
                found = i;
        }
    if (found < 0 || (n > 2 && changes(p) > 2))
        return false;
    *py = *y;
    *px = *x;
    *y += around[found][0];
    *x += around[found][1];
    return true;
}

/*
 * Take off twigs: lines from an end to a fork that are no stroke of their own. Either they are not longer than the
 * stroke at the fork is wide, or they run out into a corner: somewhat longer, and thinner and thinner towards their
 * end.
 */
static bool is_twig(const struct grid *grid, int n, const int end[2], const int fork[2])
{
    const float at_end = grid->depth[end[0]][end[1]], at_fork = grid->depth[fork[0]][fork[1]];
    const float length = (float)n;
    return length <= TWIG * at_fork + 1 || (length <= CORNER_TWIG * at_fork + 1 && at_end < CORNER_TIP * at_fork);
}

static void find_dots(const struct grid *grid, bool is_dot[RASTER][RASTER])
{
    bool p[8];
    for (int y = 0; y < RASTER; y++)
        for (int x = 0; x < RASTER; x++)
            is_dot[y][x] = grid->ink[y][x] && neighbours(grid, y, x, p) == 0;
}

static void prune(struct grid *grid)
{
    static int path[RASTER][2];
    static bool was_dot[RASTER][RASTER];
    find_dots(grid, was_dot);
    for (int y = 0; y < RASTER; y++)
        for (int x = 0; x < RASTER; x++) {
            bool p[8];
            if (!grid->ink[y][x] || neighbours(grid, y, x, p) == 0 || changes(p) != 1 || neighbours(grid, y, x, p) > 2)
                continue;
            int at[2] = {y, x}, before[2] = {-1, -1}, n = 0;
            bool is_fork = false;
            for (; n < RASTER && !is_fork; n++) {
                path[n][0] = at[0];
                path[n][1] = at[1];
                if (!follow(grid, &at[0], &at[1], &before[0], &before[1])) {
                    is_fork = neighbours(grid, at[0], at[1], p) > 2;
                    break;
                }
            }
            if (is_fork && n > 0 && is_twig(grid, n, path[0], at))
                for (int i = 0; i < n; i++)
                    grid->ink[path[i][0]][path[i][1]] = 0;
        }
    static bool is_dot[RASTER][RASTER];
    find_dots(grid, is_dot);
    for (int y = 0; y < RASTER; y++)
        for (int x = 0; x < RASTER; x++)
            if (is_dot[y][x] && !was_dot[y][x]) /* the rest of a line that went from both ends */
                grid->ink[y][x] = 0;
}

static bool add_line(struct lines *lines, int y0, int x0, int y1, int x1)
{
    if (lines->n == lines->capacity) {
        lines->capacity = lines->capacity ? 2 * lines->capacity : 1024;
        void *grown = realloc(lines->ends, lines->capacity * sizeof *lines->ends);
        if (!grown)
            return false;
        lines->ends = grown;
    }
    lines->ends[lines->n][0] = (struct point){(float)x0, (float)y0};
    lines->ends[lines->n++][1] = (struct point){(float)x1, (float)y1};
    return true;
}

/* Lines right, down, and diagonal where no straight pair joins the two already. */
static bool trace(const struct grid *grid, struct lines *lines)
{
    bool ok = true;
    for (int y = 0; y < RASTER; y++)
        for (int x = 0; x < RASTER; x++) {
            bool p[8];
            if (!grid->ink[y][x])
                continue;
            if (neighbours(grid, y, x, p) == 0)
                ok = ok && add_line(lines, y, x, y, x);
            if (p[2])
                ok = ok && add_line(lines, y, x, y, x + 1);
            if (p[4])
                ok = ok && add_line(lines, y, x, y + 1, x);
            if (p[3] && !p[2] && !p[4])
                ok = ok && add_line(lines, y, x, y + 1, x + 1);
            if (p[5] && !p[6] && !p[4])
                ok = ok && add_line(lines, y, x, y + 1, x - 1);
        }
    return ok;
}

/* ---- the pen ---- */

static float distance_to(struct point q, const struct point ends[2])
{
    const float dx = ends[1].x - ends[0].x, dy = ends[1].y - ends[0].y, length = dx * dx + dy * dy;
    float t = length > 0 ? ((q.x - ends[0].x) * dx + (q.y - ends[0].y) * dy) / length : 0;
    t = fminf(1, fmaxf(0, t));
    return hypotf(q.x - ends[0].x - t * dx, q.y - ends[0].y - t * dy);
}

/* Scale the lines' own box into the square, as who draws with a pen sees it, and follow them. */
static void draw_lines(const struct lines *lines, const struct job *job, uint8_t *pixels)
{
    float low[2] = {1e9F, 1e9F}, high[2] = {-1e9F, -1e9F};
    for (size_t i = 0; i < 2 * lines->n; i++) {
        const struct point p = lines->ends[i / 2][i & 1];
        low[0] = fminf(low[0], p.x), high[0] = fmaxf(high[0], p.x);
        low[1] = fminf(low[1], p.y), high[1] = fmaxf(high[1], p.y);
    }
    const float side = (float)job->side, room = side * (float)(1 - 2 * job->margin),
                longer = fmaxf(high[0] - low[0], high[1] - low[1]);
    const float scale = longer > 0.5F ? room / longer : 1, radius = side * (float)job->pen / 2;
    memset(pixels, 0, (size_t)job->side * (size_t)job->side);
    for (size_t i = 0; i < lines->n; i++) {
        struct point ends[2];
        for (int k = 0; k < 2; k++)
            ends[k] = (struct point){(lines->ends[i][k].x - (low[0] + high[0]) / 2) * scale + side / 2,
                                     (lines->ends[i][k].y - (low[1] + high[1]) / 2) * scale + side / 2};
        const int x0 = (int)(fminf(ends[0].x, ends[1].x) - radius - 1),
                  y0 = (int)(fminf(ends[0].y, ends[1].y) - radius - 1);
        const int x1 = (int)(fmaxf(ends[0].x, ends[1].x) + radius + 1),
                  y1 = (int)(fmaxf(ends[0].y, ends[1].y) + radius + 1);
        for (int y = y0 < 0 ? 0 : y0; y <= y1 && y < job->side; y++)
            for (int x = x0 < 0 ? 0 : x0; x <= x1 && x < job->side; x++) {
                const float cover = radius + 0.5F - distance_to((struct point){(float)x + 0.5F, (float)y + 0.5F}, ends);
                const uint8_t value = (uint8_t)lrintf(255 * fminf(1, fmaxf(0, cover)));
                uint8_t *const pixel = &pixels[y * job->side + x];
                *pixel = value > *pixel ? value : *pixel;
            }
    }
}

/* The whole glyph is one filled shape: what thinning left of it is short beside its depth, and in one place. */
static bool is_blob(const struct lines *lines, float deepest)
{
    float low[2] = {1e9F, 1e9F}, high[2] = {-1e9F, -1e9F};
    for (size_t i = 0; i < 2 * lines->n; i++) {
        const struct point p = lines->ends[i / 2][i & 1];
        low[0] = fminf(low[0], p.x), high[0] = fmaxf(high[0], p.x);
        low[1] = fminf(low[1], p.y), high[1] = fmaxf(high[1], p.y);
    }
    const float longer = fmaxf(high[0] - low[0], high[1] - low[1]);
    return (float)lines->n < BLOB * deepest && longer < BLOB / 2 * deepest;
}

static bool draw_with_pen(FT_Library library, FT_Face face, const struct job *job, uint8_t *pixels)
{
    static struct grid grid;
    if (!rasterise(library, face, job, RASTER, EDGE, &grid.ink[0][0]))
        return false;
    for (int y = 0; y < RASTER; y++)
        for (int x = 0; x < RASTER; x++)
            grid.ink[y][x] = grid.ink[y][x] >= 128;
    measure_depth(&grid);
    float deepest = 0;
    for (int y = 0; y < RASTER; y++)
        for (int x = 0; x < RASTER; x++)
            deepest = fmaxf(deepest, grid.depth[y][x]);
    thin(&grid);
    prune(&grid);
    struct lines lines = {0};
    bool ok = trace(&grid, &lines);
    if (ok && is_blob(&lines, deepest))
        ok = rasterise(library, face, job, job->side, job->margin * job->side, pixels);
    else if (ok)
        draw_lines(&lines, job, pixels);
    free(lines.ends);
    return ok;
}

/* ---- the picture ---- */

static bool write_png(const struct job *job, const uint8_t *pixels)
{
    static uint8_t rgb[MAX_SIDE * MAX_SIDE * 3];
    for (int i = 0; i < job->side * job->side; i++)
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((job->ink[c] * pixels[i] + job->ground[c] * (255 - pixels[i]) + 127) / 255);
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)job->side,
                       .height = (png_uint_32)job->side,
                       .format = PNG_FORMAT_RGB,
                       .flags = PNG_IMAGE_FLAG_FAST};
    return png_image_write_to_file(&image, job->out, 0, rgb, 0, NULL) != 0;
}

static bool draw_job(FT_Library library, FT_Face face, const struct job *job)
{
    static uint8_t pixels[MAX_SIDE * MAX_SIDE];
    const bool ok = job->pen > 0 ? draw_with_pen(library, face, job, pixels)
                                 : rasterise(library, face, job, job->side, job->margin * job->side, pixels);
    return ok && write_png(job, pixels);
}

/* Every n_workers-th job from `first` on; a font stays open as long as the jobs name it. */
static int work(const struct job *jobs, size_t n_jobs, size_t first, size_t n_workers)
{
    FT_Library library;
    FT_Face face = NULL;
    const char *opened = "";
    if (FT_Init_FreeType(&library) != 0)
        return 1;
    for (size_t i = first; i < n_jobs; i += n_workers) {
        if (strcmp(opened, jobs[i].font) != 0) {
            if (face)
                FT_Done_Face(face);
            face = NULL;
            opened = jobs[i].font;
            if (FT_New_Face(library, opened, 0, &face) != 0 || FT_Select_Charmap(face, FT_ENCODING_UNICODE) != 0)
                fprintf(stderr, "glyph: %s: no font with Unicode's characters\n", opened);
        }
        if (!face || !draw_job(library, face, &jobs[i]))
            fprintf(stderr, "glyph: left out %lX of %s: it cannot be drawn\n", jobs[i].character, jobs[i].font);
    }
    if (face)
        FT_Done_Face(face);
    FT_Done_FreeType(library);
    return 0;
}

static int work_all(const struct job *jobs, size_t n_jobs, size_t n_workers)
{
    size_t n_running = 0;
    for (; n_running < n_workers; n_running++) {
        const pid_t pid = fork();
        if (pid == 0)
            _exit(work(jobs, n_jobs, n_running, n_workers));
        if (pid < 0)
            break;
    }
    int failed = n_running < n_workers;
    for (; n_running > 0; n_running--) {
        int status;
        failed |= wait(&status) < 0 || status != 0;
    }
    return failed;
}

static int print_coverage(const char *font)
{
    FT_Library library;
    FT_Face face;
    if (FT_Init_FreeType(&library) != 0 || FT_New_Face(library, font, 0, &face) != 0 ||
        FT_Select_Charmap(face, FT_ENCODING_UNICODE) != 0) {
        fprintf(stderr, "glyph: %s: no font with Unicode's characters\n", font);
        return 5;
    }
    FT_UInt index;
    for (FT_ULong c = FT_Get_First_Char(face, &index); index != 0; c = FT_Get_Next_Char(face, c, &index))
        if (FT_Load_Glyph(face, index, FT_LOAD_NO_SCALE) == 0 && face->glyph->format == FT_GLYPH_FORMAT_OUTLINE &&
            face->glyph->outline.n_points > 0)
            printf("%lX\n", c);
    FT_Done_FreeType(library);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--covers") == 0)
        return print_coverage(argv[2]);
    const long n_workers = argc > 2 ? atol(argv[2]) : sysconf(_SC_NPROCESSORS_ONLN);
    if (argc < 2 || argc > 3 || n_workers < 1 || n_workers > MAX_WORKERS) {
        fprintf(stderr, "usage: glyph LIST [WORKERS]    (1 to %d workers)\n       glyph --covers FONT\n", MAX_WORKERS);
        return 2;
    }
    struct job *jobs = NULL;
    size_t n_jobs = 0;
    int status = read_list(argv[1], &jobs, &n_jobs);
    if (status == 0)
        status = work_all(jobs, n_jobs, (size_t)n_workers);
    for (size_t i = 0; i < n_jobs; i++) {
        free(jobs[i].font);
        free(jobs[i].out);
    }
    free(jobs);
    return status;
}
