"""Sends a corpus: through the web server, or to two webhook.fcgi processes; many requests at once, so that nothing is known of the order."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Sequence

import fastcgi
from event_facts import Event
from http_load import load
from settings import credentials
from two_processes import TwoProcesses
from waybill_stack import Stack

CONNECTIONS = 16
# Signatures hold for five minutes, and each part must be sent within three.
PART = 4000
TRIES = 5

# (status, body) of an answer.
Answered = tuple[int, bytes]
SendPart = Callable[[Sequence[Event]], list[Answered | None]]


def send(stack: Stack, events: Sequence[Event]) -> list[Answered]:
    """Through the web server."""
    return _until_answered(events, lambda part: _over_http(stack, part))


def _over_http(stack: Stack, events: Sequence[Event]) -> list[Answered | None]:
    credential = credentials(stack)
    whole = load(stack.site, [_request(event, credential(event.source)(event.body)) for event in events], CONNECTIONS)
    replies = [whole.replies[number] for number in range(len(events))]
    return [(reply.status, reply.body) if reply.status else None for reply in replies]


def _request(event: Event, headers: dict[str, str]) -> bytes:
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(event.body)), **headers}
    lines = [f"POST /webhooks/{event.source} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + event.body


def send_to_two(stack: Stack, events: Sequence[Event]) -> list[Answered]:
    """One event to the first process, the next to the second."""
    processes, credential = TwoProcesses(stack).start(), credentials(stack)

    def post(numbered: tuple[int, Event]) -> Answered | None:
        number, event = numbered
        params = fastcgi.post_params(f"/{event.source}", event.body, credential(event.source)(event.body))
        answer = fastcgi.request(processes.sockets[number % 2], params, event.body)
        return (answer.status, answer.body) if answer else None

    try:
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            return _until_answered(events, lambda part: list(threads.map(post, enumerate(part))))
    finally:
        processes.stop()


def _until_answered(events: Sequence[Event], send_part: SendPart) -> list[Answered]:
    """Sent again what was refused for the moment."""
    answers: list[Answered] = []
    for at in range(0, len(events), PART):
        part = events[at : at + PART]
        found = send_part(part)
        for _ in range(TRIES):
            again = [number for number, answer in enumerate(found) if answer is None or answer[0] in (502, 503)]
            if not again:
                break
            print(f"{len(again)} deliveries are sent again: the counts of resends will differ", file=sys.stderr)
            for number, answer in zip(again, send_part([part[number] for number in again])):
                found[number] = answer
        answers += found
    spooled = sum(answer[0] == 200 and json.loads(answer[1]).get("outcome") == "spooled" for answer in answers)
    if spooled:
        print(f"{spooled} deliveries were spooled: the counts of resends may differ", file=sys.stderr)
    return answers

