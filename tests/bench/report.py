"""Figures into a table, JSON and a chart."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from load import Load

# Every row: key, what it is.
ROWS = [
    ("ingest", "waybill, 64 connections"),
    ("ingest_256", "waybill, 256 connections"),
    ("ingest_null", "null responder, 64 connections"),
    ("ingest_null_256", "null responder, 256 connections"),
    ("ingest_pgbench", "pgbench, one event a transaction"),
    ("ingest_express", "Express + pg, 64 connections"),
    ("ingest_php", "PHP under php-fpm, 64 connections"),
    ("ingest_one", "waybill, 1 connection"),
    ("ingest_pgbench_one", "pgbench, 1 client"),
    ("status", "waybill, 64 connections"),
    ("status_cold", "waybill, each time another of {orders} orders"),
    ("status_304", "waybill, conditional hits, 64 connections"),
    ("status_null", "null responder, 64 connections"),
    ("status_express", "Express + pg, 64 connections"),
    ("scale_ingest", "ingest with {orders} orders stored"),
    ("scale_status", "status with {orders} orders stored"),
    ("during_checkpoint", "scale_ingest while a checkpoint runs, again and again"),
    ("during_vacuum", "scale_ingest while all tables are vacuumed, again and again"),
    ("during_report", "scale_ingest while a reporting tool reads all of the history, again and again"),
]
# Each panel: title, and its bars with their names.
CHART = [
    ("webhooks taken per second", {
        "ingest": "waybill", "ingest_256": "waybill, 256 connections", "scale_ingest": "waybill, {orders} orders stored",
        "ingest_pgbench": "pgbench, one event a transaction", "ingest_express": "Express + pg", "ingest_php": "PHP", "ingest_null": "null responder"}),
    ("order documents served per second", {
        "status": "waybill", "scale_status": "waybill, {orders} orders stored", "status_304": "waybill, not modified",
        "status_express": "Express + pg", "status_null": "null responder"}),
]
OUR_COLOUR, PEER_COLOUR = 0x2A6F97, 0xB0B0B0
PEERS = {"ingest_null", "ingest_pgbench", "ingest_express", "ingest_php", "status_null", "status_express"}


@dataclass
class Results:
    orders: int
    loads: dict[str, list[Load]] = field(default_factory=dict)
    costs: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    clients: int = 0  # of pgbench's best

    def add(self, key: str, load: Load) -> None:
        self.loads.setdefault(key, []).append(load)

    def add_costs(self, key: str, costs: dict[str, float]) -> None:
        self.costs.setdefault(key, []).append(costs)

    def choose_best_pgbench(self, counts: tuple[int, ...]) -> None:
        """The count of clients with the highest median is the figure."""
        self.clients = max(counts, key=lambda clients: median(load.per_second for load in self.loads[f"ingest_pgbench_{clients}"]))
        self.loads["ingest_pgbench"] = self.loads[f"ingest_pgbench_{self.clients}"]

    def of(self, key: str, attribute: str) -> float | None:
        """The median of the rounds; None: not measured."""
        if key in self.not_measured or key not in self.loads:
            return None
        return median(getattr(load, attribute) for load in self.loads[key])

    def cost(self, key: str, name: str) -> float | None:
        return median(costs[name] for costs in self.costs[key]) if key in self.costs else None


def divide(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None


def ratios(results: Results) -> list[tuple[str, str, float | None, str, float]]:
    """Key, text, value, how it compares with the aim, the aim."""
    def speed(key: str) -> float | None:
        return results.of(key, "per_second")

    peers = [rate for key in ("ingest_express", "ingest_php") if (rate := speed(key)) is not None]
    memory = results.cost("ingest_256", "webhook_peak_bytes")
    return [
        ("ingest_to_null", "ingest / ingest_null", divide(speed("ingest"), speed("ingest_null")), ">=", 0.40),
        ("ingest_to_pgbench", "ingest / ingest_pgbench", divide(speed("ingest"), speed("ingest_pgbench")), ">=", 2.5),
        ("ingest_to_peers", "ingest / best of ingest_express, ingest_php", divide(speed("ingest"), max(peers, default=None)), ">=", 6),
        ("ingest_p99_ms", "p99 of ingest at 64 connections, ms", results.of("ingest", "p99_ms"), "<", 40),
        ("one_to_pgbench_one", "one event at a time: p50 of waybill / of pgbench",
         divide(results.of("ingest_one", "p50_ms"), results.of("ingest_pgbench_one", "p50_ms")), "<", 1.5),
        ("status_to_null", "status / status_null", divide(speed("status"), speed("status_null")), ">=", 0.45),
        ("status_304_to_null", "status_304 / status_null", divide(speed("status_304"), speed("status_null")), ">=", 0.60),
        ("status_to_express", "status / status_express", divide(speed("status"), speed("status_express")), ">=", 4),
        ("scale_ingest_to_ingest", f"ingest with {results.orders} orders stored / empty", divide(speed("scale_ingest"), speed("ingest")), ">=", 0.85),
        ("scale_status_to_status", f"status with {results.orders} orders stored / few", divide(speed("scale_status"), speed("status")), ">=", 0.85),
        ("memory_256_mb", "peak resident memory of webhook.fcgi at 256 connections, MB", divide(memory, 1e6), "<", 40),
    ]


def reached(value: float | None, compare: str, aim: float) -> str:
    if value is None:
        return "not measured"
    return "reached" if (value >= aim if compare == ">=" else value < aim) else "missed"


def number(value: float | None, digits: int = 2) -> str:
    return "not measured" if value is None else f"{value:,.{digits}f}"


# ---- the table ----

def figure_rows(results: Results) -> list[list[str]]:
    rows = []
    for key, text in ROWS:
        if (rate := results.of(key, "per_second")) is None:
            rows.append([key, "not measured", "", "", "", "", results.not_measured.get(key, "")])
            continue
        rates = [load.per_second for load in results.loads[key]]
        what = text.format(orders=results.orders) + (f", {results.clients} clients (best)" if key == "ingest_pgbench" else "")
        rows.append([key, number(rate, 0), f"{min(rates):,.0f}–{max(rates):,.0f}", *(number(results.of(key, name)) for name in ("p50_ms", "p99_ms", "p999_ms")), what])
    return rows


COSTS = [
    ("webhook_cpu_s_per_million", "CPU seconds per million events: webhook.fcgi", 1),
    ("postgresql_cpu_s_per_million", "CPU seconds per million events: PostgreSQL", 1),
    ("lighttpd_cpu_s_per_million", "CPU seconds per million events: lighttpd", 1),
    ("wal_bytes_per_event", "WAL bytes per event", 1),
    ("disk_bytes_per_event", "disk bytes per event", 1),
    ("webhook_peak_bytes", "peak resident memory of webhook.fcgi, MB", 1e6),
]
COST_KEYS = ("ingest", "ingest_256", "scale_ingest")


def cost_rows(results: Results) -> list[list[str]]:
    return [[text, *(number(divide(results.cost(key, name), unit), 1) for key in COST_KEYS)] for name, text, unit in COSTS]


def print_table(heads: list[str], rows: list[list[str]], text_columns: tuple[int, ...]) -> None:
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
    print_table(["figure", "per second", "rounds", "p50 ms", "p99 ms", "p99.9 ms", "what"], figure_rows(results), (0, 6))
    print_table(["ratio", "value", "aim", ""],
                [[text, number(value), f"{compare} {aim:g}", reached(value, compare, aim)] for _, text, value, compare, aim in ratios(results)], (0, 3))
    print_table(["what one event costs", *COST_KEYS], cost_rows(results), (0,))


# ---- JSON ----

def figure(results: Results, key: str) -> dict[str, object]:
    names = ("per_second", "p50_ms", "p99_ms", "p999_ms")
    value: dict[str, object] = {name: results.of(key, name) for name in names}
    if value["per_second"] is None:
        value["not_measured"] = results.not_measured.get(key, "")
    else:
        value["rounds"] = [load.per_second for load in results.loads[key]]
    if key == "ingest_pgbench" and results.clients:
        value["clients"] = results.clients
    return value


def write_json(results: Results, environment: dict[str, object], settings: dict[str, object], file: Path) -> None:
    figures: dict[str, object] = {key: figure(results, key) for key, _ in ROWS}
    scale = {"orders": results.orders, "ingest": figures["scale_ingest"], "status": figures["scale_status"]}
    figures["scale"] = {name: value for name, value in figure(results, "scale_ingest").items() if name != "rounds"} | scale
    costs = {key: {name: results.cost(key, name) for name, _, _ in COSTS} for key in COST_KEYS}
    everything = {
        "figures": figures,
        "ratios": {key: {"value": value, "compare": compare, "aim": aim, "result": reached(value, compare, aim)}
                   for key, _, value, compare, aim in ratios(results)},
        "costs": costs,
        "environment": environment,
        "settings": settings,
    }
    file.write_text(json.dumps(everything, indent=2) + "\n")


# ---- the chart ----

def draw_chart(results: Results, file: Path) -> None:
    plots = []
    for title, names in CHART:
        rows = [(key, name.format(orders=results.orders), rate) for key, name in reversed(names.items())
                if (rate := results.of(key, "per_second")) is not None]
        data = "\n".join(f'{place} {rate:.0f} "{name}" {PEER_COLOUR if key in PEERS else OUR_COLOUR}' for place, (key, name, rate) in enumerate(rows))
        top = max((rate for _, _, rate in rows), default=1)
        plots.append(f"$data << EOD\n{data}\nEOD\n"
                     f"set title '{title}'\nset xrange [0:{top * 1.15}]\nset yrange [-0.6:{len(rows) - 0.4}]\n"
                     "plot $data using ($2/2):1:($2/2):(0.35):4:ytic(3) with boxxyerror lc rgb variable notitle,"
                     f" $data using ($2 + {top * 0.01}):1:2 with labels left notitle\n")
    script = ("set terminal svg noenhanced size 900,620 font 'sans-serif,13' background rgb 'white'\n"
              f"set output '{file}'\n"
              "set encoding utf8\nset style fill solid noborder\nset border 3\nset tics nomirror out\nset grid xtics lc rgb '#dddddd'\n"
              "set lmargin 34\nset multiplot layout 2,1\n" + "".join(plots) + "unset multiplot\n")
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)
