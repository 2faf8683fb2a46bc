"""Many requests over many kept connections from one thread, each with its own answer: a load, and what became of every request of it."""

from __future__ import annotations

import asyncio
import email.parser
import json
import re
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Sequence

from described import check_described
from http_plain import TIMEOUT, Answer, Site
from waiting import wait_until

# Answers of one outcome are alike: that many of each are compared with their description.
LOOKED_AT = 500
# Before the next request after a refusal, as a sender would; otherwise what is down for a moment uses a whole load up.
PAUSE_SECONDS = 0.1
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    request_line: bytes
    status: int | None  # None: the connection was cut
    head: bytes
    body: bytes
    began: float  # on the monotonic clock
    seconds: float

    @property
    def answer(self) -> Answer:
        fields = email.parser.BytesHeaderParser().parsebytes(self.head.partition(b"\r\n")[2] + b"\r\n\r\n")
        assert self.status is not None
        return Answer(self.status, fields, self.body)

    @property
    def outcome(self) -> tuple[int | None, str | None]:
        return self.status, json.loads(self.body).get("outcome") if self.status == 200 else None


def whole_body(head: bytes, rest: bytes) -> bytes | None:
    """Of a response; None: there is more to come."""
    length = LENGTH.search(head)
    if length:
        return rest if len(rest) == int(length.group(1)) else None
    assert CHUNKED.search(head), head
    body = b""
    while True:
        size, separator, rest = rest.partition(b"\r\n")
        end = int(size, 16) if separator else sys.maxsize
        if len(rest) < end + 2:
            return None
        if end == 0:
            return body
        body, rest = body + rest[:end], rest[end + 2 :]


class _Connection(asyncio.Protocol):
    """Sends one request after the other as long as there are any; opened again when it is closed."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._number: int | None = None  # of the request in hand
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        self._number, self._data, self._began = self._load.take(), b"", time.monotonic()
        if self._number is None:
            self._transport.close()
        else:
            request = self._load.requests[self._number]
            self._request_line = request.partition(b"\r\n")[0]
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        body = whole_body(head, rest) if separator else None
        if body is not None:
            status = int(head[9:12])
            self._answered(status, head, body)
            if CLOSE.search(head):
                self._transport.close()
            elif pause := self._load.pace if status == 200 else self._load.pause:
                asyncio.get_running_loop().call_later(pause, self._send)
            else:
                self._send()

    def _answered(self, status: int | None, head: bytes = b"", body: bytes = b"") -> None:
        number, self._number = self._number, None
        self._load.replies[number] = Reply(self._request_line, status, head, body, self._began, time.monotonic() - self._began)

    def connection_lost(self, error: Exception | None) -> None:
        if self._number is not None:
            self._answered(None)
        self._load.closed()


class Load:
    """Runs in a thread while it is entered, until every request has its reply. A connection waits PACE seconds after a 200 and PAUSE after anything else."""

    def __init__(self, site: Site, requests: Sequence[bytes], connections: int, pace: float = 0, pause: float = PAUSE_SECONDS) -> None:
        self.requests = requests
        self.pace, self.pause = pace, pause
        self.replies: dict[int | None, Reply] = {}
        self._site = site
        self._connections = connections
        self._next, self._end = 0, len(requests)
        self._open = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        looked_at: Counter[tuple[int | None, str | None]] = Counter()
        for reply in self.replies.values():
            if reply.status is not None and looked_at[reply.outcome] < LOOKED_AT:
                looked_at[reply.outcome] += 1
                method, target, _ = reply.request_line.decode("latin-1").split(" ")
                check_described(method, target, reply.answer)

    def _run(self) -> None:
        try:
            asyncio.run(asyncio.wait_for(self._send_all(), 3 * TIMEOUT))
        except BaseException as failure:  # told to whoever waits
            self._failure = failure

    async def _send_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._note_failure)
        self._change = asyncio.Event()
        while len(self.replies) < self._end and self._failure is None:
            self._change.clear()
            missing = min(self._connections - self._open, self._end - self._next)
            for _ in range(missing):
                try:
                    await self._loop.create_connection(lambda: _Connection(self), self._site.host, self._site.port)
                except ConnectionError:  # nobody listens for the moment
                    self._loop.call_later(PAUSE_SECONDS, self._change.set)
                    break
                self._open += 1
            await self._change.wait()

    def _note_failure(self, _: object, context: dict[str, object]) -> None:
        failure = context.get("exception")
        self._failure = failure if isinstance(failure, BaseException) else AssertionError(context["message"])
        self._change.set()

    # ---- for the connections ----

    def take(self) -> int | None:
        """The number of the next request; None when there are no more."""
        if self._next >= self._end:
            return None
        self._next += 1
        return self._next - 1

    def closed(self) -> None:
        self._open -= 1
        self._change.set()

    # ---- for its user ----

    def stop(self) -> None:
        """No more requests; those in hand still get their replies."""
        with suppress(RuntimeError):  # it has failed, which is told when it is left
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._end = self._next
        self._change.set()

    def wait_answered(self, count: int) -> None:
        """Until so many requests have their answer. Every one has, when the load is left."""
        wait_until(lambda: len(self.replies) >= count or not self._thread.is_alive(), f"{count} requests are answered")

    def outcomes(self) -> Counter[tuple[int | None, str | None]]:
        return Counter(reply.outcome for reply in self.replies.values())


def load(site: Site, requests: Sequence[bytes], connections: int) -> Load:
    """All of it, from beginning to end."""
    with Load(site, requests, connections) as whole:
        pass
    return whole
