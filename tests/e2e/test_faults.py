"""Every system call between a sender and the commit fails, with every error that it can give: no event is lost or stored twice, and the process goes on."""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import psycopg
import pytest

import fastcgi
import failing_calls
from failing_calls import FailingCalls
from receiver import Receiver
from test_spool import ANSWER_SECONDS, SPOOLED, assert_stored_once, new_event, timed
from waiting import wait_until
from waybill_stack import Stack

APPLIED, DUPLICATE = (200, "applied"), (200, "duplicate")
# No answer: the connection was closed.
NONE = None
# For as long as the test says.
ALWAYS = 1 << 30
NAME = "waybill faults"


@dataclass(frozen=True)
class Fault:
    call: str
    error: int  # 0: the end of the stream
    times: int
    outcomes: tuple[tuple[int, str] | None, ...]
    reconnect: bool = False  # its connections to the database were lost before

    def __str__(self) -> str:
        often = "always" if self.times == ALWAYS else str(self.times)
        return f"{self.call}-{errno.errorcode.get(self.error, 'end')}-{often}"


def faults(call: str, names: str, times: int, *outcomes: tuple[int, str] | None, reconnect: bool = False) -> list[Fault]:
    return [Fault(call, getattr(errno, name, 0), times, outcomes, reconnect) for name in names.split()]


# What the manual pages of Linux list, as far as it can happen to a call that is made rightly, and what sockets give besides.
FAULTS = [
    # The connection stays in the queue, and is taken up to 100 ms later.
    *faults("accept4", "EMFILE ENFILE ENOBUFS ENOMEM EPERM ECONNABORTED EINTR EPROTO ENETDOWN", 2, APPLIED),
    *faults("setsockopt", "ENOMEM ENOBUFS", 1, NONE),
    *faults("epoll_wait", "EINTR", 5, APPLIED),
    *faults("read", "ECONNRESET ETIMEDOUT EAGAIN EINTR ENOMEM ENOBUFS EIO END", 1, NONE),
    # The database. Without a connection the event goes to the spool at once; a broken one is replaced, and the statement repeated.
    *faults("socket", "EMFILE ENFILE ENOBUFS ENOMEM EACCES", ALWAYS, SPOOLED, reconnect=True),
    *faults("connect", "ECONNREFUSED ENOENT EACCES EPERM EAGAIN ETIMEDOUT ENETUNREACH EINTR", ALWAYS, SPOOLED, reconnect=True),
    *faults("send", "EINTR EAGAIN", 1, APPLIED),
    *faults("send", "EPIPE ECONNRESET ENOTCONN ETIMEDOUT", 1, APPLIED, reconnect=True),
    # libpq tells of a failed write when nothing is left to read, and so never here: the spool takes over after 3 s.
    *faults("send", "ENOBUFS", 1, SPOOLED),
    *faults("recv", "ECONNRESET ENOTCONN ENOMEM EINTR EAGAIN ETIMEDOUT END", 1, APPLIED, DUPLICATE),
    *faults("poll", "EINTR ENOMEM EINVAL EFAULT", 1, APPLIED, DUPLICATE),
    *faults("recv", "ECONNRESET END", ALWAYS, SPOOLED),
    *faults("poll", "ENOMEM", ALWAYS, SPOOLED),
    # The answer is lost: the sender sends again.
    *faults("write", "EPIPE ECONNRESET EAGAIN ENOMEM ENOBUFS EIO", 1, NONE),
    # Nobody hears of it, that is all.
    *faults("log", "ENOSPC EIO EPIPE EAGAIN EDQUOT", 2, APPLIED),
]


class Faulty:
    """A receiver whose calls fail."""

    def __init__(self, stack: Stack, folder: Path, *launcher: str) -> None:
        self.receiver = Receiver(stack)
        self.receiver.launcher = [*launcher]
        wishes = self.receiver.folder / "wishes"
        self.calls = FailingCalls(failing_calls.build(folder), wishes)
        self.receiver.give(wishes)
        self.process = self.receiver.start(True, PGAPPNAME=NAME, **self.calls.environment)
        assert self.receiver.post(new_event()).outcome == APPLIED

    def post(self, body: bytes) -> tuple[int, str] | None:
        try:
            return self.receiver.post(body).outcome
        except (OSError, struct.error):
            return NONE

    def wait_ready(self) -> None:
        wait_until(lambda: self.post(new_event()) == APPLIED, f"an event is stored: {self.receiver.log_text()[-2000:]}")

    def lose_connections(self) -> None:
        with psycopg.connect(self.receiver.stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
            connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s", (NAME,))


@contextmanager
def started(stack: Stack, *launcher: str) -> Iterator[Faulty]:
    with tempfile.TemporaryDirectory(prefix="waybill-e2e-") as folder:
        os.chmod(folder, 0o755)
        faulty = Faulty(stack, Path(folder), *launcher)
        with faulty.receiver:
            yield faulty
            faulty.receiver.stop(faulty.process)


@pytest.fixture(scope="module")
def faulty(stack: Stack) -> Iterator[Faulty]:
    with started(stack) as faulty:
        yield faulty


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_call_fails(faulty: Faulty, fault: Fault) -> None:
    body = new_event()
    faulty.wait_ready()
    if fault.reconnect:
        faulty.lose_connections()
    faulty.calls.fail(fault.call, fault.error, fault.times)
    try:
        outcome, seconds = timed(lambda: faulty.post(body))
        assert outcome in fault.outcomes and seconds < ANSWER_SECONDS, (outcome, seconds)
        # A worker that waited meanwhile has not come by yet.
        wait_until(lambda: faulty.calls.failed(fault.call) > 0 or faulty.post(body) == (), "it has failed")
    finally:
        faulty.calls.fail(fault.call, 0, 0)
    # It goes on as if nothing had been, and the sender that got no answer gets one.
    faulty.wait_ready()
    assert faulty.post(body) == (APPLIED if outcome is NONE and fault.call != "write" else DUPLICATE) or outcome == SPOOLED
    faulty.receiver.wait_drained()
    assert_stored_once(faulty.receiver.stack, [body], times=None)
    assert faulty.process.poll() is None


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.ENOSPC])
def test_a_connection_cannot_be_watched(faulty: Faulty, error: int) -> None:
    """It is closed; the web server hears so, and the sender sends again."""
    faulty.calls.fail("epoll_ctl", error, 1)
    with fastcgi.connect(faulty.receiver.address()) as silent:
        wait_until(lambda: faulty.calls.failed("epoll_ctl") == 1, "it cannot be watched")
        assert silent.recv(1) == b""
    assert faulty.post(new_event()) == APPLIED


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# More than it needs at rest.
DESCRIPTORS = 96


def test_no_descriptor_is_left(stack: Stack) -> None:
    """At the limit, with real connections: those in the queue wait, without a busy loop, and are served when there are descriptors again."""
    with started(stack, "prlimit", f"--nofile={DESCRIPTORS}") as faulty, ExitStack() as connections:
        process, address, body = faulty.process, faulty.receiver.address(), new_event()
        silent: list[socket.socket] = [connections.enter_context(fastcgi.connect(address)) for _ in range(DESCRIPTORS)]
        params = fastcgi.post_params("/crossborderly", body, faulty.receiver.credential(body))
        waiting = [connections.enter_context(fastcgi.begin(address, params, body)) for _ in range(3)]
        calls = faulty.calls.calls("accept4")
        # With each tick of 100 ms.
        wait_until(lambda: faulty.calls.calls("accept4") >= calls + 5, "it tries again")
        calls, waits, seconds, start = faulty.calls.calls("accept4"), faulty.calls.calls("epoll_wait"), cpu_seconds(process), time.monotonic()
        wait_until(lambda: time.monotonic() > start + 1.5, "a while passes")
        elapsed, used = time.monotonic() - start, cpu_seconds(process) - seconds
        calls, waits = faulty.calls.calls("accept4") - calls, faulty.calls.calls("epoll_wait") - waits
        print(f"at the limit: {used:.2f} s of CPU in {elapsed:.2f} s, {calls} times accept4(), {waits} times epoll_wait()")
        assert calls <= 20 * elapsed and waits <= 20 * elapsed and used < 0.2 * elapsed
        for connection in silent:
            connection.close()
        assert sorted(fastcgi.finish(connection, params).outcome for connection in waiting) == [APPLIED, DUPLICATE, DUPLICATE]
        assert_stored_once(stack, [body], times=3)
        faulty.wait_ready()
