"""Authentic bodies with something odd in them: odd texts, numbers, times, ids, types. Each is answered with 200, and nothing dies of it."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Callable, Iterator

import pytest

import waybill_client as wb
from waybill_stack import Stack

pytestmark = pytest.mark.usefixtures("steady")

APPLIED, QUARANTINED = (200, "applied"), (200, "quarantined")

# ---- NUL ----


def test_nul_in_values_shows_as_a_replacement_character(each_stack: Stack) -> None:
    tracking = wb.uid("T\0")
    event = wb.delivered(tracking)
    event["data"]["signature"] = "\0Ignatius\0Vellichor\0"
    event["data"]["location"] = "Guayaquil\0EC"
    body = wb.encode(event)
    assert rb"\u0000" in body and each_stack.sender("crossborderly").post(body).outcome == APPLIED
    document = each_stack.status.order("crossborderly", tracking.replace("\0", "\ufffd"))
    assert document["boxes"][0]["signed_by"] == "\ufffdIgnatius\ufffdVellichor\ufffd"
    assert document["boxes"][0]["location"] == "Guayaquil\ufffdEC"
    assert [bytes(row["body"]) for row in each_stack.stored(body)] == [body]


NUL_KEYS = {
    "at the top": lambda event: {**event, "\0": 1},
    "within": lambda event: {**event, "data": {**event["data"], "a\0b": 1}},
    "alone": lambda event: {"\0": wb.uid()},
}


@pytest.mark.parametrize("where", NUL_KEYS)
def test_nul_in_a_key_is_quarantined(stack: Stack, where: str) -> None:
    body = wb.encode(NUL_KEYS[where](wb.status_changed(wb.uid("T"), "IN_TRANSIT")))
    sender = stack.sender("crossborderly")
    assert sender.post(body).outcome == QUARANTINED
    assert sender.post(body).outcome in (QUARANTINED, (200, "duplicate"))
    assert [(row["outcome"], bytes(row["body"])) for row in stack.stored(body)] == [("quarantined", body)]


# ---- shapes ----


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


def event_with(raw: str) -> bytes:
    """An event with RAW as the value of a key that nobody reads."""
    return wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT", extra="@")).replace(b'"@"', raw.encode())


BOMBS = {
    "lists": nested(100_000, "[", "]"),
    "objects": nested(100_000, '{"a":', "}"),
    "both": nested(50_000, '[{"a":', "}]"),
    "never closed": "[" * 900_000,
    "never closed objects": '{"":' * 200_000,
    "wide": "[" + "0," * 400_000 + "0]",
    "many keys": "{" + ",".join(f'"{i}":0' for i in range(80_000)) + "}",
    "the same key": "{" + '"a":0,' * 150_000 + '"a":0}',
}


@pytest.mark.tsan
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_do_no_harm(stack: Stack, bomb: str) -> None:
    """Whether so deep a nesting still counts as JSON is left open; that the body is kept is not."""
    body = event_with(BOMBS[bomb])
    answer = stack.sender("crossborderly").post(body)
    assert answer.status == 400 or answer.outcome in (APPLIED, QUARANTINED), answer
    assert [bytes(row["body"]) for row in stack.stored(body)] == [body]


def test_ordinary_nesting_is_fine(stack: Stack) -> None:
    assert stack.sender("crossborderly").post(event_with(nested(100, "[", "]"))).outcome == APPLIED


def test_of_a_repeated_key_one_stands(stack: Stack) -> None:
    tracking = wb.uid("T")
    body = wb.encode(wb.status_changed(tracking, "IN_TRANSIT")).replace(b'"newStatus"', b'"newStatus":"PICKED_UP","newStatus"')
    assert stack.sender("crossborderly").post(body).outcome == APPLIED
    assert stack.status.order("crossborderly", tracking)["boxes"][0]["provider_status"] in ("PICKED_UP", "IN_TRANSIT")


NUMBERS = ["9223372036854775807", "-9223372036854775808", "1.7976931348623157e308", "-0", "-0.0", "1E5", "0.1", "1e-300"]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_within_bounds(stack: Stack, number: str) -> None:
    assert stack.sender("crossborderly").post(event_with(number)).outcome == APPLIED


TEXTS = {
    "astral": "\U0001f4e6",
    "right to left": "\u202eabc\u202c",
    "control characters": "a\x01\x1f\x7fb",
    "line feeds": "Guayaquil\r\nEC",
    "quotes": "O'Brien \"x\" \\ ; DROP TABLE waybill.orders; --",
    "markup": "<script>alert(1)</script>",
    "a noncharacter": "\uffff\ufdd0",
    "format directives": "%s%n%1$s{0}$1",
    "a megabyte": "€" * 340_000,
}


@pytest.mark.parametrize("text", TEXTS)
def test_odd_texts_come_back_as_they_were(stack: Stack, text: str) -> None:
    """Of a very long one, the beginning; `location` is on one line, a signature is as it was."""
    tracking, value = wb.uid("T"), TEXTS[text]
    event = wb.delivered(tracking)
    event["data"]["signature"] = value
    stack.sender("crossborderly").deliver(event)
    signed_by = stack.status.order("crossborderly", tracking)["boxes"][0]["signed_by"]
    assert signed_by and value.startswith(signed_by) and len(signed_by) >= min(len(value), 100)


def test_a_location_is_one_line(stack: Stack) -> None:
    tracking = wb.uid("T")
    event = wb.status_changed(tracking, "IN_TRANSIT")
    event["data"]["location"] = "Guayaquil\r\n\tEC"
    stack.sender("crossborderly").deliver(event)
    location = stack.status.order("crossborderly", tracking)["boxes"][0]["location"]
    assert location.split() == ["Guayaquil", "EC"] and location.isprintable()


SURROGATES = [r"\ud800", r"\udc00", r"\ud800\ud800", r"\udfff\ud800", r"\ud83d x"]


@pytest.mark.parametrize("escape", SURROGATES)
def test_half_a_character_in_escapes(stack: Stack, escape: str) -> None:
    """RFC 8259 leaves open whether this is JSON; UTF-8 it cannot become."""
    body = event_with(f'"{escape}"')
    answer = stack.sender("crossborderly").post(body)
    assert answer.status == 400 or answer.outcome in (APPLIED, QUARANTINED), answer
    assert [bytes(row["body"]) for row in stack.stored(body)] == [body]


# ---- times ----

# createdAt, and the time the order shows; None: quarantined.
TIMES: dict[str, tuple[object, str | None]] = {
    "milliseconds": ("2024-05-01T12:00:00.123Z", "2024-05-01T12:00:00.123Z"),
    "microseconds": ("2024-05-01T12:00:00.123999Z", "2024-05-01T12:00:00.123Z"),
    "seconds": ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00.000Z"),
    "no zone": ("2024-05-01T12:00:00", "2024-05-01T12:00:00.000Z"),
    "east": ("2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00.000Z"),
    "west": ("2024-04-30T23:30:00.5-12:30", "2024-05-01T12:00:00.500Z"),
    "a leap day": ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000Z"),
    "unix seconds": (1714564800, "2024-05-01T12:00:00.000Z"),
    "the first": ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00.000Z"),
    "the last": ("2099-12-31T23:59:59.999Z", "2099-12-31T23:59:59.999Z"),
    "the year 0": ("0000-01-01T00:00:00Z", None),
    "the year 1": ("0001-01-01T00:00:00Z", None),
    "the year 1999": ("1999-12-31T23:59:59Z", None),
    "the year 2101": ("2101-01-01T00:00:00Z", None),
    "the year 9999": ("9999-12-31T23:59:59Z", None),
    "the year 10000": ("10000-01-01T00:00:00Z", None),
    "the 30th of February": ("2024-02-30T12:00:00Z", None),
    "no leap year": ("2023-02-29T12:00:00Z", None),
    "hour 25": ("2024-05-01T25:00:00Z", None),
    "words": ("soon", None),
    "an empty text": ("", None),
    "null": (None, None),
    "1970": (0, None),
    "before 1970": (-1, None),
    "milliseconds since 1970": (1714564800000, "2024-05-01T12:00:00.000Z"),
    "microseconds since 1970": (1714564800000000, None),
    "the greatest integer": (2**63 - 1, None),
    "a list": (["2024-05-01T12:00:00Z"], None),
    "true": (True, None),
}


@pytest.mark.parametrize("case", TIMES)
def test_times(stack: Stack, case: str) -> None:
    value, shown = TIMES[case]
    order = wb.uid("o")
    event = wb.status_updated(order, "SHIPPED") | {"createdAt": value}
    answer = stack.sender("crowdsender").post(event)
    if shown is None:
        assert answer.outcome == QUARANTINED and "createdAt" in answer.json()["detail"], answer
    else:
        assert answer.outcome == APPLIED, answer
        assert stack.status.order("crowdsender", order)["status_at"] == shown


def test_a_broken_time_that_only_informs_is_null(stack: Stack) -> None:
    tracking = wb.uid("T")
    stack.sender("crossborderly").deliver(wb.exception(tracking, "DAMAGED", next_attempt="0000-01-01T00:00:00Z"))
    assert stack.status.order("crossborderly", tracking)["boxes"][0]["next_attempt_at"] is None


# ---- ids ----


def padded(length: int, filler: str) -> str:
    """A random id of LENGTH bytes."""
    name = wb.uid()
    rest = length - len(name)
    size = len(filler.encode())
    return name + filler * (rest // size) + "x" * (rest % size)


@dataclass(frozen=True)
class Id:
    source: str
    event: Callable[[str], wb.Json]
    path: str
    required: bool


IDS = {
    "CrossBorderly's event": Id("crossborderly", lambda id_: wb.status_changed(wb.uid("T"), "ORDERED", id=id_), "id", True),
    "CrossBorderly's parcel": Id("crossborderly", lambda id_: wb.status_changed(id_, "ORDERED"), "data.trackingNumber", True),
    "CrossBorderly's status": Id("crossborderly", lambda id_: wb.status_changed(wb.uid("T"), id_), "data.newStatus", True),
    "CrossBorderly's exception": Id("crossborderly", lambda id_: wb.exception(wb.uid("T"), id_), "data.exceptionType", True),
    "CrossBorderly's shipment": Id("crossborderly", wb.manifest, "data.shipmentId", True),
    "Crowdsender's order": Id("crowdsender", lambda id_: with_data(wb.status_updated("o", "SHIPPED"), orderId=id_), "data.orderId", True),
    "Crowdsender's order number": Id(
        "crowdsender", lambda id_: with_data(wb.status_updated(wb.uid("o"), "SHIPPED"), orderNumber=id_), "data.orderNumber", False),
    "Crowdsender's reference": Id("crowdsender", lambda id_: with_data(wb.status_updated(wb.uid("o"), "SHIPPED"), _externalReferenceId=id_),
                                  "data._externalReferenceId", False),
    "Crowdsender's box": Id("crowdsender", lambda id_: wb.tracking_updated(wb.uid("o"), id_, "waiting"), "data.boxId", True),
    "Crowdsender's tracking number": Id("crowdsender", lambda id_: wb.tracking_updated(wb.uid("o"), "b", "waiting", trackId=id_), "data.trackId",
                                        False),
    "Crowdsender's courier": Id("crowdsender", lambda id_: wb.courier_updated(wb.uid("o"), id_), "data.newValue", True),
    "Shipup's tracker": Id("shipup", lambda id_: shipup_tracker(id=id_), "data.object.id", True),
    "Shipup's tracking number": Id("shipup", lambda id_: shipup_tracker(tracking_number=id_), "data.object.tracking_number", False),
    "SwiftPOD's event": Id("swiftpod", lambda id_: with_event(wb.order_notify(wb.number(), "shipped"), uuid=id_), "event.uuid", True),
    "SwiftPOD's order": Id("swiftpod", lambda id_: wb.order_notify(id_, "shipped", order_id=wb.uid()), "data.id", True),
    "SwiftPOD's order number": Id("swiftpod", lambda id_: wb.order_notify(wb.number(), "shipped", order_id=id_), "data.order_id", False),
}


def with_data(event: wb.Json, **changes: object) -> wb.Json:
    return {**event, "data": {**event["data"], **changes}}


def with_event(event: wb.Json, **changes: object) -> wb.Json:
    return {**event, "event": {**event["event"], **changes}}


def shipup_tracker(**changes: object) -> wb.Json:
    event = wb.shipup_event("tracker.new", wb.tracker(wb.number(), "pending"))
    event["data"]["object"].update(changes)
    return event


@pytest.mark.parametrize("filler", ["a", "ü", "\U0001f4e6"])
@pytest.mark.parametrize("name", IDS)
def test_ids_have_1_to_255_bytes(stack: Stack, name: str, filler: str) -> None:
    case = IDS[name]
    sender = stack.sender(case.source)
    assert sender.post(case.event(padded(255, filler))).outcome == APPLIED
    answer = sender.post(case.event(padded(256, filler)))
    assert answer.outcome == QUARANTINED and case.path in answer.json()["detail"], answer


@pytest.mark.parametrize("name", IDS)
def test_an_empty_id_is_none(stack: Stack, name: str) -> None:
    case = IDS[name]
    answer = stack.sender(case.source).post(case.event(""))
    assert answer.outcome == (QUARANTINED if case.required else APPLIED), answer
    assert not case.required or case.path in answer.json()["detail"], answer


def test_a_megabyte_of_id_is_quarantined(stack: Stack) -> None:
    body = wb.encode(wb.status_changed("T" * 1_000_000, "ORDERED"))
    assert stack.sender("crossborderly").post(body).outcome == QUARANTINED
    assert len(stack.stored(body)) == 1


def test_a_quarantined_id_can_come_again_corrected(each_stack: Stack) -> None:
    tracking = wb.uid("T")
    good = wb.status_changed(tracking, "IN_TRANSIT")
    bad = with_data(good, newStatus=["IN_TRANSIT"])
    sender = each_stack.sender("crossborderly")
    assert sender.post(bad).outcome == QUARANTINED
    assert sender.post(good).outcome == APPLIED
    assert each_stack.status.order("crossborderly", tracking)["status"] == "in_transit"
    rows = each_stack.report("SELECT outcome FROM waybill.deliveries WHERE event_id = %s ORDER BY received_at", good["id"])
    assert [row["outcome"] for row in rows] in (["quarantined", "applied"], ["applied"])
    assert [row["outcome"] for row in each_stack.stored(wb.encode(bad))] == ["quarantined"]


# ---- words ----


@dataclass(frozen=True)
class Word:
    source: str
    event: Callable[[int, str, float], wb.Json]  # order, word, minutes
    known: str
    status: str
    of_order: bool = False


WORDS = {
    "CrossBorderly": Word("crossborderly", lambda order, word, at: wb.status_changed(f"T{order}", word, wb.moment(at)), "PICKED_UP", "in_transit"),
    "Crowdsender's box": Word(
        "crowdsender", lambda order, word, at: wb.tracking_updated(f"o{order}", "b", word, wb.moment(at)), "on route", "in_transit"),
    "Crowdsender's order": Word(
        "crowdsender", lambda order, word, at: wb.status_updated(f"o{order}", word, wb.moment(at)), "SHIPPED", "in_transit", of_order=True),
    "Shipup": Word("shipup", lambda order, word, at: wb.shipup_event("tracker.new", wb.tracker(order, word, id=order), wb.unix(at)), "pickup",
                   "available_for_pickup"),
    "SwiftPOD's box": Word("swiftpod", lambda order, word, at: wb.shipment_notify(order, [wb.tracked(f"T{order}", word)], wb.moment(at)),
                           "available_for_pickup", "available_for_pickup"),
    "SwiftPOD's order": Word("swiftpod", lambda order, word, at: wb.order_notify(order, word, wb.moment(at)), "shipped", "in_transit", of_order=True),
}
ORDER_IDS = {"crossborderly": "T{}", "crowdsender": "o{}", "shipup": "{}", "swiftpod": "{}"}


@pytest.mark.parametrize("name", WORDS)
def test_an_unknown_word_is_kept_and_overwrites_nothing(stack: Stack, name: str) -> None:
    case, order = WORDS[name], wb.number()
    sender = stack.sender(case.source)

    def shown() -> tuple[str, str]:
        document = stack.status.order(case.source, ORDER_IDS[case.source].format(order))
        place = document if case.of_order else document["boxes"][0]
        return place["status"], place["provider_status"]

    sender.deliver(case.event(order, "Téléported ♥", 0))
    assert shown() == ("unknown", "Téléported ♥")
    sender.deliver(case.event(order, case.known, -10))
    assert shown() == (case.status, case.known)
    sender.deliver(case.event(order, "teleported again", 10))
    assert shown() == (case.status, case.known)


# ---- a wrong type in each field of each event ----


@dataclass(frozen=True)
class Kind:
    source: str
    event: Callable[[], wb.Json]
    required: frozenset[str]
    outcome: str = "applied"
    # Where a wrong type may quarantine, or fall back to another field.
    either: frozenset[str] = frozenset()


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def full_shipment() -> wb.Json:
    trackings = [wb.tracked(wb.uid("T"), "in_transit", {"a": 1}), wb.tracked(wb.uid("T"), "delivered", {"b": 2})]
    return wb.shipment_notify(wb.number(), trackings)


def full_tracker() -> wb.Json:
    point = {"opening_hours": {"tue": "06:30-19:00"}, "phone": "+33", "address": wb.shipup_address(city="Paris"), "map": {"google_maps_link": "https://m"}}
    return wb.tracker(wb.number(), "in_transit", [wb.scan("transit")], pickup_point=point, shipped_at=wb.unix(-9), delivered_at=wb.unix(),
                      displayable_expected_delivery_date="2024-05-03", displayable_expected_delivery_datetime=wb.unix(99))


KINDS = {
    "parcel.status_changed": Kind("crossborderly", lambda: wb.status_changed(wb.uid("T"), "IN_TRANSIT", previous="PICKED_UP"),
                                  names("id event data data.trackingNumber data.newStatus"), either=names("data.timestamp")),
    "parcel.delivered": Kind("crossborderly", lambda: wb.delivered(wb.uid("T")), names("id event data data.trackingNumber"),
                             either=names("data.deliveredAt")),
    "parcel.exception": Kind("crossborderly", lambda: wb.exception(wb.uid("T"), next_attempt=wb.moment(60)),
                             names("id event data data.trackingNumber data.exceptionType"), either=names("data.timestamp")),
    "manifest.submitted": Kind("crossborderly", lambda: wb.manifest(wb.uid("shp_")), names("id event timestamp data data.shipmentId")),
    "trackingUpdated": Kind("crowdsender", lambda: wb.tracking_updated(wb.uid("o"), "b", "generated label", previous="waiting", **wb.label("T")),
                            names("type createdAt data data.orderId data.boxId data.newValue")),
    "statusUpdated": Kind("crowdsender", lambda: wb.status_updated(wb.uid("o"), "SHIPPED", previous="REGISTERED"),
                          names("type createdAt data data.orderId data.newValue")),
    "sendDateUpdated": Kind("crowdsender", lambda: wb.send_date_updated(wb.uid("o"), wb.moment(60), previous=wb.moment(30)),
                            names("type createdAt data data.orderId data.newValue")),
    "courierUpdated": Kind("crowdsender", lambda: wb.courier_updated(wb.uid("o"), "c2", previous="c1"),
                           names("type createdAt data data.orderId data.newValue")),
    "destinationAddressUpdated": Kind("crowdsender", lambda: wb.destination_updated(wb.uid("o"), previous=wb.recipient()),
                                      names("type createdAt data data.orderId data.newValue")),
    "tracker.new": Kind("shipup", lambda: wb.shipup_event("tracker.new", full_tracker()),
                        names("id type created_at data data.object data.object.id")),
    "tracker.events.new": Kind("shipup", lambda: wb.shipup_event("tracker.events.new", full_tracker()),
                               names("id type created_at data data.object data.object.id")),
    "notification.new": Kind("shipup", lambda: wb.shipup_event("notification.new", {"id": wb.number()}), names("type"), "ignored",
                             names("id created_at data data.object data.object.id")),
    "feedback.new": Kind("shipup", lambda: wb.shipup_event("feedback.new", {"id": wb.number()}), names("type"), "ignored",
                         names("id created_at data data.object data.object.id")),
    "order_notify": Kind("swiftpod", lambda: wb.order_notify(wb.number(), "shipped"), names("event event.uuid event.name data data.id"),
                         either=names("event.timestamp")),
    "shipment_notify": Kind("swiftpod", full_shipment, names("event event.uuid event.name data data.id"), either=names("event.timestamp")),
    "stock_notify": Kind("swiftpod", wb.stock_notify, names("event event.name"), "ignored", names("event.uuid event.timestamp data data.id")),
}


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every member and element."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield (*path, key)
        yield from places(inner, (*path, key))


def wrong_types(value: object) -> list[object]:
    """Values of types that no sender uses where VALUE stands."""
    if isinstance(value, dict):
        return ["a text", 7, [], None]
    if isinstance(value, list):
        return ["a text", 7, {}, [[], 7, "a text", None]]
    return [{"an": "object"}, [value], 7.5, not isinstance(value, bool)] if not isinstance(value, bool) else [{"an": "object"}, [value], 7.5, "perhaps"]


def replaced(event: wb.Json, place: tuple[str | int, ...], value: object) -> wb.Json:
    event = copy.deepcopy(event)
    inner = event
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return event


def dotted(place: tuple[str | int, ...]) -> str:
    return ".".join(str(key) for key in place)


# What decides live or sandbox is never guessed.
WORLDS = names("environment liveMode livemode data.test_order")

CASES = [(kind, place) for kind, case in KINDS.items() for place in places(case.event())]


@pytest.mark.parametrize("kind,place", CASES, ids=[f"{kind}-{dotted(place)}" for kind, place in CASES])
def test_a_wrong_type_quarantines_or_counts_as_null(stack: Stack, kind: str, place: tuple[str | int, ...]) -> None:
    case, path = KINDS[kind], dotted(place)
    sender = stack.sender(case.source)
    for wrong in wrong_types(value_at(case.event(), place)):
        body = wb.encode(replaced(case.event(), place, wrong))
        answer = sender.post(body)
        if path in WORLDS:
            assert answer.outcome == ((200, case.outcome) if wrong is None else QUARANTINED), (wrong, answer)
        elif path in case.either:
            assert answer.outcome in (QUARANTINED, (200, case.outcome)), (wrong, answer)
        elif path in case.required:
            assert answer.outcome == QUARANTINED and path in answer.json()["detail"], (wrong, answer)
        else:
            assert answer.outcome == (200, case.outcome), (wrong, answer)
        assert [bytes(row["body"]) for row in stack.stored(body)] == [body]


def value_at(event: wb.Json, place: tuple[str | int, ...]) -> object:
    value: object = event
    for key in place:
        value = value[key]  # type: ignore[index]
    return value


def test_what_was_of_a_wrong_type_is_null(stack: Stack) -> None:
    """Nothing but the required fields, and the rest of wrong types: the same as without it."""
    order, other = wb.number(), wb.number()
    event = wb.shipup_event("tracker.new", {name: [7] for name in wb.tracker(1, "pending")} | {"id": order})
    stack.sender("shipup").deliver(event)
    bare = wb.shipup_event("tracker.new", {"id": other})
    stack.sender("shipup").deliver(bare)
    documents = [stack.status.order("shipup", f"tracker-{one}") for one in (order, other)]
    texts = [json.dumps(wb.comparable(document)).replace(str(one), "id") for document, one in zip(documents, (order, other))]
    assert texts[0] == texts[1]
