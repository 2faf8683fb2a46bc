"""The database is gone: events wait in the spool, are answered 200 `spooled`, and end in the database as if nothing had been."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Iterator

import psycopg
import pytest

import waybill_client as wb
from conftest import Stacks
from http_plain import Answer
from receiver import Receiver
from waiting import wait_until
from waybill_stack import CHECKOUT, RESPONDERS, SERVERS, Stack, set_option

ANSWER_SECONDS = 5.0 + 1.0
# What is spooled at once waits for no timeout: the shortest is 3 s.
AT_ONCE_SECONDS = 2.5
KIB = 1024

SPOOLED = (200, "spooled")


def new_event(**more: object) -> bytes:
    return wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT", **more))


def timed(call: Callable[[], Answer]) -> tuple[Answer, float]:
    start = time.monotonic()
    return call(), time.monotonic() - start


def assert_unavailable(answer: Answer) -> None:
    assert answer.status == 503, answer
    assert int(answer.header("Retry-After") or "") > 0, answer


def is_stored(stack: Stack, bodies: list[bytes]) -> bool:
    return all(stack.stored(body) for body in bodies)


def assert_stored_once(stack: Stack, bodies: list[bytes], times: int | None = 1) -> None:
    """Each is one delivery that was applied; TIMES: how often it was received, None: not to be known."""
    digests = [hashlib.sha256(body).digest() for body in bodies]
    rows = stack.audit("SELECT * FROM waybill_audit.deliveries WHERE body_sha256 = ANY (%s)", digests)
    assert sorted(bytes(row["body_sha256"]) for row in rows) == sorted(digests)
    assert {row["outcome"] for row in rows} == {"applied"}
    assert times is None or {row["times_received"] for row in rows} == {times}


@pytest.fixture
def receiver(stack: Stack) -> Iterator[Receiver]:
    with Receiver(stack) as receiver:
        yield receiver


def spool_events(receiver: Receiver, bodies: list[bytes]) -> None:
    """Leaves BODIES in the spool, and nobody who uses it."""
    process = receiver.start(database=False)
    assert {answer.outcome for answer in receiver.post_all(bodies)} == {SPOOLED}
    receiver.stop(process)
    assert receiver.waiting() == len(bodies)


# ---- an outage, seen from outside ----


def story(order: str, tracking: str) -> list[tuple[str, object]]:
    """Events of one order and one parcel: (source, event)."""
    return [
        ("crowdsender", wb.status_updated(order, "SHIPPED", wb.moment(1))),
        ("crowdsender", wb.tracking_updated(order, order + "-1", "In Transit", wb.moment(2))),
        ("crowdsender", wb.destination_updated(order, at=wb.moment(3))),
        ("crossborderly", wb.status_changed(tracking, "IN_TRANSIT", wb.moment(1))),
        ("crossborderly", wb.delivered(tracking, wb.moment(5))),
        ("waybill", wb.order_updated(tracking, wb.moment(3), source="crossborderly", order_number="N-" + order)),
        ("crossborderly", wb.status_changed(tracking, "OUT_FOR_DELIVERY", wb.moment(4), previous="IN_TRANSIT")),
    ]


def documents(stack: Stack, order: str, tracking: str) -> str:
    found = [wb.comparable(stack.status.order("crowdsender", order)), wb.comparable(stack.status.order("crossborderly", tracking))]
    return json.dumps(found, sort_keys=True).replace(order, "ORDER").replace(tracking, "TRACKING")


@pytest.mark.tsan
@pytest.mark.parametrize("server", SERVERS)
def test_an_outage_leaves_no_trace(stacks: Stacks, server: str) -> None:
    stack = stacks(server)
    usual, spooled = (("O" + wb.uid(), "T" + wb.uid()) for _ in range(2))
    usual_bodies = [(source, wb.encode(event)) for source, event in story(*usual)]
    for source, body in usual_bodies:
        stack.sender(source).deliver(body)
    strange = wb.encode(wb.crossborderly_event("parcel.teleported", {"x": wb.uid()}))
    not_json = b"no json " + wb.uid().encode()
    with stack.database_stopped():
        before = datetime.now(timezone.utc)
        bodies = [(source, wb.encode(event)) for source, event in story(*spooled)]
        for number, (source, body) in enumerate(bodies):
            answer, seconds = timed(lambda: stack.sender(source).post(body))
            assert answer.outcome == SPOOLED and seconds < (ANSWER_SECONDS if number == 0 else AT_ONCE_SECONDS), (answer, seconds)
            assert answer.json()["received"] is True and answer.json()["delivery"]
        ids = {body: stack.sender(source).deliver(body, "spooled") for source, body in bodies[:2]}
        assert stack.sender("crossborderly").post(strange).outcome == SPOOLED
        # What would be refused is refused, what needs no database is answered as ever.
        refused = wb.check_answer(stack.sender("crossborderly").post(not_json))
        assert refused.status == 400 and b"line 1" in refused.body
        assert stack.sender("crossborderly").post(bodies[3][1], credential=wb.nothing).status == 401
        assert stack.sender("shipup").post(wb.URL_CHECK).outcome == (200, "ignored")
        for details in (False, True):
            token = {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"} if details else {}
            ready = wb.check_answer(stack.health("webhook", "readyz", token))
            assert ready.status == 200 and ready.json()["status"] == "degraded" and ready.json()["part"] == "spool", ready
            assert ("spool" in ready.json()) == details
        assert ready.json()["spool"]["events"] == len(bodies) + 2 + 2 and ready.json()["database"] == "down"
        assert stack.health("webhook", "livez").status == 200
        after = datetime.now(timezone.utc)
    # Ready again: nothing waits.
    assert stack.health("webhook", "readyz").json() == {"status": "ok"}
    assert documents(stack, *spooled) == documents(stack, *usual)
    for number, (source, body) in enumerate(bodies):
        (row,) = stack.stored(body, source)
        assert before <= row["received_at"] <= after
        assert row["outcome"] == "applied" and row["times_received"] == (2 if number < 2 else 1)
        assert str(row["delivery_id"]) == ids.get(body, str(row["delivery_id"]))
        (usual_row,) = stack.stored(usual_bodies[number][1], source)
        assert row["headers"].keys() == usual_row["headers"].keys()
    assert [row["outcome"] for body in (strange, not_json) for row in stack.stored(body)] == ["quarantined"] * 2
    # Known by now, whichever way it came.
    assert stack.sender(bodies[5][0]).post(bodies[5][1]).outcome == (200, "duplicate")


@pytest.mark.tsan
@pytest.mark.parametrize("server", SERVERS)
def test_a_silent_database(stacks: Stacks, server: str) -> None:
    """Longer than the budget of a request; and those that are in the database's hands then are applied once."""
    stack = stacks(server)
    sender = stack.sender("crossborderly")
    bodies = [[new_event() for _ in range(12)] for _ in range(2)]
    with ThreadPoolExecutor(12) as pool:
        with stack.database_frozen():
            for limit, some in zip((ANSWER_SECONDS, AT_ONCE_SECONDS), bodies):
                for answer, seconds in pool.map(lambda body: timed(lambda: sender.post(body)), some):
                    assert answer.outcome == SPOOLED and seconds < limit, (answer, seconds)
            assert stack.health("webhook", "readyz").json()["status"] == "degraded"
    # What was in hand may have been committed too.
    assert_stored_once(stack, sum(bodies, []), times=None)


@pytest.mark.tsan
def test_a_locked_table(stack: Stack) -> None:
    """The database answers but takes nothing: spooled after a while; both responders say that something waits."""
    body = new_event()
    with deliveries_locked(stack):
        answer, seconds = timed(lambda: stack.sender("crossborderly").post(body))
        assert answer.outcome == SPOOLED and seconds < ANSWER_SECONDS, (answer, seconds)
        for name in RESPONDERS:
            token = {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"}
            ready = wb.check_answer(stack.health(name, "readyz", token))
            assert ready.status == 200 and (ready.json()["status"], ready.json()["part"]) == ("degraded", "spool"), ready
            assert ready.json()["spool"]["events"] == 1
    stack.wait_ready()
    assert_stored_once(stack, [body], times=None)


def test_a_database_that_never_greets(receiver: Receiver) -> None:
    """Several hosts, each of which takes the connection and says nothing: longer in libpq's hands than a request can wait."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        receiver.nowhere = f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={port} dbname=waybill user=nobody"
        process = receiver.start(False)
        answer, seconds = timed(lambda: receiver.post(new_event()))
        assert answer.outcome == SPOOLED and 2.5 < seconds < ANSWER_SECONDS
        answer, seconds = timed(lambda: receiver.post(new_event()))
        assert answer.outcome == SPOOLED and seconds < AT_ONCE_SECONDS
        assert receiver.ready().json()["status"] == "degraded"
        receiver.stop(process)


def test_plain_cgi(stacks: Stacks) -> None:
    """A process for each request: the next one drains."""
    stack = stacks("apache")
    sender = stack.sender("crossborderly", mount="/cgi/webhooks")
    body = new_event()
    with stack.database_stopped():
        assert sender.post(body).outcome == SPOOLED
    assert_stored_once(stack, [body])


# ---- the drainer ----


def test_drained_by_another_process_later(receiver: Receiver) -> None:
    """Also events of a source that is not configured any more, into a quarantine that has no room left."""
    bodies = [new_event() for _ in range(300)]
    strange = [wb.encode(wb.crossborderly_event("parcel.teleported", {"x": wb.uid() * 100})) for _ in range(3)]
    spool_events(receiver, bodies + strange)
    receiver.configure(database=True)
    receiver.edit(r"^source crossborderly \{.*?^\}", "")
    receiver.edit(r'^ *writes_to = \{"crossborderly"\}$', "")
    receiver.edit(r"^webhook \{", 'webhook { quarantine_max = "1KiB"')
    result = receiver.waybill("check")
    assert result.returncode == 0, result
    config = receiver.config.read_text()
    process = subprocess.Popen(
        [receiver.stack.program("webhook.fcgi"), "--listen", f"unix:{receiver.address(1)}"],
        env=os.environ | {"WAYBILL_CONFIG": str(receiver.config)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, **receiver.stack.owner)
    try:
        receiver.wait_drained()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert receiver.config.read_text() == config
    assert_stored_once(receiver.stack, bodies)
    assert [row["outcome"] for body in strange for row in receiver.stack.stored(body)] == ["quarantined"] * 3


def test_several_processes_share_it(receiver: Receiver) -> None:
    stack, bodies = receiver.stack, [[new_event() for _ in range(100)] for _ in range(2)]
    processes = [receiver.start(False, number) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda number: receiver.post_all(bodies[number], number), range(2))
    assert {answer.outcome for some in answers for answer in some} == {SPOOLED}
    assert receiver.waiting() == 200
    for number, process in enumerate(processes):
        receiver.stop(process)
    processes = [receiver.start(True, number) for number in range(2)]
    receiver.wait_drained()
    assert_stored_once(stack, sum(bodies, []))
    assert [receiver.ready(number).json()["status"] for number in range(2)] == ["ok"] * 2
    for process in processes:
        receiver.stop(process)


@contextmanager
def deliveries_locked(stack: Stack) -> Iterator[Callable[[], bool]]:
    """Nobody can commit a delivery; gives a function that says whether somebody waits to."""
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        connection.execute("LOCK TABLE waybill_data.deliveries IN EXCLUSIVE MODE")
        (own,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid)) AND application_name = 'waybill drain'"
        yield lambda: stack.query("WAYBILL_SUPERUSER_DSN", waiting, own)[0]["n"] > 0


@pytest.mark.tsan
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_ended_before_the_commit(receiver: Receiver, how: signal.Signals) -> None:
    bodies = [new_event() for _ in range(20)]
    spool_events(receiver, bodies)
    with deliveries_locked(receiver.stack) as somebody_waits:
        process = receiver.start(True)
        wait_until(somebody_waits, "it drains")
        assert receiver.ready().json()["status"] == "degraded"
        start = time.monotonic()
        receiver.stop(process, how)
        assert time.monotonic() - start < 10.0
        assert receiver.waiting() == 20
    process = receiver.start(True)
    receiver.wait_drained()
    # What was under way may have been committed after its client was gone.
    assert_stored_once(receiver.stack, bodies, times=None)
    receiver.stop(process)


def test_killed_between_commit_and_removal(receiver: Receiver) -> None:
    bodies = [new_event() for _ in range(20)]
    spool_events(receiver, bodies)
    with closing(sqlite3.connect(receiver.file, isolation_level=None)) as spool:
        spool.execute("BEGIN IMMEDIATE")
        process = receiver.start(True)
        wait_until(lambda: is_stored(receiver.stack, bodies), "all is committed")
        receiver.stop(process, signal.SIGKILL)
        spool.execute("ROLLBACK")
        assert spool.execute("SELECT count(*) FROM event").fetchone() == (20,)
    for owned in receiver.spool.iterdir():
        receiver.give(owned)
    process = receiver.start(True)
    receiver.wait_drained()
    assert_stored_once(receiver.stack, bodies, times=None)
    receiver.stop(process)


def test_killed_again_and_again(receiver: Receiver) -> None:
    """While events come in, are spooled, and drained: what was answered with 200 is there in the end, once."""
    taken: list[bytes] = []
    for round_ in range(6):
        process = receiver.start(round_ % 2 == 1)
        with ThreadPoolExecutor(8) as pool:
            bodies = [new_event() for _ in range(60)]
            posting = [pool.submit(receiver.post, body) for body in bodies]
            wait_until(lambda: sum(one.done() for one in posting) >= 20, "some are answered")
            receiver.stop(process, signal.SIGKILL)
            for body, one in zip(bodies, posting):
                if one.exception() is None and one.result().status == 200:
                    taken.append(body)
    assert len(taken) >= 100
    process = receiver.start(True)
    receiver.wait_drained()
    assert_stored_once(receiver.stack, taken, times=None)
    receiver.stop(process)


def digest(received_at: int, *fields: bytes) -> bytes:
    parts = (received_at.to_bytes(8, "big"), *fields)
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def test_what_cannot_be_stored_is_in_nobodys_way(receiver: Receiver) -> None:
    """An event of a sender that this release does not know stays; so it does when the spool is drained by hand."""
    bodies = [new_event() for _ in range(5)]
    spool_events(receiver, bodies)
    at = 1_700_000_000_000_000
    with closing(sqlite3.connect(receiver.file)) as spool, spool:
        row = (at, b"old", b"bygone", b"", b"{}", b"{}")
        spool.execute(
            "INSERT INTO event (id, received_at, source, provider, tracking_url, headers, body, digest) VALUES (0, ?, ?, ?, ?, ?, ?, ?)",
            (*row, digest(*row)))
    process = receiver.start(True)
    wait_until(lambda: receiver.waiting() == 1, "the others are drained")
    assert_stored_once(receiver.stack, bodies)
    assert receiver.ready().json()["spool"]["oldest"] == "2023-11-14T22:13:20.000Z"
    assert receiver.post(new_event()).outcome == (200, "applied")
    receiver.stop(process)
    result = receiver.waybill("spool", "--drain")
    assert result.returncode == 1 and "events  1" in result.stdout, result


@contextmanager
def refused(stack: Stack, bodies: list[bytes], sqlstate: str) -> Iterator[None]:
    """Whatever stores one of BODIES fails with SQLSTATE."""
    digests = ", ".join(f"'\\x{hashlib.sha256(body).hexdigest()}'" for body in bodies)
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"], autocommit=True) as connection:
        try:
            connection.execute(
                "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$")
            connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON waybill_data.deliveries FOR EACH ROW"
                f" WHEN (NEW.body_sha256 IN ({digests})) EXECUTE FUNCTION public.refuse()")
            yield
        finally:
            connection.execute("DROP FUNCTION IF EXISTS public.refuse() CASCADE")


@pytest.mark.parametrize("sqlstate, count", [("57014", 3), ("57P02", 1), ("57P02", 4)])
def test_what_fails_each_time_is_in_nobodys_way(receiver: Receiver, sqlstate: str, count: int) -> None:
    """Events at the head of the spool whose errors are the database's, not the data's: others are drained, and live ones stored."""
    failing, bodies = [new_event() for _ in range(count)], [new_event() for _ in range(5)]
    with refused(receiver.stack, failing, sqlstate):
        process = receiver.start(True)
        assert {receiver.post(body).outcome for body in failing} == {SPOOLED}
        assert {receiver.post(body).status for body in bodies} == {200}
        wait_until(lambda: is_stored(receiver.stack, bodies), "the others are stored")
        wait_until(lambda: receiver.post(new_event()).outcome == (200, "applied"), "live events are stored")
        assert receiver.waiting() >= count
    receiver.wait_drained()
    assert_stored_once(receiver.stack, failing + bodies)
    receiver.stop(process)


@contextmanager
def writes_blocked(stack: Stack) -> Iterator[None]:
    """The database answers, and reads; what would be stored waits."""
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        connection.execute("LOCK TABLE waybill_data.orders IN EXCLUSIVE MODE")
        yield
        connection.rollback()


# An event that has found out that the database is away, and is not in the spool yet, leaves an empty one to look at meanwhile.
SLOW_SYNCS = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=300ms"]


@pytest.mark.parametrize("launcher", [pytest.param([], id="spooled at once"), pytest.param(SLOW_SYNCS, id="spooled in its time", marks=pytest.mark.once)])
def test_a_database_that_reads_and_does_not_write(receiver: Receiver, launcher: list[str]) -> None:
    """That it answers is no proof: one event at a time tries, the others do not wait for it."""
    bodies: list[bytes] = []

    def post_some() -> int:
        """How many of ten waited."""
        some = [new_event() for _ in range(10)]
        bodies.extend(some)
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda body: timed(lambda: receiver.post(body)), some))
        assert {answer.outcome for answer, _ in answers} == {SPOOLED}
        return sum(seconds >= AT_ONCE_SECONDS for _, seconds in answers)

    receiver.launcher = launcher
    process = receiver.start(True)
    with writes_blocked(receiver.stack):
        bodies.append(new_event())
        assert receiver.post(bodies[0]).outcome == SPOOLED
        wait_until(lambda: "events stay in the spool" in receiver.log_text(), "the drainer has tried")
        assert post_some() == 1, "one is tried, and one alone"
    wait_until(lambda: receiver.post(new_event()).outcome == (200, "applied"), "live events are stored again")
    receiver.wait_drained()
    assert_stored_once(receiver.stack, bodies, times=None)
    receiver.stop(process)


# ---- no room, no disk ----


def test_a_full_spool(stack: Stack) -> None:
    with Receiver(stack, spool_max='"64KiB"') as receiver:
        for _ in range(2):
            process = receiver.start(False)
            bodies = [new_event(padding="x" * 700) for _ in range(100)]
            answers = [receiver.post(body) for body in bodies]
            taken = [body for body, answer in zip(bodies, answers) if answer.outcome == SPOOLED]
            refused = [body for body, answer in zip(bodies, answers) if answer.outcome != SPOOLED]
            assert 20 <= len(taken) <= 70
            for answer in answers:
                assert answer.outcome == SPOOLED or assert_unavailable(answer) is None
            assert receiver.ready().status == 503
            assert receiver.state()["bytes"] <= 64 * KIB and receiver.file.stat().st_size <= 64 * KIB
            receiver.stop(process)
            process = receiver.start(True)
            receiver.wait_drained()
            assert_stored_once(stack, taken)
            assert not any(stack.stored(body) for body in refused)
            assert {receiver.post(body).outcome for body in refused} == {(200, "applied")}
            receiver.stop(process)


def test_long_bodies(receiver: Receiver) -> None:
    """What SQLite writes ahead is bounded too."""
    bodies = [new_event(padding="x" * 900_000) for _ in range(40)]
    process = receiver.start(False)
    assert {receiver.post(body).outcome for body in bodies} == {SPOOLED}
    assert receiver.state()["bytes"] >= 40 * 900_000
    assert sum(file.stat().st_size for file in receiver.spool.iterdir()) < receiver.state()["bytes"] + 16 * KIB * KIB
    receiver.stop(process)
    process = receiver.start(True)
    receiver.wait_drained()
    assert_stored_once(receiver.stack, bodies)
    wait_until(lambda: sum(file.stat().st_size for file in receiver.spool.iterdir()) < 256 * KIB, "the room is given back")
    receiver.stop(process)


def test_a_folder_that_cannot_be_used(stack: Stack) -> None:
    with Receiver(stack) as receiver:
        receiver.spool.mkdir()
        receiver.spool.chmod(0o500)
        receiver.give(receiver.spool)
        process = receiver.start(False)
        assert "the spool cannot be used" in receiver.log_text()
        assert_unavailable(receiver.post(new_event()))
        assert receiver.ready().status == 503
        assert receiver.probe().status == 200
        # Repaired, it is used without a restart.
        receiver.spool.chmod(0o700)
        body = new_event()
        assert receiver.post(body).outcome == SPOOLED
        receiver.stop(process)
        receiver.spool.chmod(0o500)
        process = receiver.start(True)
        assert receiver.post(new_event()).outcome == (200, "applied")
        receiver.spool.chmod(0o700)
        wait_until(lambda: is_stored(stack, [body]), "it is drained after all", seconds=60)
        receiver.stop(process)


@pytest.fixture(scope="module")
def faults() -> Iterator[Path]:
    """The library that watches a process's writes and makes them fail."""
    with tempfile.TemporaryDirectory(prefix="waybill-e2e-") as folder:
        os.chmod(folder, 0o755)
        library = Path(folder) / "faults.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(library), str(CHECKOUT / "tests/e2e/faults.c")], check=True)
        yield library


def start_with_faults(
    receiver: Receiver, library: Path, database: bool = False, fault: str = ""
) -> tuple[subprocess.Popen[bytes], Path, Path]:
    """The process, the log of its writes, and the file that says what fails."""
    log, wish = receiver.folder / "faults.log", receiver.folder / "faults.wish"
    for file, text in ((log, ""), (wish, fault)):
        file.write_text(text)
        receiver.give(file)
    options = os.environ.get("ASAN_OPTIONS", "")
    process = receiver.start(
        database, LD_PRELOAD=str(library), FAULTS_LOG=str(log), FAULTS_WISH=str(wish), ASAN_OPTIONS=f"{options}:verify_asan_link_order=0")
    return process, log, wish


def test_the_disk_has_it_before_the_answer(receiver: Receiver, faults: Path) -> None:
    process, log, _ = start_with_faults(receiver, faults)
    assert receiver.post(new_event()).outcome == SPOOLED
    log.write_text("")
    assert receiver.post(new_event()).outcome == SPOOLED
    steps = wait_until(lambda: (lines := log.read_text().split())[-1:] == ["answer"] and lines, "the answer is seen")
    assert steps.count("answer") == 1 and steps[-2] == "sync" and "write" in steps[:-2], steps
    # Many share one sync.
    log.write_text("")
    assert {answer.outcome for answer in receiver.post_all([new_event() for _ in range(300)])} == {SPOOLED}
    steps = log.read_text().split()
    assert steps.count("answer") == 300 and steps.count("sync") < 300
    receiver.stop(process)


@pytest.mark.parametrize("fault", ["full", "sync"])
def test_a_disk_that_fails(receiver: Receiver, faults: Path, fault: str) -> None:
    process, _, wish = start_with_faults(receiver, faults)
    bodies = [new_event() for _ in range(3)]
    assert receiver.post(bodies[0]).outcome == SPOOLED
    wish.write_text(fault)
    assert_unavailable(receiver.post(bodies[1]))
    assert receiver.ready().status == 503
    wish.write_text("")
    assert receiver.post(bodies[2]).outcome == SPOOLED
    assert receiver.ready().json()["status"] == "degraded"
    receiver.stop(process)
    process = receiver.start(True)
    receiver.wait_drained()
    assert_stored_once(receiver.stack, [bodies[0], bodies[2]])
    receiver.stop(process)


def test_files_that_may_not_grow(receiver: Receiver) -> None:
    """RLIMIT_FSIZE: no signal ends the process, and its log is one of these files."""
    process = receiver.start(False)
    receiver.stack.limit_files([process.pid], "0")
    assert_unavailable(receiver.post(new_event()))
    receiver.stack.limit_files([process.pid], "unlimited")
    assert receiver.post(new_event()).outcome == SPOOLED
    receiver.stop(process)


def test_a_disk_that_is_full_while_draining(receiver: Receiver, faults: Path) -> None:
    """What is committed but cannot leave the spool is a duplicate later."""
    bodies = [new_event() for _ in range(10)]
    spool_events(receiver, bodies)
    process, _, wish = start_with_faults(receiver, faults, database=True, fault="full")
    wait_until(lambda: is_stored(receiver.stack, bodies), "all is committed")
    assert receiver.waiting() == 10
    wish.write_text("")
    wait_until(lambda: receiver.waiting() == 0, "they leave", seconds=60)
    assert_stored_once(receiver.stack, bodies, times=None)
    receiver.stop(process)


def test_a_spool_that_cannot_be_used_keeps_nobody_out(receiver: Receiver, faults: Path) -> None:
    """Who asks readyz before he sends anything, as a load balancer does, does not wait for an event to prove that the database is back."""
    body = new_event()
    process, _, wish = start_with_faults(receiver, faults, database=True)
    with refused(receiver.stack, [body], "57014"):
        assert receiver.post(body).outcome == SPOOLED
        wait_until(lambda: "events stay in the spool" in receiver.log_text(), "the drainer has tried")
        wish.write_text("full")
        wait_until(lambda: receiver.ready().json().get("database") == "up", "it asks the database again")
    wish.write_text("")
    receiver.wait_drained()
    assert_stored_once(receiver.stack, [body])
    receiver.stop(process)


# ---- a damaged file ----


def garble(file: Path) -> None:
    file.write_bytes(os.urandom(file.stat().st_size))


def garble_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = os.urandom(4096)
    file.write_bytes(content)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 + 100)


def cut_all(file: Path) -> None:
    os.truncate(file, 0)


# How many of 200 events survive at least.
DAMAGES = {"garbage": (garble, 0), "garbage in the middle": (garble_middle, 100), "cut": (cut, 50), "empty": (cut_all, 0)}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(receiver: Receiver, damage: str) -> None:
    do_it, least = DAMAGES[damage]
    stack, bodies = receiver.stack, [new_event(padding="x" * 500) for _ in range(200)]
    spool_events(receiver, bodies)
    do_it(receiver.file)
    damaged = receiver.file.read_bytes()
    process = receiver.start(False)
    more = new_event()
    assert receiver.post(more).outcome == SPOOLED
    # At the latest when the drainer reads it.
    wait_until(lambda: "was damaged: moved aside to" in receiver.log_text(), "it is noticed")
    (aside,) = receiver.spool.glob("damaged-*.sqlite3")
    assert aside.read_bytes() == damaged
    assert least < receiver.waiting() <= 200
    receiver.stop(process)
    process = receiver.start(True)
    receiver.wait_drained()
    kept = [body for body in bodies if stack.stored(body)]
    assert least <= len(kept) < 200
    assert_stored_once(stack, kept + [more])
    receiver.stop(process)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_file_cut_to_nothing_beside_its_wal(receiver: Receiver, length: int) -> None:
    """All that it held is in the -wal, which is whole."""
    bodies = [new_event() for _ in range(30)]
    process = receiver.start(False)
    assert {answer.outcome for answer in receiver.post_all(bodies)} == {SPOOLED}
    receiver.stop(process, signal.SIGKILL)
    os.truncate(receiver.file, length)
    process = receiver.start(True)
    receiver.wait_drained()
    assert_stored_once(receiver.stack, bodies)
    # Beside more bytes SQLite reads the -wal by itself.
    assert ("30 events were read from it and kept, 0 were not whole" in receiver.log_text()) == (length <= 1)
    receiver.stop(process)


# ---- the command ----


def test_the_command(receiver: Receiver) -> None:
    receiver.configure(database=True)
    assert receiver.waybill("spool").stdout == f"events  0\nbytes   0 of {1 << 30}\n"
    assert receiver.waybill("spool", "--drain").stdout.startswith("drained 0\nevents  0\n")
    assert not receiver.spool.exists()
    empty = receiver.state()
    assert empty == {"events": 0, "oldest": None, "age_seconds": None, "bytes": 0, "max_bytes": 1 << 30}
    before = time.time()
    bodies = [new_event() for _ in range(300)]
    spool_events(receiver, bodies)
    state = receiver.state()
    oldest = datetime.fromisoformat(state["oldest"].replace("Z", "+00:00")).timestamp()
    assert before - 0.001 <= oldest <= time.time() and 0 <= state["age_seconds"] <= time.time() - before + 1
    assert 4096 <= state["bytes"] <= 1 << 20
    lines = receiver.waybill("spool").stdout.splitlines()
    assert lines[0] == "events  300" and state["oldest"] in lines[1] and lines[2] == f"bytes   {state['bytes']} of {1 << 30}"

    away = receiver.waybill("spool", "--drain", WAYBILL_DSN="host=/nowhere")
    assert away.returncode == 1 and "nowhere" in away.stderr and receiver.waiting() == 300
    result = receiver.waybill("spool", "--drain", "--json")
    assert result.returncode == 0, result
    assert json.loads(result.stdout)["drained"] == 300 and json.loads(result.stdout)["events"] == 0
    assert_stored_once(receiver.stack, bodies)
    again = receiver.waybill("spool", "--drain")
    assert again.returncode == 0 and again.stdout.startswith("drained 0\nevents  0\n"), again


def test_the_command_beside_a_drainer(receiver: Receiver) -> None:
    """Both drain, one at a time."""
    bodies = [new_event() for _ in range(1000)]
    spool_events(receiver, bodies)
    process = receiver.start(True)
    result = receiver.waybill("spool", "--drain")
    assert result.returncode == 0 and "events  0" in result.stdout, result
    assert_stored_once(receiver.stack, bodies)
    receiver.stop(process)


def test_the_command_refuses(receiver: Receiver) -> None:
    receiver.configure(database=True)
    assert receiver.waybill("check", "--drain").returncode == 2
    assert receiver.waybill("check", "--json").returncode == 2
    receiver.config.write_text(set_option(receiver.config.read_text(), "webhook", "spool", None))
    result = receiver.waybill("spool")
    assert result.returncode == 2 and "spool: is not set" in result.stderr, result
    receiver.config.write_text("webhook { spool = x y }")
    assert receiver.waybill("spool").returncode == 2


def test_files_are_for_nobody_else(receiver: Receiver) -> None:
    process = receiver.start(False)
    assert receiver.post(new_event()).outcome == SPOOLED
    assert receiver.spool.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in receiver.spool.iterdir()} == {0o600}
    if os.getuid() == 0:
        # Root's look at it locks the responder out of nothing.
        subprocess.run(
            [receiver.stack.program("waybill"), "spool"], env=os.environ | {"WAYBILL_CONFIG": str(receiver.config)}, check=True,
            stdout=subprocess.DEVNULL)
        assert {file.stat().st_uid for file in receiver.spool.iterdir()} == {receiver.spool.stat().st_uid}
    assert receiver.post(new_event()).outcome == SPOOLED
    receiver.stop(process)
