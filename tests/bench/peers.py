"""The peers: others that take the same webhooks, each written as well as its community would, into plain tables of their own (peers/)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import psycopg
from psycopg.conninfo import make_conninfo

from common import HERE, BenchError, CountError, build_folder, run, say
from load import pgbench
from machine import Meter
from phases import CONNECTIONS, STATUS_ORDERS, Front, Phase, Phases
from stack import Store, settle

FOLDER = HERE / "peers"
WORKERS, POOL = 2, 10  # connections of each worker
PGBENCH_CLIENTS = (4, 8, 16, 32)


# ---- what they need ----

def find_php_fpm() -> str | None:
    """With the extension for PostgreSQL."""
    for program in sorted(Path("/usr/sbin").glob("php-fpm*"), reverse=True):
        if "pgsql" in run([str(program), "-m"], 30).split():
            return str(program)
    return None


def install_node_modules() -> Path | None:
    """Exactly what the lock file names, into the build folder."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    folder = build_folder() / "bench"
    lock, installed = FOLDER / "package-lock.json", folder / "node_modules" / "installed-lock.json"
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return folder / "node_modules"
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(FOLDER / name, folder / name)
    try:
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], 300, cwd=folder)
    except (BenchError, subprocess.SubprocessError) as failure:
        say(f"npm cannot install Express, Fastify and pg: {failure}")
        return None
    shutil.copyfile(lock, installed)
    return folder / "node_modules"


def has_fastapi() -> bool:
    return subprocess.run(["/usr/bin/python3", "-c", "import fastapi, uvicorn, asyncpg, uvloop, httptools"], stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=60).returncode == 0


@dataclass(frozen=True)
class Runtimes:
    """What is there of what peers need."""

    php_fpm: str | None = None
    node_modules: Path | None = None
    fastapi: bool = False

    @classmethod
    def find(cls) -> Runtimes:
        return cls(find_php_fpm(), install_node_modules(), has_fastapi())

    def environment(self) -> dict[str, str]:
        return {"PHP_FPM": self.php_fpm or "", "NODE_MODULES": str(self.node_modules or ""), "WORKERS": str(WORKERS), "POOL": str(POOL)}

    def missing(self, service: str) -> str:
        """Why SERVICE cannot be measured; empty: it can."""
        if service == "php":
            return "" if self.php_fpm else "no php-fpm with the extension pgsql"
        if service == "fastapi":
            return "" if self.fastapi else "no FastAPI, uvicorn and asyncpg of Debian's Python"
        return "" if self.node_modules else "no Node with Express, Fastify and pg"

    def versions(self) -> dict[str, str]:
        found = {}
        if self.node_modules is not None:
            found["node"] = run(["node", "--version"], 30).strip()
            for package in ("express", "fastify", "pg"):
                found[package] = run(["node", "-p", f"require('{self.node_modules}/{package}/package.json').version"], 30).strip()
        if self.php_fpm is not None:
            found["php"] = run([self.php_fpm, "--version"], 30).splitlines()[0]
        if self.fastapi:
            program = "import fastapi, uvicorn, asyncpg; print(fastapi.__version__, uvicorn.__version__, asyncpg.__version__)"
            found["fastapi, uvicorn, asyncpg"] = run(["/usr/bin/python3", "-c", program], 30, env=os.environ).strip()
        return found


# ---- their databases ----

class PeerStore(Store):
    """A database with the peers' tables."""

    count_statement = "SELECT count(*) FROM webhook_events"

    def __init__(self, phases: Phases, name: str) -> None:
        super().__init__(phases.services, name)
        self.database = f"peer_{name}"

    def create(self) -> None:
        with self.services.connect("postgres") as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {self.database} OWNER peer")
        with psycopg.connect(self.dsn(), autocommit=True) as peer:
            peer.execute((FOLDER / "schema.sql").read_text())
        self.admin = self.services.connect(self.database)

    def dsn(self) -> str:
        """The peers'."""
        return make_conninfo(self.services.known["PEER_DSN"], dbname=self.database)

    def fill(self) -> None:
        """For status_express."""
        self.create()
        with psycopg.connect(self.dsn(), autocommit=True) as peer:
            peer.execute((FOLDER / "stored.sql").read_text().replace(":orders", str(STATUS_ORDERS)))
        self.tidy()

    def changed_parcels(self) -> int:
        """What upserts wrote. The peers' sessions report it when they end."""
        if settle(lambda: self.admin.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'peer'").fetchone()[0]) > 0:
            raise BenchError("sessions of the peer do not end")
        return self.admin.execute("SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'parcels'").fetchone()[0]


# ---- phases ----

def front_of(phases: Phases, service: str) -> Front:
    """PHP has the web server that waybill has; the others are their own."""
    if service == "php":
        return Front("lighttpd", phases.services.ports["PHP_PORT"], phases.side.lighttpd.pids)
    return Front("", phases.services.ports["NODE_PORT"])


def measured(key: str, service: str, run_phase: Callable[[Any, Phases], None], needs: str = "") -> Phase:
    """A peer that does not get through is a row without a figure. One that loses count fails the benchmark like everything else."""
    def run_peer(bench: Any, phases: Phases) -> None:
        missing = bench.runtimes.missing(service) if service else ""
        if missing or key in phases.results.not_measured:
            phases.results.not_measured.setdefault(key, missing)
            return
        try:
            run_phase(bench, phases)
        except CountError:
            raise
        except (BenchError, OSError, subprocess.SubprocessError) as failure:
            say(f"{key} is not measured: {failure}")
            phases.results.not_measured[key] = str(failure).splitlines()[0]
    return Phase(key, run_peer, needs=needs)


def handler(key: str, service: str) -> Phase:
    """Behind a signature."""
    name = service.split(".")[0]

    def run_handler(bench: Any, phases: Phases) -> None:
        with PeerStore(phases, "written").fresh() as store, phases.services.running(service) as pid:
            phases.write(key, store, (pid,), {name: (pid,)}, front_of(phases, name), bench.workload.peer_events())
    return measured(key, name, run_handler)


def upsert(bench: Any, phases: Phases) -> None:
    """It keeps no event, so PostgreSQL's own count of rows written is compared. An upsert whose guard holds writes none; few come so late."""
    with PeerStore(phases, "written").fresh() as store:
        with phases.services.running("fastify.upsert") as pid:
            warm_up, load = phases.write("peer_upsert", store, (pid,), {"fastify": (pid,)}, front_of(phases, "fastify"), bench.workload.peer_events(), count=False)
        good, written = warm_up.good + load.good, store.changed_parcels()
        if not 0.99 * good <= written <= good + 2 * CONNECTIONS:
            raise CountError(f"peer_upsert: {good} answers with 200, {written} rows written")


def run_pgbench(phases: Phases, key: str, clients: int, seconds: int) -> None:
    """The events are made in SQL; their order of arrival is pgbench's."""
    known = phases.services.known
    with PeerStore(phases, "written").fresh() as store:
        store.admin.execute("CHECKPOINT")
        meter = Meter({"postgresql": phases.side.postgres}, store.admin)
        used = meter.read()
        load, done = pgbench(Path(known["PGBIN"]) / "pgbench", FOLDER / "pgbench.sql", store.dsn(), clients, phases.threads, seconds, phases.workload.folder)
        if store.stored() != done:
            raise CountError(f"{key}: {done} transactions, {store.stored()} events stored")
        phases.results.add(key, load, meter.read().costs_since(used, done))


def best_pgbench(bench: Any, phases: Phases) -> None:
    for clients in PGBENCH_CLIENTS:
        run_pgbench(phases, f"peer_pgbench_{clients}", clients, bench.settings.seconds)
    phases.results.choose("peer_pgbench", {f"peer_pgbench_{clients}": f"{clients} clients" for clients in PGBENCH_CLIENTS})


def status_express(bench: Any, phases: Phases) -> None:
    store = PeerStore(phases, "stored")
    store.fill()
    with phases.services.running("express") as pid:
        phases.read("status_express", front_of(phases, "express"), {"express": (pid,)}, pid, bench.status_requests())
    store.drop()


PHASES = [
    measured("peer_pgbench", "", best_pgbench),
    measured("peer_pgbench_one", "", lambda bench, phases: run_pgbench(phases, "peer_pgbench_one", 1, bench.settings.seconds)),
    handler("peer_express", "express"),
    handler("peer_fastify", "fastify.four"),
    handler("peer_fastify_cte", "fastify.cte"),
    measured("peer_upsert", "fastify", upsert),
    handler("peer_fastapi", "fastapi"),
    handler("peer_php", "php"),
    measured("status_express", "express", status_express),
]
