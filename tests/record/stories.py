"""Random stories of orders for every sender: every status word and every field, late and contradicting, but no two events of an order at one time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, Callable, Iterator

from event_facts import Event, Json, event

START = datetime(2024, 3, 1, tzinfo=timezone.utc)

CROWD_BOX_WORDS = (
    "waiting", "generated label", "reprint", "scanned", "on route", "depot", "last mile", "possible delay", "incident", "damaged", "not available",
    "delivery point", "delivered", "returned", "lost", "destroyed", "lunch break", "On Route",
)
CROWD_ORDER_WORDS = ("REGISTERED", "TO_REVIEW", "PENDING_TO_SHIP", "SHIPPED", "SHIPMENT_FAILED", "COMPLETED", "CANCELED", "TELEPORTED")
CROSS_WORDS = (
    "ORDERED", "LABEL_GENERATED", "MANIFEST_SUBMITTED", "PICKED_UP", "CUSTOMS_CLEARANCE", "IN_TRANSIT", "CUSTOMS_ARRIVED", "CUSTOMS_PROCESSING",
    "CUSTOMS_HOLD", "CUSTOMS_RELEASED", "OUT_FOR_DELIVERY", "DELIVERY_ATTEMPTED", "DELIVERED", "DELIVERY_FAILED", "RETURN_TO_SENDER", "RETURNED",
    "VOIDED", "EXCEPTION", "TELEPORTED",
)
EXCEPTIONS = ("DELIVERY_FAILED", "DAMAGED", "LOST", "ADDRESS_NOT_FOUND")
TRACKER_CODES = (
    "pending", "info_received", "in_transit", "transit", "delayed", "failed_attempt", "exception", "pickup", "delivered", "return", "expired", "warp",
)
SCAN_CODES = (
    "label_created", "origin_scan", "transit", "incident", "out_for_delivery", "failed_attempt", "pickup_point", "delivered", "return", "drop_off",
    "expired", None, "warp",
)
POD_ORDER_WORDS = (
    "draft", "new_order", "in_production", "on_hold", "shipped", "cancelled", "in_production_cancelled", "rejected", "melted",
)
POD_BOX_WORDS = (
    "unknown", "pre_transit", "in_transit", "out_for_delivery", "delivered", "available_for_pickup", "return_to_sender", "failure", "cancelled",
    "error", "shipped", "In Transit", "lunch break", "",
)
WORDS = (
    "unknown", "pending", "pre_transit", "in_transit", "out_for_delivery", "attempt_failed", "available_for_pickup", "exception", "returning",
    "expired", "delivered", "failed", "returned", "cancelled", "teleported",
)
CITIES = ("Berlin", "Quito, EC", "München", "Łódź", "Paris", None)


@dataclass(frozen=True)
class Teller:
    """The author of one order's story."""

    random: Random
    number: str
    live: bool
    # What the next event may use: minutes after the start, each once.
    minutes: Iterator[int]

    def moment(self, minute: int | None = None, form: str | None = None) -> str:
        when = START + timedelta(minutes=next(self.minutes) if minute is None else minute)
        return when.strftime(form or "%Y-%m-%dT%H:%M:%S.000Z")

    def maybe(self, value: Any, chance: float = 0.5) -> Any:
        return value if self.random.random() < chance else None

    def one_of(self, *values: Any) -> Any:
        return self.random.choice(values)

    def any_minute(self) -> int:
        return self.random.randrange(20000)


def story(provider: str, source: str, random: Random, live: bool = True, words: int = 0) -> list[Event]:
    """Of one order, 4 to 14 events; of few words the unlikely states come about (WORDS: how many of them, 0: any)."""
    teller = Teller(random, f"{random.randrange(10**8, 10**9)}", live, iter(random.sample(range(20000), 200)))
    make: Callable[[Teller, Any], Iterator[Json]] = {
        "crowdsender": _crowd, "crossborderly": _cross, "shipup": _ship, "swiftpod": _pod, "waybill": _own}[provider]
    count = random.randrange(4, 15)
    stream = make(teller, words or 99)
    return [event(source, next(stream)) for _ in range(count)]


def _few(random: Random, words: tuple[Any, ...], count: int) -> list[Any]:
    return random.sample(words, min(len(words), count))


# ---- Crowdsender ----


def crowd_event(order: str, live: bool, at: str, kind: str, value: object, previous: object, **data: Any) -> Json:
    return {
        "apiVersion": 1, "createdAt": at, "liveMode": live, "type": kind, "source": "crowdsender.webhooks.order.box.tracking",
        "data": {"orderId": order, "object": "order", "newValue": value, "previousValue": previous, **data},
    }


def _crowd(t: Teller, words: int) -> Iterator[Json]:
    box_words, order_words = _few(t.random, CROWD_BOX_WORDS, words), _few(t.random, CROWD_ORDER_WORDS, words)
    boxes = [f"{t.number}B{box}" for box in range(t.random.randrange(1, 5))]
    while True:
        names = {"orderNumber": t.one_of("CF", "CF", "CO") + t.number, "_externalReferenceId": t.maybe(f"cart-{t.number}-{t.random.randrange(2)}")}
        minute = next(t.minutes)

        def made(kind: str, value: object, previous: object, **data: Any) -> Json:
            return crowd_event(f"3Lk{t.number}", t.live, t.moment(minute), kind, value, previous, **names, **data)

        kind = t.random.randrange(10)
        if kind == 0:
            yield made("statusUpdated", t.random.choice(order_words), t.maybe(t.random.choice(order_words)))
        elif kind == 1:
            yield made("sendDateUpdated", t.moment(t.any_minute(), "%Y-%m-%dT00:00:00.000Z"), t.maybe(t.moment(t.any_minute(), "%Y-%m-%d")))
        elif kind == 2:
            yield made("courierUpdated", f"courier-{t.random.randrange(4)}", t.maybe(f"courier-{t.random.randrange(4)}"))
        elif kind == 3:
            yield made("destinationAddressUpdated", _recipient(t), t.maybe(_recipient(t)))
        else:
            word = t.random.choice(box_words)
            more: Json = {}
            if word == "generated label" or t.random.random() < 0.1:
                more = {"trackId": f"TRK{t.number}{t.random.randrange(3)}", "documents": [
                    {"uri": f"https://labels.example/{t.number}/{t.random.randrange(5)}.pdf", "typeFile": t.one_of("label", "exportDocs", "soivre", "plan")}
                    for _ in range(t.random.randrange(3))]}
            yield made("trackingUpdated", word, t.maybe(t.random.choice(CROWD_BOX_WORDS)), boxId=t.random.choice(boxes), **more)


def _recipient(t: Teller) -> Json:
    return {
        "name": t.one_of("Ada", "Grace", ""), "surnames": "Byron", "phone": {"prefix": "+49", "number": t.one_of("30123", 30123)},
        "street": "Hauptstraße", "number": t.one_of("7", 7), "details": t.one_of("", "2. OG"), "city": t.one_of("Berlin", "Bonn", ""),
        "zip": t.one_of("10115", 53111), "province": t.maybe("BE"), "country": t.one_of("de", "DE", "Germany"), "email": t.maybe("ada@example.com"),
    }


# ---- CrossBorderly ----


def cross_event(event_id: str, live: bool, at: str, kind: str, data: Json) -> Json:
    return {"id": event_id, "event": kind, "timestamp": at, "environment": "production" if live else "sandbox", "data": data}


def _cross(t: Teller, words: int) -> Iterator[Json]:
    number, mine = f"CBEC{t.number}", _few(t.random, CROSS_WORDS, words)
    count = 0
    while True:
        minute, count = next(t.minutes), count + 1

        def made(kind: str, **data: Any) -> Json:
            return cross_event(f"evt_{t.number}_{count}", t.live, t.moment(minute), kind, data)

        place = t.random.choice(CITIES)
        kind = t.random.randrange(10)
        if kind == 0:
            yield made("parcel.delivered", trackingNumber=number, deliveredAt=t.moment(minute), signature=t.maybe("M. García"), location=place,
                       proofOfDelivery=t.maybe(f"https://proof.example/{t.number}"))
        elif kind == 1:
            yield made("parcel.exception", trackingNumber=number, exceptionType=t.random.choice(EXCEPTIONS), reason=t.maybe("nobody at home"),
                       timestamp=t.moment(minute), location=place, nextAttempt=t.maybe(t.moment(t.any_minute())))
        elif kind == 2 and t.random.random() < 0.3:
            yield made("manifest.submitted", shipmentId=f"shp_{t.random.randrange(40)}", awbNumber=t.maybe(f"180-{t.number}"),
                       parcelCount=t.one_of(50, "60", None), country=t.one_of("EC", "ec", None))
        else:
            yield made("parcel.status_changed", trackingNumber=number, previousStatus=t.maybe(t.random.choice(CROSS_WORDS)),
                       newStatus=t.random.choice(mine), timestamp=t.moment(minute), location=place)


# ---- Shipup ----


def _ship(t: Teller, words: int) -> Iterator[Json]:
    codes, scan_codes = _few(t.random, TRACKER_CODES, words), _few(t.random, SCAN_CODES, words)
    trackers = [int(f"{t.number}{number}") for number in range(t.random.randrange(1, 4))]
    # A tracker's history: each snapshot knows some of it, and may correct it.
    history = {tracker: [(scan, t.any_minute(), t.random.choice(scan_codes)) for scan in range(t.random.randrange(7))] for tracker in trackers}
    ordered = t.random.random() < 0.85
    webhook = 0
    while True:
        webhook += 1
        tracker = t.random.choice(trackers)
        minute = next(t.minutes)
        known = t.random.sample(history[tracker], t.random.randrange(len(history[tracker]) + 1))
        yield {
            "id": int(f"{t.number}{webhook:03}"), "created_at": _unix(minute), "livemode": t.one_of(t.live, str(t.live).lower()),
            "object": "webhook_event", "type": "tracker.events.new" if known else "tracker.new", "retry_count": t.random.randrange(2),
            "webhook_setting_id": 335777,
            "data": {"object": {
                "id": tracker, "object": "tracker", "carrier": {"name": "Colissimo", "code": "colissimo"}, "carrier_code": t.one_of("colissimo", "ups"),
                "carrier_tracking_url": t.maybe(f"https://carrier.example/FR{tracker}"), "delivery_status_code": t.random.choice(codes),
                "delivered_at": t.maybe(_unix(t.any_minute()), 0.2), "shipped_at": t.maybe(_unix(t.any_minute()), 0.3),
                "displayable_expected_delivery_date": t.maybe(t.moment(t.any_minute(), "%Y-%m-%d")),
                "displayable_expected_delivery_datetime": t.maybe(t.moment(t.any_minute()), 0.2), "tracking_number": t.maybe(f"FR{tracker}", 0.8),
                "pickup_point": t.maybe(_pickup_point(t), 0.2), "fulfillment": _fulfillment(t) if ordered else None,
                "events": [_scan(t, tracker, *scan) for scan in known],
            }, "reason": {"kind": "new"}},
        }


def _unix(minute: int) -> int:
    return int((START + timedelta(minutes=minute)).timestamp())


def _scan(t: Teller, tracker: int, number: int, minute: int, code: str | None) -> Json:
    """Now and then not as before."""
    corrected = t.random.random() < 0.15
    return {
        "id": int(f"{tracker}{number:02}"), "object": "event", "happened_at": _unix(minute + 3 if corrected else minute), "event_type_code": code,
        "message": f"corrected {number}" if corrected else f"message {number}", "raw": "<p>raw</p>",
        "address": {"city": "Lyon" if corrected else "Paris", "country": "France", "country_code": "FR", "state": None},
    }


def _fulfillment(t: Teller) -> Json:
    return {
        "order": {"id": int(f"{t.number}9"), "order_number": f"SU-{t.number}", "merchant_id": t.maybe(f"cart-{t.number}"), "email": "john@example.com",
                  "phone": None},
        "shipping_address": {"city": t.one_of("Paris", "Lyon"), "zip": "75001", "country_code": "FR", "address1": "1, rue de Rivoli",
                             "first_name": "John", "last_name": "Doe"},
    }


def _pickup_point(t: Teller) -> Json:
    return {
        "phone": "+33612345678", "opening_hours": {"tue": "06:30-19:00"}, "map": {"google_maps_link": "https://maps.example/1"},
        "address": {"city": "Paris", "zip": t.one_of("75010", "75011"), "country_code": "fr", "address1": "1 place du 11 novembre 1918",
                    "company_title": "Gare de l'Est"},
    }


# ---- SwiftPOD ----


def pod_event(order: object, live: bool, at: str, uuid: str, status: str, event_fields: Json, **data: Any) -> Json:
    return {
        "event": {"uuid": uuid, "timestamp": at, **event_fields},
        "data": {"id": order, "order_id": f"OD-{order}", "test_order": not live, "updated_at": at, "status": status, **data},
    }


def _pod(t: Teller, words: int) -> Iterator[Json]:
    order_words, box_words = _few(t.random, POD_ORDER_WORDS, words), _few(t.random, POD_BOX_WORDS, words)
    numbers = [f"9400{t.number}{box}" for box in range(t.random.randrange(1, 6))]
    count = 0
    while True:
        count += 1
        status = t.random.choice(order_words)
        address = {"name": "John Smith", "street1": "4736 Phillips Rice Rd", "city": t.one_of("Cortland", "Akron"), "state": "OH", "country": "US",
                   "zip": "44410"}
        data: Json = {"address": t.maybe(address, 0.7)}
        fields: Json = {"name": "order_notify", "status": status}
        if status == "rejected":
            data["rejected_status"] = t.one_of("ip_violation", "invalid_artwork")
        if t.random.random() < 0.7:
            about = t.random.choice(numbers)
            tracking = {"tracking_number": about, "tracking_status": t.random.choice(box_words), "carrier_code": "USPS",
                        "tracking_url": t.maybe(f"https://carrier.example/{about}"), "shipped_items": _items(t)}
            fields = {"name": "shipment_notify", "tracking": t.maybe(tracking, 0.9)}
            listed = t.random.sample(numbers, t.random.randrange(len(numbers) + 1))
            data["trackings"] = t.maybe([_listed(t, number, t.random.choice(box_words)) for number in listed], 0.8)
        yield pod_event(int(t.number), t.live, t.moment(), f"{t.number}-{count}", status, fields, **data)


def _listed(t: Teller, number: str, word: str) -> Json:
    return {
        "tracking_number": number, "status": word, "carrier": t.one_of("UPS", "USPS"), "label_url": t.maybe(f"https://labels.example/{number}.png"),
        "tracking_url": t.maybe(f"https://carrier.example/{number}"), "shipped_items": _items(t), "primary": False,
    }


def _items(t: Teller) -> list[Json]:
    return [{"order_item_id": f"item-{item}", "quantity": t.random.randrange(1, 4)} for item in range(t.random.randrange(3))]


# ---- waybill ----


def own_event(event_id: str, at: str, data: Json) -> Json:
    return {"id": event_id, "type": "order.updated", "timestamp": at, "data": data}


def _own(t: Teller, words: int) -> Iterator[Json]:
    mine = _few(t.random, WORDS, words)
    boxes = [f"{t.number}-{box}" for box in range(t.random.randrange(1, 4))]
    count = 0
    while True:
        count += 1
        data: Json = {"id": t.number, "live": t.live}
        if t.random.random() < 0.3:
            data |= {"order_number": f"N-{t.number}", "external_reference": t.maybe("R-1"), "courier_id": t.maybe("c-1"),
                     "send_date": t.maybe(t.moment(t.any_minute(), "%Y-%m-%d")), "status": t.maybe(t.random.choice(mine)),
                     "destination": t.maybe({"name": "Lucía Ríos", "city": "Quito", "zip": "170135", "country": "EC"})}
        data["boxes"] = [_own_box(t, box, mine) for box in t.random.sample(boxes, t.random.randrange(len(boxes) + 1))]
        yield own_event(f"evt_{t.number}_{count}", t.moment(), data)


def _own_box(t: Teller, box: str, words: list[str]) -> Json:
    facts: Json = {"id": box, "status": t.maybe(t.random.choice(words), 0.9)}
    more = {
        "tracking_number": f"ACME{box}", "carrier": t.one_of("acme", "other"), "tracking_url": f"https://track.example/{box}",
        "provider_status": t.one_of("Left", "Nobody home"), "status_detail": t.one_of("left", "nobody_home"), "location": t.random.choice(CITIES),
        "next_attempt_at": t.moment(t.any_minute()), "estimated_delivery_date": t.moment(t.any_minute(), "%Y-%m-%d"),
        "estimated_delivery_at": t.moment(t.any_minute()), "shipped_at": t.moment(t.any_minute()), "delivered_at": t.moment(t.any_minute()),
        "signed_by": "L. R.", "proof_of_delivery": f"https://proof.example/{box}", "was_delayed": True, "had_failed_attempt": True,
        "documents": [{"kind": t.one_of("label", "invoice"), "url": f"https://papers.example/{box}"}, {"url": "https://papers.example/note"}],
        "items": [{"id": "SKU-1", "quantity": t.random.randrange(1, 4)}],
        "pickup_point": {"name": "Kiosk", "city": "Quito", "country": "EC", "opening_hours": "mon-fri 9-18"},
        "events": [_own_scan(t, number, words) for number in range(t.random.randrange(4))],
    }
    return facts | {name: value for name, value in more.items() if t.random.random() < 0.25}


def _own_scan(t: Teller, number: int, words: list[str]) -> Json:
    scan = {"occurred_at": t.moment(t.any_minute()), "status": t.random.choice(words), "provider_status": t.maybe("Scanned"),
            "location": t.random.choice(CITIES), "message": t.maybe("We rang twice.")}
    return {"id": f"scan-{number}", **scan} if t.random.random() < 0.7 else scan


# ---- orders of many boxes ----


def many_crowd_boxes(source: str, random: Random, boxes: int) -> list[Event]:
    """Each box has a label, a few scans and an end."""
    order, minutes = f"3Lk-many-{boxes}", iter(random.sample(range(20000), boxes * 5))
    events = []
    for box in range(boxes):
        words = ["generated label", random.choice(("scanned", "on route", "depot")), random.choice(("delivered", "delivered", "last mile", "incident"))]
        for word, minute in zip(words, sorted(next(minutes) for _ in words)):
            label = {"trackId": f"MANY{box}", "documents": [{"uri": f"https://labels.example/many/{box}.pdf", "typeFile": "label"}]}
            at = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            events.append(event(source, crowd_event(
                order, True, at, "trackingUpdated", word, None, boxId=f"B{box:03}", orderNumber="CF-MANY", **(label if word == "generated label" else {}))))
    return events


def many_pod_boxes(source: str, random: Random, boxes: int, lists: int) -> list[Event]:
    """The list of boxes shrinks and grows."""
    teller = Teller(random, "77000001", True, iter(random.sample(range(20000), lists)))
    numbers = [f"MANY-P{box:03}" for box in range(boxes)]
    return [event(source, pod_event(
        int(teller.number), True, teller.moment(), f"many-{number}", "shipped", {
            "name": "shipment_notify", "tracking": {"tracking_number": random.choice(numbers), "tracking_status": "in_transit", "carrier_code": "USPS"}},
        trackings=[_listed(teller, one, random.choice(POD_BOX_WORDS)) for one in random.sample(numbers, random.randrange(boxes // 2, boxes))]))
        for number in range(lists)]


# ---- the same event id with other content ----


def conflicting(original: Event, random: Random) -> Event | None:
    """None where the sender's events have no id, or nothing fits."""
    document = json.loads(original.body)
    if not isinstance(document, dict):
        return None
    data = document.get("data")
    if not isinstance(data, dict):
        return None
    place = f"Elsewhere {random.randrange(100)}"
    if "trackingNumber" in data:
        data["location"] = place
    elif "event" in document and "uuid" in document["event"] and "status" in data:
        data["address"] = {"name": "Jane Smith", "city": place, "country": "US"}
    elif document.get("type") == "order.updated":
        data["external_reference"] = place
    elif document.get("type") == "tracker.events.new":
        data["object"]["events"][0]["message"] = place
    else:
        return None
    return event(original.source, document)
