/* IP addresses and CIDR ranges of both families. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is its IPv4 address. */
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

/* "203.0.113.7", "2001:db8::1", "[2001:db8::1]", each with an optional ":port" where that is unambiguous. */
MUST_CHECK bool address_parse(struct slice text, struct address *address);
/* An address, or one with "/bits"; bits beyond the prefix must be zero. */
MUST_CHECK bool address_range_parse(struct slice text, struct address_range *range);
bool address_in(const struct address *address, const struct address_range *ranges, size_t count);

/*
 * Who really sent the request: PEER, or, while that is a trusted proxy, the address left of it in X-Forwarded-For, read from right to left, up to the first that is
 * not trusted. A malformed element ends the walk: the result is then not set. FORWARDED_FOR may be empty.
 */
struct address address_of_client(const struct address *peer, struct slice forwarded_for,
                                 const struct address_range *trusted, size_t trusted_count);

#endif
