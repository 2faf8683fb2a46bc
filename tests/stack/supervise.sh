#!/usr/bin/env bash
# supervise.sh NAME FOLDER COMMAND...: keeps one responder running.
#
# A responder that ends, for whatever reason, is started again after a fifth of a second; its process id is in FOLDER/run/NAME.child and, while
# the stack is up, as NAME_PID in FOLDER/run.env. SIGTERM is passed on and ends the supervisor with its responder.
set -uo pipefail

name=$1
folder=$2
shift 2

child=
stopping=no
# SIGHUP too: whoever means the responder by it gets the supervisor instead of ending it.
trap 'stopping=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
trap '[ -z "$child" ] || kill -HUP "$child" 2>/dev/null' HUP

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

umask 077
while [ "$stopping" = no ]; do
    # Should the supervisor be killed outright, the kernel ends the responder.
    setpriv --pdeathsig TERM -- "$@" </dev/null &
    child=$!
    publish
    # A trapped signal ends `wait` early.
    status=0
    while kill -0 "$child" 2>/dev/null; do
        wait "$child"
        status=$?
    done
    child=
    [ "$stopping" = no ] || break
    echo "supervisor: $name ended with status $status, starting it again"
    echo "$status" >>"$folder/run/$name.ends"
    sleep 0.2
done
