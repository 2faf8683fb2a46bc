#!/usr/bin/env bash
# deps.sh run|check|browser|fuzz|analyze|coverage|deb|deb-check: installs the Debian packages that `make run` (with this SERVER), `make check` and so on need and that are missing.
#
# What counts is the thing needed, not the package: each row says how to see that it is there. Nothing is installed, and no network asked, when nothing is missing.
# Services of the installed packages are kept from starting, and PostgreSQL from making a cluster of its own.
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# package, and what it is wanted for: a program, a pkg-config module, a file (patterns allowed) or a Python module
BUILD_PACKAGES='
gcc                 program gcc
libc6-dev           file    /usr/include/stdio.h
make                program make
pkg-config          program pkg-config
libfcgi-dev         pkg     fcgi
libjansson-dev      pkg     jansson
libconfuse-dev      pkg     libconfuse
libssl-dev          pkg     libcrypto
libpq-dev           pkg     libpq
libsqlite3-dev      pkg     sqlite3
libcurl4-openssl-dev  pkg   libcurl
tzdata              file    /usr/share/zoneinfo/Europe/Madrid
'
STACK_PACKAGES='
postgresql          file    /usr/lib/postgresql/*/bin/initdb
postgresql-client   program psql
curl                program curl
openssl             program openssl
util-linux          program setpriv
perl-base           program perl
'
LIGHTTPD_PACKAGES='
lighttpd            program lighttpd
'
# The server without its service and its site configuration: the stack brings its own.
APACHE_PACKAGES='
apache2-bin         program apache2
'
NGINX_PACKAGES='
nginx-light         program nginx
'
TEST_PACKAGES='
clang               program clang
clang-format        program clang-format
cppcheck            program cppcheck
faketime            program faketime
libcmocka-dev       pkg     cmocka
python3             program python3
python3-pytest      python  pytest
python3-jsonschema  python  jsonschema
python3-psycopg     python  psycopg
php-cli             program php
nodejs              program node
python3-pytest-xdist  python  xdist
prometheus          program promtool
slowhttptest        program slowhttptest
strace              program strace
systemd             program systemd-analyze
valgrind            program valgrind
zsh                 program zsh
'
BROWSER_PACKAGES='
chromium            program chromium
npm                 program npm
'
ANALYSIS_PACKAGES='
clang-tidy          program clang-tidy
'
COVERAGE_PACKAGES='
gcovr               program gcovr
'
# Beside the compiler and the libraries, what debian/control names.
DEB_PACKAGES='
debhelper           program dh
dpkg-dev            program dpkg-buildpackage
libcmocka-dev       pkg     cmocka
lintian             program lintian
'
DEB_CHECK_PACKAGES='
debian-archive-keyring  file  /usr/share/keyrings/debian-archive-keyring.gpg
mmdebstrap          program mmdebstrap
python3             program python3
python3-pytest      python  pytest
util-linux          program unshare
'
FUZZ_PACKAGES='
clang               program clang
libclang-rt-14-dev  file    /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
'

die() {
    printf 'waybill: %s\n' "$*" >&2
    exit 1
}

choose_packages() {
    WANTED=$BUILD_PACKAGES$STACK_PACKAGES
    case $1:${SERVER:-lighttpd} in
    run:lighttpd) WANTED+=$LIGHTTPD_PACKAGES ;;
    run:apache) WANTED+=$APACHE_PACKAGES ;;
    run:nginx) WANTED+=$NGINX_PACKAGES ;;
    run:*) die "SERVER=$SERVER: lighttpd, apache or nginx" ;;
    browser:*) WANTED+=$LIGHTTPD_PACKAGES$TEST_PACKAGES$BROWSER_PACKAGES ;;
    deb:*) WANTED=$BUILD_PACKAGES$DEB_PACKAGES ;;
    deb-check:*) WANTED=$DEB_CHECK_PACKAGES ;;
    fuzz:*) WANTED=$BUILD_PACKAGES$FUZZ_PACKAGES ;;
    analyze:*) WANTED=$BUILD_PACKAGES$TEST_PACKAGES$ANALYSIS_PACKAGES ;;
    coverage:*) WANTED+=$LIGHTTPD_PACKAGES$APACHE_PACKAGES$NGINX_PACKAGES$TEST_PACKAGES$COVERAGE_PACKAGES ;;
    check:*) WANTED+=$LIGHTTPD_PACKAGES$APACHE_PACKAGES$NGINX_PACKAGES$TEST_PACKAGES ;;
    *) die "usage: deps.sh run|check|browser|fuzz|analyze|coverage|deb|deb-check" ;;
    esac
}

present() {
    local kind=$1 what=$2
    case $kind in
    program) command -v "$what" >/dev/null ;;
    pkg) pkg-config --exists "$what" 2>/dev/null ;;
    file) compgen -G "$what" >/dev/null ;;
    # Debian's own Python, whatever other stands first in PATH.
    python) /usr/bin/python3 -c "import $what" 2>/dev/null ;;
    esac
}

missing_packages() {
    local package kind what
    while read -r package kind what; do
        [ -z "$package" ] || present "$kind" "$what" || printf '%s\n' "$package"
    done <<<"$WANTED"
}

# ---- as root, in a process of its own: `deps.sh install PACKAGES` ----

POLICY=/usr/sbin/policy-rc.d
CLUSTER_FOLDER=/etc/postgresql-common/createcluster.d
CLUSTER_FILE=$CLUSTER_FOLDER/waybill-no-main-cluster.conf

install_packages() {
    trap restore EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    keep_services_stopped
    keep_postgresql_from_making_a_cluster
    if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
        apt_get update
    fi
    # Lists that are too old name files that are gone: once more with new ones.
    if ! apt_get install --yes --no-install-recommends "$@"; then
        apt_get update
        apt_get install --yes --no-install-recommends "$@"
    fi
    keep_services_disabled "$@"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --quiet "$@" </dev/null
}

# Debian asks this program before it starts a service. One that is there already is somebody's decision and stays.
keep_services_stopped() {
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$POLICY"
        chmod 0755 "$POLICY"
        REMOVE+=("$POLICY")
    fi
}

keep_postgresql_from_making_a_cluster() {
    local folder
    for folder in "${CLUSTER_FOLDER%/*}" "$CLUSTER_FOLDER"; do
        if [ ! -d "$folder" ]; then
            mkdir "$folder"
            REMOVE_FOLDERS=("$folder" "${REMOVE_FOLDERS[@]}")
        fi
    done
    if [ ! -e "$CLUSTER_FILE" ]; then
        echo 'create_main_cluster = false' >"$CLUSTER_FILE"
        REMOVE+=("$CLUSTER_FILE")
    fi
}

# Nor may a web server that is only here for the stack take port 80 at the next boot.
keep_services_disabled() {
    local package
    command -v systemctl >/dev/null || return 0
    for package in "$@"; do
        case $package in
        lighttpd) systemctl disable --quiet lighttpd.service || true ;;
        nginx-light) systemctl disable --quiet nginx.service || true ;;
        prometheus) systemctl disable --quiet prometheus.service || true ;;
        esac
    done
}

REMOVE=()
REMOVE_FOLDERS=()

# Folders that a package has filled meanwhile stay.
restore() {
    rm -f "${REMOVE[@]}"
    [ "${#REMOVE_FOLDERS[@]}" = 0 ] || rmdir --ignore-fail-on-non-empty "${REMOVE_FOLDERS[@]}" 2>/dev/null || true
}

# ---- as anybody ----

main() {
    local missing
    choose_packages "$1"
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" != 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        die "these are missing (by their Debian names), and there is no apt-get to install them with: ${missing[*]}"
    fi
    echo "installing with apt-get: ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then
        bash "$0" install "${missing[@]}"
    elif command -v sudo >/dev/null; then
        sudo bash "$0" install "${missing[@]}"
    else
        die "no root and no sudo: as root, please run: apt-get install ${missing[*]}"
    fi
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" = 0 ] || die "still missing after the installation: ${missing[*]}"
}

case ${1:-} in
install)
    shift
    install_packages "$@"
    ;;
*) main "${1:-}" ;;
esac
