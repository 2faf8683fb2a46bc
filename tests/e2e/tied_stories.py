"""Short random stories of one order each, of few words and few distinct times, so that ties are frequent and unlikely combinations come about: all returned,
all cancelled, all delivered."""

from __future__ import annotations

from random import Random
from typing import Sequence

from event_facts import Event
from event_sets_crowdsender import CrowdOrder
from event_sets_swiftpod import PodOrder

CROWD_BOX_WORDS = (
    "waiting", "generated label", "reprint", "scanned", "on route", "depot", "last mile", "possible delay", "incident", "damaged", "not available",
    "delivery point", "delivered", "returned", "lost", "destroyed", "lunch break",
)
CROWD_ORDER_WORDS = ("REGISTERED", "TO_REVIEW", "PENDING_TO_SHIP", "SHIPPED", "SHIPMENT_FAILED", "COMPLETED", "CANCELED", "TELEPORTED")
POD_BOX_WORDS = (
    "unknown", "pre_transit", "in_transit", "out_for_delivery", "delivered", "available_for_pickup", "return_to_sender", "failure", "cancelled", "error",
)
POD_ORDER_WORDS = ("draft", "new_order", "in_production", "on_hold", "shipped", "cancelled", "in_production_cancelled", "rejected")


def story(number: int, random: Random) -> list[Event]:
    return random.choice((_crowd_story, _pod_story))(number, random)


def _clock(random: Random) -> str:
    return f"10:0{random.randrange(6)}"


def _few(words: Sequence[str], random: Random) -> list[str]:
    return random.sample(words, random.randrange(1, 5))


def _crowd_story(number: int, random: Random) -> list[Event]:
    order = CrowdOrder(f"story-{number}")
    box_words, order_words = _few(CROWD_BOX_WORDS, random), _few(CROWD_ORDER_WORDS, random)
    events = []
    for _ in range(random.randrange(1, 9)):
        clock, box = _clock(random), random.choice(("B1", "B2", "B3", None))
        events.append(order.box(box, clock, random.choice(box_words)) if box else order.status(clock, random.choice(order_words)))
    return events


def _pod_story(number: int, random: Random) -> list[Event]:
    order = PodOrder(f"story-{number}")
    box_words, order_words = _few(POD_BOX_WORDS, random), _few(POD_ORDER_WORDS, random)
    events = []
    for name in range(random.randrange(1, 9)):
        clock, box, order_word = _clock(random), random.choice(("P1", "P2", "P3", None)), random.choice(order_words)
        if box:
            events.append(order.shipment(str(name), clock, order_word, (box, random.choice(box_words))))
        else:
            events.append(order.order(str(name), clock, order_word))
    return events
