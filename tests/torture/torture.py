#!/usr/bin/python3
"""make torture: faults at random moments while signed webhooks come in, and after each the audit: nothing that got a 200 is lost, nothing is doubled.

Environment: TORTURE_FAULTS (how many), TORTURE_SECONDS (no fault begins later), TORTURE_SEED (kinds, moments and events; another each time), TORTURE_KINDS (only those whose
names match), SERVER (the web server that is there first), BUILD and CGIBIN as for the stack. tests/torture/README.md has the rest.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Iterator

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from audit import Audit, Failed, check_the_audit
from http_load import Load
from kinds import KINDS
from machine import CAN_MOUNT, Machine, adopt_orphans, collect
from traffic import FORGED, Item, Traffic
from waybill_stack import Stack

CONNECTIONS = 24
# Between two requests of a connection: what is measured is not speed.
PACE_SECONDS = 0.15
PAUSE_SECONDS = 0.05
# So long the load has been on when the fault comes, and goes on when it is over.
MOMENT_SECONDS = (0.1, 0.8)
# So many faults are survived by the same data, before it makes place.
FAULTS_BETWEEN_EMPTYINGS = 5
# Of what was refused, this share is sent again; the rest must be there or not, but whole.
SENT_AGAIN = 0.5
# Enough for rows of every kind.
AUDIT_EVENTS = 100


def say(text: str) -> None:
    print(text, flush=True)


class Round:
    """One fault: the events sent meanwhile, and what became of them."""

    def __init__(self, machine: Machine, audit: Audit, random: Random) -> None:
        self.machine, self.random = machine, random
        self._audit = audit
        self.items: list[Item] = []
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    @contextmanager
    def load(self, pace: float = PACE_SECONDS) -> Iterator[None]:
        """Meanwhile events come in."""
        traffic = Traffic(self.machine.stack, self.random)
        with Load(self.machine.stack.site, traffic, CONNECTIONS, pace, PAUSE_SECONDS) as load:
            try:
                self.sleep(*MOMENT_SECONDS)
                yield
                self.sleep(*MOMENT_SECONDS)
            finally:
                load.stop()
        traffic.note(load.replies)
        self.items += traffic.items
        self.counts["requests"] += traffic.sent
        self.slowest = max([self.slowest, *(reply.seconds for reply in load.replies.values())])

    def sleep(self, least: float, most: float) -> None:
        time.sleep(self.random.uniform(least, most))

    def settle(self) -> None:
        """Until nothing is on its way any more."""
        self.machine.stack.wait_ready()
        collect()

    def begin_empty(self) -> None:
        self._audit.empty()

    def send_destroyed_again(self, how: str, is_told: bool) -> None:
        """What was in the spool's file when it was damaged (HOW): lost only if the log says so, and if nothing but the spool ever had it."""
        destroyed = self._audit.missing(self.items)
        if destroyed and not (is_told and all(item.only_spooled for item in destroyed)):
            raise Failed(f"{len(destroyed)} events are lost, the spool's file was damaged ({how}), in the log: {is_told}")
        self.counts["requests"] += self.machine_send_again(destroyed)
        self.counts["destroyed"] += len(destroyed)

    def machine_send_again(self, items: list[Item]) -> int:
        return Traffic(self.machine.stack, self.random).send_again(self.machine.stack, items)

    def finish(self) -> None:
        """What senders do, and the audit."""
        self.settle()
        refused = [item for item in self.items if item.kind != FORGED and not item.acknowledged]
        again = [item for item in refused if self.random.random() < SENT_AGAIN]
        self.counts["refused"] += len(refused)
        self.counts["requests"] += self.machine_send_again(again)
        self.settle()
        self._audit.check(self.items)
        self.counts["events"] += len(self.items)
        self.counts["acknowledged"] += sum(item.acknowledged for item in self.items)
        self.counts["spooled"] += sum("spooled" in item.outcomes for item in self.items)
        self.counts["sent again"] += len(again)


def schedule(count: int, pattern: str, random: Random) -> list[str]:
    """Cycles of the kinds whose names match PATTERN, each in an order of its own."""
    once = [name for name, (often, _) in KINDS.items() for _ in range(often) if re.search(pattern, name)]
    if not once:
        sys.exit(f"waybill: torture: TORTURE_KINDS={pattern} matches none of {', '.join(KINDS)}")
    kinds: list[str] = []
    while len(kinds) < count:
        cycle = list(once)
        random.shuffle(cycle)
        kinds += cycle
    return kinds[:count]


class Torture:
    def __init__(self, stack: Stack, reference: Stack, random: Random) -> None:
        self.random = random
        self.machine = Machine(stack, random)
        self.audit = Audit(stack, reference)
        self.faults: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.slowest = 0.0

    def some_events(self) -> list[Item]:
        """Taken without a fault."""
        traffic = Traffic(self.machine.stack, self.random)
        with Load(self.machine.stack.site, [traffic[number] for number in range(AUDIT_EVENTS)], 4) as load:
            pass
        traffic.note(load.replies)
        return traffic.items

    def run(self, faults: list[str], seconds: float) -> None:
        check_the_audit(self.audit, self.machine.stack, self.some_events)
        say("the audit finds what is planted")
        start = time.monotonic()
        for number, name in enumerate(faults, 1):
            if time.monotonic() - start > seconds:
                say(f"{seconds:.0f} s are over")
                break
            self.fault(f"{number:>4}/{len(faults)}", name)

    def fault(self, label: str, name: str) -> None:
        start = time.monotonic()
        if sum(self.faults.values()) % FAULTS_BETWEEN_EMPTYINGS == 0:
            self.audit.empty()
        one = Round(self.machine, self.audit, self.random)
        try:
            KINDS[name][1](one)
            one.finish()
        except BaseException:
            say(f"{label} {name}: FAILED, its figures so far {dict(one.counts)}")
            raise
        self.faults[name] += 1
        self.totals += one.counts
        self.slowest = max(self.slowest, one.slowest)
        counts = one.counts
        say(f"{label} {name:<33} {counts['requests']:>6} requests, {counts['acknowledged']:>5} of {counts['events']:>5} events acknowledged"
            f" ({counts['spooled']:>5} spooled), {counts['refused']:>4} refused, slowest answer {one.slowest:4.1f} s, {time.monotonic() - start:5.1f} s")

    def report(self) -> None:
        totals = self.totals
        say("\nfaults")
        for name, times in self.faults.items():
            say(f"{times:>9}  {name}")
        say(f"{sum(self.faults.values()):>9}  in all")
        say("\nevents")
        for what, number in {
            "requests sent": totals["requests"],
            "different events in them": totals["events"],
            "acknowledged with a 200": totals["acknowledged"],
            "of these by way of the spool": totals["spooled"],
            "refused or cut off at first": totals["refused"],
            "of these sent again": totals["sent again"],
            "destroyed with the spool's file, told in the log, sent again": totals["destroyed"],
            "acknowledged and lost": 0,
            "doubled": 0,
            "in another state than without faults": 0,
        }.items():
            say(f"{number:>9}  {what}")
        say(f"{self.slowest:>9.1f}  seconds: the slowest answer")


def setting(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text or default)
    except ValueError:
        value = 0
    if value <= 0:
        sys.exit(f"waybill: torture: {name}={text} is no number above 0")
    return value


def end_by_signal(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    count, seconds = int(setting("TORTURE_FAULTS", 266)), setting("TORTURE_SECONDS", 3600)
    seed = os.environ.get("TORTURE_SEED") or str(Random().randrange(1 << 32))
    random = Random(seed)
    faults = schedule(count, os.environ.get("TORTURE_KINDS", ""), random)
    say(f"TORTURE_SEED={seed}, {count} faults, {seconds:.0f} s at most")
    if not CAN_MOUNT:
        say("no small disks here (only root can mount them): files may not grow instead")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    adopt_orphans()
    stacks = [Stack(os.environ.get("SERVER") or "lighttpd"), Stack()]
    torture = None
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Stack.up, stacks))
        torture = Torture(stacks[0], stacks[1], random)
        torture.run(faults, seconds)
        torture.machine.stop()
    except BaseException:
        if torture:
            # Its folders go away with it.
            for name in ("webhook", "postgres"):
                say(f"---- the end of {name}.log\n{stacks[0].log_end(name)}")
            torture.machine.stop()
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for stack in stacks:
            stack.remove()
    torture.report()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
