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


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pid: int) -> float:
    user, system = _stat(pid)[11:13]
    return (int(user) + int(system)) / TICK


def postgres_cpu_seconds(postmaster: int) -> float:
    """Of the postmaster, its children and those that have ended."""
    total = sum(int(ticks) for ticks in _stat(postmaster)[11:15])
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((stat := _stat(int(entry.name)))[1]) == postmaster:
                total += int(stat[11]) + int(stat[12])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / TICK


def peak_memory(pid: int) -> int:
    """Bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass
class Usage:
    """A reading of all meters; the difference of two is what a phase used."""

    responder_cpu: float
    postgres_cpu: float
    web_server_cpu: float
    wal_bytes: int
    disk_bytes: int

    @classmethod
    def now(cls, admin: psycopg.Connection, responder: int, postmaster: int, web_server: int) -> Usage:
        cpu = cpu_seconds(responder), postgres_cpu_seconds(postmaster), cpu_seconds(web_server)
        wal, disk = admin.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,"
            " (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relnamespace = 'waybill_data'::regnamespace AND relkind = 'r')"
        ).fetchone()
        return cls(*cpu, wal, disk)

    def costs_since(self, before: Usage, events: int) -> dict[str, float]:
        million = 1e6 / events
        return {
            "webhook_cpu_s_per_million": (self.responder_cpu - before.responder_cpu) * million,
            "postgresql_cpu_s_per_million": (self.postgres_cpu - before.postgres_cpu) * million,
            "lighttpd_cpu_s_per_million": (self.web_server_cpu - before.web_server_cpu) * million,
            "wal_bytes_per_event": (self.wal_bytes - before.wal_bytes) / events,
            "disk_bytes_per_event": (self.disk_bytes - before.disk_bytes) / events,
        }


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


def environment(admin: psycopg.Connection, folder: Path, php_fpm: str | None, node_modules: Path | None) -> dict[str, object]:
    settings = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size", "checkpoint_timeout")
    shown: dict[str, object] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "file_system": _file_system(folder),
        "kernel": platform.release(),
        "postgresql": admin.execute("SHOW server_version").fetchone()[0],
        "postgresql_settings": {name: admin.execute(f"SHOW {name}").fetchone()[0] for name in settings},
        "lighttpd": _first_line("lighttpd", "-v"),
        "wrk": (_first_line("wrk", "-v") or "").split(" Copyright")[0],
    }
    if node_modules is not None:
        shown["node"] = _first_line("node", "--version")
        for package in ("express", "pg"):
            shown[package] = _first_line("node", "-p", f"require('{node_modules}/{package}/package.json').version")
    if php_fpm is not None:
        shown["php"] = _first_line(php_fpm, "--version")
    return shown
