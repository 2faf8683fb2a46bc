"""One writer a lane: who holds its lock and does not get on costs the others neither an answer nor an event."""

from __future__ import annotations

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Iterator

import psycopg
import pytest

import waybill_client as wb
from http_plain import Answer
from pg_proxy import COMMIT, PgProxy
from receiver import Receiver
from test_spool import ANSWER_SECONDS, AT_ONCE_SECONDS, SPOOLED, assert_stored_once, assert_unavailable, new_event, timed
from waiting import wait_until
from waybill_stack import Stack, set_option

APPLIED = (200, "applied")


@contextmanager
def lane_locked(stack: Stack) -> Iterator[None]:
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        connection.execute("SELECT FROM waybill_data.lanes FOR UPDATE")
        yield
        connection.rollback()


def post_some(receiver: Receiver, bodies: list[bytes]) -> list[tuple[Answer, float]]:
    """At once; each answer and its seconds."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda body: timed(lambda: receiver.post(body)), bodies))


@pytest.mark.tsan
def test_a_lane_that_somebody_holds(stack: Stack) -> None:
    """Its events wait in the spool; what is read is read."""
    number = wb.uid("T")
    stack.sender("crossborderly").deliver(wb.status_changed(number, "IN_TRANSIT"))
    with Receiver(stack) as receiver:
        process = receiver.start(True)
        bodies = [new_event() for _ in range(45)]
        with lane_locked(stack):
            for part in (bodies[:20], bodies[20:40]):
                for answer, seconds in post_some(receiver, part):
                    assert answer.outcome == SPOOLED and seconds < ANSWER_SECONDS, (answer, seconds)
            # It is known by now.
            answers = [timed(lambda: receiver.post(body)) for body in bodies[40:]]
            assert [answer.outcome for answer, _ in answers] == [SPOOLED] * 5
            assert sorted(seconds for _, seconds in answers)[2] < AT_ONCE_SECONDS
            assert receiver.waiting() == len(bodies)
            start = time.monotonic()
            assert stack.status.order("crossborderly", number)["status"] == "in_transit"
            assert time.monotonic() - start < AT_ONCE_SECONDS
        receiver.wait_drained()
        assert_stored_once(stack, bodies, times=None)
        wait_until(lambda: receiver.post(new_event()).outcome == APPLIED, "events are stored again")
        receiver.stop(process)


def test_a_lane_that_somebody_holds_and_no_spool(stack: Stack) -> None:
    with stack.configured(lambda text: set_option(text, "webhook", "spool", None)):
        event = new_event()
        with lane_locked(stack):
            answer, seconds = timed(lambda: stack.sender("crossborderly").post(event))
            assert_unavailable(answer)
            assert seconds < ANSWER_SECONDS
        wait_until(lambda: stack.sender("crossborderly").post(event).outcome == APPLIED, "events are stored again")


def test_a_process_that_stops_between_the_halves_of_a_batch(stack: Stack) -> None:
    """It has the lane's lock. Its session is ended for it; when it goes on, it does its batch again."""
    with closing(PgProxy(stack.sockets)) as proxy, Receiver(stack) as stopped, Receiver(stack) as other, ThreadPoolExecutor(1) as pool:
        found = re.search(r'ingest_dsn = "([^"]*)"', stack.config.read_text())
        assert found
        stopped.nowhere = found.group(1).replace(f"host={stack.sockets}", f"host={proxy.folder}")
        processes = stopped.start(False), other.start(True)
        assert [one.post(new_event()).outcome for one in (stopped, other)] == [APPLIED] * 2
        first, second = new_event(), new_event()
        with proxy.holding(COMMIT) as wait_held:
            posting = pool.submit(stopped.post, first)
            wait_held()
            processes[0].send_signal(signal.SIGSTOP)
        try:
            answer, seconds = timed(lambda: other.post(second))
            assert answer.outcome == APPLIED and seconds < AT_ONCE_SECONDS, (answer, seconds)
            assert not posting.done()
        finally:
            processes[0].send_signal(signal.SIGCONT)
        assert posting.result().status == 200
        stopped.wait_drained()
        assert_stored_once(stack, [first, second], times=None)
        assert proxy.failures == []
        for one, process in zip((stopped, other), processes):
            one.stop(process)
