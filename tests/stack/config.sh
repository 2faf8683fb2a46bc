# shellcheck shell=bash
# The stack's secrets, the responders' configuration and run.env. Sourced, not run.

# The secret in the file NAME; fails where there is none. Each of these is asked for often: one process, and the shell's own words.
secret_stored() {
    # shellcheck disable=SC2016 # the inner shell expands
    as_user sh -c '[ -s "$1" ] && { read -r text <"$1" || [ -n "$text" ]; } && printf %s "$text"' - "$SECRETS/$1"
}

# The secret NAME: drawn once for this $VAR, the same ever after.
secret() {
    # shellcheck disable=SC2016 # the inner shell expands
    secret_stored "$1" || as_user sh -c '
        [ ! -s "$1" ] || exit 1
        umask 077
        text=$(od -An -v -tx1 -N24 /dev/urandom | tr -d " \n") && [ -n "$text" ] &&
            printf %s "$text" >"$1.new" && mv -f "$1.new" "$1" && printf %s "$text"
    ' - "$SECRETS/$1"
}

# user:password for a source's Basic authentication.
basic() {
    ! secret_stored "$1.basic" || return 0
    printf '%s:%s' "$1" "$(secret "$1.password")" | put "$SECRETS/$1.basic" 0600
    secret_stored "$1.basic"
}

# whsec_ and base64, as Standard Webhooks writes a key.
standard_secret() {
    ! secret_stored "$1.secret" || return 0
    printf 'whsec_%s' "$(secret "$1.key" | base64 -w0)" | put "$SECRETS/$1.secret" 0600
    secret_stored "$1.secret"
}

sha256() {
    printf '%s' "$1" | sha256sum | cut -d ' ' -f 1
}

config_write() {
    local name
    for name in crossborderly.secret swiftpod.secret; do
        secret "$name" >/dev/null
    done
    for name in crowdsender shipup; do
        basic "$name" >/dev/null
    done
    standard_secret waybill >/dev/null
    put "$CONFIG" 0600 <<CONF
# Written again by each \`make up\`; the secrets beside it stay.
database {
    ingest_dsn = "$(dsn waybill waybill_ingest)"
    status_dsn = "$(dsn waybill waybill_status)"
}
# Plain HTTP, because all of it stays on 127.0.0.1.
webhook {
    plain_http = yes
    spool = "$VAR/spool"
}
status { plain_http = yes }
source crowdsender {
    provider = crowdsender
    basic_file = "$SECRETS/crowdsender.basic"
}
source crossborderly {
    provider = crossborderly
    secret_file = "$SECRETS/crossborderly.secret"
}
source shipup {
    provider = shipup
    basic_file = "$SECRETS/shipup.basic"
}
source swiftpod {
    provider = swiftpod
    secret_file = "$SECRETS/swiftpod.secret"
}
source waybill {
    provider = waybill
    secret_file = "$SECRETS/waybill.secret"
    writes_to = {"crossborderly"}
}
client demo {
    token_sha256 = "$(sha256 "$(secret status.token)")"
    scope = full
    sources = {"*"}
}
client demo-tracking {
    token_sha256 = "$(sha256 "$(secret status-tracking.token)")"
    scope = tracking
    sources = {"*"}
}
CONF
}

# The supervisors replace single process ids in this file, so all writers take turns.
run_env_write() {
    local lock
    exec {lock}<"$RUN"
    flock "$lock"
    {
        run_env_line WAYBILL_URL "$URL"
        run_env_line WAYBILL_DSN "$(dsn waybill waybill_owner)"
        run_env_line WAYBILL_REPORT_DSN "$(dsn waybill waybill_report)"
        run_env_line WAYBILL_AUDIT_DSN "$(dsn waybill waybill_audit)"
        run_env_line WAYBILL_SUPERUSER_DSN "$(dsn waybill postgres)"
        run_env_line WAYBILL_CONFIG "$CONFIG"
        run_env_line PGDATA "$PGDATA"
        run_env_line CROSSBORDERLY_SECRET "$(secret crossborderly.secret)"
        run_env_line SWIFTPOD_SECRET "$(secret swiftpod.secret)"
        run_env_line WAYBILL_SECRET "$(standard_secret waybill)"
        run_env_line CROWDSENDER_BASIC "$(basic crowdsender)"
        run_env_line SHIPUP_BASIC "$(basic shipup)"
        run_env_line STATUS_TOKEN "$(secret status.token)"
        run_env_line STATUS_TRACKING_TOKEN "$(secret status-tracking.token)"
        run_env_line POSTGRES_PID "$(cluster_pid)"
        run_env_line SERVER_PID "$(child_id server)"
        run_env_line WEBHOOK_PID "$(child_id webhook)"
        run_env_line STATUS_PID "$(child_id status)"
    } | put "$RUN_ENV" 0600
    exec {lock}<&-
}

# Quoted only where a shell needs it, so that simpler readers get along too.
run_env_line() {
    case $2 in
    *[!A-Za-z0-9_./:@%+=,-]*) printf '%s=%s\n' "$1" "$(shell_quote "$2")" ;;
    *) printf '%s=%s\n' "$1" "$2" ;;
    esac
}
