"""The realistic mix: four senders, orders of one to three boxes that live through about eight events each, and 2 % that come twice.

Many orders are alive at a time; each next event is that of one of them, by chance. The same in every run: the chance has a seed. Records are those of
replay.lua.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator

SEED = 1
ALIVE = 1000  # orders of each part
BOXES = ((1, 2, 3), (60, 30, 10))  # how many, and how often in a hundred
REPEATED = 0.02
REPEATED_OF = 500  # one of the last so many comes again
FIRST = datetime(2024, 12, 1, tzinfo=timezone.utc)
STEP = timedelta(hours=5)
LIVES_OF_PART = 100_000_000  # numbers that a part has for itself

Body = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """One order: its number, which no other has, and its boxes."""

    number: int
    boxes: int
    begin: datetime

    def at(self, step: int) -> datetime:
        return self.begin + step * STEP


def _ms(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _uuid(*parts: object) -> str:
    return str(uuid.UUID(bytes=hashlib.md5(repr(parts).encode()).digest()))


# ---- the senders: each gives the bodies of a life, first to last ----

CROSSBORDERLY = [
    ("LABEL_GENERATED", "Miami, US"), ("PICKED_UP", "Miami, US"), ("CUSTOMS_CLEARANCE", "Miami, US"), ("IN_TRANSIT", "Miami, US"),
    ("CUSTOMS_PROCESSING", "Guayaquil, EC"), ("IN_TRANSIT", "Guayaquil, EC"), ("OUT_FOR_DELIVERY", "Guayaquil, EC"),
]


TIME = object()  # stands for the time of the event


def crossborderly(life: Life, chance: random.Random) -> Iterator[Body]:
    """A parcel is an order of its own here. One in ten is not delivered at first."""
    tracking, previous = f"CBM{life.number:09d}", "ORDERED"
    steps = iter(range(100))

    def envelope(event: str, data: Body) -> Body:
        step = next(steps)
        time = _ms(life.at(step))
        return {"id": f"evt_{life.number}x{step}", "event": event, "timestamp": time, "environment": "production",
                "data": {"trackingNumber": tracking} | {name: time if value is TIME else value for name, value in data.items()}}

    for word, location in CROSSBORDERLY:
        yield envelope("parcel.status_changed", {"previousStatus": previous, "newStatus": word, "timestamp": TIME, "location": location})
        previous = word
    if chance.random() < 0.1:
        yield envelope("parcel.exception", {"exceptionType": "DELIVERY_FAILED", "reason": "Recipient not available", "timestamp": TIME,
                                            "location": "Guayaquil, EC", "nextAttempt": _ms(life.at(12))})
        yield envelope("parcel.status_changed", {"previousStatus": "DELIVERY_FAILED", "newStatus": "OUT_FOR_DELIVERY", "timestamp": TIME,
                                                 "location": "Guayaquil, EC"})
    yield envelope("parcel.delivered", {"deliveredAt": TIME, "signature": "M. García", "location": "Guayaquil, EC",
                                        "proofOfDelivery": f"https://proofs.example/{tracking}"})


def crowdsender(life: Life, chance: random.Random) -> Iterator[Body]:
    order = {"orderId": f"3Lk{life.number}o", "object": "order", "orderNumber": f"CF{life.number}", "_externalReferenceId": f"cart-{life.number}"}
    steps = iter(range(100))

    def body(kind: str, source: str, data: Body) -> Body:
        return {"apiVersion": 1, "createdAt": _ms(life.at(next(steps))), "liveMode": True, "type": kind, "source": f"crowdsender.webhooks.{source}",
                "data": order | data}

    def status(new: str, previous: str | None) -> Body:
        return body("statusUpdated", "order.status", {"newValue": new, "previousValue": previous})

    def tracking(box: int, new: str, previous: str) -> Body:
        label = {"documents": [{"uri": f"https://labels.example/{life.number}-{box}.pdf", "typeFile": "label"}], "trackId": f"889{life.number}{box}"}
        return body("trackingUpdated", "order.box.tracking",
                    {"boxId": f"3Lk{life.number}b{box}", "newValue": new, "previousValue": previous} | (label if new == "generated label" else {}))

    yield status("REGISTERED", None)
    for box in range(life.boxes):
        yield tracking(box, "generated label", "waiting")
    yield status("PENDING_TO_SHIP", "REGISTERED")
    for box in range(life.boxes):
        yield tracking(box, "on route", "generated label")
    yield status("SHIPPED", "PENDING_TO_SHIP")
    for box in range(life.boxes):
        yield tracking(box, "delivered", "on route")
    yield status("COMPLETED", "SHIPPED")


def swiftpod(life: Life, chance: random.Random) -> Iterator[Body]:
    statuses: dict[int, str] = {}
    steps = iter(range(100))

    def micro(at: datetime) -> str:
        return at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")

    def shipped(box: int) -> list[Body]:
        return [{"order_item_id": f"{life.number}{box}", "quantity": 1}]

    def link(box: int) -> str:
        return f"https://tools.usps.com/go/TrackConfirmAction.action?tLabels=9400{life.number}{box}"

    def body(name: str, status: str, event: Body) -> Body:
        at = micro(life.at(step := next(steps)))
        trackings = [{"tracking_number": f"9400{life.number}{box}", "tracking_url": link(box), "carrier": "USPS", "created_at": at, "status": word,
                      "label_url": f"https://labels.example/9400{life.number}{box}.png", "shipped_items": shipped(box), "primary": box == 0}
                     for box, word in statuses.items()]
        items = [{"id": box, "sku": "UNPT1B00M", "quantity": 1, "order_item_id": f"{life.number}{box}",
                  "print_files": [{"key": "front", "url": "https://via.placeholder.com/2400/09f/fff.png"}],
                  "preview_files": [{"key": "front", "url": "https://via.placeholder.com/2400/09f/fff.png"}]} for box in range(life.boxes)]
        return {"event": {"uuid": _uuid(life.number, step), "name": name, "timestamp": at} | event,
                "data": {"id": life.number, "order_id": f"OD-{life.number}", "test_order": False, "created_at": micro(life.begin), "updated_at": at,
                         "status": status, "rejected_at": None, "cancelled_at": None, "address": SWIFTPOD_ADDRESS, "line_items": items,
                         "shipping_method": "standard"} | ({"trackings": trackings} if trackings else {})}

    def order(status: str) -> Body:
        return body("order_notify", status, {"status": status})

    def shipment(box: int, word: str, status: str) -> Body:
        statuses[box] = word
        return body("shipment_notify", status, {"tracking": {
            "tracking_number": f"9400{life.number}{box}", "tracking_status": word, "carrier_code": "USPS", "tracking_url": link(box),
            "shipped_items": shipped(box)}})

    yield order("new_order")
    yield order("in_production")
    for box in range(life.boxes):
        yield shipment(box, "pre_transit", "in_production")
    yield order("shipped")
    for word in ("in_transit", "out_for_delivery", "delivered"):
        for box in range(life.boxes):
            yield shipment(box, word, "shipped")


SWIFTPOD_ADDRESS = {"name": "John Smith", "company": "DEMO", "phone": "(330) 638-1331", "street1": "4736 Phillips Rice Rd", "street2": None,
                    "city": "Cortland", "state": "OH", "country": "US", "zip": "44410"}
SHIPUP = [("origin_scan", "in_transit"), ("transit", "in_transit"), ("out_for_delivery", "in_transit"), ("delivered", "delivered")]


def _address(number: int, **known: str) -> Body:
    names = ("comment", "city", "country", "country_code", "state", "address1", "address2", "zip", "company_title", "first_name", "last_name", "name")
    return {"id": number, "object": "address"} | {name: known.get(name) for name in names}


def shipup(life: Life, chance: random.Random) -> Iterator[Body]:
    """Each webhook holds all events so far."""
    for step in range(1 + len(SHIPUP)):
        for box in range(life.boxes):
            yield _shipup_body(life, box, step)


def _shipup_body(life: Life, box: int, step: int) -> Body:
    number = life.number * 10 + box
    unix = [int((life.at(2 * i) + timedelta(minutes=box)).timestamp()) for i in range(1 + len(SHIPUP))]
    events = [{"id": number * 10 + i, "object": "event", "happened_at": unix[i], "event_type_code": SHIPUP[i - 1][0], "message": "Your package has been scanned",
               "raw": "JSON STRING OR HTML", "address": _address(5, country="France", country_code="FR")} for i in range(1, step + 1)]
    done = step == len(SHIPUP)
    tracking = f"AZ{number}BE"
    return {
        "id": number * 10 + step, "created_at": unix[step], "livemode": True, "object": "webhook_event",
        "type": "tracker.events.new" if step else "tracker.new", "retry_count": 0, "webhook_setting_id": 335777,
        "data": {
            "object": {
                "id": number, "object": "tracker", "carrier": {"name": "Colissimo", "code": "colissimo"},
                "carrier_service": {"code": "base", "name": "Base"}, "carrier_code": "colissimo",
                "carrier_tracking_url": f"https://carrier.example/{tracking}", "created_at": unix[0], "custom_variables": {},
                "delivered_at": unix[step] if done else None, "delivery_status_code": SHIPUP[step - 1][1] if step else "pending",
                "shipped_at": unix[1] if step else None, "first_delivery_attempted_at": unix[step] if done else None,
                "displayable_expected_delivery_date": f"{life.at(9):%Y-%m-%d}" if step else None, "displayable_expected_delivery_datetime": None,
                "displayable_expected_delivery_kind": "carrier" if step else None, "tracking_number": tracking,
                "fulfillment": {
                    "id": number, "object": "fulfillment", "merchant_id": f"ful-{number}", "fulfillment_number": f"F-{number}", "custom_variables": {},
                    "order": {"id": life.number, "object": "order", "order_number": f"SU-{life.number}", "merchant_id": f"cart-{life.number}",
                              "email": "john@example.com", "phone": None, "ordered_at": unix[0], "custom_variables": {}},
                    "shipping_address": _address(4, city="Paris", country="France", country_code="FR", address1="1, rue de Rivoli", zip="75001",
                                                 company_title="ACME Corp", first_name="John", last_name="Doe", name="John Doe")},
                "pickup_point": None, "events": events},
            "reason": {"kind": "new"} | ({"event_id": number * 10 + step} if step else {})}}


# ---- requests ----

def _hmac(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


def _basic(credential: str) -> str:
    return f"Authorization: Basic {base64.b64encode(credential.encode()).decode()}"


@dataclass(frozen=True)
class Sender:
    name: str
    bodies: Callable[[Life, random.Random], Iterator[Body]]
    credential: Callable[[dict[str, str], bytes], str]
    one_box: bool = False


SENDERS = [
    Sender("crossborderly", crossborderly, lambda known, body: f"X-CrossBorderly-Signature: sha256={_hmac(known['CROSSBORDERLY_SECRET'], body)}",
           one_box=True),
    Sender("crowdsender", crowdsender, lambda known, body: _basic(known["CROWDSENDER_BASIC"])),
    Sender("shipup", shipup, lambda known, body: _basic(known["SHIPUP_BASIC"])),
    Sender("swiftpod", swiftpod, lambda known, body: f"X-Swiftpod-Signature: {_hmac(known['SWIFTPOD_SECRET'], body)}"),
]


def _request(sender: Sender, known: dict[str, str], body: Body) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    head = (f"POST /webhooks/{sender.name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{sender.credential(known, text)}\r\n"
            f"Content-Length: {len(text)}\r\n\r\n").encode()
    return b"%06d" % (len(head) + len(text)) + head + text


def requests(part: int, known: dict[str, str]) -> Iterator[bytes]:
    """Without an end."""
    chance = random.Random(SEED * 1000 + part)
    number = part * LIVES_OF_PART
    alive: list[tuple[Sender, Iterator[Body]]] = []
    recent: list[bytes] = []
    while True:
        while len(alive) < ALIVE:
            sender = SENDERS[number % len(SENDERS)]
            boxes = 1 if sender.one_box else chance.choices(*BOXES)[0]
            alive.append((sender, sender.bodies(Life(number, boxes, FIRST + timedelta(seconds=number % LIVES_OF_PART)), chance)))
            number += 1
        index = chance.randrange(ALIVE)
        sender, bodies = alive[index]
        body = next(bodies, None)
        if body is None:
            alive[index] = alive[-1]
            alive.pop()
            continue
        record = _request(sender, known, body)
        yield record
        recent.append(record)
        if chance.random() < REPEATED:
            yield chance.choice(recent[-REPEATED_OF:])
        del recent[:-REPEATED_OF]


def _write_part(warm_up: Path, file: Path, part: int, known: dict[str, str], warm_up_count: int, count: int) -> None:
    some = requests(part, known)
    for path, wanted in ((warm_up, warm_up_count), (file, count)):
        with open(f"{path}-{part}", "wb") as out:
            for _ in range(wanted):
                out.write(next(some))


def write(warm_up: Path, file: Path, parts: int, known: dict[str, str], warm_up_count: int, count: int) -> None:
    """The first WARM_UP_COUNT requests of each part to one file, the next COUNT to the other. KNOWN has the senders' credentials."""
    with ProcessPoolExecutor(parts) as pool:
        for done in [pool.submit(_write_part, warm_up, file, part, known, warm_up_count, count) for part in range(parts)]:
            done.result()
