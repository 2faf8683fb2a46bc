"""CrossBorderly's sets of webhooks: parcels that are orders of their own, and manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from event_facts import DAY, Event, EventSet, Json, OrderName, at, box, event, gap, history, order


@dataclass(frozen=True)
class Parcel:
    number: str
    live: bool = True

    @property
    def name(self) -> OrderName:
        return "crossborderly", self.live, self.number

    def _event(self, name: str, kind: str, clock: str, data: Json) -> Event:
        return _event(f"{self.number}-{name}", kind, clock, self.live, {"trackingNumber": self.number, **data})

    def status(self, name: str, clock: str, word: str, previous: str | None = None, **data: Any) -> Event:
        facts = {"previousStatus": previous, "newStatus": word, "timestamp": at(clock)}
        return self._event(name, "parcel.status_changed", clock, {**facts, **data})

    def delivered(self, name: str, clock: str, **data: Any) -> Event:
        return self._event(name, "parcel.delivered", clock, {"deliveredAt": at(clock), **data})

    def exception(self, name: str, clock: str, kind: str, **data: Any) -> Event:
        return self._event(name, "parcel.exception", clock, {"exceptionType": kind, "timestamp": at(clock), **data})

    def order(self, status: str, status_at: str, word: str, box_facts: Json | None = None, **facts: Any) -> Json:
        """The facts of an order that is this one parcel."""
        parcel = box(status, status_at, word, tracking_number=self.number, **(box_facts or {}))
        nothing = {"provider_status": None, "order_number": None, "external_reference": None, "destination": None}
        return order(status, status_at, {self.number: parcel}, **nothing, **facts)


def _event(event_id: str, kind: str, clock: str, live: bool, data: Json) -> Event:
    return event("crossborderly", {
        "id": event_id, "event": kind, "timestamp": at(clock), "environment": "production" if live else "sandbox", "data": data,
    })


def cross_delivered_twice() -> EventSet:
    p = Parcel("CB-DELIVERED-TWICE")
    return EventSet("crossborderly: one delivery told twice, after an attempt", [
        p.status("1", "10:00", "CUSTOMS_RELEASED", "CUSTOMS_HOLD"),
        p.status("2", "14:30", "OUT_FOR_DELIVERY", "IN_TRANSIT", location="Quito, EC"),
        p.exception("3", "15:00", "DELIVERY_FAILED", reason="nobody at home", nextAttempt=at("16:30"), location="Quito, EC"),
        p.status("4", "16:45", "DELIVERED", "DELIVERY_ATTEMPTED", location="Quito, EC"),
        p.delivered("5", "16:45", signature="M. García", proofOfDelivery="https://proof.example/5", location="Quito, EC"),
    ], {p.name: p.order("delivered", "16:45", "DELIVERED", {
        "delivered_at": "16:45", "shipped_at": "10:00", "had_failed_attempt": True, "next_attempt_at": None,
        "signed_by": "M. García", "proof_of_delivery": "https://proof.example/5", "location": "Quito, EC",
        "events": history(("10:00", "CUSTOMS_RELEASED"), ("14:30", "OUT_FOR_DELIVERY"), ("15:00", "DELIVERY_FAILED"),
                          ("16:45", "DELIVERED"))},
        boxes_delivered=1, delivered_at="16:45", shipped_at="10:00", first_event_at="10:00", last_event_at="16:45")},
        gaps=[gap(p.name, p.number, "status", "14:30", "IN_TRANSIT", "CUSTOMS_RELEASED")])


def cross_return_after_delivery() -> EventSet:
    p = Parcel("CB-RETURNED")
    return EventSet("crossborderly: a return after the delivery, and a scan between", [
        p.status("1", "09:00", "IN_TRANSIT"),
        p.delivered("2", "10:00"),
        p.status("3", "12:00", "RETURN_TO_SENDER", "DELIVERED"),
        p.status("4", "13:00", "IN_TRANSIT", "RETURN_TO_SENDER"),
        p.status("5", "14:00", "RETURNED", "IN_TRANSIT"),
    ], {p.name: p.order("returned", "14:00", "RETURNED", {"delivered_at": "10:00", "shipped_at": "09:00"},
                        attention=["moved_after_delivered"], boxes_delivered=0, delivered_at=None, shipped_at="09:00")})


def cross_exceptions() -> EventSet:
    p = Parcel("CB-EXCEPTIONS")
    return EventSet("crossborderly: exceptions with and without another attempt", [
        p.status("1", "09:00", "CUSTOMS_HOLD"),
        p.exception("2", "10:00", "DELIVERY_FAILED"),
        p.exception("3", "11:00", "DELIVERY_FAILED", nextAttempt=at("16:00")),
        p.exception("4", "12:00", "DAMAGED", reason="wet", location="Quito, EC"),
    ], {p.name: p.order("exception", "12:00", "DAMAGED", {
        "status_detail": "damaged", "had_failed_attempt": True, "location": "Quito, EC", "delivered_at": None, "shipped_at": None},
        attention=["exception"])})


def cross_attempt() -> EventSet:
    p = Parcel("CB-ATTEMPT")
    return EventSet("crossborderly: the attempt is the newest", [
        p.exception("1", "10:00", "DELIVERY_FAILED"),
        p.exception("2", "11:00", "DELIVERY_FAILED", nextAttempt=at("16:00")),
        p.status("3", "09:00", "OUT_FOR_DELIVERY"),
    ], {p.name: p.order("attempt_failed", "11:00", "DELIVERY_FAILED", {"next_attempt_at": "16:00", "had_failed_attempt": True},
                        attention=["attempt_failed"])})


def cross_voided() -> EventSet:
    p = Parcel("CB-VOIDED")
    return EventSet("rule 3: the only parcel is voided", [
        p.status("1", "08:00", "ORDERED"),
        p.status("2", "09:00", "LABEL_GENERATED", "ORDERED"),
        p.status("3", "10:00", "VOIDED", "LABEL_GENERATED"),
        p.status("4", "11:00", "TELEPORTED", "VOIDED"),
    ], {p.name: p.order("cancelled", "10:00", "VOIDED")})


def cross_same_event_id() -> EventSet:
    p = Parcel("CB-SAME-ID")
    return EventSet("crossborderly: one event id with two contents is two events", [
        p.status("1", "10:00", "IN_TRANSIT"),
        p.status("1", "11:00", "OUT_FOR_DELIVERY"),
        p.status("2", "12:00", "TELEPORTED"),
        p.status("3", "09:00", "PICKED_UP"),
    ], {p.name: p.order("out_for_delivery", "11:00", "OUT_FOR_DELIVERY", {
        "shipped_at": "09:00",
        "events": history(("09:00", "PICKED_UP"), ("10:00", "IN_TRANSIT"), ("11:00", "OUT_FOR_DELIVERY"), ("12:00", "TELEPORTED"))})},
        conflicts=["CB-SAME-ID-1"])


def cross_ties() -> EventSet:
    p = Parcel("CB-TIES")
    return EventSet("crossborderly: one instant in several notations; of one rank the greater word stands", [
        p.status("1", "10:00", "CUSTOMS_ARRIVED"),
        p.status("2", "10:00", "IN_TRANSIT", timestamp=f"{DAY}T12:00:00+02:00"),
        p.status("3", "10:00", "CUSTOMS_PROCESSING", timestamp=f"{DAY}T10:00:00"),
        p.status("4", "10:00", "ZZZ", timestamp=f"{DAY}T10:00:00.000000Z"),
        p.status("5", "10:00", "PICKED_UP", timestamp=None),
    ], {p.name: p.order("in_transit", "10:00", "PICKED_UP", {
        "status_detail": "picked_up",
        "events": history(("10:00", "ZZZ"), ("10:00", "CUSTOMS_ARRIVED"), ("10:00", "CUSTOMS_PROCESSING"), ("10:00", "IN_TRANSIT"),
                          ("10:00", "PICKED_UP"))})})


def cross_unknown_only() -> EventSet:
    p = Parcel("CB-UNKNOWN")
    return EventSet("crossborderly: unknown words are kept while nothing else is known", [
        p.status("1", "10:00", "TELEPORTED"),
        p.status("2", "09:00", "BEAMED"),
    ], {p.name: order("unknown", None, {p.number: box("unknown", "10:00", "TELEPORTED")}, first_event_at="09:00", last_event_at="10:00")})


def cross_sticky() -> EventSet:
    p = Parcel("CB-STICKY")
    return EventSet("crossborderly: of two statuses that stick the later stands, whatever the rank", [
        p.status("1", "09:00", "RETURNED"),
        p.status("2", "10:00", "DELIVERED"),
        p.status("3", "08:00", "VOIDED"),
        p.status("4", "11:00", "EXCEPTION"),
    ], {p.name: p.order("delivered", "10:00", "DELIVERED", {"delivered_at": "10:00"}, delivered_at="10:00",
                        attention=["moved_after_delivered"])})


def cross_sandbox_twin() -> EventSet:
    live, sandbox = Parcel("CB-TWIN"), Parcel("CB-TWIN", live=False)
    return EventSet("crossborderly: a sandbox twin with the same event ids is no conflict", [
        live.status("1", "10:00", "IN_TRANSIT"),
        sandbox.status("1", "11:00", "DELIVERED"),
        live.status("2", "09:00", "PICKED_UP"),
    ], {live.name: live.order("in_transit", "10:00", "IN_TRANSIT"),
        sandbox.name: sandbox.order("delivered", "11:00", "DELIVERED")})


def manifest(name: str, clock: str, shipment: str, live: bool = True, **data: Any) -> Event:
    return _event(f"{shipment}-{name}", "manifest.submitted", clock, live, {"shipmentId": shipment, **data})


def manifest_row(shipment: str, clock: str, live: bool = True, count: int | None = None, country: str | None = None) -> Json:
    return {
        "source": "crossborderly", "live": live, "shipment_id": shipment, "awb_number": None, "parcel_count": count, "country": country,
        "submitted_at": at(clock),
    }


def cross_manifests() -> EventSet:
    return EventSet("crossborderly: the newest manifest of a shipment stands as a whole", [
        manifest("1", "09:00", "shp-one", awbNumber="180-1", parcelCount=50, country="ec"),
        manifest("2", "10:00", "shp-one", parcelCount=60, country="EC"),
        manifest("3", "08:00", "shp-one", awbNumber="180-3"),
        manifest("4", "11:00", "shp-one", live=False, parcelCount=1),
    ], {}, manifests=[manifest_row("shp-one", "10:00", count=60, country="EC"), manifest_row("shp-one", "11:00", live=False, count=1)])


def cross_manifest_ties() -> EventSet:
    return EventSet("crossborderly: equal times of unequal manifests", [
        manifest(str(count), "10:00", "shp-tie", parcelCount=count) for count in (1, 2, 3)
    ], {})


SETS = [
    cross_delivered_twice(), cross_return_after_delivery(), cross_exceptions(), cross_attempt(), cross_voided(), cross_same_event_id(),
    cross_ties(), cross_unknown_only(), cross_sticky(), cross_sandbox_twin(), cross_manifests(), cross_manifest_ties(),
]
