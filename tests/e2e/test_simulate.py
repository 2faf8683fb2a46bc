"""`waybill simulate`: events as their senders send them, to a running stack."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import waybill_client as wb
from extra_sources import ExtraSources
from waybill_stack import CHECKOUT, Stack, free_port

LIVES = sorted((CHECKOUT / "src" / "cli" / "lives").glob("*.life"))
PROVIDERS = [path.stem for path in LIVES]
# Understood, with nothing for the rows.
IGNORED = {"notification.new", "feedback.new", "stock_notify", "ping"}
ENDS = {"delivered", "partially_delivered", "returned", "returning", "cancelled", "exception"}


def events_of(path: Path) -> set[str]:
    return set(re.findall(r"^\d+ (\S+) \{", path.read_text(), re.MULTILINE))


EVENTS = [(path.stem, event) for path in LIVES for event in sorted(events_of(path))]


def run(stack: Stack, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    result = stack.waybill("simulate", *arguments, **{"WAYBILL_URL": stack.env["WAYBILL_URL"], **environment})
    assert not [secret for secret in wb.SECRETS if secret in result.stdout + result.stderr]
    return result


def simulate(stack: Stack, *arguments: str) -> wb.Json:
    result = run(stack, *arguments, "--json")
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def test_every_provider_has_lives() -> None:
    assert PROVIDERS == sorted(path.name for path in (CHECKOUT / "tests" / "samples").iterdir())
    samples = {(path.parent.name, path.stem) for path in (CHECKOUT / "tests" / "samples").glob("*/*.json")}
    assert samples - set(EVENTS) == {("shipup", "url-check")}


@pytest.mark.parametrize("source", PROVIDERS)
def test_lives_in_their_order(stack: Stack, source: str) -> None:
    """All of them end somewhere, in the sandbox, without a gap; the same seed gives the same events."""
    live_before = stack.report("SELECT count(*) AS count FROM waybill.orders WHERE live")
    before = stack.report("SELECT count(*) AS count FROM waybill.orders WHERE source = %s AND NOT live", source)[0]["count"]
    seed = str(wb.number())
    first = simulate(stack, source, "--lives", "20", "--seed", seed)
    assert first["answers"] == {"applied": first["events"]} and first["sent"] == first["events"] > 40, first
    assert (first["live"], first["source"], first["seed"], first["failed"]) == (False, source, int(seed), 0)
    rows = stack.report("SELECT status, order_id FROM waybill.orders WHERE source = %s AND NOT live ORDER BY version DESC LIMIT 20", source)
    assert {row["status"] for row in rows} <= ENDS and len({row["status"] for row in rows}) > 1
    assert stack.report("SELECT count(*) AS count FROM waybill.orders WHERE source = %s AND NOT live", source)[0]["count"] == before + 20
    orders = [row["order_id"] for row in rows]
    assert stack.report("SELECT * FROM waybill.suspected_gaps WHERE source = %s AND order_id = ANY (%s)", source, orders) == []
    assert stack.report("SELECT count(*) AS count FROM waybill.orders WHERE live") == live_before

    again = simulate(stack, source, "--lives", "20", "--seed", seed, "--shuffle", "--duplicate", "2")
    assert again["events"] == 3 * first["events"] and again["answers"] == {"duplicate": again["events"]}


@pytest.mark.parametrize("source, event", EVENTS)
def test_each_event_alone(stack: Stack, source: str, event: str) -> None:
    known = [row["delivery_id"] for row in stack.report("SELECT delivery_id FROM waybill.deliveries")]
    found = simulate(stack, source, "--event", event, "--live")
    assert found["answers"] == {"ignored" if event in IGNORED else "applied": 1}
    rows = stack.report("SELECT event_type, live FROM waybill.deliveries WHERE delivery_id <> ALL (%s)", known)
    assert rows == [{"event_type": event, "live": True}]


@pytest.mark.parametrize("source", ["base64", "standard", "bearer", "header", "url-token", "several", "rotated", "own", "sandbox-only"])
def test_every_way_to_prove_an_origin(stack: Stack, extras: ExtraSources, source: str) -> None:
    found = simulate(stack, source, "--lives", "2")
    assert found["answers"] == {"applied": found["events"]}
    assert found["url"] == f"{stack.env['WAYBILL_URL']}/webhooks/{source}"


def test_each_is_another_parcel(stack: Stack) -> None:
    found = [simulate(stack, "crossborderly", "--event", "parcel.status_changed", "--lives", "5") for _ in range(2)]
    assert [one["answers"] for one in found] == [{"applied": 5}] * 2 and found[0]["seed"] != found[1]["seed"]


def test_at_a_rate(stack: Stack) -> None:
    found = simulate(stack, "waybill", "--event", "ping", "--lives", "11", "--rate", "20")
    assert found["milliseconds"] >= 10 * 1000 / 20


def test_the_summary_for_people(stack: Stack) -> None:
    result = run(stack, "crowdsender", "--event", "statusUpdated", "--url", f"{stack.env['WAYBILL_URL']}/webhooks/crowdsender/")
    assert result.returncode == 0, result
    assert re.fullmatch(r"sent 1 of 1 sandbox events to http://127\.0\.0\.1:\d+/webhooks/crowdsender in [\d.]+ s; seed \d+\n  applied      1\n",
                        result.stdout)


# What must not be sent by mistake, and what cannot be.
REFUSED: dict[str, tuple[list[str], str]] = {
    "an event without a flag": (["swiftpod", "--event", "stock_notify"], "stock_notify cannot say that it is sandbox traffic"),
    "sandbox to a live source": (["live-only"], "source live-only takes live traffic only"),
    "live to a sandbox source": (["sandbox-only", "--live"], "source sandbox-only takes sandbox traffic only"),
    "an unknown source": (["nobody"], 'there is no source "nobody"'),
    "an unknown event": (["crossborderly", "--event", "parcel.lost"], "crossborderly has no such event; there are: parcel.status_changed, "),
    "no URL": (["crossborderly"], "no URL"),
    "a URL that is none": (["crossborderly", "--url", "ftp://127.0.0.1/"], "must begin with http"),
    "no number": (["crossborderly", "--lives", "many"], "--lives is a number from 1 to"),
    "too many copies": (["crossborderly", "--duplicate", "21"], "--duplicate is a number from 1 to 20"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_sent(stack: Stack, extras: ExtraSources, case: str) -> None:
    arguments, why = REFUSED[case]
    before = stack.report("SELECT count(*) AS count, sum(times_received) AS times FROM waybill.deliveries")
    result = run(stack, *arguments, **({"WAYBILL_URL": ""} if case == "no URL" else {}))
    assert (result.returncode, result.stdout) == (2, "") and why in result.stderr, result
    assert stack.report("SELECT count(*) AS count, sum(times_received) AS times FROM waybill.deliveries") == before


def test_an_answer_that_is_no_2xx_is_a_failure(stack: Stack) -> None:
    """The stack does not take this configuration's secret."""
    text = re.sub(r'secret_file = "[^"]*crossborderly.secret"', 'secret = "another one"', stack.config.read_text())
    config = stack.another_config("other-secret.conf", text)
    result = run(stack, "crossborderly", "--event", "parcel.delivered", "--lives", "3", "--json", WAYBILL_CONFIG=str(config))
    assert result.returncode == 1 and json.loads(result.stdout)["answers"] == {"status 401": 3}, result


def test_nobody_answers(stack: Stack) -> None:
    result = run(stack, "crossborderly", "--lives", "9", "--url", f"http://127.0.0.1:{free_port()}/webhooks", "--json")
    found = json.loads(result.stdout)
    assert result.returncode == 1 and found["answers"] == {"no answer": 5} and found["sent"] == 5 < found["events"], result
    assert "onnect" in result.stderr
