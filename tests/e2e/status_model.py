"""The rules of a status written down a second time, in the plainest way, and random stories to compare both with.

A story is a list of events of one order with few distinct times, so that ties are frequent. The events have no lists of boxes and no corrections: those
are in the sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from event_facts import Event, Json, OrderName, at
from event_sets_crowdsender import CrowdOrder
from event_sets_swiftpod import PodOrder

RANKS = {
    "unknown": 0, "pending": 10, "pre_transit": 20, "in_transit": 30, "out_for_delivery": 40, "attempt_failed": 45, "available_for_pickup": 50,
    "exception": 55, "returning": 60, "expired": 65, "delivered": 90, "failed": 92, "returned": 94, "cancelled": 96,
}
STICKY = ("delivered", "returning", "returned", "failed", "cancelled")
ATTENTION = ("attempt_failed", "available_for_pickup", "exception", "failed", "returning", "expired")

CROWD_BOX_WORDS = {
    "waiting": "pending", "generated label": "pre_transit", "reprint": "pre_transit", "scanned": "in_transit", "on route": "in_transit",
    "depot": "in_transit", "last mile": "out_for_delivery", "possible delay": "in_transit", "incident": "exception", "damaged": "exception",
    "not available": "unknown", "delivery point": "available_for_pickup", "delivered": "delivered", "returned": "returned", "lost": "failed",
    "destroyed": "failed", "lunch break": "unknown",
}
CROWD_WEAK_WORDS = ("reprint", "possible delay")
CROWD_ORDER_WORDS = {
    "REGISTERED": "pending", "TO_REVIEW": "pending", "PENDING_TO_SHIP": "pre_transit", "SHIPPED": "in_transit",
    "SHIPMENT_FAILED": "exception", "COMPLETED": "delivered", "CANCELED": "cancelled", "TELEPORTED": "unknown",
}
POD_BOX_WORDS = {
    "unknown": "unknown", "pre_transit": "pre_transit", "in_transit": "in_transit", "out_for_delivery": "out_for_delivery",
    "delivered": "delivered", "available_for_pickup": "available_for_pickup", "return_to_sender": "returning", "failure": "exception",
    "cancelled": "cancelled", "error": "unknown",
}
POD_ORDER_WORDS = {
    "draft": "pending", "new_order": "pending", "in_production": "pending", "on_hold": "pending", "shipped": "in_transit",
    "cancelled": "cancelled", "in_production_cancelled": "cancelled", "rejected": "cancelled",
}


@dataclass(frozen=True)
class Report:
    """One status of a box or, without one, of the order itself."""

    box: str | None
    at: str
    word: str
    status: str
    weak: bool = False

    @property
    def phase(self) -> int:
        if self.status == "unknown":
            return -1
        if self.box is None:
            return 1
        return 0 if self.weak else 2 if self.status in STICKY else 1

    @property
    def key(self) -> tuple[int, str, int, bytes]:
        return self.phase, self.at, RANKS[self.status], self.word.encode()


def standing(reports: list[Report]) -> Report | None:
    return max(reports, key=lambda report: report.key, default=None)


class Box:
    def __init__(self, reports: list[Report]) -> None:
        stands = max(reports, key=lambda report: report.key)
        self.status, self.at, self.word = stands.status, stands.at, stands.word
        delivered = standing([one for one in reports if one.status == "delivered"])
        self.delivered_at = delivered.at if delivered else None
        self.shipped_at = min((one.at for one in reports if RANKS[one.status] == 30), default=None)
        self.moved_after_delivered = any(one.phase == 1 and one.at > self.delivered_at for one in reports) if self.delivered_at else False
        self.was_delayed = any(one.word == "possible delay" for one in reports)

    def facts(self) -> Json:
        return {
            "status": self.status, "status_at": self.at, "provider_status": self.word, "delivered_at": self.delivered_at,
            "shipped_at": self.shipped_at, "was_delayed": self.was_delayed,
        }


def roll_up(boxes: list[Box], own: Report | None) -> tuple[str, str | None, bool]:
    """Status, its time, and whether the order status has decided."""
    cancelled = own is not None and own.status == "cancelled"
    if own and cancelled and not any(box.status != "cancelled" and RANKS[box.status] >= 30 for box in boxes):
        return "cancelled", own.at, True
    if all(box.status == "unknown" for box in boxes):
        return (own.status, own.at, True) if own else ("unknown", None, False)
    counting = [box for box in boxes if box.status not in ("cancelled", "unknown")]
    if not counting:
        return "cancelled", max(box.at for box in boxes), False
    delivered = [box for box in counting if box.status == "delivered"]
    if delivered:
        complete = len(delivered) == len(counting) and not (own and own.status == "pending")
        return "delivered" if complete else "partially_delivered", max(box.at for box in delivered), False
    if all(box.status == "returned" for box in counting):
        return "returned", max(box.at for box in counting), False
    lowest = min((box.status for box in counting), key=RANKS.__getitem__)
    lowest_at = max(box.at for box in counting if box.status == lowest)
    if own is None or cancelled or RANKS[own.status] < RANKS[lowest]:
        return lowest, lowest_at, False
    return own.status, max(own.at, lowest_at) if own.status == lowest else own.at, True


def expected(reports: list[Report]) -> Json:
    """The facts of the order's document."""
    own = standing([one for one in reports if one.box is None])
    boxes = {name: Box([one for one in reports if one.box == name]) for name in {one.box for one in reports if one.box}}
    status, status_at, own_decides = roll_up(list(boxes.values()), own)
    reasons = {box.status for box in boxes.values()} | ({own.status} if own and own_decides else set())
    moved = {"moved_after_delivered"} if any(box.moved_after_delivered for box in boxes.values()) else set()
    delivered_at = [box.delivered_at for box in boxes.values() if box.delivered_at]
    times = [one.at for one in reports]
    return {
        "status": status, "status_at": status_at, "provider_status": own.word if own else None,
        "attention": sorted((reasons & set(ATTENTION)) | moved), "boxes_total": len(boxes),
        "boxes_delivered": sum(box.status == "delivered" for box in boxes.values()),
        "shipped_at": min((box.shipped_at for box in boxes.values() if box.shipped_at), default=None),
        "delivered_at": max(delivered_at, default=None) if status == "delivered" else None,
        "first_event_at": min(times), "last_event_at": max(times), "boxes": {name: box.facts() for name, box in boxes.items()},
    }


# ---- stories ----


@dataclass(frozen=True)
class Story:
    name: OrderName
    events: list[Event]
    facts: Json


def story(number: int, random: Random) -> Story:
    return random.choice((_crowd_story, _pod_story))(number, random)


def _clock(random: Random) -> str:
    return f"10:0{random.randrange(6)}"


def _few(words: dict[str, str], random: Random) -> list[str]:
    """Of few words the unlikely combinations come about: all returned, all cancelled, all delivered."""
    return random.sample(list(words), random.randrange(1, 5))


def _crowd_story(number: int, random: Random) -> Story:
    order = CrowdOrder(f"story-{number}")
    box_words, order_words = _few(CROWD_BOX_WORDS, random), _few(CROWD_ORDER_WORDS, random)
    events, reports = [], []
    for _ in range(random.randrange(1, 9)):
        clock, box = _clock(random), random.choice(("B1", "B2", "B3", None))
        if box:
            word = random.choice(box_words)
            events.append(order.box(box, clock, word))
            reports.append(Report(box, at(clock), word, CROWD_BOX_WORDS[word], word in CROWD_WEAK_WORDS))
        else:
            word = random.choice(order_words)
            events.append(order.status(clock, word))
            reports.append(Report(None, at(clock), word, CROWD_ORDER_WORDS[word]))
    return Story(order.name, events, expected(reports))


def _pod_story(number: int, random: Random) -> Story:
    order = PodOrder(f"story-{number}")
    box_words, order_words = _few(POD_BOX_WORDS, random), _few(POD_ORDER_WORDS, random)
    events, reports = [], []
    for name in range(random.randrange(1, 9)):
        clock, box, order_word = _clock(random), random.choice(("P1", "P2", "P3", None)), random.choice(order_words)
        reports.append(Report(None, at(clock), order_word, POD_ORDER_WORDS[order_word]))
        if box:
            word = random.choice(box_words)
            events.append(order.shipment(str(name), clock, order_word, (box, word)))
            reports.append(Report(box, at(clock), word, POD_BOX_WORDS[word]))
        else:
            events.append(order.order(str(name), clock, order_word))
    return Story(order.name, events, expected(reports))
