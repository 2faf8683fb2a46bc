#!/usr/bin/env bash
# send_samples.sh RUN_ENV: posts every sample of tests/samples/<provider>/<event>.json to the source of that provider's name, signed as its sender does.
#
# One line per event: source, event, HTTP status, outcome. Fails when one was not taken.
set -euo pipefail

SAMPLES_FOLDER=$(cd "$(dirname "${BASH_SOURCE[0]}")/../samples" && pwd)
# shellcheck source=/dev/null
. "$1"

hmac() {
    openssl dgst -sha256 -hmac "$1" -r "$2" | cut -d ' ' -f 1
}

# Standard Webhooks: the three headers for the file $2, by the secret "whsec_…" $1.
standard_webhooks() {
    local key id when signature
    key=$(printf '%s' "${1#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
    id=msg_$(openssl rand -hex 8)
    when=$(date +%s)
    signature=$({
        printf '%s.%s.' "$id" "$when"
        cat "$2"
    } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
    printf 'header = "webhook-id: %s"\nheader = "webhook-timestamp: %s"\nheader = "webhook-signature: v1,%s"\n' "$id" "$when" "$signature"
}

# curl's options for PROVIDER's credential over the file BODY; as a file, because arguments can be read by others.
credential() {
    local provider=$1 body=$2
    case $provider in
    crossborderly) printf 'header = "X-CrossBorderly-Signature: sha256=%s"\n' "$(hmac "$CROSSBORDERLY_SECRET" "$body")" ;;
    swiftpod) printf 'header = "X-Swiftpod-Signature: %s"\n' "$(hmac "$SWIFTPOD_SECRET" "$body")" ;;
    waybill) standard_webhooks "$WAYBILL_SECRET" "$body" ;;
    crowdsender) printf 'user = "%s"\n' "$CROWDSENDER_BASIC" ;;
    shipup) printf 'user = "%s"\n' "$SHIPUP_BASIC" ;;
    esac
}

post() {
    local provider=$1 body=$2
    curl --noproxy '*' --silent --show-error --max-time 30 --config <(credential "$provider" "$body") --header 'Content-Type: application/json' \
        --data-binary "@$body" --write-out '\n%{http_code}' "$WAYBILL_URL/webhooks/$provider"
}

failed=0
for body in "$SAMPLES_FOLDER"/*/*.json; do
    provider=$(basename "$(dirname "$body")")
    answer=$(post "$provider" "$body") || true
    status=${answer##*$'\n'}
    outcome=$(sed -nE '1s/.*"outcome":"([a-z]+)".*/\1/p' <<<"$answer")
    printf '  %-14s %-26s %s %s\n' "$provider" "$(basename "$body" .json)" "$status" "${outcome:-${answer%%$'\n'*}}"
    case $status:$outcome in
    200:applied | 200:duplicate | 200:ignored | 200:spooled) ;;
    *) failed=$((failed + 1)) ;;
    esac
done
if [ "$failed" != 0 ]; then
    echo "waybill: $failed samples were not taken" >&2
    exit 1
fi
