"""The stack that the benchmark runs against: its services, its two databases, its logs."""

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
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import psycopg

import ingest_sql
from common import HERE, BenchError
from runtimes import POOL

FILL_BATCH = 1000


def free_ports(count: int) -> list[int]:
    """Below the ports that the kernel gives to clients."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.add(port)
    return list(ports)


class Services:
    """The stack under a folder of its own (services.sh)."""

    def __init__(self, php_fpm: str | None, node_modules: Path | None) -> None:
        parent = os.environ.get("BENCH_TMP") or "/var/tmp"
        self.folder = Path(tempfile.mkdtemp(prefix="waybill-bench-", dir=parent))
        self.port, self.null_port, self.php_port, self.express_port = free_ports(4)
        self.environment = os.environ | {
            "VAR": str(self.folder), "PORT": str(self.port), "NULL_PORT": str(self.null_port), "PHP_PORT": str(self.php_port),
            "EXPRESS_PORT": str(self.express_port), "POOL": str(POOL), "PHP_FPM": php_fpm or "",
            "NODE_MODULES": str(node_modules or "")}
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
    def running(self, name: str) -> Iterator[int]:
        """Starts the service NAME, fresh, and stops it after. Gives its process id."""
        try:
            self.call("start", name)
            yield int((self.folder / "run" / f"{name.removesuffix('-scale')}.child").read_text())
        finally:
            self.call("stop", name)


class Database:
    """One of the two databases, as superuser."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.admin = psycopg.connect(dsn, autocommit=True)

    def empty(self) -> None:
        tables = [name for (name,) in self.admin.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'waybill_data'::regnamespace AND relkind = 'r'"
            " AND relname NOT IN ('installation', 'schema_migrations')")]
        self.admin.execute("TRUNCATE " + ", ".join(tables))

    def deliveries(self) -> int:
        return self.admin.execute("SELECT count(*) FROM waybill_data.deliveries").fetchone()[0]

    @contextmanager
    def disturbed_by(self, statement: str, role: str | None) -> Iterator[None]:
        """Runs STATEMENT again and again meanwhile, as ROLE; at least once."""
        stop = threading.Event()
        runs: list[int] = []
        failures: list[Exception] = []

        def work() -> None:
            try:
                with psycopg.connect(self.dsn, autocommit=True) as connection:
                    if role is not None:
                        connection.execute(f"SET ROLE {role}")
                    while not stop.is_set():
                        connection.execute(statement)
                        runs.append(1)
            except Exception as failure:  # told by the thread that waits
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

    def fill(self, orders: int) -> None:
        """Stores orders by the ingest function itself, in large batches, over one connection a core."""
        firsts = iter(range(1, orders + 1, FILL_BATCH))
        lock = threading.Lock()
        failures: list[Exception] = []

        def work() -> None:
            try:
                with psycopg.connect(self.dsn, autocommit=True) as connection:
                    connection.execute("SET synchronous_commit = off")
                    connection.execute(ingest_sql.FILL_FUNCTIONS)
                    statement = ingest_sql.fill_statement(connection)
                    while not failures:
                        with lock:
                            first = next(firsts, None)
                        if first is None:
                            return
                        connection.execute(statement, {"first": first, "last": min(first + FILL_BATCH - 1, orders)})
            except Exception as failure:  # told by the thread that waits
                failures.append(failure)

        workers = [threading.Thread(target=work, daemon=True) for _ in range(os.cpu_count() or 1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failures:
            raise failures[0]
        self.admin.execute("VACUUM (ANALYZE)")
        self.admin.execute("CHECKPOINT")
        if self.deliveries() != orders:
            raise BenchError(f"{orders} orders were to be stored, {self.deliveries()} deliveries are there")


class Answers:
    """What a responder has answered since now, by its own count: it writes to its log only some of very many."""

    def __init__(self, services: Services, mount: str) -> None:
        self.request = urllib.request.Request(
            f"http://127.0.0.1:{services.port}/{mount}/metrics", headers={"Authorization": f"Bearer {services.known['STATUS_TOKEN']}"})
        self.asked = 0
        self.before = self._counted()
        # Each look is an answer itself, counted from the next one on.
        self.asked = 0

    def count(self, status: int) -> int:
        counted = self._counted()
        return counted.get(status, 0) - self.before.get(status, 0) - (self.asked if status == 200 else 0)

    def _counted(self) -> dict[int, int]:
        with urllib.request.urlopen(self.request, timeout=10) as answer:
            page = answer.read().decode()
        self.asked += 1
        counted: dict[int, int] = {}
        for status, number in re.findall(r'^waybill_requests_total\{[^}]*status="(\d+)"[^}]*\} (\d+)$', page, re.MULTILINE):
            counted[int(status)] = counted.get(int(status), 0) + int(number)
        return counted
