#!/usr/bin/env bash
# stack.sh up|down|run|server: a private PostgreSQL cluster, a web server and both responders on 127.0.0.1, all of it under one folder.
#
# Environment: VAR (that folder), PORT, SERVER (lighttpd, apache, nginx), SAMPLES=0 (send none); BUILD and CGIBIN say which build's programs run. What the
# sanitizers read (ASAN_OPTIONS, …) reaches the responders. WAYBILL_STACKS, where set, is a folder in which each running stack is noted.
set -euo pipefail
umask 077

STACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(cd "$STACK/../.." && pwd)
cd "$CHECKOUT"
# shellcheck source=tests/stack/lib.sh
. "$STACK/lib.sh"
# shellcheck source=tests/stack/config.sh
. "$STACK/config.sh"
# shellcheck source=tests/stack/cluster.sh
. "$STACK/cluster.sh"
# shellcheck source=tests/stack/responders.sh
. "$STACK/responders.sh"

# Requests up to this many bytes reach the responders, whichever the web server.
# shellcheck disable=SC2034 # the servers' files use it
LARGEST_BODY=67108864
# A unix socket's path, with its final NUL, has room for 108 bytes.
LONGEST_SOCKET_PATH=107

# ---- what and where ----

settings() {
    # Connection settings of the caller's shell must not lead the stack's own connections astray.
    unset "${!PG@}" WAYBILL_DSN WAYBILL_CONFIG "${!LISTEN@}"
    PORT=${PORT:-8080}
    SERVER=${SERVER:-lighttpd}
    BUILD=${BUILD:-build}
    CGIBIN=${CGIBIN:-cgi-bin}
    VAR=$(realpath -m -- "${VAR:-var}")
    case $VAR in
    *[!A-Za-z0-9_./:@%+=,~\ -]*) die "VAR=$VAR: only letters, digits, blanks and _./:@%+=,~- work in all the configuration files" ;;
    esac
    URL=http://127.0.0.1:$PORT
    PGDATA=$VAR/pgdata
    BIN=$VAR/bin
    LOG=$VAR/log
    RUN=$VAR/run
    SECRETS=$VAR/secrets
    CONFIG=$VAR/waybill.conf
    RUN_ENV=$VAR/run.env
    choose_user
}

check_variables() {
    [[ $PORT =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65535 ]] || die "PORT=$PORT is no port"
    [ -e "$STACK/server_$SERVER.sh" ] || die "SERVER=$SERVER: lighttpd, apache or nginx"
    # shellcheck source=/dev/null
    . "$STACK/server_$SERVER.sh"
}

# Creates $VAR with its folders for the user who runs the stack.
make_folders() {
    if [ ! -d "$VAR" ]; then
        check_reach "$VAR"
        (umask 022 && mkdir -p "$(dirname "$VAR")")
        mkdir "$VAR"
        [ "${#AS_USER[@]}" = 0 ] || chown "$RUN_USER:" "$VAR"
    else
        check_reach "$VAR"
        adopt_folder
    fi
    as_user mkdir -p "$RUN" "$LOG" "$BIN" "$SECRETS" "$VAR/www" "$VAR/tmp"
}

# Every folder above $VAR must be open to the user.
check_reach() {
    local folder=$1 rest
    rest=$(dirname "$folder")
    while [ ! -d "$rest" ]; do
        rest=$(dirname "$rest")
    done
    if ! as_user test -x "$rest"; then
        die "VAR=$VAR cannot be used: started by root, the stack runs as the user $RUN_USER, who may not enter $(closed_folder "$rest").
Name a folder that $RUN_USER can reach, for example: VAR=/var/tmp/waybill"
    fi
}

# The topmost folder on the way to $1 that the user may not enter.
closed_folder() {
    local parent
    parent=$(dirname "$1")
    if [ "$1" != / ] && ! as_user test -x "$parent"; then
        closed_folder "$parent"
    else
        printf '%s' "$1"
    fi
}

# Root gives an existing $VAR to the user, but only a folder of its own that was plainly meant for it: an empty one, or a private one such as mktemp -d makes.
adopt_folder() {
    check_owner
    if as_user test -w "$VAR" && as_user test -x "$VAR"; then
        return
    fi
    [ "${#AS_USER[@]}" != 0 ] || die "VAR=$VAR is not writable"
    [ "$(stat -c %u "$VAR")" = 0 ] || die "VAR=$VAR belongs to $(stat -c %U "$VAR"), and the user $RUN_USER, as which root runs the stack, may not write there"
    if [ -z "$(ls -A "$VAR")" ] ||
        { [ "$(stat -c %a "$VAR")" = 700 ] && [ "$VAR" != "$(realpath -m -- "${HOME:-/root}")" ] && [ "$VAR" != "$CHECKOUT" ]; }; then
        chown "$RUN_USER:" "$VAR"
    else
        die "VAR=$VAR is not empty and no stack's folder, and the user $RUN_USER may not write there: name a new folder"
    fi
}

# One user's stack is not another's to start or stop.
check_owner() {
    [ ! -d "$RUN" ] || [ "$(stat -c %U "$RUN")" = "$RUN_USER" ] ||
        die "the stack in $VAR belongs to $(stat -c %U "$RUN"), not to $RUN_USER"
}

# Sockets live in $VAR/run, or where that path is too long for a socket (or holds what a connection string would have to quote), in a folder of /tmp that
# $VAR/run/sockets names.
choose_socket_folder() {
    local longest=$RUN/.s.PGSQL.5432.lock
    if [ ${#longest} -gt $LONGEST_SOCKET_PATH ] || [[ $RUN =~ [^A-Za-z0-9_./-] ]]; then
        SOCKDIR=$(as_user mktemp -d /tmp/waybill-XXXXXXXX)
        printf '%s' "$SOCKDIR" | put "$RUN/sockets" 0600
    fi
}

# Where they are since the last `up`.
find_socket_folder() {
    SOCKDIR=$RUN
    [ ! -s "$RUN/sockets" ] || SOCKDIR=$(<"$RUN/sockets")
}

remove_socket_folder() {
    [ "$SOCKDIR" != "$RUN" ] || return 0
    as_user rm -rf -- "$SOCKDIR"
    as_user rm -f "$RUN/sockets"
    SOCKDIR=$RUN
}

check_port() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
        die "PORT=$PORT is taken on 127.0.0.1: stop what listens there or name another, for example PORT=$((PORT % 65535 + 1))"
    fi
    local lowest
    lowest=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024)
    [ "$PORT" -ge "$lowest" ] || die "PORT=$PORT: the web server runs as the user $RUN_USER, who may only use ports from $lowest on"
}

# Two that start or stop the same stack at the same time would undo each other.
lock() {
    exec {LOCK}<"$VAR"
    flock --nonblock "$LOCK" || die "another make up, down or run is at work in $VAR"
}

unlock() {
    exec {LOCK}<&-
}

# ---- up and down ----

start_everything() {
    check_port
    choose_socket_folder
    note_stack
    find_postgres
    programs_copy
    set_logs_aside
    cluster_create
    cluster_configure
    say "starting PostgreSQL"
    cluster_start
    database_create
    config_write
    say "starting webhook.fcgi, status.fcgi and $SERVER"
    responder_start webhook
    responder_start status
    server_configure
    start_daemon server once "${SERVER_COMMAND[@]}"
    wait_ready
    run_env_write
}

# What is shown when something fails is of this start; the logs of the one before are kept as *.log.1.
set_logs_aside() {
    local file
    for file in "$LOG"/*.log; do
        [ ! -e "$file" ] || as_user mv -f "$file" "$file.1"
    done
}

READY_SECONDS=60

wait_ready() {
    wait_until $READY_SECONDS ready_or_failed ||
        show_log_and_die "not ready after $READY_SECONDS s" webhook status server "$SERVER" postgres
    [ -z "$FAILED" ] || show_log_and_die "$FAILED" webhook status server "$SERVER"
}

# Ends the wait early when something cannot become ready any more.
ready_or_failed() {
    FAILED=
    if process_gone server; then
        FAILED="$SERVER does not stay up"
    elif responder_fails webhook; then
        FAILED="webhook.fcgi does not stay up"
    elif responder_fails status; then
        FAILED="status.fcgi does not stay up"
    else
        http_ok "$URL/webhooks/readyz" && http_ok "$URL/status/readyz"
    fi
}

# Ends everything that was started in $VAR, whether it is complete or not.
stop_everything() {
    find_socket_folder
    as_user rm -f "$RUN_ENV" "$RUN/keeper"
    stop_process server 10
    responder_stop webhook
    responder_stop status
    cluster_stop
    remove_socket_folder
    # What killed programs have left: sockets, pid files.
    [ ! -d "$RUN" ] || as_user find "$RUN" -mindepth 1 -delete
    forget_stack
}

note_stack() {
    [ -z "${WAYBILL_STACKS:-}" ] || printf '%s\n' "$VAR" >"$WAYBILL_STACKS/$(sha256 "$VAR")"
}

forget_stack() {
    [ -z "${WAYBILL_STACKS:-}" ] || rm -f "$WAYBILL_STACKS/$(sha256 "$VAR")"
}

show_log_and_die() {
    local message=$1 name
    shift
    for name in "$@"; do
        if [ -s "$LOG/$name.log" ]; then
            printf -- '---- the end of %s\n' "$LOG/$name.log"
            tail -n 20 "$LOG/$name.log"
        fi
    done >&2
    die "$message"
}

send_samples() {
    [ "${SAMPLES:-1}" != 0 ] || return 0
    say "one genuine sample of every event type, through $SERVER:"
    "$STACK/send_samples.sh" "$RUN_ENV"
}

# Until up has succeeded, whatever ends this script undoes what it started.
undo_on_exit() {
    trap 'end_by_signal 130' INT
    trap 'end_by_signal 143' TERM HUP
    trap stop_on_exit EXIT
}

# In a process of its own, because bash, when a signal's handler has called `exit`, takes a function's return for the end of the script.
stop_on_exit() {
    local status=$?
    # A second Ctrl-C must not cut the cleaning up short.
    trap '' INT TERM HUP
    trap - EXIT
    VAR=$VAR "$STACK/stack.sh" stop || true
    exit "$status"
}

bring_up() {
    check_variables
    make_folders
    lock
    stop_everything
    echo $$ | put "$RUN/keeper" 0600
    undo_on_exit
    start_everything
    send_samples
    unlock
}

up() {
    bring_up
    trap - INT TERM HUP EXIT
    say "the stack is up: $URL, its settings are in $RUN_ENV, its logs in $LOG"
}

down() {
    if [ ! -d "$RUN" ]; then
        say "nothing runs in $VAR"
        return
    fi
    check_owner
    lock
    stop_everything
    say "the stack in $VAR is down"
}

# down without a word and without asking whether somebody is at work: that is the caller.
stop() {
    stop_everything
}

# Another web server in the place of one that has died.
server() {
    check_variables
    find_socket_folder
    lock
    stop_process server 10
    server_configure
    start_daemon server once "${SERVER_COMMAND[@]}"
    wait_until $READY_SECONDS http_ok "$URL/webhooks/livez" || show_log_and_die "$SERVER does not answer" server "$SERVER"
    unlock
}

# ---- run: up, show it, stay ----

run() {
    bring_up
    show_state
    trap 'exit 0' INT TERM HUP
    show_help
    while still_ours && ! make_is_ending; do
        sleep 0.5 &
        wait $! || true
    done
    still_ours || leave_alone
}

# Another terminal may say `make down` or `make up` for this folder: then the stack, if there is one, is no longer this script's to stop.
still_ours() {
    [ "$(cat "$RUN/keeper" 2>/dev/null)" = "$$" ]
}

leave_alone() {
    say "the stack in $VAR was stopped or started again from elsewhere"
    trap - INT TERM HUP EXIT
    exit 0
}

show_state() {
    say
    say "the state as JSON:"
    curl --noproxy '*' --silent --show-error --fail \
        --config <(printf 'header = "Authorization: Bearer %s"\n' "$(secret status.token)") "$URL/status/orders" | pretty_json
}

# With what is there anyway.
pretty_json() {
    if command -v python3 >/dev/null; then
        python3 -m json.tool --no-ensure-ascii
    elif command -v jq >/dev/null; then
        jq .
    else
        cat
        say
    fi
}

show_help() {
    local shown=$RUN_ENV
    case $shown in *\ *) shown=$(shell_quote "$shown") ;; esac
    cat <<HELP

The stack is up on $URL. In another terminal:

  . $shown
  curl -H "Authorization: Bearer \$STATUS_TOKEN" \$WAYBILL_URL/status/orders
  curl -H "Authorization: Bearer \$STATUS_TOKEN" "\$WAYBILL_URL/status/orders?tracking_number=CBECUSD123456789"
  curl -u "\$CROWDSENDER_BASIC" --data-binary @tests/samples/crowdsender/trackingUpdated.json \$WAYBILL_URL/webhooks/crowdsender
  psql "\$WAYBILL_REPORT_DSN" -c 'TABLE waybill.orders'

Logs: $LOG (webhook.log, status.log, postgres.log, $SERVER.log)
Ctrl-C stops all of it.
HELP
}

# make passes SIGTERM on to its recipes, but a SIGINT that was sent to make alone it does not: it then just waits for them, with the signal blocked in the
# handler. A make that is gone altogether counts too.
make_is_ending() {
    local blocked
    process_start "$PPID" >/dev/null || return 0
    [ "$(cat "/proc/$PPID/comm" 2>/dev/null)" = make ] || return 1
    blocked=$(sed -n 's/^SigBlk:\s*//p' "/proc/$PPID/status" 2>/dev/null) || return 0
    # SIGHUP, SIGINT, SIGTERM
    (((16#${blocked:-0} & 16#4003) != 0))
}

settings
case ${1:-} in
up | down | run | server | stop) "$1" ;;
*) die "usage: stack.sh up|down|run|server" ;;
esac
