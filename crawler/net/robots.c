#include "robots.h"

#include "webstill/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_PATH = 3 * 4096 + 4,      /* of a URL whose every octet is coded */
    MAX_PATTERN = MAX_PATH,       /* a longer one without "*" could match no path */
    MAX_STEPS = 20 * 1000 * 1000, /* of comparing octets in one decision: about 20 ms */
};

/* --- lines --- */

struct line {
    const char *whole; /* trimmed, comment cut off */
    size_t whole_len;
    const char *key, *value;
    size_t key_len, value_len;
    unsigned number;
};

struct lines {
    const char *at, *end;
    unsigned number;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *len)
{
    while (*len && is_blank(**text)) {
        (*text)++;
        (*len)--;
    }
    while (*len && is_blank((*text)[*len - 1]))
        (*len)--;
}

static struct lines start_lines(struct ws_span text)
{
    struct lines lines = {(const char *)text.ptr, NULL, 0};
    size_t len = text.len;
    if (len > WS_ROBOTS_MAX_BYTES) {
        /* The line that the ceiling cuts is left out: half a rule is another rule. */
        len = WS_ROBOTS_MAX_BYTES;
        while (len && text.ptr[len - 1] != '\n' && text.ptr[len - 1] != '\r')
            len--;
    }
    lines.end = lines.at ? lines.at + len : NULL;
    if (len >= 3 && memcmp(lines.at, "\xEF\xBB\xBF", 3) == 0)
        lines.at += 3;
    return lines;
}

/** Step to the next "key: value" line; others (blank, comment, no colon) are passed over. */
static bool next_line(struct lines *lines, struct line *line)
{
    while (lines->at < lines->end) {
        const char *start = lines->at, *p = start;
        while (p < lines->end && *p != '\n' && *p != '\r')
            p++;
        lines->at = p + (p < lines->end);
        if (p < lines->end && *p == '\r' && lines->at < lines->end && *lines->at == '\n')
            lines->at++;
        lines->number++;

        const char *comment = memchr(start, '#', (size_t)(p - start));
        line->whole = start;
        line->whole_len = (size_t)((comment ? comment : p) - start);
        trim(&line->whole, &line->whole_len);
        const char *colon = memchr(line->whole, ':', line->whole_len);
        if (!colon)
            continue;
        line->number = lines->number;
        line->key = line->whole;
        line->key_len = (size_t)(colon - line->whole);
        line->value = colon + 1;
        line->value_len = line->whole_len - line->key_len - 1;
        trim(&line->key, &line->key_len);
        trim(&line->value, &line->value_len);
        return true;
    }
    return false;
}

static bool key_is(const struct line *line, const char *key)
{
    return line->key_len == strlen(key) && strncasecmp(line->key, key, line->key_len) == 0;
}

/* --- groups --- */

enum group { GROUP_NONE, GROUP_ANY, GROUP_OURS };

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

static size_t token_length(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && is_token_char(text[n]))
        n++;
    return n;
}

void ws_robots_token(const char *user_agent, char token[WS_ROBOTS_TOKEN_MAX])
{
    size_t n = token_length(user_agent, strlen(user_agent));
    if (n >= WS_ROBOTS_TOKEN_MAX)
        n = WS_ROBOTS_TOKEN_MAX - 1;
    for (size_t i = 0; i < n; i++)
        token[i] = user_agent[i] >= 'A' && user_agent[i] <= 'Z' ? (char)(user_agent[i] - 'A' + 'a') : user_agent[i];
    token[n] = '\0';
}

/** Whom a User-agent line names. "webstill/1.0" names "webstill"; "* comment" names everyone. */
static enum group group_of(const struct line *line, const char *token)
{
    if (line->value_len >= 1 && line->value[0] == '*' && (line->value_len == 1 || is_blank(line->value[1])))
        return GROUP_ANY;
    const size_t n = token_length(line->value, line->value_len);
    return n > 0 && n == strlen(token) && strncasecmp(line->value, token, n) == 0 ? GROUP_OURS : GROUP_NONE;
}

/** Walks the rules and knows for each whom it is for: consecutive User-agent lines share what follows (RFC 9309 §2.1).
 */
struct walk {
    struct lines lines;
    const char *token;
    bool is_any, is_ours; /* the current group names them */
    bool has_rules;       /* the current group has begun its rules */
};

static bool next_rule(struct walk *walk, struct line *line)
{
    while (next_line(&walk->lines, line)) {
        if (!key_is(line, "user-agent")) {
            /* Only Allow and Disallow end a list of names: unknown records must not disturb the known ones (§2.2.4). */
            if (key_is(line, "allow") || key_is(line, "disallow"))
                walk->has_rules = true;
            return true;
        }
        if (walk->has_rules)
            walk->is_any = walk->is_ours = walk->has_rules = false;
        const enum group group = group_of(line, walk->token);
        walk->is_any = walk->is_any || group == GROUP_ANY;
        walk->is_ours = walk->is_ours || group == GROUP_OURS;
    }
    return false;
}

static bool names_us(struct ws_span text, const char *token)
{
    struct lines lines = start_lines(text);
    struct line line;
    while (next_line(&lines, &line))
        if (key_is(&line, "user-agent") && group_of(&line, token) == GROUP_OURS)
            return true;
    return false;
}

/* --- matching --- */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static size_t put_coded(char *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    out[0] = '%';
    out[1] = digits[c >> 4];
    out[2] = digits[c & 15];
    return 3;
}

/**
 * The form that rule and path are compared in (RFC 9309 §2.2.2): unreserved octets plain, reserved ones as they were
 * written, all others coded in upper case. A path's "*" and "$" are coded, so that only a rule's are special (§2.2.3).
 * Returns the length, or 0 when it does not fit.
 */
static size_t normalise(const char *text, size_t len, bool is_rule, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (n + 4 > size)
            return 0;
        if (c == '%' && i + 2 < len && ws_hex_value(text[i + 1]) >= 0 && ws_hex_value(text[i + 2]) >= 0) {
            const unsigned char octet = (unsigned char)(ws_hex_value(text[i + 1]) << 4 | ws_hex_value(text[i + 2]));
            if (is_unreserved(octet))
                out[n++] = (char)octet;
            else
                n += put_coded(out + n, octet);
            i += 2;
        } else if (c == '*' || c == '$') {
            const bool is_special = is_rule && (c == '*' || i + 1 == len);
            if (!is_special)
                n += put_coded(out + n, c);
            else if (c != '*' || n == 0 || out[n - 1] != '*') /* "**" is "*" */
                out[n++] = (char)c;
        } else if (c <= ' ' || c >= 0x7f || strchr("%\"<>\\^`{}|", c)) {
            n += put_coded(out + n, c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    return n;
}

/** A rule matches a beginning of the path; a final "$" asks for the whole of it. */
static bool matches(const char *pattern, size_t pattern_len, const char *path, size_t path_len, long *steps)
{
    const bool is_anchored = pattern_len && pattern[pattern_len - 1] == '$';
    const size_t n = is_anchored ? pattern_len - 1 : pattern_len;
    size_t p = 0, s = 0, star = SIZE_MAX, star_s = 0;
    for (;;) {
        if (--*steps < 0)
            return false;
        if (p == n && (!is_anchored || s == path_len))
            return true;
        if (p < n && pattern[p] == '*') {
            star = p++;
            star_s = s;
        } else if (p < n && s < path_len && pattern[p] == path[s]) {
            p++;
            s++;
        } else if (star != SIZE_MAX && star_s < path_len) {
            p = star + 1;
            s = ++star_s;
        } else {
            return false;
        }
    }
}

static void refuse_as_too_dear(struct ws_robots_decision *decision)
{
    *decision = (struct ws_robots_decision){.is_allowed = false};
    snprintf(decision->rule, sizeof decision->rule, "(rules too costly to match)");
}

void ws_robots_decide(struct ws_span text, const char *token, const char *path_text,
                      struct ws_robots_decision *decision)
{
    static const char robots_path[] = "/robots.txt";
    char pattern[MAX_PATTERN], path[MAX_PATH];
    *decision = (struct ws_robots_decision){.is_allowed = true};
    if (strcmp(path_text, robots_path) == 0)
        return;
    const size_t path_len = normalise(path_text, strlen(path_text), false, path, sizeof path);
    const bool is_for_us = names_us(text, token);
    struct walk walk = {.lines = start_lines(text), .token = token};
    struct line line;
    size_t best_len = 0;
    long steps = MAX_STEPS;

    while (next_rule(&walk, &line)) {
        const bool is_allow = key_is(&line, "allow");
        if (!(is_for_us ? walk.is_ours : walk.is_any) || (!is_allow && !key_is(&line, "disallow")))
            continue;
        const size_t len = normalise(line.value, line.value_len, true, pattern, sizeof pattern);
        if (len == 0 || len < best_len || (len == best_len && !(is_allow && !decision->is_allowed)))
            continue;
        const bool is_match = matches(pattern, len, path, path_len, &steps);
        if (steps < 0) {
            refuse_as_too_dear(decision);
            return;
        }
        if (!is_match)
            continue;
        best_len = len;
        decision->is_allowed = is_allow;
        decision->line = line.number;
        snprintf(decision->rule, sizeof decision->rule, "%.*s", (int)line.whole_len, line.whole);
    }
}

double ws_robots_crawl_delay(struct ws_span text, const char *token)
{
    const bool is_for_us = names_us(text, token);
    struct walk walk = {.lines = start_lines(text), .token = token};
    struct line line;
    double delay_s = -1;
    while (next_rule(&walk, &line)) {
        char number[32], *end;
        if (!(is_for_us ? walk.is_ours : walk.is_any) || !key_is(&line, "crawl-delay") ||
            line.value_len >= sizeof number)
            continue;
        memcpy(number, line.value, line.value_len);
        number[line.value_len] = '\0';
        const double value = strtod(number, &end);
        if (end != number && value >= 0 && value > delay_s)
            delay_s = value;
    }
    return delay_s;
}
