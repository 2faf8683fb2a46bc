"""What all files of the benchmark share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]


class BenchError(Exception):
    """The benchmark cannot go on, or its result would be wrong."""


class CountError(BenchError):
    """Answers and rows differ."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def setting(name: str, default: int, least: int = 1) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdigit() or int(value) < least:
        raise BenchError(f"{name}={value}: a whole number from {least} on")
    return int(value)


def build_folder() -> Path:
    return CHECKOUT / os.environ.get("BUILD", "build")


def run(command: list[str], seconds: float, **options: object) -> str:
    """What COMMAND prints; it may take SECONDS and must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=seconds, **options)
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed with status {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


# ---- how a run ends ----

def _end_by_signal(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end_by_time(number: int, frame: object) -> None:
    raise BenchError("it takes too long")


def heed_signals(seconds: int) -> None:
    """From now on signals end the run by an exception, and so does the end of SECONDS."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_by_signal)
    signal.signal(signal.SIGALRM, _end_by_time)
    signal.alarm(seconds)


def ignore_signals() -> None:
    """Nothing interrupts the cleaning up."""
    signal.alarm(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def run_program(name: str, main: Callable[[], None]) -> None:
    """MAIN, with the exit status and the message of one that failed."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except BenchError as failure:
        sys.exit(f"waybill: {name}: {failure}")
