# shellcheck shell=bash
# A synchronous standby of the cluster, behind a network that takes its time, as services.sh starts it. Sourced, not run.
#
# Environment: STANDBY_PORT (of the network in between), DELAY_PROXY (a program), DELAY_US (one way).

standby_start() {
    put "$BIN/delay_proxy" 0755 <"$DELAY_PROXY"
    start_daemon proxy always "$BIN/delay_proxy" "$STANDBY_PORT" "$SOCKDIR/.s.PGSQL.5432" "$DELAY_US"
    standby_create
    start_daemon standby once "$PGBIN/postgres" -D "$VAR/standby"
    wait_until 60 standby_ready || show_log_and_die "the standby does not start" standby
    # From now on a commit waits for its disk.
    standby_names bench_standby
    wait_until 60 standby_is_synchronous || show_log_and_die "the standby does not follow" standby
}

# The copy does not go through the slow network, what follows does.
standby_create() {
    local conninfo
    conninfo="host=127.0.0.1 port=$STANDBY_PORT user=postgres password=$(secret postgres.password) application_name=bench_standby"
    PGPASSWORD=$(secret postgres.password) as_user "$PGBIN/pg_basebackup" --pgdata "$VAR/standby" --checkpoint=fast --no-sync \
        --host "$SOCKDIR" --username postgres --no-password >>"$LOG/setup.log" 2>&1 || show_log_and_die "pg_basebackup failed" setup
    as_user mkdir "$VAR/standby.run"
    {
        as_user cat "$VAR/standby/postgresql.conf"
        printf "unix_socket_directories = '%s'\nlogging_collector = off\nhot_standby = on\n" "$VAR/standby.run"
        printf "primary_conninfo = '%s'\n" "$conninfo"
    } | put "$VAR/standby/postgresql.conf" 0600
    put "$VAR/standby/standby.signal" 0600 </dev/null
}

standby_ready() {
    as_user "$PGBIN/pg_isready" --quiet --host "$VAR/standby.run" --port 5432
}

standby_names() {
    superuser_sql postgres <<<"ALTER SYSTEM SET synchronous_standby_names = '$1'; SELECT pg_reload_conf();"
}

standby_is_synchronous() {
    [ "$(PGPASSWORD=$(secret postgres.password) as_user "$PGBIN/psql" --no-psqlrc --tuples-only --no-align --host "$SOCKDIR" --username postgres \
        --no-password --command "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'" postgres)" = 1 ]
}

standby_stop() {
    standby_names ''
    stop_process standby 15
    stop_process proxy 5
}
