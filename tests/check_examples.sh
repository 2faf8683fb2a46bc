#!/usr/bin/env bash
# Are the examples of apache-conf/ and the manual pages good? Each is read by the program that it is for; the configuration sample by `waybill check`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
WAYBILL=${BUILD:-build}/waybill
# Of a unit, by systemd's own reckoning: below 2.0.
MOST_EXPOSURE=19
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# Shows a program's complaints only when it has failed.
quietly() {
    local what=$1
    shift
    "$@" >"$WORK/output" 2>&1 || {
        cat "$WORK/output" >&2
        echo "check_examples.sh: $what is not accepted" >&2
        exit 1
    }
}

# With secrets where the sample expects them.
check_sample() {
    local name
    # shellcheck disable=SC2013 # words they are
    for name in $(grep -Eo '/etc/waybill/[a-z]+\.(secret|basic)' apache-conf/waybill.conf.sample | sort -u); do
        echo 'user:a-secret-that-is-long-enough-for-all' >"$WORK/${name##*/}"
    done
    sed "s|/etc/waybill/|$WORK/|" apache-conf/waybill.conf.sample >"$WORK/waybill.conf"
    chmod 0600 "$WORK"/*
    WAYBILL_CONFIG=$WORK/waybill.conf quietly waybill.conf.sample "$WAYBILL" check
}

check_nginx() {
    # The parameters come with Debian's nginx-common, beside the main configuration that this one stands in for.
    sed 's|include fastcgi_params|include /etc/nginx/fastcgi_params|' apache-conf/nginx/waybill.conf >"$WORK/locations"
    cat >"$WORK/nginx.conf" <<CONF
pid $WORK/nginx.pid;
error_log stderr;
events { }
http {
    access_log off;
    client_body_temp_path $WORK/body;
    fastcgi_temp_path $WORK/fastcgi;
    proxy_temp_path $WORK/proxy;
    scgi_temp_path $WORK/scgi;
    uwsgi_temp_path $WORK/uwsgi;
    server { listen 127.0.0.1:8080; include $WORK/locations; }
}
CONF
    quietly nginx/waybill.conf nginx -e stderr -t -q -c "$WORK/nginx.conf"
}

check_lighttpd() {
    printf 'server.document-root = "%s"\nserver.modules = ()\ninclude "%s"\n' "$WORK" "$PWD/apache-conf/lighttpd/50-waybill.conf" >"$WORK/lighttpd.conf"
    quietly lighttpd/50-waybill.conf lighttpd -tt -f "$WORK/lighttpd.conf"
}

check_apache() {
    local file=$1 module
    {
        for module in mpm_event authz_core reqtimeout proxy proxy_fcgi alias cgid env setenvif; do
            echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
        done
        printf 'ServerName localhost\nErrorLog "%s/log"\nDefaultRuntimeDir "%s"\nInclude "%s"\n' "$WORK" "$WORK" "$PWD/apache-conf/$file"
    } >"$WORK/apache.conf"
    quietly "$file" apache2 -t -f "$WORK/apache.conf"
}

# The paths in the units only exist once waybill is installed.
check_units() {
    local unit
    for unit in apache-conf/systemd/*; do
        sed 's|^ExecStart=.*|ExecStart=/bin/true|' "$unit" >"$WORK/${unit##*/}"
    done
    quietly systemd systemd-analyze verify --man=no "$WORK"/*.service "$WORK"/*.socket "$WORK"/*.timer
    # Its scale ends at 10.0, "dangerous"; the threshold is in tenths.
    for unit in "$WORK"/*.service; do
        quietly "${unit##*/}: exposure" systemd-analyze security --no-pager --offline=yes --threshold=$MOST_EXPOSURE "$unit"
    done
}

# groff complains and succeeds all the same.
check_manual() {
    local page
    for page in "${BUILD:-build}"/man/* man/*.8; do
        quietly "$page" sh -c 'groff -mdoc -Tutf8 -ww -z "$1" 2>&1 | { ! grep .; }' sh "$page"
    done
}

check_manual
check_sample
check_nginx
check_lighttpd
check_apache waybill.conf
check_apache waybill-workers.conf
check_apache waybill-cgi.conf
check_units
