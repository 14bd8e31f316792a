/**
 * Which addresses a crawl may connect to.
 *
 * A page can name any address, so each socket is checked after name resolution and before it connects, for every
 * redirect hop and every address a name has: loopback, private, link-local, carrier-grade, documentation, multicast and
 * reserved blocks (the IANA special-purpose registries, RFC 6890) are refused, and so are IPv4 addresses of that kind
 * inside mapped, translated, NAT64 and 6to4 ones. `crawl.allow_addresses` makes exceptions.
 */
#ifndef WEBSTILL_CRAWLER_NET_GUARD_H
#define WEBSTILL_CRAWLER_NET_GUARD_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/** A CIDR block. */
struct ws_block {
    uint8_t bytes[16];
    unsigned n_bytes; /**< 4 or 16 */
    unsigned n_bits;
};

struct ws_guard {
    struct ws_block *allowed; /**< owned */
    size_t n_allowed;
};

/** Parse "127.0.0.0/8" or "::1/128" (no "/": one address). */
bool ws_block_parse(struct ws_block *block, const char *text);

/** `allow`: the blocks exempt from the guard. WS_E_CONFIG names the one that is none. */
WS_MUST_USE enum ws_status ws_guard_init(struct ws_guard *guard, char *const *allow, size_t n_allow,
                                         struct ws_err *err);
void ws_guard_fini(struct ws_guard *guard);

/** NULL when the address may be connected to; else why not ("loopback"). */
const char *ws_guard_refuses(const struct ws_guard *guard, const struct sockaddr *address);

#endif
