"""The call of waybill_data.ingest() as the peers make it: one parcel.status_changed event, in SQL.

The rows are made from the columns that the function's row types have in this database, so a column that comes or goes is no trouble here: one that is not
named below is null.
"""

from __future__ import annotations

import psycopg

# What a caller hands over, in the order of the parameters.
INPUTS = {
    "body": "bytea", "headers": "jsonb", "event_id": "text", "tracking_number": "text", "word": "text", "previous": "text",
    "status": "text", "detail": "text", "location": "text", "at": "timestamptz",
    "delivery_id": "uuid", "order_key": "uuid", "box_key": "uuid", "event_key": "uuid",
    "fact_key": "bytea", "status_key": "bytea", "history_key": "bytea",
}

COMMON = {
    "ordinal": "e.ordinal", "round": "1", "source": "'crossborderly'", "provider": "'crossborderly'", "live": "true",
    "delivery_id": "e.delivery_id", "order_key": "e.order_key", "box_key": "e.box_key", "event_key": "e.event_key",
    "fact_key": "e.fact_key",
}
STATUS = {"status": "e.status", "provider_status": "e.word", "status_detail": "e.detail", "location": "e.location"}
ROWS = {
    "delivery_in": COMMON | {
        "received_at": "pg_catalog.clock_timestamp()", "event_type": "'parcel.status_changed'", "event_id": "e.event_id",
        "outcome": "'applied'", "headers": "e.headers", "body": "e.body", "quarantine_max": "0"},
    "order_in": COMMON | {"order_id": "e.tracking_number", "fact_key": "NULL"},
    "box_in": COMMON | STATUS | {
        "box_id": "e.tracking_number", "tracking_number": "e.tracking_number", "status_key": "e.status_key", "weak": "false",
        "status_at": "e.at", "was_delayed": "false", "had_failed_attempt": "false"},
    "event_in": COMMON | STATUS | {
        "register_key": "e.history_key", "occurred_at": "e.at", "previous_status": "e.previous"},
    "document_in": None, "order_change_in": None, "manifest_in": None,
}

# word, the word before it, status, phase and rank of the status, detail: what waybill reads in these words.
WORDS = [
    ("LABEL_GENERATED", "ORDERED", "pre_transit", 2, 20, "label_created"),
    ("PICKED_UP", "LABEL_GENERATED", "in_transit", 2, 30, "picked_up"),
    ("IN_TRANSIT", "PICKED_UP", "in_transit", 2, 30, None),
    ("CUSTOMS_PROCESSING", "IN_TRANSIT", "in_transit", 2, 30, "customs_import"),
    ("OUT_FOR_DELIVERY", "CUSTOMS_PROCESSING", "out_for_delivery", 2, 40, None),
    ("DELIVERED", "OUT_FOR_DELIVERY", "delivered", 3, 90, None),
]


def _columns(admin: psycopg.Connection, row_type: str) -> list[str]:
    return [name for (name,) in admin.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = ('waybill_data.' || %s)::regclass AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum", (row_type,))]


def _call(admin: psycopg.Connection, array: str) -> str:
    """The call; ARRAY makes an array of the rows of e: 'ARRAY[{}]' or 'array_agg({})'."""
    arguments = []
    for row_type, known in ROWS.items():
        if known is None:
            arguments.append("'{}'")
            continue
        columns = _columns(admin, row_type)
        row = ", ".join(known.get(column, "NULL") for column in columns)
        arguments.append(array.format(f"ROW({row})::waybill_data.{row_type}"))
    return f"SELECT waybill_data.ingest({', '.join(arguments)})"


def _source(inputs: dict[str, str], ordinal: str, rows: str = "") -> str:
    """OFFSET 0: each input is computed once, not wherever it is used."""
    columns = ", ".join(f"({value})::{INPUTS[name]} AS {name}" for name, value in inputs.items())
    return f" FROM (SELECT {ordinal} AS ordinal, {columns}{rows} OFFSET 0) e"


def with_parameters(admin: psycopg.Connection) -> str:
    """One event; the inputs are $1, $2, …"""
    inputs = {name: f"${number}" for number, name in enumerate(INPUTS, 1)}
    return _call(admin, "ARRAY[{}]") + _source(inputs, "1")


def _pick(index: str, column: int, type_name: str) -> str:
    """The entry of WORDS, in SQL."""
    entries = ", ".join("NULL" if word[column] is None else f"'{word[column]}'" for word in WORDS)
    return f"(ARRAY[{entries}]::{type_name}[])[{index}]"


def _made_inputs(number: str, word: str, event_id: str, tracking_number: str) -> dict[str, str]:
    """Inputs that SQL makes itself, as cheaply as it can; ids need only be distinct."""
    at = f"(1733011200000000 + {number} * 1000000)"
    time = f"(timestamptz '2024-12-01 00:00:00Z' + {number} * interval '1 second')"
    delivery = f"md5('d' || {event_id})::uuid"
    byte_of = {column: _pick(word, column, "int") for column in (3, 4)}
    ordered_at = f"int8send({at} - 9223372036854775807 - 1)"
    tail = f"uuid_send({delivery}) || '\\x00000000'::bytea"
    one_byte = "substring(int4send({}) FROM 4)"
    # The colons are quoted, because pgbench would take :MI for a variable.
    text = f"to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24\":\"MI\":\"SS.MS\"Z\"')"
    return {
        "body": "convert_to('{\"id\":\"' || " + event_id + " || '\",\"event\":\"parcel.status_changed\",\"timestamp\":\"' || " + text
                + " || '\",\"environment\":\"production\",\"data\":{\"trackingNumber\":\"' || " + tracking_number
                + " || '\",\"previousStatus\":\"' || " + _pick(word, 1, "text") + " || '\",\"newStatus\":\"' || " + _pick(word, 0, "text")
                + " || '\",\"timestamp\":\"' || " + text + " || '\",\"location\":\"Guayaquil, EC\"}}', 'UTF8')",
        "headers": "'{\"Content-Type\": \"application/json\", \"User-Agent\": \"CrossBorderly-Webhooks/1.0\", \"X-CrossBorderly-Signature\":"
                   f" \"sha256={'0123456789abcdef' * 4}\"}}'",
        "event_id": event_id, "tracking_number": tracking_number,
        "word": _pick(word, 0, "text"), "previous": _pick(word, 1, "text"), "status": _pick(word, 2, "text"),
        "detail": _pick(word, 5, "text"), "location": "'Guayaquil, EC'", "at": time,
        "delivery_id": delivery, "order_key": f"md5('o' || {tracking_number})::uuid", "box_key": f"md5('b' || {tracking_number})::uuid",
        "event_key": f"md5('e' || {event_id})::uuid",
        "fact_key": f"{ordered_at} || {tail}",
        "status_key": f"{one_byte.format(byte_of[3])} || {ordered_at} || {one_byte.format(byte_of[4])}"
                      f" || convert_to({_pick(word, 0, 'text')}, 'UTF8') || '\\x00'::bytea || {tail}",
        "history_key": f"{ordered_at} || '\\x8000000000000000'::bytea || {tail}",
    }


def pgbench_script(admin: psycopg.Connection, known_percent: int) -> str:
    """One event a transaction, each with an id of its own; one in every 100 / KNOWN_PERCENT is about a parcel that this client has brought up before."""
    every = 100 // known_percent
    inputs = _made_inputs(":n::bigint", ":word::int", "'evt_pgbench' || :event::text", "'CBP' || :parcel::text")
    return f"""\\set n :n + 1
\\set base :client_id * 1000000000
\\set event :base + :n
\\set parcel case when :n % {every} = 0 then :base + random(0, :n / {every} - 1) * {every} + random(1, {every - 1}) else :event end
\\set word random(1, {len(WORDS)})
{_call(admin, "ARRAY[{}]")}{_source(inputs, "1")};
"""


FILL_FUNCTIONS = """
CREATE OR REPLACE FUNCTION pg_temp.field(bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN int8send(length(bytes)) || bytes;
CREATE OR REPLACE FUNCTION pg_temp.uuid8(bytes bytea) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN encode(set_byte(set_byte(substring(bytes FOR 16), 6, get_byte(bytes, 6) & 15 | 128), 8, get_byte(bytes, 8) & 63 | 128), 'hex')::uuid;
CREATE OR REPLACE FUNCTION pg_temp.order_key(id text) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN pg_temp.uuid8(sha256(pg_temp.field('order') || pg_temp.field('crossborderly') || pg_temp.field('true')
                            || pg_temp.field(convert_to(id, 'UTF8'))));
CREATE OR REPLACE FUNCTION pg_temp.box_key(order_key uuid, id text) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN pg_temp.uuid8(sha256(pg_temp.field('box') || pg_temp.field(uuid_send(order_key)) || pg_temp.field(convert_to(id, 'UTF8'))));
"""


def stored_number(number: int) -> str:
    """The tracking number of a stored order; sign_events.c names the same."""
    return f"CBS{number:09d}"


def fill_statement(admin: psycopg.Connection) -> str:
    """Stores the orders numbered %(first)s to %(last)s, with the keys that waybill gives them, by one call of the ingest function."""
    number = "'CBS' || lpad(n::text, 9, '0')"
    inputs = _made_inputs("n::bigint", f"1 + n %% {len(WORDS)}", "'evt_stored' || n::text", number) | {
        "order_key": f"pg_temp.order_key({number})",
        "box_key": f"pg_temp.box_key(pg_temp.order_key({number}), {number})",
    }
    source = _source(inputs, "(n - %(first)s + 1)::integer", " FROM generate_series(%(first)s::integer, %(last)s::integer) n")
    return _call(admin, "array_agg({})") + source
