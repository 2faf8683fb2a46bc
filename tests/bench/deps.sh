#!/usr/bin/env bash
# deps.sh [recovery]: installs the Debian packages that `make bench` needs and that are missing; without the peers' (Node, PHP) and gnuplot it goes on, and the
# rows say so. recovery: only what `make bench-recovery` needs.
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
present gnuplot || install_missing gnuplot-nox || echo "no gnuplot: no chart"
present npm || install_missing nodejs npm || echo "no npm: the rows of Express will say 'not measured'"
if ! compgen -G '/usr/sbin/php-fpm*' >/dev/null || ! php -m 2>/dev/null | grep -qx pgsql; then
    if install_missing php-fpm php-pgsql; then
        # Its service is nobody's here: the benchmark starts its own.
        ! present systemctl || as_root systemctl disable --quiet 'php*-fpm.service' || true
    else
        echo "no php-fpm with pgsql: the row of PHP will say 'not measured'"
    fi
fi
