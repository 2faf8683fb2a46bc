"""A program under strace: what it opens and what it asks of the kernel."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import fastcgi
from waiting import wait_until
from waybill_stack import Stack

# LeakSanitizer is a tracer itself, and there can be one only.
NO_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
# "1234 openat(AT_FDCWD, "/etc/x", O_RDONLY|O_CLOEXEC) = 3"; a call that another thread interrupts comes in two lines.
CALL = re.compile(r"^(?P<pid>\d+)\s+(?P<name>\w+)\((?P<rest>.*)$", re.MULTILINE)
OPENED = re.compile(r'^\d+\s+open(?:at)?\((?:AT_FDCWD, )?"(?P<path>[^"]*)", (?P<flags>[A-Z_|0-9]+)', re.MULTILINE)
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")


@dataclass(frozen=True)
class Trace:
    text: str

    @property
    def calls(self) -> set[str]:
        return {found["name"] for found in CALL.finditer(self.text)}

    @property
    def opened(self) -> set[str]:
        return {found["path"] for found in OPENED.finditer(self.text)}

    @property
    def opened_for_writing(self) -> set[str]:
        return {found["path"] for found in OPENED.finditer(self.text) if WRITING.search(found["flags"])}


class Tracer:
    """In FOLDER, which the stack's user owns."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.output = folder / "trace"
        self.socket = str(folder / "socket")

    @property
    def trace(self) -> Trace:
        """Once the program has ended."""
        return Trace(self.output.read_text(errors="replace"))

    def _command(self, program: str, *arguments: str) -> list[str]:
        # As root, for the kernel lets nobody else read a path in the memory of these programs; they themselves run as the stack's user.
        user = [f"--user={pwd.getpwuid(self.stack.config.stat().st_uid).pw_name}"] if os.getuid() == 0 else []
        return [
            "strace", *user, "--follow-forks", "--quiet=all", "--string-limit=4096", f"--output={self.output}", self.stack.program(program), *arguments]

    def run(self, program: str, *arguments: str, **environment: str) -> Trace:
        subprocess.run(
            self._command(program, *arguments), env=os.environ | NO_LEAK_CHECK | environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=True, timeout=120, cwd="/")
        return self.trace

    @contextmanager
    def serving(self, program: str, config: Path) -> Iterator[None]:
        """The responder listens at SOCKET while the block lasts, and ends in good order."""
        process = subprocess.Popen(
            self._command(program, "--listen", f"unix:{self.socket}"), env=os.environ | NO_LEAK_CHECK | {"WAYBILL_CONFIG": str(config)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        try:
            wait_until(lambda: fastcgi.listens(self.socket) or process.poll() is not None, "the responder listens")
            yield
            os.kill(self._first_pid(), signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()

    def _first_pid(self) -> int:
        """strace itself does not pass a signal on."""
        return int(self.output.read_text(errors="replace").split(maxsplit=1)[0])
