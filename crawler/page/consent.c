#include "consent.h"

#include "net/head.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { MAX_FIELDS = 32, MAX_VALUE = 2048 };

static const struct {
    const char *name;
    unsigned flags;
} directives[] = {
    {"noindex", WS_CONSENT_NOINDEX},
    {"nofollow", WS_CONSENT_NOFOLLOW},
    {"none", WS_CONSENT_NOINDEX | WS_CONSENT_NOFOLLOW},
    {"noimageindex", WS_CONSENT_NOIMAGEINDEX},
    {"noai", WS_CONSENT_NOAI},
    {"noimageai", WS_CONSENT_NOIMAGEAI},
    {"noml", WS_CONSENT_NOML},
};

/* Directives that have a value: what stands before their colon is no crawler's name. */
static const char *const valued[] = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"};

static void trim(const char **text, size_t *len)
{
    while (*len && (**text == ' ' || **text == '\t')) {
        (*text)++;
        (*len)--;
    }
    while (*len && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
        (*len)--;
}

static bool is_text(const char *text, size_t len, const char *expected)
{
    return len == strlen(expected) && strncasecmp(text, expected, len) == 0;
}

static unsigned flags_of(const char *text, size_t len)
{
    trim(&text, &len);
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++)
        if (is_text(text, len, directives[i].name))
            return directives[i].flags;
    return 0;
}

static bool is_valued(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof valued / sizeof *valued; i++)
        if (is_text(text, len, valued[i]))
            return true;
    return false;
}

/** A crawler's name is one word; "25 Jun 2030 15" of a date with commas and colons is none. */
static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == ' ' || text[i] == '\t')
            return false;
    return len > 0;
}

unsigned ws_consent_robots_tag(const char *value, const char *token)
{
    unsigned flags = 0;
    bool is_for_us = true;
    while (*value) {
        size_t len = strcspn(value, ",");
        const char *item = value;
        value += len + (value[len] == ',');
        const char *colon = memchr(item, ':', len);
        if (colon) {
            const char *name = item;
            size_t name_len = (size_t)(colon - item);
            trim(&name, &name_len);
            if (is_valued(name, name_len) || !is_name(name, name_len))
                continue;
            is_for_us = is_text(name, name_len, token) || is_text(name, name_len, "*");
            len -= (size_t)(colon + 1 - item);
            item = colon + 1;
        }
        if (is_for_us)
            flags |= flags_of(item, len);
    }
    return flags;
}

unsigned ws_consent_meta(const char *content)
{
    unsigned flags = 0;
    while (*content) {
        const size_t len = strcspn(content, ", \t\r\n");
        flags |= flags_of(content, len);
        content += len + (content[len] != '\0');
    }
    return flags;
}

unsigned ws_consent_usage(const char *value)
{
    while (*value) {
        const char *item = value;
        size_t len = strcspn(value, ",");
        value += len + (value[len] == ',');
        const char *parameters = memchr(item, ';', len);
        if (parameters)
            len = (size_t)(parameters - item);
        trim(&item, &len);
        if (is_text(item, len, "train-ai=n"))
            return WS_CONSENT_NO_TRAINING;
    }
    return 0;
}

unsigned ws_consent_head(struct ws_span head, const char *token)
{
    char value[MAX_VALUE];
    unsigned flags = 0;
    for (unsigned i = 0; i < MAX_FIELDS && ws_head_field(head, "X-Robots-Tag", i, value, sizeof value); i++)
        flags |= ws_consent_robots_tag(value, token);
    for (unsigned i = 0; i < MAX_FIELDS && ws_head_field(head, "Content-Usage", i, value, sizeof value); i++)
        flags |= ws_consent_usage(value);
    if (ws_head_field(head, "tdm-reservation", 0, value, sizeof value) && strcmp(value, "1") == 0)
        flags |= WS_CONSENT_TDM_RESERVED;
    return flags;
}

const char *ws_consent_refusal(unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } refusals[] = {
        {WS_CONSENT_NOAI, "noai"},
        {WS_CONSENT_NOIMAGEAI, "noimageai"},
        {WS_CONSENT_NOML, "noml"},
        {WS_CONSENT_NO_TRAINING, "Content-Usage: train-ai=n"},
        {WS_CONSENT_TDM_RESERVED, "tdm-reservation: 1"},
        {WS_CONSENT_NOIMAGEINDEX, "noimageindex"},
        {WS_CONSENT_NOINDEX, "noindex"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (flags & refusals[i].flag)
            return refusals[i].name;
    return NULL;
}
