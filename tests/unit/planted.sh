#!/usr/bin/env bash
# planted.sh OUT COMPILE… -- LINK…: does test_fold_arrivals find what is wrong? Each planted error is one text of a source replaced by another; the test,
# linked with that source, must fail. A text that does not stand in its source exactly once is an error of this list.
#
# COMPILE compiles (its options, without -c), LINK is what follows the objects: libraries and options. OUT is a folder for objects.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

planted() {
    local fold=src/domain/fold.c change=src/domain/change.c key=src/domain/register_key.c shown=src/domain/shown.c

    # Keys.
    plant "the least key wins" $fold 'slice_cmp(key, held) > 0' 'slice_cmp(key, held) < 0'
    plant "the last arrival wins" $fold 'return held.data == NULL ||' 'return true ||'
    plant "keys end before the delivery" $key 'put_bytes(&to, parts->delivery.bytes, DELIVERY_BYTES);' 'put_bytes(&to, "................", DELIVERY_BYTES);'
    plant "keys do not count the changes of a delivery" $key '(uint16_t)change' '(uint16_t)0'
    plant "negative numbers are the greatest" $key 'UINT64_C(0x8000000000000000)' 'UINT64_C(0)'
    plant "the rank does not decide" $key '(uint8_t)status_rank(report->status);' '0;'
    plant "the status does not decide" $key 'parts.word = report->provider_status;' ''
    plant "a word sorts behind its continuations" $key 'put_number(&to, 0, 1);' 'put_number(&to, 0xff, 1);'
    plant "weak words are as firm as others" $key 'report->weak ? PHASE_WEAK :' ''
    plant "an order's own status is final" $key '? PHASE_UNKNOWN : PHASE_OPEN;' '? PHASE_UNKNOWN : status_phase(report->status);'
    plant "the sender's number does not decide" $key '.number = base->number' '.number = 0'
    plant "the number comes before the time" $key '.version_at = base->version_at' '.version_at = base->version_at - base->number'
    plant "every box change counts as the first" $fold 'struct slice fact_key = make_fact_key(fold, number);' 'struct slice fact_key = make_fact_key(fold, 0);'

    # Facts.
    plant "the carrier is not merged" $fold 'row->offset != FACT_NO_MEMBER' 'row->offset != FACT_NO_MEMBER && fact != FACT_CARRIER'
    plant "what is not said counts" $fold 'if (!fact_is_said(row, &said))' 'if (false)'
    plant "every digest is equal" $fold 'return slice_eq(held->text, digest);' 'return true;'
    plant "no digest is equal" $fold 'return slice_eq(held->text, digest);' 'return false;'
    plant "a new value counts as the stored one's digest" $fold '*holder->digests &= ~(UINT32_C(1) << fact);' ''
    plant "the time of the own status is lost" $fold 'order->own_status_at = report->at;' ''
    plant "a new place is no change" $fold '!slice_eq(box->status.location, report->location) ||' ''
    plant "the latest shipped_at stands" $fold 'at < box->shipped_at;' 'at > box->shipped_at;'
    plant "a derived shipped_at comes before the sender's" $fold 'is_senders || !earlier' '!earlier'
    plant "equal shipped_at: the last arrival wins" $fold 'slice_cmp(key, *held_key) >= 0' 'false'
    plant "delivered_at is not kept" $fold 'if (report->status == STATUS_DELIVERED)' 'if (report->status == STATUS_DELIVERED && box->status.status == STATUS_DELIVERED)'
    plant "every open status is a movement" $fold 'is_open && report->status >= STATUS_IN_TRANSIT' 'is_open'
    plant "last_moved_at is the last, not the latest" $fold 'report->at > box->last_moved_at' 'report->at != TIMESTAMP_NONE'
    plant "last_open_at is the last, not the latest" $fold 'report->at > box->last_open_at' 'report->at != TIMESTAMP_NONE'
    plant "weak words move last_open_at" $fold '!report->weak && status_phase' 'status_phase'
    plant "there is one paper" $fold 'uuid_map_find(&fold->order->documents, key) != NULL' 'fold->order->documents.count > 0'
    plant "a corrected row keeps its message" $fold $'set_event_message(fold, event, said->message);\n    event->previous_status' 'event->previous_status'
    plant "a corrected row keeps the keys of its members" $fold 'event->registers = (struct registers){.keys = {[REGISTER_EVENT] = key}};' 'event->registers.keys[REGISTER_EVENT] = key;'
    plant "a happening is corrected as a whole" $fold 'said->sender_event_id.len > 0' 'true'
    plant "rows that the sender numbers merge" $fold 'said->sender_event_id.len > 0' 'false'
    plant "what is not said erases a member of a happening" $fold 'return said.len > 0 && takes' 'return takes'
    plant "the first place of a happening stays" $fold 'takes_member(event, REGISTER_EVENT_LOCATION, said->location, key)' 'event->location.len == 0 && takes_member(event, REGISTER_EVENT_LOCATION, said->location, key)'
    plant "a message has the key of its happening" $fold 'takes_member(event, REGISTER_EVENT_MESSAGE, said->message, key)' 'slice_eq(event->registers.keys[REGISTER_EVENT], key) && takes_member(event, REGISTER_EVENT_MESSAGE, said->message, key)'
    plant "happenings of any time are one row" $change '(uint64_t)event->occurred_at' '(uint64_t)0'
    plant "a happening has a row for each spelling" $change 'status_word_fold(event->provider_status, &word);' 'strbuf_add_slice(&word, event->provider_status);'
    plant "an order that moved has versions for what it does not show" $fold 'has_moved(order) ? changed : order->changed' 'order->changed'
    plant "an order moves to itself" $fold 'moved.order.moved_to = changes->order_id;' 'moved.order.moved_to = order->order_id;'
    plant "every message is equal" $fold 'return slice_eq(event->message, digest);' 'return true;'
    plant "a lost span is not noticed" $fold 'return order->span_is_lost;' 'return order->span_is_lost = false;'
    plant "the end of the span is not looked at" $fold 'event->stored_occurred_at == order->stored.last_event_at' 'false'
    plant "a manifest stays as it came first" $fold 'manifest->manifest = changes->manifest;' ''

    # What is shown.
    plant "removed once, removed for ever" $shown 'list->exists && !is_closed &&' 'box->row == ROW_STORED ? box->removed : list->exists && !is_closed &&'
    plant "a delivered box is removed" $shown 'list->exists && !is_closed &&' 'list->exists &&'
    plant "a box that shows something else is not written" $shown 'if (differs) {' 'if (false) {'
    plant "rule 1 does not look at the boxes" $shown 'order->own_status == STATUS_CANCELLED && !moved' 'order->own_status == STATUS_CANCELLED'
    plant "rule 2 comes before rule 3" $shown 'totals->top == STATUS_UNKNOWN' '!totals->counts'
    plant "rule 4 does not wait for more boxes" $shown 'order->own_status == STATUS_PENDING ?' 'false ?'
    plant "rule 5 has the time of all boxes" $shown 'shown->status_at = totals->by_status[STATUS_DELIVERED].status_at;' 'shown->status_at = totals->counting_at;'
    plant "rule 5 does not ask the sender" $shown 'order->own_status == STATUS_DELIVERED && others_ended' 'others_ended'
    plant "rule 5 does not look at the other boxes" $shown 'order->own_status == STATUS_DELIVERED && others_ended' 'order->own_status == STATUS_DELIVERED'
    plant "rule 5: a box that is returning has ended" $shown 'status == STATUS_RETURNED || status == STATUS_UNKNOWN' 'status == STATUS_RETURNING || status == STATUS_RETURNED || status == STATUS_UNKNOWN'
    plant "rule 5: returned boxes need no attention" $shown 'attention |= 1u << REASON_RETURNED;' ''
    plant "rule 7: a tie has one time" $shown 'if (!own_decides || order->own_status == totals->lowest)' 'if (!own_decides)'
    plant "rule 7: a cancelled order counts" $shown 'order->own_status != STATUS_CANCELLED &&' ''
    plant "the boxes that were not read are forgotten" $shown 'memcpy(totals->by_status, order->others, sizeof(totals->by_status));' ''
    plant "moved in the moment of delivery" $shown 'box->last_open_at > box->delivered_at' 'box->last_open_at >= box->delivered_at'
    plant "moved in the moment of the end" $shown 'box->last_moved_at > box->shown.at' 'box->last_moved_at >= box->shown.at'
    plant "moved in the moment in which the order was cancelled" $shown 'totals->last_moved_at > order->own_status_at' 'totals->last_moved_at >= order->own_status_at'
    plant "a failed box never moves" $shown 'totals->by_status[STATUS_FAILED].moved_after_end' 'false'
    plant "an order that moved keeps its boxes" $shown 'if (has_moved(order))' 'if (false)'
    plant "the own status needs no attention" $shown 'shown->rule == 2 ||' ''
    plant "delivered_at of what is not delivered" $shown 'shown->status == STATUS_DELIVERED ? totals.delivered_at' 'true ? totals.delivered_at'
    plant "a longer span is no change" $shown 'a->last_event_at == b->last_event_at' 'true'
    plant "links have small letters" $shown '%%%02X' '%%%02x'

    # Rows.
    plant "a removed box reports that it is cancelled" src/engine/states.c 'box->removed = box->reported.status < STATUS_COUNT;' 'box->removed = false;'
    plant "a digest of JSON keeps its quotes" src/engine/states.c 'unquote(&order->values[FACT_DESTINATION].text);' ''
    plant "writes are not counted" src/engine/states.c 'order->writes++;' ''
    plant "a digest is written for the value" src/engine/state_rows.c 'is_digest(column, row) ? SLICE_EMPTY : *text' '*text'
    plant "rows of an order that moved stay" src/engine/states.c 'strbuf_add(&keys, order->key.bytes, sizeof(order->key.bytes));' ''
    plant "rows of an order that moved go with boxes alone" src/engine/states.c '!order->has_no_rows' 'order->stored.boxes_total > 0'
    plant "first_seen_at is of the last webhook" src/engine/states.c 'delivery->received_at < order->first_seen_at' 'true'
    plant "a row of the history has one key" src/engine/state_rows.c 'if (other.data != NULL && !slice_eq(other, key))' 'if (false)'
    plant "boxes that were not read have not moved" src/engine/state_rows.c '.last_moved_at = pg_value_timestamp(fields[6])' '.last_moved_at = TIMESTAMP_NONE'
    plant "numbers of registers are cut" src/domain/registers.c '(char)(value | 0x80)' '(char)(value & 0x7f)'
    plant "texts are never what they were" src/domain/order_state.c 'row->type != FACT_TYPE_FLAG' 'row->type == FACT_TYPE_TIME'
}

# The same webhooks each time, and as few of them as find everything.
export WAYBILL_TEST_SEED=1 WAYBILL_TEST_ARRIVALS=${PLANTED_ARRIVALS:-60000}

out=$1 compile=() link=()
shift
while [ "$1" != -- ]; do
    compile+=("$1")
    shift
done
shift
link=("$@")

# Writes the source with the planted error number $2 to $3.
write_planted() {
    local file=$1 from=$2 to=$3 target=$4 text before after
    text=$(cat "$file" && echo .)
    before=${text%%"$from"*} after=${text#*"$from"}
    if [ "$before" = "$text" ] || [ "${after%%"$from"*}" != "$after" ]; then
        echo "planted.sh: '$from' does not stand in $file exactly once" >&2
        return 1
    fi
    printf '%s' "$before$to${after%.}" >"$target"
}

# Whether the test, with the objects given, fails; prints why.
fails() {
    local program=$1 status=0
    shift
    "${compile[@]}" -o "$program" "$out/test.o" "$@" "${link[@]}"
    timeout 60 "$program" >"$program.log" 2>&1 || status=$?
    [ "$status" != 0 ]
}

total=0 caught=0 running=0
plant() {
    local number=$total
    total=$((total + 1))
    if [ "$running" -ge "$(nproc)" ]; then
        wait -n || true
        running=$((running - 1))
    fi
    running=$((running + 1))
    try "$number" "$@" &
}

try() {
    local name=$2 file=$3 base=$out/$1
    if ! write_planted "$file" "$4" "$5" "$base.c" || ! "${compile[@]}" -c -o "$base.o" "$base.c"; then
        echo "wrong: $name" >"$base.result"
    elif fails "$base.program" "$base.o"; then
        echo "caught: $name: $(grep -a -m1 ', seed ' "$base.program.log" | sed 's/.*arrival[^:]*: //' || true)" >"$base.result"
    else
        echo "NOT CAUGHT: $name" >"$base.result"
    fi
    rm -f "$base.program" "$base.o"
}

rm -rf "$out"
mkdir -p "$out"
"${compile[@]}" -c -o "$out/test.o" tests/unit/test_fold_arrivals.c
if fails "$out/sound"; then
    cat "$out/sound.log"
    echo "planted.sh: the test fails already without a planted error" >&2
    exit 1
fi
planted
wait
for ((i = 0; i < total; i++)); do
    cat "$out/$i.result"
    if grep -q '^caught' "$out/$i.result"; then
        caught=$((caught + 1))
    fi
done
printf '%d planted, %d caught\n' "$total" "$caught"
[ "$total" -ge 12 ] && [ "$caught" = "$total" ]
