#!/usr/bin/env bash
# services.sh COMMAND: what the benchmark runs against, out of the parts of tests/stack. stack.py calls it, with the programs of one build.
#
#   up                a cluster, lighttpd on the ports below; settings in $VAR/bench.env
#   database NAME     a new database waybill_NAME with the schema of this build, in the place of an old one
#   start SERVICE     webhook.NAME, status.NAME (on the database waybill_NAME), webhook2.NAME (a second process beside the first), null; the peers:
#                     express, fastify.HANDLER, fastapi, php; standby (a synchronous one)
#   stop SERVICE
#   down              ends all of it
#
# Environment: VAR (the folder for all of it), BUILD and CGIBIN (the programs under test), NULL_RESPONDER (a program), PORT (the first webhook.fcgi and
# status.fcgi), SECOND_PORT (webhook2), BOTH_PORT (requests go to either), NULL_PORT; SECRETS_FROM (the
# folder of another stack's secrets, to have the same); for the peers see services_peers.sh, for the
# standby services_standby.sh.
set -euo pipefail
umask 077

BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STACK=$BENCH/../stack
cd "$BENCH/../.."
# shellcheck source=tests/stack/lib.sh
. "$STACK/lib.sh"
# shellcheck source=tests/stack/config.sh
. "$STACK/config.sh"
# shellcheck source=tests/stack/cluster.sh
. "$STACK/cluster.sh"
# shellcheck source=tests/stack/responders.sh
. "$STACK/responders.sh"
# shellcheck source=tests/stack/server_lighttpd.sh
. "$STACK/server_lighttpd.sh"
# shellcheck source=tests/bench/services_peers.sh
. "$BENCH/services_peers.sh"
# shellcheck source=tests/bench/services_standby.sh
. "$BENCH/services_standby.sh"

# shellcheck disable=SC2034 # server_lighttpd.sh uses it
LARGEST_BODY=67108864
READY_SECONDS=30
ROLES=(ingest status report audit)

settings() {
    unset "${!PG@}" WAYBILL_DSN WAYBILL_CONFIG "${!LISTEN@}"
    URL=http://127.0.0.1:$PORT
    PGDATA=$VAR/pgdata
    BIN=$VAR/bin
    LOG=$VAR/log
    RUN=$VAR/run
    SECRETS=$VAR/secrets
    SOCKDIR=$RUN
    choose_user
    find_postgres
}

show_log_and_die() {
    local message=$1 name
    shift
    for name in "$@"; do
        [ ! -s "$LOG/$name.log" ] || tail -n 20 "$LOG/$name.log" >&2
    done
    die "$message"
}

# ---- up and down ----

up() {
    [ "${#AS_USER[@]}" = 0 ] || chown "$RUN_USER:" "$VAR"
    as_user mkdir -p "$RUN" "$LOG" "$BIN" "$SECRETS" "$VAR/www" "$VAR/tmp" "$VAR/php"
    programs_copy
    put "$BIN/null_responder" 0755 <"$NULL_RESPONDER"
    put "$VAR/order.json" 0600 <<<'{}'
    [ -z "${SECRETS_FROM:-}" ] || secrets_copy
    cluster_create
    cluster_configure
    # With the stock kind of shared memory. Autovacuum would work in some phases and not in others; stack.py vacuums between them.
    {
        as_user cat "$PGDATA/postgresql.conf"
        printf 'shared_buffers = 1GB\nmax_wal_size = 4GB\ndynamic_shared_memory_type = posix\nautovacuum = off\n'
    } | put "$PGDATA/postgresql.conf" 0600
    cluster_start
    printf "CREATE ROLE waybill_owner LOGIN PASSWORD '%s';\n" "$(secret waybill_owner.password)" | superuser_sql postgres
    database first
    passwords_set
    superuser_sql postgres <<<'DROP DATABASE waybill_first;'
    peer_role_create
    lighttpd_start
    bench_env_write
}

# All versions get the same requests.
secrets_copy() {
    local name
    for name in crossborderly.secret swiftpod.secret crowdsender.basic shipup.basic status.token; do
        as_user cp "$SECRETS_FROM/$name" "$SECRETS/$name"
    done
}

# The migrations make the roles.
passwords_set() {
    local role
    for role in "${ROLES[@]}"; do
        printf "ALTER ROLE waybill_%s LOGIN PASSWORD '%s';\n" "$role" "$(secret "waybill_$role.password")"
    done | superuser_sql postgres
}

database() {
    superuser_sql postgres <<SQL
DROP DATABASE IF EXISTS waybill_$1 WITH (FORCE);
CREATE DATABASE waybill_$1 OWNER waybill_owner;
SQL
    WAYBILL_DSN=$(dsn "waybill_$1" postgres) as_user "$BIN/waybill" migrate >>"$LOG/setup.log" 2>&1 ||
        show_log_and_die "waybill migrate failed" setup
}

# The stack's own configuration, and beside it the same web server in front of the other processes, the null responder and PHP.
lighttpd_start() {
    server_configure
    {
        as_user cat "$VAR/lighttpd.conf"
        lighttpd_port "$NULL_PORT" "$VAR/www" null
        lighttpd_port "$PHP_PORT" "$VAR/php" php
        lighttpd_port "$SECOND_PORT" "$VAR/www" webhook2
        lighttpd_port "$BOTH_PORT" "$VAR/www" webhook webhook2
    } | put "$VAR/lighttpd.conf" 0600
    start_daemon server once "${SERVER_COMMAND[@]}"
    wait_until $READY_SECONDS answers "$URL/" || show_log_and_die "lighttpd does not start" server lighttpd
}

# lighttpd_port PORT DOCUMENTS SOCKET...
lighttpd_port() {
    local port=$1 documents=$2 name hosts=''
    shift 2
    for name in "$@"; do
        hosts+="(\"socket\" => \"$SOCKDIR/$name.sock\", \"check-local\" => \"disable\"), "
    done
    cat <<CONF
\$SERVER["socket"] == "127.0.0.1:$port" {
    server.document-root = "$documents"
    fastcgi.server = ("/webhooks" => ($hosts), "/status" => ($hosts))
}
CONF
}

answers() {
    [ "$(http_status "$1")" != 000 ]
}

bench_env_write() {
    {
        run_env_line SUPERUSER_DSN "$(dsn postgres postgres)"
        run_env_line PEER_DSN "$(dsn postgres peer)"
        run_env_line CROSSBORDERLY_SECRET "$(secret crossborderly.secret)"
        run_env_line SWIFTPOD_SECRET "$(secret swiftpod.secret)"
        run_env_line CROWDSENDER_BASIC "$(basic crowdsender)"
        run_env_line SHIPUP_BASIC "$(basic shipup)"
        run_env_line SECRET_FILE "$SECRETS/crossborderly.secret"
        run_env_line STATUS_TOKEN "$(secret status.token)"
        run_env_line POSTGRES_PID "$(cluster_pid)"
        run_env_line SERVER_PID "$(child_id server)"
        run_env_line PGBIN "$PGBIN"
    } | put "$VAR/bench.env" 0600
}

down() {
    [ -d "$RUN" ] || return 0
    local file name
    for file in "$RUN"/*.pid; do
        name=$(basename "$file" .pid)
        [ ! -e "$file" ] || [ "$name" = cluster ] || stop_process "$name" 10
    done
    cluster_stop
}

# ---- one at a time ----

# No more than what every version understands. config_write FILE DATABASE SPOOL
config_write() {
    local file=$1 database=$2 spool=$3 sender
    {
        cat <<CONF
database {
    ingest_dsn = "$(dsn "$database" waybill_ingest)"
    status_dsn = "$(dsn "$database" waybill_status)"
}
webhook {
    plain_http = yes
    spool = "$spool"
}
status { plain_http = yes }
client bench {
    token_sha256 = "$(sha256 "$(secret status.token)")"
    scope = full
    sources = {"*"}
}
CONF
        for sender in crossborderly swiftpod; do
            printf 'source %s {\n    provider = %s\n    secret_file = "%s"\n}\n' "$sender" "$sender" "$SECRETS/$sender.secret"
        done
        for sender in crowdsender shipup; do
            printf 'source %s {\n    provider = %s\n    basic_file = "%s"\n}\n' "$sender" "$sender" "$SECRETS/$sender.basic"
        done
    } | put "$file" 0600
}

# start SERVICE: what stands behind its dot is the database.
start() {
    local name=${1%%.*} database=waybill_${1#*.}
    case $name in
    webhook | webhook2) start_responder "$name" webhook.fcgi "$database" webhooks ;;
    status) start_responder status status.fcgi "$database" status ;;
    null)
        LISTEN=$SOCKDIR/null.sock start_daemon null always "$BIN/null_responder" "$VAR/order.json"
        wait_for_socket null
        wait_until $READY_SECONDS http_ok "http://127.0.0.1:$NULL_PORT/status/" || show_log_and_die "the null responder does not answer" null
        ;;
    standby) standby_start ;;
    express) node_start express express.js ;;
    fastify) HANDLER=${1#*.} node_start fastify fastify.js ;;
    fastapi) fastapi_start ;;
    php) php_start ;;
    *) die "no such service: $1" ;;
    esac
    # A program may answer before its supervisor has written down its id.
    wait_until $READY_SECONDS test -s "$RUN/$name.child" || die "$name does not start"
}

# start_responder NAME PROGRAM DATABASE MOUNT
start_responder() {
    local name=$1 program=$2 database=$3 mount=$4 port=$PORT
    [ "$name" != webhook2 ] || port=$SECOND_PORT
    config_write "$VAR/$name.conf" "$database" "$VAR/$name.spool"
    WAYBILL_CONFIG=$VAR/$name.conf LISTEN=$SOCKDIR/$name.sock start_daemon "$name" always "$BIN/$program"
    wait_for_socket "$name"
    wait_until $READY_SECONDS http_ok "http://127.0.0.1:$port/$mount/readyz" || show_log_and_die "$name does not become ready" "$name"
}

# lighttpd leaves a socket that it could not reach alone for a second or two.
wait_for_socket() {
    wait_until $READY_SECONDS as_user test -S "$SOCKDIR/$1.sock" || show_log_and_die "$1 does not listen" "$1"
}

stop() {
    local name=${1%%.*}
    [ "$name" != standby ] || standby_stop
    stop_process "$name" 15
    as_user rm -f "$SOCKDIR/$name.sock"
}

settings
case ${1:-} in
up | down) "$1" ;;
database | start | stop) "$1" "$2" ;;
*) die "usage: services.sh up|down|database NAME|start SERVICE|stop SERVICE" ;;
esac
