#include "domain/address.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS_BITS 128u
#define MAPPED_BITS 96u

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_ipv4(const struct address *address) {
    return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static bool contains(struct slice text, char c) {
    return text.len > 0 && memchr(text.data, c, text.len) != NULL;
}

/* The address alone. *V4_NOTATION tells a dotted quad from an IPv4-mapped address, for which "/24"
 * means something else. */
static bool parse_bare(struct slice text, struct address *address, bool *v4_notation) {
    char copy[INET6_ADDRSTRLEN];
    *address = (struct address){0};
    *v4_notation = false;
    if (text.len == 0 || text.len >= sizeof copy || contains(text, '\0')) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, address->bytes) == 1) {
        address->is_set = true;
    } else if (inet_pton(AF_INET, copy, address->bytes + sizeof mapped_prefix) == 1) {
        memcpy(address->bytes, mapped_prefix, sizeof mapped_prefix);
        address->is_set = *v4_notation = true;
    }
    return address->is_set;
}

/* Digits only, without sign, at most MAX. */
static bool parse_number(struct slice text, int64_t max, int64_t *number) {
    return text.len > 0 && text.len <= 5 && text.data[0] != '-' && slice_to_int64(text, number) &&
           *number <= max;
}

/* Takes ":port" and the brackets off; false when what is there is neither. */
static bool strip_port(struct slice text, struct slice *host) {
    struct slice port;
    int64_t number;
    if (text.len > 0 && text.data[0] == '[') {
        if (!slice_split(slice_from(text, 1), ']', host, &port) || !contains(*host, ':')) {
            return false;
        }
        return port.len == 0 ||
               (port.data[0] == ':' && parse_number(slice_from(port, 1), 65535, &number));
    }
    /* With one colon it is a port, with more an IPv6 address. */
    if (slice_split(text, ':', host, &port) && !contains(port, ':')) {
        return parse_number(port, 65535, &number);
    }
    *host = text;
    return true;
}

bool address_parse(struct slice text, struct address *address) {
    struct slice host;
    bool v4_notation;
    *address = (struct address){0};
    return strip_port(slice_trim(text), &host) && parse_bare(host, address, &v4_notation);
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool is_zero_beyond(const uint8_t *bytes, unsigned bits) {
    for (unsigned bit = bits; bit < ADDRESS_BITS; bit++) {
        if (bytes[bit / 8] & (0x80u >> bit % 8)) {
            return false;
        }
    }
    return true;
}

bool address_range_parse(struct slice text, struct address_range *range) {
    struct slice host, bits;
    bool v4_notation;
    bool has_bits = slice_split(slice_trim(text), '/', &host, &bits);
    *range = (struct address_range){.prefix_bits = ADDRESS_BITS};
    if (!parse_bare(host, &range->network, &v4_notation)) {
        return false;
    }
    if (has_bits) {
        int64_t number;
        if (!parse_number(bits, v4_notation ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS, &number)) {
            return false;
        }
        range->prefix_bits = (unsigned)number + (v4_notation ? MAPPED_BITS : 0);
    }
    return is_zero_beyond(range->network.bytes, range->prefix_bits);
}

bool address_in(const struct address *address, const struct address_range *ranges, size_t count) {
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        bool same_family = is_ipv4(address) == is_ipv4(&ranges[i].network);
        found |= same_family &&
                 same_prefix(address->bytes, ranges[i].network.bytes, ranges[i].prefix_bits);
    }
    return address->is_set && found;
}

struct address address_of_client(const struct address *peer, struct slice forwarded_for,
                                 const struct address_range *trusted, size_t trusted_count) {
    struct address client = *peer;
    struct slice rest = slice_trim(forwarded_for);
    bool more = rest.len > 0;
    while (more && address_in(&client, trusted, trusted_count)) {
        struct slice element;
        more = slice_split_last(rest, ',', &rest, &element);
        if (!address_parse(element, &client)) {
            break;
        }
    }
    return client;
}

void address_format(const struct address *address, char *text, size_t room) {
    int family = is_ipv4(address) ? AF_INET : AF_INET6;
    const uint8_t *bytes = address->bytes + (family == AF_INET ? sizeof mapped_prefix : 0);
    if (!address->is_set || inet_ntop(family, bytes, text, (socklen_t)room) == NULL) {
        text[0] = '\0';
    }
}
