"""The load generators: wrk with replay.lua, and pgbench."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from psycopg.conninfo import conninfo_to_dict

from common import HERE, BenchError, run


@dataclass
class Load:
    seconds: float
    good: int  # answered with success
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @property
    def per_second(self) -> float:
        return self.good / self.seconds


def _command(port: int, mode: str, requests: Path, connections: int, threads: int, seconds: int) -> list[str]:
    return ["wrk", "-t", str(min(threads, connections)), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s",
            "-s", str(HERE / "replay.lua"), f"http://127.0.0.1:{port}/", "--", mode, str(requests)]


def _load(output: str, requests: Path) -> Load:
    """Any answer but a success, and any lack of one, is an error."""
    summary = json.loads(output.strip().splitlines()[-1])
    if summary["exhausted"]:
        raise BenchError(f"wrk ran out of events in {requests.name}")
    if summary["refused"] or summary["broken"] or summary["timeouts"]:
        raise BenchError(f"of {summary['requests']} requests {summary['refused']} were refused, {summary['broken']} broke and"
                         f" {summary['timeouts']} timed out")
    return Load(summary["seconds"], summary["requests"], summary["p50_ms"], summary["p99_ms"], summary["p999_ms"])


def wrk(port: int, mode: str, requests: Path, connections: int, threads: int, seconds: int) -> Load:
    """MODE 'once' sends each request once, 'round' again and again."""
    return _load(run(_command(port, mode, requests, connections, threads, seconds), seconds + 60), requests)


PATIENCE_SECONDS = 60
NO_LIMIT_SECONDS = 86400


def wrk_all(port: int, requests: Path, connections: int, threads: int, stored: Callable[[], int], wanted: int) -> Load:
    """Sends every one of REQUESTS, until STORED gives WANTED; it must grow."""
    process = subprocess.Popen(_command(port, "all", requests, connections, threads, NO_LIMIT_SECONDS), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    try:
        last, since = -1, time.monotonic()
        while (now := stored()) < wanted and process.poll() is None:
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() > since + PATIENCE_SECONDS:
                raise BenchError(f"of {wanted} events {now} were stored, and no more in {PATIENCE_SECONDS} s")
            time.sleep(0.2 if wanted < 100_000 else 2)
    finally:
        # wrk ends in good order then.
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return _load(output, requests)


def percentile(ordered: list[int], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000


def pgbench(program: Path, script: Path, dsn: str, clients: int, threads: int, seconds: float, folder: Path) -> tuple[Load, int]:
    """The second value is the count of all transactions. The first second, in which plans are made, is not part of the figure."""
    prefix = folder / "pgbench_log"
    parts = conninfo_to_dict(dsn)
    # Not as an argument: the password would stand in the list of processes.
    environment = os.environ | {
        "PGHOST": parts["host"], "PGPORT": parts["port"], "PGDATABASE": parts["dbname"], "PGUSER": parts["user"], "PGPASSWORD": parts["password"]}
    output = run(
        [str(program), "-n", "-M", "prepared", "-f", str(script), "-c", str(clients), "-j", str(min(threads, clients)),
         "-T", str(max(1, round(seconds)) + 1), "-D", "n=0", "--log", "--log-prefix", str(prefix)],
        seconds + 60, env=environment)
    times, latencies = read_pgbench_logs(prefix)
    done = int(next(line for line in output.splitlines() if "transactions actually processed" in line).split(":")[1].split()[0].split("/")[0])
    if done != len(times):
        raise BenchError(f"pgbench reports {done} transactions and logs {len(times)}")
    begin, end = min(times) + 1, max(times)
    counted = sorted(latency for time, latency in zip(times, latencies) if time > begin)
    if not counted:
        raise BenchError("pgbench came to nothing within a second")
    return Load(end - begin, len(counted), percentile(counted, 0.5), percentile(counted, 0.99), percentile(counted, 0.999)), done


def read_pgbench_logs(prefix: Path) -> tuple[list[float], list[int]]:
    """When each transaction ended, in seconds, and how long it took, in microseconds. The logs are removed."""
    times: list[float] = []
    latencies: list[int] = []
    for log in prefix.parent.glob(prefix.name + ".*"):
        for line in log.read_text().splitlines():
            _, _, latency, _, epoch, micros = line.split()[:6]
            times.append(int(epoch) + int(micros) / 1e6)
            latencies.append(int(latency))
        log.unlink()
    return times, latencies
