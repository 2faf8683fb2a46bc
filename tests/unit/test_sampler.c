/* Log lines when there are very many: which go out, and that every other one is counted. */
#include "base/sampler.h"

#include <setjmp.h> /* cmocka wants these before itself */
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned admitted(struct sampler *sampler, uint64_t who, int64_t now_ms, unsigned lines,
                         uint64_t *told) {
    unsigned count = 0;
    for (unsigned i = 0; i < lines; i++) {
        uint64_t left_out;
        count += sampler_admits(sampler, who, now_ms, &left_out);
        *told += left_out;
    }
    return count;
}

static void few_lines_all_go_out(void **state) {
    struct sampler sampler = SAMPLER_INIT(10, 5);
    uint64_t told = 0;
    (void)state;
    for (int64_t second = 1; second < 4; second++) {
        assert_int_equal(admitted(&sampler, 0, second * 1000, 10, &told), 10);
    }
    assert_int_equal(told, 0);
    assert_int_equal(sampler_left_out(&sampler, 9000), 0);
}

static void of_many_every_so_manieth_goes_out(void **state) {
    static const struct {
        unsigned lines, out;
    } rows[] = {{10, 10}, {11, 11}, {15, 11}, {16, 12}, {110, 30}, {100010, 20010}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sampler sampler = SAMPLER_INIT(10, 5);
        uint64_t told = 0;
        assert_int_equal(admitted(&sampler, 7, 1999, rows[i].lines, &told), rows[i].out);
        assert_int_equal(told, 0);
        assert_int_equal(sampler_left_out(&sampler, 1999), 0);
        assert_int_equal(sampler_left_out(&sampler, 2000), rows[i].lines - rows[i].out);
        assert_int_equal(sampler_left_out(&sampler, 2000), 0);
    }
}

static void the_next_line_tells_too(void **state) {
    struct sampler sampler = SAMPLER_INIT(1, 100);
    uint64_t told = 0;
    (void)state;
    assert_int_equal(admitted(&sampler, 0, 1000, 50, &told), 2);
    assert_int_equal(admitted(&sampler, 0, 7000, 1, &told), 1);
    assert_int_equal(told, 48);
}

/* Who floods uses up his own lot, not the others'. */
static void a_flood_hides_nobody_else(void **state) {
    struct sampler sampler = SAMPLER_INIT(10, 100);
    uint64_t told = 0;
    unsigned all = 0;
    (void)state;
    assert_true(admitted(&sampler, 1, 1000, 5000, &told) < 100);
    assert_int_equal(admitted(&sampler, 2, 1000, 10, &told), 10);
    assert_int_equal(admitted(&sampler, 1 + SAMPLER_LOTS, 1000, 10, &told), 0);
    /* However many they are. */
    for (uint64_t who = 0; who < 1000; who++) {
        all += admitted(&sampler, who, 3000, 20, &told);
    }
    assert_true(all <= SAMPLER_LOTS * 10 + 1000 * 20 / 100 + SAMPLER_LOTS);
    assert_int_equal(sampler_left_out(&sampler, 4000), 20000 - all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_lines_all_go_out),
        cmocka_unit_test(of_many_every_so_manieth_goes_out),
        cmocka_unit_test(the_next_line_tells_too),
        cmocka_unit_test(a_flood_hides_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
