"""docs/openapi.json, and what it says every answer of the status endpoint is. A validator is made once for each schema."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, RefResolver

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


@cache
def _templates() -> list[tuple[re.Pattern[str], Json]]:
    """The last variable of a path may hold slashes."""
    found = []
    for template, item in description()["paths"].items():
        pattern = re.escape(template).replace(r"\{source\}", "[^/]+").replace(r"\{id\}", ".+").replace(r"\{panel\}", "[^/]+")
        found.append((re.compile(pattern), item))
    return found


def operation(method: str, path: str) -> Json | None:
    """Of a path below the mount; None: it is not described."""
    for pattern, item in _templates():
        if pattern.fullmatch(path):
            # Other methods are refused alike.
            return item.get(method.lower(), item["get"])
    return None


def check_described(method: str, target: str, mount: str, answer: Answer) -> None:
    """ANSWER is one that the description has for METHOD and TARGET."""
    path = urlsplit(target).path.removeprefix(mount)
    found = operation(method, path)
    if found is None:
        assert answer.status in (401, 404), f"{path} is not described: {answer}"
        return
    assert str(answer.status) in found["responses"], f"{method} {target}: {answer.status} is not described"
    response = resolved(found["responses"][str(answer.status)])
    _check_headers(f"{method} {target}", response, answer)
    if answer.body:
        _check_body(f"{method} {target}", response, answer)


def _check_headers(what: str, response: Json, answer: Answer) -> None:
    for name, header in response.get("headers", {}).items():
        value, header = answer.header(name), resolved(header)
        assert value is not None or not header.get("required"), f"{what}: no {name} in {answer}"
        if value is not None:
            _check(f"{what}: {name}", header["schema"], value)


def _check_body(what: str, response: Json, answer: Answer) -> None:
    kind = (answer.header("Content-Type") or "").partition(";")[0]
    assert kind in response.get("content", {}), f"{what}: {kind} is not described: {answer}"
    if not kind.endswith("json"):
        return
    body = answer.json()
    if isinstance(body, dict) and len(body.get("orders", ())) > ORDERS_LOOKED_AT:
        body = body | {"orders": body["orders"][: ORDERS_LOOKED_AT // 2] + body["orders"][-ORDERS_LOOKED_AT // 2 :]}
    _check(what, response["content"][kind]["schema"], body)


def _check(what: str, schema: Json, value: object) -> None:
    errors = list(validator(schema).iter_errors(value))
    assert not errors, f"{what}: " + "; ".join(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors[:3])
