"""Waiting for what takes an unknown time: always for a condition, never for a while."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")

# Generous, because builds with sanitizers on a loaded machine are slow; only a failing test waits that long.
PATIENCE = 60.0


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Calls CONDITION until it gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.02)
