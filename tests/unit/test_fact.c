/* The table of facts: what is stored of it must be unique, and rows and members fit together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/order_state.h"
#include "fold_shapes.h"

static const char *name_of(enum fact fact) {
    return fact_row(fact)->name.data;
}

static void every_fact_has_a_row(void **state) {
    (void)state;
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        if (row->name.len == 0 || row->text.len == 0) {
            fail_msg("fact %d has no name or no text", (int)fact);
        }
        if (fact_rule_name(row->rule).len == 0) {
            fail_msg("the rule of %s has no name", name_of(fact));
        }
    }
}

/* A number says whose key a register is; a fact without one must have no register to look for. */
static void numbers_and_names_are_unique(void **state) {
    (void)state;
    for (enum fact a = 0; a < FACT_COUNT; a++) {
        const struct fact_row *row = fact_row(a);
        if (row->number >= REGISTERS_MAX || row->number < -1) {
            fail_msg("%s: no register has the number %d", name_of(a), row->number);
        }
        for (enum fact b = 0; b < a; b++) {
            const struct fact_row *other = fact_row(b);
            if (row->subject != other->subject) {
                continue;
            }
            if (slice_eq(row->name, other->name)) {
                fail_msg("%s stands there twice", name_of(a));
            }
            if (row->number >= 0 && row->number == other->number) {
                fail_msg("%s and %s have one number", name_of(a), name_of(b));
            }
        }
    }
}

/* Bits of facts stand in 32 bits. */
static void digests_have_a_bit_for_each_fact(void **state) {
    (void)state;
    assert_true(FACT_COUNT <= 32);
}

/* Stored: never changed and never used again. */
static void numbers_are_what_they_were(void **state) {
    static const struct {
        enum fact fact;
        int number;
    } rows[] = {
        {FACT_OWN_STATUS, 0},
        {FACT_ORDER_NUMBER, 1},
        {FACT_EXTERNAL_REFERENCE, 2},
        {FACT_SEND_DATE, 3},
        {FACT_COURIER_ID, 4},
        {FACT_DESTINATION, 5},
        {FACT_BOX_LIST, 6},
        {FACT_STATUS, 0},
        {FACT_DELIVERED_AT, 1},
        {FACT_SHIPPED_AT, 2},
        {FACT_TRACKING_NUMBER, 3},
        {FACT_CARRIER, 4},
        {FACT_TRACKING_URL, 5},
        {FACT_TRACKING_URL_TEMPLATE, 6},
        {FACT_ESTIMATED_DELIVERY_DATE, 7},
        {FACT_ESTIMATED_DELIVERY_AT, 8},
        {FACT_PICKUP_POINT, 9},
        {FACT_ITEMS, 10},
        {FACT_WAS_DELAYED, 11},
        {FACT_HAD_FAILED_ATTEMPT, 12},
        {FACT_LABEL_URL, 13},
        {FACT_SIGNED_BY, 14},
        {FACT_PROOF_OF_DELIVERY, 15},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (fact_row(rows[i].fact)->number != rows[i].number) {
            fail_msg("%s had the number %d", name_of(rows[i].fact), rows[i].number);
        }
    }
    assert_int_equal(fact_row(FACT_OWN_STATUS)->number, REGISTER_OWN_STATUS);
    assert_int_equal(fact_row(FACT_BOX_LIST)->number, REGISTER_BOX_LIST);
    assert_int_equal(fact_row(FACT_STATUS)->number, REGISTER_STATUS);
    assert_int_equal(fact_row(FACT_DELIVERED_AT)->number, REGISTER_DELIVERED_AT);
    assert_int_equal(fact_row(FACT_SHIPPED_AT)->number, REGISTER_SHIPPED_AT);
}

/* A fact that a change has a member for has a column of its name, which fold_tables() knows to be
 * read and written. */
static void every_member_has_its_column(void **state) {
    const struct fold_tables *tables = fold_tables();
    (void)state;
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        if (row->offset != FACT_NO_MEMBER) {
            enum row_kind kind = row->subject == SUBJECT_ORDER ? ROWS_ORDERS : ROWS_BOXES;
            (void)table_column(tables, kind, name_of(fact));
        }
    }
}

/* What says nothing is not said, and is what a new state has. */
static void what_is_not_said_is_not_said(void **state) {
    struct order_state order;
    struct box_state box;
    struct changes changes;
    struct box_change change;
    (void)state;
    order_state_init(&order);
    box_state_init(&box);
    changes_init(&changes);
    box_change_init(&change);
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        if (row->offset == FACT_NO_MEMBER) {
            continue;
        }
        bool of_order = row->subject == SUBJECT_ORDER;
        struct fact_value said =
            fact_said(row, of_order ? (const void *)&changes.order : (const void *)&change);
        const struct fact_value *held = of_order ? &order.values[fact] : &box.values[fact];
        if (fact_is_said(row, &said) || fact_is_said(row, held)) {
            fail_msg("%s is said", name_of(fact));
        }
        if (said.number != held->number || !slice_eq(said.text, held->text)) {
            fail_msg("%s: nothing is not like nothing", name_of(fact));
        }
    }
}

static void a_digest_is_that_of_the_database(void **state) {
    struct arena *arena = arena_new(4096);
    struct slice digest;
    (void)state;
    assert_non_null(arena);
    /* printf abc | sha256sum */
    assert_true(fact_digest(SLICE_OF("abc"), arena, &digest));
    assert_string_equal(digest.data,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fact_has_a_row),
        cmocka_unit_test(numbers_and_names_are_unique),
        cmocka_unit_test(digests_have_a_bit_for_each_fact),
        cmocka_unit_test(numbers_are_what_they_were),
        cmocka_unit_test(every_member_has_its_column),
        cmocka_unit_test(what_is_not_said_is_not_said),
        cmocka_unit_test(a_digest_is_that_of_the_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
