"""The clock jumps by hours, forward and back, while events come: waits go by the monotonic clock, and what goes by the wall clock says so.

libfaketime moves CLOCK_MONOTONIC too unless it is told not to. Both are tried; the monotonic clock itself only goes forward, as when a machine was suspended.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Callable, Iterator

import pytest

import fastcgi
import waybill_client as wb
from extra_sources import ExtraSources
from http_plain import Answer
from receiver import Receiver
from test_spool import ANSWER_SECONDS, AT_ONCE_SECONDS, SPOOLED, assert_stored_once, new_event, timed
from waiting import wait_until
from waybill_stack import Stack

pytestmark = pytest.mark.skipif(bool(os.environ.get("SANITIZE")), reason="libfaketime and the sanitizers are in each other's way")

LIBRARY = "/usr/lib/{}/faketime/libfaketimeMT.so.1".format(os.uname().machine + "-linux-gnu")
APPLIED = (200, "applied")
SENDERS = 4
# Events of each sender between two jumps.
EVENTS = 5
BACK_AND_FORTH = ("+3h", "-3h", "+26h", "+0", "-7h", "+0")
FORWARD = ("+3h", "+6h", "+30h")


class Clock:
    """Of the programs that are started with its ENVIRONMENT."""

    def __init__(self, receiver: Receiver, monotonic_too: bool = False) -> None:
        self._file = receiver.folder / "clock"
        self.jump("+0")
        receiver.give(self._file)
        self.environment = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1", "NO_FAKE_STAT": "1"}
        if not monotonic_too:
            self.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"

    def jump(self, to: str) -> None:
        """To so far from the right time. In one step, for it is read all the time."""
        if self._file.exists():
            with open(self._file, "r+") as opened:
                opened.write(f"{to}\n".ljust(8))
        else:
            self._file.write_text(f"{to}\n".ljust(8))


@pytest.fixture
def receiver(stack: Stack) -> Iterator[Receiver]:
    with Receiver(stack) as receiver:
        yield receiver


def send_meanwhile(receiver: Receiver, clock: Clock, jumps: tuple[str, ...]) -> list[tuple[bytes, Answer, float]]:
    """Events from all senders, and the clock jumps while they come."""
    sent: list[tuple[bytes, Answer, float]] = []
    end = threading.Event()

    def send() -> None:
        while not end.is_set():
            body = new_event()
            sent.append((body, *timed(lambda: receiver.post(body))))

    with ThreadPoolExecutor(SENDERS) as pool:
        senders = [pool.submit(send) for _ in range(SENDERS)]
        try:
            for jump in jumps:
                before = len(sent)
                wait_until(lambda: len(sent) >= before + SENDERS * EVENTS, "events come")
                clock.jump(jump)
            before = len(sent)
            wait_until(lambda: len(sent) >= before + SENDERS * EVENTS, "events come")
        finally:
            end.set()
        for sender in senders:
            sender.result()
    return sent


def check_log(receiver: Receiver, longest_ms: float = 6000) -> None:
    """Whole lines, whatever the time; a duration is none of the wall clock's."""
    lines = [line for line in receiver.log_text().splitlines() if line.startswith("time=")]
    assert lines
    for line in lines:
        assert re.match(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=\w+ ", line), line
        duration = re.search(r" ms=(-?\d+)", line)
        assert duration is None or 0 <= int(duration[1]) < longest_ms, line


@pytest.mark.parametrize("database", [True, False], ids=["stored", "spooled"])
def test_the_wall_clock_jumps(receiver: Receiver, database: bool) -> None:
    """Nobody notices."""
    clock = Clock(receiver)
    process = receiver.start(database, **clock.environment)
    sent = send_meanwhile(receiver, clock, BACK_AND_FORTH)
    assert {answer.outcome for _, answer, _ in sent} == {APPLIED if database else SPOOLED}
    assert max(seconds for _, _, seconds in sent) < AT_ONCE_SECONDS
    receiver.stop(process)
    check_log(receiver)
    if not database:
        # Some came from a time that is yet to come.
        clock.jump("-7h")
        state = wb.json.loads(receiver.waybill("spool", "--json", **clock.environment).stdout)
        assert state["events"] == len(sent) and state["age_seconds"] >= 0, state
        clock.jump("+0")
        process = receiver.start(True, **clock.environment)
        for jump in BACK_AND_FORTH:
            clock.jump(jump)
        receiver.wait_drained()
        receiver.stop(process)
    assert_stored_once(receiver.stack, [body for body, _, _ in sent])


def test_the_monotonic_clock_jumps_too(receiver: Receiver) -> None:
    """Whatever waits is late at once: it may be spooled or refused, never lost, and what comes next is as ever."""
    clock = Clock(receiver, monotonic_too=True)
    process = receiver.start(True, **clock.environment)
    sent = send_meanwhile(receiver, clock, FORWARD)
    assert {answer.status for _, answer, _ in sent} <= {200, 503}
    assert max(seconds for _, _, seconds in sent) < ANSWER_SECONDS
    wait_until(lambda: receiver.post(new_event()).outcome == APPLIED, "it goes on")
    receiver.wait_drained()
    assert_stored_once(receiver.stack, [body for body, answer, _ in sent if answer.status == 200], times=None)
    receiver.stop(process)


def test_standard_webhooks_go_by_the_wall_clock(receiver: Receiver, extras: ExtraSources) -> None:
    clock = Clock(receiver)
    process = receiver.start(True, **clock.environment)

    def status() -> int:
        body = wb.encode(wb.stock_notify())
        params = fastcgi.post_params("/standard", body, wb.standard_webhooks(extras.keys.standard)(body))
        answer = fastcgi.request(receiver.address(), params, body)
        assert answer is not None
        return answer.status

    for jump, expected in (("+0", 200), ("+6m", 401), ("+4m", 200), ("-6m", 401), ("-4m", 200), ("+0", 200)):
        clock.jump(jump)
        assert status() == expected, jump
    receiver.stop(process)


@contextmanager
def status_program(receiver: Receiver, environment: dict[str, str]) -> Iterator[Callable[[str], Answer]]:
    """A status.fcgi of the test's own, and what asks it."""
    address = str(receiver.folder / "status")
    receiver.configure(True)
    with open(receiver.log, "ab") as log:
        process = subprocess.Popen(
            [receiver.stack.program("status.fcgi"), "--listen", f"unix:{address}"], env=os.environ | environment | {"WAYBILL_CONFIG": str(receiver.config)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, **receiver.stack.owner)

    def ask(query: str) -> Answer:
        params = {
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "REQUEST_URI": f"/status/orders?{query}", "SCRIPT_NAME": "/status",
            "PATH_INFO": "/orders", "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {receiver.stack.env['STATUS_TOKEN']}",
        }
        answer = fastcgi.request(address, params)
        assert answer is not None
        return answer

    try:
        wait_until(lambda: fastcgi.listens(address), "it listens")
        yield ask
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("monotonic_too", [False, True], ids=["wall", "both"])
def test_reading_goes_on(receiver: Receiver, monotonic_too: bool) -> None:
    clock = Clock(receiver, monotonic_too)
    with status_program(receiver, clock.environment) as ask:
        wait_until(lambda: ask("limit=1").status == 200, "it reads")
        for jump in FORWARD if monotonic_too else BACK_AND_FORTH:
            for _ in range(EVENTS):
                answer, seconds = timed(lambda: ask("limit=1"))
                assert answer.status == 200 or monotonic_too and answer.status == 503, answer
                assert seconds < AT_ONCE_SECONDS
            clock.jump(jump)
        wait_until(lambda: ask("limit=1").status == 200, "it reads as ever")
    # A request that the jump of the monotonic clock meets has that duration.
    check_log(receiver, float("inf") if monotonic_too else 6000)
