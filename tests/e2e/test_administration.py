"""What an administrator does with stored webhooks: list, replay, verify, purge."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator

import psycopg
import pytest

import waybill_client as client
from waybill_stack import CHECKOUT, Row, Stack

Json = client.Json


def run(stack: Stack, *arguments: str, code: int = 0, **environment: str) -> str:
    result = stack.waybill(*arguments, **environment)
    assert result.returncode == code, (arguments, result)
    return result.stdout


def run_json(stack: Stack, *arguments: str, code: int = 0, **environment: str) -> Any:
    return json.loads(run(stack, *arguments, "--json", code=code, **environment))


def owner(stack: Stack, sql: str, *parameters: object) -> list[Row]:
    return stack.query("WAYBILL_DSN", sql, *parameters)


def change(stack: Stack, sql: str, *parameters: object) -> None:
    with psycopg.connect(stack.env["WAYBILL_DSN"], autocommit=True) as connection:
        connection.execute(sql, parameters)


def last_action(stack: Stack) -> Row:
    return stack.audit("SELECT * FROM waybill_audit.actions ORDER BY action_id DESC LIMIT 1")[0]


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


# ---- deliveries ----


@dataclass(frozen=True)
class Listed:
    arguments: list[str]
    found: set[str]


@pytest.fixture(scope="module")
def deliveries(stack: Stack) -> dict[str, str]:
    """Some of each outcome, by a name; received after `begin` and before `end`."""
    parcel, order, event = client.uid("CB"), client.uid("order-"), client.uid("evt_")
    crossborderly, crowdsender = stack.sender("crossborderly"), stack.sender("crowdsender")
    begin = now()
    ids = {
        "one": crossborderly.deliver(client.status_changed(parcel, "IN_TRANSIT", id=event)),
        "other content": crossborderly.deliver(client.status_changed(parcel, "PICKED_UP", id=event)),
        "delivered": crossborderly.deliver(client.delivered(parcel)),
        "quarantined": crossborderly.deliver(client.crossborderly_event("parcel.\x1b[31mred", {"trackingNumber": parcel}), "quarantined"),
        "crowdsender": crowdsender.deliver(client.status_updated(order, "SHIPPED")),
        "ignored": stack.sender("swiftpod").deliver(client.stock_notify(), "ignored"),
    }
    return ids | {"begin": begin, "end": now(), "parcel": parcel, "order": order}


LISTS: dict[str, tuple[list[str], set[str]]] = {
    "all": ([], {"one", "other content", "delivered", "quarantined", "crowdsender", "ignored"}),
    "of a source": (["--source", "crossborderly"], {"one", "other content", "delivered", "quarantined"}),
    "of an outcome": (["--outcome", "quarantined"], {"quarantined"}),
    "of a type": (["--event", "parcel.delivered"], {"delivered"}),
    "of an order": (["--order", "crossborderly/{parcel}"], {"one", "other content", "delivered"}),
    "of a tracking number": (["--order", "{parcel}"], {"one", "other content", "delivered"}),
    "of an order number": (["--order", "CF-{order}"], {"crowdsender"}),
    "conflicting": (["--conflict"], {"one", "other content"}),
    "the newest": (["--limit", "1"], {"ignored"}),
    "together": (["--source", "crossborderly", "--outcome", "applied", "--event", "parcel.status_changed"], {"one", "other content"}),
    "of nobody": (["--source", "nobody"], set()),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list(stack: Stack, deliveries: dict[str, str], name: str) -> None:
    filters, found = LISTS[name]
    arguments = [argument.format(**deliveries) for argument in filters]
    arguments += ["--since", deliveries["begin"], "--until", deliveries["end"]]
    rows = run_json(stack, "deliveries", *arguments)["deliveries"]
    assert {row["delivery"] for row in rows} == {deliveries[one] for one in found}
    assert [row["received_at"] for row in rows] == sorted((row["received_at"] for row in rows), reverse=True)
    lines = run(stack, "deliveries", *arguments).splitlines()
    assert len(lines) == 1 + len(found) and lines[0].startswith("RECEIVED")
    assert all(any(deliveries[one] in line for line in lines) for one in found)


def test_what_a_sender_wrote_does_not_command_the_terminal(stack: Stack, deliveries: dict[str, str]) -> None:
    for arguments in (["--outcome", "quarantined", "--since", "1h"], [deliveries["quarantined"]]):
        shown = run(stack, "deliveries", *arguments)
        assert "parcel.?[31mred" in shown and "\x1b" not in shown


def test_one_delivery(stack: Stack, deliveries: dict[str, str]) -> None:
    stored = stack.delivery(deliveries["one"])
    row = run_json(stack, "deliveries", deliveries["one"])
    assert row["order"] == {"source": "crossborderly", "id": deliveries["parcel"], "order_number": None, "live": True}
    assert (row["outcome"], row["conflict"], row["times_received"], row["purged"]) == ("applied", True, 1, False)
    assert row["body_sha256"] == stored["body_sha256"].hex() and row["headers"] == stored["headers"]
    text = run(stack, "deliveries", deliveries["one"].upper())
    assert re.search(r"^event_type +parcel.status_changed$", text, re.MULTILINE) and "X-CrossBorderly-Signature" in text


def test_the_body_is_byte_for_byte(stack: Stack) -> None:
    body = b'{"livemode" : "caf\\u00e9",\r\n\t"id": 0.10}  \xff'
    answer = stack.sender("crossborderly").post(body)
    assert answer.status == 400
    (stored,) = stack.stored(body)
    result = stack_bytes(stack, "deliveries", str(stored["delivery_id"]), "--body")
    assert result == body


def stack_bytes(stack: Stack, *arguments: str) -> bytes:


    environment = os.environ | {"WAYBILL_DSN": stack.env["WAYBILL_DSN"]}
    return subprocess.run([stack.program("waybill"), *arguments], env=environment, stdin=subprocess.DEVNULL, check=True, capture_output=True,
                          timeout=60, **stack.owner).stdout


WRONG: dict[str, tuple[list[str], int]] = {
    "no UUID": (["deliveries", "123"], 2),
    "no such delivery": (["deliveries", str(uuid.UUID(int=1))], 1),
    "no body of none": (["deliveries", str(uuid.UUID(int=1)), "--body"], 1),
    "no such outcome": (["deliveries", "--outcome", "refused"], 2),
    "no time": (["deliveries", "--since", "yesterday"], 2),
    "no time either": (["deliveries", "--until", "2024-13-01"], 2),
    "no number": (["deliveries", "--limit", "0"], 2),
    "no such order": (["deliveries", "--order", "nobody/nothing"], 1),
    "nothing to replay": (["replay"], 2),
    "two things to replay": (["replay", str(uuid.UUID(int=1)), "--quarantined"], 2),
    "a filter of one": (["replay", str(uuid.UUID(int=1)), "--since", "7d"], 2),
    "none to replay": (["replay", str(uuid.UUID(int=1))], 1),
    "a time that is none": (["replay", "--quarantined", "--since", "7 days"], 2),
    "nothing to purge": (["purge"], 2),
    "two things to purge": (["purge", "--order", "x", "--older-than", "5"], 2),
    "an age that is none": (["purge", "--older-than", "old"], 2),
    "an age beyond all": (["purge", "--older-than", "99999999999999999999"], 2),
    "an order that is none": (["purge", "--order", "nobody/nothing"], 1),
    "verified since never": (["verify", "--since", "never"], 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be(stack: Stack, name: str) -> None:
    arguments, code = WRONG[name]
    result = stack.waybill(*arguments)
    assert (result.returncode, result.stdout) == (code, "") and result.stderr.startswith("waybill: "), result


@pytest.mark.parametrize("arguments", [["deliveries"], ["replay", "--quarantined"], ["purge", "--older-than", "1"], ["verify"]], ids=" ".join)
def test_a_database_that_is_away_is_a_failure(stack: Stack, arguments: list[str]) -> None:
    result = stack.waybill(*arguments, WAYBILL_DSN="host=/nowhere")
    assert (result.returncode, result.stdout) == (1, "") and "/nowhere" in result.stderr


# ---- replay ----


@contextmanager
def other_config(stack: Stack, edit: Callable[[str], str]) -> Iterator[str]:
    """A file beside the responders' one, for the command alone."""
    path = stack.config.with_name("other.conf")
    path.write_text(edit(stack.config.read_text()))
    status = stack.config.stat()
    os.chown(path, status.st_uid, status.st_gid)
    path.chmod(0o600)
    try:
        yield str(path)
    finally:
        path.unlink()


def as_crowdsender(text: str) -> str:
    """The source shipup had the wrong provider."""
    changed = re.sub(r"(source shipup \{\s*provider = )shipup", r"\1crowdsender", text)
    assert changed != text
    return changed


@dataclass
class Mistake:
    """Crowdsender's events, sent to a source that was configured as Shipup's."""

    stack: Stack
    order: str = field(default_factory=lambda: client.uid("order-"))

    def send(self, event: Json | bytes) -> str:
        return self.stack.sender("shipup").deliver(event, "quarantined")

    def outcome(self, delivery_id: str) -> str:
        return self.stack.delivery(delivery_id)["outcome"]

    def document(self) -> Json:
        """As if the source had been right from the beginning, but for its name."""
        document = client.comparable(self.stack.status.order("shipup", self.order))
        return document | {"source": "crowdsender"}

    def reference(self, *events: Json) -> Json:
        for event in events:
            self.stack.sender("crowdsender").deliver(event)
        return client.comparable(self.stack.status.order("crowdsender", self.order))


def story(order: str) -> list[Json]:
    return [
        client.tracking_updated(order, "B1", "generated label", client.moment(1), **client.label("TRK-" + order)),
        client.destination_updated(order, at=client.moment(2)),
        client.tracking_updated(order, "B1", "on route", client.moment(3)),
        client.tracking_updated(order, "B1", "delivered", client.moment(4)),
    ]


def usage_is_right(stack: Stack) -> bool:
    rows = owner(
        stack, "SELECT u.source FROM waybill_data.quarantine_usage u WHERE u.bytes <> (SELECT COALESCE(sum(d.body_bytes), 0)"
        " FROM waybill_data.deliveries d JOIN waybill_data.bodies USING (received_at, delivery_id) WHERE d.source = u.source AND d.outcome = 'quarantined')")
    return rows == []


def test_what_is_understood_now_is_applied(stack: Stack) -> None:
    """In any order, and once; the room that it took is free again."""
    mistake, begin = Mistake(stack), now()
    events = story(mistake.order)
    ids = [mistake.send(event) for event in events]
    again = mistake.send(json.dumps(events[2], indent=1).encode())
    before = {one: stack.delivery(one)["received_at"] for one in ids}
    with other_config(stack, as_crowdsender) as config:
        for one in (ids[3], ids[0]):
            assert run(stack, "replay", one, WAYBILL_CONFIG=config) == f"{one}  applied\nreplayed 1 deliveries, 1 applied\n"
        counts = run_json(stack, "replay", "--quarantined", "--source", "shipup", "--since", begin, WAYBILL_CONFIG=config)
    assert (counts["replayed"], counts["applied"], counts["duplicate"], counts["still_quarantined"]) == (3, 2, 1, 0)
    assert mistake.document() == mistake.reference(*events)
    assert usage_is_right(stack)
    rows = stack.audit("SELECT * FROM waybill_audit.deliveries WHERE source = 'shipup' AND received_at >= %s ORDER BY received_at", begin)
    assert [row["outcome"] for row in rows if row["received_at"] in before.values()] in (["applied"] * 4, ["applied"] * 2 + ["duplicate", "applied"])
    assert sorted(row["outcome"] for row in rows) == ["applied"] * 4 + ["duplicate"]
    assert all(row["detail"] is None and row["live"] is True for row in rows)
    assert [row["delivery_id"] for row in rows if str(row["delivery_id"]) in ids + [again] and row["outcome"] == "applied"] == [], "a new identity"
    # Whatever comes later knows nothing of the detour.
    version = stack.status.order("shipup", mistake.order)["version"]
    run(stack, "rebuild")
    assert stack.status.order("shipup", mistake.order)["version"] == version
    with stack.configured(as_crowdsender):
        for event in events:
            stack.sender("shipup").deliver(event, "duplicate")
    assert stack.status.order("shipup", mistake.order)["version"] == version


def test_a_replay_is_in_the_audit(stack: Stack) -> None:
    mistake = Mistake(stack)
    one = mistake.send(client.status_updated(mistake.order, "SHIPPED"))
    with other_config(stack, as_crowdsender) as config:
        run(stack, "replay", one, WAYBILL_CONFIG=config)
    row = last_action(stack)
    assert (row["command"], row["arguments"], row["done"]) == ("replay", one, True)
    assert row["counts"]["deliveries"] == row["counts"]["applied"] == 1


def test_a_dry_run_changes_nothing(stack: Stack) -> None:
    mistake, begin = Mistake(stack), now()
    ids = [mistake.send(event) for event in story(mistake.order)]
    action = last_action(stack)["action_id"]
    with other_config(stack, as_crowdsender) as config:
        counts = run_json(stack, "replay", "--quarantined", "--dry-run", "--since", begin, WAYBILL_CONFIG=config)
        assert run(stack, "replay", ids[0], "--dry-run", WAYBILL_CONFIG=config).startswith(f"{ids[0]}  applied\nwould replay 1 ")
    assert (counts["dry_run"], counts["replayed"], counts["applied"]) == (True, 4, 4)
    assert {mistake.outcome(one) for one in ids} == {"quarantined"}
    assert last_action(stack)["action_id"] == action
    assert stack.status.get(client.order_path("shipup", mistake.order)).status == 404


def test_what_is_still_not_understood_stays(stack: Stack) -> None:
    delivery = stack.sender("crossborderly").deliver(client.crossborderly_event("parcel.eaten", {}), "quarantined")
    before = stack.delivery(delivery)
    shown = run(stack, "replay", delivery)
    assert shown.startswith(f"{delivery}  still quarantined: ") and before["detail"] in shown
    assert stack.delivery(delivery) == before


def test_a_sources_mode_holds(stack: Stack) -> None:
    """What would have been a 401 does not come in by the back door."""
    mistake = Mistake(stack)
    one = mistake.send(client.status_updated(mistake.order, "SHIPPED"))
    before = stack.delivery(one)

    def sandbox(text: str) -> str:
        return as_crowdsender(text).replace("source shipup {", "source shipup {\n    mode = sandbox")

    with other_config(stack, sandbox) as config:
        assert "not allowed by the source's mode" in run(stack, "replay", one, WAYBILL_CONFIG=config)
        counts = run_json(stack, "replay", "--quarantined", "--since", before["received_at"].isoformat(), WAYBILL_CONFIG=config)
    assert (counts["applied"], counts["wrong_mode"]) == (0, 1)
    assert stack.delivery(one) == before


def test_an_unknown_source_is_left(stack: Stack) -> None:
    mistake = Mistake(stack)
    one = mistake.send(client.status_updated(mistake.order, "SHIPPED"))
    with other_config(stack, lambda text: text.replace("source shipup {", "source shipup2 {")) as config:
        assert run(stack, "replay", one, WAYBILL_CONFIG=config).startswith(f"{one}  source not configured\n")
    assert mistake.outcome(one) == "quarantined"


def test_a_replay_of_an_applied_one_rebuilds_its_order(stack: Stack) -> None:
    parcel = client.uid("CB")
    one = stack.sender("crossborderly").deliver(client.status_changed(parcel, "IN_TRANSIT"))
    assert run(stack, "replay", one).startswith(f"{one}  unchanged\n")
    change(stack, "UPDATE waybill_data.boxes SET location = 'nowhere' WHERE box_id = %s", parcel)
    assert run(stack, "replay", one).startswith(f"{one}  order changed\n")
    assert stack.status.order("crossborderly", parcel)["boxes"][0]["location"] == "Guayaquil, EC"


# ---- verify ----


def verified(stack: Stack, since: str, *arguments: str, code: int, **environment: str) -> tuple[Json, dict[str, str]]:
    result = run_json(stack, "verify", "--since", since, *arguments, code=code, **environment)
    return result, {row["delivery"]: row["result"] for row in result["failed"]}


def test_stored_bodies_are_authenticated_again(stack: Stack) -> None:
    since = now()
    parcel = client.uid("CB")
    ids = [stack.sender("crossborderly").deliver(client.status_changed(parcel, word)) for word in ("PICKED_UP", "IN_TRANSIT", "DELIVERED")]
    signed = stack.sender("swiftpod").deliver(client.order_notify(client.number(), "shipped"))
    stack.sender("crowdsender").deliver(client.status_updated(client.uid("order-"), "SHIPPED"))
    result, failed = verified(stack, since, code=0)
    assert failed == {} and (result["checked"], result["verified"], result["not_signed"]) == (5, 4, 1)
    assert run(stack, "verify", "--since", since) == "checked 5 deliveries, 4 verified, 1 not_signed\n"
    # Three ways to be wrong.
    for one in ids[:2]:
        change(stack, "UPDATE waybill_data.bodies SET body = body || ' ' WHERE delivery_id = %s", one)
    change(stack, "UPDATE waybill_data.deliveries d SET body_sha256 = sha256(b.body) FROM waybill_data.bodies b"
                  " WHERE b.delivery_id = d.delivery_id AND d.delivery_id = %s", ids[1])
    change(stack, "UPDATE waybill_data.bodies SET headers = (headers::jsonb - 'X-CrossBorderly-Signature')::json WHERE delivery_id = %s", ids[2])
    try:
        result, failed = verified(stack, since, code=1)
        assert failed == {ids[0]: "damaged", ids[1]: "mismatch", ids[2]: "no_signature"}
        lines = run(stack, "verify", "--since", since, "--source", "crossborderly", code=1).splitlines()
        assert len(lines) == 4 and {line.split()[0] for line in lines[:3]} == set(ids)
        # And a fourth: the secret is another one.
        secret = re.search(r'secret_file = "([^"]*swiftpod.secret)"', stack.config.read_text())
        assert secret
        with other_config(stack, lambda text: text.replace(f'secret_file = "{secret.group(1)}"', 'secret = "another"')) as config:
            assert verified(stack, since, "--source", "swiftpod", code=1, WAYBILL_CONFIG=config)[1] == {signed: "mismatch"}
            both = f'secret = "another"\n    secret_file = "{secret.group(1)}"'
            with open(config) as file:
                text = file.read()
            with open(config, "w") as file:
                file.write(text.replace('secret = "another"', both))
            assert verified(stack, since, "--source", "swiftpod", code=0, WAYBILL_CONFIG=config)[1] == {}
    finally:
        for table in ("bodies", "deliveries"):
            change(stack, f"DELETE FROM waybill_data.{table} WHERE delivery_id = ANY (%s)", [uuid.UUID(one) for one in ids])


# ---- purge ----

LONG_AGO = timedelta(days=400)
AGE = "365"


def make_old(stack: Stack, *ids: str) -> None:
    for table in ("bodies", "deliveries"):
        change(stack, f"UPDATE waybill_data.{table} SET received_at = received_at - %s WHERE delivery_id = ANY (%s)", LONG_AGO,
               [uuid.UUID(one) for one in ids])


def personal_story(stack: Stack) -> tuple[str, list[Json], list[str]]:
    order = client.uid("order-")
    events = story(order)
    return order, events, [stack.sender("crowdsender").deliver(event) for event in events]


def everything_of(stack: Stack, order: str) -> str:
    """All rows that hold the order, as text."""
    (row,) = owner(
        stack, "SELECT string_agg(t.row, ' ') AS text FROM (SELECT order_key FROM waybill_data.orders WHERE order_id = %s) o, LATERAL ("
        " SELECT to_jsonb(x)::text FROM waybill_data.orders x WHERE x.order_key = o.order_key"
        " UNION ALL SELECT to_jsonb(x)::text FROM waybill_data.boxes x WHERE x.order_key = o.order_key"
        " UNION ALL SELECT to_jsonb(x)::text FROM waybill_data.tracking_events x WHERE x.order_key = o.order_key"
        " UNION ALL SELECT to_jsonb(x)::text FROM waybill_data.order_changes x WHERE x.order_key = o.order_key"
        " UNION ALL SELECT to_jsonb(x)::text FROM waybill_data.documents x WHERE x.order_key = o.order_key"
        " UNION ALL SELECT to_jsonb(x)::text || convert_from(COALESCE(b.body, ''), 'UTF8') FROM waybill_data.deliveries x"
        " LEFT JOIN waybill_data.bodies b USING (received_at, delivery_id) WHERE x.order_key = o.order_key) t (row)", order)
    return row["text"]


def personal_in(text: str) -> list[str]:
    return [value for value in (*client.PERSONAL, "papers.example.test") if value in text]


def tracking_view(stack: Stack, source: str, order: str) -> Json:
    return client.comparable(stack.tracking_status.order(source, order))


def reports(stack: Stack, order: str) -> list[Row]:
    orders = stack.report("SELECT to_jsonb(o) - 'version' - 'updated_at' AS row FROM waybill.orders o WHERE order_id = %s", order)
    events = stack.report("SELECT to_jsonb(e) AS row FROM waybill.tracking_events e WHERE order_id = %s ORDER BY occurred_at", order)
    return orders + events


def test_old_bodies_and_personal_data_go_and_the_rest_stays(stack: Stack) -> None:
    order, events, ids = personal_story(stack)
    still_young, _, young = personal_story(stack)
    make_old(stack, *ids, *young[:1])
    before = (tracking_view(stack, "crowdsender", order), reports(stack, order), stack.status.order("crowdsender", order))
    assert personal_in(everything_of(stack, order))
    wanted = run_json(stack, "purge", "--older-than", AGE, "--dry-run")
    assert personal_in(everything_of(stack, order)) and wanted["orders"] >= 1 and wanted["deliveries"] >= 5
    done = run_json(stack, "purge", "--older-than", f"{AGE}d")
    assert done == wanted | {"dry_run": False}
    assert personal_in(everything_of(stack, order)) == []
    assert (tracking_view(stack, "crowdsender", order), reports(stack, order)) == before[:2]
    after = stack.status.order("crowdsender", order)
    assert after["version"] > before[2]["version"], "who has the old document finds out"
    assert after["destination"] == dict.fromkeys(after["destination"]) | {"city": "München", "zip": "80469", "country": "DE"}
    row = last_action(stack)
    assert (row["command"], row["arguments"]) == ("purge", f"--older-than {AGE}d") and row["counts"]["orders"] == done["orders"]
    assert run_json(stack, "purge", "--older-than", AGE)["deliveries"] == 0
    # A webhook came since: the order is in use, but the old bytes are gone.
    assert personal_in(json.dumps(stack.status.order("crowdsender", still_young)))
    assert [stack.delivery(one)["body"] is None for one in young] == [True, False, False, False]
    # An old genuine body sent again is a duplicate for ever, and brings nothing back.
    for event in events:
        stack.sender("crowdsender").deliver(event, "duplicate")
    assert stack.status.order("crowdsender", order) == after
    assert all(stack.delivery(one)["times_received"] == 2 and stack.delivery(one)["headers"] is None for one in ids)
    # A rebuild has nothing to derive it from.
    purged = re.search(r"(\d+) with a purged delivery", run(stack, "rebuild"))
    assert purged and int(purged.group(1)) >= 2
    assert stack.status.order("crowdsender", order) == after
    assert run(stack, "replay", ids[0]).startswith(f"{ids[0]}  purged")
    assert run_json(stack, "deliveries", ids[0])["purged"] is True
    assert stack.waybill("deliveries", ids[0], "--body").returncode == 1


def test_a_late_event_brings_no_old_fact_back(stack: Stack) -> None:
    """The keys of what was purged still stand: only what is newer than that shows."""
    order, events, ids = personal_story(stack)
    run(stack, "purge", "--order", f"crowdsender/{order}")
    stack.sender("crowdsender").deliver(client.destination_updated(order, client.recipient(city="Ulm"), client.moment(1.5)))
    assert stack.status.order("crowdsender", order)["destination"]["name"] is None
    stack.sender("crowdsender").deliver(client.tracking_updated(order, "B1", "returned", client.moment(9)))
    assert stack.status.order("crowdsender", order)["status"] == "returned"
    stack.sender("crowdsender").deliver(client.destination_updated(order, at=client.moment(10)))
    assert stack.status.order("crowdsender", order)["destination"]["name"] is not None


def test_one_order_whatever_its_age(stack: Stack) -> None:
    order, _, ids = personal_story(stack)
    neighbour, _, theirs = personal_story(stack)
    wanted = run_json(stack, "purge", "--order", f"crowdsender/{order}", "--dry-run")
    assert (wanted["deliveries"], wanted["orders"]) == (4, 1)
    assert run(stack, "purge", "--order", f"crowdsender/{order}").startswith("purged 4 bodies, ")
    assert personal_in(everything_of(stack, order)) == [] and personal_in(everything_of(stack, neighbour))
    assert all(stack.delivery(one)["body"] is not None for one in theirs)


def test_every_senders_personal_data_goes(stack: Stack) -> None:
    parcel, tracker_order, pod = client.uid("CB"), client.number(), client.number()
    sent = {
        parcel: ("crossborderly", [client.delivered(parcel), client.exception(parcel)]),
        str(tracker_order): ("shipup", [client.shipup_event("tracker.events.new", client.tracker(tracker_order, "delivered", [client.scan("delivered")]))]),
        str(pod): ("swiftpod", [client.shipment_notify(pod, [client.tracked(client.uid("1Z"), "delivered", {"item": 1})])]),
    }
    for order, (source, events) in sent.items():
        for event in events:
            stack.sender(source).deliver(event)
        before = tracking_view(stack, source, order)
        assert personal_in(everything_of(stack, order))
        run(stack, "purge", "--order", f"{source}/{order}")
        assert personal_in(everything_of(stack, order)) == []
        assert tracking_view(stack, source, order) == before


def audited(stack: Stack, source: str, order: str) -> str:
    """What auditors see of the people of an order, as text."""
    ((key,),) = [row.values() for row in stack.report("SELECT order_key FROM waybill.orders WHERE source = %s AND order_id = %s", source, order)]
    rows = stack.audit(
        "SELECT to_jsonb(r)::text AS row FROM waybill_audit.recipients r WHERE order_key = %(key)s"
        " UNION ALL SELECT to_jsonb(m)::text FROM waybill_audit.messages m WHERE order_key = %(key)s"
        " UNION ALL SELECT to_jsonb(d)::text FROM waybill_audit.documents d JOIN waybill.boxes b USING (box_key) WHERE b.order_key = %(key)s"
        .replace("%(key)s", f"'{key}'"))
    return " ".join(row["row"] for row in rows)


def told_by_two(stack: Stack) -> tuple[str, list[tuple[str, Json]], list[str]]:
    """A parcel of CrossBorderly of which a sender of one's own knows the recipient: its id, the events by source, and the deliveries."""
    parcel = client.uid("CB")
    recipient = {
        "name": "Zenobia Quillfeather", "company": None, "phone": "15550001234", "email": "zenobia.q@example.test", "street": "17 Kobaltweg",
        "details": None, "city": "Cuenca", "zip": "010101", "province": None, "country": "EC",
    }
    box = client.parcel(
        parcel, signed_by="Ignatius Vellichor", proof_of_delivery="https://papers.example.test/proof", items=[{"id": "1", "quantity": 2}],
        documents=[{"kind": "label", "url": "https://papers.example.test/label"}],
        events=[{"occurred_at": client.moment(4), "status": "delivered", "message": "left with neighbour Vellichor"}])
    events = [
        ("crossborderly", client.exception(parcel)), ("crossborderly", client.delivered(parcel, client.moment(3))),
        ("waybill", client.order_updated(parcel, client.moment(5), source="crossborderly", order_number="1001", destination=recipient, boxes=[box])),
    ]
    return parcel, events, [stack.sender(source).deliver(event) for source, event in events]


@pytest.mark.parametrize("arguments", [["--order", "crossborderly/{order}"], ["--older-than", AGE]], ids=["of one order", "old"])
def test_an_order_that_two_sources_told(stack: Stack, arguments: list[str]) -> None:
    """The bodies of both go, and what both said of people."""
    order, events, ids = told_by_two(stack)
    make_old(stack, *ids)
    before = tracking_view(stack, "crossborderly", order), reports(stack, order)
    assert set(personal_in(everything_of(stack, order))) == set(personal_in(" ".join(client.PERSONAL))) and personal_in(audited(stack, "crossborderly", order))
    run(stack, "purge", *(argument.format(order=order) for argument in arguments))
    assert [(stack.delivery(one)["body"], stack.delivery(one)["headers"]) for one in ids] == [(None, None)] * 3
    assert personal_in(everything_of(stack, order)) == personal_in(audited(stack, "crossborderly", order)) == []
    assert personal_in(json.dumps(stack.status.order("crossborderly", order))) == []
    assert (tracking_view(stack, "crossborderly", order), reports(stack, order)) == before
    assert stack.status.order("crossborderly", order)["order_number"] == "1001"
    for source, event in events:
        stack.sender(source).deliver(event, "duplicate")
    run(stack, "rebuild")
    assert personal_in(everything_of(stack, order)) == []


@pytest.mark.parametrize("source, gone", [("crossborderly", [True, True, False]), ("waybill", [False, False, True])])
def test_of_two_sources_one_is_purged(stack: Stack, source: str, gone: list[bool]) -> None:
    """Its bodies go; what rows say goes with the source whose order it is, whoever said it."""
    order, _, ids = told_by_two(stack)
    make_old(stack, *ids)
    run(stack, "purge", "--older-than", AGE, "--source", source)
    assert [stack.delivery(one)["body"] is None for one in ids] == gone
    shown = personal_in(json.dumps(stack.status.order("crossborderly", order)))
    assert (shown == []) == (source == "crossborderly")
    run(stack, "purge", "--order", order)


def test_an_order_that_one_of_two_sources_still_tells(stack: Stack) -> None:
    order, _, ids = told_by_two(stack)
    make_old(stack, *ids[:2])
    run(stack, "purge", "--older-than", AGE)
    assert [stack.delivery(one)["body"] is None for one in ids] == [True, True, False]
    assert stack.status.order("crossborderly", order)["destination"]["name"] == "Zenobia Quillfeather"
    run(stack, "purge", "--order", order)


def test_a_purged_quarantined_body_gives_its_room_back(stack: Stack) -> None:
    body = client.encode(client.crossborderly_event("parcel.eaten", {}))
    one = stack.sender("crossborderly").deliver(body, "quarantined")
    make_old(stack, one)
    run(stack, "purge", "--older-than", AGE, "--source", "crossborderly")
    assert stack.delivery(one)["body"] is None and usage_is_right(stack)
    assert stack.sender("crossborderly").deliver(body, "duplicate") == one
    assert run(stack, "replay", one).startswith(f"{one}  purged\n")


def test_other_sources_are_not_purged(stack: Stack) -> None:
    order, _, ids = personal_story(stack)
    make_old(stack, *ids)
    run(stack, "purge", "--older-than", AGE, "--source", "crossborderly")
    assert all(stack.delivery(one)["body"] is not None for one in ids)
    assert personal_in(everything_of(stack, order))
    run(stack, "purge", "--order", order)


# ---- show ----


def test_an_order_and_its_timeline(stack: Stack) -> None:
    order, _, _ = personal_story(stack)
    for name in (f"crowdsender/{order}", order, f"CF-{order}", f"ref-{order}", f"TRK-{order}"):
        ((one,),) = [run_json(stack, "show", name)["orders"]]
        assert one["order"] == stack.tracking_status.order("crowdsender", order)
    moments = [row["occurred_at"] for row in one["timeline"]]
    assert moments == sorted(moments) and len(moments) == 4
    assert [row["status"] or row["field"] for row in one["timeline"]] == ["pre_transit", "destination", "in_transit", "delivered"]
    ids = {str(row["delivery_id"]) for row in stack.audit("SELECT delivery_id FROM waybill_audit.deliveries d WHERE d.body LIKE %s", f"%{order}%".encode())}
    assert {row["delivery"] for row in one["timeline"]} == ids
    text = run(stack, "show", order)
    assert text.startswith(f"crowdsender/{order}\n") and "delivered" in text and personal_in(text) == []
    lines = text.splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("WHEN"))
    assert len(lines) == head + 5 and "destination: " in lines[head + 2]
    full = run(stack, "show", order, "--full")
    assert "Zenobia Quillfeather" in full
    (one,) = run_json(stack, "show", order, "--full")["orders"]
    assert one["order"] == stack.status.order("crowdsender", order)


def test_orders_of_one_name_are_all_shown(stack: Stack) -> None:
    order = client.uid("order-")
    for live in (True, False):
        stack.sender("crowdsender").deliver(client.status_updated(order, "SHIPPED", live=live))
    shown = run_json(stack, "show", order)["orders"]
    assert [one["order"]["live"] for one in shown] == [True, False]
    assert f"crowdsender/{order}  (sandbox)\n" in run(stack, "show", order)
    result = stack.waybill("purge", "--order", order)
    assert result.returncode == 1 and "several orders" in result.stderr and "in the sandbox" in result.stderr
    key = re.findall(r"\(([0-9a-f-]{36})\)", result.stderr)
    assert run(stack, "purge", "--order", key[1]).startswith("purged 1 bodies")


def test_no_order_of_that_name(stack: Stack) -> None:
    result = stack.waybill("show", "nobody/nothing")
    assert (result.returncode, result.stdout) == (1, "") and "there is no order nobody/nothing" in result.stderr


# ---- sources ----


def test_what_to_enter_at_each_sender(stack: Stack, deliveries: dict[str, str]) -> None:
    answer = run_json(stack, "sources", "--url", "https://shop.example/hooks/")
    sources = {row["source"]: row for row in answer["sources"]}
    assert {"crowdsender", "crossborderly", "shipup", "swiftpod"} <= set(sources)
    one = sources["crossborderly"]
    assert one["url"] == "https://shop.example/hooks/crossborderly" and one["mode"] == "any"
    assert one["events_to_tick"] == ["parcel.status_changed", "parcel.delivered", "parcel.exception", "manifest.submitted"]
    types = {row["event_type"]: row for row in one["seen"]["event_types"]}
    (row,) = stack.report("SELECT count(*), max(received_at) FROM waybill.deliveries WHERE source = 'crossborderly' AND event_type = 'parcel.delivered'")
    assert types["parcel.delivered"]["deliveries"] == row["count"]
    assert types["parcel.delivered"]["last_received_at"][:19] == row["max"].astimezone(timezone.utc).isoformat()[:19]
    text = run(stack, "sources")
    assert "https://YOUR.HOST/webhooks/shipup" in text and "tick     tracker.new tracker.events.new\n" in text and "\x1b" not in text


def test_sources_that_came_or_went(stack: Stack, deliveries: dict[str, str]) -> None:
    def renamed(text: str) -> str:
        return text.replace("source crowdsender {", "source fresh {").replace("source shipup {", 'source shipup {\n    url_token = "%s"' % ("t" * 40))

    with other_config(stack, renamed) as config:
        answer = run_json(stack, "sources", WAYBILL_CONFIG=config)
        text = run(stack, "sources", WAYBILL_CONFIG=config)
    sources = {row["source"]: row for row in answer["sources"]}
    assert sources["fresh"]["seen"] is None and "crowdsender" in {row["source"] for row in answer["not_configured"]}
    assert sources["shipup"]["url"].endswith("/shipup/URL_TOKEN") and "tttt" not in text
    assert "nothing has come yet" in text and "crowdsender\n  not configured any more" in text


def refusals(stack: Stack) -> dict[str, list[tuple[str, int]]]:
    """By source, the latest first."""
    answer = run_json(stack, "sources")
    assert answer["refusals_problem"] is None and answer["refusals_since"] < now()
    rows = {row["source"]: row["refusals"] for row in answer["sources"]} | {"": answer["refusals_of_no_source"]}
    assert all(row["last_at"] >= answer["refusals_since"] for found in rows.values() for row in found)
    return {source: [(row["reason"], row["count"]) for row in found] for source, found in rows.items()}


def test_the_last_refusal_and_its_reason(stack: Stack) -> None:
    event = client.status_changed(client.uid("T"), "IN_TRANSIT")
    sender = stack.sender("crossborderly")
    before = {(source, *row) for source, found in refusals(stack).items() for row in found}
    began = now()[:23]
    for credential in (client.nothing, client.crossborderly_signature("another secret"), client.nothing):
        assert sender.post(event, credential=credential).status == 401
    assert stack.sender(client.uid("nobody-"), client.nothing).post(event).status == 401
    after = refusals(stack)
    assert [reason for reason, _ in after["crossborderly"]][:2] == ["signature_missing", "signature_wrong"]
    assert after[""][0][0] == "unknown_source"
    counts = {(source, reason): count for source, reason, count in before}
    grown = {(source, reason): count - counts.get((source, reason), 0) for source, found in after.items() for reason, count in found}
    assert {one: more for one, more in grown.items() if more} == {
        ("crossborderly", "signature_missing"): 2, ("crossborderly", "signature_wrong"): 1, ("", "unknown_source"): 1}
    text = run(stack, "sources")
    last = re.search(r"^crossborderly\n(?:.*\n){3}  refused  (\S+)Z signature_missing \(\d+ in all\)\n {11}\S+Z signature_wrong ", text, re.MULTILINE)
    assert last and began <= last.group(1) <= now()[:23], text
    assert re.search(r"^\(no source of the configuration\)\n  refused  \S+Z unknown_source ", text, re.MULTILINE), text
    if os.getuid() == 0:
        root = subprocess.run(
            [stack.program("waybill"), "sources"], env=os.environ | {"WAYBILL_CONFIG": str(stack.config), "WAYBILL_DSN": stack.env["WAYBILL_DSN"]},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        assert root.stdout == text, "root sees what the responder's user sees"


def test_refusals_that_are_not_known_are_not_invented(stack: Stack) -> None:
    """Nobody has counted under this configuration; another user has, and keeps it for itself."""
    with other_config(stack, lambda text: text) as config:
        digest = hashlib.sha256(os.path.realpath(config).encode()).hexdigest()[:16]
        other = pwd.getpwnam("daemon")
        counters = Path(f"/dev/shm/waybill-metrics-3-webhook.fcgi-{digest}-{other.pw_uid}")
        for why in ("no webhook.fcgi of this release runs with this configuration", f"only user daemon may read {counters}"):
            if "daemon" in why:
                counters.touch(mode=0)
                if os.getuid() == 0:
                    os.chown(counters, other.pw_uid, other.pw_gid)
            try:
                answer = run_json(stack, "sources", WAYBILL_CONFIG=config)
                text = run(stack, "sources", WAYBILL_CONFIG=config)
            finally:
                counters.unlink(missing_ok=True)
            assert answer["refusals_problem"] == why and answer["refusals_since"] is answer["refusals_of_no_source"] is None
            assert {row["refusals"] for row in answer["sources"]} == {None}
            assert text.endswith(f"\nwhat was refused is not known: {why}\n") and "  refused" not in text


# ---- status ----


def test_the_health_in_one_screen(stack: Stack, deliveries: dict[str, str]) -> None:
    health = run_json(stack, "status")
    assert health["ok"] is True and health["problems"] == []
    (row,) = stack.report("SELECT count(*), count(*) FILTER (WHERE attention <> '{}') AS attention FROM waybill.orders")
    # An order that moved into another one is counted once, as in the view.
    assert health["database"]["orders"] == row["count"] and health["database"]["orders_with_attention"] == row["attention"]
    assert health["database"]["last_day"]["applied"] >= 4 and health["database"]["quarantined"] >= 1
    assert health["spool"]["events"] == 0
    text = run(stack, "status")
    assert "health          ok" in text and len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 100


def test_what_is_wrong_is_named(stack: Stack) -> None:
    away = run_json(stack, "status", code=1, WAYBILL_DSN="host=/nowhere")
    assert away["database"] is None and away["ok"] is False and "/nowhere" in away["problems"][0]
    with other_config(stack, lambda text: text + "colour = red\n") as config:
        result = stack.waybill("status", WAYBILL_CONFIG=config)
    assert result.returncode == 1 and "configuration: " in result.stdout and "orders" in result.stdout
    change(stack, "COMMENT ON SCHEMA waybill_data IS 'x 1'")
    # Other than readyz, it reads the table.
    assert stack.waybill("status").returncode == 0
    last = owner(stack, "SELECT max(number) AS number FROM waybill_data.schema_migrations")[0]["number"]
    change(stack, "COMMENT ON SCHEMA waybill_data IS 'Tables and functions of waybill, schema %s'" % last)
    change(stack, "INSERT INTO waybill_data.schema_migrations (number, name) VALUES (%s, 'of tomorrow')", last + 1)
    try:
        assert "schema: %d, but" % (last + 1) in run(stack, "status", code=1)
    finally:
        change(stack, "DELETE FROM waybill_data.schema_migrations WHERE number = %s", last + 1)


# ---- token ----


def test_a_token_opens_the_door(stack: Stack) -> None:
    lines = run(stack, "token", "support", "--scope", "full", "--sources", "crossborderly, shipup").splitlines()
    token, section = lines[0], "\n".join(lines[2:])
    assert re.fullmatch(r"[0-9a-f]{48}", token) and token not in section
    assert section.startswith("client support {") and 'sources = {"crossborderly", "shipup"}' in section
    with other_config(stack, lambda text: text + section) as config:
        assert stack.waybill("check", WAYBILL_CONFIG=config).returncode == 0
    other = run_json(stack, "token")
    assert other["token"] != token and other["configuration"].startswith("client shop {\n") and "scope = tracking" in other["configuration"]
    assert other["token_sha256"] == hashlib.sha256(other["token"].encode()).hexdigest() and other["token_sha256"] in other["configuration"]


@pytest.mark.parametrize("arguments", [["x y"], ["--scope", "all"], ["--sources", "a b"], ["--sources", ""], ["Shop"]], ids=str)
def test_a_token_for_nobody(stack: Stack, arguments: list[str]) -> None:
    result = stack.waybill("token", *arguments)
    assert (result.returncode, result.stdout) == (2, "")


def test_a_replay_writes_where_the_configuration_lets_it_now(stack: Stack) -> None:
    """An event that names another source's order, before and after its own source may."""
    tracking = client.uid("1Z")
    event = client.order_updated(client.uid("order-"), source="swiftpod", boxes=[client.parcel(tracking, "delivered")])
    order = event["data"]["id"]
    one = stack.sender("waybill").deliver(event, "quarantined")
    assert "still quarantined: data.source" in run(stack, "replay", one)
    with other_config(stack, lambda text: text.replace('writes_to = {"crossborderly"}', 'writes_to = {"crossborderly", "swiftpod"}')) as config:
        assert run(stack, "replay", one, WAYBILL_CONFIG=config).startswith(f"{one}  applied\n")
    assert stack.status.order("swiftpod", order)["provider"] == "swiftpod"
    before = stack.status.order("swiftpod", order)
    run(stack, "rebuild")
    assert stack.status.order("swiftpod", order) == before


def test_the_events_to_tick_are_those_that_lead_to_rows(stack: Stack) -> None:
    """As the golden documents say."""
    for row in run_json(stack, "sources")["sources"]:
        documents = [json.loads(path.read_text()) for path in (CHECKOUT / "tests" / "golden" / row["provider"]).glob("*/expected.json")]
        applied = {document["event_type"] for document in documents if document["reading"] == "applied"}
        assert not row["events_to_tick"] or set(row["events_to_tick"]) == applied, row["source"]
