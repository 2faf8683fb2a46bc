#!/usr/bin/python3
"""make bench: starts everything fresh on loopback, runs the phases in alternation, and prints the medians with their ratios.

Environment: BENCH_SECONDS (of a phase), BENCH_ROUNDS, BENCH_ORDERS (stored for the scale figures), BENCH_JSON and BENCH_SVG (files), BENCH_TMP (the folder in
which it makes its own; its file system is what fsync means), BUILD, CGIBIN.
"""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Callable

sys.dont_write_bytecode = True

import ingest_sql
import machine
import report
import runtimes
from common import CHECKOUT, BenchError, CountError, run, run_program, say
from load import Load, pgbench, wrk
from stack import Answers, Database, Services

CONNECTIONS, MANY_CONNECTIONS = 64, 256
PGBENCH_CLIENTS = (8, 16, 32)
KNOWN_PERCENT = 20  # of the events: about a parcel that an earlier event was about
STATUS_ORDERS = 2000  # asked for in turn
COLD_ORDERS = 200_000  # likewise, but more than status.fcgi remembers
WARM_UP_SECONDS = 1
# After a checkpoint PostgreSQL logs each page whole when it is first changed. A large database has many pages; by then most are done.
SCALE_WARM_UP_SECONDS = 3
TRIAL_SECONDS, TRIAL_EVENTS = 2, 400000
SETTLE_SECONDS = 60
# What else goes on in a database that is used: key of the figure, statement, role.
DISTURBANCES = [
    ("during_checkpoint", "CHECKPOINT", None),
    ("during_vacuum", "VACUUM (ANALYZE)", None),
    ("during_report", "SELECT status, date_trunc('hour', occurred_at), count(*), count(DISTINCT location) FROM waybill.tracking_events GROUP BY 1, 2",
     "waybill_report"),
]
# Room for a machine that gets faster after its rate was taken.
EVENTS_MARGIN = 2


def setting(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdigit() or int(value) < 1:
        raise BenchError(f"{name}={value}: a whole number from 1 on")
    return int(value)


class Bench:
    def __init__(self, services: Services, seconds: int, rounds: int, orders: int) -> None:
        self.services, self.seconds, self.rounds, self.orders = services, seconds, rounds, orders
        self.results = report.Results(orders)
        self.threads = min(2, os.cpu_count() or 1)
        self.work = services.folder / "work"
        self.work.mkdir(mode=0o755)
        self.main = Database(services.known["SUPERUSER_DSN"])
        self.scale = Database(services.known["SCALE_SUPERUSER_DSN"])
        self.pgbin = Path(services.known["PGBIN"])

    # ---- requests ----

    def sign(self, name: str, events: int, stored: int = 0) -> Path:
        """Signed events, each with an id that no other file has."""
        file = self.work / name
        build = CHECKOUT / os.environ.get("BUILD", "build")
        run([str(build / "bench" / "sign_events"), self.services.known["SECRET_FILE"], str(file), name, str(self.threads), str(events),
             str(KNOWN_PERCENT), str(stored)], 600)
        return file

    def forget(self, *files: Path) -> None:
        for file in files:
            for part in self.work.glob(f"{file.name}-*"):
                part.unlink()

    def status_requests(self, name: str, numbers: list[int], tags: dict[str, str] | None = None) -> Path:
        """GET requests for the documents of stored orders; with TAGS conditional ones."""
        file = self.work / name
        for part in range(self.threads):
            with open(f"{file}-{part}", "w") as out:
                for number in numbers[part::self.threads]:
                    order = ingest_sql.stored_number(number)
                    condition = f"If-None-Match: {tags[order]}\r\n" if tags else ""
                    request = (f"GET {self.order_path(order)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               f"Authorization: Bearer {self.services.known['STATUS_TOKEN']}\r\n{condition}\r\n")
                    out.write(f"{len(request):06d}{request}")
        return file

    @staticmethod
    def order_path(order: str) -> str:
        return f"/status/orders/crossborderly/{order}"

    def fetch(self, numbers: list[int]) -> tuple[dict[str, str], bytes]:
        """The ETags of orders, and the last document; status.fcgi runs."""
        tags, document = {}, b""
        connection = http.client.HTTPConnection("127.0.0.1", self.services.port, timeout=10)
        for number in numbers:
            order = ingest_sql.stored_number(number)
            connection.request("GET", self.order_path(order), headers={"Authorization": f"Bearer {self.services.known['STATUS_TOKEN']}"})
            answer = connection.getresponse()
            document = answer.read()
            if answer.status != 200:
                raise BenchError(f"order {order}: status {answer.status}")
            tags[order] = answer.headers["ETag"]
        connection.close()
        return tags, document

    # ---- one phase ----

    def settle(self, count: Callable[[], int]) -> int:
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

    def compare(self, what: str, load: Load, connections: int, done: int, counted: int | None) -> None:
        """DONE events were stored (or answers counted). The load generator leaves without reading its last answers, at most one a connection."""
        if not load.good <= done <= load.good + connections:
            raise CountError(f"{what}: {load.good} answers with 200 reached the load generator, {done} deliveries are stored")
        if counted is not None and counted != done:
            raise CountError(f"{what}: the responder has given {counted} answers with 200, {done} deliveries stored")

    def ingest(self, key: str, service: str, port: int, connections: int, database: Database, events: Path, warm_up: Path,
               meanwhile: AbstractContextManager[None] = nullcontext()) -> None:
        """Events through a handler that stores them."""
        ours = service.startswith("webhook")
        known = self.services.known
        with self.services.running(service) as process:
            if database is self.main:
                database.empty()
            database.admin.execute("CHECKPOINT")
            warm_up_seconds = WARM_UP_SECONDS if database is self.main else SCALE_WARM_UP_SECONDS
            wrk(port, "once", warm_up, connections, self.threads, warm_up_seconds)
            before = self.settle(database.deliveries)
            answers = Answers(self.services, "webhooks") if ours else None
            meters = process, int(known["POSTGRES_PID"]), int(known["LIGHTTPD_PID"])
            used = machine.Usage.now(database.admin, *meters)
            with meanwhile:
                load = wrk(port, "once", events, connections, self.threads, self.seconds)
            stored = self.settle(database.deliveries) - before
            self.compare(key, load, connections, stored, answers.count(200) if answers else None)
            self.results.add(key, load)
            if ours:
                costs = machine.Usage.now(database.admin, *meters).costs_since(used, stored)
                self.results.add_costs(key, costs | {"webhook_peak_bytes": machine.peak_memory(process)})

    def null(self, key: str, mode: str, requests: Path, connections: int) -> None:
        with self.services.running("null"):
            self.results.add(key, wrk(self.services.null_port, mode, requests, connections, self.threads, self.seconds))

    def pgbench(self, key: str, clients: int) -> None:
        script = self.work / "pgbench.sql"
        script.write_text(ingest_sql.pgbench_script(self.main.admin, KNOWN_PERCENT))
        self.main.empty()
        self.main.admin.execute("CHECKPOINT")
        load, done = pgbench(self.pgbin / "pgbench", script, self.services.known["INGEST_DSN"], clients, self.threads, self.seconds, self.work)
        if self.main.deliveries() != done:
            raise CountError(f"{key}: {done} transactions, {self.main.deliveries()} deliveries stored")
        self.results.add(key, load)

    def status(self, key: str, service: str, port: int, requests: Path, status: int | None) -> None:
        """Documents, or 304s. STATUS: what the responder must have answered by its own count; None: it keeps none."""
        with self.services.running(service):
            wrk(port, "round", requests, CONNECTIONS, self.threads, WARM_UP_SECONDS)
            self.measure_status(key, port, requests, status)

    def measure_status(self, key: str, port: int, requests: Path, status: int | None) -> None:
        answers = None
        if status is not None:
            # Requests of the warm-up may be on their way still.
            warm_up = Answers(self.services, "status")
            self.settle(lambda: warm_up.count(status))
            answers = Answers(self.services, "status")
        load = wrk(port, "round", requests, CONNECTIONS, self.threads, self.seconds)
        if answers is not None:
            answered = self.settle(lambda: answers.count(status))
            if not load.good <= answered <= load.good + CONNECTIONS:
                raise CountError(f"{key}: {load.good} answers, the responder has given {answered} with {status}")
        self.results.add(key, load)

    def peer(self, key: str, phase: Callable[[], None]) -> None:
        """A peer that does not get through is a row without a figure. One that loses count fails the benchmark like everything else."""
        if key in self.results.not_measured:
            return
        try:
            phase()
        except CountError:
            raise
        except (BenchError, OSError, subprocess.SubprocessError) as failure:
            say(f"{key} is not measured: {failure}")
            self.results.not_measured[key] = str(failure).splitlines()[0]

    # ---- all of it ----

    def prepare(self) -> int:
        """Fills what the rounds read, and finds out how many events a phase may take."""
        sql = self.services.folder / "ingest.sql"
        sql.write_text(ingest_sql.with_parameters(self.main.admin))
        self.main.fill(STATUS_ORDERS)
        with self.services.running("status"):
            _, document = self.fetch([1])
        (self.services.folder / "order.json").write_bytes(document)
        for file in (sql, self.services.folder / "order.json"):
            file.chmod(0o644)
        say(f"storing {self.orders} orders")
        self.scale.fill(self.orders)
        events = self.sign("P", TRIAL_EVENTS)
        with self.services.running("null"):
            rate = wrk(self.services.null_port, "once", events, CONNECTIONS, self.threads, TRIAL_SECONDS).per_second
        self.forget(events)
        return int(rate)

    def round(self, number: int, rate: int) -> None:
        services = self.services
        margin = EVENTS_MARGIN * rate
        events = self.sign(f"A{number}", margin * self.seconds)
        warm_up = self.sign(f"B{number}", margin * WARM_UP_SECONDS)
        scale_events = self.sign(f"C{number}", margin * self.seconds, self.orders)
        scale_warm_up = self.sign(f"D{number}", margin * SCALE_WARM_UP_SECONDS, self.orders)

        def waybill(key: str, connections: int) -> None:
            self.ingest(key, "webhook", services.port, connections, self.main, events, warm_up)

        self.step("ingest", lambda: waybill("ingest", CONNECTIONS))
        self.step("ingest_null", lambda: self.null("ingest_null", "once", events, CONNECTIONS))
        for clients in PGBENCH_CLIENTS:
            self.step(f"ingest_pgbench, {clients} clients", lambda: self.pgbench(f"ingest_pgbench_{clients}", clients))
        self.step("ingest_256", lambda: waybill("ingest_256", MANY_CONNECTIONS))
        self.step("ingest_null_256", lambda: self.null("ingest_null_256", "once", events, MANY_CONNECTIONS))
        self.step("ingest_express", lambda: self.peer("ingest_express", lambda: self.ingest(
            "ingest_express", "express", services.express_port, CONNECTIONS, self.main, events, warm_up)))
        self.step("ingest_php", lambda: self.peer("ingest_php", lambda: self.ingest(
            "ingest_php", "php", services.php_port, CONNECTIONS, self.main, events, warm_up)))
        self.step("ingest_one", lambda: waybill("ingest_one", 1))
        self.step("ingest_pgbench_one", lambda: self.pgbench("ingest_pgbench_one", 1))
        self.step("scale_ingest", lambda: self.ingest(
            "scale_ingest", "webhook-scale", services.port, CONNECTIONS, self.scale, scale_events, scale_warm_up))
        self.forget(events, warm_up, scale_events, scale_warm_up)
        self.status_round()

    def status_round(self) -> None:
        services = self.services
        self.main.empty()
        self.main.fill(STATUS_ORDERS)
        numbers = list(range(1, STATUS_ORDERS + 1))
        requests = self.status_requests("status", numbers)
        spread = random.Random(1).choices(range(1, self.orders + 1), k=STATUS_ORDERS)
        scale_requests = self.status_requests("scale-status", spread)
        each_once = random.Random(2).sample(range(1, self.orders + 1), min(self.orders, COLD_ORDERS))
        cold_requests = self.status_requests("status-cold", each_once)

        def conditional() -> None:
            with services.running("status"):
                tags, _ = self.fetch(numbers)
                self.measure_status("status_304", services.port, self.status_requests("status-304", numbers, tags), 304)

        self.step("status", lambda: self.status("status", "status", services.port, requests, 200))
        self.step("status_null", lambda: self.null("status_null", "round", requests, CONNECTIONS))
        self.step("status_304", conditional)
        self.step("status_express", lambda: self.peer("status_express", lambda: self.status(
            "status_express", "express", services.express_port, requests, None)))
        self.step("status_cold", lambda: self.status("status_cold", "status-scale", services.port, cold_requests, 200))
        self.step("scale_status", lambda: self.status("scale_status", "status-scale", services.port, scale_requests, 200))

    def disturbed(self, rate: int) -> None:
        """Once, after the rounds: what users of the database do to the latency."""
        for number, (key, statement, role) in enumerate(DISTURBANCES):
            events = self.sign(f"E{number}", EVENTS_MARGIN * rate * self.seconds, self.orders)
            warm_up = self.sign(f"F{number}", EVENTS_MARGIN * rate * SCALE_WARM_UP_SECONDS, self.orders)
            self.step(key, lambda: self.ingest(key, "webhook-scale", self.services.port, CONNECTIONS, self.scale, events, warm_up,
                                               self.scale.disturbed_by(statement, role)))
            self.forget(events, warm_up)

    def step(self, name: str, phase: Callable[[], object]) -> None:
        say(f"  {name}")
        phase()

    def run(self) -> None:
        rate = self.prepare()
        for number in range(1, self.rounds + 1):
            say(f"round {number} of {self.rounds}")
            self.round(number, rate)
        say("with other work in the database")
        self.disturbed(rate)
        self.results.choose_best_pgbench(PGBENCH_CLIENTS)


# ---- the program ----

def end_by_signal(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def end_by_time(number: int, frame: object) -> None:
    raise BenchError("it takes too long")


def bound_time(seconds: int, rounds: int, orders: int) -> None:
    signal.signal(signal.SIGALRM, end_by_time)
    signal.alarm(600 + orders // 500 + rounds * 20 * (2 * seconds + 30))


def measure(seconds: int, rounds: int, orders: int) -> tuple[report.Results, dict[str, object]]:
    php_fpm, node_modules = runtimes.find_php_fpm(), runtimes.install_node_modules()
    services = Services(php_fpm, node_modules)
    try:
        say(f"starting the stack in {services.folder}")
        services.up()
        bench = Bench(services, seconds, rounds, orders)
        if php_fpm is None:
            bench.results.not_measured["ingest_php"] = "no php-fpm with the extension pgsql"
        if node_modules is None:
            bench.results.not_measured |= dict.fromkeys(("ingest_express", "status_express"), "no Node with Express and pg")
        environment = machine.environment(bench.main.admin, services.folder, php_fpm, node_modules)
        bench.run()
        return bench.results, environment
    finally:
        signal.alarm(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        services.down()


def main() -> None:
    seconds, rounds, orders = setting("BENCH_SECONDS", 8), setting("BENCH_ROUNDS", 3), setting("BENCH_ORDERS", 1000000)
    svg = Path(os.environ.get("BENCH_SVG") or CHECKOUT / "build" / "bench" / "chart.svg")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    bound_time(seconds, rounds, orders)
    results, environment = measure(seconds, rounds, orders)
    settings = {
        "seconds_of_a_phase": seconds, "rounds": rounds, "orders_stored_for_scale": orders,
        "events": f"CrossBorderly parcel.status_changed, each with an id of its own, {KNOWN_PERCENT} % about a parcel that is known already",
        "peers": f"Express: {os.cpu_count()} workers with {runtimes.POOL} connections each; PHP: {runtimes.POOL} processes; pgbench: prepared statements"}
    report.print_report(results, environment, settings)
    if os.environ.get("BENCH_JSON"):
        report.write_json(results, environment, settings, Path(os.environ["BENCH_JSON"]))
    if shutil.which("gnuplot"):
        report.draw_chart(results, svg)
        print(f"chart: {svg}")


if __name__ == "__main__":
    run_program("bench", main)
