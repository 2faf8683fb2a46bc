#!/usr/bin/env bash
# Every cmocka test of tests/unit is run: a function test_…(void **state) that no table names would be forgotten in silence.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The tests of FILE that no table of it names.
unregistered() {
    local file=$1 name
    sed -nE 's/^(static )?void (test_[A-Za-z0-9_]+)\(void \*\*.*/\2/p' "$file" | while read -r name; do
        tr '\n' ' ' <"$file" | grep -Eq "(cmocka_unit_test[a-z_]*\(|test_func *=) *${name}[ ,;)]" || printf '%s: %s is never run\n' "$file" "$name"
    done
}

self_test() {
    local planted
    planted=$(mktemp)
    printf 'static void test_a(void **state) {}\nvoid test_ab(void **state) {}\nx = {cmocka_unit_test(\n test_ab)};\n' >"$planted"
    [ "$(unregistered "$planted")" = "$planted: test_a is never run" ] || {
        rm -f "$planted"
        echo "check_registered.sh: self-test failed" >&2
        exit 1
    }
    rm -f "$planted"
}

self_test
found=$(for file in tests/unit/test_*.c; do [ ! -e "$file" ] || unregistered "$file"; done)
[ -z "$found" ] || {
    printf '%s\n' "$found" >&2
    exit 1
}
