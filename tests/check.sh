#!/usr/bin/env bash
# check.sh: every ring of tests, from the quickest to the slowest; stops at the first that fails. `make check` runs it.
#
# Leaves nothing behind, however it ends: all temporary files are under one folder, and a stack that a test has left running is stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MAKE=${MAKE:-make}
JOBS=-j$(nproc)
STEP=

# Everybody's, because started by root the stacks run as another user.
WORK=$(mktemp -d /tmp/waybill-check-XXXXXXXX)
mkdir "$WORK/stacks" "$WORK/reports"
chmod 1777 "$WORK" "$WORK/reports"
export TMPDIR=$WORK
# Each stack that starts notes itself here.
export WAYBILL_STACKS=$WORK/stacks

clean_up() {
    local status=$? note
    trap '' INT TERM HUP
    for note in "$WORK/stacks"/*; do
        [ ! -e "$note" ] || stop_stack "$(<"$note")"
    done
    rm -rf "$WORK"
    exit "$status"
}

# A test that was killed may have left one that is still on its way up or down.
stop_stack() {
    local attempt=0
    until VAR=$1 tests/stack/stack.sh down || [ $((attempt += 1)) -ge 10 ]; do
        sleep 1
    done
}

# A signal ends the step at hand; the rest follows in step(). (An `exit` in the handler itself would run clean_up() inside it, where bash takes a
# function's return for the end of the script.)
ENDED=
end_by_signal() {
    ENDED=$1
    [ -z "$STEP" ] || kill -TERM -- "-$STEP" 2>/dev/null || true
}

# A step is a process group of its own, so that all of it can be ended.
step() {
    local title=$1 start=$SECONDS status=0
    shift
    printf '\n======== %s\n' "$title"
    if [ "$(type -t "$1")" = function ]; then
        "$@" || status=$?
    else
        setsid "$@" </dev/null &
        STEP=$!
        wait "$STEP" || status=$?
        # A trapped signal ends `wait` early.
        while kill -0 "$STEP" 2>/dev/null; do
            wait "$STEP" || status=$?
        done
        STEP=
    fi
    [ -z "$ENDED" ] || exit "$ENDED"
    if [ "$status" != 0 ]; then
        show_reports
        printf '\n======== FAILED: %s\n' "$title"
        exit "$status"
    fi
    printf -- '-------- %s: %d s\n' "$title" $((SECONDS - start))
}

# Sanitizers report into files, because a responder's own log is looked at by nobody as long as the tests pass.
no_reports() {
    [ -z "$(ls -A "$WORK/reports")" ]
}

show_reports() {
    local report
    for report in "$WORK/reports"/*; do
        [ ! -e "$report" ] || cat "$report"
    done
}

# Where the kernel spreads mappings more widely than ThreadSanitizer's run-time expects, its programs only start without that spreading.
choose_tsan_launch() {
    TSAN=()
    echo 'int main(void) { return 0; }' >"$WORK/probe.c"
    gcc -fsanitize=thread -o "$WORK/probe" "$WORK/probe.c"
    "$WORK/probe" 2>/dev/null || TSAN=(setarch -R)
}

trap clean_up EXIT
trap 'end_by_signal 130' INT
trap 'end_by_signal 143' TERM HUP

step "packages" tests/stack/deps.sh check
step "the rules of the house, format" "$MAKE" static
step "build with gcc" "$MAKE" "$JOBS" all unit-programs
step "build with clang" "$MAKE" "$JOBS" build-clang
step "hardening of the programs" "$MAKE" hardening hardening-clang
step "static analysis by cppcheck (make analyze has the others)" "$MAKE" analyze-cppcheck
step "configuration examples" "$MAKE" examples
step "unit tests" "$MAKE" unit
step "comparisons of credentials" "$MAKE" timing timing-clang
step "end-to-end tests" "$MAKE" e2e
step "torture, for a short time" "$MAKE" torture TORTURE_SECONDS=15

export ASAN_OPTIONS=log_path=$WORK/reports/asan:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=log_path=$WORK/reports/tsan:second_deadlock_stack=1
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
