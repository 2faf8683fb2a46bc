"""The database is gone, silent, or there is too much to do: what is answered, how soon, and that it passes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Iterator

import psycopg
import pytest

import waybill_client as wb
from conftest import Stacks
from extra_sources import ExtraSources
from http_plain import Answer
from waiting import wait_until
from waybill_stack import RESPONDERS, SERVERS, Stack, set_option

# The promise is 5 s; the rest is for the machine that runs the tests.
ANSWER_SECONDS = 5.0 + 1.0


@pytest.fixture(scope="module")
def without_spool(stacks: Stacks) -> Iterator[Callable[[str], Stack]]:
    """Stacks whose events have nowhere to wait while the database is down."""
    contexts = []

    def get(server: str) -> Stack:
        stack = stacks(server)
        if "spool =" in stack.config.read_text():
            context = stack.configured(lambda text: set_option(text, "webhook", "spool", None))
            context.__enter__()
            contexts.append(context)
        return stack

    yield get
    for context in contexts:
        context.__exit__(None, None, None)


def assert_unavailable(answer: Answer) -> None:
    assert answer.status == 503, answer
    assert int(answer.header("Retry-After") or "") > 0, answer


def timed(call: Callable[[], Answer]) -> tuple[Answer, float]:
    start = time.monotonic()
    return call(), time.monotonic() - start


def assert_recovers(stack: Stack, bodies: list[bytes]) -> None:
    """What was refused is taken when it comes again, once."""
    sender = stack.sender("crossborderly")
    for body in bodies:
        wait_until(lambda: sender.post(body).status == 200, "the event is taken")
        assert [row["outcome"] for row in stack.stored(body)] == ["applied"]


@pytest.mark.parametrize("server", SERVERS)
def test_without_a_database(without_spool: Callable[[str], Stack], server: str) -> None:
    stack = without_spool(server)
    sender = stack.sender("crossborderly")
    known = wb.uid("T")
    sender.deliver(wb.status_changed(known, "IN_TRANSIT"))
    bodies = [wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT")) for _ in range(3)]
    before = {name: stack.pid(name) for name in ("webhook", "status", "server")}
    with stack.database_stopped():
        for body in bodies:
            answer, seconds = timed(lambda: sender.post(body))
            assert_unavailable(answer)
            assert seconds < ANSWER_SECONDS
        assert stack.sender("shipup").post(wb.URL_CHECK).outcome == (200, "ignored")
        assert sender.post(bodies[0], credential=wb.nothing).status == 401
        assert stack.status.get(wb.order_path("crossborderly", known)).status == 503
        assert stack.status.get("/orders").status == 503
        for name, token in (("webhook", {}), ("status", {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"})):
            assert stack.health(name, "livez").status == 200
            ready = wb.check_answer(stack.health(name, "readyz", token))
            assert ready.status == 503 and b"database" in ready.body.lower(), ready
    assert_recovers(stack, bodies)
    wait_until(lambda: stack.status.get(wb.order_path("crossborderly", known)).status == 200, "the order is shown again")
    assert {name: stack.pid(name) for name in before} == before


@pytest.mark.tsan
def test_a_silent_database(without_spool: Callable[[str], Stack]) -> None:
    """Through all web servers at once, because it takes the whole time."""
    stacks = [without_spool(server) for server in SERVERS]
    bodies = [wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT")) for _ in SERVERS]

    def ask(stack: Stack, body: bytes) -> list[tuple[Answer, float]]:
        with stack.database_frozen(), ThreadPoolExecutor(8) as pool:
            calls = [lambda: stack.sender("crossborderly").post(body)] * 5
            calls += [lambda: stack.status.get("/orders"), lambda: stack.sender("shipup").post(wb.URL_CHECK)]
            return list(pool.map(timed, calls))

    with ThreadPoolExecutor(len(stacks)) as pool:
        results = list(pool.map(ask, stacks, bodies))
    for answers in results:
        *refused, (checked, _) = answers
        for answer, _ in refused:
            assert_unavailable(answer)
        assert checked.outcome == (200, "ignored")
        assert max(seconds for _, seconds in answers) < ANSWER_SECONDS
    for stack, body in zip(stacks, bodies):
        assert_recovers(stack, [body])


def long_event() -> wb.Json:
    return wb.status_changed(wb.uid("T"), "IN_TRANSIT", padding="x" * 700_000)


def test_too_many_requests_in_hand(without_spool: Callable[[str], Stack]) -> None:
    """Beyond the limit the answer comes at once, while those in hand still wait for the database; unread bodies are no hindrance."""
    stack = without_spool("lighttpd")
    sender = stack.sender("crossborderly")
    with stack.configured(lambda text: set_option(text, "webhook", "max_in_flight", "2")), stack.database_frozen():
        with ThreadPoolExecutor(12) as pool:
            results = list(pool.map(lambda _: timed(lambda: sender.post(long_event())), range(12)))
    for answer, _ in results:
        assert_unavailable(answer)
    quick = [seconds for _, seconds in results if seconds < 2.0]
    assert len(quick) >= 10, sorted(seconds for _, seconds in results)
    wait_until(lambda: sender.post(wb.status_changed(wb.uid("T"), "IN_TRANSIT")).outcome == (200, "applied"), "it takes events again")


def test_too_many_bytes_in_hand(without_spool: Callable[[str], Stack]) -> None:
    """The same for bodies: one of these fits, two do not (and two that come in together keep each other out)."""
    stack = without_spool("lighttpd")
    sender = stack.sender("crossborderly")

    def post(_: int) -> tuple[Answer, float]:
        return timed(lambda: sender.post(long_event()))

    with stack.configured(lambda text: set_option(text, "webhook", "max_buffered", '"1MiB"')):
        with stack.database_frozen(), ThreadPoolExecutor(4) as pool:
            results = list(pool.map(post, range(4)))
        wait_until(lambda: post(0)[0].outcome == (200, "applied"), "it takes long events again")
    for answer, _ in results:
        assert_unavailable(answer)
    assert len([seconds for _, seconds in results if seconds < 2.0]) >= 3, results


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
@pytest.mark.parametrize("name", RESPONDERS)
def test_a_database_that_forgets_is_not_ready(stack: Stack, setting: str, name: str) -> None:
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"], autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = off")
        try:
            connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: stack.health(name, "readyz").status == 503, "readyz says so")
            known = {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"}
            # Each of the responder's connections hears of it in its own time.
            wait_until(lambda: setting.encode() in wb.check_answer(stack.health(name, "readyz", known)).body, "with a token it says why")
        finally:
            connection.execute(f"ALTER SYSTEM RESET {setting}")
            connection.execute("SELECT pg_reload_conf()")
    stack.wait_ready()


def test_plain_cgi_without_a_database(without_spool: Callable[[str], Stack]) -> None:
    stack = without_spool("apache")
    signed, checked = (stack.sender(source, mount="/cgi/webhooks") for source in ("crossborderly", "shipup"))
    body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    with stack.database_stopped():
        assert_unavailable(signed.post(body))
        assert checked.post(wb.URL_CHECK).outcome == (200, "ignored")
    assert signed.post(body).outcome == (200, "applied")


def test_the_quarantine_has_its_share_of_room(stack: Stack, extras: ExtraSources) -> None:
    """What cannot be kept is not promised; understood events go on, and what is known already takes no room."""
    sender = extras.sender("tiny-quarantine")
    strange = [wb.encode(wb.crossborderly_event("parcel.teleported", {"x": "x" * 40_000})) for _ in range(2)]
    with stack.configured(lambda text: set_option(text, "webhook", "quarantine_max", '"64KiB"')):
        assert sender.post(strange[0]).outcome == (200, "quarantined")
        assert_unavailable(sender.post(strange[1]))
        assert_unavailable(sender.post(b"no json" + b"x" * 40_000))
        assert sender.post(strange[0]).status == 200
        assert sender.post(wb.status_changed(wb.uid("T"), "IN_TRANSIT")).outcome == (200, "applied")
    assert [len(stack.stored(body)) for body in strange] == [1, 0]
    assert sender.post(strange[1]).outcome == (200, "quarantined")
