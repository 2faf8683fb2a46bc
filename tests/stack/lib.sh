# shellcheck shell=bash
# What the stack's scripts share: messages, the user that everything runs as, processes and files. Sourced, not run.

# Administration programs live in sbin, which a normal user's PATH lacks on Debian.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
    printf '%s\n' "$*"
}

die() {
    printf 'waybill: %s\n' "$*" >&2
    exit 1
}

# A value as one word of a shell.
shell_quote() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# ---- the user that the stack runs as ----

# PostgreSQL refuses to run as root, and nothing else of the stack needs root either: started by root, all of it runs as the user `postgres`.
choose_user() {
    AS_USER=()
    RUN_USER=$(id -un)
    [ "$(id -u)" = 0 ] || return 0
    RUN_USER=postgres
    id "$RUN_USER" >/dev/null 2>&1 || die "root starts the stack as the user $RUN_USER, which does not exist here"
    AS_USER=(setpriv "--reuid=$RUN_USER" "--regid=$(id -g "$RUN_USER")" --init-groups --)
}

# In place of this shell, a command as that user. It is done hundreds of times: `env` would be a process more each time.
exec_as_user() {
    [ "${#AS_USER[@]}" = 0 ] || export HOME=$VAR USER=$RUN_USER LOGNAME=$RUN_USER
    exec "$@"
}

# Runs a command as that user.
as_user() (
    exec_as_user "${AS_USER[@]}" "$@"
)

# Writes standard input to FILE as that user, whole or not at all. Without any chmod its mode is 0600.
put() {
    local file=$1 mode=$2
    # shellcheck disable=SC2016 # the inner shell expands
    as_user sh -c 'umask 077; cat >"$1.new" && { [ "$2" = 0600 ] || chmod "$2" "$1.new"; } && mv -f "$1.new" "$1"' - "$file" "$mode"
}

# ---- processes, known by id and start time: an id alone may meanwhile be somebody else's ----

# The time PID was started, in ticks since boot; fails when it does not run (a zombie does not).
process_start() {
    local stat='' fields
    { IFS= read -r -d '' stat <"/proc/$1/stat" || true; } 2>/dev/null
    read -r -a fields <<<"${stat##*) }"
    [ -n "$stat" ] && [ "${fields[0]}" != Z ] && printf '%s' "${fields[19]}"
}

# By builtins alone: a Ctrl-C that ends every program of the terminal must not keep it from being written.
remember_process() {
    local name=$1 pid=$2 start
    start=$(process_start "$pid") || return 0
    printf '%s %s\n' "$pid" "$start" >"$RUN/$name.pid"
}

# The id of the process remembered as NAME, as long as it runs.
process_id() {
    local pid start
    { read -r pid start <"$RUN/$1.pid"; } 2>/dev/null || return 1
    [ "$(process_start "$pid")" = "$start" ] || return 1
    printf '%s' "$pid"
}

process_gone() {
    ! process_id "$1" >/dev/null
}

# Ends the supervisor remembered as NAME with its program: politely, after SECONDS by force.
stop_process() {
    local name=$1 seconds=$2 pid
    [ -e "$RUN/$name.pid" ] || return 0
    if pid=$(process_id "$name"); then
        kill -TERM "$pid" 2>/dev/null || true
        if ! wait_until "$seconds" process_gone "$name"; then
            say "$name (process $pid) does not end: killed"
            kill -KILL "$pid" 2>/dev/null || true
            wait_until 5 process_gone "$name" || true
        fi
    fi
    stop_rest "$name"
    as_user rm -f "$RUN/$name.pid" "$RUN/$name.child" "$RUN/$name.ends"
}

# The id of the program that the supervisor remembered as NAME looks after.
child_id() {
    cat "$RUN/$1.child"
}

# Each daemon leads a process group of its own. Where the leader was killed outright, its workers may live on; as long as they do, no other process
# gets the leader's id, so a group without a living leader is ours.
stop_rest() {
    local pid
    # Two that stop one stack at the same time: the other was quicker.
    { read -r pid _ <"$RUN/$1.pid"; } 2>/dev/null || return 0
    process_start "$pid" >/dev/null || kill -KILL -- "-$pid" 2>/dev/null || true
}

# Repeats a command until it succeeds, at most SECONDS.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# Whatever the caller holds open (a pipe it reads to the end, make's job slots, our lock) must not live on in a background process.
close_inherited_files() {
    local fd
    for fd in "/proc/$BASHPID/fd"/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
}

# start_daemon NAME always|once COMMAND...: starts a command under a supervisor in the background: own session, no file of ours, output to
# $LOG/NAME.log. The supervisor is remembered as NAME, and no signal ends this script in between.
start_daemon() {
    local name=$1 mode=$2
    shift 2
    as_user rm -f "$RUN/$name.child" "$RUN/$name.ends"
    DEFER_SIGNALS=yes
    (
        close_inherited_files
        # shellcheck disable=SC2016 # the inner shell expands
        exec_as_user setsid "${AS_USER[@]}" sh -c 'umask 077; log=$1; shift; exec "$@" >>"$log" 2>&1' - "$LOG/$name.log" \
            "$BIN/supervise.sh" "$mode" "$name" "$VAR" "$@"
    ) </dev/null >/dev/null 2>&1 &
    remember_process "$name" $!
    disown $!
    DEFER_SIGNALS=
    [ -z "$DEFERRED_SIGNAL" ] || exit "$DEFERRED_SIGNAL"
}

DEFER_SIGNALS=
DEFERRED_SIGNAL=

# What a trapped signal does: ends the script with STATUS, now or as soon as that is safe.
end_by_signal() {
    [ -n "$DEFER_SIGNALS" ] || exit "$1"
    DEFERRED_SIGNAL=$1
}

# ---- HTTP ----

# Proxies of the environment are not for 127.0.0.1.
http_status() {
    curl --noproxy '*' --silent --output /dev/null --max-time 3 --write-out '%{http_code}' "$1" || true
}

http_ok() {
    [ "$(http_status "$1")" = 200 ]
}
