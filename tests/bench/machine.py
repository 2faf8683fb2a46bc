"""What the benchmark ran on, and what the programs used: CPU time, memory, WAL and disk."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    parent: int
    ticks: int  # its own and those of children that have ended


def _processes() -> dict[int, Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # Behind the name: state, parent, …
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(entry.name)] = Process(int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))
    return found


def _tree(processes: dict[int, Process], root: int) -> set[int]:
    """ROOT and all that descends from it."""
    tree, grows = {root}, True
    while grows:
        more = {pid for pid, process in processes.items() if process.parent in tree} - tree
        tree, grows = tree | more, bool(more)
    return tree


def peak_memory(*roots: int) -> int:
    """Bytes: the peaks of these processes and their descendants, added up. What they share counts in each."""
    total, processes = 0, _processes()
    for pid in set().union(*(_tree(processes, root) for root in roots)):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return total


class Meter:
    """CPU time of named groups of processes, each a set of roots with their descendants; and WAL and disk, where ADMIN is a connection to the database.

    The connection's own process is left out: it only counts rows.
    """

    def __init__(self, groups: dict[str, tuple[int, ...]], admin: psycopg.Connection | None = None) -> None:
        self.groups, self.admin = groups, admin

    def read(self) -> Reading:
        wal, disk = 0, 0
        if self.admin is not None:
            wal, disk = self.admin.execute(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_database_size(current_database())").fetchone()
        processes = _processes()
        left_out = {self.admin.info.backend_pid} if self.admin is not None else set()
        cpu = {name: sum(processes[pid].ticks for root in roots for pid in _tree(processes, root) - left_out if pid in processes) / TICK
               for name, roots in self.groups.items()}
        return Reading(cpu, wal, disk)


@dataclass
class Reading:
    cpu: dict[str, float]
    wal: int
    disk: int

    def costs_since(self, before: Reading, requests: int) -> Costs:
        per_request = 1e6 / max(requests, 1)
        return Costs(
            {name: (seconds - before.cpu[name]) * per_request for name, seconds in self.cpu.items()},
            (self.wal - before.wal) / max(requests, 1), (self.disk - before.disk) / max(requests, 1))


@dataclass
class Costs:
    """Of one request: CPU microseconds by group of processes, WAL and disk bytes."""

    cpu_us: dict[str, float]
    wal_bytes: float | None  # None: it only reads
    disk_bytes: float | None
    peak_bytes: int = 0  # resident memory of the service


# ---- the environment ----

def _first_line(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _file_system(folder: Path) -> str | None:
    return _first_line("stat", "--file-system", "--format", "%T", str(folder))


SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size", "checkpoint_timeout", "autovacuum")


def environment(admin: psycopg.Connection, folder: Path) -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "file_system": _file_system(folder),
        "kernel": platform.release(),
        "postgresql": admin.execute("SHOW server_version").fetchone()[0],
        "postgresql_settings": {name: admin.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS},
        "lighttpd": _first_line("lighttpd", "-v"),
        "wrk": (_first_line("wrk", "-v") or "").split(" Copyright")[0],
    }
