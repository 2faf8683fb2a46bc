"""openapi.json: served as it is in the tree, true of what the senders send, and known to a linter. That it is true of the answers, every test checks (described.py)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import described
import waybill_client as wb
from http_plain import Answer
from waybill_stack import CHECKOUT, Stack

SAMPLES = sorted((CHECKOUT / "tests" / "samples").glob("*/*.json"))
LINTER = "@redocly/cli@1.34.0"


def test_it_is_served_as_it_is(each_stack: Stack) -> None:
    nobody = wb.StatusClient(each_stack.site, None)
    answer = nobody.get("/openapi.json")
    assert (answer.status, answer.body) == (200, described.PATH.read_bytes())
    tag = answer.header("ETag") or ""
    again = nobody.get("/openapi.json", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status, again.body, again.header("ETag")) == (304, b"", tag)
    head = nobody.get("/openapi.json", method="HEAD")
    assert (head.status, head.body, head.header("ETag")) == (200, b"", tag)
    assert nobody.get("/openapi.json", method="POST").status == 405
    assert nobody.get("/openapi.json/more").status == 404


def test_an_order_of_that_name_is_an_order(each_stack: Stack) -> None:
    event = wb.status_updated("openapi.json", "SHIPPED")
    assert each_stack.sender("crowdsender").post(event).status == 200
    assert each_stack.status.order("crowdsender", "openapi.json")["id"] == "openapi.json"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}_{path.stem}")
def test_a_sample_is_the_example_of_its_webhook(path: Path) -> None:
    webhook = described.description()["webhooks"][f"{path.parent.name} {path.stem}"]
    content = webhook["post"]["requestBody"]["content"]["application/json"]
    sample = json.loads(path.read_text())
    assert content["example"] == sample
    described.validator(content["schema"]).validate(sample)


def test_there_are_no_webhooks_beside_the_samples() -> None:
    assert set(described.description()["webhooks"]) == {f"{path.parent.name} {path.stem}" for path in SAMPLES}


def test_the_form_of_ones_own_is_the_documented_one() -> None:
    schema = json.loads((CHECKOUT / "docs" / "waybill-event.schema.json").read_text())
    schemas = described.description()["components"]["schemas"]

    def renamed(value: object) -> object:
        text = re.sub(r"#/\$defs/([a-z_]+)", lambda found: "#/components/schemas/Sender" + found[1].title().replace("_", ""), json.dumps(value))
        return json.loads(text)

    definitions = schema.pop("$defs")
    assert schemas["SenderEventEnvelope"] == renamed({name: value for name, value in schema.items() if name not in ("$schema", "$id")})
    for name, value in definitions.items():
        assert schemas["Sender" + name.title().replace("_", "")] == renamed(value)


def test_the_words_are_those_of_the_sources() -> None:
    """Statuses, facts and reasons."""
    schemas = described.description()["components"]["schemas"]

    def words(file: str, pattern: str) -> set[str]:
        return set(re.findall(pattern, (CHECKOUT / "src" / file).read_text()))

    assert set(schemas["Status"]["enum"]) == words("domain/status_word.c", r'\[STATUS_\w+\] = \{SLICE\("(\w+)"\)')
    assert set(schemas["ExplainedFact"]["properties"]["fact"]["enum"]) == words("domain/claim.c", r'\[FACT_\w+\] = \{SLICE\("(\w+)"\)')
    reasons = set(schemas["ClaimThatLost"]["properties"]["why"]["enum"]) | set(schemas["UnreadWebhook"]["properties"]["why"]["enum"])
    assert reasons == words("cli/explain.c", r'\{SLICE\("(\w+)"\), SLICE')


def test_what_is_not_described_is_found() -> None:
    """The check of the answers can fail."""
    headers = {"X-Request-Id": "0" * 32, "Content-Type": "application/json", "Cache-Control": "no-store"}
    described.check_described("GET", "/status/livez", "/status", Answer(200, headers, b'{"status":"ok"}'))
    for answer in (
        Answer(200, headers, b'{"status":"fine"}'), Answer(200, headers, b'{"status":"ok","more":1}'), Answer(201, headers, b'{"status":"ok"}'),
        Answer(200, headers | {"Cache-Control": "public"}, b'{"status":"ok"}'), Answer(200, headers | {"Content-Type": "text/html"}, b"{}"),
    ):
        with pytest.raises(AssertionError):
            described.check_described("GET", "/status/livez", "/status", answer)


def test_a_linter_finds_nothing(tmp_path: Path) -> None:
    npx = shutil.which("npx")
    if not npx:
        pytest.skip("no npm")
    environment = os.environ | {"npm_config_cache": str(CHECKOUT / "build" / "npm"), "REDOCLY_TELEMETRY": "off", "CI": "1"}
    shutil.copy(CHECKOUT / "tests" / "e2e" / "redocly.yaml", tmp_path)
    shutil.copy(described.PATH, tmp_path)
    try:
        done = subprocess.run(
            [npx, "--yes", LINTER, "lint", "openapi.json"], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=180)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{LINTER} is not there and cannot be fetched in time")
    if "npm error" in done.stderr or "npm ERR!" in done.stderr:
        pytest.skip(f"{LINTER} is not there and cannot be fetched: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stdout + done.stderr
