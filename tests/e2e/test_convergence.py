"""Any order, any duplication, any interleaving over several connections and processes of one set of webhooks ends in the same rows and documents.

The random parts follow from WAYBILL_TEST_SEED; WAYBILL_TEST_SHUFFLES is how many shuffles there are.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import permutations
from random import Random
from typing import Iterator

import pytest

import event_sets_crossborderly
import event_sets_crowdsender
import event_sets_shipup
import event_sets_swiftpod
from convergence_fixtures import connected, database, processes  # noqa: F401 (fixtures)
from convergence_state import Database, State, check_facts
from event_facts import Event, EventSet, Json, OrderName, unix
from event_sets import SETS
from event_sets_crowdsender import CrowdOrder
from event_sets_shipup import Tracker, scan
from event_sets_swiftpod import PodOrder
from long_stories import long_stories
from storms import Background, Follower, all_events, in_random_steps, with_resends
from tied_stories import story
from two_processes import Post, TwoProcesses
from waybill_client import comparable

pytestmark = pytest.mark.once

SEED = int(os.environ.get("WAYBILL_TEST_SEED", "20240501"))
SHUFFLES = int(os.environ.get("WAYBILL_TEST_SHUFFLES", "60"))


def assert_same(state: State, reference: State, how: str) -> None:
    assert state == reference, how + "\n" + "\n".join(state.differences(reference))


# ---- every permutation of each set ----

# Of the longest sets. The sets have orders of their own, so a permutation of each goes at once: what one set says comes strictly one after the other.
PERMUTATIONS = 120
SMALL = [one for one in SETS if len(one.events) <= 5]


def in_permutation(number: int) -> Iterator[list[Post]]:
    sequences = [permutation_of(one.events, number) for one in SMALL]
    for step in range(max(len(sequence) for sequence in sequences)):
        # Each set's events alternate between the processes, and so do the sets.
        yield [((number + step + place) % 2, sequence[step]) for place, sequence in enumerate(sequences) if step < len(sequence)]


def permutation_of(events: list[Event], number: int) -> tuple[Event, ...]:
    every = list(permutations(events))
    return every[number % len(every)]


def test_every_permutation_of_small_sets(processes: TwoProcesses, database: Database) -> None:
    reference = None
    for number in range(PERMUTATIONS):
        database.empty()
        processes.deliver_in_steps(in_permutation(number))
        state = database.state()
        if reference is None:
            check_facts(state, SMALL)
            reference = state
        assert_same(state, reference, f"permutation {number} of each set")


# ---- shuffles of everything at once ----


def shuffle(processes: TwoProcesses, database: Database, events: list[Event], reference: State, number: int) -> None:
    random = Random(f"{SEED} {number}")
    database.empty()
    deliveries = processes.deliver_in_steps(in_random_steps(with_resends(events, random), random))
    assert_same(database.state(), reference, f"shuffle {number} of WAYBILL_TEST_SEED={SEED}")
    assert database.times_received() == dict(Counter(deliveries))


@pytest.mark.tsan
def test_shuffles_of_all_sets(processes: TwoProcesses, database: Database) -> None:
    deliveries = processes.deliver([(0, event) for event in all_events()])
    reference = database.state()
    check_facts(reference, SETS)
    assert len(set(deliveries)) == len(all_events())
    for number in range(SHUFFLES):
        shuffle(processes, database, all_events(), reference, number)


def test_shuffles_of_long_stories(processes: TwoProcesses, database: Database) -> None:
    events = long_stories(Random(SEED))
    processes.deliver_in_steps([(0, event)] for event in events)
    reference = database.state()
    for number in range(SHUFFLES):
        shuffle(processes, database, events, reference, number)


# Short, but of many orders.
STORIES, STORY_SHUFFLES = 400, max(SHUFFLES // 10, 1)


def test_shuffles_of_random_stories(processes: TwoProcesses, database: Database) -> None:
    random = Random(SEED)
    events = [event for number in range(STORIES) for event in story(number, random)]
    processes.deliver([(0, event) for event in events])
    reference = database.state()
    assert len(reference.documents) == STORIES
    for number in range(STORY_SHUFFLES):
        shuffle(processes, database, events, reference, number)


# ---- two processes, one order ----

ROUNDS = 150


def silent_box(order: CrowdOrder, number: int) -> Event:
    """Says nothing of the order itself, so that writing the order's own facts locks nothing."""
    return order.box(f"B{number}", "10:00", "delivered", number=None, reference=None)


@pytest.mark.parametrize("orders_at_once", [1, 8])
@pytest.mark.parametrize("known", [False, True], ids=["new order", "known order"])
def test_boxes_of_one_order_delivered_by_two_processes_at_the_same_moment(
        processes: TwoProcesses, database: Database, known: bool, orders_at_once: int) -> None:
    """Each transaction must see the other's box when it rolls the order up, or the order stays partially delivered for ever."""
    orders = [CrowdOrder(f"race-{number}") for number in range(ROUNDS // orders_at_once * orders_at_once)]
    if known:
        processes.deliver([(0, order.status("09:00", "SHIPPED")) for order in orders])
    for start in range(0, len(orders), orders_at_once):
        at_once = orders[start : start + orders_at_once]
        processes.deliver([(process, silent_box(order, process)) for order in at_once for process in (0, 1)])
    documents = database.documents()
    assert len(documents) == len(orders)
    assert {(one["status"], one["boxes_total"], one["boxes_delivered"]) for one in documents.values()} == {("delivered", 2, 2)}


def test_a_box_first_heard_of_later_makes_a_delivered_order_partially_delivered(processes: TwoProcesses, database: Database) -> None:
    order = CrowdOrder("later-box")
    seen = []
    for process, event in ((0, order.box("B1", "12:00", "delivered")), (1, order.box("B2", "11:00", "scanned")),
                           (0, order.box("B2", "13:00", "delivered"))):
        processes.deliver([(process, event)])
        document = database.documents()[order.name]
        seen.append((document["status"], document["status_at"], document["delivered_at"]))
    assert seen == [
        ("delivered", "2024-05-01T12:00:00.000Z", "2024-05-01T12:00:00.000Z"),
        ("partially_delivered", "2024-05-01T12:00:00.000Z", None),
        ("delivered", "2024-05-01T13:00:00.000Z", "2024-05-01T13:00:00.000Z"),
    ]


# ---- late events ----

# The event that decides the status of the set's only order; after it the others come, in every permutation.
DECIDING = [
    (event_sets_crowdsender.crowd_late_regression(), 2),
    (event_sets_crossborderly.cross_return_after_delivery(), 4),
    (event_sets_shipup.ship_return_after_delivery(), 3),
    (event_sets_swiftpod.pod_removed_and_back(), 4),
]


def standing_status(document: Json) -> Json:
    return {key: document[key] for key in ("status", "status_at", "provider_status")} | {"box": {
        key: document["boxes"][0][key] for key in ("id", "status", "status_at", "provider_status", "status_detail")}}


@pytest.mark.parametrize("event_set, deciding", DECIDING, ids=[one.name for one, _ in DECIDING])
def test_a_late_event_never_regresses_a_status(processes: TwoProcesses, database: Database, event_set: EventSet, deciding: int) -> None:
    ((name, _),) = event_set.orders.items()
    late = [event for place, event in enumerate(event_set.events) if place != deciding]
    for order_of_arrival in permutations(late):
        database.empty()
        processes.deliver([(0, event_set.events[deciding])])
        decided = standing_status(document_of(processes, name))
        for event in order_of_arrival:
            processes.deliver([(1, event)])
            assert standing_status(document_of(processes, name)) == decided, [one.body for one in order_of_arrival]


def document_of(processes: TwoProcesses, name: OrderName) -> Json:
    source, live, order_id = name
    (document,) = processes.stack.status.lookup(source=source, id=order_id, live=str(live).lower())
    return document


# ---- versions ----


@pytest.mark.parametrize("events", [all_events(), long_stories(Random(SEED))], ids=["all sets", "long stories"])
def test_a_version_changes_with_the_document_and_only_then(processes: TwoProcesses, database: Database, events: list[Event]) -> None:
    random = Random(SEED)
    events = random.sample(events, len(events))
    before: dict[OrderName, Json] = {}
    for event in events:
        processes.deliver([(random.randrange(2), event)])
        after = database.documents_with_versions()
        for name, document in after.items():
            check_version(before.get(name), document, event)
        before = after
    processes.deliver([(random.randrange(2), event.resend(random)) for event in events])
    assert database.documents_with_versions() == before, f"duplicates change a document, WAYBILL_TEST_SEED={SEED}"


def check_version(before: Json | None, after: Json, event: Event) -> None:
    if before is None:
        assert after["version"] > 0
    elif comparable(before) == comparable(after):
        assert (before["version"], before["updated_at"]) == (after["version"], after["updated_at"]), (event.body, after)
    else:
        assert after["version"] > before["version"], (event.body, before, after)
        assert after["updated_at"] >= before["updated_at"]


def _hidden_time_of_transit() -> list[Event]:
    """The sender names its own time of shipping."""
    tracker, sender_says = Tracker(7100, 9100), {"shipped_at": unix("08:00")}
    return [
        tracker.snapshot(590, "12:00", "in_transit", [scan(1, "10:00", "transit")], **sender_says),
        tracker.snapshot(591, "11:00", "in_transit", [scan(1, "09:00", "transit")], **sender_says),
    ]


def _hidden_time_of_an_open_status() -> list[Event]:
    """Nothing is delivered yet that it could be later than."""
    tracker = Tracker(7101, 9101)
    return [
        tracker.snapshot(592, "12:00", "exception", [scan(1, "10:00", "transit")]),
        tracker.snapshot(593, "11:00", "exception", [scan(1, "10:30", "transit")]),
    ]


def _hidden_time_of_the_order_status() -> list[Event]:
    """A box decides."""
    order = CrowdOrder("hidden-order-status")
    return [order.status("10:00", "SHIPPED"), order.box("B1", "13:00", "last mile"), order.status("12:00", "SHIPPED")]


def _hidden_status_of_a_removed_box() -> list[Event]:
    """It shows the time of its removal."""
    order, both = PodOrder(312), [("P1", "in_transit"), ("P2", "in_transit")]
    return [
        order.shipment("1", "10:00", "shipped", None, both),
        order.shipment("2", "12:00", "shipped", None, [("P1", "in_transit")]),
        order.shipment("3", "11:00", "shipped", None, both),
    ]


# The last of these events changes no document.
HIDDEN = [_hidden_time_of_transit, _hidden_time_of_an_open_status, _hidden_time_of_the_order_status, _hidden_status_of_a_removed_box]


@pytest.mark.parametrize("events", [make() for make in HIDDEN], ids=[make.__name__.strip("_") for make in HIDDEN])
def test_what_no_document_shows_gives_no_new_version(processes: TwoProcesses, database: Database, events: list[Event]) -> None:
    for event in events[:-1]:
        processes.deliver([(0, event)])
    before = database.documents_with_versions()
    processes.deliver([(1, events[-1])])
    assert database.documents() == {name: comparable(document) for name, document in before.items()}
    assert database.documents_with_versions() == before


def test_a_follower_of_the_feed_sees_each_version_once_and_ends_at_the_newest(processes: TwoProcesses, database: Database) -> None:
    random = Random(SEED)
    follower = Follower(processes.stack.status)
    with Background(follower.read_on):
        processes.deliver_in_steps(in_random_steps(with_resends(all_events(), random), random))
    live = {f"{source} {order_id}": one for (source, is_live, order_id), one in database.documents_with_versions().items() if is_live}
    assert follower.newest() == live
