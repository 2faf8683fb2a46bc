"""Many requests at once to one webhook.fcgi, over its own socket, and the moment when all of them are in its hands."""

from __future__ import annotations

import fcntl
import struct
import termios
from pathlib import Path
from typing import Iterable

import fastcgi
from event_facts import Event
from http_plain import Answer
from waiting import wait_until
from waybill_stack import Stack


class Requests:
    """One for each of the events, sent and not yet answered."""

    def __init__(self, stack: Stack, events: Iterable[Event]) -> None:
        self._pid = stack.pid("webhook")
        events = list(events)
        credentials = {source: stack.sender(source).credential for source in {event.source for event in events}}
        address = stack.responder_socket("webhook")
        self._params = [fastcgi.post_params(f"/{event.source}", event.body, credentials[event.source](event.body)) for event in events]
        self._connections = [fastcgi.begin(address, params, event.body) for params, event in zip(self._params, events)]

    def wait_parked(self) -> None:
        """Until all of them are read and nothing is left to do for any thread of the process: they wait for the database."""
        wait_until(lambda: not any(_unread(connection) for connection in self._connections), "all requests are read")
        wait_until(lambda: all(_is_asleep(self._pid) for _ in range(3)), "nothing is left to do")

    def answers(self) -> list[Answer]:
        return [self._answer(connection, params) for connection, params in zip(self._connections, self._params)]

    def _answer(self, connection: fastcgi.socket.socket, params: dict[str, str]) -> Answer:
        with connection:
            answer = fastcgi.finish(connection, params)
            assert connection.recv(1) == b"", "there is more than one answer"
            return answer


def _unread(connection: fastcgi.socket.socket) -> int:
    """What was sent and is not yet read by the other side (unix(7): SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]


def _is_asleep(pid: int) -> bool:
    states = {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()}
    return states == {"S"}
