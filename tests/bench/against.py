"""BENCH_AGAINST: another commit's programs, and the two versions beside each other."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Callable

from common import CHECKOUT, build_folder, run, say
from report import FIGURES, Results, Run, divide, number, print_table
from stack import Programs

PROGRAMS = ("cgi-bin/webhook.fcgi", "cgi-bin/status.fcgi", "build/waybill")
# What selects how both are built.
BUILD_VARIABLES = ("CC", "OPTIMISE", "SANITIZE", "CPPFLAGS", "CFLAGS", "LDFLAGS")


def commit_of(revision: str) -> str:
    return run(["git", "-C", str(CHECKOUT), "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"], 30).strip()


def programs(commit: str) -> Programs:
    """Of COMMIT, built in a worktree of its own. They are kept in the build folder for the next run with the same flags."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    flags = {name: environment[name] for name in BUILD_VARIABLES if environment.get(name)}
    kept = build_folder() / "bench" / f"against-{commit[:12]}-{hashlib.sha256(repr(flags).encode()).hexdigest()[:8]}"
    if not all((kept / name).exists() for name in PROGRAMS):
        build(commit, flags, environment, kept)
    return Programs(kept / "build", kept / "cgi-bin")


def build(commit: str, flags: dict[str, str], environment: dict[str, str], kept: Path) -> None:
    say(f"building {commit[:12]}")
    folder = Path(tempfile.mkdtemp(prefix="waybill-against-", dir=os.environ.get("BENCH_TMP") or "/var/tmp"))
    tree = folder / "tree"
    try:
        run(["git", "-C", str(CHECKOUT), "worktree", "add", "--detach", "--force", str(tree), commit], 120)
        run(["make", "-C", str(tree), "-j", str(os.cpu_count() or 1), "all", "BUILD=build", "CGIBIN=cgi-bin",
             *(f"{name}={value}" for name, value in flags.items())], 1800, env=environment)
        for name in PROGRAMS:
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / name, kept / name)
    finally:
        if tree.exists():
            run(["git", "-C", str(CHECKOUT), "worktree", "remove", "--force", str(tree)], 60)
        shutil.rmtree(folder, ignore_errors=True)


# ---- the comparison ----

def _cpu(group: str) -> Callable[[Run], float | None]:
    return lambda run: run.costs.cpu_us.get(group)


COMPARED = {
    "per second": FIGURES["per_second"],
    "p50 ms": FIGURES["p50_ms"],
    "p99 ms": FIGURES["p99_ms"],
    "CPU us": FIGURES["cpu_us"],
    "CPU us: webhook.fcgi": _cpu("webhook.fcgi"),
    "CPU us: status.fcgi": _cpu("status.fcgi"),
    "CPU us: lighttpd": _cpu("lighttpd"),
    "CPU us: postgresql": _cpu("postgresql"),
    "WAL bytes": FIGURES["wal_bytes"],
    "disk bytes": FIGURES["disk_bytes"],
    "memory MB": lambda run: run.costs.peak_bytes / 1e6,
}


def compared(ours: Results, theirs: Results) -> dict[str, dict[str, dict[str, object]]]:
    """By key and figure: both medians, and the median of the ratios of each round, in which the two ran one after the other."""
    table: dict[str, dict[str, dict[str, object]]] = {}
    for key, runs in theirs.runs.items():
        for name, read in COMPARED.items():
            pairs = [(read(a), read(b)) for a, b in zip(ours.runs[key], runs)]
            ratios = [value for a, b in pairs if (value := divide(a, b)) is not None]
            if ratios:
                table.setdefault(key, {})[name] = {
                    "ours": median(a for a, _ in pairs), "theirs": median(b for _, b in pairs), "ratio": median(ratios), "rounds": ratios}
    return table


def print_comparison(table: dict[str, dict[str, dict[str, object]]], commit: str) -> None:
    print(f"this version beside {commit[:12]}; a ratio is the median of the rounds'")
    print()
    rows = [[key, name, number(figures["ours"]), number(figures["theirs"]), number(figures["ratio"], 3),
             f"{min(figures['rounds']):.3f}–{max(figures['rounds']):.3f}"] for key, by_name in table.items() for name, figures in by_name.items()]
    print_table(["figure", "", "this", "that", "this / that", "rounds"], rows, (0, 1))
