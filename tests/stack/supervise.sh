#!/usr/bin/env bash
# supervise.sh always|once NAME FOLDER COMMAND...: the parent of one program of the stack.
#
# always: a program that ends, for whatever reason, is started again after a fifth of a second. once: the supervisor ends with it. In both cases there is a
# parent that collects it: a killed process nobody collects still looks alive, to pg_ctl for one, and not every container's first process collects.
# With LISTEN=PATH in the environment the program gets a listening socket the way systemd gives one to a service.
# The program's process id is in FOLDER/run/NAME.child and, while the stack is up, as NAME_PID in FOLDER/run.env. SIGTERM is passed on and ends both.
set -uo pipefail

if [ -n "${LISTEN:-}" ] && [ -z "${LISTEN_FDS:-}" ]; then
    exec perl "${0%/*}/listen.pl" "$LISTEN" "$0" "$@"
fi

mode=$1
name=$2
folder=$3
shift 3

child=
stopping=no
trap 'stopping=yes; pass_on TERM' TERM INT
# Whoever means the program by it gets the supervisor, which must not end.
trap 'pass_on HUP' HUP

pass_on() {
    [ -z "$child" ] || kill "-$1" "$child" 2>/dev/null
}

replace() {
    cat >"$1.$name" && chmod 0600 "$1.$name" && mv -f "$1.$name" "$1"
}

# Writers of run.env take turns by a lock on FOLDER/run.
publish() {
    echo "$child" | replace "$folder/run/$name.child"
    {
        flock 9
        if [ -e "$folder/run.env" ]; then
            sed "s/^${name^^}_PID=.*/${name^^}_PID=$child/" "$folder/run.env" | replace "$folder/run.env"
        fi
    } 9<"$folder/run"
}

# Should the supervisor be killed outright, the kernel ends a program that is to be supervised always: its successor needs the place.
launch=()
[ "$mode" = once ] || launch=(setpriv --pdeathsig TERM --)

umask 077
while [ "$stopping" = no ]; do
    (
        [ -z "${LISTEN_FDS:-}" ] || export LISTEN_PID=$BASHPID
        exec "${launch[@]}" "$@"
    ) </dev/null &
    child=$!
    # A signal that came before there was a child to pass it on to.
    [ "$stopping" = no ] || pass_on TERM
    publish
    # A trapped signal ends `wait` early.
    wait "$child"
    status=$?
    while kill -0 "$child" 2>/dev/null; do
        wait "$child"
        status=$?
    done
    child=
    if [ "$stopping" = no ]; then
        [ "$mode" = always ] || exit "$status"
        echo "supervisor: $name ended with status $status, starting it again"
        echo "$status" >>"$folder/run/$name.ends"
        sleep 0.2
    fi
done
