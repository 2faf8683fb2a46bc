"""What reporting tools see: rows in every view, and nobody's personal data."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Iterable

import psycopg
import pytest

import waybill_client as wb
from waybill_stack import Row, Stack

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("steady")]

COLUMNS = {
    "orders": "order_key source provider live order_id order_number external_reference status attention provider_status status_at boxes_total "
              "boxes_delivered send_date courier_id shipped_at delivered_at destination_country destination_zip destination_city first_event_at "
              "last_event_at updated_at version",
    "boxes": "order_key box_key source live order_id box_id tracking_number carrier tracking_url status status_detail provider_status status_at "
             "location was_delayed had_failed_attempt shipped_at delivered_at estimated_delivery_date estimated_delivery_at next_attempt_at updated_at",
    "tracking_events": "order_key box_key source live order_id box_id occurred_at status status_detail provider_status location received_at "
                       "delivery_id",
    "order_changes": "order_key source live order_id field previous_value new_value occurred_at received_at delivery_id",
    "manifests": "source live shipment_id awb_number parcel_count country submitted_at",
    "deliveries": "delivery_id source live received_at event_type event_id outcome conflict detail times_received body_sha256 body_bytes",
    "suspected_gaps": "source live order_id box_id field occurred_at expected_previous found_previous",
}
AUDIT_COLUMNS = {
    "recipients": "order_key destination signed_by proof_of_delivery",
    "documents": "box_key kind url",
    "messages": "",
    "deliveries": COLUMNS["deliveries"] + " body headers",
}


def instant(minutes: float) -> datetime:
    return datetime.fromtimestamp(wb.unix(minutes), timezone.utc)


def pick(row: Row, names: str) -> Row:
    return {name: row[name] for name in names.split()}


def rows_of(stack: Stack, view: str, order: str) -> list[Row]:
    return stack.report(f"SELECT * FROM waybill.{view} WHERE order_id = %s", order)


VIEWS = {f"waybill.{view}": columns for view, columns in COLUMNS.items()} | {f"waybill_audit.{view}": columns for view, columns in AUDIT_COLUMNS.items()}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_and_column_is_there_with_a_comment(stack: Stack, view: str) -> None:
    rows = stack.audit(
        "SELECT attname AS name, col_description(attrelid, attnum) AS comment, obj_description(attrelid) AS view_comment FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", view)
    assert set(VIEWS[view].split()) <= {row["name"] for row in rows}
    assert [row["name"] for row in rows if not row["comment"] or not row["view_comment"]] == []


def test_an_order_and_its_boxes(stack: Stack) -> None:
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    sender.deliver(wb.status_updated(order, "SHIPPED", wb.moment(0)))
    sender.deliver(wb.destination_updated(order, at=wb.moment(1)))
    sender.deliver(wb.send_date_updated(order, wb.moment(60), wb.moment(2)))
    sender.deliver(wb.courier_updated(order, "courier-1", wb.moment(3)))
    delivery = sender.deliver(wb.tracking_updated(order, "box", "incident", wb.moment(4), trackId="T-" + order))
    (row,) = rows_of(stack, "orders", order)
    assert row.items() >= {
        "source": "crowdsender", "provider": "crowdsender", "live": True, "order_number": "CF-" + order, "external_reference": "ref-" + order,
        "status": "exception", "attention": ["exception"], "provider_status": "SHIPPED", "status_at": instant(4), "boxes_total": 1,
        "boxes_delivered": 0, "send_date": instant(60), "courier_id": "courier-1", "shipped_at": None, "delivered_at": None,
        "destination_country": "DE", "destination_zip": "80469", "destination_city": "München", "first_event_at": instant(0),
        "last_event_at": instant(4),
    }.items()
    document = stack.status.order("crowdsender", order)
    assert row["version"] == document["version"]
    (box,) = rows_of(stack, "boxes", order)
    assert box.items() >= {
        "order_key": row["order_key"], "source": "crowdsender", "live": True, "box_id": "box", "tracking_number": "T-" + order, "carrier": None,
        "status": "exception", "status_detail": "incident", "provider_status": "incident", "status_at": instant(4), "location": None,
        "was_delayed": False, "had_failed_attempt": False, "shipped_at": None, "delivered_at": None, "updated_at": row["updated_at"],
    }.items()
    (event,) = rows_of(stack, "tracking_events", order)
    assert event.items() >= {
        "order_key": row["order_key"], "box_key": box["box_key"], "source": "crowdsender", "live": True, "box_id": "box",
        "occurred_at": instant(4), "status": "exception", "status_detail": "incident", "provider_status": "incident", "location": None,
    }.items()
    assert str(event["delivery_id"]) == delivery
    assert event["received_at"] == stack.delivery(delivery)["received_at"]


def test_changes_of_an_order(stack: Stack) -> None:
    """Of a destination, only country, zip and city."""
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    deliveries = [
        sender.deliver(wb.status_updated(order, "SHIPPED", wb.moment(0), previous="PENDING_TO_SHIP")),
        sender.deliver(wb.send_date_updated(order, "2024-05-03T00:00:00.000Z", wb.moment(1), previous="2024-05-02T00:00:00.000Z")),
        sender.deliver(wb.courier_updated(order, "courier-2", wb.moment(2), previous="courier-1")),
        sender.deliver(wb.destination_updated(order, at=wb.moment(3), previous=wb.recipient(city="Augsburg", zip="86150"))),
    ]
    rows = sorted(rows_of(stack, "order_changes", order), key=lambda row: row["occurred_at"])
    assert [pick(row, "field occurred_at") for row in rows] == [
        {"field": field, "occurred_at": instant(index)} for index, field in enumerate(("status", "send_date", "courier", "destination"))]
    assert [str(row["delivery_id"]) for row in rows] == deliveries
    assert [(row["previous_value"], row["new_value"]) for row in rows[:3:2]] == [("PENDING_TO_SHIP", "SHIPPED"), ("courier-1", "courier-2")]
    assert rows[1]["previous_value"].startswith("2024-05-02") and rows[1]["new_value"].startswith("2024-05-03")
    for value, words in ((rows[3]["previous_value"], ("DE", "86150", "Augsburg")), (rows[3]["new_value"], ("DE", "80469", "München"))):
        assert sorted(value.replace(",", " ").split()) == sorted(words)


def test_manifests(stack: Stack) -> None:
    """The newest report of a shipment stands; sandbox and live are two."""
    shipment, sender = wb.uid("shp_"), stack.sender("crossborderly")
    newer = wb.manifest(shipment, wb.moment(10))
    newer["data"]["parcelCount"] = 51
    sender.deliver(newer)
    sender.deliver(wb.manifest(shipment, wb.moment(0)))
    sender.deliver(wb.manifest(shipment, wb.moment(5), environment="sandbox"))
    rows = stack.report("SELECT * FROM waybill.manifests WHERE shipment_id = %s ORDER BY live", shipment)
    common = {"source": "crossborderly", "shipment_id": shipment, "awb_number": "180-12345678", "country": "EC"}
    assert rows == [
        {**common, "live": False, "parcel_count": 50, "submitted_at": instant(5)},
        {**common, "live": True, "parcel_count": 51, "submitted_at": instant(10)},
    ]


def test_deliveries(stack: Stack) -> None:
    event = wb.status_changed(wb.uid("T"), "IN_TRANSIT", environment="sandbox")
    body = wb.encode(event)
    sender = stack.sender("crossborderly")
    delivery = sender.deliver(event)
    for _ in range(3):
        sender.deliver(event, "duplicate")
    (row,) = stack.report("SELECT * FROM waybill.deliveries WHERE delivery_id = %s", delivery)
    assert row.items() >= {
        "source": "crossborderly", "live": False, "event_type": "parcel.status_changed", "event_id": event["id"], "outcome": "applied",
        "conflict": False, "detail": None, "times_received": 4, "body_bytes": len(body),
    }.items()
    assert not {"body", "headers"} & row.keys()
    assert abs((datetime.now(timezone.utc) - row["received_at"]).total_seconds()) < 600


# Words in order of time, each with the previous one its sender names; then what is missing: (which event, the previous one before it here).
GAPS: dict[str, tuple[list[tuple[str, str | None]], list[tuple[int, str]]]] = {
    "complete": ([("ORDERED", None), ("PICKED_UP", "ORDERED"), ("DELIVERED", "PICKED_UP")], []),
    "one missing": ([("ORDERED", None), ("PICKED_UP", "LABEL_GENERATED")], [(1, "ORDERED")]),
    "the first names one too": ([("PICKED_UP", "ORDERED"), ("IN_TRANSIT", "PICKED_UP")], []),
    "two missing": ([("ORDERED", None), ("PICKED_UP", "LABEL_GENERATED"), ("DELIVERED", "OUT_FOR_DELIVERY")], [(1, "ORDERED"), (2, "PICKED_UP")]),
    "an earlier one, not the last": ([("ORDERED", None), ("PICKED_UP", "ORDERED"), ("IN_TRANSIT", "ORDERED")], []),
    "none named": ([("ORDERED", None), ("DELIVERED", None)], []),
    "an exception counts as one": ([("PICKED_UP", None), ("!", None), ("OUT_FOR_DELIVERY", "EXCEPTION")], []),
    "an exception counts as an attempt": ([("PICKED_UP", None), ("!", None), ("OUT_FOR_DELIVERY", "DELIVERY_ATTEMPTED")], []),
    "an exception counts as a failure": ([("PICKED_UP", None), ("!", None), ("OUT_FOR_DELIVERY", "DELIVERY_FAILED")], []),
    "an exception counts as nothing else": ([("PICKED_UP", None), ("!", None), ("OUT_FOR_DELIVERY", "CUSTOMS_HOLD")], [(2, "DAMAGED")]),
}


@pytest.mark.parametrize("case", GAPS)
def test_suspected_gaps(stack: Stack, case: str) -> None:
    events, missing = GAPS[case]
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    for index, (word, previous) in reversed(list(enumerate(events))):
        event = wb.exception(tracking, "DAMAGED", wb.moment(index)) if word == "!" else wb.status_changed(tracking, word, wb.moment(index), previous)
        sender.deliver(event)
    rows = sorted(rows_of(stack, "suspected_gaps", tracking), key=lambda row: row["occurred_at"])
    assert rows == [
        {"source": "crossborderly", "live": True, "order_id": tracking, "box_id": tracking, "field": "status", "occurred_at": instant(index),
         "expected_previous": events[index][1], "found_previous": found}
        for index, found in missing]


def test_a_gap_closes(stack: Stack) -> None:
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    sender.deliver(wb.courier_updated(order, "c1", wb.moment(0)))
    sender.deliver(wb.courier_updated(order, "c3", wb.moment(2), previous="c2"))
    (row,) = rows_of(stack, "suspected_gaps", order)
    assert pick(row, "field box_id expected_previous found_previous") == {
        "field": "courier", "box_id": None, "expected_previous": "c2", "found_previous": "c1"}
    sender.deliver(wb.courier_updated(order, "c2", wb.moment(1), previous="c1"))
    assert rows_of(stack, "suspected_gaps", order) == []


# ---- personal data ----


@pytest.fixture
def personal(stack: Stack) -> str:
    """An order of each sender with all that is personal; gives a mark that its texts carry."""
    mark = wb.uid("T")
    stack.sender("crossborderly").deliver(wb.delivered(mark))
    stack.sender("crossborderly").deliver(wb.exception(mark))
    stack.sender("crowdsender").deliver(wb.destination_updated(mark, previous=wb.recipient()))
    stack.sender("crowdsender").deliver(wb.tracking_updated(mark, "box", "generated label", **wb.label(mark)))
    stack.sender("shipup").deliver(wb.shipup_event("tracker.new", wb.tracker(wb.number(), "delivered", [wb.scan("delivered")])))
    stack.sender("swiftpod").deliver(wb.shipment_notify(mark, [wb.tracked(mark, "delivered")]))
    return mark


def shown_words(rows: Iterable[Row]) -> list[str]:
    text = "\n".join(map(str, rows))
    return [word for word in wb.PERSONAL if word in text]


@pytest.mark.parametrize("view", COLUMNS)
def test_reports_show_nobody(stack: Stack, personal: str, view: str) -> None:
    rows = stack.report(f"SELECT * FROM waybill.{view}")
    assert rows and shown_words(rows) == []


@pytest.mark.parametrize("view", AUDIT_COLUMNS)
def test_audits_show_everybody_and_reports_may_not_look(stack: Stack, personal: str, view: str) -> None:
    assert stack.audit(f"SELECT * FROM waybill_audit.{view}") != []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stack.report(f"SELECT * FROM waybill_audit.{view}")


def test_what_auditors_see_of_an_order(stack: Stack) -> None:
    tracking = wb.uid("T")
    stack.sender("crossborderly").deliver(wb.delivered(tracking))
    stack.sender("crowdsender").deliver(wb.destination_updated(tracking))
    stack.sender("crowdsender").deliver(wb.tracking_updated(tracking, "box", "generated label", **wb.label(tracking)))
    stack.sender("crossborderly").deliver(wb.exception(tracking))
    keys = {row["source"]: row["order_key"] for row in rows_of(stack, "orders", tracking)}
    (signed,) = stack.audit("SELECT * FROM waybill_audit.recipients WHERE order_key = %s", keys["crossborderly"])
    assert (signed["signed_by"], signed["proof_of_delivery"]) == ("Ignatius Vellichor", f"https://papers.example.test/proof/{tracking}")
    received = stack.audit("SELECT * FROM waybill_audit.recipients WHERE order_key = %s", keys["crowdsender"])
    assert {row["destination"]["name"] for row in received} == {"Zenobia Quillfeather"}
    (box,) = [row for row in rows_of(stack, "boxes", tracking) if row["source"] == "crowdsender"]
    papers = stack.audit("SELECT kind, url FROM waybill_audit.documents WHERE box_key = %s", box["box_key"])
    assert papers == [{"kind": "label", "url": f"https://papers.example.test/label/{tracking}.pdf"}]
    messages = stack.audit("SELECT * FROM waybill_audit.messages")
    assert [row for row in messages if row["order_key"] == keys["crossborderly"] and "left with neighbour Vellichor" in row.values()]
