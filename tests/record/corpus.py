"""The corpus: webhooks of all senders in the order in which they are sent; the same from every run.

A line of its file is one delivery: {"source", "body"}, or {"source", "base64"} where the body is not UTF-8.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Iterator

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "record")]

from event_facts import Event, Json, event  # noqa: E402
from event_sets import SETS  # noqa: E402
from lives import filled_life, lives_of  # noqa: E402
from long_stories import long_stories  # noqa: E402
from stories import (  # noqa: E402
    CROSS_WORDS, CROWD_BOX_WORDS, CROWD_ORDER_WORDS, POD_BOX_WORDS, POD_ORDER_WORDS, SCAN_CODES, START, TRACKER_CODES, WORDS, conflicting, cross_event,
    crowd_event, many_crowd_boxes, many_pod_boxes, own_event, pod_event, story)
from tied_stories import story as tied_story  # noqa: E402

SEED = "record"
PROVIDERS = ("crowdsender", "crossborderly", "shipup", "swiftpod", "waybill")

# ---- the file ----


def write_corpus(path: Path, events: list[Event]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for one in events:
            file.write(json.dumps(_line(one), ensure_ascii=False) + "\n")


def _line(one: Event) -> Json:
    try:
        text = one.body.decode()
    except UnicodeDecodeError:
        return {"source": one.source, "base64": base64.b64encode(one.body).decode()}
    return {"source": one.source, "body": text}


def read_corpus(path: Path) -> list[Event]:
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line)
    return [Event(one["source"], base64.b64decode(one["base64"]) if "base64" in one else one["body"].encode()) for one in lines]


# ---- what is sent ----


def small() -> list[Event]:
    """Every kind of delivery, a few times."""
    random = Random(f"{SEED} small")
    events = [*_documents("golden"), *_documents("samples"), *(one for one_set in SETS for one in one_set.events)]
    events += random.sample(list(_broken()), 70) + list(_boundaries(random, 1))
    events += list(_every_word()) + [one for provider in PROVIDERS for one in story(provider, provider, random)[:8]]
    events += many_crowd_boxes("crowdsender", random, 6) + many_pod_boxes("swiftpod", random, 4, 4) + _late_rights(random, 1)
    events += [other for one in random.sample(events, 20) if (other := conflicting_or_none(one, random))]
    return _shuffled(_with_copies(events, random, 0.06), random)


def full() -> list[Event]:
    random = Random(f"{SEED} full")
    events = [*_documents("golden"), *_documents("samples"), *(one for one_set in SETS for one in one_set.events), *_broken()]
    events += [*_boundaries(random, 3), *_every_word()]
    events += long_stories(random) + [one for number in range(60) for one in tied_story(number, random)]
    events += list(_lives(random, 60)) + list(_stories(random, 200))
    events += many_crowd_boxes("crowdsender", random, 300) + many_pod_boxes("swiftpod", random, 60, 24) + _late_rights(random, 60)
    events += [other for one in random.sample(events, 300) if (other := conflicting_or_none(one, random))]
    return _shuffled(_with_copies(events, random, 0.2), random)


def conflicting_or_none(one: Event, random: Random) -> Event | None:
    try:
        return conflicting(one, random)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _shuffled(events: list[Event], random: Random) -> list[Event]:
    random.shuffle(events)
    return events


def _with_copies(events: list[Event], random: Random, share: float) -> list[Event]:
    """Some come again, as they were or as another text of the same content; what is not JSON as it was."""
    copies = []
    for one in events:
        if random.random() < share:
            for _ in range(random.choice((1, 1, 2, 3))):
                copies.append(_again(one, random))
    return events + copies


def _again(one: Event, random: Random) -> Event:
    if random.random() < 0.3:
        return one
    try:
        return one.resend(random)
    except (ValueError, TypeError):  # there are no other texts of it
        return one


# ---- the documents of the other tests ----


def _documents(folder: str) -> Iterator[Event]:
    for path in sorted((TESTS / folder).glob("*/**/*.json")):
        if path.name != "expected.json":
            yield Event(path.relative_to(TESTS / folder).parts[0], path.read_bytes())


# ---- lives and stories ----


def _lives(random: Random, each: int) -> Iterator[Event]:
    """Whole ones, some with gaps, one in ten in the sandbox."""
    for provider in PROVIDERS:
        for name, steps in lives_of(provider).items():
            for _ in range(each):
                live, gaps = random.random() < 0.9, random.choice((0, 0, 0.2))
                if name == "single":
                    steps = [random.choice(steps)]
                yield from (Event(provider, body) for body in filled_life(steps, random, live) if random.random() >= gaps)


def _stories(random: Random, each: int) -> Iterator[Event]:
    for source, provider in (*((one, one) for one in PROVIDERS), ("crowdsender-two", "crowdsender")):
        for number in range(each if source == provider else each // 4):
            yield from story(provider, source, random, live=random.random() < 0.9, words=random.choice((0, 0, 2, 4)))
    # What a sender of one's own says of the parcels of another.
    for _ in range(each // 2):
        parcel = story("crossborderly", "crossborderly", random)
        yield from parcel
        yield from _told_of(parcel, "crossborderly", "waybill", random)


def _told_of(parcel: list[Event], target: str, source: str, random: Random) -> Iterator[Event]:
    number = next((json.loads(one.body)["data"]["trackingNumber"] for one in parcel if b"trackingNumber" in one.body), "CB-NONE")
    for at, one in enumerate(story("waybill", source, random)):
        document = json.loads(one.body)
        document["id"] = f"{number}-told-{at}"
        document["data"] |= {"source": target, "id": number, "live": True}
        for box in document["data"]["boxes"]:
            box["id"] = number
        document["data"]["boxes"] = document["data"]["boxes"][:1]
        yield event(source, document)


def _late_rights(random: Random, count: int) -> list[Event]:
    """What is quarantined until the configuration is mended and `waybill replay` reads it again (settings.py)."""
    events = []
    for _ in range(count):
        # Crowdsender's events at a source that is configured as Shipup's.
        events += story("crowdsender", "mistaken", random)[:6]
        # A source that may not write to another yet.
        parcel = story("crowdsender", "crowdsender-two", random)
        order = json.loads(parcel[0].body)["data"]["orderId"]
        for at, one in enumerate(story("waybill", "own", random)[:4]):
            document = json.loads(one.body)
            document["id"] = f"{order}-late-{at}"
            document["data"] |= {"source": "crowdsender-two", "id": order, "live": True}
            events.append(event("own", document))
        events += parcel[:4]
    return events


def _every_word() -> Iterator[Event]:
    """Each status word of each sender in one box, or in one order, of its own."""
    for place, word in enumerate(CROWD_BOX_WORDS):
        yield event("crowdsender", crowd_event("words", True, _at(place), "trackingUpdated", word, None, boxId=f"B-{word}"))
    for place, word in enumerate(CROWD_ORDER_WORDS):
        yield event("crowdsender", crowd_event(f"word-{word}", True, _at(place), "statusUpdated", word, None))
    for place, word in enumerate(CROSS_WORDS):
        data = {"trackingNumber": f"CB-WORD-{word}", "newStatus": word, "timestamp": _at(place)}
        yield event("crossborderly", cross_event(f"word-{word}", True, _at(place), "parcel.status_changed", data))
    for place, code in enumerate(TRACKER_CODES):
        scan = {"id": 9100 + place, "happened_at": _unix(place), "event_type_code": SCAN_CODES[place], "message": None}
        tracker = {"id": 9000 + place, "delivery_status_code": code, "fulfillment": {"order": {"id": 90}}, "events": [scan]}
        yield event("shipup", {
            "id": 9200 + place, "created_at": _unix(place), "livemode": True, "type": "tracker.events.new", "data": {"object": tracker}})
    for place, word in enumerate(POD_ORDER_WORDS):
        yield event("swiftpod", pod_event(f"word-{word}", True, _at(place), f"word-{word}", word, {"name": "order_notify"}))
    listed = [{"tracking_number": f"P-{word}", "status": word} for word in POD_BOX_WORDS]
    for place, word in enumerate(POD_BOX_WORDS):
        about = {"tracking_number": f"P-{word}", "tracking_status": word}
        fields = {"name": "shipment_notify", "tracking": about}
        yield event("swiftpod", pod_event("words", True, _at(place), f"words-{word}", "shipped", fields, trackings=listed))
    for place, word in enumerate(WORDS):
        yield event("waybill", own_event(f"word-{word}", _at(place), {"id": "words", "boxes": [{"id": word, "status": word}]}))


def _at(minute: int) -> str:
    return (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unix(minute: int) -> int:
    return int((START + timedelta(minutes=minute)).timestamp())


# ---- what is not understood ----

BROKEN = (
    b"{", b"[1,2", b"{} {}", b'{"id":1,}', b"{'id':1}", b'{"id":"\xff"}', b'{"id":123456789012345678901234567890.5e999}', b'{"id":1e400}', b"nonsense",
    b'{"id":"\\ud800"}', b'{"a":\x00}', b'\xef\xbb\xbf{"id":1}', b'{"id":"' + b"x" * 300 + b'"', b"", b"null", b"[]", b"1", b'"text"', b"{}",
    b'{"id":1,"id":2}',
)


def _broken() -> Iterator[Event]:
    for source in PROVIDERS:
        yield from (Event(source, body) for body in BROKEN)
        yield from _mutilated(source)


def _mutilated(source: str) -> Iterator[Event]:
    """Each sample without one of its fields after the other, and with it of a wrong type."""
    for number, path in enumerate(sorted((TESTS / "samples" / source).glob("*.json"))):
        sample = json.loads(path.read_text())
        for keys in _paths(sample):
            for at, value in enumerate((None, [], {"a": 1}, True, "", 7.5)):
                # One wrong value a field is enough, but each kind of wrong value comes about.
                if at and (len(keys) + number + len(keys[-1])) % 5 + 1 != at:
                    continue
                document = json.loads(path.read_text())
                if _set(document, keys, value, remove=at == 0):
                    _rename(document, f"{path.stem}-{'.'.join(keys)}-{at}")
                    yield event(source, document)


# The fields that decide something; the others are in the golden documents.
FIELDS = {
    "type", "event", "id", "createdAt", "created_at", "timestamp", "environment", "liveMode", "livemode", "data", "orderId", "boxId", "newValue",
    "previousValue", "trackingNumber", "newStatus", "deliveredAt", "exceptionType", "nextAttempt", "shipmentId", "object", "uuid", "name", "status",
    "tracking", "trackings", "tracking_number", "tracking_status", "test_order", "updated_at", "events", "happened_at", "event_type_code", "live",
    "boxes", "occurred_at", "documents", "delivery_status_code", "fulfillment", "order",
}


def _paths(document: Json, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        if key in FIELDS:
            yield (*before, key)
        if isinstance(value, dict) and len(before) < 3:
            yield from _paths(value, (*before, key))


def _set(document: Json, keys: tuple[str, ...], value: object, remove: bool) -> bool:
    for key in keys[:-1]:
        document = document[key]
    if remove:
        del document[keys[-1]]
    elif document[keys[-1]] == value:
        return False
    else:
        document[keys[-1]] = value
    return True


def _rename(document: Json, name: str) -> None:
    """An event of its own, of an order of its own, where those fields are still there."""
    data, number = document.get("data"), sum(ord(letter) * 31**place for place, letter in enumerate(name[::-1])) % 10**12
    if isinstance(document.get("id"), str) and document["id"]:
        document["id"] = f"evt-{name}"
    elif type(document.get("id")) is int:
        document["id"] = number
    if isinstance(document.get("event"), dict) and isinstance(document["event"].get("uuid"), str) and document["event"]["uuid"]:
        document["event"]["uuid"] = f"uuid-{name}"
    if isinstance(data, dict):
        for key in ("orderId", "trackingNumber", "shipmentId", "id"):
            if isinstance(data.get(key), str) and data[key]:
                data[key] = f"{key}-{name}"
            elif type(data.get(key)) is int:
                data[key] = number
        tracker = data.get("object")
        if isinstance(tracker, dict) and type(tracker.get("id")) is int:
            tracker["id"] = number
            order = (tracker.get("fulfillment") or {}).get("order") if isinstance(tracker.get("fulfillment"), dict) else None
            if isinstance(order, dict) and type(order.get("id")) is int:
                order["id"] = number + 1


# ---- modes, zones, forms ----


def _boundaries(random: Random, trackers: int) -> Iterator[Event]:
    at = _at(0)
    for source in ("live-only", "sandbox-only"):
        for live in (True, False):
            data = {"trackingNumber": f"{source}-{live}", "newStatus": "IN_TRANSIT", "timestamp": at}
            yield event(source, cross_event(f"{source}-{live}", live, at, "parcel.status_changed", data))
    for place, flag in enumerate(("production", "PRODUCTION", "live", "sandbox", "Sandbox", "test", "", None, "staging", True, 0)):
        data = {"trackingNumber": f"CB-FLAG-{place}", "newStatus": "PICKED_UP", "timestamp": at}
        document = cross_event(f"flag-{place}", True, at, "parcel.status_changed", data)
        yield event("crossborderly", document | {"environment": flag})
    times = (
        "2024-05-01T10:00:00+0000", "2024-05-01T10:00:00+00", "2024-05-01T10:00", "2024-05-01 10:00:00", "2024-05-01", 1714557600, 1714557600123,
        "1714557600", "2024-05-01T10:00:00.123456789Z", "2024-05-01T24:00:00Z", "1999-12-31T23:59:59Z", "2101-01-01T00:00:00Z", "2024-02-30T00:00:00Z",
        "2024-05-01T10:00:00-03:30", "yesterday",
    )
    for place, time in enumerate(times):
        data = {"trackingNumber": f"CB-TIME-{place}", "newStatus": "PICKED_UP", "timestamp": time}
        yield event("crossborderly", cross_event(f"time-{place}", True, at, "parcel.status_changed", data))
    numbers = (12345678901234567890123456789, 42, "x" * 255, "x" * 256, "é" * 127 + "x", "é" * 128, " spaced ", "tab\tnew\nline", "nul\u0000")
    for place, number in enumerate(numbers):
        data = {"trackingNumber": number, "newStatus": "PICKED_UP", "timestamp": at}
        yield event("crossborderly", cross_event(f"number-{place}", True, at, "parcel.status_changed", data))
    # A link to each source that there is, and to one that there is not.
    for place, target in enumerate(("crossborderly", "waybill", "own", "crowdsender", "crowdsender-two", "swiftpod", "nowhere", "", None)):
        for source in ("waybill", "own"):
            name, box = f"{source}-link-{place}", {"id": "b", "status": "in_transit", "tracking_number": "T 1/ä"}
            yield event(source, own_event(name, at, {"source": target, "id": name, "order_number": f"N-{place}", "boxes": [box]}))
    # A tracker whose order is named later.
    for _ in range(trackers):
        yield from story("shipup", "shipup", random)


def main() -> None:
    form, path = sys.argv[1:]
    write_corpus(Path(path), {"small": small, "full": full}[form]())


if __name__ == "__main__":
    main()
