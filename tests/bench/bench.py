#!/usr/bin/python3
"""make bench: starts everything fresh on loopback, runs the phases in alternation, and prints the medians with their ratios.

Environment: BENCH_SECONDS (of a phase), BENCH_ROUNDS, BENCH_ORDERS (stored for the scale figures; 0 leaves those out), BENCH_ONLY (patterns: which figures),
BENCH_AGAINST (another commit to compare with), BENCH_JSON and BENCH_SVG (files), BENCH_TMP (the folder in which it makes its own; its file system is what
fsync means), BUILD, CGIBIN and what else selects a build.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Callable

sys.dont_write_bytecode = True

import against
import chart
import fronts
import machine
import peers
import report
from common import BenchError, build_folder, heed_signals, ignore_signals, run_program, say, setting
from phases import COLD_ORDERS, STATUS_ORDERS, Phase, Phases, Side
from stack import Programs, Services, Store
from workload import KNOWN_PERCENT, Events, Workload, fetch

MANY_CONNECTIONS = 256
# What else goes on in a database that is used: statement, role.
DISTURBANCES = {
    "during_checkpoint": ("CHECKPOINT", None),
    "during_vacuum": ("VACUUM (ANALYZE)", None),
    "during_report": ("SELECT status, date_trunc('hour', occurred_at), count(*), count(DISTINCT location) FROM waybill.tracking_events GROUP BY 1, 2",
                      "waybill_report"),
}


@dataclass(frozen=True)
class Settings:
    seconds: int
    rounds: int
    orders: int
    only: tuple[str, ...]
    against: str

    @classmethod
    def read(cls) -> Settings:
        return cls(setting("BENCH_SECONDS", 8), setting("BENCH_ROUNDS", 3), setting("BENCH_ORDERS", 1_000_000, least=0),
                   tuple(os.environ.get("BENCH_ONLY", "").split()) or ("*",), os.environ.get("BENCH_AGAINST", ""))

    def selected(self) -> list[Phase]:
        for pattern in self.only:
            if not any(matches(phase, pattern) for phase in PHASES):
                raise BenchError(f"BENCH_ONLY: {pattern} is no figure; there are {' '.join(phase.key for phase in PHASES)}")
        return [phase for phase in PHASES if any(matches(phase, pattern) for pattern in self.only) and (self.orders or phase.needs != "scale")]


def matches(phase: Phase, pattern: str) -> bool:
    return fnmatch(phase.key, pattern) or (pattern == "scale" and phase.key.startswith("scale_"))


class Bench:
    def __init__(self, settings: Settings, sides: list[Side], standby: Side | None, runtimes: peers.Runtimes) -> None:
        self.settings, self.sides, self.ours, self.runtimes = settings, sides, sides[0], runtimes
        self.workload = Workload(self.ours.services, settings.seconds)
        self.phases = {side.name: Phases(side, self.workload, settings.seconds) for side in sides}
        self.with_standby = Phases(standby, self.workload, settings.seconds) if standby else None
        self.selected = settings.selected()
        self.stores: dict[tuple[str, str], Store] = {}
        self.round_number = 0
        self.files: dict[str, Path] = {}
        self._scale_events: Events | None = None

    def store(self, phases: Phases, name: str) -> Store:
        """One that was filled before: stored or scale."""
        return self.stores[phases.side.name, name]

    def once_made(self, name: str, make: Callable[[], Path]) -> Path:
        if name not in self.files:
            self.files[name] = make()
        return self.files[name]

    # ---- what phases send ----

    def scale_events(self) -> Events:
        """Of this round."""
        if self._scale_events is None:
            self._scale_events = self.workload.scale_events(str(self.round_number), self.settings.orders)
        return self._scale_events

    def status_requests(self) -> Path:
        return self.once_made("status", lambda: self.workload.status_requests("status", list(range(STATUS_ORDERS))))

    def conditional_requests(self, phases: Phases) -> Path:
        numbers = list(range(STATUS_ORDERS))
        return self.workload.status_requests("status-304", numbers, fetch(phases.services, numbers)[0])

    def scale_requests(self) -> Path:
        return self.once_made("scale-status", lambda: self.workload.status_requests(
            "scale-status", self.workload.spread(self.settings.orders, STATUS_ORDERS)))

    def cold_requests(self) -> Path:
        return self.once_made("status-cold", lambda: self.workload.status_requests(
            "status-cold", self.workload.each_once(self.settings.orders, COLD_ORDERS)))

    # ---- all of it ----

    def sides_of(self, phase: Phase) -> list[Side]:
        """Who comes first changes from round to round."""
        sides = self.sides if phase.compared else [self.ours]
        return sides if self.round_number % 2 else sides[::-1]

    def prepare(self) -> None:
        for side in self.sides:
            for name, orders in (("stored", STATUS_ORDERS), ("scale", self.settings.orders)):
                if any(phase.needs == name and (phase.compared or side is self.ours) for phase in self.selected):
                    say(f"storing {orders} orders ({side.name})")
                    store = self.stores[side.name, name] = Store(side.services, name)
                    self.phases[side.name].fill(store, orders)
        if (self.ours.name, "stored") in self.stores:
            with self.ours.services.running("status.stored"):
                _, document = fetch(self.ours.services, [0])
            (self.ours.services.folder / "order.json").write_bytes(document)

    def run(self) -> None:
        self.prepare()
        for self.round_number in range(1, self.settings.rounds + 1):
            say(f"round {self.round_number} of {self.settings.rounds}")
            self.run_phases([phase for phase in self.selected if not phase.once])
        self.round_number += 1
        self.run_phases([phase for phase in self.selected if phase.once])

    def run_phases(self, phases: list[Phase]) -> None:
        for phase in phases:
            for side in self.sides_of(phase):
                say(f"  {phase.key}" + (f" ({side.name})" if phase.compared and len(self.sides) > 1 else ""))
                phase.run(self, self.phases[side.name])
        if self._scale_events is not None:
            self._scale_events.forget()
            self._scale_events = None


# ---- the phases ----

TWO = ("webhook", "webhook2")


def two(bench: Bench, phases: Phases) -> None:
    phases.ingest("ingest_two", bench.workload.events(), processes=TWO, front=phases.side.lighttpd_to_both)


def sync(bench: Bench, phases: Phases) -> None:
    bench.with_standby.ingest("ingest_sync", bench.workload.events())


def sync_two(bench: Bench, phases: Phases) -> None:
    bench.with_standby.ingest("ingest_sync_two", bench.workload.events(), processes=TWO, front=bench.with_standby.side.lighttpd_to_both)


def disturbed(key: str) -> Phase:
    """Once, after the rounds: what users of the database do to the latency."""
    def run(bench: Bench, phases: Phases) -> None:
        store = bench.store(phases, "scale")
        events = bench.workload.scale_events(key, bench.settings.orders)
        phases.ingest_into(store, key, events, meanwhile=store.disturbed_by(*DISTURBANCES[key]))
        events.forget()
        store.tidy()
    return Phase(key, run, needs="scale", once=True)


def scale_ingest(bench: Bench, phases: Phases) -> None:
    store = bench.store(phases, "scale")
    phases.ingest_into(store, "scale_ingest", bench.scale_events())
    store.tidy()


PHASES = [
    Phase("ingest", lambda bench, phases: phases.ingest("ingest", bench.workload.events()), compared=True),
    Phase("ingest_null", lambda bench, phases: phases.null("ingest_null", "once", bench.workload.events().file)),
    Phase("ingest_mix", lambda bench, phases: phases.ingest("ingest_mix", bench.workload.mix()), compared=True),
    Phase("ingest_256", lambda bench, phases: phases.ingest("ingest_256", bench.workload.events(), MANY_CONNECTIONS)),
    Phase("ingest_null_256", lambda bench, phases: phases.null("ingest_null_256", "once", bench.workload.events().file, MANY_CONNECTIONS)),
    Phase("ingest_one", lambda bench, phases: phases.ingest("ingest_one", bench.workload.events(), 1), compared=True),
    Phase("scale_ingest", scale_ingest, needs="scale", compared=True),
    Phase("status", lambda bench, phases: phases.status("status", bench.store(phases, "stored"), bench.status_requests), needs="stored", compared=True),
    Phase("status_null", lambda bench, phases: phases.null("status_null", "round", bench.status_requests()), needs="stored"),
    Phase("status_304", lambda bench, phases: phases.status("status_304", bench.store(phases, "stored"), lambda: bench.conditional_requests(phases), 304),
          needs="stored", compared=True),
    Phase("status_cold", lambda bench, phases: phases.status("status_cold", bench.store(phases, "scale"), bench.cold_requests), needs="scale"),
    Phase("scale_status", lambda bench, phases: phases.status("scale_status", bench.store(phases, "scale"), bench.scale_requests),
          needs="scale", compared=True),
    Phase("ingest_two", two),
    Phase("ingest_sync", sync),
    Phase("ingest_sync_two", sync_two),
    *fronts.PHASES,
    *peers.PHASES,
    *map(disturbed, DISTURBANCES),
]


# ---- the program ----

def bound_seconds(settings: Settings) -> int:
    phases, versions = len(settings.selected()), 2 if settings.against else 1
    return 3600 + settings.orders // 100 * versions + settings.rounds * phases * versions * (2 * settings.seconds + 40)


def start(stacks: ExitStack, services: Services) -> Services:
    stacks.callback(services.down)
    say(f"starting a stack in {services.folder}")
    services.up()
    return services


def start_with_standby(stacks: ExitStack, ours: Side) -> Side:
    """A stack of its own, so that nothing else waits for the standby."""
    services = start(stacks, Services(Programs.ours(), SECRETS_FROM=ours.secrets))
    return Side("with a standby", services, ours.results, {"standby": (stacks.enter_context(services.running("standby")),)})


def measure(settings: Settings, commit: str) -> tuple[list[Side], dict[str, object]]:
    chosen = settings.selected()
    runtimes = peers.Runtimes.find() if any(phase in peers.PHASES for phase in chosen) else peers.Runtimes()
    with ExitStack() as stacks:
        try:
            sides = [Side("this version", start(stacks, Services(Programs.ours(), **runtimes.environment())), report.Results(settings.orders))]
            if commit:
                theirs = start(stacks, Services(against.programs(commit), SECRETS_FROM=sides[0].secrets))
                sides.append(Side(commit[:12], theirs, report.Results(settings.orders)))
            standby = start_with_standby(stacks, sides[0]) if any(phase.run in (sync, sync_two) for phase in chosen) else None
            with sides[0].services.connect("postgres") as admin:
                environment = machine.environment(admin, sides[0].services.folder) | runtimes.versions()
            Bench(settings, sides, standby, runtimes).run()
            return sides, environment
        finally:
            ignore_signals()


def main() -> None:
    settings = Settings.read()
    commit = against.commit_of(settings.against) if settings.against else ""
    svg = Path(os.environ.get("BENCH_SVG") or build_folder() / "bench" / "chart.svg")
    heed_signals(bound_seconds(settings))
    sides, environment = measure(settings, commit)
    ours = sides[0].results
    shown = {
        "seconds_of_a_phase": settings.seconds, "rounds": settings.rounds, "orders_stored_for_scale": settings.orders,
        "events": f"CrossBorderly parcel.status_changed, each with an id of its own, {KNOWN_PERCENT} % about a parcel that is known already",
        "peers": f"{peers.WORKERS} workers with {peers.POOL} connections each (PHP: as many processes); pgbench: prepared statements"}
    report.print_report(ours, environment, shown)
    comparison = against.compared(ours, sides[1].results) if commit else {}
    if commit:
        against.print_comparison(comparison, commit)
    if os.environ.get("BENCH_JSON"):
        parts = report.as_json(ours) | {"environment": environment, "settings": shown}
        report.write_json(Path(os.environ["BENCH_JSON"]), **parts, **({"against": {"commit": commit, "figures": comparison}} if commit else {}))
    if shutil.which("gnuplot"):
        chart.draw(ours, svg)
        print(f"chart: {svg}")


if __name__ == "__main__":
    run_program("bench", main)
