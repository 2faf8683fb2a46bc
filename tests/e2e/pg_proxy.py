"""A proxy between webhook.fcgi and PostgreSQL that can lose the connection at a chosen moment of the transaction that stores a batch.

It knows as much of the protocol (PostgreSQL's manual, "Frontend/Backend Protocol") as it needs: where a message ends, which ones belong to one
synchronisation, and whether that begins a batch (it calls waybill_data.take_deliveries()) or ends one (COMMIT).
"""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import threading
from collections import deque
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Callable, Iterator

from waiting import PATIENCE, wait_until

SOCKET = ".s.PGSQL.5432"
TAKE, COMMIT = b"waybill_data.take_deliveries(", b"COMMIT\0"
SYNC = b"S"
READY = b"Z"
# What ends a piece of work of the frontend: it is passed on as a whole. Flush, Sync, Query, Terminate, password messages.
ENDS = (b"H", SYNC, b"Q", b"X", b"p")


class Cut(Enum):
    """When the connection is lost. A batch has two halves: its deliveries go in, and the rows are written and committed."""

    BEFORE = "before the first half is sent"
    HALF_SENT = "when a part of the first half is sent"
    TAKEN = "between the halves, before a byte of the first answer"
    HALF_WRITTEN = "when a part of the second half is sent"
    RUNNING = "while the second half runs"
    TERMINATED = "while the second half runs, by the server"
    ANSWERED = "when it is committed, before a byte of the answer"
    UNCONFIRMED = "when it is committed, in the middle of the answer"
    SILENCE = "not at all, but the last answer never comes"

    @property
    def half(self) -> bytes:
        return TAKE if self in (Cut.BEFORE, Cut.HALF_SENT, Cut.TAKEN) else COMMIT


class Closed(Exception):
    """One side has closed its connection."""


class Messages:
    """Reads messages of the one direction."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rb")

    def startup(self) -> bytes:
        """The first one of a frontend has no type."""
        return self._counted(b"")

    def next(self) -> tuple[bytes, bytes]:
        """Its type and all of it."""
        kind = self._read(1)
        return kind, self._counted(kind)

    def _counted(self, kind: bytes) -> bytes:
        length = self._read(4)
        return kind + length + self._read(struct.unpack(">I", length)[0] - 4)

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except (OSError, ValueError) as error:
            raise Closed from error
        if len(data) < size:
            raise Closed
        return data


class Session:
    """One connection of webhook.fcgi with its connection to the server."""

    def __init__(self, proxy: PgProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._statements: dict[bytes, bytes] = {}  # prepared, by name: TAKE, COMMIT, or nothing of interest
        self._cut: Cut | None = None  # meets the batch that is under way
        self._expected: deque[Cut | None] = deque()  # for each synchronisation that is not answered yet: what is to happen to the answer
        for work in (self._requests, self._answers):
            threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def close(self) -> None:
        for connection in (self._client, self._server):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                pass

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (Closed, OSError):
            pass
        except BaseException as failure:  # told to whoever asks
            self._proxy.failures.append(failure)
        finally:
            self.close()

    # ---- from webhook.fcgi to the server ----

    def _requests(self) -> None:
        messages = Messages(self._client)
        self._server.sendall(messages.startup())
        group, half = b"", b""
        while True:
            kind, message = messages.next()
            group += message
            half = half or self._half_of(kind, message[5:])
            if kind in ENDS:
                self._pass_on(group, kind, half)
                group, half = b"", b""

    def _half_of(self, kind: bytes, content: bytes) -> bytes:
        if kind == b"P":
            name, _, rest = content.partition(b"\0")
            self._statements[name] = TAKE if TAKE in rest else COMMIT if rest.startswith(COMMIT) else b""
        if kind == b"B":
            _, _, rest = content.partition(b"\0")
            return self._statements.get(rest.partition(b"\0")[0], b"")
        return b""

    def _pass_on(self, group: bytes, kind: bytes, half: bytes) -> None:
        if half == TAKE:
            self._cut = self._proxy.meet_batch(len(group))
        elif half == COMMIT:
            self._proxy.is_held(COMMIT)
        cut = None
        if self._cut is not None and self._cut.half == half:
            cut, self._cut = self._cut, None
            self._proxy.before()
        if cut in (Cut.BEFORE, Cut.HALF_SENT, Cut.HALF_WRITTEN):
            self._server.sendall(b"" if cut is Cut.BEFORE else group[: len(group) // 2])
            raise Closed
        if kind in (SYNC, b"Q"):
            self._expected.append(cut)
        self._server.sendall(group)
        if cut in (Cut.RUNNING, Cut.TERMINATED):
            self._proxy.while_running()
        if cut is Cut.RUNNING:
            raise Closed

    # ---- from the server to webhook.fcgi ----

    def _answers(self) -> None:
        messages = Messages(self._server)
        while True:
            kind, message = messages.next()
            cut = self._expected[0] if self._expected else None
            if kind == READY and self._expected:
                self._expected.popleft()
                if cut in (Cut.TAKEN, Cut.ANSWERED, Cut.UNCONFIRMED):
                    raise Closed
            if cut in (None, Cut.UNCONFIRMED, Cut.TERMINATED):
                self._client.sendall(message)


def nothing() -> None:
    pass


class PgProxy:
    """Listens where a PostgreSQL server would, in a folder of its own."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = str(upstream / SOCKET)
        self.folder = Path(tempfile.mkdtemp(prefix="waybill-proxy-"))
        self.folder.chmod(0o755)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / SOCKET))
        # Whoever runs the stack may connect.
        (self.folder / SOCKET).chmod(0o666)
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._sessions: list[Session] = []
        self._away = False
        self._cut: Cut | None = None
        self._then_away = False
        self.before = self.while_running = nothing
        self._gate = threading.Event()
        self._gate.set()
        self._held, self._held_half = 0, TAKE
        # Of the batches that came by since cut(), in bytes.
        self.sizes: list[int] = []
        # Of the threads.
        self.failures: list[BaseException] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._gate.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        finally:
            self._listener.close()
            self._close_sessions()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self._away:
                    raise ConnectionRefusedError
                server.connect(self._upstream)
            except OSError:
                client.close()
                server.close()
                continue
            with self._lock:
                self._sessions.append(Session(self, client, server))

    def _close_sessions(self) -> None:
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    # ---- what tests ask for ----

    def cut(self, cut: Cut, then_away: bool = False, before: Callable[[], None] = nothing, while_running: Callable[[], None] = nothing) -> None:
        """Happens to the next batch that is not held back. THEN_AWAY: the database cannot be reached afterwards, until is_back(). BEFORE is called before
        the half that it happens to goes on to the server, WHILE_RUNNING after it went there and before the connection is lost."""
        with self._lock:
            self.sizes = []
            self._cut, self._then_away = cut, then_away
            self.before, self.while_running = before, while_running

    def is_back(self) -> None:
        self._away = False
        # What was only silent.
        self._close_sessions()

    @contextmanager
    def holding(self, half: bytes = TAKE) -> Iterator[Callable[[], None]]:
        """A batch gets no further than to this half meanwhile. Gives what waits until one has come."""
        before, self._held_half = self._held, half

        def wait_held() -> None:
            wait_until(lambda: self._held > before, "a batch is on its way")

        self._gate.clear()
        try:
            yield wait_held
        finally:
            self._gate.set()

    # ---- what sessions ask ----

    def is_held(self, half: bytes) -> bool:
        """Whether a batch is held back here; returns when it may go on."""
        if half != self._held_half or self._gate.is_set():
            return False
        self._held += 1
        self._gate.wait(PATIENCE)
        return True

    def meet_batch(self, size: int) -> Cut | None:
        """A batch of SIZE bytes comes by: what shall happen to it?"""
        if self.is_held(TAKE):
            return None
        with self._lock:
            self.sizes.append(size)
            cut, self._cut = self._cut, None
            self._away |= cut is not None and self._then_away
        return cut
