/** Scalars of the configuration: from text, and back. */
#include "value.h"

#include "webstill/base/text.h"
#include "webstill/conf/config.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_WORDS = 16 }; /* words of one enumeration */

/** "expected one of pad, crop, stretch", and the nearest of them. */
static bool refuse_word(const char *const *words, const char *text, struct ws_conf_complaint *complaint)
{
    size_t used = (size_t)snprintf(complaint->expected, sizeof complaint->expected, "one of ");
    for (const char *const *word = words; *word && used < sizeof complaint->expected; word++)
        used += (size_t)snprintf(complaint->expected + used, sizeof complaint->expected - used, "%s%s",
                                 word == words ? "" : ", ", *word);
    const char *nearest = ws_nearest_name(text, words);
    if (nearest)
        snprintf(complaint->advice, sizeof complaint->advice, "; did you mean \"%s\"?", nearest);
    return false;
}

static bool check_choice(const struct ws_conf_rule *rule, const char *text, struct ws_conf_complaint *complaint)
{
    for (const char *const *choice = rule->choices; *choice; choice++)
        if (strcmp(*choice, text) == 0)
            return true;
    return refuse_word(rule->choices, text, complaint);
}

static bool check_enum(const struct cyaml_schema_value *schema, const char *text, char *plain,
                       struct ws_conf_complaint *complaint)
{
    const char *words[MAX_WORDS + 1];
    uint32_t n = 0;
    for (; n < schema->enumeration.count && n < MAX_WORDS; n++) {
        words[n] = schema->enumeration.strings[n].str;
        if (strcmp(words[n], text) == 0) {
            snprintf(plain, WS_CONF_PLAIN, "%s", text);
            return true;
        }
    }
    words[n] = NULL;
    return refuse_word(words, text, complaint);
}

static bool check_bool(const char *text, char *plain, struct ws_conf_complaint *complaint)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < 3; i++) {
        bool is_yes = strcasecmp(text, yes[i]) == 0;
        if (is_yes || strcasecmp(text, no[i]) == 0) {
            snprintf(plain, WS_CONF_PLAIN, "%s", is_yes ? "true" : "false");
            return true;
        }
    }
    snprintf(complaint->expected, sizeof complaint->expected, "true or false");
    return false;
}

static bool refuse_number(const struct ws_conf_rule *rule, const char *kind, struct ws_conf_complaint *complaint)
{
    char range[80];
    ws_conf_rule_range(rule, range, sizeof range);
    snprintf(complaint->expected, sizeof complaint->expected, "%s in %s", kind, range);
    return false;
}

/** Decimal digits only: libyaml's users write 010 for ten, and strtoull() would read eight. */
static bool check_uint(const struct ws_conf_rule *rule, const char *text, char *plain,
                       struct ws_conf_complaint *complaint)
{
    errno = 0;
    bool is_number = *text && strspn(text, "0123456789") == strlen(text);
    unsigned long long value = is_number ? strtoull(text, NULL, 10) : 0;
    if (!is_number || errno == ERANGE || !ws_conf_rule_admits(rule, (double)value))
        return refuse_number(rule, "a whole number", complaint);
    snprintf(plain, WS_CONF_PLAIN, "%llu", value);
    return true;
}

static bool check_float(const struct ws_conf_rule *rule, const char *text, char *plain,
                        struct ws_conf_complaint *complaint)
{
    char *end = NULL;
    bool is_number = *text && strspn(text, "0123456789+-.eE") == strlen(text);
    double value = is_number ? strtod(text, &end) : 0;
    if (!is_number || *end || !isfinite(value) || !ws_conf_rule_admits(rule, value))
        return refuse_number(rule, "a number", complaint);
    snprintf(plain, WS_CONF_PLAIN, "%.17g", value);
    return true;
}

bool ws_conf_value_check(const struct cyaml_schema_value *schema, const char *rule_key, const char *text,
                         char plain[WS_CONF_PLAIN], struct ws_conf_complaint *complaint)
{
    const struct ws_conf_rule *rule = ws_conf_rule_find(rule_key);
    complaint->expected[0] = complaint->advice[0] = '\0';
    if (rule && rule->choices && !check_choice(rule, text, complaint))
        return false;
    switch (schema->type) {
    case CYAML_UINT:
        ws_assert(rule != NULL);
        return check_uint(rule, text, plain, complaint);
    case CYAML_FLOAT:
        ws_assert(rule != NULL);
        return check_float(rule, text, plain, complaint);
    case CYAML_BOOL:
        return check_bool(text, plain, complaint);
    case CYAML_ENUM:
        return check_enum(schema, text, plain, complaint);
    default:
        return true;
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

bool ws_conf_value_number(struct ws_buf *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return ws_buf_add_str(out, text);
}
