/* Addresses, ranges, and the walk through X-Forwarded-For. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/address.h"

#include <arpa/inet.h>
#include <string.h>

#define CHECK(what, condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("%s: %s", (what), #condition);                                                \
        }                                                                                          \
    } while (0)

static bool same(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

/* The address as IPv6 text; "-" when it is not set. */
static const char *text_of(const struct address *address) {
    static char text[INET6_ADDRSTRLEN];
    return address->is_set ? inet_ntop(AF_INET6, address->bytes, text, sizeof text) : "-";
}

static void test_parse(void **state) {
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"203.0.113.7", "::ffff:203.0.113.7"},
        {"203.0.113.7:8080", "::ffff:203.0.113.7"},
        {" 203.0.113.7\t", "::ffff:203.0.113.7"},
        {"0.0.0.0", "::ffff:0.0.0.0"},
        {"255.255.255.255:65535", "::ffff:255.255.255.255"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"::1", "::1"},
        {"::", "::"},
        {"::ffff:203.0.113.7", "::ffff:203.0.113.7"},
        {"[::ffff:203.0.113.7]:1", "::ffff:203.0.113.7"},
        {"::ffff:cb00:7107", "::ffff:203.0.113.7"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"},
        {"", "-"},
        {" ", "-"},
        {"unknown", "-"},
        {"localhost", "-"},
        {"unix:", "-"},
        {"_hidden", "-"},
        {"203.0.113", "-"},
        {"203.0.113.7.8", "-"},
        {"203.0.113.256", "-"},
        {"203.0.113.07", "-"},
        {"0x7f.0.0.1", "-"},
        {"2130706433", "-"},
        {"203.0.113.7:", "-"},
        {"203.0.113.7:65536", "-"},
        {"203.0.113.7:-1", "-"},
        {"203.0.113.7:80a", "-"},
        {"203.0.113.7:000080", "-"},
        {"203.0.113.7/24", "-"},
        {"203.0.113.7 203.0.113.8", "-"},
        {"[203.0.113.7]", "-"},
        {"[2001:db8::1", "-"},
        {"2001:db8::1]", "-"},
        {"[2001:db8::1]443", "-"},
        {"[2001:db8::1]:", "-"},
        {"[2001:db8::1]:99999", "-"},
        {"[]", "-"},
        {"[[::1]]", "-"},
        {"fe80::1%eth0", "-"},
        {"2001:db8::1::2", "-"},
        {"2001:db8:1", "-"},
        {":80", "-"},
        {"\"203.0.113.7\"", "-"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff:0000:0000:0000", "-"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address address = {.is_set = true};
        bool parsed = address_parse(slice_from_cstr(rows[i].text), &address);
        CHECK(rows[i].text, same(text_of(&address), rows[i].expected));
        CHECK(rows[i].text, parsed == address.is_set);
    }
}

static void test_embedded_nul(void **state) {
    struct address address;
    struct address_range range;
    (void)state;
    assert_false(address_parse(SLICE_OF("203.0.113.7\0"), &address));
    assert_false(address_parse(SLICE_OF("203.0.113.7\0:80"), &address));
    assert_false(address_range_parse(SLICE_OF("10.0.0.0\0/8"), &range));
    assert_false(address_range_parse(SLICE_OF("10.0.0.0/8\0"), &range));
}

static void test_range_parse(void **state) {
    static const struct {
        const char *text;
        bool valid;
        unsigned bits;
    } rows[] = {
        {"10.0.0.0/8", true, 104},
        {"203.0.113.7", true, 128},
        {"203.0.113.7/32", true, 128},
        {"0.0.0.0/0", true, 96},
        {" 192.168.0.0/16 ", true, 112},
        {"2001:db8::/32", true, 32},
        {"2001:db8::1", true, 128},
        {"::/0", true, 0},
        {"2001:db8::8000/113", true, 113},
        {"::ffff:10.0.0.0/104", true, 104},
        {"", false, 0},
        {"/", false, 0},
        {"/8", false, 0},
        {"10.0.0.0/", false, 0},
        {"10.0.0.0/33", false, 0},
        {"10.0.0.0/-1", false, 0},
        {"10.0.0.0/+8", false, 0},
        {"10.0.0.0/8/8", false, 0},
        {"10.0.0.0/ 8", false, 0},
        {"10.0.0.0/255.0.0.0", false, 0},
        {"10.0.0.1/8", false, 0},
        {"10.0.0.1/0", false, 0},
        {"2001:db8::1/32", false, 0},
        {"2001:db8::/129", false, 0},
        {"2001:db8::8000/112", false, 0},
        {"10.0.0.0:80/8", false, 0},
        {"[2001:db8::]/32", false, 0},
        {"10.0.0", false, 0},
        {"*", false, 0},
        {"example.org", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address_range range;
        CHECK(rows[i].text,
              address_range_parse(slice_from_cstr(rows[i].text), &range) == rows[i].valid);
        CHECK(rows[i].text, !rows[i].valid || range.prefix_bits == rows[i].bits);
    }
}

/* Ranges separated by spaces. */
static size_t parse_ranges(const char *text, struct address_range *ranges, size_t max) {
    struct slice rest = slice_from_cstr(text);
    struct slice head;
    size_t count = 0;
    while (rest.len > 0) {
        (void)slice_split(rest, ' ', &head, &rest);
        assert_true(count < max);
        assert_true(address_range_parse(head, &ranges[count++]));
    }
    return count;
}

static void test_in(void **state) {
    static const struct {
        const char *address, *ranges;
        bool in;
    } rows[] = {
        {"10.1.2.3", "10.0.0.0/8", true},
        {"11.1.2.3", "10.0.0.0/8", false},
        {"10.1.2.3", "192.168.0.0/16 10.1.2.3", true},
        {"10.1.2.3", "", false},
        {"10.1.2.3", "10.1.2.2/31", true},
        {"10.1.2.4", "10.1.2.2/31", false},
        {"10.1.2.127", "10.1.2.0/25", true},
        {"10.1.2.128", "10.1.2.0/25", false},
        {"203.0.113.7", "0.0.0.0/0", true},
        {"2001:db8::1", "2001:db8::/32", true},
        {"2001:db9::1", "2001:db8::/32", false},
        {"2001:db8::1", "::/0", true},
        /* One family's "all" is not the other's. */
        {"2001:db8::1", "0.0.0.0/0", false},
        {"203.0.113.7", "::/0", false},
        {"::ffff:10.1.2.3", "10.0.0.0/8", true},
        {"10.1.2.3", "::ffff:10.0.0.0/104", true},
        {"::10.1.2.3", "10.0.0.0/8", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address address;
        struct address_range ranges[4];
        size_t count = parse_ranges(rows[i].ranges, ranges, ARRAY_LEN(ranges));
        CHECK(rows[i].address, address_parse(slice_from_cstr(rows[i].address), &address));
        CHECK(rows[i].address, address_in(&address, ranges, count) == rows[i].in);
    }
}

static void test_unset_is_nowhere(void **state) {
    struct address nowhere = {.is_set = false};
    struct address_range all[2];
    (void)state;
    assert_int_equal(parse_ranges("::/0 0.0.0.0/0", all, 2), 2);
    assert_false(address_in(&nowhere, all, 2));
}

static void test_client(void **state) {
    static const char proxies[] = "127.0.0.1 10.0.0.0/8 2001:db8:1::/48";
    static const struct {
        const char *peer, *forwarded_for, *trusted, *expected;
    } rows[] = {
        /* Nobody is trusted: the header says nothing. */
        {"203.0.113.7", "", "", "::ffff:203.0.113.7"},
        {"203.0.113.7", "198.51.100.1", "", "::ffff:203.0.113.7"},
        {"203.0.113.7", "198.51.100.1", proxies, "::ffff:203.0.113.7"},
        /* A trusted proxy speaks. */
        {"127.0.0.1", "", proxies, "::ffff:127.0.0.1"},
        {"127.0.0.1", "  ", proxies, "::ffff:127.0.0.1"},
        {"127.0.0.1", "198.51.100.1", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", " 198.51.100.1 ", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", "198.51.100.1:4711", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", "2001:db8::9", proxies, "2001:db8::9"},
        {"127.0.0.1", "[2001:db8::9]:4711", proxies, "2001:db8::9"},
        {"::ffff:127.0.0.1", "::ffff:198.51.100.1", proxies, "::ffff:198.51.100.1"},
        {"2001:db8:1::5", "198.51.100.1", proxies, "::ffff:198.51.100.1"},
        /* What the client forged stands to the left and is not looked at. */
        {"127.0.0.1", "34.198.12.45, 198.51.100.1", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", "10.0.0.9, 198.51.100.1", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", "garbage, 198.51.100.1", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", ",,, 198.51.100.1", proxies, "::ffff:198.51.100.1"},
        /* Chains of trusted proxies. */
        {"127.0.0.1", "34.198.12.45,198.51.100.1,10.0.0.2 , 10.0.0.1", proxies,
         "::ffff:198.51.100.1"},
        {"127.0.0.1", "198.51.100.1, 2001:db8:1::2, 10.0.0.1:99", proxies, "::ffff:198.51.100.1"},
        {"127.0.0.1", "10.0.0.3, 10.0.0.2", proxies, "::ffff:10.0.0.3"},
        {"127.0.0.1", "127.0.0.1", proxies, "::ffff:127.0.0.1"},
        /* Garbage where it counts. */
        {"127.0.0.1", "unknown", proxies, "-"},
        {"127.0.0.1", "198.51.100.1, unknown", proxies, "-"},
        {"127.0.0.1", "198.51.100.1, unknown, 10.0.0.1", proxies, "-"},
        {"127.0.0.1", "198.51.100.1,", proxies, "-"},
        {"127.0.0.1", "198.51.100.1,,10.0.0.1", proxies, "-"},
        {"127.0.0.1", ",", proxies, "-"},
        {"127.0.0.1", "198.51.100.1 198.51.100.2", proxies, "-"},
        {"127.0.0.1", "198.51.100.1;10.0.0.1", proxies, "-"},
        /* A peer without address (a local socket) is nobody's proxy. */
        {"unix:", "198.51.100.1", proxies, "-"},
        {"", "198.51.100.1", "0.0.0.0/0 ::/0", "-"},
        {"203.0.113.7", "198.51.100.1, 192.0.2.1", "0.0.0.0/0", "::ffff:198.51.100.1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address peer, client;
        struct address_range trusted[4];
        size_t count = parse_ranges(rows[i].trusted, trusted, ARRAY_LEN(trusted));
        (void)!address_parse(slice_from_cstr(rows[i].peer), &peer);
        client = address_of_client(&peer, slice_from_cstr(rows[i].forwarded_for), trusted, count);
        CHECK(rows[i].forwarded_for, same(text_of(&client), rows[i].expected));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_embedded_nul),
        cmocka_unit_test(test_range_parse), cmocka_unit_test(test_in),
        cmocka_unit_test(test_client),      cmocka_unit_test(test_unset_is_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
