"""A corpus sent to a stack of its own, and the records of it: after the sending, and after a rebuild."""

from __future__ import annotations

import sys
import time
from random import Random
from typing import Iterator, Sequence

import record
import sending
import settings
from event_facts import Event
from waybill_stack import Stack

# one: one process behind the web server. rebuild: and `waybill rebuild` afterwards. two: two processes, in another order.
MODES = ("one", "rebuild", "two")


def records(events: Sequence[Event], mode: str) -> Iterator[tuple[str, record.Record]]:
    """(what was done, its record), one or two of them."""
    stack = Stack().up()
    try:
        yield from records_of(stack, events, mode)
    finally:
        stack.remove()


def records_of(stack: Stack, events: Sequence[Event], mode: str) -> Iterator[tuple[str, record.Record]]:
    """Of a new STACK."""
    stack.write_config(settings.first(stack.config.read_text()))
    stack.restart_responders()
    _note("sending")
    if mode == "two":
        events = Random("two").sample(events, len(events))
        answers = sending.send_to_two(stack, events)
    else:
        answers = sending.send(stack, events)
    stack.wait_ready()
    _note("replaying")
    stack.write_config(settings.mended(stack.config.read_text()))
    stack.restart_responders()
    print(_waybill(stack, "replay", "--quarantined").splitlines()[-1], file=sys.stderr)
    _note("recording")
    yield ("two" if mode == "two" else "one"), record.take(stack, events, answers)
    if mode == "rebuild":
        _note("rebuilding")
        print(_waybill(stack, "rebuild"), file=sys.stderr)
        yield "rebuild", record.take(stack, events, answers)
    _note("done")


def _waybill(stack: Stack, *arguments: str) -> str:
    result = stack.waybill(*arguments)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def _note(what: str) -> None:
    print(f"{time.strftime('%T')} {what}", file=sys.stderr, flush=True)
