"""Crowdsender's sets of webhooks, and the rules by which an order gets its status: its words reach every one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from event_facts import Event, EventSet, Json, OrderName, at, box, event, gap, history, order


@dataclass(frozen=True)
class CrowdOrder:
    id: str
    live: bool = True

    @property
    def name(self) -> OrderName:
        return "crowdsender", self.live, self.id

    def _event(self, kind: str, clock: str, value: object, previous: object = None, number: str | None = "CF-1",
               reference: str | None = "REF-1", **data: Any) -> Event:
        return event("crowdsender", {
            "apiVersion": 1, "createdAt": at(clock), "liveMode": self.live, "type": kind, "source": "crowdsender.webhooks.order.box.tracking",
            "data": {
                "orderId": self.id, "object": "order", "orderNumber": number, "_externalReferenceId": reference,
                "newValue": value, "previousValue": previous, **data,
            },
        })

    def box(self, box_id: str, clock: str, word: str, previous: str | None = None, **data: Any) -> Event:
        return self._event("trackingUpdated", clock, word, previous, boxId=box_id, **data)

    def status(self, clock: str, word: str, previous: str | None = None) -> Event:
        return self._event("statusUpdated", clock, word, previous)

    def send_date(self, clock: str, date: str, previous: str, **data: Any) -> Event:
        return self._event("sendDateUpdated", clock, f"{date}T00:00:00.000Z", f"{previous}T00:00:00.000Z", **data)

    def courier(self, clock: str, courier: str, previous: str | None = None, **data: Any) -> Event:
        return self._event("courierUpdated", clock, courier, previous, **data)

    def destination(self, clock: str, city: str, zip_code: str, **data: Any) -> Event:
        return self._event("destinationAddressUpdated", clock, {
            "name": "Ada", "surnames": "Byron", "phone": {"prefix": "+49", "number": "30123"}, "street": "Hauptstr.", "number": "7",
            "details": "", "city": city, "zip": zip_code, "province": "BE", "country": "de", "email": "ada@example.com",
        }, **data)


def label(name: str) -> Json:
    return {"trackId": f"TRK-{name}", "documents": [{"uri": f"https://labels.example/{name}.pdf", "typeFile": "label"}]}


def crowd_late_regression() -> EventSet:
    o = CrowdOrder("late-regression")
    return EventSet("crowdsender: a scan dated after the delivery does not undo it", [
        o.box("B1", "10:00", "generated label", "waiting", **label("late")),
        o.box("B1", "11:00", "on route", "generated label"),
        o.box("B1", "12:00", "delivered", "on route"),
        o.box("B1", "13:00", "on route", "delivered"),
        o.box("B1", "14:00", "possible delay", "on route"),
    ], {o.name: order("delivered", "12:00", {
        "B1": box("delivered", "12:00", "delivered", status_detail=None, tracking_number="TRK-late", shipped_at="11:00", delivered_at="12:00",
                  was_delayed=True, had_failed_attempt=False, documents=[{"kind": "label", "url": "https://labels.example/late.pdf"}],
                  events=history(("10:00", "generated label"), ("11:00", "on route"), ("12:00", "delivered"), ("13:00", "on route"),
                                 ("14:00", "possible delay"))),
    }, attention=["moved_after_delivered"], provider_status=None, boxes_delivered=1, shipped_at="11:00", delivered_at="12:00",
        first_event_at="10:00", last_event_at="14:00")})


def crowd_weak_words() -> EventSet:
    o = CrowdOrder("weak-words")
    return EventSet("crowdsender: weak words show only while nothing better is known, the flag of a delay always", [
        o.box("A", "10:00", "reprint"),
        o.box("A", "09:00", "possible delay"),
        o.box("A", "12:00", "not available"),
        o.box("B", "08:00", "waiting"),
        o.box("B", "13:00", "reprint"),
    ], {o.name: order("pending", "08:00", {
        "A": box("pre_transit", "10:00", "reprint", status_detail="label_reprinted", was_delayed=True, shipped_at="09:00"),
        "B": box("pending", "08:00", "waiting", status_detail=None, was_delayed=False, shipped_at=None),
    }, boxes_delivered=0, shipped_at="09:00", delivered_at=None, first_event_at="08:00", last_event_at="13:00")})


def crowd_order_words() -> EventSet:
    o = CrowdOrder("order-words")
    return EventSet("crowdsender: of two order statuses of one time the higher rank stands, an unknown one never", [
        o.status("09:00", "REGISTERED"),
        o.status("11:00", "SHIPPED", "REGISTERED"),
        o.status("11:00", "TO_REVIEW", "REGISTERED"),
        o.status("12:00", "TELEPORTED"),
        o.box("B1", "10:30", "generated label"),
    ], {o.name: order("in_transit", "11:00", {"B1": box("pre_transit", "10:30", "generated label", status_detail="label_created")},
                     provider_status="SHIPPED", shipped_at=None, first_event_at="09:00", last_event_at="12:00")})


def crowd_facts() -> EventSet:
    o = CrowdOrder("facts")
    return EventSet("crowdsender: the newest send date, courier, number and reference stand, absent ones erase nothing", [
        o.send_date("10:00", "2024-05-10", "2024-05-09"),
        o.send_date("12:00", "2024-05-12", "2024-05-11", number="CO-2", reference=None),
        o.courier("11:00", "courier-b", "courier-a", reference="REF-2"),
        o.courier("09:00", "courier-a"),
        o.destination("10:30", "Berlin", "10115", number=None),
    ], {o.name: order("unknown", None, {}, order_number="CO-2", external_reference="REF-2", send_date="2024-05-12T00:00:00.000Z",
                     courier_id="courier-b", provider_status=None, first_event_at="09:00", last_event_at="12:00",
                     destination={"name": "Ada Byron", "company": None, "phone": "+4930123", "email": "ada@example.com",
                                  "street": "Hauptstr. 7", "details": None, "city": "Berlin", "zip": "10115", "province": "BE",
                                  "country": "DE"})},
        gaps=[gap(o.name, None, "send_date", "12:00", "2024-05-11T00:00:00.000Z", "2024-05-10T00:00:00.000Z")])


def crowd_ties() -> EventSet:
    o = CrowdOrder("ties")
    return EventSet("crowdsender: at one time the higher rank stands, of one rank the greater word", [
        o.box("A", "10:00", "scanned"),
        o.box("A", "10:00", "last mile"),
        o.box("A", "10:00", "generated label", **label("ties")),
        o.box("B", "10:00", "depot"),
        o.box("B", "10:00", "on route"),
    ], {o.name: order("in_transit", "10:00", {
        "A": box("out_for_delivery", "10:00", "last mile", tracking_number="TRK-ties", shipped_at="10:00",
                 events=history(("10:00", "generated label"), ("10:00", "scanned"), ("10:00", "last mile"))),
        "B": box("in_transit", "10:00", "on route", status_detail="in_transit",
                 events=history(("10:00", "depot"), ("10:00", "on route"))),
    })})


def crowd_hidden_ties() -> EventSet:
    """Nothing in what the sender says decides these: their identities do, the same everywhere."""
    o = CrowdOrder("hidden-ties")
    return EventSet("crowdsender: equal times of unequal facts", [
        o.destination("10:00", "Berlin", "10115", number="CF-1"),
        o.destination("10:00", "Bonn", "53111", number="CF-2", reference="REF-2"),
        o.courier("10:00", "courier-a", number="CF-3"),
        o.courier("10:00", "courier-b", number="CF-4", reference=None),
    ], {o.name: order("unknown", None, {})})


def crowd_sandbox_twin() -> EventSet:
    live, sandbox = CrowdOrder("twin"), CrowdOrder("twin", live=False)
    return EventSet("crowdsender: a sandbox twin of a live order is another order", [
        live.box("B1", "10:00", "on route"),
        sandbox.box("B1", "11:00", "delivered"),
        live.status("09:00", "SHIPPED"),
        sandbox.status("12:00", "COMPLETED"),
    ], {live.name: order("in_transit", "10:00", {"B1": box("in_transit", "10:00", "on route")}, provider_status="SHIPPED", delivered_at=None),
        sandbox.name: order("delivered", "11:00", {"B1": box("delivered", "11:00", "delivered")}, provider_status="COMPLETED",
                           delivered_at="11:00")})


def crowd_rule_1() -> EventSet:
    o = CrowdOrder("rule-1")
    return EventSet("rule 1: cancelled by the sender while nothing moved", [
        o.status("09:00", "REGISTERED"),
        o.status("10:00", "CANCELED", "REGISTERED"),
        o.box("B1", "09:30", "generated label"),
        o.box("B2", "11:00", "lunch break"),
    ], {o.name: order("cancelled", "10:00", {"B1": box("pre_transit", "09:30", "generated label"), "B2": box("unknown", "11:00", "lunch break")},
                     provider_status="CANCELED")})


def crowd_rule_1_moved() -> EventSet:
    o = CrowdOrder("rule-1-moved")
    return EventSet("rule 1 does not hold once a box moves; a cancelled order status does not count in rule 7", [
        o.status("12:00", "CANCELED"),
        o.box("B1", "11:00", "scanned"),
        o.box("B2", "09:00", "waiting"),
    ], {o.name: order("pending", "09:00", {"B1": box("in_transit", "11:00", "scanned"), "B2": box("pending", "09:00", "waiting")},
                     provider_status="CANCELED", shipped_at="11:00")})


def crowd_rule_2() -> EventSet:
    o, silent = CrowdOrder("rule-2"), CrowdOrder("rule-2-silent")
    return EventSet("rule 2: nothing is known of any box, so the order status stands, else unknown", [
        o.status("09:00", "PENDING_TO_SHIP"),
        o.status("10:00", "SHIPMENT_FAILED", "PENDING_TO_SHIP"),
        o.box("B1", "11:00", "not available"),
        silent.box("B1", "10:00", "lunch break"),
    ], {o.name: order("exception", "10:00", {"B1": box("unknown", "11:00", "not available", status_detail="not_available")},
                     attention=["exception"], provider_status="SHIPMENT_FAILED"),
        silent.name: order("unknown", None, {"B1": box("unknown", "10:00", "lunch break")}, provider_status=None)})


def crowd_rule_4() -> EventSet:
    o, pending = CrowdOrder("rule-4"), CrowdOrder("rule-4-pending")
    return EventSet("rule 4: all delivered, but partially while the sender's order status is pending", [
        o.box("B1", "12:00", "delivered"), o.box("B2", "13:00", "delivered"), o.status("11:00", "SHIPPED"),
        pending.box("B1", "12:00", "delivered"), pending.box("B2", "13:00", "delivered"), pending.status("11:00", "TO_REVIEW"),
    ], {o.name: order("delivered", "13:00", {"B1": box("delivered", "12:00", "delivered"), "B2": box("delivered", "13:00", "delivered")},
                     boxes_delivered=2, delivered_at="13:00", provider_status="SHIPPED"),
        pending.name: order("partially_delivered", "13:00",
                           {"B1": box("delivered", "12:00", "delivered"), "B2": box("delivered", "13:00", "delivered")},
                           boxes_delivered=2, delivered_at=None, provider_status="TO_REVIEW")})


def crowd_rule_5() -> EventSet:
    o = CrowdOrder("rule-5")
    return EventSet("rule 5: some delivered; attention comes from the others all the same", [
        o.box("B1", "12:00", "delivered"),
        o.box("B2", "13:00", "incident"),
        o.box("B3", "14:00", "returned"),
        o.status("15:00", "COMPLETED"),
    ], {o.name: order("partially_delivered", "12:00", {
        "B1": box("delivered", "12:00", "delivered"), "B2": box("exception", "13:00", "incident", status_detail="incident"),
        "B3": box("returned", "14:00", "returned")}, attention=["exception"], boxes_delivered=1, delivered_at=None)})


def crowd_rule_6() -> EventSet:
    o = CrowdOrder("rule-6")
    return EventSet("rule 6: all returned; a delivery before is remembered of the box", [
        o.box("B1", "11:00", "delivered"),
        o.box("B1", "12:00", "returned", "delivered"),
        o.box("B2", "13:00", "returned"),
        o.box("B3", "14:00", "not available"),
        o.status("10:00", "SHIPPED"),
    ], {o.name: order("returned", "13:00", {
        "B1": box("returned", "12:00", "returned", delivered_at="11:00"), "B2": box("returned", "13:00", "returned", delivered_at=None),
        "B3": box("unknown", "14:00", "not available")}, boxes_delivered=0, delivered_at=None)})


def crowd_rule_7() -> EventSet:
    lost, tie = CrowdOrder("rule-7-lost"), CrowdOrder("rule-7-tie")
    return EventSet("rule 7: the lowest box and the order status, whichever ranks higher, both on a tie", [
        lost.box("B1", "12:00", "lost"), lost.box("B2", "11:00", "delivery point"), lost.box("B3", "13:00", "returned"),
        tie.box("B1", "10:00", "on route"), tie.box("B2", "12:00", "last mile"), tie.status("11:00", "SHIPPED"),
    ], {lost.name: order("available_for_pickup", "11:00", {
        "B1": box("failed", "12:00", "lost", status_detail="lost"),
        "B2": box("available_for_pickup", "11:00", "delivery point", status_detail="arrived_at_pickup_location"),
        "B3": box("returned", "13:00", "returned")}, attention=["available_for_pickup", "failed"]),
        tie.name: order("in_transit", "11:00", {"B1": box("in_transit", "10:00", "on route"),
                                               "B2": box("out_for_delivery", "12:00", "last mile")})})


def crowd_rule_7_order_status_decides() -> EventSet:
    o, late = CrowdOrder("rule-7-order"), CrowdOrder("rule-7-order-late")
    return EventSet("rule 7: an order status that decides lends its attention, one that does not decide lends none", [
        o.box("B1", "10:00", "on route"),
        o.status("11:00", "SHIPMENT_FAILED"),
        late.box("B1", "12:00", "lost"),
        late.status("11:00", "SHIPMENT_FAILED"),
    ], {o.name: order("exception", "11:00", {"B1": box("in_transit", "10:00", "on route")}, attention=["exception"]),
        late.name: order("failed", "12:00", {"B1": box("failed", "12:00", "lost")}, attention=["failed"])})


def crowd_documents() -> EventSet:
    o = CrowdOrder("documents")
    return EventSet("crowdsender: documents only grow", [
        o.box("B1", "10:00", "generated label", **label("one")),
        o.box("B1", "11:00", "generated label", trackId="", documents=[
            {"uri": "https://labels.example/two.pdf", "typeFile": "label"},
            {"uri": "https://labels.example/customs.pdf", "typeFile": "exportDocs"},
            {"uri": "https://labels.example/one.pdf", "typeFile": "label"}]),
        o.box("B1", "12:00", "scanned", documents=[]),
    ], {o.name: order("in_transit", "12:00", {"B1": box("in_transit", "12:00", "scanned", tracking_number="TRK-one", documents=[
        {"kind": "exportDocs", "url": "https://labels.example/customs.pdf"}, {"kind": "label", "url": "https://labels.example/one.pdf"},
        {"kind": "label", "url": "https://labels.example/two.pdf"}])})})


SETS = [
    crowd_late_regression(), crowd_weak_words(), crowd_order_words(), crowd_facts(), crowd_ties(), crowd_hidden_ties(), crowd_sandbox_twin(),
    crowd_rule_1(), crowd_rule_1_moved(), crowd_rule_2(), crowd_rule_4(), crowd_rule_5(), crowd_rule_6(), crowd_rule_7(),
    crowd_rule_7_order_status_decides(), crowd_documents(),
]
