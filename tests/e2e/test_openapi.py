"""openapi.json: served as it is in the tree, true of what the senders send, and known to a linter. That it is true of the answers, every test checks (described.py)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import described
import node_modules
import waybill_client as wb
from http_plain import Answer
from waybill_stack import CHECKOUT, Stack

pytestmark = pytest.mark.once

SAMPLES = sorted((CHECKOUT / "tests" / "samples").glob("*/*.json"))


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
        return set(re.findall(pattern, (CHECKOUT / "src" / file).read_text(), re.MULTILINE))

    assert set(schemas["Status"]["enum"]) == words("domain/status_word.c", r'\[STATUS_\w+\] = \{SLICE\("(\w+)"\)')
    assert set(schemas["ExplainedFact"]["properties"]["fact"]["enum"]) == words("domain/fact.h", r"^    F\(\w+, (\w+),") | words("domain/fact.c", r'OWN_ROW\(\w+, "(\w+)"')
    reasons = set(schemas["ClaimThatLost"]["properties"]["why"]["enum"]) | set(schemas["UnreadWebhook"]["properties"]["why"]["enum"])
    assert reasons == words("cli/explain.c", r'\{SLICE\("(\w+)"\), SLICE')


ID = {"X-Request-Id": "0" * 32}
JSON, PROBLEM = ID | {"Content-Type": "application/json"}, ID | {"Content-Type": "application/problem+json"}
PRIVATE = JSON | {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
DELIVERY = "01234567-89ab-8def-8123-456789abcdef"


def received(**members: object) -> bytes:
    return json.dumps({"received": True, "outcome": "applied", "delivery": DELIVERY} | members).encode()


def problem(status: int, **members: object) -> bytes:
    return json.dumps({"type": "about:blank", "title": "Something", "status": status} | members).encode()


# A request, the answer to it that is described, and some that are not.
DESCRIBED: dict[str, tuple[str, Answer, list[Answer]]] = {
    "livez": ("GET /status/livez", Answer(200, JSON | {"Cache-Control": "no-store"}, b'{"status":"ok"}'), [
        Answer(200, JSON | {"Cache-Control": "no-store"}, b'{"status":"fine"}'),
        Answer(200, JSON | {"Cache-Control": "no-store"}, b'{"status":"ok","more":1}'),
        Answer(200, JSON | {"Cache-Control": "no-store"}, b""),
        Answer(201, JSON | {"Cache-Control": "no-store"}, b'{"status":"ok"}'),
        Answer(200, JSON | {"Cache-Control": "public"}, b'{"status":"ok"}'),
        Answer(200, ID | {"Content-Type": "text/html", "Cache-Control": "no-store"}, b"{}"),
    ]),
    "an event": ("POST /webhooks/some", Answer(200, JSON, received()), [
        Answer(200, JSON, received(more=1)), Answer(200, JSON, received(outcome="kept")), Answer(200, JSON, received(delivery="1")),
        Answer(200, JSON, received(delivery=None)), Answer(200, JSON, received(detail="$.id")), Answer(200, JSON, received(outcome="quarantined")),
        Answer(200, JSON | {"X-Request-Id": "1"}, received()), Answer(204, ID, b""),
    ]),
    "a check of the URL": ("POST /cgi/webhooks/some", Answer(200, JSON, received(outcome="ignored", delivery=None)), [
        Answer(200, JSON, received(outcome="duplicate", delivery=None)),
    ]),
    "refused": ("POST /webhooks/some/token", Answer(401, PROBLEM | {"WWW-Authenticate": 'Basic realm="waybill", Bearer'}, problem(401)), [
        Answer(401, PROBLEM, problem(401)), Answer(401, PROBLEM | {"WWW-Authenticate": "Bearer"}, problem(401)),
        Answer(401, JSON | {"WWW-Authenticate": 'Basic realm="waybill", Bearer'}, problem(401)), Answer(403, PROBLEM, problem(403)),
        Answer(401, PROBLEM | {"WWW-Authenticate": 'Basic realm="waybill", Bearer'}, problem(401, source="some")),
    ]),
    "not POST": ("GET /webhooks/some", Answer(405, PROBLEM | {"Allow": "POST"}, problem(405)), [
        Answer(405, PROBLEM | {"Allow": "GET, HEAD"}, problem(405)), Answer(405, PROBLEM, problem(405)),
    ]),
    "not POST, without a body": ("HEAD /webhooks/some", Answer(405, PROBLEM | {"Allow": "POST"}, b""), [
        Answer(405, PROBLEM | {"Allow": "POST"}, problem(405)),
    ]),
    "not now": ("POST /hooks/some", Answer(503, PROBLEM | {"Retry-After": "5"}, problem(503)), [
        Answer(503, PROBLEM, problem(503)), Answer(503, PROBLEM | {"Retry-After": "soon"}, problem(503)),
    ]),
    "a panel": ("GET /status/console/sources", Answer(200, PRIVATE, b'{"sources":[{"source":"a","newest":"2024-05-01T12:00:00.000Z","last_day":0}]}'), [
        Answer(200, JSON, b'{"sources":[]}'), Answer(200, PRIVATE, b'{"sources":[{"source":"a"}]}'), Answer(200, PRIVATE, b'{"others":[]}'),
    ]),
    "no path": ("GET /status/some", Answer(404, PROBLEM, problem(404)), [
        Answer(200, JSON, b"{}"), Answer(404, JSON, b"{}"), Answer(404, {"Content-Type": "application/problem+json"}, problem(404)),
    ]),
}


@pytest.mark.parametrize("case", DESCRIBED)
def test_what_is_not_described_is_found(case: str) -> None:
    """The check of the answers can fail."""
    request, right, wrong = DESCRIBED[case]
    method, target = request.split()
    described.check_described(method, target, right)
    for answer in wrong:
        with pytest.raises(AssertionError):
            described.check_described(method, target, answer)


def test_the_metrics_are_described() -> None:
    kind = ID | {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
    for target in ("/webhooks/metrics", "/status/metrics"):
        described.check_described("GET", target, Answer(200, kind, b"# HELP waybill_info What.\n# TYPE waybill_info gauge\nwaybill_info 1\n"))
        for answer in (Answer(200, kind, b""), Answer(200, kind, b"up 1\n"), Answer(200, kind | {"Content-Type": "text/plain"}, b"# HELP waybill_")):
            with pytest.raises(AssertionError):
                described.check_described("GET", target, answer)


def test_a_linter_finds_nothing() -> None:
    modules, why = node_modules.install()
    if modules is None:
        pytest.skip(why)
    # Modules are looked for beside the script.
    script = shutil.copy(node_modules.SOURCE / "lint_openapi.mjs", modules)
    command = ["node", script, node_modules.SOURCE / "redocly.yaml", described.PATH]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
