"""Bodies as they come over the wire: long, in chunks, cut off, with lying lengths; through each web server and straight to the responder."""

from __future__ import annotations

import hashlib
import subprocess
from typing import Mapping

import pytest

import fastcgi
import waybill_client as wb
from http_plain import Answer, Connection, chunked, head, send_raw
from waybill_stack import Stack

pytestmark = pytest.mark.usefixtures("steady")

MAX_BODY = 1 << 20
KIB = 1024


def long_event(size: int) -> bytes:
    """A tracker event of exactly SIZE bytes, most of them in `raw`, as carriers' pages are."""
    event = wb.shipup_event("tracker.events.new", wb.tracker(wb.number(), "in_transit", [wb.scan("transit", raw="@")]))
    body = wb.encode(event)
    return body.replace(b'"@"', b'"' + b"<td>" * ((size - len(body)) // 4) + b"x" * ((size - len(body)) % 4) + b'"').ljust(size)


def in_chunks(stack: Stack, body: bytes, size: int, trailer: bytes = b"", target: str | None = None) -> Answer:
    sender = stack.sender("shipup")
    fields = sender.credential(body) | {"Transfer-Encoding": "chunked"}
    answer = send_raw(stack.site, head("POST", target or sender.target, fields) + chunked(body, size, trailer))
    assert answer is not None, "closed without an answer"
    return answer


def assert_stored(stack: Stack, body: bytes, answer: Answer) -> None:
    assert answer.outcome == (200, "applied"), answer
    row = stack.delivery(answer.json()["delivery"])
    assert (row["body_bytes"], hashlib.sha256(row["body"]).digest()) == (len(body), hashlib.sha256(body).digest())


@pytest.mark.parametrize("size", [128 * KIB + 1, 200 * KIB, 900 * KIB, MAX_BODY])
def test_a_long_body(each_stack: Stack, size: int) -> None:
    body = long_event(size)
    assert len(body) == size
    assert_stored(each_stack, body, each_stack.sender("shipup").post(body))


CHUNKED = {
    "one small chunk": (3 * KIB, 64 * KIB, b""),
    "many small chunks": (3 * KIB, 7, b""),
    "a trailer": (3 * KIB, 1000, b"X-Checksum: 7\r\nX-More: 8\r\n"),
    "200 KiB": (200 * KIB, 8 * KIB, b""),
    "900 KiB": (900 * KIB, 32 * KIB, b""),
    "900 KiB in odd chunks with a trailer": (900 * KIB, 9973, b"X-Checksum: 7\r\n"),
    "as long as may be": (MAX_BODY, 64 * KIB, b""),
}


@pytest.mark.parametrize("case", CHUNKED)
def test_a_body_without_a_length(each_stack: Stack, case: str) -> None:
    size, chunk, trailer = CHUNKED[case]
    body = long_event(size)
    assert_stored(each_stack, body, in_chunks(each_stack, body, chunk, trailer))


def test_an_empty_body_in_chunks(each_stack: Stack) -> None:
    assert in_chunks(each_stack, b"", 1).status == 400


CUT_OFF = {
    "of a length": lambda sender, body: head("POST", sender.target, sender.credential(body) | {"Content-Length": str(len(body) + 100)}) + body,
    "of chunks, between": lambda sender, body: head(
        "POST", sender.target, sender.credential(body) | {"Transfer-Encoding": "chunked"}) + chunked(body, 100)[: -len(b"0\r\n\r\n")],
    "of chunks, within": lambda sender, body: head(
        "POST", sender.target, sender.credential(body) | {"Transfer-Encoding": "chunked"}) + b"%x\r\n" % (len(body) + 100) + body,
    "after the head": lambda sender, body: head("POST", sender.target, sender.credential(body) | {"Content-Length": str(len(body))}),
}


@pytest.mark.parametrize("case", CUT_OFF)
def test_a_body_that_is_cut_off_is_not_kept(each_stack: Stack, case: str) -> None:
    """Even where what came is a whole, authentic event. Web servers that wait for the whole body hang up instead of answering."""
    sender = each_stack.sender("crossborderly")
    body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    answer = send_raw(each_stack.site, CUT_OFF[case](sender, body), half_close=True)
    assert answer is None or answer.status == 400, answer
    assert sender.post(wb.status_changed(wb.uid("T"), "IN_TRANSIT")).outcome == (200, "applied")
    assert each_stack.stored(body) == []


def test_a_length_that_is_too_small(each_stack: Stack) -> None:
    """What comes after it is another request, and no good one."""
    sender = each_stack.sender("crossborderly")
    body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    answer = send_raw(each_stack.site, head("POST", sender.target, sender.credential(body) | {"Content-Length": "10"}) + body)
    assert answer is not None and answer.status == 401, answer
    assert each_stack.stored(body) == []


LYING_HEADS = {
    "no number": {"Content-Length": "many"},
    "negative": {"Content-Length": "-5"},
    "beyond 64 bits": {"Content-Length": "99999999999999999999"},
    "two lengths": {"Content-Length": "5, 6"},
    "an unknown coding": {"Transfer-Encoding": "rot13"},
}


@pytest.mark.parametrize("case", LYING_HEADS)
def test_a_head_that_makes_no_sense(each_stack: Stack, case: str) -> None:
    """Web servers refuse most of these themselves, each in its own way."""
    sender = each_stack.sender("crossborderly")
    body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    answer = send_raw(each_stack.site, head("POST", sender.target, sender.credential(body) | LYING_HEADS[case]) + body, half_close=True)
    assert answer is None or 400 <= answer.status < 500 or answer.status == 501, answer
    assert each_stack.stored(body) == []


def test_many_requests_on_one_connection(each_stack: Stack) -> None:
    """Refusals among them: whatever was not read of a refused body does not disturb the next request."""
    sender = each_stack.sender("crossborderly")
    with Connection(each_stack.site) as connection:
        for round_ in range(5):
            for expected, credential in ((200, sender.credential), (401, wb.nothing)):
                body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT", padding="x" * 1000 * round_))
                answer = connection.request("POST", sender.target, credential(body), body)
                assert answer.status == expected, answer


# ---- straight to the responder ----


def to_responder(stack: Stack, body: bytes, changes: Mapping[str, str | None], credential: wb.Credential | None = None) -> Answer:
    """A FastCGI request with CHANGES to its variables; None takes one away."""
    sender = stack.sender("crossborderly")
    params = fastcgi.post_params("/crossborderly", body, (credential or sender.credential)(body))
    params = {name: value for name, value in (params | dict(changes)).items() if value is not None}
    answer = fastcgi.request(stack.responder_socket("webhook"), params, body)
    assert answer is not None
    return wb.check_answer(answer)


def new_event() -> bytes:
    return wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))


# Variables as web servers may set them, and the answer.
VARIABLES: dict[str, tuple[dict[str, str | None], int]] = {
    "all": ({}, 200),
    "no length": ({"CONTENT_LENGTH": None}, 200),
    "an empty length": ({"CONTENT_LENGTH": ""}, 200),
    "a longer length": ({"CONTENT_LENGTH": "100000"}, 400),
    "too long, announced only": ({"CONTENT_LENGTH": str(MAX_BODY + 1)}, 413),
    "a length beyond 64 bits": ({"CONTENT_LENGTH": "99999999999999999999"}, 413),
    "no PATH_INFO": ({"PATH_INFO": None}, 200),
    "an empty PATH_INFO": ({"PATH_INFO": ""}, 200),
    "another mount": ({"SCRIPT_NAME": "/shop/hooks", "REQUEST_URI": "/shop/hooks/crossborderly"}, 200),
    "another mount, no PATH_INFO": ({"SCRIPT_NAME": "/a/b", "REQUEST_URI": "/a/b/crossborderly?x=1", "PATH_INFO": None}, 200),
    # As mod_proxy_fcgi has it unless told otherwise.
    "the whole path in SCRIPT_NAME": ({"SCRIPT_NAME": "/hooks/crossborderly", "REQUEST_URI": "/hooks/crossborderly", "PATH_INFO": None}, 200),
    "no REQUEST_URI": ({"REQUEST_URI": None}, 200),
    "no path at all": ({"REQUEST_URI": None, "PATH_INFO": None, "SCRIPT_NAME": None}, 404),
    "no method": ({"REQUEST_METHOD": None}, 405),
    "no address": ({"REMOTE_ADDR": None}, 200),
    "an address that is none": ({"REMOTE_ADDR": "unix:"}, 200),
    "a thousand more": ({f"HTTP_X_{i}": "x" * 50 for i in range(1000)}, 200),
}


@pytest.mark.tsan
@pytest.mark.parametrize("case", VARIABLES)
def test_variables_of_the_web_server(stack: Stack, case: str) -> None:
    changes, status = VARIABLES[case]
    body = new_event()
    answer = to_responder(stack, body, changes)
    assert answer.status == status, answer
    assert len(stack.stored(body)) == (status == 200)


@pytest.mark.tsan
def test_a_connection_that_breaks(stack: Stack) -> None:
    """Neither what came before it broke is kept, nor does the responder mind."""
    bodies = [new_event() for _ in range(20)]
    for body in bodies:
        credential = stack.sender("crossborderly").credential(body)
        assert fastcgi.request(stack.responder_socket("webhook"), fastcgi.post_params("/crossborderly", body, credential), body, complete=False) is None
    assert to_responder(stack, new_event(), {}).status == 200
    assert [stack.stored(body) for body in bodies] == [[]] * len(bodies)


GARBAGE = {
    "nothing": b"",
    "half a record": b"\x01\x01\x00",
    "another version": b"\x02\x01\x00\x01\x00\x08\x00\x00" + b"\x00\x01\x00" + bytes(5),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no begin": b"\x01\x05\x00\x01\x00\x02\x00\x00{}",
    "zeros": bytes(4096),
    "another role": b"\x01\x01\x00\x01\x00\x08\x00\x00" + b"\x00\x03\x00" + bytes(5),
}


@pytest.mark.tsan
@pytest.mark.parametrize("case", GARBAGE)
def test_what_is_no_fastcgi(stack: Stack, case: str) -> None:
    with fastcgi.connect(stack.responder_socket("webhook")) as connection:
        connection.sendall(GARBAGE[case])
    assert to_responder(stack, new_event(), {}).status == 200


# ---- the same program as plain CGI ----


def as_cgi(stack: Stack, body: bytes, length: int | None = None) -> Answer:
    credential = stack.sender("crossborderly").credential(body)
    params = fastcgi.post_params("/crossborderly", body, credential)
    params["CONTENT_LENGTH"] = str(len(body) if length is None else length)
    result = subprocess.run(
        [stack.program("webhook.fcgi")], env=params | {"WAYBILL_CONFIG": str(stack.config)}, input=body, capture_output=True, timeout=60,
        **stack.owner)
    assert result.returncode == 0, result
    return wb.check_answer(fastcgi.parse_cgi(result.stdout, params))


def test_plain_cgi_takes_one_request(stack: Stack) -> None:
    body = new_event()
    assert_stored(stack, body, as_cgi(stack, body))


@pytest.mark.parametrize("length,status", [(5000, 400), (10, 401), (MAX_BODY + 1, 413), (0, 401)])
def test_plain_cgi_with_a_lying_length(stack: Stack, length: int, status: int) -> None:
    body = new_event()
    assert as_cgi(stack, body, length).status == status
    assert stack.stored(body) == []
