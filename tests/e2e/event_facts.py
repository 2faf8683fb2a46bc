"""Sets of webhooks, and what they must lead to: facts of documents and rows of views, derived by hand from the documented rules.

A set lives on orders and ids of its own, so any number of sets can be sent together. What a set's facts do not name is not checked there: that all of it
is the same after every order of arrival is checked elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from random import Random
from typing import Any, Mapping

Json = dict[str, Any]
# (source, live, order id)
OrderName = tuple[str, bool, str]

DAY = "2024-05-01"


def at(clock: str) -> str:
    """A time of that day as documents show it, which is also one that every sender's format allows."""
    return f"{DAY}T{clock}:00.000Z"


def unix(clock: str) -> int:
    return int(datetime.strptime(f"{DAY} {clock}", "%Y-%m-%d %H:%M").replace(tzinfo=timezone.utc).timestamp())


@dataclass(frozen=True)
class Event:
    source: str
    body: bytes

    def resend(self, random: Random) -> Event:
        """The same content as it may come again: other white space, key order and escapes, another count of resends."""
        document = _with_other_key_order(json.loads(self.body), random)
        if "retry_count" in document:
            document["retry_count"] = random.randrange(1, 6)
        return Event(self.source, json.dumps(document, ensure_ascii=random.random() < 0.5, indent=random.choice((None, 0, 3))).encode())


def _with_other_key_order(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: _with_other_key_order(value[key], random) for key in keys}
    if isinstance(value, list):
        return [_with_other_key_order(item, random) for item in value]
    return value


def event(source: str, document: Json) -> Event:
    return Event(source, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


@dataclass(frozen=True)
class EventSet:
    name: str
    events: list[Event]
    # Facts of each order's document; an order may have none.
    orders: dict[OrderName, Json]
    # All rows of waybill.suspected_gaps that these events give.
    gaps: list[Json] = field(default_factory=list)
    # All event ids that came with several contents.
    conflicts: list[str] = field(default_factory=list)
    # Rows of waybill.manifests.
    manifests: list[Json] = field(default_factory=list)


# ---- facts ----


def _dated(facts: Json) -> Json:
    """Facts named …_at may be given as clock times."""
    return {key: at(value) if key.endswith("_at") and value and len(value) == 5 else value for key, value in facts.items()}


def order(status: str, status_at: str | None, boxes: Json, **facts: Any) -> Json:
    """BOXES by id: there are no others. No attention unless said."""
    return _dated({"attention": [], **facts, "status": status, "status_at": status_at, "boxes": boxes, "boxes_total": len(boxes)})


def box(status: str, status_at: str, word: str | None, **facts: Any) -> Json:
    return _dated({**facts, "status": status, "status_at": status_at, "provider_status": word})


def history(*rows: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    """A box's events: (clock time, sender's word), in their order."""
    return [(at(clock), word) for clock, word in rows]


def gap(order_name: OrderName, box_id: str | None, field_name: str, clock: str, expected: str, found: str) -> Json:
    source, live, order_id = order_name
    return {
        "source": source, "live": live, "order_id": order_id, "box_id": box_id, "field": field_name, "occurred_at": at(clock),
        "expected_previous": expected, "found_previous": found,
    }


def differences(document: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """What of FACTS does not hold of DOCUMENT."""
    return [line for key, expected in facts.items() for line in _difference(key, _as_fact(key, document), expected)]


def _as_fact(key: str, document: Mapping[str, Any]) -> Any:
    if key == "boxes":
        return {one["id"]: one for one in document["boxes"]}
    if key == "events":
        return [(one["occurred_at"], one["provider_status"]) for one in document["events"]]
    if key == "messages":
        return [one["message"] for one in document["events"]]
    return document[key]


def _difference(key: str, found: Any, expected: Any) -> list[str]:
    if key == "boxes" and found.keys() != expected.keys():
        return [f"boxes: {sorted(found)} instead of {sorted(expected)}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        return [f"{key}.{line}" for line in differences(found, expected)]
    return [] if found == expected else [f"{key}: {found!r} instead of {expected!r}"]
