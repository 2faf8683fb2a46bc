#!/usr/bin/env bash
# check.sh: every ring of tests, from the quickest to the slowest; stops at the first that fails. `make check` runs it, in a clean room.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MAKE=${MAKE:-make}
JOBS=-j$(nproc)
REPORTS=$TMPDIR/reports

# Everybody's, because started by root the stacks run as another user.
mkdir "$REPORTS"
chmod 1777 "$REPORTS"

step() {
    local title=$1 start=$SECONDS status=0
    shift
    printf '\n======== %s\n' "$title"
    "$@" || status=$?
    if [ "$status" != 0 ]; then
        show_reports
        printf '\n======== FAILED: %s\n' "$title"
        exit "$status"
    fi
    printf -- '-------- %s: %d s\n' "$title" $((SECONDS - start))
}

# Sanitizers report into files, because a responder's own log is looked at by nobody as long as the tests pass.
no_reports() {
    [ -z "$(ls -A "$REPORTS")" ]
}

show_reports() {
    local report
    for report in "$REPORTS"/*; do
        [ ! -e "$report" ] || cat "$report"
    done
}

# Where the kernel spreads mappings more widely than ThreadSanitizer's run-time expects, its programs only start without that spreading.
choose_tsan_launch() {
    TSAN=()
    echo 'int main(void) { return 0; }' >"$TMPDIR/probe.c"
    gcc -fsanitize=thread -o "$TMPDIR/probe" "$TMPDIR/probe.c"
    "$TMPDIR/probe" 2>/dev/null || TSAN=(setarch -R)
}

step "packages" tests/stack/deps.sh check
step "the rules of the house, format" "$MAKE" static
step "build with gcc" "$MAKE" "$JOBS" all unit-programs
step "build with clang" "$MAKE" "$JOBS" build-clang
step "hardening of the programs" "$MAKE" hardening hardening-clang
step "static analysis by cppcheck (make analyze has the others)" "$MAKE" analyze-cppcheck
step "configuration examples" "$MAKE" examples
step "unit tests" "$MAKE" unit
step "errors planted into the fold" "$MAKE" planted
step "comparisons of credentials" "$MAKE" timing timing-clang
step "end-to-end tests" "$MAKE" e2e
step "torture, for a short time" "$MAKE" torture TORTURE_SECONDS=15

export ASAN_OPTIONS=log_path=$REPORTS/asan:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=log_path=$REPORTS/tsan:second_deadlock_stack=1
step "build with AddressSanitizer and UndefinedBehaviorSanitizer" "$MAKE" "$JOBS" build-asan
step "unit tests with them" "$MAKE" unit-asan
step "the corpora of the fuzz targets with them" "$MAKE" replay-asan
# Fewer shuffles and a shorter load: it is the memory of the programs that is watched here, and then their threads.
export WAYBILL_TEST_SHUFFLES=10 WAYBILL_TEST_EVENTS=2000
step "end-to-end tests with them" "$MAKE" e2e-asan PYTEST_ARGS='-m "tsan or not once"'
step "no reports" no_reports
choose_tsan_launch
step "build with ThreadSanitizer" "$MAKE" "$JOBS" build-tsan
step "unit tests with it" "${TSAN[@]}" "$MAKE" unit-tsan
step "end-to-end tests with it" "${TSAN[@]}" "$MAKE" e2e-tsan PYTEST_ARGS='-m tsan'
step "no reports" no_reports
printf '\nall tests passed in %d s\n' "$SECONDS"
