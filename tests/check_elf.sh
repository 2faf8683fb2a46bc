#!/usr/bin/env bash
# Are the programs hardened? Reads the ELF files themselves, whatever the flags were said to be.
#
#   check_elf.sh PROGRAM...    after a self-test: a small program built without each of the properties must be found wanting
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A property a row: its name, the tool's option that shows it, and the pattern that must be found there.
PROPERTIES='
position-independent      d   FLAGS_1.*PIE
relocations-read-only     l   GNU_RELRO
bound-at-start            d   FLAGS_1.*NOW
no-executable-stack       l   GNU_STACK.* RW  0x
stack-protector           s   __stack_chk_fail
fortified                 s   __[a-z]+_chk@
'
# And what must not be found.
FLAWS='
writable-and-executable   l   LOAD.* RWE
library-path              d   (RPATH|RUNPATH)
'

shows() {
    readelf --wide "-$2" "$1" >"$WORK/shown" && grep -Eq -- "$3" "$WORK/shown"
}

# What only the instructions tell, and only x86's: a frame larger than a page is touched page by page, so that none jumps over the guard page, and
# indirect branches may end at a mark alone (the linker's own note about that is missing because Debian's start-up objects have none).
wanting_in_code() {
    objdump -d --no-show-raw-insn "$1" >"$WORK/code"
    grep -Eq 'or[lq] +\$0x0,(0x[0-9a-f]+)?\(%rsp|mov[lq] +\$0x0,\(%rsp\)' "$WORK/code" || echo stack-clash-protection
    [[ $(grep -A 1 '<main>:' "$WORK/code") == *endbr64* ]] || echo control-flow-protection
}

# The names of what FILE lacks.
wanting() {
    local name option pattern
    while read -r name option pattern; do
        [ -z "$name" ] || shows "$1" "$option" "$pattern" || echo "$name"
    done <<<"$PROPERTIES"
    while read -r name option pattern; do
        [ -z "$name" ] || ! shows "$1" "$option" "$pattern" || echo "$name"
    done <<<"$FLAWS"
    [ "$(uname -m)" != x86_64 ] || wanting_in_code "$1"
}

# ---- the self-test ----

GOOD='-O2 -fPIE -pie -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now,-z,noexecstack'
case $(uname -m) in x86_64) GOOD+=' -fstack-clash-protection -fcf-protection' ;; esac

expect() {
    local expected=$1 found
    shift
    # shellcheck disable=SC2086 # flags they are
    gcc $GOOD "$@" -o "$WORK/program" "$WORK/program.c"
    found=$(wanting "$WORK/program" | paste -sd ' ')
    [ "$found" = "$expected" ] || {
        echo "check_elf.sh: self-test: with $*: expected '$expected', found '$found'" >&2
        exit 1
    }
}

self_test() {
    cat >"$WORK/program.c" <<'C'
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char large[20000];
    if (argc > 1) strcpy(large, argv[1]);
    return (int)write(1, large, sizeof large - (size_t)argc);
}
C
    expect ''
    expect position-independent -no-pie -fno-PIE
    expect relocations-read-only -Wl,-z,norelro
    expect bound-at-start -Wl,-z,lazy
    expect no-executable-stack -Wl,-z,execstack
    expect stack-protector -fno-stack-protector
    expect fortified -U_FORTIFY_SOURCE
    expect library-path -Wl,-rpath,/nowhere
    case $(uname -m) in x86_64)
        expect control-flow-protection -fcf-protection=none
        expect stack-clash-protection -fno-stack-clash-protection
        ;;
    esac
}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
self_test
failed=no
for program in "$@"; do
    found=$(wanting "$program" | paste -sd ' ')
    if [ -n "$found" ]; then
        echo "check_elf.sh: $program: $found" >&2
        failed=yes
    fi
done
[ "$failed" = no ]
