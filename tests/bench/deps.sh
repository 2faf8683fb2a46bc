#!/usr/bin/env bash
# deps.sh [recovery]: installs the Debian packages that `make bench` needs and that are missing; without the peers' (Node, FastAPI, PHP), nginx, Apache and gnuplot it
# goes on, and the rows say so. recovery: only what `make bench-recovery` needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

SERVER=lighttpd tests/stack/deps.sh run

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# install_missing PACKAGE...: each is named with what shows that it is there.
install_missing() {
    command -v apt-get >/dev/null || return 1
    echo "installing with apt-get: $*"
    as_root bash tests/stack/deps.sh install "$@"
}

present() {
    command -v "$1" >/dev/null
}

missing=()
[ "${1:-}" = recovery ] || present wrk || missing+=(wrk)
/usr/bin/python3 -c 'import psycopg' 2>/dev/null || missing+=(python3-psycopg)
# The clients of the tests compare answers with their description.
[ "${1:-}" != recovery ] || /usr/bin/python3 -c 'import jsonschema' 2>/dev/null || missing+=(python3-jsonschema)
[ "${#missing[@]}" = 0 ] || install_missing "${missing[@]}" || {
    echo "waybill: these are missing (by their Debian names): ${missing[*]}" >&2
    exit 1
}

[ "${1:-}" != recovery ] || exit 0
# Each of the rest is a row or a chart less where it is missing.
install_or_say() {
    local what=$1
    shift
    install_missing "$@" || echo "not installed: $*; the rows of $what will say 'not measured'"
}
present gnuplot || install_missing gnuplot-nox || echo "not installed: gnuplot-nox; no chart"
present nginx || install_or_say nginx nginx-light
present apache2 || install_or_say Apache apache2-bin
present npm || install_or_say "Express and Fastify" nodejs npm
/usr/bin/python3 -c 'import fastapi, uvicorn, asyncpg, uvloop, httptools' 2>/dev/null ||
    install_or_say FastAPI python3-fastapi python3-uvicorn python3-asyncpg python3-uvloop python3-httptools

has_php_with_pgsql() {
    local program
    for program in /usr/sbin/php-fpm*; do
        ! "$program" -m 2>/dev/null | grep -qx pgsql || return 0
    done
    return 1
}
if ! has_php_with_pgsql; then
    install_or_say PHP php-fpm php-pgsql
    # The benchmark starts its own.
    ! present systemctl || as_root systemctl disable --quiet 'php*-fpm.service' 2>/dev/null || true
fi
