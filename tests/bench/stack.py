"""The stack that the benchmark runs against: its services, its databases, its counters. Each version under test has one of its own."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import psycopg
from psycopg.conninfo import make_conninfo

from common import CHECKOUT, HERE, BenchError, build_folder

SETTLE_SECONDS = 60
PORTS = ("PORT", "SECOND_PORT", "BOTH_PORT", "NULL_PORT", "PHP_PORT", "NODE_PORT", "STANDBY_PORT")
ROUND_TRIP_US = 5000  # of the network to the standby


def free_ports(count: int) -> list[int]:
    """Below the ports that the kernel gives to clients."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.add(port)
    return list(ports)


@dataclass(frozen=True)
class Programs:
    """The programs of one build: webhook.fcgi and status.fcgi in CGIBIN, waybill in BUILD."""

    build: Path
    cgibin: Path

    @classmethod
    def ours(cls) -> Programs:
        return cls(build_folder(), CHECKOUT / os.environ.get("CGIBIN", "cgi-bin"))


class Services:
    """A stack under a folder of its own (services.sh)."""

    def __init__(self, programs: Programs, **environment: str) -> None:
        parent = os.environ.get("BENCH_TMP") or "/var/tmp"
        self.folder = Path(tempfile.mkdtemp(prefix="waybill-bench-", dir=parent))
        self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.environment = os.environ | {name: str(port) for name, port in self.ports.items()} | environment | {
            "VAR": str(self.folder), "BUILD": str(programs.build), "CGIBIN": str(programs.cgibin),
            "NULL_RESPONDER": str(build_folder() / "bench" / "null_responder"), "DELAY_PROXY": str(build_folder() / "bench" / "delay_proxy"),
            "DELAY_US": str(ROUND_TRIP_US // 2)}
        self.known: dict[str, str] = {}

    def call(self, *arguments: str) -> None:
        # A session of its own: a Ctrl-C is this program's to act on, which then still needs the script to clean up.
        done = subprocess.run([str(HERE / "services.sh"), *arguments], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=400, start_new_session=True)
        if done.returncode != 0:
            raise BenchError(f"services.sh {' '.join(arguments)} failed:\n{done.stdout[-4000:]}")

    def up(self) -> None:
        self.call("up")
        for line in shlex.split((self.folder / "bench.env").read_text()):
            name, _, value = line.partition("=")
            self.known[name] = value

    def down(self) -> None:
        try:
            self.call("down")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def running(self, service: str) -> Iterator[int]:
        """Starts SERVICE, fresh, and stops it after. Gives its process id."""
        try:
            self.call("start", service)
            yield int((self.folder / "run" / f"{service.split('.')[0]}.child").read_text())
        finally:
            self.call("stop", service)

    @property
    def owner(self) -> dict[str, object]:
        """The user that all of it runs as, for subprocess.Popen."""
        status = self.folder.stat()
        return {"user": status.st_uid, "group": status.st_gid, "extra_groups": []} if status.st_uid != os.getuid() else {}

    def dsn(self, database: str) -> str:
        """The superuser's."""
        return make_conninfo(self.known["SUPERUSER_DSN"], dbname=database)

    def connect(self, database: str) -> psycopg.Connection:
        # What it counts is done by its own process, whose time is not the figure's.
        return psycopg.connect(self.dsn(database), autocommit=True, options="-c max_parallel_workers_per_gather=0")


class Store:
    """A database of the version under test: its schema is made by its own `waybill migrate`, and it is read through the view waybill.deliveries only."""

    schema = "waybill"
    count_statement = "SELECT count(*) FROM waybill.deliveries"

    def __init__(self, services: Services, name: str) -> None:
        self.services, self.name, self.database = services, name, f"waybill_{name}"

    def create(self) -> None:
        """Anew, and empty."""
        self.services.call("database", self.name)
        self.admin = self.services.connect(self.database)

    def drop(self) -> None:
        """So that nothing of it is left to be vacuumed or written while something else is measured."""
        self.admin.close()
        with self.services.connect("postgres") as admin:
            admin.execute(f"DROP DATABASE {self.database} WITH (FORCE)")

    @contextmanager
    def fresh(self) -> Iterator[Store]:
        self.create()
        try:
            yield self
        finally:
            self.drop()

    def tidy(self) -> None:
        """After many writes. Autovacuum is off."""
        self.admin.execute("VACUUM (ANALYZE)")
        self.admin.execute("CHECKPOINT")

    def stored(self) -> int:
        return self.admin.execute(self.count_statement).fetchone()[0]

    def received(self) -> int:
        """With those that came again."""
        return self.admin.execute("SELECT COALESCE(sum(times_received), 0)::bigint FROM waybill.deliveries").fetchone()[0]

    @contextmanager
    def disturbed_by(self, statement: str, role: str | None) -> Iterator[None]:
        """Runs STATEMENT again and again meanwhile, as ROLE; at least once."""
        stop = threading.Event()
        runs: list[int] = []
        failures: list[Exception] = []

        def work() -> None:
            try:
                with psycopg.connect(self.services.dsn(self.database), autocommit=True) as connection:
                    if role is not None:
                        connection.execute(f"SET ROLE {role}")
                    while not stop.is_set():
                        connection.execute(statement)
                        runs.append(1)
            except Exception as failure:  # reported by the thread that waits
                failures.append(failure)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            yield
        finally:
            stop.set()
            worker.join()
        if failures:
            raise failures[0]
        if not runs:
            raise BenchError(f"{statement} did not run")


def settle(count: Callable[[], int]) -> int:
    """The value of COUNT once it has stood still for half a second: requests that were on their way when the load ended are done."""
    end = time.monotonic() + SETTLE_SECONDS
    last, since = count(), time.monotonic()
    while time.monotonic() - since < 0.5:
        if time.monotonic() > end:
            raise BenchError(f"requests are still being worked on after {SETTLE_SECONDS} s")
        time.sleep(0.1)
        if (now := count()) != last:
            last, since = now, time.monotonic()
    return last


class Answers:
    """What responders have answered since now, by their own count: they write to their logs only some of very many."""

    def __init__(self, services: Services, mount: str, *ports: int) -> None:
        self.requests = [
            urllib.request.Request(f"http://127.0.0.1:{port}/{mount}/metrics", headers={"Authorization": f"Bearer {services.known['STATUS_TOKEN']}"})
            for port in ports]
        self.asked = 0
        self.before = self._counted()
        # Each look is an answer itself, counted from the next one on.
        self.asked = 0

    def count(self, status: int) -> int:
        counted = self._counted()
        return counted.get(status, 0) - self.before.get(status, 0) - (self.asked if status == 200 else 0)

    def _counted(self) -> dict[int, int]:
        counted: dict[int, int] = {}
        for request in self.requests:
            with urllib.request.urlopen(request, timeout=10) as answer:
                page = answer.read().decode()
            for status, number in re.findall(r'^waybill_requests_total\{[^}]*status="(\d+)"[^}]*\} (\d+)$', page, re.MULTILINE):
                counted[int(status)] = counted.get(int(status), 0) + int(number)
        self.asked += len(self.requests)
        return counted
