"""Shipup's sets of webhooks: snapshots of trackers, sent again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from event_facts import Event, EventSet, Json, OrderName, box, event, history, order, unix


def scan(event_id: int, clock: str, code: str | None, message: str | None = None, city: str | None = None) -> Json:
    """A row of a tracker's history."""
    return {
        "id": event_id, "object": "event", "happened_at": unix(clock), "event_type_code": code, "message": message or f"message {event_id}",
        "raw": "<p>raw</p>", "address": {"city": city, "country": "France", "country_code": "FR", "state": None},
    }


@dataclass(frozen=True)
class Tracker:
    id: int
    order_id: int | None
    live: bool | str = True

    @property
    def name(self) -> OrderName:
        return "shipup", self.live is True, str(self.order_id) if self.order_id else f"tracker-{self.id}"

    def _fulfillment(self) -> Json:
        return {
            "order": {
                "id": self.order_id, "order_number": f"N-{self.order_id}", "merchant_id": f"M-{self.order_id}", "email": "jane@example.com",
                "phone": None,
            },
            "shipping_address": {
                "city": "Paris", "zip": "75001", "country_code": "FR", "address1": "1, rue de Rivoli", "first_name": "Jane",
                "last_name": "Doe",
            },
        }

    def snapshot(self, webhook: int, clock: str, code: str, events: list[Json], reason: int | None = None, **tracker: Any) -> Event:
        """What the sender knows at a time, sent because of one of the events (the last unless said)."""
        return event("shipup", {
            "id": webhook, "created_at": unix(clock), "livemode": self.live, "object": "webhook_event",
            "type": "tracker.events.new" if events else "tracker.new", "retry_count": 0, "webhook_setting_id": 7,
            "data": {
                "object": {
                    "id": self.id, "object": "tracker", "carrier_code": "colissimo", "tracking_number": f"FR{self.id}",
                    "delivery_status_code": code, "delivered_at": None, "shipped_at": None, **tracker,
                    "fulfillment": self._fulfillment() if self.order_id else None, "events": events,
                },
                "reason": {"kind": "new", "event_id": reason or (events[-1]["id"] if events else None)},
            },
        })


def ship_burst() -> EventSet:
    t = Tracker(7001, 9001)
    first, second, third = scan(11, "08:00", "origin_scan"), scan(12, "09:00", "transit"), scan(13, "10:00", "out_for_delivery", city="Paris")
    corrected = scan(12, "09:05", "transit", "corrected")
    return EventSet("shipup: a burst of near-identical snapshots that corrects its history", [
        t.snapshot(500, "09:30", "in_transit", [first, second], shipped_at=unix("08:30")),
        t.snapshot(501, "12:00", "in_transit", [first, second, third], reason=11, shipped_at=unix("08:00")),
        t.snapshot(502, "12:00", "in_transit", [first, second, third], reason=12, shipped_at=unix("08:00")),
        t.snapshot(502, "12:00", "in_transit", [first, second, scan(13, "10:00", "out_for_delivery", "other words", city="Paris")]),
        t.snapshot(503, "12:00", "in_transit", [first, corrected, third], shipped_at=unix("08:00")),
    ], {t.name: order("out_for_delivery", "10:00", {"7001": box(
        "out_for_delivery", "10:00", "in_transit", shipped_at="08:00", tracking_number="FR7001",
        events=history(("08:00", "origin_scan"), ("09:05", "transit"), ("10:00", "out_for_delivery")),
        messages=["message 11", "corrected", "message 13"])},
        order_number="N-9001", external_reference="M-9001", shipped_at="08:00", first_event_at="08:00", last_event_at="10:00",
        provider_status=None)}, conflicts=["502"])


def ship_expired_reopened() -> EventSet:
    t, given_up = Tracker(7002, 9002), Tracker(7012, 9012)
    expired, moving = scan(21, "09:00", "expired"), scan(22, "09:50", "transit")
    return EventSet("shipup: an expired tracker that moves again is open again", [
        t.snapshot(510, "08:00", "info_received", []),
        t.snapshot(511, "09:10", "expired", [expired]),
        t.snapshot(512, "10:00", "in_transit", [expired, moving]),
        given_up.snapshot(513, "08:00", "in_transit", [scan(23, "07:00", "transit")]),
        given_up.snapshot(514, "09:10", "expired", [scan(23, "07:00", "transit")]),
    ], {t.name: order("in_transit", "09:50", {"7002": box("in_transit", "09:50", "in_transit", shipped_at="09:50",
                                                          events=history(("09:00", "expired"), ("09:50", "transit")))},
                      first_event_at="09:00", last_event_at="09:50"),
        given_up.name: order("expired", "07:00", {"7012": box("expired", "07:00", "expired")}, attention=["expired"])})


PICKUP_POINT = {
    "phone": "+33612345678", "opening_hours": {"tue": "06:30-19:00"}, "map": {"google_maps_link": "https://maps.example/1"},
    "address": {
        "city": "Paris", "zip": "75010", "country_code": "fr", "address1": "1 place du 11 novembre 1918", "company_title": "Gare de l'Est",
    },
}


def ship_pickup() -> EventSet:
    t = Tracker(7003, 9003)
    attempt, arrived = scan(31, "09:55", "failed_attempt"), scan(32, "10:55", "pickup_point")
    return EventSet("shipup: delayed, an attempt, a pick-up point", [
        t.snapshot(520, "09:00", "delayed", [], displayable_expected_delivery_date="2024-05-03"),
        t.snapshot(521, "10:00", "failed_attempt", [attempt], displayable_expected_delivery_date="2024-05-02"),
        t.snapshot(522, "11:00", "pickup", [attempt, arrived], pickup_point=PICKUP_POINT, displayable_expected_delivery_date="2024-05-04"),
        t.snapshot(523, "11:30", "pickup", [arrived]),
    ], {t.name: order("available_for_pickup", "10:55", {"7003": box(
        "available_for_pickup", "10:55", "pickup", was_delayed=True, had_failed_attempt=True, estimated_delivery_date="2024-05-04",
        shipped_at="09:00", events=history(("09:55", "failed_attempt"), ("10:55", "pickup_point")),
        pickup_point={"street": "1 place du 11 novembre 1918", "city": "Paris", "zip": "75010", "country": "FR", "phone": "+33612345678",
                      "map_url": "https://maps.example/1"})},
        attention=["available_for_pickup"])})


def ship_return_after_delivery() -> EventSet:
    t = Tracker(7004, 9004)
    delivered, corrected = scan(41, "14:30", "delivered"), scan(41, "14:20", "delivered")
    moved, returning = scan(42, "16:30", "transit"), scan(43, "17:40", "return")
    return EventSet("shipup: a delivery that is corrected, a scan after it, a return", [
        t.snapshot(530, "15:00", "delivered", [delivered], delivered_at=unix("14:30")),
        t.snapshot(531, "16:00", "delivered", [corrected], delivered_at=unix("14:20")),
        t.snapshot(532, "17:00", "in_transit", [corrected, moved]),
        t.snapshot(533, "18:00", "return", [corrected, moved, returning]),
        t.snapshot(534, "13:00", "transit", [scan(40, "12:00", "origin_scan")]),
    ], {t.name: order("returning", "17:40", {"7004": box(
        "returning", "17:40", "return", delivered_at="14:20", shipped_at="12:00",
        events=history(("12:00", "origin_scan"), ("14:20", "delivered"), ("16:30", "transit"), ("17:40", "return")))},
        attention=["moved_after_delivered", "returning"], delivered_at=None)})


def ship_two_trackers() -> EventSet:
    a, b = Tracker(7005, 9005), Tracker(7006, 9005)
    return EventSet("shipup: two trackers of one order", [
        a.snapshot(540, "10:00", "in_transit", [scan(51, "09:00", None)]),
        a.snapshot(541, "12:00", "delivered", [scan(51, "09:00", None), scan(52, "11:00", "delivered")], delivered_at=unix("11:00")),
        b.snapshot(542, "13:00", "in_transit", [scan(51, "12:30", "out_for_delivery")]),
        b.snapshot(543, "14:00", "delivered", [scan(51, "12:30", "out_for_delivery")]),
    ], {a.name: order("delivered", "12:30", {
        "7005": box("delivered", "11:00", "delivered", delivered_at="11:00", shipped_at="09:00",
                    events=history(("09:00", None), ("11:00", "delivered"))),
        "7006": box("delivered", "12:30", "delivered", delivered_at="12:30", shipped_at=None,
                    events=history(("12:30", "out_for_delivery")))},
        boxes_delivered=2, delivered_at="12:30", shipped_at="09:00")})


def ship_no_order() -> EventSet:
    t, twin = Tracker(7007, None), Tracker(7007, None, live="false")
    return EventSet("shipup: a tracker of no order is its own; its sandbox twin says so in a text", [
        t.snapshot(550, "10:00", "pending", []),
        t.snapshot(551, "11:00", "warp", [scan(61, "10:30", "transit")]),
        twin.snapshot(550, "12:00", "delivered", []),
    ], {t.name: order("pending", "10:00", {"7007": box("pending", "10:00", "pending", events=history(("10:30", "transit")))},
                      order_number=None, external_reference=None, destination=None),
        twin.name: order("delivered", "12:00", {"7007": box("delivered", "12:00", "delivered")})})


def ship_hidden_ties() -> EventSet:
    """Rows of the history follow the webhook's id, which is a number; what the snapshot says of the tracker itself follows identities."""
    t = Tracker(7008, 9008)
    return EventSet("shipup: snapshots of one time that contradict each other", [
        t.snapshot(webhook, "10:00", "in_transit", [scan(71, f"09:0{place}", "transit", f"by {webhook}", city=f"City {webhook}")],
                   displayable_expected_delivery_date=f"2024-05-0{place}", carrier_tracking_url=f"https://track.example/{webhook}")
        for place, webhook in enumerate((570, 99, 1002, 571), 1)
    ], {t.name: {"status": "in_transit", "boxes": {
        "7008": {"status": "in_transit", "events": history(("09:03", "transit")), "messages": ["by 1002"]}}}})


def ship_later_snapshot_stands() -> EventSet:
    """The time of the snapshot comes before the webhook's id."""
    t = Tracker(7009, 9009)
    return EventSet("shipup: a history row stands as the latest snapshot has it", [
        t.snapshot(webhook, clock, "in_transit", [scan(72, "09:00", "transit", f"by {webhook}")])
        for webhook, clock in ((582, "10:00"), (581, "10:01"), (583, "09:59"))
    ], {t.name: order("in_transit", "09:00", {"7009": box("in_transit", "09:00", "in_transit", messages=["by 581"])})})


SETS = [
    ship_burst(), ship_expired_reopened(), ship_pickup(), ship_return_after_delivery(), ship_two_trackers(), ship_no_order(),
    ship_hidden_ties(),
    ship_later_snapshot_stands(),
]
