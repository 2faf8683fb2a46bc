"""What all files of the benchmark share."""

from __future__ import annotations

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


def run(command: list[str], seconds: float, **options: object) -> str:
    """What COMMAND prints; it may take SECONDS and must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=seconds, **options)
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed with status {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def run_program(name: str, main: Callable[[], None]) -> None:
    """MAIN, with the exit status and the message of one that failed."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except BenchError as failure:
        sys.exit(f"waybill: {name}: {failure}")
