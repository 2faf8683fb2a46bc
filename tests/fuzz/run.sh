#!/usr/bin/env bash
# run.sh replay|fuzz|merge TARGET…: what `make replay`, `make fuzz` and `make fuzz-merge` do with the targets that they have built.
#
#   replay   each target over every input of its corpora, once. Fails at the first that fails.
#   fuzz     each target for FUZZ_SECONDS, FUZZ_JOBS of them at a time. Prints seconds and executions; adds them up in OUT/totals.
#            Inputs with new coverage are kept in OUT/corpus, those that show a fault in OUT/findings. Fails when a target has a finding.
#   merge    copies what covers more than corpus/TARGET does into corpus/TARGET.
#
# OUT is the folder that holds the programs (OUT/targets).
set -euo pipefail
shopt -s nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

OUT=${OUT:?}
FUZZ_SECONDS=${FUZZ_SECONDS:-600}
FUZZ_JOBS=${FUZZ_JOBS:-$(nproc)}
# Longer inputs find nothing that shorter ones do not, and are slow; a provider's bodies are a few kilobytes.
MAX_LEN=8192
# A new input is worth keeping in the repository up to this size, and for an edge that no other takes: how often it is taken does not count.
KEEP_LEN=2048

export ASAN_OPTIONS=detect_stack_use_after_return=1:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}

# The corpora of TARGET in the repository: a provider's documents are its seeds too.
seeds() {
    local target=$1 folder
    for folder in "tests/fuzz/corpus/$target" "tests/golden/${target#provider_}" "tests/samples/${target#provider_}"; do
        [ ! -d "$folder" ] || printf '%s\n' "$folder"
    done
}

# Words of TARGET's language: its own list, or of a provider the strings of its documents and of its source.
dictionary() {
    local target=$1 provider=${1#provider_}
    if [ "$provider" = "$target" ]; then
        cat "tests/fuzz/$target.dict" 2>/dev/null || true
        return
    fi
    {
        cat tests/golden/"$provider"/*/body.json tests/samples/"$provider"/*.json | grep -aoE '"[A-Za-z0-9_.: -]{1,60}"' || true
        grep -oE '"[A-Za-z0-9_.: -]{1,40}"' "src/domain/providers/$provider.c" | tr . '\n' | sed -E 's/^"?([^"]*)"?$/"\1"/'
    } | LC_ALL=C sort -u | grep -v '^""$' | sed -E 's/^"(.*)"$/"\\"\1\\""/'
    cat tests/fuzz/json.dict
}

# One line of OUT/totals is TARGET SECONDS EXECUTIONS; runs at the same time take turns.
add_to_totals() {
    local target=$1 seconds=$2 executions=$3
    (
        flock 9
        touch "$OUT/totals"
        awk -v t="$target" -v s="$seconds" -v e="$executions" \
            '$1 == t { $2 += s; $3 += e; found = 1 } { print $1, $2, $3 } END { if (!found) print t, s, e }' "$OUT/totals" | sort >"$OUT/totals.new"
        mv "$OUT/totals.new" "$OUT/totals"
    ) 9>"$OUT/totals.lock"
}

fuzz_one() {
    local target=$1 log=$OUT/log/$1 corpus=$OUT/corpus/$1 words=() start executions status=0
    mkdir -p "$OUT/log" "$OUT/findings" "$corpus"
    dictionary "$target" >"$OUT/log/$target.dict"
    [ ! -s "$OUT/log/$target.dict" ] || words=(-dict="$OUT/log/$target.dict")
    start=$(date +%s)
    # shellcheck disable=SC2046
    "$OUT/targets/$target" -max_total_time="$FUZZ_SECONDS" -max_len="$MAX_LEN" -timeout=120 -rss_limit_mb=3072 -print_final_stats=1 \
        "${words[@]}" -artifact_prefix="$OUT/findings/$target-" "$corpus" $(seeds "$target") >"$log" 2>&1 </dev/null || status=$?
    executions=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+).*/\1/p' "$log" | tail -1)
    add_to_totals "$target" $(($(date +%s) - start)) "${executions:-0}"
    printf '%-24s %8d s %12d executions%s\n' "$target" $(($(date +%s) - start)) "${executions:-0}" "$([ "$status" = 0 ] || echo '  FINDING')"
    if [ "$status" != 0 ]; then
        tail -60 "$log"
        return 1
    fi
}

replay_one() {
    local target=$1 folders
    mapfile -t folders < <(seeds "$target")
    [ "${#folders[@]}" != 0 ] || { echo "no corpus for $target" >&2 && return 1; }
    printf 'ok %s: ' "$OUT/targets/$target"
    "$OUT/targets/$target" "${folders[@]}"
}

merge_one() {
    local target=$1 whole=$OUT/merge/$1 known file count=0
    known=$(mktemp)
    rm -rf "$whole"
    mkdir -p "$whole" "tests/fuzz/corpus/$target"
    # shellcheck disable=SC2046
    "$OUT/targets/$target" -merge=1 -use_counters=0 -max_len="$MAX_LEN" "$whole" $(seeds "$target") "$OUT/corpus/$target" >"$OUT/log/$target.merge" 2>&1
    # shellcheck disable=SC2046
    find $(seeds "$target") -type f -exec sha1sum {} + | cut -c1-40 | sort >"$known"
    # Only the little that covers more: what the merge chose, less what stands in the repository already.
    for file in "$whole"/*; do
        if [ "$(stat -c %s "$file")" -le "$KEEP_LEN" ] && ! grep -qx "$(sha1sum "$file" | cut -c1-40)" "$known"; then
            cp "$file" "tests/fuzz/corpus/$target/"
            count=$((count + 1))
        fi
    done
    rm -f "$known"
    printf '%-24s %6d new inputs\n' "$target" "$count"
}

case ${1:-} in
replay)
    shift
    for target; do replay_one "$target"; done
    ;;
fuzz)
    shift
    failed=0
    printf '%s\n' "$@" | xargs -P "$FUZZ_JOBS" -I{} bash "$0" fuzz-one {} || failed=1
    printf '\nin total (%s):\n' "$OUT/totals"
    awk '{ printf "%-24s %8d s %14d executions\n", $1, $2, $3 }' "$OUT/totals"
    exit "$failed"
    ;;
fuzz-one) fuzz_one "$2" ;;
merge)
    shift
    for target; do merge_one "$target"; done
    ;;
*)
    echo "usage: run.sh replay|fuzz|merge TARGET…" >&2
    exit 2
    ;;
esac
