"""What the senders send: signed requests without an end about orders of their own, some of them twice, some strange, some forged; and what became of each."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import waybill_client as wb
from event_facts import Event
from http_load import Load, Reply
from waybill_stack import Stack

GENUINE, STRANGE, FORGED = "genuine", "strange", "forged"
# What an event's delivery becomes; a forged one becomes none.
OUTCOMES = {GENUINE: "applied", STRANGE: "quarantined"}
# From these, the next event is taken at random: so many orders are under way at a time.
STORIES = 16


@dataclass
class Item:
    """One event, however often it was sent."""

    event: Event
    kind: str = GENUINE
    bodies: set[bytes] = field(default_factory=set)
    # Of the answers with 200: the delivery they named, and what they said became of it.
    deliveries: set[str] = field(default_factory=set)
    outcomes: list[str] = field(default_factory=list)
    # So often it was answered with something else, or not at all.
    refusals: int = 0

    @property
    def acknowledged(self) -> bool:
        return bool(self.outcomes)

    @property
    def only_spooled(self) -> bool:
        return set(self.outcomes) == {"spooled"}


def story(number: int, random: Random) -> list[Item]:
    """All events of one order, in random order. The senders take turns."""
    makers = (_crossborderly, _crowdsender, _shipup, _swiftpod)
    items = [Item(Event(source, wb.encode(event))) for source, event in makers[number % len(makers)](random)]
    random.shuffle(items)
    return items


def _crossborderly(random: Random) -> Iterable[tuple[str, wb.Json]]:
    tracking = wb.uid("T")
    yield "crossborderly", wb.status_changed(tracking, "IN_TRANSIT", wb.moment(1))
    yield "crossborderly", wb.status_changed(tracking, "OUT_FOR_DELIVERY", wb.moment(random.choice((2, 6))), previous="IN_TRANSIT")
    yield "crossborderly", wb.exception(tracking, "DELIVERY_ATTEMPTED", wb.moment(4))
    if random.random() < 0.7:
        yield "crossborderly", wb.delivered(tracking, wb.moment(5))
    if random.random() < 0.3:
        yield "crossborderly", wb.manifest(wb.uid("S"))


def _crowdsender(random: Random) -> Iterable[tuple[str, wb.Json]]:
    order = wb.uid("O")
    yield "crowdsender", wb.status_updated(order, "SHIPPED", wb.moment(1))
    for box in ("1", "2"):
        yield "crowdsender", wb.tracking_updated(order, f"{order}-{box}", "generated label", wb.moment(0), **wb.label(order + box))
        yield "crowdsender", wb.tracking_updated(order, f"{order}-{box}", random.choice(("delivered", "incident")), wb.moment(7))
    yield "crowdsender", wb.destination_updated(order, at=wb.moment(3))
    yield "crowdsender", wb.courier_updated(order, "SEUR", wb.moment(2), previous="MRW")


def _shipup(random: Random) -> Iterable[tuple[str, wb.Json]]:
    order, tracker = wb.number(), wb.number()
    scans = [wb.scan("transit", wb.unix(minutes)) for minutes in range(1, random.randrange(2, 5))]
    for count in range(len(scans) + 1):
        snapshot = wb.tracker(order, "in_transit" if count else "info_received", scans[:count], id=tracker)
        yield "shipup", wb.shipup_event("tracker.events.new" if count else "tracker.new", snapshot, wb.unix(10 + count))


def _swiftpod(random: Random) -> Iterable[tuple[str, wb.Json]]:
    order, one, two = wb.number(), wb.uid("SP"), wb.uid("SP")
    yield "swiftpod", wb.order_notify(order, "in_production", wb.moment(1))
    yield "swiftpod", wb.shipment_notify(order, [wb.tracked(one, "in_transit")], wb.moment(2))
    yield "swiftpod", wb.shipment_notify(order, [wb.tracked(two, "delivered"), wb.tracked(one, "in_transit")], wb.moment(random.choice((1.5, 3))))


def strange_event() -> Item:
    return Item(Event("crossborderly", wb.encode(wb.crossborderly_event("parcel.teleported", {"x": wb.uid()}))), STRANGE)


def forged_event() -> Item:
    return Item(Event("crossborderly", wb.encode(wb.status_changed(wb.uid("FORGED"), "DELIVERED"))), FORGED)


class Post:
    """How events travel to a stack."""

    def __init__(self, stack: Stack) -> None:
        self._senders = {source: stack.sender(source) for source in ("crossborderly", "crowdsender", "shipup", "swiftpod")}
        self._forger = wb.crossborderly_signature("somebody else's")

    def request(self, source: str, body: bytes, forged: bool = False) -> bytes:
        sender = self._senders[source]
        credential = (self._forger if forged else sender.credential)(body)
        fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **credential}
        lines = [f"POST {sender.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Traffic(Sequence[bytes]):
    """The requests of a load, made as they are asked for."""

    def __init__(self, stack: Stack, random: Random) -> None:
        self._post = Post(stack)
        self._random = random
        self._stories: list[list[Item]] = []
        self._told = 0
        self._sent: list[tuple[Item, bytes]] = []
        self.items: list[Item] = []

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]
        assert number == len(self._sent), "a load takes them one after the other"
        item, body = self._next()
        item.bodies.add(body)
        self._sent.append((item, body))
        return self._post.request(item.event.source, body, item.kind == FORGED)

    def _next(self) -> tuple[Item, bytes]:
        chance = self._random.random()
        if chance < 0.1 and self.items:
            item = self._random.choice(self.items)
            # Strange ones are known by their bytes.
            return item, item.event.resend(self._random).body if item.kind == GENUINE else item.event.body
        item = strange_event() if chance < 0.12 else forged_event() if chance < 0.14 else self._next_of_a_story()
        self.items.append(item)
        return item, item.event.body

    def _next_of_a_story(self) -> Item:
        while len(self._stories) < STORIES:
            self._stories.append(story(self._told, self._random))
            self._told += 1
        chosen = self._random.choice(self._stories)
        item = chosen.pop()
        if not chosen:
            self._stories.remove(chosen)
        return item

    @property
    def sent(self) -> int:
        return len(self._sent)

    def note(self, replies: dict[int | None, Reply]) -> None:
        """What became of all that was sent."""
        for number, reply in replies.items():
            assert number is not None
            note(self._sent[number][0], reply)

    def send_again(self, stack: Stack, items: list[Item]) -> int:
        """As senders do with what was refused: all must be taken now. How many requests it were."""
        # Few at a time: a request counts until its answer is written, and the next may be there by then.
        bodies = [self._random.choice(sorted(item.bodies)) for item in items]
        requests = [self._post.request(item.event.source, body) for item, body in zip(items, bodies)]
        with Load(stack.site, requests, 8) as whole:
            pass
        for number, item in enumerate(items):
            reply = whole.replies[number]
            assert reply.status == 200, ("sent again, without any fault", reply)
            note(item, reply)
        return len(items)


# Of waybill for what it cannot promise now, and of web servers for a responder that is gone; None: cut.
UNAVAILABLE = (None, 500, 502, 503, 504)


def note(item: Item, reply: Reply) -> None:
    if reply.status == 200:
        answer = json.loads(reply.body)
        assert item.kind != FORGED, ("a forged event is taken", reply)
        item.deliveries.add(answer["delivery"])
        item.outcomes.append(answer["outcome"])
    elif item.kind == FORGED and reply.status == 401:
        pass
    else:
        assert reply.status in UNAVAILABLE, reply
        item.refusals += 1


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()
