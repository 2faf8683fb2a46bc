"""The provider `waybill`: its form, as documented and as its reference library sends it, and orders of other sources told by it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import jsonschema
import pytest

import node_modules
import waybill_client as wb
from extra_sources import ExtraSources
from waybill_stack import CHECKOUT, Stack

PAGE = (CHECKOUT / "docs" / "sending.md").read_text()
SCHEMA = json.loads((CHECKOUT / "docs" / "waybill-event.schema.json").read_text())
GOLDEN = CHECKOUT / "tests" / "golden" / "waybill"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


EXAMPLES = [json.loads(text) for text in blocks("json")]

# ---- the schema ----

# Read all the same, for a word of tomorrow is no reason to refuse an event.
TOLERATED = {
    "unknown-status-is-kept", "status-in-other-letters", "document-without-a-link", "live-as-a-digit", "wrong-types-count-as-null"}


def is_valid(document: object) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


def golden(name: str) -> tuple[object, str]:
    reading = json.loads((GOLDEN / name / "expected.json").read_text())["reading"]
    return json.loads((GOLDEN / name / "body.json").read_text()), reading


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_as_the_schema_says(number: int) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(EXAMPLES[number])


def test_there_are_examples_and_samples() -> None:
    samples = sorted((CHECKOUT / "tests" / "samples" / "waybill").glob("*.json"))
    assert len(EXAMPLES) >= 5 and len(samples) == 2
    for sample in samples:
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(sample.read_text()))


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_the_schema_accepts_what_is_understood_and_nothing_else(name: str) -> None:
    document, reading = golden(name)
    if name in TOLERATED:
        assert not is_valid(document)
    else:
        assert is_valid(document) == (reading in ("applied", "ignored")), (name, reading)


# ---- the reference library ----


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documented program stands beside the npm package that it needs."""
    modules, why = node_modules.install()
    if modules is None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("own-sender")
    (program,) = blocks("js")
    (folder / "tell.mjs").write_text(program)
    shutil.copy(node_modules.SOURCE / "own_sender.mjs", folder)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    return folder


def send(library: Path, stack: Stack, lines: list[tuple[str, wb.Json]]) -> list[wb.Json]:
    """(secret, event) each, posted by Node; the answers."""
    text = "".join(json.dumps({"secret": secret, "event": event}) + "\n" for secret, event in lines)
    url = f"{stack.env['WAYBILL_URL']}/webhooks/waybill"
    result = subprocess.run(["node", "own_sender.mjs", url], cwd=library, input=text, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_reference_library_is_understood(library: Path, each_stack: Stack) -> None:
    """The examples, in the order of the page, and what they lead to."""
    secret = each_stack.env["WAYBILL_SECRET"]
    events = [{"id": wb.uid("evt_"), **one} for one in EXAMPLES]
    answers = send(library, each_stack, [(secret, event) for event in events])
    assert [(one["status"], one["outcome"]) for one in answers] == [
        (200, "ignored" if event["type"] == "ping" else "applied") for event in events]
    again = send(library, each_stack, [(secret, event) for event in events])
    assert {(one["status"], one["outcome"]) for one in again} == {(200, "duplicate")}

    parcel = each_stack.status.order("crossborderly", "CBECUSD123456789")
    assert (parcel["provider"], parcel["order_number"], parcel["external_reference"]) == ("crossborderly", "1001", "cart-77")
    assert [event["provider_status"] for event in parcel["boxes"][0]["events"]] == ["PICKED_UP"]
    scanned = each_stack.status.order("waybill", "1002")
    assert (scanned["provider"], scanned["status"], scanned["boxes"][0]["provider_status"]) == ("waybill", "out_for_delivery", "With the courier")
    whole = each_stack.status.order("waybill", "1003")
    assert whole["status"] == "partially_delivered" and whole["destination"]["country"] == "EC"
    assert [len(box["events"]) for box in whole["boxes"]] == [3, 0]


def test_another_secret_is_refused(library: Path, stack: Stack) -> None:
    event = {"id": wb.uid("evt_"), **EXAMPLES[0]}
    (answer,) = send(library, stack, [("whsec_" + "AAAA" * 8, event)])
    assert answer["status"] == 401


# ---- orders of other sources ----


def told(order: str, **data: object) -> wb.Json:
    return wb.order_updated(order, **data)


NAMING = "data.source: writes_to does not name this source"
REFUSED: dict[str, tuple[str, Callable[[str], wb.Json], str]] = {
    "a source that is not named": ("waybill", lambda order: told(order, source="swiftpod"), NAMING),
    "a source that there is not": ("waybill", lambda order: told(order, source="nobody"), NAMING),
    "another spelling": ("waybill", lambda order: told(order, source="CrossBorderly"), NAMING),
    "sandbox, where only live is taken": (
        "own", lambda order: told(order, source="live-only", live=False), "data.source: this source takes live traffic only"),
    "live, where only sandbox is taken": (
        "own", lambda order: told(order, source="sandbox-only"), "data.source: this source takes sandbox traffic only"),
    "a source of a wrong type": ("own", lambda order: told(order, source=["linked"]), "data.source: neither a string nor an integer"),
    "a mode that is none": ("own", lambda order: told(order, live="no"), "data.live: neither true nor false"),
}


def sender_of(stack: Stack, extras: ExtraSources, source: str) -> wb.Sender:
    return stack.sender(source) if source == "waybill" else extras.sender(source)


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_may_not_speak_of_is_quarantined(stack: Stack, extras: ExtraSources, case: str) -> None:
    source, make, detail = REFUSED[case]
    order = wb.uid("o")
    answer = sender_of(stack, extras, source).post(make(order))
    assert answer.outcome == (200, "quarantined") and answer.json()["detail"] == detail, answer
    (row,) = stack.report("SELECT source, outcome, detail FROM waybill.deliveries WHERE delivery_id = %s", answer.json()["delivery"])
    assert row == {"source": source, "outcome": "quarantined", "detail": detail}
    for live in ("true", "false"):
        assert [one for page in stack.status.pages(live=live, limit=1000) for one in page if one["id"] == order] == []


@pytest.mark.parametrize("target, live", [("linked", True), ("linked", False), ("live-only", True), ("sandbox-only", False), ("own", True),
                                          ("own-live", True), (None, False)])
def test_what_it_may_speak_of_becomes_that_sources_order(stack: Stack, extras: ExtraSources, target: str | None, live: bool) -> None:
    order = wb.uid("o")
    delivery = extras.sender("own").deliver(told(order, source=target, live=live, order_number="N-" + order, boxes=[wb.parcel("b", "in_transit")]))
    (found,) = stack.status.lookup(source=target or "own", id=order, live=str(live).lower())
    provider = "waybill" if (target or "own").startswith("own") else "crossborderly"
    assert (found["source"], found["provider"], found["live"], found["order_number"]) == (target or "own", provider, live, "N-" + order)
    (row,) = stack.report(
        "SELECT e.source AS order_source, d.source AS told_by, d.live FROM waybill.tracking_events e JOIN waybill.deliveries d USING (delivery_id)"
        " WHERE delivery_id = %s", delivery)
    assert row == {"order_source": target or "own", "told_by": "own", "live": live}


def test_the_mode_of_its_own_url_holds_first(stack: Stack, extras: ExtraSources) -> None:
    sender = extras.sender("own-live")
    assert sender.post(told(wb.uid("o"), source="linked", live=False)).status == 401
    assert sender.post(told(wb.uid("o"), source="linked", live=True)).outcome == (200, "applied")


@pytest.mark.parametrize("link_first", [True, False], ids=["linked before it moves", "linked when it is under way"])
def test_a_parcel_is_linked_to_its_order(stack: Stack, extras: ExtraSources, link_first: bool) -> None:
    """And its link comes from the template of the parcel's source, whoever speaks of it."""
    tracking = wb.uid("T")
    posts = [(extras.sender("own"), told(tracking, source="linked", order_number="N-" + tracking, boxes=[{"id": tracking}])),
             (extras.sender("linked"), wb.status_changed(tracking, "IN_TRANSIT", wb.moment(5)))]
    for sender, event in posts if link_first else reversed(posts):
        sender.deliver(event)
    (found,) = stack.status.lookup(order_number="N-" + tracking)
    assert (found["source"], found["id"], found["status"]) == ("linked", tracking, "in_transit")
    (box,) = found["boxes"]
    assert (box["id"], box["tracking_number"], box["tracking_url"]) == (tracking, tracking, f"https://shop.example/track/{tracking}")


def test_clients_see_it_where_they_see_the_orders_source(stack: Stack, extras: ExtraSources) -> None:
    order = wb.uid("o")
    extras.sender("own").deliver(told(order, source="linked", order_number="N-" + order))
    assert extras.narrow.lookup(order_number="N-" + order) == []
    assert extras.narrow.get(wb.order_path("linked", order)).status == 404


def test_a_document_of_the_status_endpoint_is_an_event(stack: Stack, extras: ExtraSources) -> None:
    """Told to another waybill, or to another source, it gives the same boxes and the same history; told again, nothing more."""
    tracking = wb.uid("T")
    extras.sender("linked").deliver(wb.status_changed(tracking, "PICKED_UP", wb.moment(1)))
    extras.sender("linked").deliver(wb.delivered(tracking, wb.moment(5)))
    original = stack.status.order("linked", tracking)
    for minute in (10, 20):
        copy = {**original, "source": "own"}
        extras.sender("own").deliver({"type": "order.updated", "timestamp": wb.moment(minute), "data": copy})
    copied = stack.status.order("own", tracking)
    same = ("status", "status_at", "delivered_at", "shipped_at", "boxes", "boxes_total", "boxes_delivered")
    assert {key: copied[key] for key in same} == {key: original[key] for key in same}


def test_a_replay_after_a_change_of_the_configuration(stack: Stack) -> None:
    """What was quarantined for want of permission is applied then, and has the identity that it would have had."""
    order = wb.uid("o")
    event = told(order, source="crowdsender", order_number="N-" + order)
    quarantined = stack.sender("waybill").deliver(event, "quarantined")
    assert stack.waybill("replay", quarantined).returncode in (0, 1)
    assert stack.status.lookup(order_number="N-" + order) == []
    text = stack.config.read_text().replace('writes_to = {"crossborderly"}', 'writes_to = {"crossborderly", "crowdsender"}')
    config = stack.another_config("more-rights.conf", text)
    result = stack.waybill("replay", quarantined, WAYBILL_CONFIG=str(config))
    assert result.returncode == 0, result
    (found,) = stack.status.lookup(order_number="N-" + order)
    assert (found["source"], found["provider"], found["id"]) == ("crowdsender", "crowdsender", order)
    assert stack.sender("waybill").post(event).outcome == (200, "quarantined")
    with stack.configured(lambda before: text):
        assert stack.sender("waybill").post(event).outcome == (200, "duplicate")
