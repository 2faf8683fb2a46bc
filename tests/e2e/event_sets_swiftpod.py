"""SwiftPOD's sets of webhooks: what happened, together with the order's list of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from event_facts import Event, EventSet, Json, OrderName, at, box, event, history, order


@dataclass(frozen=True)
class PodOrder:
    id: int | str
    live: bool = True

    @property
    def name(self) -> OrderName:
        return "swiftpod", self.live, str(self.id)

    def _event(self, name: str, clock: str, status: str, event_fields: Json, data: Json) -> Event:
        return event("swiftpod", {
            "event": {"uuid": f"{self.id}-{name}", "timestamp": at(clock), **event_fields},
            "data": {
                "id": self.id, "order_id": f"POD-{self.id}", "test_order": not self.live, "updated_at": at("07:00"), "status": status,
                "address": {
                    "name": "John Smith", "street1": "4736 Phillips Rice Rd", "city": "Cortland", "state": "OH", "country": "US",
                    "zip": "44410",
                },
                **data,
            },
        })

    def order(self, name: str, clock: str, status: str, **data: Any) -> Event:
        return self._event(name, clock, status, {"name": "order_notify", "status": status}, data)

    def shipment(self, name: str, clock: str, status: str, about: tuple[str, str] | None = None,
                 listed: list[tuple[str, str]] | None = None) -> Event:
        """ABOUT: the (number, status) that the event is about; LISTED: those of the whole order."""
        tracking = {"tracking": {"tracking_number": about[0], "tracking_status": about[1], "carrier_code": "USPS"}} if about else {}
        data = {} if listed is None else {"trackings": [_listed(number, word) for number, word in listed]}
        return self._event(name, clock, status, {"name": "shipment_notify", **tracking}, data)


def _listed(number: str, word: str) -> Json:
    return {
        "tracking_number": number, "status": word, "carrier": "UPS", "label_url": f"https://labels.example/{number}.png",
        "shipped_items": [{"order_item_id": f"item-{number}", "quantity": 2}],
    }


def pod_removed_and_back() -> EventSet:
    o = PodOrder(301)
    return EventSet("swiftpod: a box leaves the list, comes back and leaves again", [
        o.order("1", "08:00", "new_order"),
        o.shipment("2", "09:00", "in_production", ("P1", "pre_transit"), [("P1", "pre_transit"), ("P2", "pre_transit")]),
        o.shipment("3", "10:00", "shipped", ("P1", "in_transit"), [("P1", "in_transit")]),
        o.shipment("4", "11:00", "shipped", ("P2", "in_transit"), [("P1", "in_transit"), ("P2", "in_transit")]),
        o.shipment("5", "12:00", "shipped", ("P1", "delivered"), [("P1", "delivered")]),
    ], {o.name: order("delivered", "12:00", {
        "P1": box("delivered", "12:00", "delivered", delivered_at="12:00", shipped_at="10:00", carrier="ups",
                  items=[{"id": "item-P1", "quantity": 2}], documents=[{"kind": "label", "url": "https://labels.example/P1.png"}],
                  events=history(("09:00", "pre_transit"), ("10:00", "in_transit"), ("12:00", "delivered"))),
        "P2": box("cancelled", "12:00", "in_transit", status_detail="removed", delivered_at=None,
                  events=history(("11:00", "in_transit"))),
    }, boxes_delivered=1, delivered_at="12:00", provider_status="shipped", order_number="POD-301", first_event_at="08:00",
        last_event_at="12:00")})


def pod_brought_back() -> EventSet:
    o = PodOrder(302)
    return EventSet("swiftpod: the newest list has the box again", [
        o.shipment("1", "09:00", "shipped", None, [("P1", "in_transit"), ("P2", "in_transit")]),
        o.shipment("2", "10:00", "shipped", None, [("P1", "in_transit")]),
        o.shipment("3", "11:00", "shipped", None, [("P1", "out_for_delivery"), ("P2", "pre_transit")]),
        o.shipment("4", "12:00", "shipped", ("P1", "delivered")),
        o.shipment("5", "12:30", "shipped", ("P2", "pre_transit"), []),
    ], {o.name: order("partially_delivered", "12:00", {
        "P1": box("delivered", "12:00", "delivered"),
        "P2": box("pre_transit", "12:30", "pre_transit", status_detail=None),
    }, boxes_delivered=1, delivered_at=None)})


def pod_never_listed() -> EventSet:
    o = PodOrder(311)
    return EventSet("swiftpod: a box known from an event alone, which a later list leaves out", [
        o.shipment("1", "09:00", "shipped", ("P2", "in_transit")),
        o.shipment("2", "11:00", "shipped", ("P1", "in_transit"), [("P1", "in_transit")]),
        o.order("3", "08:00", "new_order"),
    ], {o.name: order("in_transit", "11:00", {
        "P1": box("in_transit", "11:00", "in_transit"), "P2": box("cancelled", "11:00", "in_transit", status_detail="removed")})})


def pod_delivered_and_removed() -> EventSet:
    o = PodOrder(303)
    return EventSet("swiftpod: neither delivered nor returned boxes are removed; what the event is about is on the list", [
        o.shipment("1", "09:00", "shipped", None, [("Q1", "in_transit"), ("Q3", "pre_transit")]),
        o.shipment("2", "10:00", "shipped", None, [("Q1", "delivered"), ("Q2", "in_transit")]),
        o.shipment("3", "11:00", "shipped", ("Q4", "in_transit"), [("Q2", "delivered")]),
    ], {o.name: order("partially_delivered", "11:00", {
        "Q1": box("delivered", "10:00", "delivered"), "Q2": box("delivered", "11:00", "delivered"),
        "Q3": box("cancelled", "11:00", "pre_transit", status_detail="removed"),
        "Q4": box("in_transit", "11:00", "in_transit", carrier="usps", events=history(("11:00", "in_transit"))),
    }, boxes_delivered=2)})


def pod_order_and_shipment() -> EventSet:
    o = PodOrder(304)
    return EventSet("swiftpod: what the order says and what its shipments say", [
        o.order("1", "08:00", "in_production"),
        o.order("2", "10:00", "shipped", trackings=[{"tracking_number": "R9", "status": "delivered"}]),
        o.shipment("3", "10:00", "shipped", ("R1", "in_transit"), [("R1", "in_transit")]),
        o.shipment("4", "09:00", "in_production", ("R1", "pre_transit")),
        o.order("5", "09:30", "on_hold"),
    ], {o.name: order("in_transit", "10:00", {
        "R1": box("in_transit", "10:00", "in_transit", events=history(("09:00", "pre_transit"), ("10:00", "in_transit")))},
        provider_status="shipped", first_event_at="08:00", last_event_at="10:00")})


def pod_rule_3() -> EventSet:
    o = PodOrder(305)
    return EventSet("rule 3: every box cancelled or unknown", [
        o.shipment("1", "10:00", "shipped", ("U1", "cancelled")),
        o.shipment("2", "11:00", "shipped", ("U2", "error")),
        o.order("3", "12:00", "shipped"),
    ], {o.name: order("cancelled", "11:00", {"U1": box("cancelled", "10:00", "cancelled"), "U2": box("unknown", "11:00", "error")},
                     provider_status="shipped")})


def pod_rule_4() -> EventSet:
    o = PodOrder("06lz3a11")
    return EventSet("rule 4: everything delivered so far, and more in production", [
        o.shipment("1", "10:00", "in_production", ("T1", "delivered"), [("T1", "delivered")]),
        o.order("2", "09:00", "new_order"),
        o.shipment("3", "11:00", "on_hold", ("T1", "delivered"), [("T1", "delivered")]),
    ], {o.name: order("partially_delivered", "11:00", {"T1": box("delivered", "11:00", "delivered")}, delivered_at=None, boxes_delivered=1)})


def pod_rejected() -> EventSet:
    o = PodOrder(306)
    return EventSet("swiftpod: rejected before anything was made", [
        o.order("1", "09:00", "new_order"),
        o.order("2", "10:00", "rejected", rejected_status="ip_violation"),
        o.shipment("3", "08:00", "draft", ("V1", "")),
    ], {o.name: order("cancelled", "10:00", {"V1": box("pre_transit", "08:00", None)}, provider_status="rejected")})


def pod_ties() -> EventSet:
    o = PodOrder(307)
    return EventSet("swiftpod: at one time the status that sticks stands, whichever list is the newest", [
        o.shipment("1", "10:00", "shipped", ("W1", "in_transit"), [("W1", "in_transit")]),
        o.shipment("2", "10:00", "shipped", ("W1", "delivered"), [("W1", "delivered"), ("W2", "delivered")]),
        o.shipment("2", "10:00", "in_production", ("W2", "available_for_pickup"), [("W2", "available_for_pickup")]),
        o.order("4", "10:00", "on_hold"),
    ], {o.name: order("delivered", "10:00", {"W1": box("delivered", "10:00", "delivered"), "W2": box("delivered", "10:00", "delivered")},
                     provider_status="shipped", boxes_delivered=2)}, conflicts=["307-2"])


def pod_hidden_ties() -> EventSet:
    o = PodOrder(308)
    return EventSet("swiftpod: lists of one time that contradict each other", [
        o.shipment("1", "10:00", "shipped", ("X1", "in_transit"), [("X1", "in_transit"), ("X2", "in_transit")]),
        o.shipment("2", "10:00", "shipped", ("X2", "in_transit"), [("X2", "in_transit"), ("X3", "in_transit")]),
        o.shipment("3", "10:00", "shipped", ("X3", "in_transit"), [("X3", "in_transit"), ("X1", "in_transit")]),
        o.shipment("4", "09:00", "shipped", ("X4", "return_to_sender"), [("X4", "failure")]),
    ], {o.name: order("in_transit", "10:00", {"X1": {}, "X2": {}, "X3": {},
                                             "X4": box("cancelled", "10:00", "failure", status_detail="removed")})})


def pod_words() -> EventSet:
    o = PodOrder(309)
    return EventSet("swiftpod: the words that ask for attention", [
        o.shipment("1", "10:00", "shipped", None, [("Y1", "failure"), ("Y2", "return_to_sender"), ("Y3", "available_for_pickup"),
                                                   ("Y4", "in_transit")]),
    ], {o.name: order("in_transit", "10:00", {
        "Y1": box("exception", "10:00", "failure", status_detail="failure"), "Y2": box("returning", "10:00", "return_to_sender"),
        "Y3": box("available_for_pickup", "10:00", "available_for_pickup"), "Y4": box("in_transit", "10:00", "in_transit")},
        attention=["available_for_pickup", "exception", "returning"])})


def pod_test_order() -> EventSet:
    live, test = PodOrder(310), PodOrder(310, live=False)
    return EventSet("swiftpod: a test order with the id of a live one", [
        live.order("1", "10:00", "new_order"),
        test.order("1", "11:00", "shipped"),
        test.shipment("2", "12:00", "shipped", ("Z1", "delivered"), [("Z1", "delivered")]),
    ], {live.name: order("pending", "10:00", {}, provider_status="new_order"),
        test.name: order("delivered", "12:00", {"Z1": box("delivered", "12:00", "delivered")}, provider_status="shipped")})


SETS = [
    pod_removed_and_back(), pod_brought_back(), pod_never_listed(), pod_delivered_and_removed(), pod_order_and_shipment(), pod_rule_3(), pod_rule_4(),
    pod_rejected(), pod_ties(), pod_hidden_ties(), pod_words(), pod_test_order(),
]
