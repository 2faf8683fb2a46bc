"""What came of a corpus, as sorted text without what depends on arrival: a dictionary from kind to lines of JSON."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Iterable, Sequence
from urllib.parse import quote, urlencode

import psycopg

from event_facts import Event, Json
from http_load import load
from sending import CONNECTIONS, Answered
from waybill_client import StatusClient
from waybill_stack import Stack

FOLDER = Path(__file__).resolve().parent
# The columns of each view that are recorded. Later programs may have more.
COLUMNS: dict[str, list[str]] = json.loads((FOLDER / "columns.json").read_text())
# And the keys of the objects in documents and explanations, and the facts that are explained.
KEYS: dict[str, list[str]] = json.loads((FOLDER / "keys.json").read_text())
# What says when something arrived, and which text of a content came first.
ARRIVAL = {
    "version", "updated_at", "received_at", "first_received_at", "last_received_at", "first_seen_at", "times_received", "body", "headers", "body_sha256",
    "body_bytes",
}
# How often it comes is no part of an event's content.
RESENDS = "retry_count"
PART = 1000

Record = dict[str, list[str]]


def take(stack: Stack, events: Sequence[Event], answers: Sequence[Answered]) -> Record:
    """EVENTS were sent, with these ANSWERS."""
    database = psycopg.connect(stack.env["WAYBILL_AUDIT_DSN"], autocommit=True, options="-c timezone=UTC -c jit=off -c statement_timeout=0")
    with database:
        deliveries = _Deliveries(database, events)
        record: Record = {"answers": _answers(events, answers)}
        for scope, client in (("full", stack.status), ("tracking", stack.tracking_status)):
            documents = [document for live in ("true", "false") for page in client.pages(live=live, limit=PART) for document in page]
            record[f"documents.{scope}"] = _lines(deliveries.named(_recorded("document", document)) for document in documents)
            record[f"explanations.{scope}"] = _lines(_explanations(stack, client, documents, deliveries))
        for view, columns in COLUMNS.items():
            rows = database.execute(f"SELECT to_jsonb(v) FROM {view} v")
            record[view] = _lines(deliveries.named({name: row[name] for name in columns if name in row}) for (row,) in rows)
        record["waybill_audit.deliveries"] = _lines(deliveries.bodies())
        record["resends"] = _lines(deliveries.resends())
    return record


def _lines(rows: Iterable[Json]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)


def content_of(body: bytes) -> bytes:
    """The same for all texts of a content; what is not JSON is its own."""
    try:
        document = json.loads(body, parse_float=str)
    except ValueError:
        return body
    if isinstance(document, dict):
        document.pop(RESENDS, None)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


class _Deliveries:
    """Ids of deliveries are replaced by names made of what was sent."""

    def __init__(self, database: psycopg.Connection[Any], events: Sequence[Event]) -> None:
        sent = {(event.source, hashlib.sha256(event.body).digest()) for event in events}
        columns = ", ".join(COLUMNS["waybill_audit.deliveries"])
        self._names: dict[str, str] = {}
        self._rows: list[Json] = []
        self._resends: list[Json] = []
        names = COLUMNS["waybill_audit.deliveries"]
        for values in database.execute(f"SELECT {columns} FROM waybill_audit.deliveries"):
            row = dict(zip(names, values))
            name = "/".join((row["source"], str(row["event_type"]), str(row["event_id"]), digest(content_of(bytes(row["body"])))))
            self._names[str(row["delivery_id"])] = name
            found = (row["source"], hashlib.sha256(row["body"]).digest()) in sent
            whole = hashlib.sha256(row["body"]).digest() == bytes(row["body_sha256"]) and len(row["body"]) == row["body_bytes"]
            kept = {key: value for key, value in row.items() if key not in ARRIVAL}
            self._rows.append(kept | {"delivery_id": name, "body": "as sent" if found and whole else "not as sent"})
            self._resends.append({"delivery_id": name, "times_received": row["times_received"]})

    def named(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.named(part) for key, part in value.items() if key not in ARRIVAL}
        if isinstance(value, list):
            return [self.named(part) for part in value]
        return self._names.get(value, value) if isinstance(value, str) else value

    def bodies(self) -> list[Json]:
        return self._rows

    def resends(self) -> list[Json]:
        return self._resends


# ---- the status endpoint ----


def _explanations(stack: Stack, client: StatusClient, documents: list[Json], deliveries: _Deliveries) -> Iterable[Json]:
    for at in range(0, len(documents), PART):
        part = documents[at : at + PART]
        whole = load(stack.site, [_get(client, _explain_target(document)) for document in part], CONNECTIONS)
        for number, document in enumerate(part):
            reply = whole.replies[number]
            assert reply.status == 200, (reply.status, reply.request_line, reply.body[:300])
            answer = json.loads(reply.body)
            explanation = answer.pop("explanation")
            explanation["facts"] = _with_ordered_documents([fact for fact in explanation["facts"] if fact["fact"] in KEYS["facts"]])
            name = {key: document[key] for key in ("source", "live", "id")}
            shown = "as listed" if answer == document else _recorded("document", answer)
            yield deliveries.named({**name, "document": shown, "explanation": _recorded("explanation", explanation)})


def _recorded(path: str, value: Any) -> Any:
    """Without keys that were not there when the record was made."""
    if isinstance(value, dict):
        return {key: _recorded(f"{path}.{key}", part) for key, part in value.items() if key in KEYS.get(path, [key])}
    if isinstance(value, list):
        return [_recorded(f"{path}[]", part) for part in value]
    return value


def _with_ordered_documents(facts: list[Json]) -> list[Json]:
    """Documents of one url are in no defined order of their kinds."""
    ordered = iter(sorted((fact for fact in facts if fact["fact"] == "document"), key=lambda fact: (fact["box"], fact["value"]["url"], fact["value"]["kind"])))
    return [next(ordered) if fact["fact"] == "document" else fact for fact in facts]


def _explain_target(document: Json) -> str:
    path = f"/status/orders/{quote(document['source'], safe='')}/{quote(document['id'], safe='')}"
    return path + "?" + urlencode({"explain": 1, "live": str(document["live"]).lower()})


def _get(client: StatusClient, target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {client.token}\r\n\r\n".encode()


# ---- answers ----

# Which of several comes first is not known.
STORED = ("applied", "duplicate", "spooled")


def _answers(events: Sequence[Event], answers: Sequence[Answered]) -> list[str]:
    """One line a content: every answer that it got."""
    found: dict[tuple[str, bytes], set[str]] = defaultdict(set)
    for event, (status, body) in zip(events, answers):
        answer = json.loads(body)
        outcome, detail = answer.get("outcome"), answer.get("detail")
        found[event.source, content_of(event.body)].add(json.dumps({
            "status": status, "outcome": "stored" if outcome in STORED else outcome, "title": answer.get("title"), "detail": detail}))
    return _lines({
        "source": source, "content": digest(content), "begins": content[:80].decode(errors="replace"), "answers": [json.loads(one) for one in sorted(lines)],
    } for (source, content), lines in found.items())


# ---- files ----


def write(record: Record, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, lines in record.items():
        (folder / f"{kind}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


def read(folder: Path) -> Record:
    return {path.name.removesuffix(".jsonl"): path.read_text(encoding="utf-8").split("\n")[:-1] for path in sorted(folder.glob("*.jsonl"))}


# ---- differences ----

# What makes lines of two records one and the same thing.
IDENTITY = (
    "source", "content", "live", "order_key", "box_key", "order_id", "id", "delivery_id", "field", "occurred_at", "kind", "url", "shipment_id", "rank",
)
SHOWN = 400


def differences(expected: Record, found: Record, most: int = 10) -> list[str]:
    """A few lines a kind on what is not the same; empty: nothing."""
    lines: list[str] = []
    for kind in sorted(expected):
        missing, new = set(expected[kind]) - set(found.get(kind, [])), set(found.get(kind, [])) - set(expected[kind])
        counts = len(expected[kind]), len(found.get(kind, []))
        if missing or new or counts[0] != counts[1]:
            lines.append(f"{kind}: {counts[0]} lines recorded, {counts[1]} found; {len(missing)} are missing, {len(new)} are new")
            lines += [f"  {line}" for line in _pairs(missing, new)[:most]]
    return lines


def _pairs(missing: set[str], new: set[str]) -> list[str]:
    """A changed line is shown by what changed in it."""
    before, after = _by_identity(missing), _by_identity(new)
    lines = []
    for identity in sorted(before.keys() | after.keys()):
        one, other = before.get(identity, []), after.get(identity, [])
        if len(one) == len(other) == 1:
            lines += [f"{identity}: {line}" for line in _changes("", one[0], other[0])]
        else:
            lines += [f"- {json.dumps(row, ensure_ascii=False)[:SHOWN]}" for row in one] + [f"+ {json.dumps(row, ensure_ascii=False)[:SHOWN]}" for row in other]
    return lines


def _by_identity(lines: Iterable[str]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = defaultdict(list)
    for line in sorted(lines):
        row = json.loads(line)
        identity = [row[key] for key in IDENTITY if row.get(key) is not None] if isinstance(row, dict) else row[:2]
        rows[" ".join(map(str, identity))].append(row)
    return rows


def _changes(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [line for key in keys for line in _changes(f"{path}.{key}", before.get(key, "(absent)"), after.get(key, "(absent)"))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [line for place, pair in enumerate(zip(before, after)) for line in _changes(f"{path}[{place}]", *pair)]
    return [] if before == after else [f"{path}: {json.dumps(before, ensure_ascii=False)[:SHOWN]} became {json.dumps(after, ensure_ascii=False)[:SHOWN]}"]
