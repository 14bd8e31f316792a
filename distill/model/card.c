/* Model cards: JSON text and back. */
#include "card_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CARD_FORMAT = 1 };

void ws_card_fini(struct ws_card *card)
{
    for (int i = 0; card->classes && i < card->n_classes; i++)
        free(card->classes[i]);
    free(card->classes);
    free(card->graph);
    *card = (struct ws_card){0};
}

/* Room for n names, all NULL. */
static bool alloc_classes(struct ws_card *card, int n)
{
    card->classes = calloc((size_t)n + 1, sizeof *card->classes);
    card->n_classes = card->classes ? n : 0;
    return card->classes != NULL;
}

static bool set_class(struct ws_card *card, int i, const char *name)
{
    card->classes[i] = strdup(name);
    return card->classes[i] != NULL;
}

bool ws_card_copy(struct ws_card *to, const struct ws_card *from)
{
    *to = *from;
    to->graph = from->graph ? strdup(from->graph) : NULL;
    bool is_whole = alloc_classes(to, from->n_classes) && !from->graph == !to->graph;
    for (int i = 0; is_whole && i < from->n_classes; i++)
        is_whole = set_class(to, i, from->classes[i]);
    if (!is_whole)
        ws_card_fini(to);
    return is_whole;
}

bool ws_card_set_classes(struct ws_card *card, const struct ws_config *config)
{
    bool is_whole = alloc_classes(card, (int)config->n_classes);
    for (unsigned i = 0; is_whole && i < config->n_classes; i++)
        is_whole = set_class(card, (int)i, config->classes[i].name);
    return is_whole;
}

enum ws_status ws_card_check_classes(const struct ws_card *card, const struct ws_config *config, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    if (card->n_classes != (int)config->n_classes)
        status = ws_fail(err, WS_E_CONFIG, "the model knows %d classes, the configuration lists %u", card->n_classes,
                         config->n_classes);
    for (int i = 0; status == WS_OK && i < card->n_classes; i++)
        if (strcmp(card->classes[i], config->classes[i].name) != 0)
            status = ws_fail(err, WS_E_CONFIG, "class %d is \"%s\" in the model and \"%s\" in the configuration", i,
                             card->classes[i], config->classes[i].name);
    if (status != WS_OK)
        ws_err_hint(err, "list the model's classes, in its order, under `classes` (`webstill inspect` shows them)");
    return status;
}

static json_t *float_list(const float *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_real((double)values[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *class_list(const struct ws_card *card)
{
    json_t *list = json_array();
    for (int i = 0; list && i < card->n_classes; i++)
        if (json_array_append_new(list, json_string(card->classes[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

char *ws_card_text(const struct ws_card *card)
{
    json_t *root = json_pack(
        "{s:i,s:s,s:o,s:i,s:i,s:i,s:o,s:o,s:s,s:I,s:s,s:s}", "format", CARD_FORMAT, "arch", card->arch, "classes",
        class_list(card), "height", card->height, "width", card->width, "channels", card->channels, "mean",
        float_list(card->mean, card->channels), "std", float_list(card->std, card->channels), "method", card->method,
        "seed", (json_int_t)card->seed, "teacher_sha256", card->teacher_sha256, "config_sha256", card->config_sha256);
    bool is_whole = root != NULL;
    if (is_whole && card->accuracy >= 0.0)
        is_whole = json_object_set_new(root, "accuracy", json_real(card->accuracy)) == 0;
    is_whole = is_whole && ws_head_write(&card->head, root);
    char *text = is_whole ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    return text;
}

static enum ws_status read_text(const json_t *root, const char *key, char *out, size_t size_bytes, struct ws_err *err)
{
    const json_t *value = json_object_get(root, key);
    if (!value)
        return WS_OK;
    if (!json_is_string(value) || json_string_length(value) >= size_bytes)
        return ws_fail(err, WS_E_FORMAT, "model card: %s: expected a text shorter than %zu bytes", key, size_bytes);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return WS_OK;
}

static enum ws_status read_int(const json_t *root, const char *key, int min, int max, int *out, struct ws_err *err)
{
    const json_t *value = json_object_get(root, key);
    if (!value)
        return WS_OK;
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return ws_fail(err, WS_E_FORMAT, "model card: %s: expected an integer in %d to %d", key, min, max);
    *out = (int)json_integer_value(value);
    return WS_OK;
}

static enum ws_status read_floats(const json_t *root, const char *key, int n, bool is_positive, float *out,
                                  struct ws_err *err)
{
    const json_t *list = json_object_get(root, key);
    if (!list)
        return WS_OK;
    if (!json_is_array(list) || json_array_size(list) != (size_t)n)
        return ws_fail(err, WS_E_FORMAT, "model card: %s: expected a list of %d numbers, one per channel", key, n);
    for (int i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        const double number = json_number_value(value);
        if (!json_is_number(value) || !isfinite(number) || (is_positive && number <= 0.0))
            return ws_fail(err, WS_E_FORMAT, "model card: %s[%d]: expected a %snumber", key, i,
                           is_positive ? "positive " : "");
        out[i] = (float)number;
    }
    return WS_OK;
}

static enum ws_status read_classes(const json_t *root, struct ws_card *card, struct ws_err *err)
{
    const json_t *list = json_object_get(root, "classes");
    if (!list)
        return WS_OK;
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 2 || n > 1000000)
        return ws_fail(err, WS_E_FORMAT, "model card: classes: expected a list of at least two names");
    for (int i = 0; card->classes && i < card->n_classes; i++)
        free(card->classes[i]);
    free(card->classes);
    if (!alloc_classes(card, (int)n))
        return ws_fail(err, WS_E_MEMORY, "model card: out of memory for %zu classes", n);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!set_class(card, (int)i, name ? name : ""))
            return ws_fail(err, WS_E_MEMORY, "model card: out of memory for %zu classes", n);
        if (!name)
            return ws_fail(err, WS_E_FORMAT, "model card: classes[%zu]: expected a text", i);
    }
    return WS_OK;
}

static enum ws_status read_scalars(const json_t *root, struct ws_card *card, struct ws_err *err)
{
    enum ws_status status = read_text(root, "arch", card->arch, sizeof card->arch, err);
    if (status == WS_OK)
        status = read_text(root, "method", card->method, sizeof card->method, err);
    if (status == WS_OK)
        status = read_text(root, "teacher_sha256", card->teacher_sha256, sizeof card->teacher_sha256, err);
    if (status == WS_OK)
        status = read_text(root, "config_sha256", card->config_sha256, sizeof card->config_sha256, err);
    if (status == WS_OK)
        status = read_int(root, "height", 1, 4096, &card->height, err);
    if (status == WS_OK)
        status = read_int(root, "width", 1, 4096, &card->width, err);
    if (status == WS_OK)
        status = read_int(root, "channels", 1, 3, &card->channels, err);
    if (status != WS_OK)
        return status;
    card->seed = (uint64_t)json_integer_value(json_object_get(root, "seed"));
    const json_t *accuracy = json_object_get(root, "accuracy");
    card->accuracy = accuracy ? json_number_value(accuracy) : -1.0;
    return WS_OK;
}

static enum ws_status check_card(const struct ws_card *card, struct ws_err *err)
{
    const char *lacking = !card->arch[0]                        ? "arch"
                          : card->n_classes < 2                 ? "classes"
                          : card->height < 1 || card->width < 1 ? "height and width"
                          : card->channels < 1                  ? "channels"
                          : !(card->std[0] > 0.0f)              ? "mean and std"
                                                                : NULL;
    if (!lacking)
        return WS_OK;
    ws_fail(err, WS_E_FORMAT, "model card: %s: the file does not tell, and nothing else does", lacking);
    ws_err_hint(err, "set teacher.mean and teacher.std, or save the file with metadata {\"webstill.card\": "
                     "'{\"mean\":[…],\"std\":[…]}'}, one number per "
                     "channel, for pixels scaled to 0..1");
    return WS_E_FORMAT;
}

enum ws_status ws_card_read(struct ws_card *card, const char *text, const struct ws_card *fallback, struct ws_err *err)
{
    *card = (struct ws_card){.accuracy = -1.0};
    if (fallback && !ws_card_copy(card, fallback))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a model card");
    json_error_t error = {0};
    json_t *root = text ? json_loads(text, JSON_REJECT_DUPLICATES, &error) : json_object();
    enum ws_status status = WS_OK;
    if (!json_is_object(root))
        status = ws_fail(err, WS_E_FORMAT, "model card: not a JSON object: %s", error.text);
    const json_t *format = json_object_get(root, "format");
    if (status == WS_OK && format && json_integer_value(format) != CARD_FORMAT)
        status = ws_fail(err, WS_E_UNSUPPORTED, "model card: expected format %d", CARD_FORMAT);
    if (status == WS_OK)
        status = read_scalars(root, card, err);
    if (status == WS_OK)
        status = read_classes(root, card, err);
    if (status == WS_OK)
        status = read_floats(root, "mean", card->channels, false, card->mean, err);
    if (status == WS_OK)
        status = read_floats(root, "std", card->channels, true, card->std, err);
    if (status == WS_OK)
        status = ws_head_read(&card->head, root, err);
    if (status == WS_OK)
        status = check_card(card, err);
    json_decref(root);
    if (status != WS_OK)
        ws_card_fini(card);
    return status;
}
