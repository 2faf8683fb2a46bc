"""What failing_calls.c makes fail in a program."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from pathlib import Path

from waybill_stack import CHECKOUT

# In the order of failing_calls.c.
CALLS = ("accept4", "setsockopt", "epoll_ctl", "epoll_wait", "read", "write", "log", "socket", "connect", "poll", "send", "recv")
WISH = struct.Struct("iiii")


def build(folder: Path) -> Path:
    library = folder / "failing_calls.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(library), str(CHECKOUT / "tests/e2e/failing_calls.c")], check=True)
    return library


class FailingCalls:
    def __init__(self, library: Path, file: Path) -> None:
        file.write_bytes(bytes(WISH.size * len(CALLS)))
        with open(file, "r+b") as opened:
            self._wishes = mmap.mmap(opened.fileno(), 0)
        # A sanitizer's library wants to be the first, and need not.
        options = os.environ.get("ASAN_OPTIONS", "")
        self.environment = {"LD_PRELOAD": str(library), "FAILING_CALLS": str(file), "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0"}

    def fail(self, call: str, error: int, times: int) -> None:
        """The next TIMES calls; ERROR 0 is the end of the stream."""
        WISH.pack_into(self._wishes, CALLS.index(call) * WISH.size, error, times, 0, 0)

    def failed(self, call: str) -> int:
        return WISH.unpack_from(self._wishes, CALLS.index(call) * WISH.size)[2]

    def calls(self, call: str) -> int:
        return WISH.unpack_from(self._wishes, CALLS.index(call) * WISH.size)[3]
