#!/usr/bin/env bash
# coverage.sh BUILD: runs the unit and the end-to-end tests with the programs of `make build-coverage`, which are in BUILD, and prints how many lines of
# src/ they reached, floor by floor. Fails when that is less than LEAST_TOTAL, or on the floors 0 to 2 less than LEAST_LOW, in percent.
#
# Programs write their counters when they end in good order; what runs in one that is killed does not count.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BUILD=$1
LEAST_TOTAL=90
LEAST_LOW=95
FLOORS='base adapter domain engine app cli'
STACK=tests/stack
# shellcheck source=tests/stack/lib.sh
. "$STACK/lib.sh"

# Started by root, the stacks run as another user, who writes counters too: each file is there and everybody's before. A test may end without them.
prepare_counters() {
    local notes counters
    find "$BUILD" -name '*.gcda' -delete
    find "$BUILD" -name '*.gcno' -print0 | while IFS= read -r -d '' notes; do
        counters=${notes%.gcno}.gcda
        : >"$counters"
        chmod 0666 "$counters"
    done
    VAR=/
    choose_user
    as_user test -w "$PWD/$BUILD/src/base/err.gcda" ||
        die "the user $RUN_USER, as which root runs the stacks, cannot write below $PWD/$BUILD: use a checkout that is open to all"
}

run_tests() {
    # The orders of arrival are another matter: few shuffles, a short load.
    export WAYBILL_TEST_SHUFFLES=10 WAYBILL_TEST_EVENTS=2000
    "$MAKE" --no-print-directory unit-coverage
    "$MAKE" --no-print-directory e2e-coverage
}

# "FLOOR LINES REACHED" a file.
count_lines() {
    find "$BUILD" -name '*.gcda' -empty -delete
    gcovr --root . --filter src/ --txt "$BUILD/lines.txt" --html-details "$BUILD/lines.html" --csv "$BUILD/lines.csv" "$BUILD" >/dev/null
    awk -F , 'NR > 1 { split($1, folder, "/"); print folder[2], $2, $3 }' "$BUILD/lines.csv"
}

# Fails when a share is too small.
show() {
    awk -v floors="$FLOORS" -v least_total="$LEAST_TOTAL" -v least_low="$LEAST_LOW" '
        function line(name, all, hit, least, share) {
            share = all ? 100 * hit / all : 0
            printf "%-22s %6d lines %6d reached %6.1f %%%s\n", name, all, hit, share, least && share < least ? "  less than " least " %" : ""
            if (least && share < least) failed = 1
        }
        { lines[$1] += $2; reached[$1] += $3; all += $2; hit += $3 }
        END {
            count = split(floors, floor, " ")
            for (i = 1; i <= count; i++) {
                line("floor " i - 1 ", " floor[i], lines[floor[i]], reached[floor[i]])
                known += lines[floor[i]]
                if (i <= 3) { low += lines[floor[i]]; low_hit += reached[floor[i]] }
            }
            line("floors 0 to 2", low, low_hit, least_low)
            line("src/", all, hit, least_total)
            if (known != all) { print "a folder of src/ is no floor"; failed = 1 }
            exit failed
        }'
}

prepare_counters
run_tests
count_lines | show || die "too few lines are reached: $BUILD/lines.html shows which"
echo "line by line: $BUILD/lines.html"
