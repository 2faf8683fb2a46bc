"""Long random stories of one order each, for every sender: few times, few ids, everything contradicts everything.

What they end in nobody has worked out; only that it is always the same.
"""

from __future__ import annotations

from random import Random

from event_facts import Event, Json, unix
from event_sets_crossborderly import Parcel, manifest
from event_sets_crowdsender import CrowdOrder
from event_sets_shipup import PICKUP_POINT, Tracker, scan
from event_sets_swiftpod import PodOrder
from tied_stories import CROWD_BOX_WORDS, CROWD_ORDER_WORDS, POD_BOX_WORDS, POD_ORDER_WORDS

LENGTH = 40

CROSS_WORDS = (
    "ORDERED", "LABEL_GENERATED", "PICKED_UP", "IN_TRANSIT", "CUSTOMS_HOLD", "OUT_FOR_DELIVERY", "DELIVERY_ATTEMPTED", "DELIVERED",
    "DELIVERY_FAILED", "RETURN_TO_SENDER", "RETURNED", "VOIDED", "EXCEPTION", "TELEPORTED",
)
TRACKER_CODES = (
    "pending", "info_received", "in_transit", "transit", "delayed", "failed_attempt", "exception", "pickup", "delivered", "return", "expired",
    "warp",
)
EVENT_CODES = ("label_created", "origin_scan", "transit", "incident", "out_for_delivery", "failed_attempt", "delivered", "return", None)


def long_stories(random: Random) -> list[Event]:
    return [make(random) for make in (_crowd, _cross, _ship, _pod) for _ in range(LENGTH)]


def _clock(random: Random) -> str:
    return f"10:0{random.randrange(4)}"


def _crowd(random: Random) -> Event:
    order, clock = CrowdOrder("long", live=random.random() < 0.9), _clock(random)
    names = {"number": random.choice(("CF-1", "CF-2", None)), "reference": random.choice(("REF-1", "REF-2", None))}
    previous = random.choice((None, *CROWD_BOX_WORDS))
    kind = random.randrange(8)
    if kind == 0:
        return order.status(clock, random.choice(CROWD_ORDER_WORDS), random.choice(CROWD_ORDER_WORDS))
    if kind == 1:
        return order.send_date(clock, f"2024-05-1{random.randrange(3)}", f"2024-05-1{random.randrange(3)}", **names)
    if kind == 2:
        return order.courier(clock, random.choice("abc"), random.choice("abc"), **names)
    if kind == 3:
        return order.destination(clock, random.choice(("Berlin", "Bonn", "")), random.choice(("10115", "53111")), **names)
    papers = [{"uri": f"https://labels.example/{random.randrange(4)}.pdf", "typeFile": random.choice(("label", "soivre"))}]
    more: Json = random.choice(({}, {"trackId": random.choice("xyz"), "documents": papers}))
    return order.box(random.choice(("B1", "B2", "B3")), clock, random.choice(CROWD_BOX_WORDS), previous, **names, **more)


def _cross(random: Random) -> Event:
    parcel, clock, name = Parcel("CB-LONG"), _clock(random), str(random.randrange(30))
    more = {"location": random.choice(("Quito", "Lima", None))}
    kind = random.randrange(6)
    if kind == 0:
        return parcel.delivered(name, clock, signature=random.choice(("M. García", "A. Byron", None)), **more)
    if kind == 1:
        return parcel.exception(name, clock, random.choice(("DELIVERY_FAILED", "DAMAGED")), reason=random.choice(("wet", None)), **more)
    if kind == 2:
        return manifest(name, clock, "shp-long", parcelCount=random.choice((1, 2, None)), awbNumber=random.choice(("180-1", None)))
    return parcel.status(name, clock, random.choice(CROSS_WORDS), random.choice(CROSS_WORDS), **more)


def _ship(random: Random) -> Event:
    tracker, webhook = Tracker(random.choice((8001, 8002)), 8000), random.randrange(600, 630)
    scans = [
        scan(event_id, _clock(random), random.choice(EVENT_CODES), random.choice(("one", "other")), random.choice(("Paris", None)))
        for event_id in random.sample(range(80, 86), random.randrange(5))
    ]
    more = {
        "delivered_at": random.choice((None, unix(_clock(random)))), "shipped_at": random.choice((None, unix(_clock(random)))),
        "displayable_expected_delivery_date": random.choice((None, "2024-05-03", "2024-05-04")),
        "pickup_point": random.choice((None, PICKUP_POINT)),
    }
    return tracker.snapshot(webhook, _clock(random), random.choice(TRACKER_CODES), scans, **more)


def _pod(random: Random) -> Event:
    order, clock, name = PodOrder(800), _clock(random), str(random.randrange(30))
    status = random.choice(POD_ORDER_WORDS)
    if random.randrange(4) == 0:
        return order.order(name, clock, status)
    listed = [(number, random.choice(POD_BOX_WORDS)) for number in random.sample(("P1", "P2", "P3", "P4"), random.randrange(4))]
    about = random.choice((None, (random.choice(("P1", "P2", "P3", "P4")), random.choice(POD_BOX_WORDS))))
    return order.shipment(name, clock, status, about, random.choice((None, listed, listed)))
