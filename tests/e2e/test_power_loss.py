"""Power loss, not only kill -9, which leaves the page cache whole: every webhook that got its 200 is found by a PostgreSQL that starts from what was synced.

(The spool's half of it is in test_spool.py.)
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import psycopg
import pytest

import waybill_client as wb
from waiting import wait_until
from waybill_stack import CHECKOUT, Stack, set_option

pytestmark = pytest.mark.skipif(bool(os.environ.get("SANITIZE")), reason="it is PostgreSQL's disk that is looked at")

SENDERS = 8
CUTS = 3
# Answers between two of them.
EVENTS = 60


class Load:
    """Senders that send new events all the time, and what they were told."""

    def __init__(self, stack: Stack) -> None:
        self._sender = stack.sender("crossborderly")
        self._end = threading.Event()
        self._acknowledged: list[bytes] = []
        self._pool = ThreadPoolExecutor(SENDERS)
        self._senders = [self._pool.submit(self._send) for _ in range(SENDERS)]

    def _send(self) -> None:
        while not self._end.is_set():
            body = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
            if self._sender.post(body).status == 200:
                self._acknowledged.append(body)

    def acknowledged(self) -> list[bytes]:
        return list(self._acknowledged)

    def wait_for_more(self, count: int) -> None:
        enough = len(self._acknowledged) + count
        wait_until(lambda: len(self._acknowledged) >= enough, f"{count} more events are acknowledged")

    def end(self) -> None:
        self._end.set()
        for sender in self._senders:
            sender.result()
        self._pool.shutdown()


class Disk:
    """The stack's cluster with a disk beside its own (unsynced.c)."""

    def __init__(self, stack: Stack, library: Path) -> None:
        self.stack = stack
        self.folder = stack.pgdata.parent / "synced"
        self._environment = {"LD_PRELOAD": str(library), "UNSYNCED_DATA": str(stack.pgdata), "UNSYNCED_DISK": str(self.folder)}

    def give(self, path: Path) -> None:
        owner = self.stack.pgdata.stat()
        os.chown(path, owner.st_uid, owner.st_gid)

    def _copy(self, source: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", str(source), str(target)], check=True)

    @contextmanager
    def watching(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.stack.pg_ctl("stop", "-m", "fast")
        self._copy(self.stack.pgdata, self.folder)
        with monkeypatch.context() as environment:
            for name, value in self._environment.items():
                environment.setenv(name, value)
            self.stack.pg_ctl("start")
        self.stack.wait_ready()
        try:
            yield
        finally:
            # Without the library again.
            self.stack.pg_ctl("restart", "-m", "fast")
            self.stack.wait_ready()

    def cut_power(self, load: Load) -> tuple[Path, list[bytes]]:
        """What the disk holds at one moment, and what was acknowledged until then."""
        left = self.folder.parent / "left"
        with open(f"{self.folder}.lock", "rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            acknowledged = load.acknowledged()
            self._copy(self.folder, left)
        return left, acknowledged

    def found(self, left: Path) -> set[bytes]:
        """The SHA-256 of all bodies that a server which starts from LEFT knows."""
        dsn = self.stack.env["WAYBILL_SUPERUSER_DSN"]
        sockets = self.stack.sockets / "left"
        sockets.mkdir()
        self.give(sockets)
        (left / "postmaster.pid").unlink(missing_ok=True)
        options = f"-c unix_socket_directories={sockets} -c logging_collector=off"
        control = [f"{self.stack._postgres_bin}/pg_ctl", "-D", str(left), "-w"]
        quiet = {"check": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 120}
        try:
            subprocess.run([*control, "start", "-o", options, "-l", str(left / "log")], **quiet, **self.stack.owner)
            with psycopg.connect(re.sub(r"host=\S+", f"host={sockets}", dsn)) as connection:
                rows = connection.execute(
                    "SELECT d.body_sha256 FROM waybill_data.deliveries d JOIN waybill_data.orders o USING (order_key) WHERE o.version IS NOT NULL")
                found = {bytes(digest) for (digest,) in rows}
            subprocess.run([*control, "stop", "-m", "immediate"], **quiet, **self.stack.owner)
            return found
        finally:
            shutil.rmtree(sockets)
            shutil.rmtree(left)


@pytest.fixture(scope="module")
def library() -> Iterator[Path]:
    """For the user whom the cluster belongs to."""
    with tempfile.TemporaryDirectory(prefix="waybill-e2e-") as folder:
        os.chmod(folder, 0o755)
        built = Path(folder) / "unsynced.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(built), str(CHECKOUT / "tests/e2e/unsynced.c")], check=True)
        yield built


def execute(stack: Stack, *statements: str) -> None:
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"], autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def missing(disk: Disk, load: Load) -> tuple[int, int]:
    """How many were acknowledged when the power was cut, and how many of those are gone."""
    left, acknowledged = disk.cut_power(load)
    found = disk.found(left)
    return len(acknowledged), sum(hashlib.sha256(body).digest() not in found for body in acknowledged)


def check_wal_fails(stack: Stack, disk: Disk, load: Load, how: str) -> None:
    """PostgreSQL ends all sessions and recovers: what was answered 200 is there, once."""
    wish = Path(f"{disk.folder}.{how}")
    load.wait_for_more(SENDERS)
    # Whole at once: it is taken as soon as it is seen.
    draft = wish.with_name(f"{wish.name}.draft")
    draft.touch()
    disk.give(draft)
    draft.rename(wish)
    wait_until(lambda: not wish.exists(), "it has failed")
    load.wait_for_more(EVENTS)
    assert "PANIC" in stack.log_text("postgres")
    digests = [hashlib.sha256(body).digest() for body in load.acknowledged()]
    rows = stack.audit("SELECT count(*) AS rows, count(DISTINCT body_sha256) AS bodies FROM waybill_audit.deliveries WHERE body_sha256 = ANY (%s)", digests)
    assert rows == [{"rows": len(digests), "bodies": len(digests)}]
    print(f"a {how} of the WAL failed: {len(digests)} acknowledged, all there, once")


def test_power_is_cut(own_stack: Stack, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_stack.write_config(set_option(own_stack.config.read_text(), "webhook", "spool", None))
    own_stack.restart_responders()
    disk = Disk(own_stack, library)
    with disk.watching(monkeypatch):
        load = Load(own_stack)
        try:
            acknowledged = 0
            for number in range(CUTS):
                load.wait_for_more(EVENTS)
                if number == 1:
                    # Other files are synced too, and segments of the WAL used anew.
                    execute(own_stack, "SELECT pg_switch_wal()", "CHECKPOINT")
                before = acknowledged
                acknowledged, lost = missing(disk, load)
                print(f"power cut after {acknowledged} acknowledged events: {lost} lost")
                assert lost == 0 and acknowledged >= before + EVENTS, (acknowledged, lost)
            for how in ("sync", "write"):
                check_wal_fails(own_stack, disk, load, how)
            # Would it be seen? Without fsync nothing gets there, and readyz says so.
            execute(own_stack, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            wait_until(lambda: own_stack.health("webhook", "readyz").status == 503, "readyz tells of it")
            load.wait_for_more(EVENTS)
            acknowledged, lost = missing(disk, load)
            print(f"and without fsync after {acknowledged}: {lost} lost")
            assert lost >= EVENTS - SENDERS, (acknowledged, lost)
        finally:
            load.end()
            execute(own_stack, "ALTER SYSTEM RESET fsync")
