# shellcheck shell=bash
# The stack's private PostgreSQL cluster: everything of it lives under $VAR. Sourced, not run.

# The programs of PostgreSQL 15, or of the newest later one.
find_postgres() {
    local folder
    for folder in "${POSTGRES_BIN:-}" /usr/lib/postgresql/15/bin \
        $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) "$(dirname "$(command -v initdb || echo .)")"; do
        if [ -n "$folder" ] && [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
            PGBIN=$folder
            return
        fi
    done
    die "no PostgreSQL server programs (initdb, pg_ctl) found: set POSTGRES_BIN to their folder"
}

# A libpq connection string. Host, names and passwords hold no blank and no quote, so nothing is quoted.
dsn() {
    local database=$1 role=$2
    printf 'host=%s port=5432 dbname=%s user=%s password=%s' "$SOCKDIR" "$database" "$role" "$(secret "$role.password")"
}

# Where CLUSTER_TEMPLATE names a folder, the first cluster is kept there too, with its password, and those after are copies: initdb takes a second of the
# processor's time, and the tests make dozens.
cluster_create() {
    local template=${CLUSTER_TEMPLATE:-}
    [ ! -e "$PGDATA/PG_VERSION" ] || return 0
    as_user rm -rf "$PGDATA"
    if [ -n "$template" ] && [ -e "$template/complete" ]; then
        as_user cp -p "$template/postgres.password" "$SECRETS/postgres.password"
        as_user rm -rf "$PGDATA.new"
        as_user cp -a "$template/data" "$PGDATA.new"
        as_user mv -T "$PGDATA.new" "$PGDATA"
        return 0
    fi
    say "creating a PostgreSQL cluster in $PGDATA"
    secret postgres.password >/dev/null
    as_user "$PGBIN/initdb" --pgdata="$PGDATA" --username=postgres --pwfile="$SECRETS/postgres.password" \
        --auth=scram-sha-256 --encoding=UTF8 --no-locale >"$LOG/initdb.log" 2>&1 ||
        show_log_and_die "initdb failed" initdb
    if [ -n "$template" ]; then
        as_user rm -rf "$template/data"
        as_user cp -p "$SECRETS/postgres.password" "$template/"
        as_user cp -a "$PGDATA" "$template/data"
        as_user touch "$template/complete"
    fi
}

# Where the cluster listens stands in postgresql.conf itself, so that `pg_ctl -D $PGDATA start` alone brings it back. The block at the
# end is ours and is written anew, for the socket's folder may have moved; what stands above it is left alone. Shared memory is files of
# $PGDATA: in /dev/shm it would outlive a server that was killed.
cluster_configure() {
    # shellcheck disable=SC2016 # no command
    local mark='# ---- the stack: written again by each `make up` ----'
    {
        as_user sed "/^$mark\$/,\$d" "$PGDATA/postgresql.conf"
        cat <<CONF
$mark
listen_addresses = ''
port = 5432
unix_socket_directories = '$SOCKDIR'
unix_socket_permissions = 0700
dynamic_shared_memory_type = mmap
logging_collector = on
log_directory = '${LOG//\'/\'\'}'
log_filename = 'postgres.log'
log_rotation_age = 0
log_rotation_size = 0
log_line_prefix = '%m [%p] %q%u@%d '
CONF
    } | put "$PGDATA/postgresql.conf" 0600
}

cluster_runs() {
    [ -e "$PGDATA/postmaster.pid" ] && as_user "$PGBIN/pg_ctl" status -D "$PGDATA" >/dev/null 2>&1
}

cluster_ready_or_failed() {
    process_gone cluster || as_user "$PGBIN/pg_isready" --quiet --host "$SOCKDIR" --port 5432
}

# Not by pg_ctl, which would leave the server without a parent that collects it (see supervise.sh). After a crash it replays what was written since the last
# checkpoint first, which may take its time.
cluster_start() {
    start_daemon cluster once "$PGBIN/postgres" -D "$PGDATA"
    wait_until 300 cluster_ready_or_failed || show_log_and_die "PostgreSQL is not ready after 300 s" cluster postgres
    ! process_gone cluster || show_log_and_die "PostgreSQL does not start" cluster postgres
}

# A test that was ended may have left it stopped by SIGSTOP.
thaw() {
    kill -CONT "$1" 2>/dev/null || true
    pkill -CONT -P "$1" || true
}

# Its own pid file is the truth here: somebody may have restarted the cluster with pg_ctl meanwhile.
cluster_stop() {
    [ -e "$PGDATA" ] || return 0
    find_postgres
    if cluster_runs; then
        thaw "$(cluster_pid)"
        as_user "$PGBIN/pg_ctl" stop -D "$PGDATA" -m fast -w -t 30 >/dev/null 2>&1 ||
            as_user "$PGBIN/pg_ctl" stop -D "$PGDATA" -m immediate -w -t 30 >/dev/null 2>&1 ||
            say "PostgreSQL in $PGDATA does not stop"
    fi
    stop_process cluster 10
}

cluster_pid() {
    as_user head -n 1 "$PGDATA/postmaster.pid"
}

# SQL from standard input, as superuser, in DATABASE. The password travels in the environment, not in the list of processes.
superuser_sql() {
    PGPASSWORD=$(secret postgres.password) as_user "$PGBIN/psql" --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --host "$SOCKDIR" --port 5432 --username postgres --no-password --dbname "$1" >>"$LOG/setup.log" 2>&1 ||
        show_log_and_die "setting up the database failed" setup
}

# The owner and the database are the operator's to create; everything else comes from the migrations, passwords again from the operator.
database_create() {
    superuser_sql postgres <<SQL
SELECT 'CREATE ROLE waybill_owner LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_owner') \gexec
ALTER ROLE waybill_owner LOGIN PASSWORD '$(secret waybill_owner.password)';
SELECT 'CREATE DATABASE waybill OWNER waybill_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'waybill') \gexec
SQL
    WAYBILL_DSN=$(dsn waybill postgres) as_user "$BIN/waybill" migrate >>"$LOG/setup.log" 2>&1 ||
        show_log_and_die "waybill migrate failed" setup
    local role
    for role in ingest status report audit; do
        printf "ALTER ROLE waybill_%s LOGIN PASSWORD '%s';\n" "$role" "$(secret "waybill_$role.password")"
    done | superuser_sql waybill
}
