#!/usr/bin/env bash
# memcheck.sh PROGRAM: runs a unit test under valgrind; fails on an error, a leak and a failing test.
#
# What a global still holds at the end is no leak: OpenSSL's algorithms and the contexts of the main thread are there to the end. Nor is what SQLite
# holds by pointers into the middle, in a test's process that ends at once.
set -euo pipefail
start=$SECONDS
export WAYBILL_TEST_ARRIVALS=${WAYBILL_TEST_ARRIVALS:-2000}
output=$(valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
    --show-leak-kinds=definite,indirect "$1" 2>&1) || {
    printf '%s\nFAILED under valgrind: %s\n' "$output" "$1"
    exit 1
}
printf 'ok under valgrind, %d s: %s\n' $((SECONDS - start)) "$1"
