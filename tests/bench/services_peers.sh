# shellcheck shell=bash
# The peers of the benchmark (peers/), as services.sh starts them. Sourced, not run.
#
# Environment: NODE_PORT (of those that are their own web server), PHP_PORT; NODE_MODULES (a folder), PHP_FPM (a program), WORKERS, POOL (connections of a worker).

# Their role, as which they log in to databases that are theirs.
peer_role_create() {
    printf "CREATE ROLE peer LOGIN PASSWORD '%s';\n" "$(secret peer.password)" | superuser_sql postgres
}

# A connection in JSON; what pg and asyncpg call the folder of the socket and so on is the same.
peer_settings() {
    printf '{"host":"%s","port":5432,"database":"%s","user":"peer","password":"%s"}' "$SOCKDIR" "$1" "$(secret peer.password)"
}

# peer_files FILE...: copies, for the user who runs them.
peer_files() {
    local file
    for file in "$@"; do
        put "$BIN/$file" 0600 <"$BENCH/peers/$file"
    done
}

# node_start NAME FILE: under Node, with its packages.
node_start() {
    [ -d "$BIN/node_modules" ] || tar -C "$NODE_MODULES/.." -cf - node_modules | as_user tar -C "$BIN" -xf -
    peer_files shared.js "$2"
    PORT=$NODE_PORT SECRET_FILE=$SECRETS/crossborderly.secret PEER_DSN=$(peer_settings peer_written) STATUS_DSN=$(peer_settings peer_stored) \
        STATUS_TOKEN_SHA256=$(sha256 "$(secret status.token)") NODE_ENV=production start_daemon "$1" once "$(command -v node)" "$BIN/$2"
    peer_wait "$1"
}

peer_wait() {
    wait_until "$READY_SECONDS" http_ok "http://127.0.0.1:$NODE_PORT/livez" || show_log_and_die "$1 does not answer" "$1"
}

fastapi_start() {
    peer_files fastapi_app.py
    (
        cd "$BIN" || exit
        SECRET_FILE=$SECRETS/crossborderly.secret PEER_DSN=$(peer_settings peer_written) PYTHONDONTWRITEBYTECODE=1 start_daemon fastapi once \
            /usr/bin/python3 -m uvicorn fastapi_app:app --host 127.0.0.1 --port "$NODE_PORT" --workers "$WORKERS" --loop uvloop --http httptools \
            --backlog 4096 --no-access-log --log-level warning
        peer_wait fastapi
    )
}

# As many processes as the others have connections.
php_start() {
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
pm.max_children = $((WORKERS * POOL))
security.limit_extensions =
env[SECRET_FILE] = "$SECRETS/crossborderly.secret"
env[PEER_DSN] = "$(dsn peer_written peer)"
CONF
    start_daemon php once "$PHP_FPM" --nodaemonize --fpm-config "$VAR/php-fpm.conf"
    wait_for_socket php
    wait_until "$READY_SECONDS" php_answers || show_log_and_die "php-fpm does not answer" php php-fpm
}

php_answers() {
    [ "$(http_status "http://127.0.0.1:$PHP_PORT/webhooks/crossborderly")" = 401 ]
}
