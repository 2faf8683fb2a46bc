"""One phase: start a service, warm it up, load it, count what came of it, and note figures and costs."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from common import BenchError, CountError
from load import Load, wrk, wrk_all
from machine import Costs, Meter, peak_memory
from report import Results
from stack import Answers, Services, Store, settle
from workload import PEER_WARM_UP_SECONDS, WARM_UP_SECONDS, Events, Workload

CONNECTIONS = 64
STATUS_ORDERS = 2000  # asked for in turn
COLD_ORDERS = 200_000  # likewise, but more than status.fcgi remembers


@dataclass
class Side:
    """A version under test: its stack, and what was measured of it."""

    name: str
    services: Services
    results: Results
    others: dict[str, tuple[int, ...]] = field(default_factory=dict)  # that work for each event too

    @property
    def secrets(self) -> str:
        return str(self.services.folder / "secrets")

    @property
    def lighttpd(self) -> Front:
        return Front("lighttpd", self.services.ports["PORT"], (int(self.services.known["SERVER_PID"]),))

    @property
    def lighttpd_to_both(self) -> Front:
        """It has two processes behind it, each with its share of the requests."""
        return Front("lighttpd", self.services.ports["BOTH_PORT"], self.lighttpd.pids)

    @property
    def postgres(self) -> tuple[int, ...]:
        return (int(self.services.known["POSTGRES_PID"]),)


@dataclass(frozen=True)
class Front:
    """What the load generator connects to: where, and the processes that are a web server of their own."""

    name: str
    port: int
    pids: tuple[int, ...] = ()

    @property
    def group(self) -> dict[str, tuple[int, ...]]:
        return {self.name: self.pids} if self.pids else {}


@dataclass(frozen=True)
class Phase:
    """What make bench can measure: a key, and how. RUN gets the Bench and the Phases of a side."""

    key: str
    run: Callable[[Any, Phases], None]
    needs: str = ""  # "stored" or "scale": a database that is filled before
    compared: bool = False  # measured of the other version too
    once: bool = False  # after the rounds


def compare(what: str, load: Load, connections: int, done: int, answered: int | None) -> None:
    """DONE events were stored. The load generator leaves without reading its last answers, at most one a connection."""
    if not load.good <= done <= load.good + connections:
        raise CountError(f"{what}: {load.good} answers with 200 reached the load generator, {done} deliveries are stored")
    if answered is not None and answered != done:
        raise CountError(f"{what}: the responder has given {answered} answers with 200, {done} deliveries stored")


class Phases:
    """All that can be measured of one side."""

    def __init__(self, side: Side, requests: Workload, seconds: int) -> None:
        self.side, self.services, self.results, self.workload = side, side.services, side.results, requests
        self.seconds, self.threads = seconds, requests.threads

    # ---- writing ----

    def write(self, key: str, store: Store, pids: tuple[int, ...], groups: dict[str, tuple[int, ...]], front: Front, events: Events,
              connections: int = CONNECTIONS, answers: Callable[[], Answers] | None = None, count: bool = True,
              meanwhile: AbstractContextManager[None] = nullcontext()) -> tuple[Load, Load]:
        """Events through a handler that stores them; PIDS is the handler. Gives warm-up and load. COUNT: STORE can count them."""
        counted = store.received if events.repeats else store.stored
        store.admin.execute("CHECKPOINT")
        warm_up = self.warm_up(front.port, events, connections, store)
        before = settle(counted)
        own_count = answers() if answers else None
        meter = Meter(front.group | groups | {"postgresql": self.side.postgres}, store.admin)
        used = meter.read()
        with meanwhile:
            load = wrk(front.port, "once", events.file, connections, self.threads, self.seconds)
        done = settle(counted) - before if count else load.good
        compare(key, load, connections, done, own_count.count(200) if own_count else None)
        costs = meter.read().costs_since(used, done)
        costs.peak_bytes = peak_memory(*pids)
        self.results.add(key, load, costs)
        return warm_up, load

    def warm_up(self, port: int, events: Events, connections: int, store: Store) -> Load:
        if events.warm_up_count:
            return wrk_all(port, events.warm_up, connections, self.threads, store.received, events.warm_up_count)
        return wrk(port, "once", events.warm_up, connections, self.threads, events.warm_up_seconds)

    def ingest(self, key: str, events: Events, connections: int = CONNECTIONS, **more: Any) -> None:
        """Into a new database; MORE is ingest_into's."""
        with Store(self.services, "written").fresh() as store:
            self.ingest_into(store, key, events, connections, **more)

    def ingest_into(self, store: Store, key: str, events: Events, connections: int = CONNECTIONS, front: Front | None = None,
                    processes: tuple[str, ...] = ("webhook",), meanwhile: AbstractContextManager[None] = nullcontext()) -> None:
        """Through FRONT to PROCESSES."""
        # Where each counts its answers.
        ports = [self.services.ports["PORT" if name == "webhook" else "SECOND_PORT"] for name in processes]
        with ExitStack() as running:
            pids = tuple(running.enter_context(self.services.running(f"{name}.{store.name}")) for name in processes)
            self.write(key, store, pids, {"webhook.fcgi": pids} | self.side.others, front or self.side.lighttpd, events, connections,
                       lambda: Answers(self.services, "webhooks", *ports), meanwhile=meanwhile)

    # ---- reading ----

    def status(self, key: str, store: Store, requests: Callable[[], Path], status: int = 200) -> None:
        """Documents, or 304s, from status.fcgi, which counts its answers itself. REQUESTS makes them, when it runs."""
        front = self.side.lighttpd
        with self.services.running(f"status.{store.name}") as pid:
            file = requests()
            wrk(front.port, "round", file, CONNECTIONS, self.threads, WARM_UP_SECONDS)
            answers = Answers(self.services, "status", front.port)
            # Requests of the warm-up may be on their way still.
            settle(lambda: answers.count(status))
            answers = Answers(self.services, "status", front.port)
            meter = Meter(front.group | {"status.fcgi": (pid,), "postgresql": self.side.postgres})
            used = meter.read()
            load = wrk(front.port, "round", file, CONNECTIONS, self.threads, self.seconds)
            answered = settle(lambda: answers.count(status))
            if not load.good <= answered <= load.good + CONNECTIONS:
                raise CountError(f"{key}: {load.good} answers, the responder has given {answered} with {status}")
            self.add_reading(key, load, meter.read().costs_since(used, answered), pid)

    def read(self, key: str, front: Front, groups: dict[str, tuple[int, ...]], pid: int, file: Path) -> None:
        """GET requests to a peer, which keeps no count of its own."""
        wrk(front.port, "round", file, CONNECTIONS, self.threads, PEER_WARM_UP_SECONDS)
        meter = Meter(front.group | groups | {"postgresql": self.side.postgres})
        used = meter.read()
        load = wrk(front.port, "round", file, CONNECTIONS, self.threads, self.seconds)
        self.add_reading(key, load, meter.read().costs_since(used, load.good), pid)

    def add_reading(self, key: str, load: Load, costs: Costs, pid: int) -> None:
        costs.wal_bytes = costs.disk_bytes = None
        costs.peak_bytes = peak_memory(pid)
        self.results.add(key, load, costs)

    def null(self, key: str, mode: str, requests: Path, connections: int = CONNECTIONS) -> None:
        """MODE is replay.lua's."""
        front = Front("lighttpd", self.services.ports["NULL_PORT"], self.side.lighttpd.pids)
        with self.services.running("null") as pid:
            meter = Meter(front.group | {"null_responder": (pid,)})
            used = meter.read()
            load = wrk(front.port, mode, requests, connections, self.threads, self.seconds)
            self.add_reading(key, load, meter.read().costs_since(used, load.good), pid)

    # ---- what is stored before ----

    def fill(self, store: Store, orders: int) -> None:
        """Stores orders as senders would: by webhooks."""
        store.create()
        file = self.workload.stored_orders(orders)
        with self.services.running(f"webhook.{store.name}"):
            wrk_all(self.side.lighttpd.port, file, CONNECTIONS, self.threads, store.stored, orders)
        for part in file.parent.glob(f"{file.name}-*"):
            part.unlink()
        store.tidy()
        if (stored := store.stored()) != orders:
            raise BenchError(f"{orders} orders were to be stored, {stored} deliveries are there")
