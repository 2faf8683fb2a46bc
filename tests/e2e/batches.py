"""The functions that webhook.fcgi calls, called by hand: rows are given as JSON objects of their columns."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg

Row = dict[str, Any]


def rows(table: str) -> str:
    """The SQL of an array of rows of TABLE, from a parameter of JSON; null without rows."""
    return f"(SELECT array_agg(jsonb_populate_record(NULL::waybill_data.{table}, r)) FROM jsonb_array_elements(%s) r)"


def delivery(key: UUID, order: UUID | None, outcome: str = "applied", body: bytes = b"body") -> Row:
    return {
        "delivery_id": str(key), "order_key": order and str(order), "received_at": "2024-12-21T00:00:00Z", "body_bytes": len(body), "live": True, "source": "shop",
        "provider": "crossborderly", "event_type": "test", "outcome": outcome, "body_sha256": "\\x00", "headers": {}, "body": "\\x" + body.hex(),
    }


def take(database: psycopg.Cursor, deliveries: list[Row], times: int = 1, quarantine_max: int = 0, boxes: list[tuple[UUID, UUID]] = []) -> tuple[list[str], list[int], list[Any]]:
    """take_deliveries(): the outcomes, the positions, and the parts of the state."""
    sql = f"""SELECT t.outcomes, t.positions, to_jsonb(t.state) FROM waybill_data.take_deliveries(
              {rows("deliveries")}, {rows("bodies")}, %s, %s, '{{}}', %s, %s, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}') t"""
    given = json.dumps(deliveries)
    database.execute(sql, [given, given, [times] * len(deliveries), [quarantine_max] * len(deliveries), [order for order, _ in boxes], [box for _, box in boxes]])
    first, *parts = database.fetchall()
    return first[0], first[1], [part[2] for part in parts]


def write(database: psycopg.Cursor, order: UUID, name: str, version: int, **columns: object) -> None:
    """write_states(): a new order and its entry in the feed."""
    row = {
        "order_key": str(order), "version": version, "updated_at": "2024-12-21T00:00:00Z", "first_seen_at": "2024-12-21T00:00:00Z", "status": "unknown", "boxes_total": 0, "boxes_delivered": 0,
        "writes": 1, "live": True, "source": "shop", "provider": "crossborderly", "order_id": name, "registers": "\\x", **columns,
    }
    entry = {"position": version, "order_key": str(order), "lane": 0, "live": True, "source": "shop"}
    sql = f"""SELECT waybill_data.write_states({rows("orders")}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, {rows("feed")}, '{{}}')"""
    database.execute(sql, [json.dumps([row]), json.dumps([entry])])


def commit_less(database: psycopg.Cursor, name: str) -> None:
    """One event of an order of its own, not committed."""
    order = uuid4()
    outcomes, positions, _ = take(database, [delivery(uuid4(), order)])
    assert outcomes == ["applied"]
    write(database, order, name, positions[0])
