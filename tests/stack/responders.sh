# shellcheck shell=bash
# webhook.fcgi and status.fcgi under their supervisors. Sourced, not run.

# Copies, because the user who runs them may not be able to reach the checkout, and because a new build must not disturb a running stack.
programs_copy() {
    local program
    for program in "$CGIBIN/webhook.fcgi" "$CGIBIN/status.fcgi" "$BUILD/waybill" "$STACK/supervise.sh" "$STACK/listen.pl"; do
        [ -x "$program" ] || die "$program is missing: run make first"
        put "$BIN/${program##*/}" 0755 <"$program"
    done
}

responder_start() {
    local name=$1
    WAYBILL_CONFIG=$CONFIG LISTEN=$SOCKDIR/$name.sock start_daemon "$name" always "$BIN/$name.fcgi"
}

responder_stop() {
    stop_process "$1" 15
    as_user rm -f "$SOCKDIR/$1.sock"
}

# Ended again and again: no use to wait for it any longer.
responder_fails() {
    [ -e "$RUN/$1.ends" ] && [ "$(wc -l <"$RUN/$1.ends")" -ge 3 ]
}
