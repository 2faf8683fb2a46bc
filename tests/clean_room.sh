#!/usr/bin/env bash
# clean_room.sh COMMAND…: runs it and leaves nothing behind, however it ends. Its temporary files are in a folder of its own (TMPDIR), its processes are
# ended, and a stack that a test has left running is stopped. Inside another one it just runs COMMAND.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -z "${WAYBILL_STACKS:-}" ] || exec "$@"

ROOM=$(mktemp -d /tmp/waybill-check-XXXXXXXX)
export TMPDIR=$ROOM
# Each stack that starts notes itself here.
export WAYBILL_STACKS=$ROOM/stacks
mkdir "$WAYBILL_STACKS"
# Everybody's, because started by root the stacks run as another user.
chmod 1777 "$ROOM"

clean_up() {
    local status=$? attempt=0 note
    trap '' INT TERM HUP
    # What was told to end tidies up first, a stack on its way up for one.
    until ! kill -0 -- "-$COMMAND" 2>/dev/null || [ $((attempt += 1)) -ge 100 ]; do
        sleep 0.1
    done
    kill -KILL -- "-$COMMAND" 2>/dev/null || true
    for note in "$WAYBILL_STACKS"/*; do
        [ ! -e "$note" ] || stop_stack "$(<"$note")"
    done
    rm -rf "$ROOM"
    exit "$status"
}

# A test that was killed may have left one that is still on its way up or down.
stop_stack() {
    local attempt=0
    until VAR=$1 tests/stack/stack.sh down || [ $((attempt += 1)) -ge 10 ]; do
        sleep 1
    done
}

# A signal ends the command; the rest follows. (An `exit` in the handler itself would run clean_up() inside it, where bash takes a function's return for the
# end of the script.)
ENDED=
end_by_signal() {
    ENDED=$1
    kill -TERM -- "-$COMMAND" 2>/dev/null || true
}

# A session of its own, so that all of it can be ended.
setsid "$@" </dev/null &
COMMAND=$!
trap clean_up EXIT
trap 'end_by_signal 130' INT
trap 'end_by_signal 143' TERM HUP
STATUS=0
wait "$COMMAND" || STATUS=$?
# A trapped signal ends `wait` early.
while kill -0 "$COMMAND" 2>/dev/null; do
    wait "$COMMAND" || STATUS=$?
done
exit "${ENDED:-$STATUS}"
