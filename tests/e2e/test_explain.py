"""?explain=1: for every fact the webhook that set it, and the ones that lost against it, and why."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest

import waybill_client as wb
from conftest import Stacks
from convergence_fixtures import connected, database, processes  # noqa: F401 (fixtures)
from convergence_state import Database
from storms import all_events, with_resends
from two_processes import TwoProcesses
from waybill_stack import Stack

SEED = int(os.environ.get("WAYBILL_TEST_SEED", "20240501"))
# What a document shows of the register of the same name.
SAME = {
    None: ("order_number", "external_reference", "send_date", "courier_id", "destination"),
    "box": (
        "delivered_at", "shipped_at", "tracking_number", "carrier", "tracking_url", "estimated_delivery_date", "estimated_delivery_at", "pickup_point",
        "was_delayed", "had_failed_attempt", "signed_by", "proof_of_delivery"),
}
# Of which no webhook speaks, or only by leaving something out.
SET_BESIDE = {"tracking_url_template", "removed"}

Fact = dict[str, Any]


def explain(client: wb.StatusClient, source: str, order: str, **query: object) -> wb.Json:
    return client.order(source, order, explain=1, **query)


def facts_of(document: wb.Json, box: str | None = None) -> dict[str, Fact]:
    return {fact["fact"]: fact for fact in document["explanation"]["facts"] if fact["box"] == box and fact["fact"] not in ("event", "document")}


def lost(fact: Fact) -> list[tuple[str, str]]:
    """(word or value, why) of each that lost."""
    def shown(value: Any) -> str:
        return value["provider_status"] if isinstance(value, dict) else value

    return [(shown(one["value"]), one["why"]) for one in fact["lost"]]


# ---- every order that the sets of events make ----


def check_explained(document: wb.Json, shown: wb.Json, deliveries: set[str]) -> None:
    explanation = document.pop("explanation")
    assert document == shown
    assert explanation["unread"] == [] and explanation["webhooks"] == len(deliveries)
    named = set()
    for fact in explanation["facts"]:
        where = (shown["source"], shown["id"], fact["box"], fact["fact"])
        assert fact["set_by"] is not None and len(fact["lost"]) == fact["lost_total"], where
        assert "unread" not in [one["why"] for one in fact["lost"]], (where, fact)
        for one in [fact["set_by"], *fact["lost"]]:
            assert one["event_type"] is not None and one["received_at"] is not None, where
            named.add(one["delivery"])
        if fact["rule"] == "latest" and fact["fact"] not in SET_BESIDE:
            assert all(one["at"] <= fact["set_by"]["at"] for one in fact["lost"]), where
    assert named <= deliveries
    check_values(shown, None, shown, explanation["facts"])
    for box in shown["boxes"]:
        check_values(shown, box["id"], box, explanation["facts"])
        events = [fact["value"] for fact in explanation["facts"] if (fact["box"], fact["fact"]) == (box["id"], "event")]
        key = json.dumps
        assert sorted(map(key, events)) == sorted(map(key, box["events"]))


def check_values(shown: wb.Json, box: str | None, part: wb.Json, facts: list[Fact]) -> None:
    mine = {fact["fact"]: fact["value"] for fact in facts if fact["box"] == box}
    for name in SAME["box" if box else None]:
        if name == "tracking_url" and "tracking_url_template" in mine:
            continue
        missing: object = False if name.startswith(("was_", "had_")) else None
        assert mine.get(name, missing) == part[name], (shown["id"], box, name)
    status = mine.get("status" if box else "own_status")
    if status is None:
        assert part["provider_status"] is None
    else:
        assert status["provider_status"] == part["provider_status"]
        if box and "removed" not in mine:
            assert {name: part[name] for name in status} == status
    if "removed" in mine:
        assert (part["status_detail"], part["status_at"]) == ("removed", mine["removed"])


def test_every_order_of_the_sets_is_explained(processes: TwoProcesses, database: Database) -> None:
    """Whatever came when: what is said to stand is what the document shows, and nothing that lost should have won."""
    processes.deliver(with_resends(all_events(), Random(SEED)))
    told: dict[tuple[str, str], set[str]] = {}
    for key, delivery in database.owner.execute("SELECT order_key::text, delivery_id::text FROM waybill_data.deliveries WHERE outcome = 'applied'"):
        told.setdefault(key, set()).add(delivery)
    keys = {(source, live, order): key for source, live, order, key in database.owner.execute(
        "SELECT source, live, order_id, order_key::text FROM waybill_data.orders")}
    reasons: set[str] = set()
    for (source, live, order), shown in database.documents_with_versions().items():
        document = explain(processes.stack.status, source, order, live="true" if live else "false")
        reasons |= {one["why"] for fact in document["explanation"]["facts"] for one in fact["lost"]}
        check_explained(document, shown, told[keys[source, live, order]])
    assert {"older", "unknown", "weak", "not_final", "lower_rank", "repeated", "not_earliest"} <= reasons


# ---- by hand ----


def test_a_late_scan_and_an_unknown_word_lose(stack: Stack) -> None:
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    for word, minutes in (("IN_TRANSIT", 10), ("PICKED_UP", 5), ("TELEPORTED", 90)):
        sender.deliver(wb.status_changed(tracking, word, wb.moment(minutes)))
    event = wb.delivered(tracking, wb.moment(60))
    delivery = sender.deliver(event)
    sender.deliver(wb.status_changed(tracking, "OUT_FOR_DELIVERY", wb.moment(70)))
    document = explain(stack.status, "crossborderly", tracking)
    status = facts_of(document, tracking)["status"]
    assert status["value"]["status"] == "delivered" and status["rule"] == "status"
    set_by = status["set_by"]
    assert (set_by["delivery"], set_by["event_id"], set_by["event_type"], set_by["at"]) == (delivery, event["id"], "parcel.delivered", wb.moment(60))
    assert lost(status) == [("OUT_FOR_DELIVERY", "not_final"), ("IN_TRANSIT", "not_final"), ("PICKED_UP", "not_final"), ("TELEPORTED", "unknown")]
    shipped = facts_of(document, tracking)["shipped_at"]
    assert (shipped["value"], lost(shipped)) == (wb.moment(5), [(wb.moment(10), "not_earliest")])
    assert document["explanation"]["status_rule"] == 4


# Two words of a box at minutes: which one stands, and why the other lost.
DUELS = {
    "older": (("scanned", 1), ("depot", 2), "depot", "older"),
    "weak": (("waiting", 1), ("possible delay", 2), "waiting", "weak"),
    "unknown": (("waiting", 1), ("lunch break", 2), "waiting", "unknown"),
    "final": (("returned", 1), ("scanned", 2), "returned", "not_final"),
    "rank": (("waiting", 1), ("last mile", 1), "last mile", "lower_rank"),
    "word": (("depot", 1), ("scanned", 1), "scanned", "word"),
}


@pytest.mark.parametrize("case", DUELS)
def test_duels(stack: Stack, case: str) -> None:
    one, other, winner, why = DUELS[case]
    for first, second in ((one, other), (other, one)):
        order, sender = wb.uid("o"), stack.sender("crowdsender")
        for word, minutes in (first, second):
            sender.deliver(wb.tracking_updated(order, "B1", word, wb.moment(minutes)))
        status = facts_of(explain(stack.status, "crowdsender", order), "B1")["status"]
        assert status["value"]["provider_status"] == winner
        assert [reason for _, reason in lost(status)] == [why]


def test_a_tie_in_all_that_counts(stack: Stack) -> None:
    """The ids of the webhooks decide, whichever came first."""
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    deliveries = sorted(sender.deliver(wb.courier_updated(order, courier)) for courier in ("one", "two"))
    fact = facts_of(explain(stack.status, "crowdsender", order))["courier_id"]
    assert (fact["set_by"]["delivery"], fact["lost"][0]["delivery"], fact["lost"][0]["why"]) == (deliveries[1], deliveries[0], "delivery_id")


def test_a_box_that_the_newest_list_leaves_out(stack: Stack) -> None:
    order, sender = wb.number(), stack.sender("swiftpod")
    sender.deliver(wb.shipment_notify(order, [wb.tracked("P1", "in_transit"), wb.tracked("P2", "in_transit")], wb.moment(1)))
    newest = sender.deliver(wb.shipment_notify(order, [wb.tracked("P1", "in_transit")], wb.moment(2)))
    removed = facts_of(explain(stack.status, "swiftpod", str(order)), "P2")["removed"]
    assert (removed["value"], removed["set_by"]["delivery"], removed["lost"]) == (wb.moment(2), newest, [])


# ---- who sees what ----


def personal_order(stack: Stack) -> str:
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    sender.deliver(wb.destination_updated(order, previous=wb.recipient(city="Ulm")))
    sender.deliver(wb.destination_updated(order, wb.recipient(city="Bonn"), wb.moment(1)))
    sender.deliver(wb.tracking_updated(order, "B1", "generated label", **wb.label(wb.uid("TRK"))))
    return order


def test_the_scope_tracking_sees_nothing_personal(stack: Stack) -> None:
    tracking, order, sender = wb.uid("T"), personal_order(stack), stack.sender("crossborderly")
    sender.deliver(wb.exception(tracking))
    sender.deliver(wb.delivered(tracking, wb.moment(5)))
    for source, name in (("crossborderly", tracking), ("crowdsender", order)):
        answers = [client.get(wb.order_path(source, name), {"explain": 1}) for client in (stack.status, stack.tracking_status)]
        shown = [[word for word in wb.PERSONAL if word.encode() in answer.body] for answer in answers]
        assert shown[0] and not shown[1]
        names = [{fact["fact"] for fact in answer.json()["explanation"]["facts"]} for answer in answers]
        assert names[0] - names[1] <= {"destination", "signed_by", "proof_of_delivery", "label_url", "document"} and names[0] > names[1]


def test_a_source_that_the_client_may_not_see(stack: Stack, stacks: Stacks) -> None:
    order = personal_order(stack)
    assert stacks.extras("lighttpd").narrow.get(wb.order_path("crowdsender", order), {"explain": 1}).status == 404
    assert stack.status.get(wb.order_path("crowdsender", wb.uid()), {"explain": 1}).status == 404


@pytest.mark.parametrize("value", ["0", "true", "", "2", "1 ", "01"])
def test_other_values_are_refused(stack: Stack, value: str) -> None:
    assert stack.status.get(wb.order_path("crowdsender", personal_order(stack)), {"explain": value}).status == 400


def test_it_is_for_one_order(stack: Stack) -> None:
    for path in ("/orders", "/changes"):
        assert stack.status.get(path, {"explain": 1}).status == 400
    assert stack.status.get(wb.order_path("crowdsender", personal_order(stack)), [("explain", 1), ("explain", 1)]).status == 400


# ---- what changes when ----


def test_the_tag_is_also_of_what_lost(stack: Stack) -> None:
    """An event that changes nothing in the document is one more that lost."""
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    path = wb.order_path("crossborderly", tracking)
    sender.deliver(wb.status_changed(tracking, "IN_TRANSIT", wb.moment(5)))

    def tags() -> list[str]:
        queries: list[dict[str, object]] = [{}, {"events": "false"}, {"explain": 1}, {"explain": 1, "events": "false"}]
        return [client.get(path, query).header("ETag") or "" for client in (stack.status, stack.tracking_status) for query in queries]

    before = tags()
    assert len(set(before)) == len(before) and before == tags()
    again = stack.status.get(path, {"explain": 1}, {"If-None-Match": f'"x", W/{before[2]}'})
    assert (again.status, again.body, again.header("ETag")) == (304, b"", before[2])
    head = stack.status.get(path, {"explain": 1}, method="HEAD")
    assert (head.status, head.body, head.header("ETag")) == (200, b"", before[2])
    sender.deliver(wb.status_changed(tracking, "IN_TRANSIT", wb.moment(1)))
    sender.deliver(wb.status_changed(tracking, "IN_TRANSIT", wb.moment(2)))
    after = tags()
    assert [old == new for old, new in zip(before, after)] == [False] * 8
    version = stack.status.order("crossborderly", tracking)["version"]
    # In the document the history says so; this time it is told of twice.
    twin = wb.courier_updated(order := wb.uid("o"), "fast", wb.moment(5))
    stack.sender("crowdsender").deliver(twin)
    path = wb.order_path("crowdsender", order)
    first = tags()
    stack.sender("crowdsender").deliver(wb.crowdsender_event("courierUpdated", order, "fast", wb.moment(5), note="the same again"))
    second = tags()
    assert [old == new for old, new in zip(first, second)] == [True, True, False, False] * 2 and version > 0


def test_a_purged_webhook_is_named(stack: Stack) -> None:
    """What it set is still known to be its; what else it said is not."""
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    sender.deliver(wb.status_changed(tracking, "PICKED_UP", wb.moment(1)))
    newest = sender.deliver(wb.status_changed(tracking, "IN_TRANSIT", wb.moment(5)))
    tag = stack.status.get(wb.order_path("crossborderly", tracking), {"explain": 1}).header("ETag")
    stack.query("WAYBILL_DSN", "DELETE FROM waybill_data.bodies WHERE delivery_id = %s RETURNING 1 AS one", newest)
    answer = stack.status.get(wb.order_path("crossborderly", tracking), {"explain": 1})
    assert answer.header("ETag") != tag
    document = answer.json()
    assert [(one["delivery"], one["why"]) for one in document["explanation"]["unread"]] == [(newest, "purged")]
    status = facts_of(document, tracking)["status"]
    assert status["set_by"]["delivery"] == newest and status["set_by"]["event_type"] == "parcel.status_changed"
    assert lost(status) == [("PICKED_UP", "older")]


def test_more_than_is_read(stack: Stack) -> None:
    """Of very many bytes only the newest; of very many that lost only the closest."""
    order, sender = wb.uid("o"), stack.sender("crowdsender")
    for minutes in range(9):
        sender.deliver(wb.status_updated(order, "REGISTERED", wb.moment(minutes), padding="x" * 1_000_000))
    explanation = explain(stack.status, "crowdsender", order)["explanation"]
    assert {one["why"] for one in explanation["unread"]} == {"too_many"} and len(explanation["unread"]) == 1
    (fact,) = [one for one in explanation["facts"] if one["fact"] == "own_status"]
    assert fact["set_by"]["at"] == wb.moment(8) and fact["lost_total"] == 7
    many = wb.uid("o")
    for minutes in range(104):
        sender.deliver(wb.courier_updated(many, "fast", wb.moment(minutes)))
    fact = facts_of(explain(stack.status, "crowdsender", many))["courier_id"]
    assert (len(fact["lost"]), fact["lost_total"], fact["lost"][0]["at"]) == (100, 103, wb.moment(102))


# ---- on the command line ----


def test_the_command_says_the_same(stack: Stack) -> None:
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    sender.deliver(wb.status_changed(tracking, "IN_TRANSIT", wb.moment(5)))
    event = wb.delivered(tracking, wb.moment(1))
    delivery = sender.deliver(event)
    for name in (f"crossborderly/{tracking}", tracking):
        result = stack.waybill("explain", name, "--json")
        assert result.returncode == 0, result
        assert json.loads(result.stdout) == explain(stack.status, "crossborderly", tracking)
    text = stack.waybill("explain", tracking).stdout
    for line in (
        f"crossborderly/{tracking} is delivered: every box that counts is delivered", f"box {tracking}", "  status  delivered (DELIVERED)",
        f"      set by  {wb.moment(1)}  parcel.delivered  {event['id']}  {delivery}",
        "              in_transit (IN_TRANSIT): does not undo delivered, returning, returned, failed, cancelled",
    ):
        assert line in text.splitlines(), text


def test_the_command_without_an_order(stack: Stack) -> None:
    result = stack.waybill("explain", "nobody/nothing")
    assert (result.returncode, result.stdout) == (1, "") and "nobody/nothing" in result.stderr
    assert stack.waybill("explain").returncode == 2
