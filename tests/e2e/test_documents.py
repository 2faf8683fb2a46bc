"""Order documents: what one genuine history of each sender shows, key by key, and in which order lists come."""

from __future__ import annotations

import re

import pytest

import waybill_client as wb
from waybill_stack import Stack

pytestmark = pytest.mark.usefixtures("steady")

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# What is true of a box of which nothing is known but its id, and of such an order.
BOX: wb.Json = {
    "tracking_number": None, "carrier": None, "carrier_name": None, "tracking_url": None, "status": "unknown", "status_detail": None, "provider_status": None,
    "status_at": None, "location": None, "was_delayed": False, "had_failed_attempt": False, "shipped_at": None, "delivered_at": None,
    "estimated_delivery_date": None, "estimated_delivery_at": None, "next_attempt_at": None, "pickup_point": None, "signed_by": None,
    "proof_of_delivery": None, "documents": [], "items": [], "events": [],
}
ORDER: wb.Json = {
    "order_number": None, "external_reference": None, "live": True, "status": "unknown", "attention": [], "provider_status": None,
    "status_at": None, "boxes_total": 0, "boxes_delivered": 0, "send_date": None, "courier_id": None, "shipped_at": None,
    "delivered_at": None, "destination": None, "moved_to": None, "boxes": [], "first_event_at": None, "last_event_at": None,
}
EVENT: wb.Json = {"status": "unknown", "status_detail": None, "provider_status": None, "location": None, "message": None}


def order_of(source: str, order_id: str, **known: object) -> wb.Json:
    assert known.keys() <= ORDER.keys()
    return {"source": source, "provider": source, "id": order_id, **ORDER, **known}


def box_of(box_id: str, **known: object) -> wb.Json:
    assert known.keys() <= BOX.keys()
    return {"id": box_id, **BOX, **known}


def event_of(occurred_at: str, **known: object) -> wb.Json:
    assert known.keys() <= EVENT.keys()
    return {"occurred_at": occurred_at, **EVENT, **known}


def crossborderly_history(stack: Stack) -> tuple[str, wb.Json]:
    """Delivered after a failed attempt whose report says it was later still."""
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    sender.deliver(wb.status_changed(tracking, "PICKED_UP", wb.moment(0)))
    sender.deliver(wb.status_changed(tracking, "OUT_FOR_DELIVERY", wb.moment(60), previous="IN_TRANSIT"))
    sender.deliver(wb.delivered(tracking, wb.moment(120)))
    sender.deliver(wb.exception(tracking, "DELIVERY_FAILED", wb.moment(150), next_attempt=wb.moment(1440)))
    place = "Guayaquil, EC"
    box = box_of(
        tracking, tracking_number=tracking, status="delivered", provider_status="DELIVERED", status_at=wb.moment(120), location=place,
        had_failed_attempt=True, shipped_at=wb.moment(0), delivered_at=wb.moment(120), signed_by="Ignatius Vellichor",
        proof_of_delivery=f"https://papers.example.test/proof/{tracking}",
        events=[
            event_of(wb.moment(0), status="in_transit", status_detail="picked_up", provider_status="PICKED_UP", location=place),
            event_of(wb.moment(60), status="out_for_delivery", provider_status="OUT_FOR_DELIVERY", location=place),
            event_of(wb.moment(120), status="delivered", provider_status="DELIVERED", location=place),
            event_of(wb.moment(150), status="attempt_failed", status_detail="delivery_failed", provider_status="DELIVERY_FAILED", location=place,
                     message="left with neighbour Vellichor"),
        ])
    return tracking, order_of(
        "crossborderly", tracking, status="delivered", attention=["moved_after_delivered"], status_at=wb.moment(120), boxes_total=1,
        boxes_delivered=1, shipped_at=wb.moment(0), delivered_at=wb.moment(120), boxes=[box], first_event_at=wb.moment(0),
        last_event_at=wb.moment(150))


def crowdsender_history(stack: Stack) -> tuple[str, wb.Json]:
    """Every event of Crowdsender; two boxes, one of them under way."""
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    first, second = f"{order}-1", f"{order}-2"
    sender.deliver(wb.status_updated(order, "REGISTERED", wb.moment(0)))
    sender.deliver(wb.destination_updated(order, at=wb.moment(1)))
    sender.deliver(wb.send_date_updated(order, "2024-05-02T00:00:00.000Z", wb.moment(2), previous="2024-05-01T00:00:00.000Z"))
    sender.deliver(wb.courier_updated(order, "courier-2", wb.moment(3), previous="courier-1"))
    sender.deliver(wb.tracking_updated(order, first, "generated label", wb.moment(4), previous="waiting", **wb.label("88938849309")))
    sender.deliver(wb.status_updated(order, "PENDING_TO_SHIP", wb.moment(5), previous="REGISTERED"))
    sender.deliver(wb.tracking_updated(order, second, "possible delay", wb.moment(6)))
    sender.deliver(wb.tracking_updated(order, second, "on route", wb.moment(7), previous="possible delay"))
    boxes = [
        box_of(first, tracking_number="88938849309", status="pre_transit", status_detail="label_created", provider_status="generated label",
               status_at=wb.moment(4), documents=[{"kind": "label", "url": "https://papers.example.test/label/88938849309.pdf"}],
               events=[event_of(wb.moment(4), status="pre_transit", status_detail="label_created", provider_status="generated label")]),
        box_of(second, status="in_transit", status_detail="in_transit", provider_status="on route", status_at=wb.moment(7), was_delayed=True,
               shipped_at=wb.moment(6),
               events=[event_of(wb.moment(6), status="in_transit", status_detail="delayed", provider_status="possible delay"),
                       event_of(wb.moment(7), status="in_transit", status_detail="in_transit", provider_status="on route")]),
    ]
    destination = {
        "name": "Zenobia Quillfeather", "company": None, "phone": "+4915550001234", "email": "zenobia.q@example.test",
        "street": "Kobaltweg 17", "details": None, "city": "München", "zip": "80469", "province": "Bavaria", "country": "DE",
    }
    return order, order_of(
        "crowdsender", order, order_number="CF-" + order, external_reference="ref-" + order, status="pre_transit",
        provider_status="PENDING_TO_SHIP", status_at=wb.moment(5), boxes_total=2, send_date="2024-05-02T00:00:00.000Z", courier_id="courier-2",
        shipped_at=wb.moment(6), destination=destination, boxes=boxes, first_event_at=wb.moment(0), last_event_at=wb.moment(7))


def shipup_history(stack: Stack) -> tuple[str, wb.Json]:
    """A parcel waiting at a pick-up point, as one snapshot."""
    order, box = wb.number(), wb.number()
    events = [
        wb.scan("pickup_point", wb.unix(120), address=wb.shipup_address(city="Paris", state="IDF")),
        wb.scan("origin_scan", wb.unix(0)),
        wb.scan(None, wb.unix(60), message=None, address=None),
    ]
    point = {
        "opening_hours": {"tue": "06:30-19:00"}, "closed_dates": {}, "phone": "+33612345678",
        "address": wb.shipup_address(city="Paris", zip="75010", address1="1 place du 11 novembre 1918", company_title="Consigne"),
        "map": {"google_maps_link": "https://maps.example.test/?q=48.87,2.35"},
    }
    tracker = wb.tracker(
        order, "pickup", events, id=box, shipped_at=wb.unix(-30), displayable_expected_delivery_date="2024-05-03",
        displayable_expected_delivery_datetime=wb.unix(180), pickup_point=point)
    stack.sender("shipup").deliver(wb.shipup_event("tracker.events.new", tracker, wb.unix(121)))
    shown = box_of(
        str(box), tracking_number=f"AZ{box}", carrier="colissimo", carrier_name="Colissimo", tracking_url=f"https://carrier.example.test/{box}",
        status="available_for_pickup", provider_status="pickup", status_at=wb.moment(120), location="Paris, IDF, France",
        shipped_at=wb.moment(-30), estimated_delivery_date="2024-05-03", estimated_delivery_at=wb.moment(180),
        pickup_point={
            "name": "Consigne", "street": "1 place du 11 novembre 1918", "city": "Paris", "zip": "75010", "country": "FR",
            "phone": "+33612345678", "opening_hours": "tue 06:30-19:00", "map_url": "https://maps.example.test/?q=48.87,2.35",
        },
        events=[
            event_of(wb.moment(0), status="in_transit", status_detail="picked_up", provider_status="origin_scan", location="France",
                     message="left with neighbour Vellichor"),
            event_of(wb.moment(60)),
            event_of(wb.moment(120), status="available_for_pickup", provider_status="pickup_point", location="Paris, IDF, France",
                     message="left with neighbour Vellichor"),
        ])
    destination = {
        "name": "Zenobia Quillfeather", "company": "ACME Corp", "phone": "15550001234", "email": "zenobia.q@example.test",
        "street": "17, rue Kobaltweg", "details": None, "city": "Paris", "zip": "75001", "province": None, "country": "FR",
    }
    return str(order), order_of(
        "shipup", str(order), order_number=f"SU-{order}", external_reference=f"merchant-{order}", status="available_for_pickup",
        attention=["available_for_pickup"], status_at=wb.moment(120), boxes_total=1, shipped_at=wb.moment(-30), destination=destination,
        boxes=[shown], first_event_at=wb.moment(0), last_event_at=wb.moment(120))


def swiftpod_history(stack: Stack) -> tuple[str, wb.Json]:
    """Two parcels delivered, a third one taken off the list again."""
    order, sender = wb.number(), stack.sender("swiftpod")
    first, second, removed = (f"{letter}{order}" for letter in "ABC")
    sender.deliver(wb.order_notify(order, "in_production", wb.moment(0)))
    sender.deliver(wb.shipment_notify(order, [wb.tracked(removed, "pre_transit")], wb.moment(60)))
    sender.deliver(wb.shipment_notify(
        order, [wb.tracked(second, "delivered", {"b": 2, "a": 1}), wb.tracked(first, "delivered", {"c": 3})], "2024-05-01T14:00:00.128774Z"))
    at = "2024-05-01T14:00:00.128Z"

    def papers(number: str) -> list[wb.Json]:
        return [{"kind": "label", "url": f"https://papers.example.test/label/{number}.png"}]

    def box(number: str, **known: object) -> wb.Json:
        return box_of(number, **{  # type: ignore[arg-type]
            "tracking_number": number, "carrier": "usps", "carrier_name": "USPS", "tracking_url": f"https://carrier.example.test/{number}", "status_at": at,
            "documents": papers(number), **known})

    boxes = [
        box(first, status="delivered", provider_status="delivered", delivered_at=at, items=[{"id": "c", "quantity": 3}]),
        box(second, status="delivered", provider_status="delivered", delivered_at=at,
            items=[{"id": "a", "quantity": 1}, {"id": "b", "quantity": 2}],
            events=[event_of(at, status="delivered", provider_status="delivered")]),
        box(removed, status="cancelled", status_detail="removed", provider_status="pre_transit",
            events=[event_of(wb.moment(60), status="pre_transit", provider_status="pre_transit")]),
    ]
    destination = {
        "name": "Zenobia Quillfeather", "company": "DEMO", "phone": "15550001234", "email": None, "street": "17 Kobaltweg", "details": None,
        "city": "Cortland", "zip": "44410", "province": "OH", "country": "US",
    }
    return str(order), order_of(
        "swiftpod", str(order), order_number=f"SP-{order}", status="delivered", provider_status="shipped", status_at=at, boxes_total=3,
        boxes_delivered=2, delivered_at=at, destination=destination, boxes=boxes, first_event_at=wb.moment(0), last_event_at=at)


HISTORIES = {
    "crossborderly": crossborderly_history, "crowdsender": crowdsender_history, "shipup": shipup_history, "swiftpod": swiftpod_history,
}


@pytest.mark.tsan
@pytest.mark.parametrize("source", HISTORIES)
def test_the_whole_document(each_stack: Stack, source: str) -> None:
    order_id, expected = HISTORIES[source](each_stack)
    document = each_stack.status.order(source, order_id)
    keys = list(ORDER)
    keys.insert(keys.index("boxes"), "first_seen_at")
    assert list(document) == ["source", "provider", "id", *keys, "updated_at", "version"]
    assert wb.comparable(document) == expected
    assert INSTANT.fullmatch(document["first_seen_at"]) and document["first_seen_at"] <= document["updated_at"]
    assert INSTANT.fullmatch(document["updated_at"]) and document["version"] > 0
    lists = (document["boxes"], [event for box in document["boxes"] for event in box["events"]])
    assert [list(one) for many, keys in zip(lists, (box_of(""), event_of(""))) for one in many if list(one) != list(keys)] == []


@pytest.mark.parametrize("source", HISTORIES)
def test_the_scope_tracking_shows_nobody(stack: Stack, source: str) -> None:
    order_id, expected = HISTORIES[source](stack)
    expected["destination"] = None
    for box in expected["boxes"]:
        box.update(signed_by=None, proof_of_delivery=None, documents=[])
        for event in box["events"]:
            event["message"] = None
    client = stack.tracking_status
    assert wb.comparable(client.order(source, order_id)) == expected
    (found,) = client.lookup(source=source, id=order_id)
    assert wb.comparable(found) == expected


@pytest.mark.parametrize("source", HISTORIES)
def test_without_the_history(stack: Stack, source: str) -> None:
    order_id, expected = HISTORIES[source](stack)
    for box in expected["boxes"]:
        box["events"] = []
    assert wb.comparable(stack.status.order(source, order_id, events="false")) == expected
    (found,) = stack.status.lookup(source=source, id=order_id, events="false")
    assert wb.comparable(found) == expected


# ---- single rules ----


def test_a_link_is_made_where_the_sender_gives_none(stack: Stack, extras) -> None:
    tracking = wb.uid("T/ü ")
    extras.sender("linked").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    document = stack.status.order("linked", tracking)
    assert (document["source"], document["provider"]) == ("linked", "crossborderly")
    assert document["boxes"][0]["tracking_url"] == f"https://shop.example/track/{wb.quote(tracking, safe='')}"


def test_lists_are_in_order_of_their_bytes(stack: Stack) -> None:
    """Capitals first, umlauts last, digits as text."""
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    boxes = ["b10", "b9", "B", "ä", "a b", "a", "\U0001f4e6", "\uff5e"]
    for box in boxes:
        sender.deliver(wb.tracking_updated(order, box, "waiting"))
    kinds = [("soivre", "https://x/1"), ("label", "https://x/b"), ("label", "https://x/a"), ("exportDocs", "https://x/2"), ("Label", "https://x/0")]
    papers = [{"uri": url, "typeFile": kind} for kind, url in kinds]
    sender.deliver(wb.tracking_updated(order, "a", "generated label", wb.moment(1), documents=papers[:3]))
    sender.deliver(wb.tracking_updated(order, "a", "generated label", wb.moment(2), documents=papers[2:]))
    document = stack.status.order("crowdsender", order)
    assert [box["id"] for box in document["boxes"]] == sorted(boxes, key=str.encode)
    shown = [(paper["kind"], paper["url"]) for box in document["boxes"] for paper in box["documents"]]
    assert shown == sorted(kinds)


def test_events_are_in_order_of_time_rank_and_word(stack: Stack) -> None:
    """Of one time: by the rank of the status, then by the sender's word."""
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    words = ["DELIVERED", "PICKED_UP", "CUSTOMS_ARRIVED", "OUT_FOR_DELIVERY", "ORDERED", "Zzz", "Aaa"]
    sender.deliver(wb.status_changed(tracking, "RETURNED", wb.moment(-1)))
    for word in words:
        sender.deliver(wb.status_changed(tracking, word, wb.moment(0)))
    sender.deliver(wb.status_changed(tracking, "LABEL_GENERATED", wb.moment(1)))
    events = stack.status.order("crossborderly", tracking)["boxes"][0]["events"]
    assert [event["provider_status"] for event in events] == [
        "RETURNED", "Aaa", "Zzz", "ORDERED", "CUSTOMS_ARRIVED", "PICKED_UP", "OUT_FOR_DELIVERY", "DELIVERED", "LABEL_GENERATED"]


def test_a_tracker_without_an_order_is_one(stack: Stack) -> None:
    tracker = wb.tracker(None, "in_transit")
    stack.sender("shipup").deliver(wb.shipup_event("tracker.new", tracker | {"fulfillment": None}))
    document = stack.status.order("shipup", f"tracker-{tracker['id']}")
    assert (document["order_number"], document["external_reference"], document["boxes_total"]) == (None, None, 1)
    assert document["boxes"][0]["id"] == str(tracker["id"])


def test_live_and_sandbox_never_mix(stack: Stack) -> None:
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    sender.deliver(wb.status_updated(order, "SHIPPED"))
    sender.deliver(wb.status_updated(order, "COMPLETED", live=False))
    assert stack.status.order("crowdsender", order)["status"] == "in_transit"
    sandbox = stack.status.order("crowdsender", order, live="false")
    assert (sandbox["status"], sandbox["live"]) == ("delivered", False)
    assert [document["live"] for document in stack.status.lookup(source="crowdsender", id=order)] == [True]
    assert [document["live"] for document in stack.status.lookup(source="crowdsender", id=order, live="false")] == [False]
    assert [document["live"] for document in stack.status.lookup(source="crowdsender", id=order, live="true")] == [True]


# Statuses of boxes, the order's own, and what the order shows: status, attention, and whose time (b: a box's, o: the order's).
ROLL_UPS: dict[str, tuple[list[str], str | None, str, list[str], str]] = {
    "cancelled, nothing moved": (["waiting", "generated label"], "CANCELED", "cancelled", [], "o"),
    "cancelled, but on its way": (["on route", "waiting"], "CANCELED", "pending", [], "b1"),
    "no box": ([], "SHIPPED", "in_transit", [], "o"),
    "no box, not known": ([], "Teleported", "unknown", [], "o"),
    "boxes of which nothing is known": (["not available"], "SHIPMENT_FAILED", "exception", ["exception"], "o"),
    "all delivered": (["delivered", "delivered"], "SHIPPED", "delivered", [], "b1"),
    "all delivered, order pending": (["delivered"], "REGISTERED", "partially_delivered", [], "b0"),
    "some delivered": (["delivered", "on route"], None, "partially_delivered", [], "b0"),
    "some delivered, one lost": (["delivered", "lost"], None, "partially_delivered", ["failed"], "b0"),
    "all returned": (["returned", "returned"], None, "returned", [], "b1"),
    "the lowest box": (["last mile", "on route", "depot"], None, "in_transit", [], "b2"),
    "the order's own, when higher": (["waiting"], "SHIPPED", "in_transit", [], "o"),
    "the lowest box, when higher": (["last mile"], "SHIPPED", "out_for_delivery", [], "b0"),
    "both on a tie": (["on route"], "SHIPPED", "in_transit", [], "o"),
    "trouble of one box": (["incident", "waiting", "delivery point"], None, "pending", ["available_for_pickup", "exception"], "b1"),
    "an unknown box does not count": (["delivered", "not available"], None, "delivered", [], "b0"),
}


@pytest.mark.parametrize("case", ROLL_UPS)
def test_the_status_of_an_order(stack: Stack, case: str) -> None:
    words, own, status, attention, whose = ROLL_UPS[case]
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    for index, word in enumerate(words):
        sender.deliver(wb.tracking_updated(order, f"box{index}", word, wb.moment(index)))
    if own:
        sender.deliver(wb.status_updated(order, own, wb.moment(30)))
    document = stack.status.order("crowdsender", order)
    at = wb.moment(30 if whose == "o" else int(whose[1:]))
    assert (document["status"], document["attention"], document["status_at"]) == (status, attention, at)
    assert document["boxes_delivered"] == words.count("delivered")


def test_a_weak_word_shows_while_nothing_better_is_known(stack: Stack) -> None:
    """Whenever it came; a delay is remembered all the same."""
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    shown = []
    for minutes, word in ((50, "reprint"), (60, "possible delay"), (10, "waiting"), (70, "possible delay")):
        sender.deliver(wb.tracking_updated(order, "box", word, wb.moment(minutes)))
        (box,) = stack.status.order("crowdsender", order)["boxes"]
        shown.append((box["status"], box["status_detail"], box["was_delayed"]))
    assert shown == [
        ("pre_transit", "label_reprinted", False), ("in_transit", "delayed", True), ("pending", None, True), ("pending", None, True)]


def test_a_late_event_undoes_nothing(stack: Stack) -> None:
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    sender.deliver(wb.delivered(tracking, wb.moment(60)))
    sender.deliver(wb.status_changed(tracking, "OUT_FOR_DELIVERY", wb.moment(30)))
    document = stack.status.order("crossborderly", tracking)
    assert (document["status"], document["attention"], document["delivered_at"]) == ("delivered", [], wb.moment(60))
    sender.deliver(wb.status_changed(tracking, "RETURN_TO_SENDER", wb.moment(90)))
    document = stack.status.order("crossborderly", tracking)
    assert (document["status"], document["attention"]) == ("returning", ["returning"])
    assert (document["delivered_at"], document["boxes"][0]["delivered_at"]) == (None, wb.moment(60))


@pytest.mark.parametrize("scope", ["full", "tracking"])
def test_a_document_asked_for_again_is_the_one_of_now(each_stack: Stack, scope: str) -> None:
    """status.fcgi remembers documents of single orders, lists have theirs made anew: both say the same after every change, however often and by whomever asked."""
    client = each_stack.status if scope == "full" else each_stack.tracking_status
    tracking, sender = wb.uid("T"), each_stack.sender("crossborderly")
    path = f"/orders/crossborderly/{tracking}"
    for minute, word in enumerate(("ORDERED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY")):
        sender.deliver(wb.status_changed(tracking, word, wb.moment(minute)))
        for query in ([], [("events", "false")]):
            (expected,) = client.json("/orders", [("source", "crossborderly"), ("id", tracking), *query])["orders"]
            # Two connections of status.fcgi, each with a memory of its own: both have it in the end.
            answers = [client.get(path, query) for _ in range(6)]
            assert [answer.json() for answer in answers] == [expected] * 6
            assert len({(answer.body, answer.headers["etag"]) for answer in answers}) == 1
            assert expected["boxes"][0]["provider_status"] == word


def test_versions_grow_with_changes_only(stack: Stack) -> None:
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    first = wb.status_changed(tracking, "ORDERED", wb.moment(0))
    sender.deliver(first)
    before = stack.status.order("crossborderly", tracking)
    sender.deliver(first, "duplicate")
    assert stack.status.order("crossborderly", tracking) == before
    sender.deliver(wb.status_changed(tracking, "PICKED_UP", wb.moment(1)))
    after = stack.status.order("crossborderly", tracking)
    assert after["version"] > before["version"] and after["updated_at"] >= before["updated_at"]
