/* The vocabulary: its words, ranks and phases, and how a sender's word is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "domain/status_word.h"

/* As the documents list them. */
static const struct {
    struct slice name;
    int rank;
    enum phase phase;
} VOCABULARY[] = {
    {SLICE("unknown"), 0, PHASE_UNKNOWN},
    {SLICE("pending"), 10, PHASE_OPEN},
    {SLICE("pre_transit"), 20, PHASE_OPEN},
    {SLICE("in_transit"), 30, PHASE_OPEN},
    {SLICE("out_for_delivery"), 40, PHASE_OPEN},
    {SLICE("attempt_failed"), 45, PHASE_OPEN},
    {SLICE("available_for_pickup"), 50, PHASE_OPEN},
    {SLICE("exception"), 55, PHASE_OPEN},
    {SLICE("returning"), 60, PHASE_STICKY},
    {SLICE("expired"), 65, PHASE_OPEN},
    {SLICE("delivered"), 90, PHASE_STICKY},
    {SLICE("failed"), 92, PHASE_STICKY},
    {SLICE("returned"), 94, PHASE_STICKY},
    {SLICE("cancelled"), 96, PHASE_STICKY},
};

static void test_vocabulary(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(VOCABULARY); i++) {
        enum status status;
        assert_true(status_from_name(VOCABULARY[i].name, &status));
        assert_true(slice_eq(status_name(status), VOCABULARY[i].name));
        assert_int_equal(status_rank(status), VOCABULARY[i].rank);
        assert_int_equal(status_phase(status), VOCABULARY[i].phase);
    }
    assert_int_equal(STATUS_COUNT, ARRAY_LEN(VOCABULARY) + 1);
}

static void test_every_status_has_a_name(void **state) {
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        enum status status;
        assert_true(status_name((enum status)i).len > 0);
        assert_true(status_from_name(status_name((enum status)i), &status));
        assert_int_equal(status, i);
    }
}

static void test_no_such_name(void **state) {
    (void)state;
    static const struct slice names[] = {SLICE(""), SLICE("In_Transit"), SLICE("in transit"),
                                         SLICE("in_transit "), SLICE("shipped")};
    enum status status;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(status_from_name(names[i], &status));
}

static void test_find(void **state) {
    (void)state;
    static const struct status_word words[] = {
        {.word = SLICE("generated label"), .status = STATUS_PRE_TRANSIT},
        {.word = SLICE("SHIPPED"), .status = STATUS_IN_TRANSIT},
    };
    assert_ptr_equal(STATUS_WORD_IN(words, SLICE_OF("generated label")), &words[0]);
    assert_ptr_equal(STATUS_WORD_IN(words, SLICE_OF(" Generated LABEL\r\n")), &words[0]);
    assert_ptr_equal(STATUS_WORD_IN(words, SLICE_OF("shipped")), &words[1]);
    assert_ptr_equal(STATUS_WORD_IN(words, SLICE_OF("generated_label")), &words[0]);
    assert_ptr_equal(STATUS_WORD_IN(words, SLICE_OF("Generated-Label")), &words[0]);
    assert_null(STATUS_WORD_IN(words, SLICE_OF("generatedlabel")));
    assert_null(STATUS_WORD_IN(words, SLICE_OF("generated\tlabel")));
    assert_null(STATUS_WORD_IN(words, SLICE_OF("generated")));
    assert_null(STATUS_WORD_IN(words, SLICE_OF("")));
    assert_null(status_word_find(words, 0, SLICE_OF("shipped")));
}

static void test_spellings(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"CANCELED", "cancelled", true},
        {"in_production_cancelled", "In Production-Canceled ", true},
        {"cancellled", "cancelled", false},
        {"cancel", "cancelled", false},
        {"cancellation", "cancelation", true},
        {"on route", "ON_ROUTE", true},
        {"on route", "onroute", false},
        {"", "", true},
        {"-", "_", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (status_word_eq(slice_from_cstr(rows[i].a), slice_from_cstr(rows[i].b)) !=
            rows[i].same) {
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        }
    }
    char longer[300];
    memset(longer, 'a', sizeof longer);
    const struct slice word = {longer, sizeof longer};
    assert_false(status_word_eq(word, word)); /* no word that is known is so long */
    assert_int_equal(status_from_word(SLICE_OF("Out for Delivery")), STATUS_OUT_FOR_DELIVERY);
    assert_int_equal(status_from_word(SLICE_OF("CANCELED")), STATUS_CANCELLED);
    assert_int_equal(status_from_word(SLICE_OF("partially_delivered")), STATUS_UNKNOWN);
    assert_int_equal(status_from_word(SLICE_OF("on its way")), STATUS_UNKNOWN);
    assert_int_equal(status_from_word(word), STATUS_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vocabulary),   cmocka_unit_test(test_every_status_has_a_name),
        cmocka_unit_test(test_no_such_name), cmocka_unit_test(test_find),
        cmocka_unit_test(test_spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
