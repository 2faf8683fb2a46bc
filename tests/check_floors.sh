#!/usr/bin/env bash
# Keeps the rules of the house (docs: a folder a floor, arrows point down only). Prints file:line: what is wrong; fails when there is any.
#
#   check_floors.sh [TREE]    looks at TREE, by default the checkout, after a self-test
#
# The self-test plants a violation of each kind in a temporary tree and demands that it is found: a check that finds nothing proves little.
set -euo pipefail

# The floors, from the ground up. Files of cli and cgi-bin stand side by side at the top.
declare -A FLOOR=([base]=0 [adapter]=1 [domain]=2 [engine]=3 [app]=4 [cli]=5 [cgi-bin]=5)

# The pure floor may use only these of the adapters: they do no I/O.
DOMAIN_ADAPTERS='adapter/json.h adapter/crypto.h'
DOMAIN_HEADERS='^(time|unistd|fcntl|poll|pthread|signal|netdb|dirent|dlfcn|syslog|pwd|grp|sys/.*)(\.h)?$'
DOMAIN_CALLS='f?printf|vf?printf|f?puts|f?putc|putchar|fopen|freopen|fdopen|fclose|fread|fwrite|fgets|fgetc|getc|getchar|f?scanf|perror|remove|rename|tmpfile|getenv|setenv|time|clock|rand|random'
BANNED_CALLS='strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|system|popen'

# A foreign header, as a pattern, and the one file that may include it.
FOREIGN='
jansson\.h                          src/adapter/json.c
openssl/.*                          src/adapter/crypto.c
libpq-fe\.h|libpq/.*|postgres_ext\.h|libpq-events\.h  src/adapter/pg.c
fcgiapp\.h|fcgi_stdio\.h|fastcgi\.h|fcgios\.h|fcgimisc\.h  src/adapter/fcgi.c
confuse\.h                          src/adapter/config.c
sqlite3\.h                          src/adapter/sqlite.c
curl/.*                             src/adapter/http_client.c
'

report() {
    printf '%s: %s\n' "$1" "$2"
    FOUND=$((FOUND + 1))
}

sources() {
    find src cgi-bin -name '*.[ch]' -type f | sort
}

# The text of a file with comments, strings and character constants blanked, line numbers kept.
code_of() {
    perl -0777 -pe 's{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\x27(?:\\.|[^\x27\\\n])*\x27)}{my $t = $1; $t =~ s/[^\n]//g; " $t"}gse' "$1"
}

floor_of() {
    case $1 in
    src/*)
        local rest=${1#src/}
        printf '%s' "${rest%%/*}"
        ;;
    *) printf 'cgi-bin' ;;
    esac
}

# Includes as "line open-character path".
includes_of() {
    sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]+)[>"].*/\1 \2/;t p;d;:p;=;p' "$1" | paste -d ' ' - -
}

check_include() {
    local file=$1 line=$2 kind=$3 header=$4 own other pattern place
    own=$(floor_of "$file")
    while read -r pattern place; do
        if [ -n "$pattern" ] && [[ $header =~ ^($pattern)$ ]] && [ "$file" != "$place" ]; then
            report "$file:$line" "<$header> belongs to $place alone"
        fi
    done <<<"$FOREIGN"
    if [ "$kind" = '<' ]; then
        if [ "$own" = domain ] && [[ $header =~ $DOMAIN_HEADERS ]]; then
            report "$file:$line" "the domain does no I/O and knows no clock: <$header>"
        fi
        return
    fi
    other=${header%%/*}
    if [[ $header != */* || -z ${FLOOR[$other]:-} ]]; then
        report "$file:$line" "\"$header\": includes are written from src/ and name a floor"
    elif [ "$own" != "$other" ] && [ "${FLOOR[$other]}" -ge "${FLOOR[$own]}" ]; then
        report "$file:$line" "$own may not include $other: \"$header\""
    elif [ "$own" = domain ] && [ "$other" = adapter ] && [[ " $DOMAIN_ADAPTERS " != *" $header "* ]]; then
        report "$file:$line" "of the adapters, the domain may include only $DOMAIN_ADAPTERS: \"$header\""
    fi
}

# Calls of NAMES (a pattern) in FILE.
check_calls() {
    local file=$1 names=$2 why=$3 line call
    while IFS=: read -r line call; do
        report "$file:$line" "$why: ${call%%[ (]*}()"
    done < <(code_of "$file" | perl -ne 'while (/(?<![\w.>])('"$names"')\s*\(/g) { print "$.:$1(\n" }')
}

# Sets FOUND to the number of violations in the tree TREE.
check_tree() {
    local file line kind header
    FOUND=0
    cd "$1"
    while read -r file; do
        if [ -z "${FLOOR[$(floor_of "$file")]:-}" ]; then
            report "$file:1" "stands on no floor: src/ has ${!FLOOR[*]}"
            continue
        fi
        while read -r line kind header; do
            check_include "$file" "$line" "$kind" "$header"
        done < <(includes_of "$file")
        check_calls "$file" "$BANNED_CALLS" "banned call"
        [ "$file" = src/base/condition.c ] || check_calls "$file" pthread_cond_timedwait "waits go by the monotonic clock: condition_wait_until()"
        if [ "$(floor_of "$file")" = domain ]; then
            check_calls "$file" "$DOMAIN_CALLS" "the domain does no I/O and knows no clock"
        fi
    done < <(sources)
    [ "$FOUND" = 0 ]
}

# ---- the self-test ----

# One tree with one file FILE with the content TEXT; is the outcome EXPECTED (found, clean)?
expect() {
    local expected=$1 file=$2 text=$3 tree=$TEMPORARY/tree outcome
    rm -rf "$tree"
    mkdir -p "$tree/src" "$tree/cgi-bin" "$tree/$(dirname "$file")"
    printf '%b\n' "$text" >"$tree/$file"
    if (check_tree "$tree") >"$TEMPORARY/output"; then outcome=clean; else outcome=found; fi
    if [ "$outcome" != "$expected" ]; then
        printf 'check_floors.sh: self-test: expected %s in %s: %s\n' "$expected" "$file" "$text" >&2
        cat "$TEMPORARY/output" >&2
        exit 1
    fi
}

self_test() {
    local file header call
    TEMPORARY=$(mktemp -d)
    trap 'rm -rf "$TEMPORARY"' EXIT
    expect clean src/app/a.c '#include "domain/a.h"\n#include "base/b.h"\n#include <stdio.h>'
    expect clean src/domain/a.c '#include "adapter/json.h"\n#include "adapter/crypto.h"\n#include "domain/b.h"\n#include <string.h>'
    expect clean cgi-bin/a.c '#include "app/a.h"\n#include "adapter/fcgi.h"'
    expect clean src/base/a.c '/* strcpy(a, b) */ const char *x = "system(1)"; // gets(s)\nmy_strcpy(a); a->system(b);'
    # arrows up, and sideways
    expect found src/base/a.c '#include "adapter/json.h"'
    expect found src/adapter/a.c '#include "domain/change.h"'
    expect found src/domain/a.h '# include "engine/batch.h"'
    expect found src/domain/providers/a.c '#include "app/ingest.h"'
    expect found src/engine/a.c '#include "app/ingest.h"'
    expect found src/app/a.c '#include "cli/main.h"'
    expect found src/cli/a.c '#include "cgi-bin/a.h"'
    expect found src/base/a.c '#include "a.h"'
    expect found src/base/a.c '#include "../domain/a.h"'
    expect found src/other/a.c 'int a;'
    # the pure floor
    expect found src/domain/a.c '#include "adapter/pg.h"'
    for header in time.h unistd.h sys/socket.h; do
        expect found src/domain/a.c "#include <$header>"
    done
    expect found src/domain/a.c 'void f(void) { printf ("x"); }'
    # foreign headers
    for header in jansson.h openssl/evp.h libpq-fe.h fcgiapp.h fcgi_stdio.h confuse.h sqlite3.h; do
        expect found src/engine/a.c "#include <$header>"
        expect found src/adapter/a.c "#include \"$header\""
        expect found cgi-bin/a.c "#include <$header>"
    done
    expect clean src/adapter/json.c '#include <jansson.h>'
    expect found src/adapter/json.h '#include <jansson.h>'
    # banned calls
    for call in strcpy strcat sprintf vsprintf gets strtok atoi system popen; do
        expect found src/base/a.c "int x;\nvoid f(void) { if (x) $call(a); }"
        expect found cgi-bin/a.c "x = $call (a);"
    done
    expect found src/adapter/a.c "x = pthread_cond_timedwait(a);"
    expect clean src/base/condition.c "x = pthread_cond_timedwait(a);"
}

(self_test)
(check_tree "${1:-$(dirname "${BASH_SOURCE[0]}")/..}") || {
    echo "check_floors.sh: the rules are broken in the places above" >&2
    exit 1
}
