"""The connection to the database is lost before, during and after the commit of a batch: nobody loses an answer, and nothing is stored twice or by halves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Iterator

import psycopg
import pytest

from conftest import Stacks
from convergence_state import Database, State, check_facts
from event_sets import SETS
from http_plain import Answer
from parked import Requests
from pg_proxy import Cut, PgProxy
from storms import all_events
from test_outage import ANSWER_SECONDS, assert_unavailable
from waiting import wait_until
from waybill_stack import Stack, set_option

# One that keeps the committer busy, and all the others in one batch behind it.
FIRST, *OTHERS = all_events()


class Fixture:
    """A stack whose webhook.fcgi has one connection, through the proxy, and no spool; and what an undisturbed database looks like."""

    def __init__(self, stack: Stack, proxy: PgProxy) -> None:
        self.stack = stack
        self.proxy = proxy
        self.database = Database(stack)
        self.superuser = psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"])
        self.reference = self._deliver_undisturbed()

    def close(self) -> None:
        self.superuser.close()
        self.database.close()

    def _deliver_undisturbed(self) -> State:
        self.database.empty()
        assert outcomes(Requests(self.stack, [FIRST, *OTHERS]).answers()) == {(200, "applied")}
        assert set(self.database.times_received().values()) == {1}
        return self.check_state()

    def check_state(self) -> State:
        state = self.database.state()
        check_facts(state, SETS)
        return state

    def check(self, requests: Requests, outcome: str, times: int) -> None:
        """All of REQUESTS, the last to be sent, have this OUTCOME; they were received TIMES times, the first event once; the state is the undisturbed one."""
        assert outcomes(requests.answers()) == {(200, outcome)}
        state = self.check_state()
        assert state == self.reference, "\n".join(state.differences(self.reference))
        counts = list(self.database.times_received().values())
        assert sorted(counts) == [1] + [times] * len(OTHERS)

    # ---- a statement that does not end by itself ----

    def block(self) -> None:
        """Batches wait for the table of orders."""
        self.superuser.execute("LOCK TABLE waybill_data.orders IN EXCLUSIVE MODE")

    def unblock(self) -> None:
        self.superuser.rollback()

    def waiting(self) -> list[int]:
        """The processes whose batch waits for a lock."""
        sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'waybill webhook' AND wait_event_type = 'Lock'"
        # The statistics of a transaction are those of its beginning.
        self.superuser.execute("SELECT pg_stat_clear_snapshot()")
        return [pid for (pid,) in self.superuser.execute(sql)]

    def wait_for_waiting(self, count: int) -> None:
        wait_until(lambda: len(self.waiting()) == count, f"{count} batches wait for a lock")

    def terminate(self) -> None:
        self.wait_for_waiting(1)
        (pid,) = self.waiting()
        assert self.superuser.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,)).fetchone() == (True,)


def outcomes(answers: list[Answer]) -> set[tuple[int, str | None]]:
    return {answer.outcome for answer in answers}


@pytest.fixture(scope="module")
def lossy_stack(stacks: Stacks) -> Iterator[Fixture]:
    stack = stacks.make().up()
    proxy = PgProxy(stack.sockets)
    try:
        text = stack.config.read_text()
        text = text.replace(f'ingest_dsn = "host={stack.sockets}', f'ingest_dsn = "host={proxy.folder}')
        assert str(proxy.folder) in text
        stack.write_config(set_option(set_option(text, "webhook", "connections", "1"), "webhook", "spool", None))
        stack.restart_responders()
        fixture = Fixture(stack, proxy)
        yield fixture
        fixture.close()
        stacks.remove(stack)
    finally:
        proxy.close()


@pytest.fixture
def lossy(lossy_stack: Fixture) -> Iterator[Fixture]:
    lossy_stack.database.empty()
    yield lossy_stack
    assert lossy_stack.proxy.failures == []


@dataclass(frozen=True)
class Loss:
    cut: Cut
    outcome: str  # of the batch
    times: int  # it is received, as its rows count it
    # While a statement is held up: what happens to it, and how many wait in the end (its successor is one).
    meanwhile: Callable[[Fixture], None] | None = None
    waiting: int = 0


LOSSES = {
    "before": Loss(Cut.BEFORE, "applied", 1),
    "half_sent": Loss(Cut.HALF_SENT, "applied", 1),
    "taken": Loss(Cut.TAKEN, "applied", 1),
    "half_written": Loss(Cut.HALF_WRITTEN, "applied", 1),
    # It goes on without anybody to tell; the repetition waits for its end.
    "running": Loss(Cut.RUNNING, "duplicate", 2, lambda fixture: fixture.wait_for_waiting(1), 2),
    "running_rolled_back": Loss(Cut.RUNNING, "applied", 1, Fixture.terminate, 1),
    "terminated": Loss(Cut.TERMINATED, "applied", 1, Fixture.terminate, 1),
    # The commit whose answer got lost becomes a duplicate.
    "answered": Loss(Cut.ANSWERED, "duplicate", 2),
    "unconfirmed": Loss(Cut.UNCONFIRMED, "duplicate", 2),
}


def prepare(fixture: Fixture, loss: Loss) -> None:
    """The next batch meets the loss."""
    if loss.meanwhile is None:
        fixture.proxy.cut(loss.cut)
    else:
        meanwhile = loss.meanwhile
        fixture.proxy.cut(loss.cut, before=fixture.block, while_running=lambda: meanwhile(fixture))


def let_on(fixture: Fixture, loss: Loss) -> None:
    if loss.meanwhile is not None:
        try:
            # The first of them is seen by the proxy.
            wait_until(lambda: len(fixture.proxy.sizes) == 2, "the batch is sent again")
            fixture.wait_for_waiting(loss.waiting)
        finally:
            fixture.unblock()


@pytest.mark.tsan
@pytest.mark.parametrize("name", LOSSES)
def test_a_connection_lost_with_many_requests_in_hand(lossy: Fixture, name: str) -> None:
    loss = LOSSES[name]
    with lossy.proxy.holding() as wait_held:
        first = Requests(lossy.stack, [FIRST])
        wait_held()
        others = Requests(lossy.stack, OTHERS)
        others.wait_parked()
        prepare(lossy, loss)
    let_on(lossy, loss)
    assert outcomes(first.answers()) == {(200, "applied")}
    lossy.check(others, loss.outcome, loss.times)
    # One batch, and once more.
    assert len(lossy.proxy.sizes) == 2 and lossy.proxy.sizes[0] == lossy.proxy.sizes[1] > len(OTHERS) * 100


@pytest.mark.parametrize("name", LOSSES)
def test_a_connection_lost_with_one_request_in_hand(lossy: Fixture, name: str) -> None:
    loss = LOSSES[name]
    assert outcomes(Requests(lossy.stack, [FIRST]).answers()) == {(200, "applied")}
    prepare(lossy, loss)
    request = Requests(lossy.stack, OTHERS[:1])
    let_on(lossy, loss)
    assert outcomes(request.answers()) == {(200, loss.outcome)}
    assert len(lossy.proxy.sizes) == 2
    assert sorted(lossy.database.times_received().values()) == sorted([1, loss.times])


ABSENCES = {
    "before": Loss(Cut.BEFORE, "applied", 1),
    "half_sent": Loss(Cut.HALF_SENT, "applied", 1),
    "taken": Loss(Cut.TAKEN, "applied", 1),
    "half_written": Loss(Cut.HALF_WRITTEN, "applied", 1),
    "answered": Loss(Cut.ANSWERED, "duplicate", 2),
    "silence": Loss(Cut.SILENCE, "duplicate", 2),
}


def lose_for_good(fixture: Fixture, loss: Loss) -> Requests:
    """Many requests whose batch meets the loss, and no other connection is to be had afterwards."""
    assert outcomes(Requests(fixture.stack, [FIRST]).answers()) == {(200, "applied")}
    with fixture.proxy.holding() as wait_held:
        # Known already: its answer is as good as any.
        busy = Requests(fixture.stack, [FIRST])
        wait_held()
        others = Requests(fixture.stack, OTHERS)
        others.wait_parked()
        fixture.proxy.cut(loss.cut, then_away=True)
    assert outcomes(busy.answers()) == {(200, "duplicate")}
    return others


def check_after_absence(fixture: Fixture, loss: Loss, again: int = 0) -> None:
    """AGAIN: how many attempts more may have been committed whose answer was lost."""
    state = fixture.check_state()
    assert state == fixture.reference, "\n".join(state.differences(fixture.reference))
    # The first event came twice.
    first, *others = sorted(fixture.database.times_received().values(), key=lambda times: abs(times - 2))
    assert first == 2 and len(others) == len(OTHERS)
    assert all(loss.times <= times <= loss.times + again for times in others), others


@pytest.mark.parametrize("name", ABSENCES)
def test_a_connection_lost_and_no_other_to_be_had(lossy: Fixture, name: str) -> None:
    """Without a spool the answer is 503, which promises nothing: the resend ends in the same state."""
    loss = ABSENCES[name]
    try:
        start = time.monotonic()
        for answer in lose_for_good(lossy, loss).answers():
            assert_unavailable(answer)
        assert time.monotonic() - start < ANSWER_SECONDS
        assert len(lossy.proxy.sizes) == 1
    finally:
        lossy.proxy.is_back()
    lossy.stack.wait_ready()
    assert outcomes(Requests(lossy.stack, OTHERS).answers()) == {(200, loss.outcome)}
    check_after_absence(lossy, loss)


@pytest.mark.parametrize("name", ["before", "taken", "answered", "silence"])
def test_a_connection_lost_and_a_spool_to_wait_in(lossy: Fixture, name: str) -> None:
    """What may or may not be committed waits there, and once it is drained the state is the same."""
    loss = ABSENCES[name]
    with lossy.stack.configured(lambda text: set_option(text, "webhook", "spool", f'"{lossy.stack.var}/spool"')):
        try:
            start = time.monotonic()
            assert outcomes(lose_for_good(lossy, loss).answers()) == {(200, "spooled")}
            assert time.monotonic() - start < ANSWER_SECONDS
        finally:
            lossy.proxy.is_back()
        wait_until(lambda: sum(lossy.database.times_received().values()) >= 2 + loss.times * len(OTHERS), "the spool is drained")
        check_after_absence(lossy, loss, again=1)
