"""Sets of webhooks in waybill's own form: orders of their own, and what they tell of another source's orders."""

from __future__ import annotations

from typing import Any

from event_facts import DAY, Event, EventSet, Json, at, box, event, gap, history, order
from event_sets_crossborderly import Parcel


def told(event_id: str, clock: str, order_id: str, source: str | None = None, live: bool = True, **facts: Any) -> Event:
    """What is known of an order since CLOCK."""
    data = {"source": source, "id": order_id, "live": live, **facts}
    return event("waybill", {"id": f"{order_id}-{event_id}", "type": "order.updated", "timestamp": at(clock), "data": data})


def told_of(parcel: Parcel, event_id: str, clock: str, **facts: Any) -> Event:
    return told(event_id, clock, parcel.number, "crossborderly", parcel.live, **facts)


def scanned(clock: str, status: str, word: str | None = None, **facts: Any) -> Json:
    return {"occurred_at": at(clock), "status": status, "provider_status": word, **facts}


def own_order() -> EventSet:
    name = "waybill", True, "own-1"
    return EventSet("waybill: an order of its own", [
        told("1", "08:00", "own-1", order_number="N-1", external_reference="R-1", status="pending", courier_id="c-1", send_date=DAY),
        told("2", "10:00", "own-1", boxes=[{"id": "a", "tracking_number": "A1", "carrier": "acme", "status": "in_transit",
                                            "provider_status": "Left", "location": "Quito"}]),
        told("3", "12:00", "own-1", order_number="N-2", boxes=[{"id": "a", "status": "delivered", "delivered_at": at("11:45"),
                                                                "signed_by": "L. R.", "documents": [{"url": "https://papers.example/1"}]}]),
        told("4", "11:00", "own-1", external_reference="R-2", boxes=[{"id": "a", "status": "attempt_failed", "next_attempt_at": at("16:00")}]),
        told("5", "09:00", "own-1", order_number="N-0", boxes=[{"id": "a", "carrier": "other", "status": "teleported"}]),
    ], {name: order("partially_delivered", "11:45", {
        "a": box("delivered", "11:45", "delivered", tracking_number="A1", carrier="acme", delivered_at="11:45", shipped_at="10:00",
                 had_failed_attempt=True, next_attempt_at=None, location=None, signed_by="L. R.",
                 documents=[{"kind": "other", "url": "https://papers.example/1"}],
                 events=history(("09:00", "teleported"), ("10:00", "Left"), ("11:00", "attempt_failed"), ("11:45", "delivered"))),
    }, order_number="N-2", external_reference="R-2", courier_id="c-1", send_date=f"{DAY}T00:00:00.000Z", provider_status="pending",
        provider="waybill", boxes_delivered=1, delivered_at=None, first_event_at="08:00", last_event_at="11:45")})


def linked_parcel() -> EventSet:
    p, sandbox = Parcel("CB-LINKED"), Parcel("CB-LINKED", live=False)
    return EventSet("waybill: a parcel is linked to its order, and its order's number corrected", [
        p.status("1", "10:00", "IN_TRANSIT"),
        told_of(p, "link", "09:00", order_number="N-10", external_reference="R-10"),
        told_of(p, "again", "11:00", order_number="N-11"),
        p.delivered("2", "12:00"),
        told_of(sandbox, "link", "09:00", order_number="N-12"),
    ], {
        p.name: order("delivered", "12:00", {p.number: box("delivered", "12:00", "DELIVERED", tracking_number=p.number)},
                      provider="crossborderly", order_number="N-11", external_reference="R-10", first_event_at="10:00", last_event_at="12:00"),
        sandbox.name: order("unknown", None, {}, provider="crossborderly", order_number="N-12"),
    })


def filled_gap() -> EventSet:
    p = Parcel("CB-FILLED")
    return EventSet("waybill: what a sender has missed is told, and one gap remains", [
        p.status("1", "09:00", "LABEL_GENERATED"),
        p.status("2", "11:00", "IN_TRANSIT", "PICKED_UP"),
        p.status("3", "13:00", "OUT_FOR_DELIVERY", "CUSTOMS_RELEASED"),
        told_of(p, "fill", "14:00", boxes=[{"id": p.number, "events": [
            scanned("10:00", "in_transit", "PICKED_UP", status_detail="picked_up", previous_provider_status="LABEL_GENERATED")]}]),
    ], {p.name: order("out_for_delivery", "13:00", {p.number: box(
        "out_for_delivery", "13:00", "OUT_FOR_DELIVERY",
        events=history(("09:00", "LABEL_GENERATED"), ("10:00", "PICKED_UP"), ("11:00", "IN_TRANSIT"), ("13:00", "OUT_FOR_DELIVERY")))})},
        gaps=[gap(p.name, p.number, "status", "13:00", "CUSTOMS_RELEASED", "IN_TRANSIT")])


def two_voices() -> EventSet:
    p = Parcel("CB-TWO-VOICES")
    return EventSet("waybill: two sources of one box; what sticks stands, and of open statuses the newest", [
        p.status("1", "10:00", "IN_TRANSIT", location="Quito, EC"),
        told_of(p, "1", "11:00", boxes=[{"id": p.number, "status": "exception", "status_detail": "lost_and_found", "was_delayed": True}]),
        p.status("2", "14:00", "OUT_FOR_DELIVERY"),
        told_of(p, "2", "12:00", boxes=[{"id": p.number, "status": "delivered", "tracking_url": "https://elsewhere.example/1"}]),
        told_of(p, "3", "10:00", boxes=[{"id": p.number, "status": "in_transit", "location": "Guayaquil, EC"}]),
    ], {p.name: order("delivered", "12:00", {p.number: box(
        "delivered", "12:00", "delivered", was_delayed=True, delivered_at="12:00", tracking_url="https://elsewhere.example/1",
        shipped_at="10:00")}, attention=["moved_after_delivered"], provider_status=None)})


def whole_orders() -> EventSet:
    name = "waybill", True, "own-2"
    first, second = scanned("09:00", "in_transit", "Left", location="Quito"), scanned("10:00", "exception", None, id="scan-2")
    return EventSet("waybill: a whole order sent again and again", [
        told("1", "09:30", "own-2", boxes=[{"id": "a", "status": "in_transit", "status_at": at("09:00"), "events": [first]}]),
        told("2", "10:30", "own-2", boxes=[{"id": "a", "status": "exception", "status_at": at("10:00"), "events": [
            {**first, "location": "Quito, EC"}, {**second, "message": "Rain"}]}, {"id": "b"}]),
        told("3", "11:30", "own-2", boxes=[{"id": "a", "status": "in_transit", "status_at": at("11:00"), "events": [
            {**first, "location": "Quito, Ecuador"}, {**second, "occurred_at": at("10:15")}, scanned("11:00", "in_transit", "Moving")]}]),
        told("4", "11:30", "own-2", boxes=[{"id": "c", "location": "nowhere"}]),
    ], {name: order("in_transit", "11:00", {
        "a": box("in_transit", "11:00", "in_transit", shipped_at="09:00",
                 events=history(("09:00", "Left"), ("10:15", "exception"), ("11:00", "Moving")), messages=[None, None, None]),
        "b": box("unknown", None, None), "c": box("unknown", None, None, location=None),
    }, provider_status=None)})


SETS = [own_order(), linked_parcel(), filled_gap(), two_voices(), whole_orders()]
