#include "guard.h"

#include "webstill/base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct special {
    const char *block, *why;
};

/* IANA IPv4 and IPv6 special-purpose address registries; what is globally reachable in them is left out. */
static const struct special specials_v4[] = {
    {"0.0.0.0/8", "this network"},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "carrier-grade NAT"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "protocol assignments"},
    {"192.0.2.0/24", "documentation"},
    {"192.88.99.0/24", "6to4 relay"},
    {"192.168.0.0/16", "private"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved"},
};
static const struct special specials_v6[] = {
    {"::/128", "unspecified"},
    {"::1/128", "loopback"},
    {"::/96", "IPv4-compatible"},
    {"64:ff9b:1::/48", "local NAT64"},
    {"100::/64", "discard"},
    {"2001::/23", "protocol assignments"},
    {"2001:db8::/32", "documentation"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "segment routing"},
    {"fc00::/7", "private"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
};
/* IPv6 blocks that carry an IPv4 address, and the octet where it begins. */
static const struct {
    const char *block;
    unsigned offset;
} carriers[] = {{"::ffff:0:0/96", 12}, {"::ffff:0:0:0/96", 12}, {"64:ff9b::/96", 12}, {"2002::/16", 2}};

bool ws_block_parse(struct ws_block *block, const char *text)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    const size_t len = slash ? (size_t)(slash - text) : strlen(text);
    *block = (struct ws_block){0};
    if (len == 0 || len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, block->bytes) == 1)
        block->n_bytes = 4;
    else if (inet_pton(AF_INET6, address, block->bytes) == 1)
        block->n_bytes = 16;
    else
        return false;
    block->n_bits = block->n_bytes * 8;
    if (slash) {
        char *end;
        const unsigned long bits = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > block->n_bits)
            return false;
        block->n_bits = (unsigned)bits;
    }
    return true;
}

static bool holds(const struct ws_block *block, const uint8_t *bytes, unsigned n_bytes)
{
    if (block->n_bytes != n_bytes)
        return false;
    const unsigned whole = block->n_bits / 8, rest = block->n_bits % 8;
    if (memcmp(block->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || ((block->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

static bool text_holds(const char *text, const uint8_t *bytes, unsigned n_bytes)
{
    struct ws_block block;
    return ws_block_parse(&block, text) && holds(&block, bytes, n_bytes);
}

static const char *find_special(const struct special *specials, size_t n, const uint8_t *bytes, unsigned n_bytes)
{
    for (size_t i = 0; i < n; i++)
        if (text_holds(specials[i].block, bytes, n_bytes))
            return specials[i].why;
    return NULL;
}

static bool is_allowed(const struct ws_guard *guard, const uint8_t *bytes, unsigned n_bytes)
{
    for (size_t i = 0; i < guard->n_allowed; i++)
        if (holds(&guard->allowed[i], bytes, n_bytes))
            return true;
    return false;
}

enum ws_status ws_guard_init(struct ws_guard *guard, char *const *allow, size_t n_allow, struct ws_err *err)
{
    *guard = (struct ws_guard){0};
    if (n_allow == 0)
        return WS_OK;
    guard->allowed = ws_calloc(n_allow, sizeof *guard->allowed);
    if (!guard->allowed)
        return ws_fail(err, WS_E_MEMORY, "out of memory for crawl.allow_addresses");
    for (size_t i = 0; i < n_allow; i++) {
        if (!ws_block_parse(&guard->allowed[i], allow[i])) {
            ws_guard_fini(guard);
            return ws_fail(err, WS_E_CONFIG,
                           "crawl.allow_addresses: expected an address block such as \"127.0.0.0/8\", found \"%s\"",
                           allow[i]);
        }
    }
    guard->n_allowed = n_allow;
    return WS_OK;
}

void ws_guard_fini(struct ws_guard *guard)
{
    free(guard->allowed);
    *guard = (struct ws_guard){0};
}

static const char *refuse_v4(const struct ws_guard *guard, const uint8_t *bytes)
{
    if (is_allowed(guard, bytes, 4))
        return NULL;
    return find_special(specials_v4, sizeof specials_v4 / sizeof *specials_v4, bytes, 4);
}

const char *ws_guard_refuses(const struct ws_guard *guard, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4); /* curl's buffer need not be aligned for us */
        return refuse_v4(guard, (const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        const uint8_t *bytes = v6.sin6_addr.s6_addr;
        if (is_allowed(guard, bytes, 16))
            return NULL;
        for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++)
            if (text_holds(carriers[i].block, bytes, 16))
                return refuse_v4(guard, bytes + carriers[i].offset);
        return find_special(specials_v6, sizeof specials_v6 / sizeof *specials_v6, bytes, 16);
    }
    return "not an internet address";
}
