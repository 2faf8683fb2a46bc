/*
 * IP addresses and CIDR ranges of both families. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is
 * its IPv4 address.
 *
 * Pure: texts in, bytes out; no name is ever looked up.
 */
#ifndef DOMAIN_ADDRESS_H
#define DOMAIN_ADDRESS_H

#include "base/slice.h"

struct address {
    uint8_t bytes[16]; /* IPv4 as IPv4-mapped */
    bool is_set;
};

struct address_range {
    struct address network;
    unsigned prefix_bits; /* of 128 */
};

/*
 * "203.0.113.7", "2001:db8::1", "[2001:db8::1]", each with an optional ":port" where that is
 * unambiguous; spaces around it do not count. False, with *address not set, on anything else:
 * names, zones ("fe80::1%eth0"), leading zeros, embedded NUL bytes.
 */
MUST_CHECK bool address_parse(struct slice text, struct address *address);
/* An address without port and brackets, or one with "/bits"; bits beyond the prefix must be zero.
 */
MUST_CHECK bool address_range_parse(struct slice text, struct address_range *range);
/* False for an address that is not set. An IPv6 range never holds IPv4 addresses: "::/0" is all of
 * IPv6 and no more. */
bool address_in(const struct address *address, const struct address_range *ranges, size_t count);

/*
 * Who really sent the request: PEER, or, while that is a trusted proxy, the address left of it in
 * X-Forwarded-For, read from right to left, up to the first that is not trusted (so what a client
 * forges to the left is never looked at), or the leftmost when all are. A malformed or empty
 * element ends the walk: the result is then not set. FORWARDED_FOR may be empty.
 */
struct address address_of_client(const struct address *peer, struct slice forwarded_for,
                                 const struct address_range *trusted, size_t trusted_count);

/* The text of ADDRESS (RFC 5952), with a NUL; empty when it is not set or ROOM is short of 46. */
void address_format(const struct address *address, char *text, size_t room);

#endif
