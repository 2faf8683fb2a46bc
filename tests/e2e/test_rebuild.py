"""`waybill rebuild`: what the stored bytes say, derived again while everything else goes on, is what the webhooks had led to."""

from __future__ import annotations

import os
import re
from random import Random
from typing import Callable

import pytest

from convergence_fixtures import TRACKING_URL, connected, database, processes  # noqa: F401 (fixtures)
from convergence_state import Database, State
from event_facts import Json, OrderName
from event_sets_crossborderly import Parcel
from event_sets_crowdsender import CrowdOrder
from event_sets_swiftpod import PodOrder
from storms import Background, Follower, all_events, in_random_steps, with_resends
from two_processes import TwoProcesses
from waybill_client import comparable

SEED = int(os.environ.get("WAYBILL_TEST_SEED", "20240501"))

Documents = dict[OrderName, Json]


@pytest.fixture
def reference(processes: TwoProcesses, database: Database) -> State:
    """What all events lead to; they have just been delivered."""
    processes.deliver([(place % 2, event) for place, event in enumerate(all_events())])
    return database.state()


def rebuild(processes: TwoProcesses, *arguments: str) -> dict[str, int]:
    """Runs it; what it counted."""
    result = processes.stack.waybill("rebuild", *arguments)
    assert result.returncode == 0, result.stderr + result.stdout
    return counts_of(result.stdout)


def counts_of(output: str) -> dict[str, int]:
    names = ("rebuilt", "changed", "unchanged", "purged")
    found = re.search(r"rebuilt (\d+) orders: (\d+) changed, (\d+) unchanged; left as they are: (\d+) with a purged delivery", output)
    assert found, output
    return dict(zip(names, map(int, found.groups())))


# The part of a key that all have (src/domain/registers.h): version_at, number, delivery, change.
FAR_FUTURE = b"\xfe" + 8 * b"\xff" + b"\x01" + b"\x00" + 16 * b"\xff" + b"\x00"


def order_key(database: Database, name: OrderName) -> str:
    (row,) = database.owner.execute("SELECT order_key::text FROM waybill_data.orders WHERE (source, live, order_id) = (%s, %s, %s)", name)
    return row[0]


# ---- nothing to repair ----


def test_a_rebuild_after_a_storm_changes_nothing(processes: TwoProcesses, reference: State, database: Database) -> None:
    before = database.documents_with_versions()
    count = len(before)
    assert rebuild(processes, "--dsn", processes.stack.env["WAYBILL_DSN"]) == {"rebuilt": count, "changed": 0, "unchanged": count, "purged": 0}
    assert database.documents_with_versions() == before
    assert database.state() == reference


def test_a_rebuild_keeps_links_made_from_the_template(processes: TwoProcesses, database: Database) -> None:
    parcel = Parcel("CB LINK/1")
    processes.deliver([(0, parcel.status("1", "10:00", "IN_TRANSIT"))])
    rebuild(processes)
    (box,) = database.documents()[parcel.name]["boxes"]
    assert box["tracking_url"] == TRACKING_URL.replace("{tracking_number}", "CB%20LINK%2F1")


class Reader:
    """Reads all orders again and again: nothing that was there is ever missing, and no version is older than one seen before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before: Documents = {}
        self.reads = 0

    def read(self) -> None:
        documents = self._database.documents_with_versions()
        for name, before in self._before.items():
            assert name in documents, f"{name} is gone"
            check_nothing_lost(before, documents[name])
        self._before = documents
        self.reads += 1


def check_nothing_lost(before: Json, after: Json) -> None:
    assert after["version"] >= before["version"]
    if after["version"] == before["version"]:
        assert after == before
    assert box_ids(before) <= box_ids(after)
    assert len(events_of(before)) <= len(events_of(after))


def box_ids(document: Json) -> set[str]:
    return {box["id"] for box in document["boxes"]}


def events_of(document: Json) -> list[Json]:
    return [event for box in document["boxes"] for event in box["events"]]


@pytest.mark.tsan
def test_rebuilds_run_beside_webhooks_readers_and_each_other(processes: TwoProcesses, reference: State, database: Database) -> None:
    random = Random(SEED)
    database.empty()
    posts = with_resends(all_events(), random)
    early, late = posts[: len(posts) // 3], posts[len(posts) // 3 :]
    processes.deliver(early)
    reader = Reader(database)
    with Background(reader.read), Background(lambda: rebuild_something(processes)), Background(lambda: rebuild_something(processes)):
        processes.deliver_in_steps(in_random_steps(late, random))
    assert reader.reads > 1
    state = database.state()
    assert state == reference, f"WAYBILL_TEST_SEED={SEED}\n" + "\n".join(state.differences(reference))


def rebuild_something(processes: TwoProcesses) -> None:
    counts = rebuild(processes)
    assert (counts["changed"], counts["purged"]) == (0, 0), counts


def test_a_follower_of_the_feed_hears_of_repairs_only(processes: TwoProcesses, reference: State, database: Database) -> None:
    follower = Follower(processes.stack.status)
    rebuild(processes)
    follower.read_on()
    assert follower.documents == []
    DAMAGES["a box too many"](database, order_key(database, BROKEN))
    rebuild(processes)
    follower.read_on()
    assert follower.documents == [database.documents_with_versions()[BROKEN]]


# ---- something to repair ----

BROKEN = CrowdOrder("late-regression").name
BROKEN_POD = PodOrder(301).name

Damage = Callable[[Database, str], None]


def damage(sql: str) -> Damage:
    return lambda database, key: database.owner.execute(sql, {"order": key}) and None


DAMAGES = {
    "status and attention": damage(
        "UPDATE waybill_data.orders SET status = 'failed', attention = '{expired}', boxes_total = 7 WHERE order_key = %(order)s"),
    "order number": damage("UPDATE waybill_data.orders SET order_number = 'wrong' WHERE order_key = %(order)s"),
    "status of a box": damage("UPDATE waybill_data.boxes SET status = 'pending', status_at = NULL WHERE order_key = %(order)s"),
    "a box is gone": damage("DELETE FROM waybill_data.boxes WHERE order_key = %(order)s"),
    "a box too many": damage(
        "INSERT INTO waybill_data.boxes (order_key, box_key, box_id, status, was_delayed, had_failed_attempt, registers)"
        " VALUES (%(order)s, gen_random_uuid(), 'stray', 'unknown', false, false, '')"),
    "history is gone": damage("DELETE FROM waybill_data.tracking_events WHERE order_key = %(order)s"),
    "a document is gone": damage("DELETE FROM waybill_data.documents WHERE order_key = %(order)s"),
    "the order is gone": damage("DELETE FROM waybill_data.orders WHERE order_key = %(order)s"),
}


@pytest.mark.parametrize("break_it", DAMAGES.values(), ids=DAMAGES)
def test_a_rebuild_repairs_a_damaged_order(processes: TwoProcesses, reference: State, database: Database, break_it: Damage) -> None:
    before = database.documents_with_versions()
    break_it(database, order_key(database, BROKEN))
    assert database.documents() != reference.documents
    counts = rebuild(processes)
    assert (counts["rebuilt"], counts["changed"]) == (len(before), 1)
    assert database.state() == reference
    after = database.documents_with_versions()
    assert after[BROKEN]["version"] > before[BROKEN]["version"]
    assert without(after, BROKEN) == without(before, BROKEN)


def without(documents: Documents, name: OrderName) -> Documents:
    return {key: document for key, document in documents.items() if key != name}


def test_a_rebuild_repairs_keys_that_no_document_shows(processes: TwoProcesses, reference: State, database: Database) -> None:
    """A key that is too great would keep later events out for ever."""
    key = order_key(database, BROKEN_POD)
    # The keys of an order of the far future: their times, which come behind the masks, are greater.
    database.owner.execute("UPDATE waybill_data.boxes SET registers = %s WHERE order_key = %s", (b"\x00\x01\x01\x03\x5a\x00" + FAR_FUTURE, key))
    database.owner.execute("UPDATE waybill_data.orders SET registers = %s WHERE order_key = %s", (b"\x40\x01\x01\x02\x00\x00" + FAR_FUTURE, key))
    before = database.documents_with_versions()
    assert rebuild(processes)["changed"] == 0
    assert database.documents_with_versions() == before
    processes.deliver([(0, PodOrder(301).shipment("6", "13:00", "cancelled", None, [("P2", "return_to_sender")]))])
    document = database.documents()[BROKEN_POD]
    assert (document["provider_status"], [box["status"] for box in document["boxes"]]) == ("cancelled", ["delivered", "returning"])


def test_a_history_of_the_order_that_is_gone_comes_back(processes: TwoProcesses, reference: State, database: Database) -> None:
    database.owner.execute("DELETE FROM waybill_data.order_changes")
    rebuild(processes)
    assert database.state() == reference


def test_an_order_with_a_purged_delivery_is_left_alone(processes: TwoProcesses, reference: State, database: Database) -> None:
    key = order_key(database, BROKEN)
    purge = """DELETE FROM waybill_data.bodies
               WHERE delivery_id = (SELECT delivery_id FROM waybill_data.deliveries WHERE order_key = %s ORDER BY delivery_id LIMIT 1)"""
    database.owner.execute(purge, (key,))
    DAMAGES["status and attention"](database, key)
    before = database.documents_with_versions()
    counts = rebuild(processes)
    assert (counts["changed"], counts["unchanged"], counts["purged"]) == (0, len(before) - 1, 1)
    assert database.documents_with_versions() == before


def test_a_purged_delivery_that_comes_again_is_a_duplicate(processes: TwoProcesses, reference: State, database: Database) -> None:
    database.owner.execute("DELETE FROM waybill_data.bodies")
    before = database.documents_with_versions()
    answers = [processes.post((1, event)).outcome for event in all_events()[:20]]
    assert answers == [(200, "duplicate")] * 20
    assert database.documents_with_versions() == before


def test_versions_are_never_used_twice_when_damage_and_repair_alternate(processes: TwoProcesses, database: Database) -> None:
    order = CrowdOrder("repaired")
    seen: dict[int, Json] = {}
    for clock, word in (("10:00", "generated label"), ("11:00", "on route"), ("12:00", "delivered")):
        processes.deliver([(0, order.box("B1", clock, word))])
        remember(database, order.name, seen)
        DAMAGES["a box too many"](database, order_key(database, order.name))
        rebuild(processes)
        remember(database, order.name, seen)
    assert len(seen) == 6


def remember(database: Database, name: OrderName, seen: dict[int, Json]) -> None:
    document = database.documents_with_versions()[name]
    assert document["version"] not in seen and document["version"] > max(seen, default=0)
    seen[document["version"]] = comparable(document)
