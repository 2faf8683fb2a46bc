"""The answers of the webhook endpoint, through each web server: what each situation is answered, and in which order it is looked for."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Callable, Mapping

import pytest

import waybill_client as wb
from conftest import Stacks
from http_plain import Answer, chunked, head, request, send_raw
from waybill_stack import Stack

pytestmark = pytest.mark.usefixtures("steady")

MAX_BODY = 1 << 20
CHALLENGE = 'Basic realm="waybill", Bearer'

# ---- understood ----


def of_every_kind() -> dict[str, tuple[str, wb.Json, str]]:
    """Every event of every sender: source, event, outcome."""
    order, tracking, shipup_order, swiftpod_order = wb.uid("o"), wb.uid("T"), wb.number(), wb.number()
    return {
        "parcel.status_changed": ("crossborderly", wb.status_changed(tracking, "IN_TRANSIT"), "applied"),
        "parcel.delivered": ("crossborderly", wb.delivered(tracking), "applied"),
        "parcel.exception": ("crossborderly", wb.exception(tracking), "applied"),
        "manifest.submitted": ("crossborderly", wb.manifest(wb.uid("shp_")), "applied"),
        "trackingUpdated": ("crowdsender", wb.tracking_updated(order, "box", "generated label", **wb.label(tracking)), "applied"),
        "statusUpdated": ("crowdsender", wb.status_updated(order, "SHIPPED"), "applied"),
        "sendDateUpdated": ("crowdsender", wb.send_date_updated(order, wb.moment(60)), "applied"),
        "courierUpdated": ("crowdsender", wb.courier_updated(order, "courier-2", previous="courier-1"), "applied"),
        "destinationAddressUpdated": ("crowdsender", wb.destination_updated(order), "applied"),
        "tracker.new": ("shipup", wb.shipup_event("tracker.new", wb.tracker(shipup_order, "pending")), "applied"),
        "tracker.events.new": (
            "shipup", wb.shipup_event("tracker.events.new", wb.tracker(shipup_order, "in_transit", [wb.scan("transit")])), "applied"),
        "notification.new": ("shipup", wb.shipup_event("notification.new", {"id": wb.number(), "object": "notification"}), "ignored"),
        "feedback.new": ("shipup", wb.shipup_event("feedback.new", {"id": wb.number(), "object": "feedback"}), "ignored"),
        "order_notify": ("swiftpod", wb.order_notify(swiftpod_order, "in_production"), "applied"),
        "shipment_notify": ("swiftpod", wb.shipment_notify(swiftpod_order, [wb.tracked(tracking, "in_transit")]), "applied"),
        "stock_notify": ("swiftpod", wb.stock_notify(), "ignored"),
        "order.updated": ("waybill", wb.order_updated(wb.uid("o"), status="pending"), "applied"),
        "ping": ("waybill", {"id": wb.uid(), "type": "ping"}, "ignored"),
    }


@pytest.mark.tsan
@pytest.mark.parametrize("kind", of_every_kind())
def test_an_understood_event_is_stored_once(each_stack: Stack, kind: str) -> None:
    source, event, outcome = of_every_kind()[kind]
    body = wb.encode(event)
    sender = each_stack.sender(source)

    answer = sender.post(body)
    assert answer.status == 200 and answer.header("Content-Type") == "application/json", answer
    assert answer.json() == {"received": True, "outcome": outcome, "delivery": answer.json()["delivery"]}
    again = sender.post(body)
    assert again.json() == {"received": True, "outcome": "duplicate", "delivery": answer.json()["delivery"]}

    (row,) = each_stack.stored(body)
    assert (str(row["delivery_id"]), row["outcome"], row["event_type"]) == (answer.json()["delivery"], outcome, kind)
    assert (bytes(row["body"]), row["body_bytes"], row["times_received"], row["live"]) == (body, len(body), 2, True)


def test_a_check_of_the_url_is_answered(each_stack: Stack) -> None:
    assert each_stack.sender("shipup").post(wb.URL_CHECK).outcome == (200, "ignored")


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(one) for one in value] if isinstance(value, list) else value


RESENT: dict[str, Callable[[wb.Json], bytes]] = {
    "other white space": lambda event: json.dumps(event, indent="\t", ensure_ascii=False).replace("\n", "\r\n").encode(),
    "white space around it": lambda event: b" \r\n\t" + wb.encode(event) + b"\n ",
    "another order of the keys": lambda event: wb.encode(reversed_keys(event)),
    "escapes instead of letters": lambda event: json.dumps(event, ensure_ascii=True).replace("/", "\\/").encode(),
    "another resend counter": lambda event: wb.encode({**event, "retry_count": 3}),
    "no resend counter": lambda event: wb.encode({name: value for name, value in event.items() if name != "retry_count"}),
}


@pytest.mark.parametrize("resent", RESENT)
def test_the_same_content_is_a_duplicate(each_stack: Stack, resent: str) -> None:
    tracker = wb.tracker(wb.number(), "in_transit", [wb.scan("transit", message="Zürich – 東京")])
    event = wb.shipup_event("tracker.events.new", tracker)
    sender = each_stack.sender("shipup")
    first = sender.deliver(event)
    assert RESENT[resent](event) != wb.encode(event)
    assert sender.deliver(RESENT[resent](event), "duplicate") == first
    assert each_stack.delivery(first)["times_received"] == 2


OTHER_CONTENT: dict[str, Callable[[wb.Json], wb.Json]] = {
    "another value": lambda event: {**event, "timestamp": wb.moment(1)},
    "another type": lambda event: {**event, "environment": None},
    "one more key": lambda event: {**event, "extra": None},
    "a counter that its sender does not have": lambda event: {**event, "retry_count": 1},
}


@pytest.mark.parametrize("change", OTHER_CONTENT)
def test_other_content_under_the_same_id_is_an_event_of_its_own(each_stack: Stack, change: str) -> None:
    sender = each_stack.sender("crossborderly")
    event = wb.status_changed(wb.uid("T"), "IN_TRANSIT")
    first, second = sender.deliver(event), sender.deliver(OTHER_CONTENT[change](event))
    assert first != second
    rows = each_stack.report("SELECT event_id, outcome, conflict FROM waybill.deliveries WHERE delivery_id = ANY (%s::uuid[])", [first, second])
    assert rows == 2 * [{"event_id": event["id"], "outcome": "applied", "conflict": True}]


# ---- authentic, but not understood ----


def without(event: wb.Json, *path: str) -> wb.Json:
    inner = event if len(path) == 1 else without(event[path[0]], *path[1:])
    return {name: value for name, value in event.items() if name != path[0]} if len(path) == 1 else {**event, path[0]: inner}


@dataclass(frozen=True)
class Strange:
    source: str
    event: Callable[[], object]
    path: str  # that the detail names


STRANGE = {
    "an event CrossBorderly does not have": Strange("crossborderly", lambda: wb.crossborderly_event("parcel.teleported", {}), "event"),
    "an event Crowdsender does not have": Strange("crowdsender", lambda: wb.crowdsender_event("teleported", wb.uid(), "x"), "type"),
    "an event Shipup does not have": Strange("shipup", lambda: wb.shipup_event("tracker.teleported", wb.tracker(1, "pending")), "type"),
    "an event SwiftPOD does not have": Strange("swiftpod", lambda: wb.swiftpod_event("teleport_notify", {"id": 1}), "event.name"),
    "no status": Strange("crossborderly", lambda: without(wb.status_changed(wb.uid("T"), "X"), "data", "newStatus"), "data.newStatus"),
    "no event id": Strange("crossborderly", lambda: without(wb.status_changed(wb.uid("T"), "DELIVERED"), "id"), "id"),
    "no box": Strange("crowdsender", lambda: without(wb.tracking_updated(wb.uid(), "b", "waiting"), "data", "boxId"), "data.boxId"),
    "no tracker id": Strange("shipup", lambda: without(wb.shipup_event("tracker.new", wb.tracker(1, "pending")), "data", "object", "id"),
                             "data.object.id"),
    "no order id": Strange("swiftpod", lambda: without(wb.order_notify(wb.number(), "shipped"), "data", "id"), "data.id"),
    "a number": Strange("crossborderly", lambda: wb.number(), ""),
    "a text": Strange("crowdsender", lambda: wb.uid(), ""),
    "a list": Strange("shipup", lambda: [wb.number()], ""),
    "an empty object": Strange("swiftpod", lambda: {}, "event.name"),
    "null": Strange("crossborderly", lambda: None, ""),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_json_that_is_not_understood_is_quarantined(each_stack: Stack, strange: str) -> None:
    case = STRANGE[strange]
    body = wb.encode(case.event())
    answer = each_stack.sender(case.source).post(body)
    assert answer.outcome == (200, "quarantined"), answer
    detail = answer.json()["detail"]
    assert re.search(rf"(^|[^\w.]){re.escape(case.path)}($|[^\w.])", detail), detail
    (row,) = each_stack.stored(body, case.source)
    assert str(row["delivery_id"]) == answer.json()["delivery"]
    assert (row["outcome"], row["detail"], bytes(row["body"])) == ("quarantined", detail, body)


@dataclass(frozen=True)
class Unreadable:
    body: Callable[[], bytes]
    kept: bool = True


def event_with(raw: bytes) -> bytes:
    """An event with RAW in the place of a text."""
    return wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT", at="@")).replace(b'"@"', raw)


UNREADABLE = {
    "empty": Unreadable(lambda: b"", kept=False),
    "white space": Unreadable(lambda: bytes(random.choices(b" \t\r\n", k=100))),
    "plain text": Unreadable(lambda: b"hello " + wb.uid().encode()),
    "a form": Unreadable(lambda: b"a=1&b=" + wb.uid().encode()),
    "an unfinished object": Unreadable(lambda: event_with(b'"x"')[:-1]),
    "two documents": Unreadable(lambda: 2 * event_with(b'"x"')),
    "a trailing comma": Unreadable(lambda: event_with(b'"x",')),
    "single quotes": Unreadable(lambda: event_with(b"'x'")),
    "a comment": Unreadable(lambda: event_with(b'/* x */ "x"')),
    "NaN": Unreadable(lambda: event_with(b"NaN")),
    "a raw line feed in a text": Unreadable(lambda: event_with(b'"\n"')),
    "a raw NUL in a text": Unreadable(lambda: event_with(b'"\0"')),
    "a raw NUL between": Unreadable(lambda: event_with(b'"x"\0')),
    "a raw NUL after a number": Unreadable(lambda: event_with(b"7\0")),
    "a raw NUL at the end": Unreadable(lambda: event_with(b'"x"') + b"\0"),
    "Latin-1": Unreadable(lambda: event_with(b'"M\xfcnchen"')),
    "an overlong sequence": Unreadable(lambda: event_with(b'"\xc0\xaf"')),
    "half a character": Unreadable(lambda: event_with(b'"\xe2\x82"')),
    "a surrogate in UTF-8": Unreadable(lambda: event_with(b'"\xed\xa0\x80"')),
    "UTF-16": Unreadable(lambda: wb.encode(wb.status_changed(wb.uid("T"), "X")).decode().encode("utf-16")),
    "more than a double": Unreadable(lambda: event_with(b"1e400")),
    "less than a double": Unreadable(lambda: event_with(b"-1.5e999999999")),
}


@pytest.mark.parametrize("unreadable", UNREADABLE)
def test_what_is_no_json_is_refused_and_kept(each_stack: Stack, unreadable: str) -> None:
    case = UNREADABLE[unreadable]
    body = case.body()
    answer = each_stack.sender("crossborderly").post(body)
    assert answer.status == 400, answer
    rows = each_stack.stored(body)
    assert [(row["source"], row["outcome"], bytes(row["body"])) for row in rows] == [("crossborderly", "quarantined", body)] * case.kept
    if case.kept:
        assert re.search(r"line\W{1,3}\d.*column\W{1,3}\d", answer.body.decode()), answer


# ---- refused before it is read ----


@dataclass(frozen=True)
class Refused:
    status: int
    target: str = "/webhooks/crossborderly"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], bytes] = lambda: wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    authentic: bool = True
    chunk: int = 0  # bytes a chunk; 0: Content-Length


def too_long() -> bytes:
    return wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT")).ljust(MAX_BODY + 1)


def not_json() -> bytes:
    return b"hello " + wb.uid().encode()


GZIP = {"Content-Encoding": "gzip"}
NOWHERE = "/webhooks/No_Such_Path"

REFUSED = {
    "no source": Refused(404, "/webhooks/"),
    "a capital letter": Refused(404, "/webhooks/Crossborderly"),
    "an underscore": Refused(404, "/webhooks/cross_borderly"),
    "a digit first": Refused(404, "/webhooks/1crossborderly"),
    "a hyphen first": Refused(404, "/webhooks/-crossborderly"),
    "33 letters": Refused(404, "/webhooks/" + "a" * 33),
    "three segments": Refused(404, "/webhooks/crossborderly/" + "t" * 32 + "/more"),
    "an escape that is no letter": Refused(404, "/webhooks/cross%20borderly"),
    "GET": Refused(405, method="GET"),
    "HEAD": Refused(405, method="HEAD"),
    "PUT": Refused(405, method="PUT"),
    "DELETE": Refused(405, method="DELETE"),
    "OPTIONS": Refused(405, method="OPTIONS"),
    "gzip": Refused(415, headers=GZIP),
    "two codings": Refused(415, headers={"Content-Encoding": "identity, gzip"}),
    "too long, announced": Refused(413, body=too_long),
    "too long, counted": Refused(413, body=too_long, chunk=65536),
    "twice too long, counted": Refused(413, body=lambda: too_long() * 2, chunk=1000),
    # One wrong thing more with each row: the first in the order of the checks is answered.
    "404 before 405": Refused(404, NOWHERE, "PUT", GZIP, too_long, authentic=False),
    "404 before 415": Refused(404, NOWHERE, headers=GZIP, body=too_long, authentic=False),
    "405 before 415": Refused(405, method="PUT", headers=GZIP, body=too_long, authentic=False),
    "415 before 413": Refused(415, headers=GZIP, body=too_long, authentic=False),
    "413 before 401": Refused(413, body=too_long, authentic=False),
    "413 before 401, counted": Refused(413, body=too_long, authentic=False, chunk=65536),
    "401 before 400": Refused(401, body=not_json, authentic=False),
    "401 before 400, of an empty body": Refused(401, body=lambda: b"", authentic=False),
    "413 of an unknown source too": Refused(413, "/webhooks/nobody", body=too_long),
    "415 of an unknown source too": Refused(415, "/webhooks/nobody", headers=GZIP),
    "400 before the mode": Refused(400, "/webhooks/sandbox-only", body=not_json),
}


def send(stack: Stack, stacks: Stacks, case: Refused, body: bytes) -> Answer:
    extras = stacks.extras(stack.server)
    credential = extras.credential("sandbox-only") if case.target.endswith("sandbox-only") else stack.sender("crossborderly").credential
    fields = {**(credential(body) if case.authentic else {}), **case.headers}
    if not case.chunk:
        return request(stack.site, case.method, case.target, fields, None if case.method in ("GET", "HEAD") else body)
    fields["Transfer-Encoding"] = "chunked"
    answer = send_raw(stack.site, head(case.method, case.target, fields) + chunked(body, case.chunk))
    assert answer is not None, "closed without an answer"
    return answer


@pytest.mark.parametrize("refused", REFUSED)
def test_a_refused_request_leaves_nothing_behind(each_stack: Stack, stacks: Stacks, refused: str) -> None:
    case = REFUSED[refused]
    body = case.body()
    answer = wb.check_answer(send(each_stack, stacks, case, body))
    assert answer.status == case.status, answer
    assert answer.header("Allow") == ("POST" if case.status == 405 else None)
    assert answer.header("WWW-Authenticate") == (CHALLENGE if case.status == 401 else None)
    kept = ["quarantined"] if case.status == 400 else []
    assert [row["outcome"] for row in each_stack.stored(body)] == kept


def test_nobody_is_at_the_mount_itself(each_stack: Stack) -> None:
    """Without a path below the mount the last segment may be taken for a source, which is unknown."""
    assert request(each_stack.site, "POST", "/webhooks", {}, b"{}").status in (401, 404)


ACCEPTED_HEADERS = {
    "no Content-Type": {},
    "a wrong Content-Type": {"Content-Type": "image/png"},
    "Content-Encoding identity": {"Content-Encoding": "identity"},
    "Content-Encoding Identity": {"Content-Encoding": "Identity"},
    "a query": {},
}


@pytest.mark.parametrize("case", ACCEPTED_HEADERS)
def test_what_is_not_checked(each_stack: Stack, case: str) -> None:
    body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    sender = each_stack.sender("crossborderly")
    target = sender.target + ("?from=test" if case == "a query" else "")
    answer = request(each_stack.site, "POST", target, sender.credential(body) | ACCEPTED_HEADERS[case], body)
    assert answer.outcome == (200, "applied")


# ---- one answer for everybody who is not let in ----

FORGED = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7", "X-Real-IP": "203.0.113.7"}


def turned_away(stack: Stack, stacks: Stacks) -> dict[str, Answer]:
    """Answers to requests that each fail for another reason."""
    extras = stacks.extras(stack.server)
    live, sandbox = wb.status_changed(wb.uid("T"), "ORDERED"), wb.status_changed(wb.uid("T"), "ORDERED", environment="sandbox")
    wrong = wb.crossborderly_signature("wrong")
    return {
        "a wrong signature": stack.sender("crossborderly").post(live, credential=wrong),
        "no signature": stack.sender("crossborderly").post(live, credential=wb.nothing),
        "a wrong password": stack.sender("crowdsender").post(live, credential=wb.basic("crowdsender:wrong")),
        "no password": stack.sender("crowdsender").post(live, credential=wb.nothing),
        "another source's password": stack.sender("crowdsender").post(live, credential=stack.sender("shipup").credential),
        "an unknown source": stack.sender("nobody", wrong).post(live),
        "an unknown source, no credential": stack.sender("nobody", wb.nothing).post(live),
        "an unknown source with a token": stack.sender("nobody", wb.nothing, url_token="t" * 32).post(live),
        "a token that nobody asked for": stack.sender("crossborderly", url_token="t" * 32).post(live),
        "no token in the URL": stack.sender("url-token", wb.nothing).post(live),
        "a wrong token in the URL": stack.sender("url-token", wb.nothing, url_token="t" * 48).post(live),
        "live to a sandbox source": extras.sender("sandbox-only").post(live),
        "sandbox to a live source": extras.sender("live-only").post(sandbox),
        "another address": extras.sender("from-address").post(live),
        "a forged address": extras.sender("from-address").post(live, headers=FORGED),
    }


def test_every_401_is_the_same(each_stack: Stack, stacks: Stacks) -> None:
    answers = turned_away(each_stack, stacks)
    changing = ("date", "x-request-id")
    seen = {
        reason: (answer.status, answer.body, {(name.lower(), value) for name, value in answer.headers.items() if name.lower() not in changing})
        for reason, answer in answers.items()
    }
    expected = seen["a wrong signature"]
    assert expected[0] == 401 and answers["a wrong signature"].header("WWW-Authenticate") == CHALLENGE
    assert {reason: one for reason, one in seen.items() if one != expected} == {}
    ids = {answer.header("X-Request-Id") for answer in answers.values()}
    assert len(ids) == len(answers)
    assert not [one for one in ids if one and one.encode() in expected[1]]


def test_a_401_stores_nothing(each_stack: Stack, stacks: Stacks) -> None:
    count = "SELECT count(*) AS n FROM waybill.deliveries"
    before = each_stack.report(count)
    turned_away(each_stack, stacks)
    assert each_stack.report(count) == before


def test_the_mode_lets_its_own_in(each_stack: Stack, stacks: Stacks) -> None:
    extras = stacks.extras(each_stack.server)
    for source, environment, live in (("live-only", "production", True), ("sandbox-only", "Test", False)):
        delivery = extras.sender(source).deliver(wb.status_changed(wb.uid("T"), "ORDERED", environment=environment))
        assert each_stack.delivery(delivery)["live"] is live
