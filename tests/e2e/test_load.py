"""Under load: a poisoned event costs nobody else an answer, too much is refused at once and passes, and a 200 outlives whatever ends or dies meanwhile.

WAYBILL_TEST_EVENTS is how many events the longest load has.
"""

from __future__ import annotations

import os
import re
import signal
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Callable, Iterator

import psycopg
import pytest

import fastcgi
import waybill_client as wb
from conftest import Stacks
from convergence_state import Database
from http_load import Load, Reply, load
from http_plain import Answer
from test_operations import responder
from waiting import wait_until
from waybill_stack import Stack, set_option

EVENTS = int(os.environ.get("WAYBILL_TEST_EVENTS", "10000"))
# What a web server says for a responder that is gone, and what webhook.fcgi says without a database.
UNAVAILABLE = {500, 502, 503, 504}
# "At once", on a machine that is busy with the load itself.
AT_ONCE_SECONDS = 2.0


class Loaded:
    """A stack without a spool that is emptied for each test."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.sender = stack.sender("crossborderly")

    def empty(self) -> None:
        with closing(Database(self.stack)) as database:
            database.empty()

    def request(self, event: wb.Json) -> bytes:
        body = wb.encode(event)
        fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **self.sender.credential(body)}
        lines = [f"POST {self.sender.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def requests(self, count: int, **envelope: object) -> list[bytes]:
        """Each about a parcel of its own."""
        return [self.request(wb.status_changed(wb.uid("T"), "IN_TRANSIT", **envelope)) for _ in range(count)]

    def counts(self) -> set[int]:
        """Of deliveries that were applied, orders, boxes, and events that have all three: one number, when nothing is there by halves."""
        rows = self.stack.query("WAYBILL_DSN", """
            SELECT count(*) AS n FROM waybill_data.deliveries WHERE outcome = 'applied'
            UNION ALL SELECT count(*) FROM waybill_data.orders WHERE status = 'in_transit' AND boxes_total = 1
            UNION ALL SELECT count(*) FROM waybill_data.boxes WHERE status = 'in_transit'
            UNION ALL SELECT count(*) FROM waybill_data.tracking_events JOIN waybill_data.deliveries USING (delivery_id, order_key)
                JOIN waybill_data.boxes USING (order_key, box_key) JOIN waybill_data.orders USING (order_key)""")
        return {row["n"] for row in rows}

    def check_stored(self, replies: list[Reply]) -> None:
        """All that was taken is there, once; and whatever is there is whole."""
        self.check_taken([wb.json.loads(reply.body)["delivery"] for reply in replies if reply.status == 200])

    def check_taken(self, ids: list[str]) -> None:
        assert ids and len(set(ids)) == len(ids)
        (row,) = self.stack.report("SELECT count(*) AS n FROM waybill.deliveries WHERE delivery_id = ANY (%s::uuid[])", ids)
        assert row["n"] == len(ids)
        assert len(self.counts()) == 1, self.counts()

    def check_all_stored(self, requests: list[bytes]) -> None:
        """After a resend of what was refused."""
        assert self.counts() == {len(requests)}
        assert self.stack.report("SELECT DISTINCT outcome FROM waybill.deliveries") == [{"outcome": "applied"}]

    def resend(self, requests: list[bytes], replies: dict[int | None, Reply]) -> None:
        refused = [request for number, request in enumerate(requests) if replies[number].status != 200]
        # Few at a time: a request counts until its answer is written, and the next may be there by then.
        outcomes = load(self.stack.site, refused, 8).outcomes()
        assert outcomes.keys() <= {(200, "applied"), (200, "duplicate")}, outcomes


@pytest.fixture(scope="module")
def loaded_stack(stacks: Stacks) -> Iterator[Loaded]:
    stack = stacks.make().up()
    stack.write_config(set_option(stack.config.read_text(), "webhook", "spool", None))
    stack.restart_responders()
    yield Loaded(stack)
    stacks.remove(stack)


@pytest.fixture
def loaded(loaded_stack: Loaded) -> Loaded:
    loaded_stack.empty()
    return loaded_stack


# ---- poison ----

POISON = "POISON"
# One of each class that stands for data which the database refuses.
REFUSALS = ["21000", "22P02", "23514", "44000", "54000", "P0001"]


# Where a batch meets it: in the first half, when the delivery goes in, or in the second, when the rows are written.
PLACES = {"delivery": ("deliveries", "NEW.event_id LIKE '{}-%' AND NEW.outcome = 'applied'", "event_id"), "box": ("boxes", "NEW.box_id LIKE '{}-%'", "box_id")}


@contextmanager
def refusing(loaded: Loaded, place: str) -> Iterator[None]:
    """Parcels and events named POISON-SQLSTATE-… fail with that state, as a constraint or a trigger of the installation may have it."""
    table, condition, name = PLACES[place]
    with psycopg.connect(loaded.stack.env["WAYBILL_DSN"], autocommit=True) as owner:
        owner.execute(f"""
            CREATE FUNCTION waybill_data.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE 'refused' USING ERRCODE = pg_catalog.split_part(NEW.{name}, '-', 2); END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON waybill_data.{table} FOR EACH ROW WHEN ({condition.format(POISON)})
                EXECUTE FUNCTION waybill_data.refuse()""")
        try:
            yield
        finally:
            owner.execute("DROP FUNCTION waybill_data.refuse CASCADE")


def poison(loaded: Loaded, state: str) -> bytes:
    name = wb.uid(f"{POISON}-{state}-")
    return loaded.request(wb.status_changed(name, "IN_TRANSIT", id=name))


def check_isolated(loaded: Loaded, good: int, poisons: dict[int, str], replies: dict[int | None, Reply]) -> None:
    for number, reply in replies.items():
        if number not in poisons:
            assert reply.outcome == (200, "applied"), reply
        else:
            # Understood but refused: its bytes are kept.
            assert reply.outcome == (200, "quarantined"), reply
            assert wb.json.loads(reply.body)["detail"] == f"refused by the database: SQLSTATE {poisons[number]}"
    loaded.check_stored(list(replies.values()))
    rows = loaded.stack.report("SELECT outcome, count(*) AS n, sum(times_received) AS times FROM waybill.deliveries GROUP BY outcome ORDER BY outcome")
    assert rows == [{"outcome": "applied", "n": good, "times": good}, {"outcome": "quarantined", "n": len(poisons), "times": len(poisons)}]


def test_one_poisoned_event_among_many(loaded: Loaded) -> None:
    requests = loaded.requests(EVENTS)
    place = EVENTS // 2
    requests.insert(place, poison(loaded, "23514"))
    with refusing(loaded, "box"):
        replies = load(loaded.stack.site, requests, 128).replies
    check_isolated(loaded, EVENTS, {place: "23514"}, replies)


@pytest.mark.tsan
@pytest.mark.parametrize("place", PLACES)
def test_poison_of_every_kind(loaded: Loaded, place: str) -> None:
    """Side by side, so that they meet in one batch."""
    good = loaded.requests(400)
    poisons = {200 + number: state for number, state in enumerate(REFUSALS)}
    requests = good[:200] + [poison(loaded, state) for state in REFUSALS] + good[200:]
    with refusing(loaded, place):
        replies = load(loaded.stack.site, requests, 64).replies
    check_isolated(loaded, len(good), poisons, replies)


# ---- too much ----

# The option that limits, the padding of the events, and how many there are. Of the long bodies 16 fit.
OVERLOADS = {"requests": ("max_in_flight", "64", 0, 1000), "bytes": ("max_buffered", '"1MiB"', 60_000, 500)}
# What the requests in hand may take beside the limit on their bodies: threads' stacks, what the allocator keeps.
MEMORY_KIB = 64 * 1024


def memory_kib(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1))


@pytest.mark.parametrize("limit", [pytest.param("requests", marks=pytest.mark.tsan), "bytes"])
def test_overload(loaded: Loaded, limit: str) -> None:
    """The database does not get on: what is beyond the limit hears so at once, and when it gets on again, so does everything."""
    option, value, padding, count = OVERLOADS[limit]
    stack = loaded.stack
    with stack.configured(lambda text: set_option(text, "webhook", option, value)):
        requests = loaded.requests(count, padding="x" * padding)
        assert load(stack.site, loaded.requests(20), 4).outcomes() == {(200, "applied"): 20}
        loaded.empty()
        pid = stack.pid("webhook")
        before = memory_kib(pid, "VmRSS")
        with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as blocker:
            blocker.execute("LOCK TABLE waybill_data.orders IN EXCLUSIVE MODE")
            with Load(stack.site, requests, 200) as flood:
                flood.wait_answered(count // 2)
                early = list(flood.replies.values())
                blocker.rollback()
        for reply in early:
            assert reply.status == 503 and re.search(rb"\r\nretry-after: [1-9]", reply.head, re.IGNORECASE), reply
        assert max(reply.seconds for reply in early) < AT_ONCE_SECONDS
        assert flood.outcomes().keys() == {(200, "applied"), (503, None)}, flood.outcomes()
        loaded.check_stored(list(flood.replies.values()))
        # By itself, and nobody is refused any more.
        loaded.resend(requests, flood.replies)
        loaded.check_all_stored(requests)
        assert stack.pid("webhook") == pid
        if not os.environ.get("SANITIZE"):  # which keep freed memory
            assert memory_kib(pid, "VmHWM") - before < MEMORY_KIB


# ---- something ends, or dies ----


def end_responder(number: signal.Signals) -> Callable[[Stack], None]:
    def end(stack: Stack) -> None:
        pid = stack.pid("webhook")
        os.kill(pid, number)
        stack.wait_replaced("webhook", pid)

    return end


def crash_database(stack: Stack) -> None:
    stack.pg_ctl("restart", "-m", "immediate")


ENDS: dict[str, Callable[[Stack], None]] = {
    "clean_shutdown": end_responder(signal.SIGTERM),
    "killed": end_responder(signal.SIGKILL),
    "database_crashes": crash_database,
}


@pytest.mark.parametrize("end", [pytest.param("clean_shutdown", marks=pytest.mark.tsan), "killed", "database_crashes"])
def test_an_end_in_the_middle_of_load(loaded: Loaded, end: str) -> None:
    requests = loaded.requests(3000)
    with Load(loaded.stack.site, requests, 128) as busy:
        busy.wait_answered(500)
        ENDS[end](loaded.stack)
    assert len(busy.replies) == len(requests)
    for reply in busy.replies.values():
        # Refused, or cut.
        assert reply.outcome in ((200, "applied"), (200, "duplicate")) or reply.status in (None, *UNAVAILABLE), reply
    loaded.stack.wait_ready()
    loaded.check_stored(list(busy.replies.values()))
    loaded.resend(requests, busy.replies)
    loaded.check_all_stored(requests)


@pytest.mark.tsan
def test_a_clean_shutdown_that_takes_the_socket_away(loaded: Loaded) -> None:
    """Of a process that listens by itself: what comes after it is refused."""
    with responder(loaded.stack, "unix") as (process, listener):
        taken: list[Answer] = []

        def post_until_cut(_: int) -> None:
            while True:
                body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
                try:
                    answer = fastcgi.request(listener.address, fastcgi.post_params("/crossborderly", body, loaded.sender.credential(body)), body)
                except (OSError, struct.error):  # no listener; an answer that is cut off
                    return
                assert answer is not None and answer.outcome == (200, "applied"), answer
                taken.append(answer)

        with ThreadPoolExecutor(32) as pool:
            posting = pool.map(post_until_cut, range(32))
            wait_until(lambda: len(taken) >= 200, "the load is on")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            list(posting)
    loaded.check_taken([answer.json()["delivery"] for answer in taken])
