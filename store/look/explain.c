/** `webstill explain`: what became of a picture, by id, by the beginning of an id, or by URL. */
#include "commands.h"
#include "stage/stages.h"
#include "story.h"

#include "webstill/base/json.h"
#include "webstill/base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_MIN = 4, MATCHES_SHOWN = 8 };

const struct ws_option ws_explain_options[] = {{"json", NULL, "print one JSON object instead of text"},
                                               {NULL, NULL, NULL}};

static bool is_hex(const char *text)
{
    return text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

/** The one image whose id begins with `prefix`; several or none is an error that names the nearest. */
static enum ws_status find_prefix(const struct ws_images *images, const char *prefix, size_t *index, struct ws_err *err)
{
    char wanted[WS_IMAGE_ID_HEX] = "", list[MATCHES_SHOWN * (WS_IMAGE_ID_HEX + 1) + 1] = "";
    const size_t len = strlen(prefix);
    size_t n_matches = 0, n_common = 0, nearest = 0;
    for (size_t i = 0; i < len; i++)
        wanted[i] = (char)(prefix[i] >= 'A' && prefix[i] <= 'F' ? prefix[i] - 'A' + 'a' : prefix[i]);
    for (size_t i = 0; i < ws_images_count(images); i++) {
        char hex[WS_IMAGE_ID_HEX];
        ws_image_id_hex(ws_images_id(images, i), hex);
        size_t n_same = 0;
        while (n_same < len && hex[n_same] == wanted[n_same])
            n_same++;
        if (n_same > n_common) {
            n_common = n_same;
            nearest = i;
        }
        if (n_same < len)
            continue;
        *index = i;
        if (n_matches++ < MATCHES_SHOWN) {
            const size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, " %s", hex);
        }
    }
    if (n_matches == 1)
        return WS_OK;
    if (n_matches > 1)
        return ws_fail(err, WS_E_CONFIG, "%zu images begin with %s:%s%s", n_matches, prefix, list,
                       n_matches > MATCHES_SHOWN ? " …" : "");
    const enum ws_status status =
        ws_fail(err, WS_E_CONFIG, "no image of %zu has the id %s", ws_images_count(images), prefix);
    if (n_common > 0) {
        char hex[WS_IMAGE_ID_HEX];
        ws_image_id_hex(ws_images_id(images, nearest), hex);
        ws_err_hint(err, "the nearest id is %s", hex);
    }
    return status;
}

static enum ws_status print_refusal(const struct ws_run *run, const char *url, const char *stage, json_t *row,
                                    struct ws_err *err)
{
    if (ws_run_option(run, "json", NULL)) {
        json_t *object = json_pack("{s:s,s:s,s:O}", "url", url, "refused_by", stage, "row", row);
        const bool is_written = object && json_dumpf(object, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
        json_decref(object);
        return is_written ? WS_OK : ws_fail(err, WS_E_IO, "cannot write the story as JSON");
    }
    printf("%s\n  %s: %s%s%s\n", url, strcmp(stage, "crawl") == 0 ? "not kept by crawl" : "not stored",
           ws_json_text(row, "reason"), ws_json_text(row, "detail")[0] ? ": " : "", ws_json_text(row, "detail"));
    const char *key;
    json_t *value;
    json_object_foreach(row, key, value)
    {
        if (strcmp(key, "url") == 0 || strcmp(key, "reason") == 0 || strcmp(key, "detail") == 0 || json_is_null(value))
            continue;
        char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        printf("  %-11s %s\n", key, text ? text : json_string_value(value));
        free(text);
    }
    return WS_OK;
}

/** A URL's answer: an image (`is_image` and `index`), or a refusal that has been printed. */
static enum ws_status find_url(const struct ws_run *run, const struct ws_images *images, const char *url, size_t *index,
                               bool *is_image, struct ws_err *err)
{
    struct ws_image_id id;
    struct ws_buf refused = {0};
    enum ws_status status = WS_OK;
    json_t *row = NULL;
    *is_image = false;
    switch (ws_images_find_url(images, url, &id, &refused)) {
    case WS_URL_STORED: {
        const int64_t found = ws_images_find(images, &id);
        *is_image = found >= 0;
        *index = (size_t)(found >= 0 ? found : 0);
        if (found < 0)
            status = ws_fail(err, WS_E_DAMAGED, "the store knows %s, but not its image; run `webstill verify`", url);
        break;
    }
    case WS_URL_REFUSED:
        row = json_loadb(refused.len > 0 ? refused.ptr : "", refused.len, 0, NULL);
        status = row ? print_refusal(run, url, "store", row, err)
                     : ws_fail(err, WS_E_DAMAGED, "the store's row about %s is no JSON", url);
        break;
    case WS_URL_OTHER:
        row = json_pack("{s:s}", "reason", "fetched, but no image and not wanted as one (a page, robots.txt, an API)");
        status = row ? print_refusal(run, url, "store", row, err)
                     : ws_fail(err, WS_E_MEMORY, "out of memory for the story of %s", url);
        break;
    case WS_URL_UNKNOWN:
        row = ws_story_find_failure(run->work, url);
        if (row) {
            status = print_refusal(run, url, "crawl", row, err);
            break;
        }
        status = ws_fail(err, WS_E_CONFIG,
                         "no stage has seen a picture at %s: it is neither stored, nor refused, nor failed", url);
        ws_err_hint(err, "give the URL exactly as it was fetched, or an image id (a few digits are enough)");
        break;
    }
    json_decref(row);
    ws_buf_fini(&refused);
    return status;
}

static enum ws_status tell(const struct ws_run *run, const struct ws_images *images, size_t index, struct ws_err *err)
{
    const struct ws_story_place place = {.config = run->config, .work = run->work, .images = images};
    json_t *story = NULL;
    enum ws_status status = ws_story_tell(&place, index, &story, err);
    if (status != WS_OK)
        return status;
    if (!ws_run_option(run, "json", NULL))
        ws_story_print(story);
    else if (json_dumpf(story, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0 || putchar('\n') == EOF)
        status = ws_fail(err, WS_E_IO, "cannot write the story as JSON");
    json_decref(story);
    return status;
}

enum ws_status ws_explain_command(const struct ws_run *run, struct ws_err *err)
{
    const char *what = run->args[0];
    const bool is_id = is_hex(what) && strlen(what) >= PREFIX_MIN && strlen(what) < WS_IMAGE_ID_HEX;
    if (!is_id && !strstr(what, "://"))
        return ws_fail(err, WS_E_CONFIG,
                       "\"%s\" is neither an image id (%d to 32 hexadecimal digits) nor a URL (with \"://\")", what,
                       PREFIX_MIN);
    char folder[WS_PATH_BYTES];
    struct ws_images *images = NULL;
    enum ws_status status = ws_path_join(folder, run->work, err, "store");
    if (status != WS_OK)
        return status;
    status = ws_images_open(&images, folder, err);
    if (status != WS_OK) {
        /* Without a store the crawl's own books can still tell why a URL failed. */
        json_t *row = is_id ? NULL : ws_story_find_failure(run->work, what);
        if (row) {
            status = print_refusal(run, what, "crawl", row, err);
        }
        json_decref(row);
        return status;
    }
    size_t index = 0;
    bool is_image = true;
    status = is_id ? find_prefix(images, what, &index, err) : find_url(run, images, what, &index, &is_image, err);
    if (status == WS_OK && is_image)
        status = tell(run, images, index, err);
    ws_images_close(&images);
    return status;
}
