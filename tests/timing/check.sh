#!/usr/bin/env bash
# check.sh PROGRAM: does the time of a comparison tell anything about a secret? Counted, not measured, so the answer is the same every time.
#
# Memory: with the secrets marked as undefined, valgrind reports every branch and every address that depends on one of their bits; none may.
# Cost: the instructions of refusals, counted by valgrind. Where the wrong byte stands must make no difference at all, and whether the source exists or
# how it proves itself none that could be told over a network: everything of the size of the body must be the same.
# PROGRAM is tests/timing/credentials.c. What valgrind runs of OpenSSL is its portable vector code, for valgrind knows no SHA instructions; those
# have no branches either.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PROGRAM=$1
# Instructions: a microsecond or two. An HMAC over the body of the test costs millions.
MOST_DIFFERENCE=20000
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

fail() {
    echo "tests/timing/check.sh: $*" >&2
    exit 1
}

write_config() {
    local key=keyeyeyeyeyeyeyeyeyeyeyeyeyeyeyk
    cat >"$WORK/waybill.conf" <<CONF
source signed { provider = crossborderly  secret = "$key" }
source rotated { provider = crossborderly  secret = {"$key", "old-$key"} }
source standard { provider = swiftpod  signature = standard-webhooks  secret = "whsec_$(printf '%s-' "$key" x | head -c 34 | base64)" }
source basic { provider = crowdsender  basic = "shop:$key" }
source bearer { provider = crowdsender  bearer = "$key" }
source header { provider = crowdsender  header = "X-Api-Key: $key" }
source token { provider = crowdsender  url_token = "$key" }
client shop { token_sha256 = "$(printf %s "$key" | sha256sum | cut -d ' ' -f 1)"  scope = full  sources = {"*"} }
CONF
    chmod 0600 "$WORK/waybill.conf"
}

memcheck() {
    valgrind --quiet --error-exitcode=99 --exit-on-first-error=yes --undef-value-errors=yes "$PROGRAM" memory "$WORK/waybill.conf" "$@" >"$WORK/output" 2>&1
}

check_memory() {
    local status=0
    memcheck || {
        cat "$WORK/output" >&2
        fail "what is done depends on a secret"
    }
    memcheck plant || status=$?
    [ "$status" = 99 ] || fail "an ordinary comparison was planted and not found: $status"
}

# "INSTRUCTIONS WHAT" a line.
costs() {
    valgrind --quiet --tool=callgrind --toggle-collect=auth_check --callgrind-out-file="$WORK/cost" "$PROGRAM" cost "$WORK/waybill.conf" >"$WORK/output" 2>&1 || {
        cat "$WORK/output" >&2
        fail "the costs could not be counted"
    }
    local file
    for file in "$WORK"/cost.*; do
        printf '%s %s\n' "$(sed -n 's/^summary: //p' "$file")" "$(sed -n 's/^desc: Trigger: Client Request: //p' "$file")"
    done
}

check_cost() {
    local table what
    table=$(costs | sort -n)
    [ "$(wc -l <<<"$table")" -ge 15 ] || fail "too few costs: $table"
    for what in signature basic bearer header 'URL token'; do
        [ "$(grep -E "^[0-9]+ $what, (first|last) byte$" <<<"$table" | cut -d ' ' -f 1 | sort -u | wc -l)" = 1 ] ||
            fail "the place of the wrong byte shows: $table"
    done
    awk -v most="$MOST_DIFFERENCE" 'NR == 1 { least = $1 } END { exit !($1 - least <= most && least > 100 * most) }' <<<"$table" ||
        fail "refusals differ by more than $MOST_DIFFERENCE instructions: $table"
    echo "refusals cost $(head -1 <<<"$table" | cut -d ' ' -f 1) to $(tail -1 <<<"$table" | cut -d ' ' -f 1) instructions"
}

# Without clang's debugging information, which valgrind cannot read; names of functions stay.
strip --strip-debug -o "$WORK/credentials" "$PROGRAM"
PROGRAM=$WORK/credentials
write_config
check_memory
check_cost
