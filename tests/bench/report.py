"""Figures into tables and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from load import Load
from machine import Costs

# What a peer does not do that waybill does.
PLAIN = "no late events, roll-up, feed, quarantine, raw bytes"
NULL = "stores and reads nothing"
# Every row: key, what it is, what it lacks.
ROWS = [
    ("ingest", "waybill, 64 connections", ""),
    ("ingest_mix", "the realistic mix: orders of one to three boxes, about eight events each, four senders, 2 % twice", ""),
    ("ingest_256", "waybill, 256 connections", ""),
    ("ingest_one", "waybill, 1 connection", ""),
    ("ingest_nginx", "waybill behind nginx as shipped", ""),
    ("ingest_apache", "waybill behind Apache as shipped", ""),
    ("ingest_two", "two webhook.fcgi processes on one database", ""),
    ("ingest_sync", "a synchronous standby behind 5 ms", ""),
    ("ingest_sync_two", "two processes, and a synchronous standby behind 5 ms", ""),
    ("ingest_null", "null responder, 64 connections", NULL),
    ("ingest_null_256", "null responder, 256 connections", NULL),
    ("peer_pgbench", "pgbench, plain tables, four upserts a transaction", PLAIN + "; no HTTP, signature, JSON"),
    ("peer_pgbench_one", "the same, 1 client", PLAIN + "; no HTTP, signature, JSON"),
    ("peer_express", "Express + pg, four upserts a transaction", PLAIN),
    ("peer_fastify", "Fastify + pg, four upserts a transaction", PLAIN),
    ("peer_fastify_cte", "Fastify + pg, the four as one statement", PLAIN),
    ("peer_upsert", "Fastify + pg, one guarded upsert", "no history, duplicates, orders, roll-up, feed, quarantine, raw bytes"),
    ("peer_fastapi", "FastAPI + asyncpg, four upserts a transaction", PLAIN),
    ("peer_php", "PHP under php-fpm, four upserts a transaction", PLAIN),
    ("status", "waybill, 64 connections", ""),
    ("status_cold", "waybill, each time another of {orders} orders", ""),
    ("status_304", "waybill, conditional hits, 64 connections", ""),
    ("status_null", "null responder, 64 connections", NULL),
    ("status_express", "Express + pg, plain tables, 64 connections", "no roll-up, scopes, changes; a shorter document"),
    ("scale_ingest", "ingest with {orders} orders stored", ""),
    ("scale_status", "status with {orders} orders stored", ""),
    ("during_checkpoint", "scale_ingest while a checkpoint runs, again and again", ""),
    ("during_vacuum", "scale_ingest while all tables are vacuumed, again and again", ""),
    ("during_report", "scale_ingest while a reporting tool reads all of the history, again and again", ""),
]
RATIOS = [
    ("ingest", "ingest_null"), ("ingest_256", "ingest_null_256"), ("ingest_mix", "ingest"),
    ("ingest_nginx", "ingest"), ("ingest_apache", "ingest"), ("ingest_two", "ingest"), ("ingest_sync", "ingest"), ("ingest_sync_two", "ingest_sync"),
    *(("ingest", f"peer_{name}") for name in ("pgbench", "express", "fastify", "fastify_cte", "upsert", "fastapi", "php")),
    ("ingest_one", "peer_pgbench_one"),
    ("status", "status_express"), ("status", "status_null"), ("status_304", "status_null"), ("status_cold", "status"),
    ("scale_ingest", "ingest"), ("scale_status", "status"),
    ("during_checkpoint", "scale_ingest"), ("during_vacuum", "scale_ingest"), ("during_report", "scale_ingest"),
]
WEB_SERVERS = ("lighttpd", "nginx", "apache")
DATABASES = ("postgresql", "standby")


@dataclass
class Run:
    """One phase of one round."""

    load: Load
    costs: Costs

    @property
    def per_second(self) -> float:
        return self.load.per_second

    @property
    def cpu_us(self) -> float:
        return sum(self.costs.cpu_us.values())


# How to read a figure from a run.
FIGURES = {
    "per_second": lambda run: run.per_second,
    "p50_ms": lambda run: run.load.p50_ms,
    "p99_ms": lambda run: run.load.p99_ms,
    "p999_ms": lambda run: run.load.p999_ms,
    "cpu_us": lambda run: run.cpu_us,
    "wal_bytes": lambda run: run.costs.wal_bytes,
    "disk_bytes": lambda run: run.costs.disk_bytes,
    "peak_bytes": lambda run: run.costs.peak_bytes,
}


@dataclass
class Results:
    orders: int
    runs: dict[str, list[Run]] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, load: Load, costs: Costs) -> None:
        self.runs.setdefault(key, []).append(Run(load, costs))

    def choose(self, key: str, variants: dict[str, str]) -> None:
        """The variant with the highest median is the figure KEY; its name is noted."""
        best = max(variants, key=lambda variant: median(run.per_second for run in self.runs[variant]))
        self.runs[key], self.notes[key] = self.runs[best], f"best: {variants[best]}"

    def of(self, key: str, figure: str) -> float | None:
        """The median of the rounds; None: not measured."""
        if key in self.not_measured or key not in self.runs:
            return None
        values = [FIGURES[figure](run) for run in self.runs[key]]
        return None if None in values else median(values)

    def cpu_of(self, key: str) -> dict[str, float]:
        """By group of processes."""
        runs = self.runs[key]
        return {name: median(run.costs.cpu_us[name] for run in runs) for name in runs[0].costs.cpu_us}

    def shown(self) -> list[tuple[str, str, str]]:
        """The rows of what was to be measured."""
        return [row for row in ROWS if row[0] in self.runs or row[0] in self.not_measured]


def divide(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


# ---- tables ----

def figure_rows(results: Results) -> list[list[str]]:
    rows = []
    for key, text, lacks in results.shown():
        what = text.format(orders=results.orders) + (f"; {results.notes[key]}" if key in results.notes else "")
        if key in results.not_measured:
            rows.append([key, "not measured", "", "", "", "", "", results.not_measured[key], ""])
            continue
        rates = [run.per_second for run in results.runs[key]]
        rows.append([key, number(results.of(key, "per_second"), 0), f"{min(rates):,.0f}–{max(rates):,.0f}",
                     *(number(results.of(key, name)) for name in ("p50_ms", "p99_ms", "p999_ms")), number(results.of(key, "cpu_us"), 0), what,
                     lacks])
    return rows


def ratio_rows(results: Results) -> list[list[str]]:
    return [[f"{ours} / {other}", *(number(value) for value in ratio(results, ours, other).values())]
            for ours, other in RATIOS if ours in results.runs and other in results.runs]


RATIO_FIGURES = ("per_second", "p50_ms", "p99_ms", "cpu_us")


def ratio(results: Results, ours: str, other: str) -> dict[str, float | None]:
    return {figure: divide(results.of(ours, figure), results.of(other, figure)) for figure in RATIO_FIGURES}


def cost_rows(results: Results) -> list[list[str]]:
    rows = []
    for key, _, _ in results.shown():
        if results.of(key, "cpu_us") is None:
            continue
        cpu = results.cpu_of(key)
        server = next((us for name, us in cpu.items() if name in WEB_SERVERS), None)
        handler = next((us for name, us in cpu.items() if name not in WEB_SERVERS + DATABASES), None)
        rows.append([key, *(number(us, 1) for us in (handler, server, cpu.get("postgresql"), cpu.get("standby"))),
                     number(results.of(key, "wal_bytes"), 0), number(results.of(key, "disk_bytes"), 0),
                     number(divide(results.of(key, "peak_bytes"), 1e6) or None, 1)])
    return rows


def print_table(heads: list[str], rows: list[list[str]], text_columns: tuple[int, ...]) -> None:
    if not rows:
        return
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) if column in text_columns else cell.rjust(width)
                        for column, (cell, width) in enumerate(zip(row, widths))).rstrip())
    print()


def print_report(results: Results, environment: dict[str, object], settings: dict[str, object]) -> None:
    print()
    for name, value in (environment | settings).items():
        shown = ", ".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' ')}: {shown}")
    print()
    print_table(["figure", "per second", "rounds", "p50 ms", "p99 ms", "p99.9 ms", "CPU us", "what", "what it lacks"], figure_rows(results), (0, 7, 8))
    print_table(["ratio", "per second", "p50", "p99", "CPU"], ratio_rows(results), (0,))
    print_table(["one request costs", "handler us", "web server us", "PostgreSQL us", "standby us", "WAL bytes", "disk bytes", "memory MB"],
                cost_rows(results), (0,))


# ---- JSON ----

def figure(results: Results, key: str) -> dict[str, object]:
    if key in results.not_measured:
        return {"per_second": None, "not_measured": results.not_measured[key]}
    return {name: results.of(key, name) for name in FIGURES} | {"rounds": [run.per_second for run in results.runs[key]]}


def costs(results: Results, key: str) -> dict[str, object]:
    return {"cpu_us": results.cpu_of(key)} | {name: results.of(key, name) for name in ("wal_bytes", "disk_bytes", "peak_bytes")}


def as_json(results: Results) -> dict[str, object]:
    figures: dict[str, object] = {}
    for key, _, lacks in results.shown():
        figures[key] = figure(results, key) | ({"lacks": lacks} if lacks else {}) | ({"note": results.notes[key]} if key in results.notes else {})
    scale = {name: figures[f"scale_{name}"] for name in ("ingest", "status") if f"scale_{name}" in figures}
    if scale:
        # Its own figures are ingest's.
        figures["scale"] = figures.get("scale_ingest", {}) | {"orders": results.orders} | scale
    return {
        "figures": figures,
        "ratios": {f"{ours}/{other}": ratio(results, ours, other) for ours, other in RATIOS if ours in results.runs and other in results.runs},
        "costs": {key: costs(results, key) for key, _, _ in results.shown() if key in results.runs and key not in results.not_measured},
    }


def write_json(file: Path, **parts: object) -> None:
    file.write_text(json.dumps(parts, indent=2) + "\n")
