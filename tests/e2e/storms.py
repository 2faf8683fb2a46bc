"""All events of all sets in random order, and who follows along."""

from __future__ import annotations

from random import Random
from threading import Thread
from typing import Callable, Iterator

from event_facts import Event, Json
from event_sets import SETS
from two_processes import Post
from waybill_client import StatusClient


def all_events() -> list[Event]:
    return [event for one in SETS for event in one.events]


def with_resends(events: list[Event], random: Random) -> list[Post]:
    """Shuffled, some of them several times, each to any of the processes."""
    copies = [copy for event in events for copy in (event, *(event.resend(random) for _ in range(random.choice((0, 0, 1, 2)))))]
    random.shuffle(copies)
    return [(random.randrange(2), event) for event in copies]


def in_random_steps(posts: list[Post], random: Random) -> Iterator[list[Post]]:
    """From a few at a time to all that there are."""
    most = random.choice((8, 64, len(posts)))
    while posts:
        size = random.randrange(1, most + 1)
        yield posts[:size]
        posts = posts[size:]


class Background:
    """Does something again and again in a thread of its own, and once more after it is told to stop."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._wanted = True
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            wanted = True
            while wanted:
                wanted = self._wanted
                self._work()
        except BaseException as failure:  # told to whoever stops it
            self._failure = failure

    def stop(self) -> None:
        self._wanted = False
        self._thread.join()
        if self._failure:
            raise self._failure

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Follower:
    """Reads the change feed on from where it began, and remembers all it was told."""

    def __init__(self, status: StatusClient, limit: int = 20) -> None:
        self._status = status
        self._limit = limit
        self.cursor = status.json("/changes", {"after": "latest"})["next_cursor"]
        self.documents: list[Json] = []

    def read_on(self) -> list[Json]:
        """To the feed's end: what is new."""
        news, more = [], True
        while more:
            page = self._status.json("/changes", {"after": self.cursor, "limit": self._limit})
            news += page["orders"]
            self.cursor, more = page["next_cursor"], page["has_more"]
        self.documents += news
        return news

    def newest(self) -> dict[str, Json]:
        """The last that was told of each order. All of it came in the order of the changes, and each order's version was greater each time."""
        versions = [document["version"] for document in self.documents]
        assert versions == sorted(set(versions))
        last: dict[str, Json] = {}
        for document in self.documents:
            name = f"{document['source']} {document['id']}"
            assert name not in last or document["version"] > last[name]["version"], (name, last[name]["version"], document["version"])
            last[name] = document
        # Those that moved are told once more and are in no list.
        return {name: document for name, document in last.items() if document["moved_to"] is None}
