"""docs/openapi.json, and what it says every answer is. A validator is made once for each schema."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, RefResolver

if TYPE_CHECKING:  # it calls this module for every answer
    from http_plain import Answer

PATH = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
Json = dict[str, Any]
# Answers of a list are alike: of a long one the first and the last.
ORDERS_LOOKED_AT = 6


@cache
def description() -> Json:
    document: Json = json.loads(PATH.read_text())
    return document


def resolved(value: Json) -> Json:
    """What a reference stands for."""
    if "$ref" not in value:
        return value
    found: Any = description()
    for step in value["$ref"].removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return resolved(found)


def validator(schema: Json) -> Draft202012Validator:
    return _validator(json.dumps(schema, sort_keys=True))


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema), resolver=RefResolver("", description()))


# The mounts of the stacks, wherever they lie. What is below neither is webhook.fcgi's, by another name.
MOUNT = re.compile(r"/(webhooks|status)(?=/|$)")
WEBHOOKS = "/webhooks"


@cache
def _templates() -> list[tuple[re.Pattern[str], Json]]:
    """Those without variables first. The last variable of a status path may hold slashes."""
    found = []
    for template, item in sorted(description()["paths"].items(), key=lambda one: "{" in one[0]):
        pattern = re.escape(template).replace(r"\{id\}", ".+")
        found.append((re.compile(re.sub(r"\\{\w+\\}", "[^/]+", pattern)), item))
    return found


def described_path(target: str) -> str:
    """The path of the description that a request's target has, if any has it."""
    path = urlsplit(target).path
    mount = MOUNT.search(path)
    if mount is None:
        return f"{WEBHOOKS}/{path.rpartition('/')[2]}"
    return path[mount.end() if mount.group() != WEBHOOKS else mount.start() :]


def operation(method: str, path: str) -> Json | None:
    """None: it is not described. Other methods are refused alike."""
    for pattern, item in _templates():
        if pattern.fullmatch(path):
            return item.get(method.lower()) or item.get("get") or item["post"]
    return None


def check_described(method: str, target: str, answer: Answer) -> None:
    """ANSWER is one that the description has for METHOD and TARGET."""
    if not answer.header("X-Request-Id"):
        # The web server's own; the clients of waybill_client want the id.
        assert answer.header("Content-Type") != "application/problem+json", f"no X-Request-Id: {answer}"
        return
    path = described_path(target)
    found = operation(method, path)
    if found is None:
        assert answer.status in (401, 404), f"{path} is not described: {answer}"
        found = {"responses": {str(answer.status): {"$ref": "#/components/responses/WebhookNotFound"}}}
    assert str(answer.status) in found["responses"], f"{method} {target}: {answer.status} is not described"
    response = resolved(found["responses"][str(answer.status)])
    _check_headers(f"{method} {target}", response, answer)
    if "content" in response and method != "HEAD":
        _check_body(f"{method} {target}", response, answer)
    else:
        assert not answer.body, f"{method} {target}: a body is not described: {answer}"


def _check_headers(what: str, response: Json, answer: Answer) -> None:
    for name, header in response.get("headers", {}).items():
        value, header = answer.header(name), resolved(header)
        assert value is not None or not header.get("required"), f"{what}: no {name} in {answer}"
        if value is not None:
            _check(f"{what}: {name}", header["schema"], value)


def _check_body(what: str, response: Json, answer: Answer) -> None:
    kind = answer.header("Content-Type") or ""
    content = response["content"].get(kind) or response["content"].get(kind.partition(";")[0])
    assert content is not None and answer.body, f"{what}: {kind} is not described, or empty: {answer}"
    body = answer.json() if kind.endswith("json") else answer.body.decode()
    if isinstance(body, dict) and len(body.get("orders", ())) > ORDERS_LOOKED_AT:
        body = body | {"orders": body["orders"][: ORDERS_LOOKED_AT // 2] + body["orders"][-ORDERS_LOOKED_AT // 2 :]}
    _check(what, content["schema"], body)


def _check(what: str, schema: Json, value: object) -> None:
    errors = list(validator(schema).iter_errors(value))
    assert not errors, f"{what}: " + "; ".join(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors[:3])
