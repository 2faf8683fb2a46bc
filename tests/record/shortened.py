"""The form of a record that is part of the project: a few hundred deliveries in lines short enough to be read in a diff.

What is left out or shortened is in a digest of the whole line, so nothing can change unseen.
"""

from __future__ import annotations

import json
from typing import Any

from event_facts import Json
from record import Record, digest

NOTHING = (None, [], False)


def shortened(record: Record) -> Record:
    return {kind: _shortened(kind, lines) for kind, lines in record.items()}


def _shortened(kind: str, lines: list[str]) -> list[str]:
    if kind == "waybill_audit.deliveries":  # the rows of waybill.deliveries
        return [_line({"rows": len(lines), "digest": digest("\n".join(lines).encode())})]
    if kind in ("documents.tracking", "explanations.tracking"):
        return [_line(_named(json.loads(line)) | {"digest": digest(line.encode())}) for line in lines]
    if kind == "documents.full":
        return [_line(_said(json.loads(line)) | {"digest": digest(line.encode())}) for line in lines]
    if kind == "explanations.full":
        return [_line(_explained(json.loads(line)) | {"digest": digest(line.encode())}) for line in lines]
    if kind == "answers":
        return [_line(_answered(json.loads(line))) for line in lines]
    return [_line(list(json.loads(line).values())) for line in lines]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _named(row: Json) -> Json:
    return {key: row[key] for key in ("source", "live", "id")}


def _said(value: Any) -> Any:
    """Without what says nothing."""
    if isinstance(value, dict):
        return {key: _said(part) for key, part in value.items() if part not in NOTHING}
    return [_said(part) for part in value] if isinstance(value, list) else value


def _explained(row: Json) -> Json:
    explanation = row["explanation"]
    facts = [_fact(fact) for fact in explanation["facts"]]
    return {**_named(row), "rule": explanation["status_rule"], "webhooks": explanation["webhooks"], "facts": facts}


def _answered(row: Json) -> Json:
    answers = [" ".join(str(one[key]) for key in ("status", "outcome", "title", "detail") if one[key] is not None) for one in row["answers"]]
    return row | {"begins": row["begins"][:50], "answers": answers}


def _fact(fact: Json) -> str:
    """box/fact, the delivery that set it, and those that lost and why."""
    lost = "".join(f", {_delivery(one)} {one['why']}" for one in fact["lost"])
    return f"{fact['box'] or ''}/{fact['fact']} {_delivery(fact['set_by'])}{lost}"


def _delivery(one: Json) -> str:
    return str(one["delivery"]).rpartition("/")[2][:6]
