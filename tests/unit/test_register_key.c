/* The keys of registers, whose order decides what stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/register_key.h"

/* ---- keys ---- */

/* What one webhook says of a status, or of another fact. */
struct said {
    enum status status;
    bool weak;
    int64_t version_at, number;
    const char *word;
    uint8_t delivery; /* first byte of its id */
    uint32_t change;
};

#define KEY_MAX 512

static struct slice status_key_of(const struct said *said, bool of_order, struct strbuf *out) {
    struct uuid delivery = {{said->delivery}};
    const struct key_base base = {said->version_at, said->number, &delivery};
    struct status_report report;
    status_report_init(&report);
    report.status = said->status;
    report.weak = said->weak;
    report.provider_status = slice_from_cstr(said->word);
    status_key(out, &report, of_order, &base, said->change);
    assert_false(strbuf_failed(out));
    return strbuf_slice(out);
}

static struct slice fact_key_of(const struct said *said, struct strbuf *out) {
    struct uuid delivery = {{said->delivery}};
    const struct key_base base = {said->version_at, said->number, &delivery};
    fact_key(out, &base, said->change);
    assert_false(strbuf_failed(out));
    return strbuf_slice(out);
}

static int sign(int n) {
    return (n > 0) - (n < 0);
}

/* Each row's key is greater than all above it. */
static void assert_ascending(const struct said *rows, size_t count, bool of_order) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct strbuf a = STRBUF_INIT(KEY_MAX), b = STRBUF_INIT(KEY_MAX);
            int order = slice_cmp(status_key_of(&rows[i], of_order, &a),
                                  status_key_of(&rows[j], of_order, &b));
            if (sign(order) != sign((int)i - (int)j)) {
                fail_msg("rows %zu and %zu are in the wrong order", i, j);
            }
            strbuf_free(&a);
            strbuf_free(&b);
        }
    }
}

static void test_status_key_order(void **state) {
    (void)state;
    static const struct said rows[] = {
        /* phase before everything */
        {STATUS_UNKNOWN, false, TIMESTAMP_MAX, 9, "zzz", 255, 9},
        {STATUS_IN_TRANSIT, true, TIMESTAMP_MAX, 9, "possible delay", 255, 9},
        /* then the time, as a signed number */
        {STATUS_EXPIRED, false, INT64_MIN, 9, "", 0, 0},
        {STATUS_IN_TRANSIT, false, -1, 9, "", 0, 0},
        {STATUS_IN_TRANSIT, false, 0, 0, "", 0, 0},
        {STATUS_IN_TRANSIT, false, 255, 0, "", 0, 0},
        {STATUS_IN_TRANSIT, false, 256, 0, "", 0, 0},
        /* then the sender's number, signed too */
        {STATUS_EXPIRED, false, 1000, -1, "zzz", 255, 9},
        /* then the rank */
        {STATUS_PENDING, false, 1000, 0, "zzz", 255, 9},
        {STATUS_OUT_FOR_DELIVERY, false, 1000, 0, "", 255, 9},
        /* then the word as bytes, none first */
        {STATUS_EXCEPTION, false, 1000, 0, "", 255, 9},
        {STATUS_EXCEPTION, false, 1000, 0, "Damaged", 255, 9},
        {STATUS_EXCEPTION, false, 1000, 0, "a", 255, 9},
        {STATUS_EXCEPTION, false, 1000, 0, "a\x01", 255, 9},
        {STATUS_EXCEPTION, false, 1000, 0, "ab", 255, 9},
        {STATUS_EXCEPTION, false, 1000, 0, "b", 0, 0},
        {STATUS_EXCEPTION, false, 1000, 0, "\xc3\xa9", 0, 0},
        /* then the delivery and the number of the change in it */
        {STATUS_EXPIRED, false, 1000, 0, "a", 1, 256},
        {STATUS_EXPIRED, false, 1000, 0, "a", 2, 1},
        {STATUS_EXPIRED, false, 1000, 0, "a", 2, 256},
        {STATUS_PENDING, false, 1000, 1, "", 0, 0},
        {STATUS_EXPIRED, false, INT64_MAX, 0, "a", 0, 0},
        /* sticky at last */
        {STATUS_RETURNING, false, 0, 0, "", 0, 0},
        {STATUS_DELIVERED, false, 0, 0, "", 0, 0},
        {STATUS_RETURNING, false, 1, 0, "", 0, 0},
    };
    assert_ascending(rows, ARRAY_LEN(rows), false);
}

/* Of an order the latest word stands, whatever it says. */
static void test_order_status_has_two_phases(void **state) {
    (void)state;
    static const struct said rows[] = {
        {STATUS_UNKNOWN, false, TIMESTAMP_MAX, 0, "", 0, 0},
        {STATUS_CANCELLED, false, 1, 0, "", 0, 0},
        {STATUS_PENDING, false, 2, 0, "", 0, 0},
        {STATUS_DELIVERED, false, 2, 0, "", 0, 0},
        {STATUS_PENDING, false, 3, 0, "", 0, 0},
    };
    assert_ascending(rows, ARRAY_LEN(rows), true);
}

static void test_fact_key_order(void **state) {
    (void)state;
    static const struct said rows[] = {
        {.version_at = INT64_MIN, .number = 9, .delivery = 9, .change = 9},
        {.version_at = -2, .number = 9, .delivery = 9, .change = 9},
        {.version_at = -1, .number = INT64_MIN, .delivery = 9, .change = 9},
        {.version_at = -1, .number = -1, .delivery = 9, .change = 9},
        {.version_at = -1, .number = 0, .delivery = 1, .change = 9},
        {.version_at = -1, .number = 0, .delivery = 2, .change = 0},
        {.version_at = -1, .number = 0, .delivery = 2, .change = 255},
        {.version_at = -1, .number = 0, .delivery = 2, .change = 256},
        {.version_at = -1, .number = 256, .delivery = 0, .change = 0},
        {.version_at = TIMESTAMP_MAX},
    };
    struct strbuf last = STRBUF_INIT(KEY_MAX);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct strbuf key = STRBUF_INIT(KEY_MAX);
        assert_int_equal(fact_key_of(&rows[i], &key).len, 8 + 8 + 16 + 2);
        if (slice_cmp(strbuf_slice(&last), strbuf_slice(&key)) >= 0) {
            fail_msg("row %zu is not greater than the one above it", i);
        }
        strbuf_free(&last);
        last = key;
    }
    strbuf_free(&last);
}

/* ---- keys, read ---- */

static const struct {
    const char *why;
    struct said winner, loser;
} STATUS_DUELS[] = {
    {"older",
     {STATUS_IN_TRANSIT, false, 2, 0, "b", 1, 0},
     {STATUS_IN_TRANSIT, false, 1, 9, "b", 1, 0}},
    {"unknown", {STATUS_PENDING, false, 1, 0, "a", 1, 0}, {STATUS_UNKNOWN, false, 9, 0, "z", 2, 0}},
    {"weak", {STATUS_PENDING, false, 1, 0, "a", 1, 0}, {STATUS_IN_TRANSIT, true, 9, 0, "z", 2, 0}},
    {"not_final",
     {STATUS_DELIVERED, false, 1, 0, "a", 1, 0},
     {STATUS_IN_TRANSIT, false, 9, 0, "z", 2, 0}},
    {"older_snapshot",
     {STATUS_PENDING, false, 1, 2, "a", 1, 0},
     {STATUS_IN_TRANSIT, false, 1, 1, "z", 2, 0}},
    {"lower_rank",
     {STATUS_IN_TRANSIT, false, 1, 0, "a", 1, 0},
     {STATUS_PENDING, false, 1, 0, "z", 2, 0}},
    {"word",
     {STATUS_IN_TRANSIT, false, 1, 0, "ab", 1, 0},
     {STATUS_IN_TRANSIT, false, 1, 0, "a", 2, 0}},
    {"delivery_id",
     {STATUS_IN_TRANSIT, false, 1, 0, "a", 2, 0},
     {STATUS_IN_TRANSIT, false, 1, 0, "a", 1, 7}},
    {"same_webhook",
     {STATUS_IN_TRANSIT, false, 1, 0, "a", 1, 1},
     {STATUS_IN_TRANSIT, false, 1, 0, "a", 1, 0}},
};

static void assert_loss(enum fact_rule rule, struct slice winner, struct slice loser,
                        const char *why) {
    struct slice found = key_loss(rule, winner, loser);
    if (!slice_eq(found, slice_from_cstr(why))) {
        fail_msg("%s instead of %s", found.data, why);
    }
}

static void test_why_a_status_lost(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(STATUS_DUELS); i++) {
        struct strbuf winner = STRBUF_INIT(KEY_MAX), loser = STRBUF_INIT(KEY_MAX);
        struct slice won = status_key_of(&STATUS_DUELS[i].winner, false, &winner);
        struct slice lost = status_key_of(&STATUS_DUELS[i].loser, false, &loser);
        assert_loss(RULE_STATUS, won, lost, STATUS_DUELS[i].why);
        /* The other way round it should have won. */
        assert_loss(RULE_STATUS, lost, won, "unread");
        strbuf_free(&winner);
        strbuf_free(&loser);
    }
}

static const struct {
    const char *why;
    enum fact_rule rule;
    struct said winner, loser;
} FACT_DUELS[] = {
    {"older", RULE_LATEST, {.version_at = 2}, {.version_at = 1, .number = 9}},
    {"older_snapshot",
     RULE_SNAPSHOT,
     {.version_at = 5, .number = 2},
     {.version_at = 5, .number = 1}},
    {"delivery_id", RULE_LATEST, {.version_at = 5, .delivery = 2}, {.version_at = 5, .change = 7}},
    {"same_webhook", RULE_SNAPSHOT, {.version_at = 5, .change = 1}, {.version_at = 5}},
    {"repeated", RULE_EVER, {.version_at = 1}, {.version_at = 2}},
    {"not_earliest", RULE_EARLIEST, {.version_at = 1}, {.version_at = 2}},
    {"unread", RULE_LATEST, {.version_at = 1}, {.version_at = 2}},
};

static void test_why_a_fact_lost(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(FACT_DUELS); i++) {
        struct strbuf winner = STRBUF_INIT(KEY_MAX), loser = STRBUF_INIT(KEY_MAX);
        assert_loss(FACT_DUELS[i].rule, fact_key_of(&FACT_DUELS[i].winner, &winner),
                    fact_key_of(&FACT_DUELS[i].loser, &loser), FACT_DUELS[i].why);
        strbuf_free(&winner);
        strbuf_free(&loser);
    }
}

static void test_who_set_a_register(void **state) {
    static const int64_t times[] = {TIMESTAMP_MIN, 0, -1, TIMESTAMP_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct strbuf fact = STRBUF_INIT(KEY_MAX), status = STRBUF_INIT(KEY_MAX);
        const struct said said = {STATUS_PENDING, false, times[i], 77, "a word", 2, 3};
        const struct slice keys[] = {fact_key_of(&said, &fact),
                                     status_key_of(&said, false, &status)};
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            const struct uuid expected = {{2}};
            struct uuid delivery;
            int64_t at;
            assert_true(key_origin(keys[k], &delivery, &at));
            assert_true(uuid_eq(&delivery, &expected));
            assert_int_equal(at, times[i]);
        }
        strbuf_free(&fact);
        strbuf_free(&status);
    }
}

static void test_no_key(void **state) {
    struct uuid delivery;
    int64_t at;
    (void)state;
    assert_false(key_origin(SLICE_EMPTY, &delivery, &at));
    assert_false(key_origin(SLICE_OF("\xff"), &delivery, &at));
    assert_loss(RULE_LATEST, SLICE_OF("\xff"), SLICE_EMPTY, "unread");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_key_order), cmocka_unit_test(test_order_status_has_two_phases),
        cmocka_unit_test(test_fact_key_order),   cmocka_unit_test(test_why_a_status_lost),
        cmocka_unit_test(test_why_a_fact_lost),  cmocka_unit_test(test_who_set_a_register),
        cmocka_unit_test(test_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
