"""Log lines: whose token it was, and what becomes of them when there are very many."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Iterator

import pytest

import fastcgi
import waybill_client as wb
from http_plain import Answer
from test_operations import new_event
from waiting import wait_until
from waybill_stack import Stack

# In lots of their own.
FLOODER, OTHER = "203.0.113.9", "198.51.100.8"


def line_of(stack: Stack, name: str, answer: Answer) -> str:
    request_id = answer.header("X-Request-Id") or ""
    (line,) = wait_until(lambda: [line for line in stack.log_text(name).splitlines() if request_id in line], "the line is written")
    return line


def test_a_line_names_whose_token_it_was(stack: Stack) -> None:
    """And nobody where there was none, or a wrong one."""
    stranger = wb.StatusClient(stack.site, wb.uid("token-"))
    for client, name in ((stack.status, "demo"), (stack.tracking_status, "demo-tracking"), (stranger, "-")):
        line = line_of(stack, "status", client.get("/orders", {"limit": 1}))
        assert f" client_name={name}" in line and " client=127.0.0.1 " in line, line
    probe = stack.health("webhook", "readyz", {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"})
    assert " client_name=demo" in line_of(stack, "webhook", probe)
    post = stack.sender("crossborderly").post(new_event())
    assert " client_name=-" in line_of(stack, "webhook", post)


def ask(stack: Stack, method: str, target: str, address: str) -> Answer:
    """One request to webhook.fcgi itself, from ADDRESS."""
    params = fastcgi.post_params(target, b"", {}) | {"REQUEST_METHOD": method, "REMOTE_ADDR": address}
    answer = fastcgi.request(stack.responder_socket("webhook"), params)
    assert answer is not None
    return answer


@contextmanager
def flood(stack: Stack, method: str, target: str) -> Iterator[list[int]]:
    """The same again and again from eight threads; at its end the list has the number of requests of each."""
    stopped, counts = threading.Event(), []

    def run() -> int:
        count = 0
        while not stopped.is_set():
            ask(stack, method, target, FLOODER)
            count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(run) for _ in range(8)]
        try:
            yield counts
        finally:
            stopped.set()
            counts.extend(one.result() for one in running)


def left_out(log: str, kind: str) -> int:
    return sum(int(lines) for lines in re.findall(rf'message="log lines left out" kind={kind} lines=(\d+)', log))


FLOODS = {"answered": ("GET", "/livez", "reason=livez"), "refused": ("POST", "/crossborderly", "reason=signature_missing")}


@pytest.mark.tsan
@pytest.mark.parametrize("kind", FLOODS)
def test_of_very_many_lines_some_are_left_out_and_counted(stack: Stack, kind: str) -> None:
    method, target, reason = FLOODS[kind]
    before = len(stack.log_text("webhook"))

    def log() -> str:
        return stack.log_text("webhook")[before:]

    with flood(stack, method, target) as counts:
        wait_until(lambda: left_out(log(), kind) > 0, "lines are left out")
        # A flood hides neither another's refusals nor what is rarer.
        other = ask(stack, "POST", "/crossborderly", OTHER)
        assert other.status == 401
        assert f"client={OTHER}" in line_of(stack, "webhook", other)
        stack.sender("crossborderly").deliver(new_event())

    def accounted() -> int:
        lines = [line for line in log().splitlines() if f"client={FLOODER} " in line]
        assert all(reason in line for line in lines)
        return len(lines) + left_out(log(), kind)

    # Beside the flood a few others' lines may have been among those left out.
    wait_until(lambda: sum(counts) <= accounted() <= sum(counts) + 20, "every line is written or counted")
    assert left_out(log(), kind) < sum(counts)
