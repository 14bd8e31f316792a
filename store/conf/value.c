/** Single values of the configuration: from text, and back. */
#include "value.h"

#include "webstill/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_WORDS = 32 }; /* words of one enumeration, for the nearest of them */

/** "expected one of pad, crop, stretch", and the nearest of them. */
static bool refuse_word(const struct ws_conf_word *words, const char *text, struct ws_conf_complaint *complaint)
{
    const char *names[MAX_WORDS + 1];
    size_t n = 0, used = (size_t)snprintf(complaint->expected, sizeof complaint->expected, "one of ");
    for (; n < MAX_WORDS && words[n].word && used < sizeof complaint->expected; n++) {
        names[n] = words[n].word;
        used += (size_t)snprintf(complaint->expected + used, sizeof complaint->expected - used, "%s%s", n ? ", " : "",
                                 words[n].word);
    }
    names[n] = NULL;
    const char *nearest = ws_nearest_name(text, names);
    if (nearest)
        snprintf(complaint->advice, sizeof complaint->advice, "; did you mean \"%s\"?", nearest);
    return false;
}

static bool read_word(const struct ws_conf_key *key, const char *text, unsigned *value,
                      struct ws_conf_complaint *complaint)
{
    for (const struct ws_conf_word *word = key->words; word->word; word++)
        if (strcmp(word->word, text) == 0) {
            *value = word->value;
            return true;
        }
    return refuse_word(key->words, text, complaint);
}

static bool read_bool(const char *text, bool *value, struct ws_conf_complaint *complaint)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < 3; i++) {
        *value = strcasecmp(text, yes[i]) == 0;
        if (*value || strcasecmp(text, no[i]) == 0)
            return true;
    }
    snprintf(complaint->expected, sizeof complaint->expected, "true or false");
    return false;
}

static bool admits(const struct ws_conf_key *key, double value)
{
    bool high_enough = key->excluded & WS_CONF_ABOVE ? value > key->min : value >= key->min;
    bool low_enough = key->excluded & WS_CONF_BELOW ? value < key->max : value <= key->max;
    return high_enough && low_enough;
}

static bool refuse_number(const struct ws_conf_key *key, const char *kind, struct ws_conf_complaint *complaint)
{
    char range[80];
    ws_conf_value_range(key, range, sizeof range);
    snprintf(complaint->expected, sizeof complaint->expected, "%s in %s", kind, range);
    return false;
}

/** Decimal digits only: libyaml's users write 010 for ten, and strtoull() would read eight. */
static bool read_whole(const struct ws_conf_key *key, const char *text, uint64_t *value,
                       struct ws_conf_complaint *complaint)
{
    errno = 0;
    bool is_number = *text && strspn(text, "0123456789") == strlen(text);
    *value = is_number ? strtoull(text, NULL, 10) : 0;
    if (!is_number || errno == ERANGE || !admits(key, (double)*value))
        return refuse_number(key, "a whole number", complaint);
    return true;
}

static bool read_number(const struct ws_conf_key *key, const char *text, double *value,
                        struct ws_conf_complaint *complaint)
{
    char *end = NULL;
    bool is_number = *text && strspn(text, "0123456789+-.eE") == strlen(text);
    *value = is_number ? strtod(text, &end) : 0;
    if (!is_number || *end || !isfinite(*value) || !admits(key, *value))
        return refuse_number(key, "a number", complaint);
    return true;
}

bool ws_conf_value_read(const struct ws_conf_key *key, const char *text, union ws_conf_scalar *value,
                        struct ws_conf_complaint *complaint)
{
    uint64_t whole;
    complaint->expected[0] = complaint->advice[0] = '\0';
    switch (key->type) {
    case WS_CONF_TYPE_UINT:
        if (!read_whole(key, text, &whole, complaint))
            return false;
        value->u32 = (uint32_t)whole;
        return true;
    case WS_CONF_TYPE_ULONG:
        return read_whole(key, text, &value->u64, complaint);
    case WS_CONF_TYPE_NUMBER:
        return read_number(key, text, &value->number, complaint);
    case WS_CONF_TYPE_BOOL:
        return read_bool(text, &value->flag, complaint);
    default:
        ws_assert(key->type == WS_CONF_TYPE_WORD);
        return read_word(key, text, &value->word, complaint);
    }
}

size_t ws_conf_value_bytes(const struct ws_conf_key *key)
{
    switch (key->type) {
    case WS_CONF_TYPE_UINT:
        return sizeof(uint32_t);
    case WS_CONF_TYPE_ULONG:
        return sizeof(uint64_t);
    case WS_CONF_TYPE_NUMBER:
        return sizeof(double);
    case WS_CONF_TYPE_BOOL:
        return sizeof(bool);
    case WS_CONF_TYPE_WORD:
        return sizeof(unsigned);
    case WS_CONF_TYPE_TEXT:
        return sizeof(char *);
    default:
        ws_assert(key->type == WS_CONF_TYPE_RECORD);
        return key->record->size_bytes;
    }
}

/** Plain style only for texts that no YAML 1.1 reader takes for something else. */
static bool is_plain_text(const char *text)
{
    static const char *const taken[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", NULL};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./-";
    size_t len = strlen(text);
    if (len == 0 || !strchr(letters, text[0]) || strspn(text, inner) != len || text[len - 1] == ' ')
        return false;
    for (const char *const *word = taken; *word; word++)
        if (strcasecmp(*word, text) == 0)
            return false;
    return true;
}

bool ws_conf_value_quote(struct ws_buf *out, const char *text)
{
    if (is_plain_text(text))
        return ws_buf_add_str(out, text);
    bool ok = ws_buf_add_str(out, "\"");
    for (; ok && *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            ok = ws_buf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            ok = ws_buf_addf(out, "\\x%02x", c);
        else
            ok = ws_buf_add(out, &c, 1);
    }
    return ok && ws_buf_add_str(out, "\"");
}

/** The fewest digits that read back as the same double: with six, two configurations could have one hash. */
static bool print_number(struct ws_buf *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return ws_buf_add_str(out, text);
}

static const char *find_word(const struct ws_conf_word *words, unsigned value)
{
    for (; words->word; words++)
        if (words->value == value)
            break;
    ws_assert(words->word != NULL); /* else the struct holds what no configuration can say */
    return words->word;
}

bool ws_conf_value_print(const struct ws_conf_key *key, const void *data, struct ws_buf *out)
{
    union ws_conf_scalar value;
    const char *text;
    if (key->type == WS_CONF_TYPE_TEXT) {
        memcpy(&text, data, sizeof text);
        return ws_conf_value_quote(out, text);
    }
    memcpy(&value, data, ws_conf_value_bytes(key));
    switch (key->type) {
    case WS_CONF_TYPE_UINT:
        return ws_buf_addf(out, "%" PRIu32, value.u32);
    case WS_CONF_TYPE_ULONG:
        return ws_buf_addf(out, "%" PRIu64, value.u64);
    case WS_CONF_TYPE_NUMBER:
        return print_number(out, value.number);
    case WS_CONF_TYPE_BOOL:
        return ws_buf_add_str(out, value.flag ? "true" : "false");
    default:
        ws_assert(key->type == WS_CONF_TYPE_WORD);
        return ws_buf_add_str(out, find_word(key->words, value.word));
    }
}

void ws_conf_value_range(const struct ws_conf_key *key, char *text, size_t size_bytes)
{
    if (key->type == WS_CONF_TYPE_WORD) {
        size_t used = 0;
        for (const struct ws_conf_word *word = key->words; word->word && used < size_bytes; word++)
            used += (size_t)snprintf(text + used, size_bytes - used, "%s%s", used ? " or " : "", word->word);
        return;
    }
    snprintf(text, size_bytes, "%c%.16g, %.16g%c", key->excluded & WS_CONF_ABOVE ? '(' : '[', key->min, key->max,
             key->excluded & WS_CONF_BELOW ? ')' : ']');
}
