#!/usr/bin/env bash
# services.sh COMMAND: what the benchmark runs against, out of the parts of tests/stack. bench.py calls it.
#
#   up            a cluster with two databases (waybill and waybill_scale), lighttpd on PORT (waybill), NULL_PORT and PHP_PORT; settings in $VAR/bench.env
#   start NAME    webhook, webhook-scale, status, status-scale, null, express or php
#   stop NAME
#   down          ends all of it
#
# Environment: VAR (the folder for all of it), BUILD, CGIBIN, PORT, NULL_PORT, PHP_PORT, EXPRESS_PORT; for the peers NODE_MODULES, PHP_FPM (a program), POOL.
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

# shellcheck disable=SC2034 # server_lighttpd.sh uses it
LARGEST_BODY=67108864
READY_SECONDS=30

settings() {
    unset "${!PG@}" WAYBILL_DSN WAYBILL_CONFIG "${!LISTEN@}"
    URL=http://127.0.0.1:$PORT
    PGDATA=$VAR/pgdata
    BIN=$VAR/bin
    LOG=$VAR/log
    RUN=$VAR/run
    SECRETS=$VAR/secrets
    CONFIG=$VAR/waybill.conf
    SOCKDIR=$RUN
    choose_user
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
    find_postgres
    programs_copy
    put "$BIN/null_responder" 0755 <"$BUILD/bench/null_responder"
    cluster_create
    cluster_configure
    # With the stock kind of shared memory.
    { as_user cat "$PGDATA/postgresql.conf" && printf 'shared_buffers = 1GB\nmax_wal_size = 4GB\ndynamic_shared_memory_type = posix\n'; } | put "$PGDATA/postgresql.conf" 0600
    cluster_start
    database_create
    scale_database_create
    config_write
    as_user sed 's/dbname=waybill /dbname=waybill_scale /' "$CONFIG" | put "$VAR/waybill-scale.conf" 0600
    lighttpd_start
    bench_env_write
}

scale_database_create() {
    echo 'CREATE DATABASE waybill_scale OWNER waybill_owner;' | superuser_sql postgres
    WAYBILL_DSN=$(dsn waybill_scale postgres) as_user "$BIN/waybill" migrate >>"$LOG/setup.log" 2>&1 ||
        show_log_and_die "waybill migrate failed" setup
}

# The stack's own configuration, and beside it the same web server in front of the null responder and of PHP.
lighttpd_start() {
    server_configure
    {
        as_user cat "$VAR/lighttpd.conf"
        cat <<CONF
\$SERVER["socket"] == "127.0.0.1:$NULL_PORT" {
    fastcgi.server = ("/webhooks" => (("socket" => "$SOCKDIR/null.sock", "check-local" => "disable")),
        "/status" => (("socket" => "$SOCKDIR/null.sock", "check-local" => "disable")))
}
\$SERVER["socket"] == "127.0.0.1:$PHP_PORT" {
    server.document-root = "$VAR/php"
    fastcgi.server = ("/webhooks" => (("socket" => "$SOCKDIR/php.sock", "check-local" => "disable")))
}
CONF
    } | put "$VAR/lighttpd.conf" 0600
    start_daemon server once "${SERVER_COMMAND[@]}"
    wait_until $READY_SECONDS answers "$URL/" || show_log_and_die "lighttpd does not start" server lighttpd
}

answers() {
    [ "$(http_status "$1")" != 000 ]
}

bench_env_write() {
    {
        run_env_line SUPERUSER_DSN "$(dsn waybill postgres)"
        run_env_line SCALE_SUPERUSER_DSN "$(dsn waybill_scale postgres)"
        run_env_line INGEST_DSN "$(dsn waybill waybill_ingest)"
        run_env_line SECRET_FILE "$SECRETS/crossborderly.secret"
        run_env_line STATUS_TOKEN "$(secret status.token)"
        run_env_line POSTGRES_PID "$(cluster_pid)"
        run_env_line LIGHTTPD_PID "$(child_id server)"
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

start() {
    case $1 in
    webhook) start_responder webhook "$CONFIG" webhooks ;;
    webhook-scale) start_responder webhook "$VAR/waybill-scale.conf" webhooks ;;
    status) start_responder status "$CONFIG" status ;;
    status-scale) start_responder status "$VAR/waybill-scale.conf" status ;;
    null)
        LISTEN=$SOCKDIR/null.sock start_daemon null always "$BIN/null_responder" "$VAR/order.json"
        wait_until $READY_SECONDS http_ok "http://127.0.0.1:$NULL_PORT/status/" || show_log_and_die "the null responder does not answer" null
        ;;
    express) start_express ;;
    php) start_php ;;
    *) die "no such service: $1" ;;
    esac
    # A program may answer before its supervisor has written down its id.
    wait_until $READY_SECONDS test -s "$RUN/${1%-scale}.child" || die "$1 does not start"
}

start_responder() {
    local name=$1 CONFIG=$2 mount=$3
    responder_start "$name"
    wait_until $READY_SECONDS http_ok "$URL/$mount/readyz" || show_log_and_die "$name.fcgi does not become ready" "$name"
}

stop() {
    stop_process "${1%-scale}" 15
    as_user rm -f "$SOCKDIR/${1%-scale}.sock"
}

start_express() {
    [ -d "$BIN/node_modules" ] || tar -C "$NODE_MODULES/.." -cf - node_modules | as_user tar -C "$BIN" -xf -
    put "$BIN/express.js" 0600 <"$BENCH/peers/express.js"
    local token
    token=$(sha256 "$(secret status.token)")
    PORT=$EXPRESS_PORT SECRET_FILE=$SECRETS/crossborderly.secret INGEST_SQL=$VAR/ingest.sql STATUS_TOKEN_SHA256=$token \
        INGEST_DSN=$(pg_settings waybill_ingest) STATUS_DSN=$(pg_settings waybill_status) NODE_ENV=production \
        start_daemon express once "$(command -v node)" "$BIN/express.js"
    wait_until $READY_SECONDS http_ok "http://127.0.0.1:$EXPRESS_PORT/livez" || show_log_and_die "Express does not answer" express
}

# A connection as pg wants it, in JSON.
pg_settings() {
    printf '{"host":"%s","port":5432,"database":"waybill","user":"%s","password":"%s"}' "$SOCKDIR" "$1" "$(secret "$1.password")"
}

start_php() {
    # The file bears the name of the URL, so that the web server need not rewrite.
    put "$VAR/php/webhooks" 0600 <"$BENCH/peers/webhook.php"
    put "$VAR/php-fpm.conf" 0600 <<CONF
[global]
error_log = $LOG/php-fpm.log
daemonize = no
[bench]
listen = $SOCKDIR/php.sock
listen.backlog = 4096
pm = static
pm.max_children = $POOL
security.limit_extensions =
env[SECRET_FILE] = "$SECRETS/crossborderly.secret"
env[INGEST_SQL] = "$VAR/ingest.sql"
env[INGEST_DSN] = "$(dsn waybill waybill_ingest)"
CONF
    start_daemon php once "$PHP_FPM" --nodaemonize --fpm-config "$VAR/php-fpm.conf"
    wait_until $READY_SECONDS php_answers || show_log_and_die "php-fpm does not answer" php php-fpm
}

php_answers() {
    [ "$(http_status "http://127.0.0.1:$PHP_PORT/webhooks/crossborderly")" = 401 ]
}

settings
case ${1:-} in
up | down) "$1" ;;
start | stop) "$1" "$2" ;;
*) die "usage: services.sh up|down|start NAME|stop NAME" ;;
esac
