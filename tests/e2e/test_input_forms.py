"""Every field of every event in every form that a sender may write: what is stored, what counts as null and is named, what is quarantined.

The bodies are those of tests/golden; each form states its end by hand. The requests of one test go out together, for they are some thousands.
"""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Iterator

import pytest

import waybill_client as wb
from waybill_stack import CHECKOUT, Stack

pytestmark = pytest.mark.usefixtures("steady")

GOLDEN = CHECKOUT / "tests" / "golden"
LONG = 94001001093611292783570001
AS_SENT = object()  # the text that the document shows is the value's own


@dataclass(frozen=True)
class Form:
    """A value in a body, and its end: its text where the field is shown, IGNORED or QUARANTINED."""

    value: object
    end: object


IGNORED, QUARANTINED, NULL = "ignored", "quarantined", None
NO_TYPE = [Form(value, IGNORED) for value in (True, False, 1.5, [], ["a"], {}, {"a": 1})]
NOTHING = [Form(None, NULL), Form("", NULL)]

FORMS: dict[str, list[Form]] = {
    "id": [Form("aB 1", "aB 1"), Form(7, "7"), Form(LONG, str(LONG)), Form(-3, "-3"), Form("x" * 256, QUARANTINED), *NOTHING, *NO_TYPE],
    "text": [Form("aB 1", "aB 1"), Form(7, "7"), Form(LONG, str(LONG)), Form("x" * 5000, "x" * 4096), *NOTHING, *NO_TYPE],
    # A country or a code of one.
    "code": [Form("Narnia", "Narnia"), Form("nl", "NL"), Form(7, "7"), *NOTHING, *NO_TYPE],
    "carrier": [Form("DHL", "dhl"), Form(7, "7"), *NOTHING, *NO_TYPE],
    "link": [Form("https://x.test/1", "https://x.test/1"), Form("https://" + "x" * 2048, IGNORED), Form(7, IGNORED), *NOTHING, *NO_TYPE],
    "integer": [Form(7, 7), Form("7", 7), Form("seven", IGNORED), Form("7.0", IGNORED), Form(LONG, IGNORED), *NOTHING, *NO_TYPE],
    "switch": [Form(True, True), Form(False, False), Form(None, False), Form("", False), *(Form(v, IGNORED) for v in (1, "true", 1.5, [], {}))],
    "object": [Form({}, AS_SENT), Form(None, AS_SENT), Form("", AS_SENT), *(Form(v, IGNORED) for v in (True, 7, LONG, 1.5, "a", [], ["a"]))],
    "list": [Form([], AS_SENT), Form(None, AS_SENT), Form("", AS_SENT), *(Form(v, IGNORED) for v in (True, 7, LONG, 1.5, "a", {}, {"a": 1}))],
}

UTC = "2024-05-01T12:00:00.000Z"
GOOD_TIMES: dict[object, str] = {
    "2024-05-01T12:00:00Z": UTC, "2024-05-01T12:00:00.000Z": UTC, "2024-05-01T12:00:00.000000Z": UTC, "2024-05-01t12:00:00z": UTC,
    "2024-05-01 12:00:00Z": UTC, "2024-05-01T12:00:00+00:00": UTC, "2024-05-01T12:00:00+0000": UTC, "2024-05-01T12:00:00+00": UTC,
    "2024-05-01T14:00:00+02:00": UTC, "2024-05-01T14:00:00+0200": UTC, "2024-05-01T14:00:00+02": UTC, "2024-05-01T06:30:00-05:30": UTC,
    "2024-05-01T12:00Z": UTC, "2024-05-01T12:00": UTC, "2024-05-01 12:00": UTC, "2024-05-01T12:00:00": UTC, "2024-05-01 14:00 +0200": UTC,
    1714564800: UTC, "1714564800": UTC, 1714564800000: UTC, "1714564800000": UTC, 1714564800123: "2024-05-01T12:00:00.123Z",
    "2024-05-01": "2024-05-01T00:00:00.000Z",
}
BAD_TIMES: list[object] = [
    "soon", "2024-05-01T25:00:00Z", "2024-02-30", "2024-05", "20240501", "2024-05-01T12", "01.05.2024", "12:00", "2024-05-01T12:00:00+24:00",
    "1999-12-31", 0, 7, "7", LONG, str(LONG), True, 1714564800.5, [], {}, [1714564800],
]
FORMS["time"] = [Form(text, shown) for text, shown in GOOD_TIMES.items()] + [Form(value, IGNORED) for value in BAD_TIMES] + NOTHING
FORMS["date"] = [
    Form("2024-05-01", "2024-05-01"), Form("2024-05-01T22:00:00Z", "2024-05-01"), Form(1714564800, "2024-05-01"), Form("1714564800000", "2024-05-01"),
    *NOTHING, *(Form(value, IGNORED) for value in ("soon", "2024-02-30", "1999-12-31", 7, LONG, True, 1.5, [], {})),
]
# The time that orders the event; what it may fall back to is left out of the body.
FORMS["event time"] = [Form(text, shown) for text, shown in GOOD_TIMES.items()] + [
    Form(value, QUARANTINED) for value in (*BAD_TIMES, None, "")]
FORMS["required"] = [Form(value, QUARANTINED) for value in (None, "", True, 1.5, [], ["a"], {})]

CROWDSENDER = "id data.orderNumber > order_number\nid data._externalReferenceId > external_reference\n"
CROWDSENDER_REQUIRED = "required type\nrequired data.orderId\n"
ADDRESS = "text name > destination.name\ntext city > destination.city\ntext zip > destination.zip\n"

# A line for each field: its kind, its path, and where the order's document shows it.
FIELDS: dict[tuple[str, str], str] = {
    ("crowdsender", "trackingUpdated"): CROWDSENDER + CROWDSENDER_REQUIRED + """event time createdAt > boxes.0.status_at
        id data.previousValue\nid data.trackId > boxes.0.tracking_number\nlist data.documents\nid data.documents.0.typeFile
        link data.documents.0.uri\nrequired data.boxId\nrequired data.newValue""",
    ("crowdsender", "statusUpdated"): CROWDSENDER + CROWDSENDER_REQUIRED + """event time createdAt > status_at
        id data.previousValue\nrequired data.newValue""",
    ("crowdsender", "sendDateUpdated"): CROWDSENDER + CROWDSENDER_REQUIRED + "time data.previousValue\nevent time data.newValue > send_date",
    ("crowdsender", "courierUpdated"): CROWDSENDER + CROWDSENDER_REQUIRED + "id data.previousValue\nrequired data.newValue",
    ("crowdsender", "destinationAddressUpdated"): CROWDSENDER + CROWDSENDER_REQUIRED + """object data.previousValue\nobject data.newValue.phone
        text data.newValue.zip > destination.zip\ntext data.newValue.city > destination.city\ntext data.newValue.email > destination.email
        text data.newValue.details > destination.details\ntext data.newValue.province > destination.province\ntext data.newValue.name
        text data.newValue.surnames\ntext data.newValue.number\ntext data.newValue.street\ntext data.newValue.phone.prefix
        text data.newValue.phone.number\ncode data.newValue.country > destination.country""",
    ("crossborderly", "parcel.status_changed"): """id data.previousStatus\ntext data.location > boxes.0.location\nrequired data.newStatus
        event time data.timestamp > boxes.0.status_at\nrequired data.trackingNumber\nrequired id\nrequired event""",
    ("crossborderly", "parcel.delivered"): """text data.signature > boxes.0.signed_by\nlink data.proofOfDelivery > boxes.0.proof_of_delivery
        text data.location > boxes.0.location\nevent time data.deliveredAt > delivered_at\nrequired data.trackingNumber""",
    ("crossborderly", "parcel.exception"): """time data.nextAttempt > boxes.0.next_attempt_at\ntext data.reason > boxes.0.events.0.message
        event time data.timestamp > boxes.0.status_at\nrequired data.exceptionType\nrequired data.trackingNumber""",
    ("crossborderly", "manifest.submitted"): """id data.awbNumber\ncode data.country\ninteger data.parcelCount\nrequired data.shipmentId""",
    ("shipup", "tracker.events.new"): """id data.object.delivery_status_code > boxes.0.provider_status\ntime data.object.delivered_at
        carrier data.object.carrier_code\nlink data.object.carrier_tracking_url > boxes.0.tracking_url\ntime data.object.shipped_at
        date data.object.displayable_expected_delivery_date > boxes.0.estimated_delivery_date\nid data.object.tracking_number > boxes.0.tracking_number
        time data.object.displayable_expected_delivery_datetime > boxes.0.estimated_delivery_at\nobject data.object.fulfillment.shipping_address
        id data.object.fulfillment.order.order_number > order_number\nid data.object.fulfillment.order.merchant_id > external_reference
        text data.object.fulfillment.order.email > destination.email\ntext data.object.fulfillment.order.phone > destination.phone
        text data.object.fulfillment.shipping_address.zip > destination.zip\ntext data.object.fulfillment.shipping_address.city > destination.city
        text data.object.fulfillment.shipping_address.address1 > destination.street\ncode data.object.fulfillment.shipping_address.country_code
        object data.object.pickup_point\nobject data.object.pickup_point.address\nobject data.object.pickup_point.opening_hours
        text data.object.pickup_point.phone > boxes.0.pickup_point.phone\nlink data.object.pickup_point.map.google_maps_link
        list data.object.events\nobject data.object.events.0.address\ntime data.object.events.0.happened_at
        id data.object.events.0.event_type_code\ntext data.object.events.0.message\nevent time created_at
        required data.object.id\nrequired type\nrequired id""",
    ("swiftpod", "shipment_notify"): """id data.order_id > order_number\nid data.status > provider_status\nobject data.address
        text data.address.phone > destination.phone\ntext data.address.zip > destination.zip\ntext data.address.street1 > destination.street
        code data.address.country > destination.country\nlist data.trackings\nid data.trackings.0.status > boxes.0.provider_status
        carrier data.trackings.0.carrier > boxes.0.carrier\nlink data.trackings.0.tracking_url > boxes.0.tracking_url\nlink data.trackings.0.label_url
        list data.trackings.0.shipped_items\nid data.trackings.0.shipped_items.0.order_item_id > boxes.0.items.0.id
        integer data.trackings.0.shipped_items.0.quantity > boxes.0.items.0.quantity\nobject event.tracking\nid event.tracking.tracking_status
        event time event.timestamp > status_at\nrequired event.uuid\nrequired event.name\nrequired data.id""",
    ("swiftpod", "order_notify"): """id data.order_id > order_number\nid data.status > provider_status\ntext data.address.name > destination.name
        event time event.timestamp > status_at\nrequired event.uuid\nrequired data.id""",
    ("waybill", "order.updated"): """id data.order_number > order_number\nid data.external_reference > external_reference\nid data.courier_id > courier_id
        time data.send_date > send_date\ntime data.status_at\nobject data.destination\ntext data.destination.zip > destination.zip
        text data.destination.phone > destination.phone\nid data.boxes.0.tracking_number > boxes.0.tracking_number\ncarrier data.boxes.0.carrier > boxes.0.carrier
        link data.boxes.0.tracking_url > boxes.0.tracking_url\ntext data.boxes.0.location > boxes.0.location
        time data.boxes.0.next_attempt_at > boxes.0.next_attempt_at\ntime data.boxes.0.shipped_at
        date data.boxes.0.estimated_delivery_date > boxes.0.estimated_delivery_date\ntime data.boxes.0.estimated_delivery_at > boxes.0.estimated_delivery_at
        list data.boxes.0.documents\nlist data.boxes.0.items\nlist data.boxes.0.events\nevent time timestamp\nrequired type\nrequired data.id\nrequired data.boxes.0.id""",
}


@dataclass
class Case:
    source: str
    event: str
    kind: str
    path: str
    shown: str
    form: Form
    order: str = ""
    answer: wb.Json = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.source} {self.event} {self.path} = {json.dumps(self.form.value)[:80]}: {json.dumps(self.answer)[:300]}"


def fields() -> Iterator[tuple[str, str, str, str, str]]:
    for (source, event), lines in FIELDS.items():
        for line in lines.split("\n"):
            what, _, shown = line.strip().partition(" > ")
            kind, _, path = what.rpartition(" ")
            yield source, event, kind, path, shown


def at(value: object, path: str) -> object:
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]  # type: ignore[index]
    return value


def put(value: object, path: str, new: object) -> None:
    before, _, last = path.rpartition(".")
    inner = at(value, before) if before else value
    inner[int(last) if isinstance(inner, list) else last] = new  # type: ignore[index]


def body_of(case: Case) -> wb.Json:
    """The golden body as an order and an event of its own, with the value in its place."""
    body = json.loads((GOLDEN / case.source / case.event / "body.json").read_text())
    fresh = wb.number()
    case.order = str(fresh)
    if case.source == "crowdsender":
        body["data"]["orderId"] = case.order
    elif case.source == "crossborderly":
        body["id"], body["timestamp"] = wb.uid("evt_"), None if case.kind == "event time" else wb.moment()
        body["data"]["shipmentId" if case.event == "manifest.submitted" else "trackingNumber"] = case.order
    elif case.source == "shipup":
        body["id"], body["data"]["object"]["fulfillment"]["order"]["id"] = wb.number(), fresh
    elif case.source == "swiftpod":
        body["event"]["uuid"], body["data"]["id"] = wb.uid(), fresh
        if case.kind == "event time":
            del body["data"]["updated_at"]
    else:
        body["id"], body["data"]["id"] = wb.uid(), case.order
    put(body, case.path, copy.deepcopy(case.form.value))
    return body


def send_all(stack: Stack, cases: list[Case]) -> None:
    senders = {source: stack.sender(source) for source in {case.source for case in cases}}

    def send(case: Case) -> None:
        answer = senders[case.source].post(body_of(case))
        assert answer.status == 200, (str(case), answer)
        case.answer = answer.json()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, cases))


def dotted(path: str) -> str:
    """data.trackings.0.status as a detail writes it."""
    return "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in path.split("."))[1:]


def check_end(case: Case) -> str | None:
    """The answer; gives the detail that must be stored."""
    detail, outcome = case.answer.get("detail"), case.answer["outcome"]
    if case.form.end is QUARANTINED:
        assert outcome == "quarantined" and detail.startswith(dotted(case.path).split("[")[0]), str(case)
    elif case.form.end is IGNORED:
        assert outcome == "applied" and detail.startswith("ignored: ") and dotted(case.path) in detail, str(case)
    else:
        assert outcome == "applied" and detail is None, str(case)
    return detail


def is_looked_at(case: Case) -> bool:
    return bool(case.shown) and case.form.end not in (QUARANTINED, AS_SENT)


def check_shown(stack: Stack, case: Case) -> None:
    document = stack.status.order(case.source, case.order)
    expected = NULL if case.form.end is IGNORED else case.form.end
    inner, _, last = case.shown.rpartition(".")
    try:
        found = at(document, case.shown)
    except (TypeError, IndexError):  # the whole of it is null
        found = None
    if last == "status_at" or (expected is NULL and last in ("delivered_at", "provider_status", "id")):
        assert expected is NULL or found == expected, (str(case), found, inner)
    else:
        assert found == expected, (str(case), found)


def test_every_field_in_every_form(stack: Stack) -> None:
    cases = [Case(*what, form) for what in fields() for form in FORMS[what[2]]]
    send_all(stack, cases)
    details = {case.answer["delivery"]: check_end(case) for case in cases}
    rows = stack.report("SELECT delivery_id::text, detail, live FROM waybill.deliveries WHERE delivery_id = ANY (%s::uuid[])", list(details))
    assert {row["delivery_id"]: row["detail"] for row in rows} == details
    looked_at = [case for case in cases if is_looked_at(case)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda case: check_shown(stack, case), looked_at))
    assert len(cases) > 2000 and len(looked_at) > 700


# ---- live or sandbox ----

LIVE, SANDBOX = True, False
FLAGS = [Form(value, LIVE) for value in (True, 1, "true", "True", "TRUE", "1", None)]
FLAGS += [Form(value, SANDBOX) for value in (False, 0, "false", "False", "FALSE", "0")]
FLAGS += [Form(value, QUARANTINED) for value in ("", "maybe", "yes", "live", 2, -1, 1.0, 0.5, [], {}, [True], LONG, "truee", "01")]
ENVIRONMENTS = [Form(value, LIVE) for value in ("production", "Production", "PRODUCTION", "live", "Live", None)]
ENVIRONMENTS += [Form(value, SANDBOX) for value in ("sandbox", "SandBox", "SANDBOX", "test", "Test", "TEST")]
ENVIRONMENTS += [Form(value, QUARANTINED) for value in ("", "staging", "prod", "true", True, False, 1, 0, [], {}, ["test"], 1.5)]

# The members that decide; of a test order, true is the sandbox.
DECIDES = {"crowdsender": "liveMode", "crossborderly": "environment", "shipup": "livemode", "swiftpod": "data.test_order", "waybill": "data.live"}


def world_cases() -> Iterator[Case]:
    for source, event in FIELDS:
        for form in ENVIRONMENTS if source == "crossborderly" else FLAGS:
            turned = source == "swiftpod" and form.value is not None and form.end is not QUARANTINED
            yield Case(source, event, "flag", DECIDES[source], "", Form(form.value, not form.end) if turned else form)


def test_live_or_sandbox_in_every_form(stack: Stack) -> None:
    cases = list(world_cases())
    send_all(stack, cases)
    for case in cases:
        if case.form.end is QUARANTINED:
            detail = case.answer.get("detail") or ""
            assert case.answer["outcome"] == "quarantined" and detail.startswith(case.path + ": neither "), str(case)
        else:
            assert case.answer["outcome"] == "applied", str(case)
    rows = stack.report(
        "SELECT delivery_id::text, live FROM waybill.deliveries WHERE delivery_id = ANY (%s::uuid[])", [case.answer["delivery"] for case in cases])
    live = {row["delivery_id"]: row["live"] for row in rows}
    assert [str(case) for case in cases if live[case.answer["delivery"]] is not (None if case.form.end is QUARANTINED else case.form.end)] == []


# ---- what the configuration adds ----

ZONED: dict[object, str] = {
    "2026-03-02": "2026-03-01T23:00:00.000Z", "2026-07-02": "2026-07-01T22:00:00.000Z", "2026-07-02T10:00": "2026-07-02T08:00:00.000Z",
    "2026-07-02 10:00:00": "2026-07-02T08:00:00.000Z", "2026-07-02T10:00:00Z": "2026-07-02T10:00:00.000Z",
    "2026-10-25T02:30": "2026-10-25T00:30:00.000Z", "2026-03-29T02:30": "2026-03-29T01:30:00.000Z", 1714564800: UTC,
}


def test_times_without_a_zone_are_those_of_the_source(own_stack: Stack) -> None:
    def zoned(text: str) -> str:
        return text.replace("source crossborderly {", 'source crossborderly {\n  timezone = "Europe/Madrid"\n  carrier = "SEUR"')

    with own_stack.configured(zoned):
        cases = [Case("crossborderly", "parcel.exception", "time", "data.nextAttempt", "boxes.0.next_attempt_at", Form(*one)) for one in ZONED.items()]
        send_all(own_stack, cases)
        for case in cases:
            check_end(case)
            check_shown(own_stack, case)
            assert own_stack.status.order(case.source, case.order)["boxes"][0]["carrier"] == "seur"
        before = [wb.comparable(own_stack.status.order(case.source, case.order)) for case in cases]
        result = own_stack.waybill("rebuild")
        assert result.returncode == 0, result
        assert [wb.comparable(own_stack.status.order(case.source, case.order)) for case in cases] == before


BAD_ZONES = {'"Europe/Atlantis"': "there is no time zone", '"../passwd"': "is no name of a time zone", '""': "is no name of a time zone"}


@pytest.mark.parametrize("zone", BAD_ZONES)
def test_an_unknown_zone_is_named_with_its_line(stack: Stack, zone: str) -> None:
    config = stack.another_config(wb.uid() + ".conf", stack.config.read_text().replace("source shipup {", "source shipup {\n  timezone = " + zone))
    result = stack.waybill("check", WAYBILL_CONFIG=str(config))
    line = config.read_text().split("timezone")[0].count("\n") + 1
    assert result.returncode == 2 and f"{config.name}:{line}: source shipup: timezone: " in result.stderr and BAD_ZONES[zone] in result.stderr


# ---- numbers longer than any integer ----


def test_the_raw_bytes_of_a_long_number_stay(stack: Stack) -> None:
    event = wb.status_changed(wb.uid("T"), "IN_TRANSIT")
    number = str(wb.number()) * 3
    body = wb.encode(event).replace(wb.encode(event["data"]["trackingNumber"]), number.encode())
    stack.sender("crossborderly").deliver(body)
    assert [bytes(row["body"]) for row in stack.stored(body)] == [body]
    assert stack.status.order("crossborderly", number)["boxes"][0]["tracking_number"] == number
    answer = stack.sender("crossborderly").post(body.replace(number.encode(), b"1e999"))
    assert answer.status == 400 and "a number is too large" in answer.json()["detail"]
