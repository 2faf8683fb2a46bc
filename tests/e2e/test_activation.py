"""A restart under systemd's socket activation (systemd-socket-activate holds the socket as the unit does): no connection is refused, and every request is answered."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import fastcgi
import waybill_client as wb
from test_operations import new_event
from waiting import wait_until
from waybill_stack import CHECKOUT, Stack

RESTARTS = 5
SENDERS = 8
PASSED_ON = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


class Activated:
    """webhook.fcgi, started by the first connection, and again whenever it ends: the supervisor does what systemd does for Restart=always."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "socket")
        self._pid = folder / "run" / "webhook.child"

    def pid(self) -> int:
        return int(self._pid.read_text()) if self._pid.exists() else 0


@contextmanager
def activated(stack: Stack) -> Iterator[Activated]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        owner = stack.config.stat()
        for path in (folder, folder / "run"):
            os.chown(path, owner.st_uid, owner.st_gid)
        one = Activated(folder)
        environment = {"WAYBILL_CONFIG": str(stack.config)} | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        command = ["systemd-socket-activate", f"--listen={one.socket}", *(f"--setenv={name}={value}" for name, value in environment.items()),
                   str(CHECKOUT / "tests" / "stack" / "supervise.sh"), "always", "webhook", name, stack.program("webhook.fcgi")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **stack.owner)
        try:
            wait_until(lambda: os.path.exists(one.socket), "systemd-socket-activate listens")
            yield one
        finally:
            process.terminate()
            process.wait(30)


def test_a_restart_loses_no_connection(stack: Stack) -> None:
    sender, stopped, answered = stack.sender("crossborderly"), threading.Event(), threading.Semaphore(0)

    def post_until_stopped(address: str) -> list[tuple[bytes, tuple[int, str]]]:
        results = []
        while not stopped.is_set():
            body = wb.encode(new_event())
            answer = fastcgi.request(address, fastcgi.post_params("/crossborderly", body, sender.credential(body)), body)
            results.append((body, answer.outcome))
            answered.release()
        return results

    with activated(stack) as one, ThreadPoolExecutor(SENDERS) as pool:
        posting = [pool.submit(post_until_stopped, one.socket) for _ in range(SENDERS)]
        try:
            for _ in range(RESTARTS):
                # Each sender has had an answer from this process, or is about to.
                for _ in range(2 * SENDERS):
                    assert answered.acquire(timeout=30)
                pid = one.pid()
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: one.pid() not in (0, pid), "another process took its place")
        finally:
            stopped.set()
        # An exception of a sender (refused, reset, cut off) is raised here.
        results = [result for sender_ in posting for result in sender_.result(60)]
    assert len(results) >= RESTARTS * 2 * SENDERS
    assert {outcome for _, outcome in results} == {(200, "applied")}
    for body, _ in results:
        assert [row["times_received"] for row in stack.stored(body)] == [1]
