"""The same programs as plain CGI behind Apache: each request a process of its own."""

from __future__ import annotations

from typing import Callable

import pytest

import waybill_client as wb
from conftest import Stacks
from http_plain import Answer, chunked, head, request, send_raw
from test_bodies import KIB, MAX_BODY, assert_stored, long_event
from waybill_stack import Stack

pytestmark = pytest.mark.usefixtures("steady")

MOUNT = "/cgi/webhooks"


@pytest.fixture(scope="module")
def apache(stacks: Stacks) -> Stack:
    return stacks("apache")


def new_event() -> bytes:
    return wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))


def post(stack: Stack, body: bytes, source: str = "crossborderly", credential: wb.Credential | None = None, **headers: str) -> Answer:
    return stack.sender(source, credential, mount=MOUNT).post(body, {name.replace("_", "-"): value for name, value in headers.items()})


def through_chunks(stack: Stack, body: bytes) -> Answer:
    sender = stack.sender("shipup", mount=MOUNT)
    answer = send_raw(stack.site, head("POST", sender.target, sender.credential(body) | {"Transfer-Encoding": "chunked"}) + chunked(body, 8 * KIB))
    assert answer is not None
    return wb.check_answer(answer)


ANSWERS: dict[str, tuple[Callable[[Stack], Answer], int]] = {
    "400": (lambda stack: post(stack, b"no json"), 400),
    "400, empty": (lambda stack: post(stack, b""), 400),
    "401": (lambda stack: post(stack, new_event(), credential=wb.nothing), 401),
    "401, unknown source": (lambda stack: post(stack, new_event(), "nobody", wb.nothing), 401),
    "404": (lambda stack: request(stack.site, "POST", MOUNT + "/No", {}, b""), 404),
    "405": (lambda stack: request(stack.site, "PUT", MOUNT + "/crossborderly", {}, b""), 405),
    "413": (lambda stack: post(stack, new_event().ljust(MAX_BODY + 1)), 413),
    "413, counted": (lambda stack: through_chunks(stack, long_event(MAX_BODY + 1)), 413),
    "415": (lambda stack: post(stack, new_event(), Content_Encoding="gzip"), 415),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_refusals(apache: Stack, case: str) -> None:
    call, status = ANSWERS[case]
    answer = wb.check_answer(call(apache))
    assert answer.status == status, answer
    assert (answer.header("Allow") == "POST") == (status == 405)
    assert (answer.header("WWW-Authenticate") == 'Basic realm="waybill", Bearer') == (status == 401)


@pytest.mark.parametrize("source,event,outcome", [
    ("crossborderly", wb.status_changed(wb.uid("T"), "IN_TRANSIT"), "applied"),
    ("crowdsender", wb.status_updated(wb.uid("o"), "SHIPPED"), "applied"),
    ("swiftpod", wb.stock_notify(), "ignored"),
    ("crossborderly", wb.crossborderly_event("parcel.teleported", {}), "quarantined"),
    ("shipup", wb.shipup_event("tracker.new", wb.tracker(wb.number(), "pending")), "applied"),
], ids=["signed", "with a password", "ignored", "quarantined", "Shipup's"])
def test_events(apache: Stack, source: str, event: wb.Json, outcome: str) -> None:
    body = wb.encode(event)
    assert post(apache, body, source).outcome == (200, outcome)
    assert post(apache, body, source).outcome[0] == 200
    # Through FastCGI it is the same source and the same content.
    assert apache.sender(source).post(body).status == 200
    assert [row["outcome"] for row in apache.stored(body)] == [outcome]


def test_the_url_check(apache: Stack) -> None:
    assert post(apache, wb.encode(wb.URL_CHECK), "shipup").outcome == (200, "ignored")


def test_long_bodies(apache: Stack) -> None:
    body = long_event(200 * KIB)
    assert_stored(apache, body, post(apache, body, "shipup"))
    body = long_event(900 * KIB)
    assert_stored(apache, body, through_chunks(apache, body))


def test_the_status_endpoint(apache: Stack) -> None:
    tracking = wb.uid("a/b ü%")
    assert post(apache, wb.encode(wb.status_changed(tracking, "IN_TRANSIT"))).status == 200
    client = wb.StatusClient(apache.site, apache.env["STATUS_TOKEN"], "/cgi/status")
    path = wb.order_path("crossborderly", tracking)
    answer = client.get(path)
    assert answer.json() == apache.status.order("crossborderly", tracking)
    assert client.get(path, headers={"If-None-Match": answer.header("ETag") or ""}).status == 304
    assert client.get(path, method="HEAD").body == b""
    assert client.get("/orders", {"colour": "red"}).status == 400
    assert client.get("/orders/crossborderly/nothing").status == 404
    assert client.get("/orders", method="POST").status == 405
    assert [found["id"] for found in client.lookup(tracking_number=tracking)] == [tracking]
    assert wb.StatusClient(apache.site, None, "/cgi/status").get(path).status == 401
