"""The requests that the load generator sends, made beforehand, in files for replay.lua."""

from __future__ import annotations

import http.client
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path

import mix_events
from common import BenchError, build_folder, run
from load import wrk
from stack import Services

KNOWN_PERCENT = 20  # of the events: about a parcel that an earlier event was about
# For a machine that gets faster after its rate was taken.
EVENTS_MARGIN = 2
TRIAL_SECONDS, TRIAL_EVENTS = 2, 400_000
WARM_UP_SECONDS = 1
PEER_WARM_UP_SECONDS = 4  # Node compiles what is hot
# After a checkpoint PostgreSQL logs each page whole when it is first changed. A large database has many pages; by then most are done.
SCALE_WARM_UP_SECONDS = 3
STORED = "S"  # the prefix of stored orders
# By then most events are about orders that are known.
MIX_WARM_UP_EVENTS = 10_000


@dataclass(frozen=True)
class Events:
    """What a writing phase sends, and what comes before it."""

    file: Path
    warm_up: Path
    warm_up_seconds: int = 0
    warm_up_count: int = 0  # where all of the warm-up is to be sent
    repeats: bool = False  # some come twice

    def forget(self) -> None:
        for file in (self.file, self.warm_up):
            for part in file.parent.glob(f"{file.name}-*"):
                part.unlink()


class Workload:
    def __init__(self, services: Services, seconds: int) -> None:
        self.services, self.seconds = services, seconds
        self.threads = min(2, os.cpu_count() or 1)
        self.folder = services.folder / "work"
        self.folder.mkdir(mode=0o755)
        self._rate: int | None = None
        self._events: Events | None = None
        self._mix: Events | None = None

    # ---- events ----

    def sign(self, name: str, events: int, known_percent: int = KNOWN_PERCENT, stored: int = 0) -> Path:
        """CrossBorderly's, each with an id that no other file has."""
        file = self.folder / name
        run([str(build_folder() / "bench" / "sign_events"), self.services.known["SECRET_FILE"], str(file), name, str(self.threads), str(events),
             str(known_percent), str(stored)], 900)
        return file

    @property
    def rate(self) -> int:
        """Events a second that no phase will exceed: a null responder's."""
        if self._rate is None:
            trial = self.sign("P", TRIAL_EVENTS)
            with self.services.running("null"):
                reached = wrk(self.services.ports["NULL_PORT"], "once", trial, 64, self.threads, TRIAL_SECONDS).per_second
            for part in self.folder.glob("P-*"):
                part.unlink()
            self._rate = int(reached) * EVENTS_MARGIN
        return self._rate

    def events(self) -> Events:
        """For phases that begin with an empty database: the same each time."""
        if self._events is None:
            self._events = Events(self.sign("A", self.rate * self.seconds), self.sign("B", self.rate * PEER_WARM_UP_SECONDS), WARM_UP_SECONDS)
        return self._events

    def peer_events(self) -> Events:
        """The same, after a longer warm-up."""
        return replace(self.events(), warm_up_seconds=PEER_WARM_UP_SECONDS)

    def mix(self) -> Events:
        if self._mix is None:
            self._mix = Events(self.folder / "M", self.folder / "N", warm_up_count=MIX_WARM_UP_EVENTS, repeats=True)
            mix_events.write(self._mix.warm_up, self._mix.file, self.threads, self.services.known, MIX_WARM_UP_EVENTS // self.threads,
                             self.rate // EVENTS_MARGIN * self.seconds // self.threads)
        return self._mix

    def scale_events(self, name: str, orders: int) -> Events:
        """For the database that has ORDERS stored; NAME is used once."""
        return Events(self.sign(f"C{name}", self.rate * self.seconds, stored=orders),
                      self.sign(f"D{name}", self.rate * SCALE_WARM_UP_SECONDS, stored=orders), SCALE_WARM_UP_SECONDS)

    def stored_orders(self, orders: int) -> Path:
        """One event each."""
        return self.sign(STORED, orders, known_percent=0)

    # ---- documents ----

    @staticmethod
    def order_path(number: int) -> str:
        return f"/status/orders/crossborderly/CB{STORED}{number:09d}"

    def status_requests(self, name: str, numbers: list[int], tags: dict[int, str] | None = None) -> Path:
        """GET requests for the documents of stored orders; with TAGS conditional ones."""
        file = self.folder / name
        for part in range(self.threads):
            with open(f"{file}-{part}", "w") as out:
                for number in numbers[part::self.threads]:
                    condition = f"If-None-Match: {tags[number]}\r\n" if tags else ""
                    request = (f"GET {self.order_path(number)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               f"Authorization: Bearer {self.services.known['STATUS_TOKEN']}\r\n{condition}\r\n")
                    out.write(f"{len(request):06d}{request}")
        return file

    def spread(self, orders: int, count: int) -> list[int]:
        return random.Random(1).choices(range(orders), k=count)

    def each_once(self, orders: int, count: int) -> list[int]:
        return random.Random(2).sample(range(orders), min(orders, count))


def fetch(services: Services, numbers: list[int]) -> tuple[dict[int, str], bytes]:
    """The ETags of stored orders, and the last document; status.fcgi runs."""
    tags, document = {}, b""
    connection = http.client.HTTPConnection("127.0.0.1", services.ports["PORT"], timeout=10)
    for number in numbers:
        connection.request("GET", Workload.order_path(number), headers={"Authorization": f"Bearer {services.known['STATUS_TOKEN']}"})
        answer = connection.getresponse()
        document = answer.read()
        if answer.status != 200:
            raise BenchError(f"order {number}: status {answer.status}")
        tags[number] = answer.headers["ETag"]
    connection.close()
    return tags, document
