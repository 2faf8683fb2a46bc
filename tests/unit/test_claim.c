/* Claims: who set a register, and why another lost, read from their keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/claim.h"

static const struct uuid FIRST = {{1}}, SECOND = {{2}};

/* What one webhook reports of a status. */
struct said {
    enum status status;
    bool weak;
    const char *word;
    int64_t at;
    const struct uuid *delivery;
    uint32_t number;
};

static const struct {
    struct said winner, loser;
    const char *why;
} DUELS[] = {
    {{STATUS_IN_TRANSIT, false, "b", 2, &FIRST, 0},
     {STATUS_IN_TRANSIT, false, "b", 1, &FIRST, 0},
     "older"},
    {{STATUS_PENDING, false, "a", 1, &FIRST, 0},
     {STATUS_UNKNOWN, false, "z", 9, &SECOND, 0},
     "unknown"},
    {{STATUS_PENDING, false, "a", 1, &FIRST, 0},
     {STATUS_IN_TRANSIT, true, "z", 9, &SECOND, 0},
     "weak"},
    {{STATUS_DELIVERED, false, "a", 1, &FIRST, 0},
     {STATUS_IN_TRANSIT, false, "z", 9, &SECOND, 0},
     "not_final"},
    {{STATUS_IN_TRANSIT, false, "a", 1, &FIRST, 0},
     {STATUS_PENDING, false, "z", 1, &SECOND, 0},
     "lower_rank"},
    {{STATUS_IN_TRANSIT, false, "ab", 1, &FIRST, 0},
     {STATUS_IN_TRANSIT, false, "a", 1, &SECOND, 0},
     "word"},
    {{STATUS_IN_TRANSIT, false, "a", 1, &SECOND, 0},
     {STATUS_IN_TRANSIT, false, "a", 1, &FIRST, 7},
     "delivery_id"},
    {{STATUS_IN_TRANSIT, false, "a", 1, &FIRST, 1},
     {STATUS_IN_TRANSIT, false, "a", 1, &FIRST, 0},
     "same_webhook"},
};

static struct slice key_of(const struct said *said, struct strbuf *out) {
    struct status_report report;
    status_report_init(&report);
    report.status = said->status;
    report.weak = said->weak;
    report.provider_status = slice_from_cstr(said->word);
    status_key(out, &report, false, said->at, said->delivery, said->number);
    return strbuf_slice(out);
}

static void test_why_a_status_lost(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(DUELS); i++) {
        struct strbuf winner = STRBUF_INIT(512), loser = STRBUF_INIT(512);
        struct slice won = key_of(&DUELS[i].winner, &winner);
        struct slice lost = key_of(&DUELS[i].loser, &loser);
        struct slice why = claim_loss(RULE_STATUS, won, lost);
        assert_true(slice_eq(why, slice_from_cstr(DUELS[i].why)));
        /* The other way round it should have won. */
        assert_true(slice_eq(claim_loss(RULE_STATUS, lost, won), SLICE_OF("unread")));
        strbuf_free(&winner);
        strbuf_free(&loser);
    }
}

static void test_who_set_a_register(void **state) {
    static const int64_t times[] = {TIMESTAMP_MIN, 0, -1, TIMESTAMP_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct strbuf fact = STRBUF_INIT(512), history = STRBUF_INIT(512),
                      status = STRBUF_INIT(512);
        const struct said said = {STATUS_PENDING, false, "a word", times[i], &SECOND, 3};
        fact_key(&fact, times[i], &SECOND, 3);
        history_key(&history, times[i], 77, &SECOND, 3);
        const struct {
            enum fact_rule rule;
            struct slice key;
        } keys[] = {{RULE_LATEST, strbuf_slice(&fact)},
                    {RULE_SNAPSHOT, strbuf_slice(&history)},
                    {RULE_STATUS, key_of(&said, &status)}};
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            struct uuid delivery;
            int64_t at;
            assert_true(claim_key_origin(keys[k].rule, keys[k].key, &delivery, &at));
            assert_memory_equal(delivery.bytes, SECOND.bytes, sizeof(delivery.bytes));
            assert_int_equal(at, times[i]);
        }
        strbuf_free(&fact);
        strbuf_free(&history);
        strbuf_free(&status);
    }
}

static void test_no_key(void **state) {
    struct uuid delivery;
    int64_t at;
    (void)state;
    assert_false(claim_key_origin(RULE_LATEST, SLICE_EMPTY, &delivery, &at));
    assert_false(claim_key_origin(RULE_STATUS, SLICE_OF("\xff"), &delivery, &at));
    assert_true(
        slice_eq(claim_loss(RULE_LATEST, SLICE_OF("\xff"), SLICE_EMPTY), SLICE_OF("unread")));
}

static void test_a_snapshot(void **state) {
    struct strbuf winner = STRBUF_INIT(512), loser = STRBUF_INIT(512);
    (void)state;
    history_key(&winner, 5, 2, &FIRST, 0);
    history_key(&loser, 5, 1, &SECOND, 0);
    assert_true(slice_eq(claim_loss(RULE_SNAPSHOT, strbuf_slice(&winner), strbuf_slice(&loser)),
                         SLICE_OF("older_snapshot")));
    strbuf_free(&winner);
    strbuf_free(&loser);
}

static void test_every_fact_has_its_name(void **state) {
    (void)state;
    for (size_t i = 0; i < FACT_COUNT; i++) {
        enum fact fact;
        assert_true(fact_from_name(fact_name((enum fact)i), &fact));
        assert_int_equal(fact, i);
    }
    enum fact none;
    assert_false(fact_from_name(SLICE_OF("colour"), &none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why_a_status_lost),
        cmocka_unit_test(test_who_set_a_register),
        cmocka_unit_test(test_no_key),
        cmocka_unit_test(test_a_snapshot),
        cmocka_unit_test(test_every_fact_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
