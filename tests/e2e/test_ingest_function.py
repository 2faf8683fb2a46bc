"""waybill_data.ingest() itself, with batches that are hard to time from outside. Each test ends in a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from waybill_stack import Stack

pytestmark = pytest.mark.once

Row = tuple[Any, ...]


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Cursor]:
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        yield connection.cursor()
        connection.rollback()


def delivery(ordinal: int, round_: int, key: UUID, order: UUID | None, outcome: str, quarantine_max: int) -> Row:
    return (ordinal, round_, key, order, "shop", "crossborderly", True, "2024-12-21T00:00:00Z", "test", None, outcome, None, "{}", b"body", quarantine_max)


def order_row(ordinal: int, round_: int, order: UUID) -> Row:
    return (ordinal, round_, order, "shop", "crossborderly", True, "order", *[None] * 13)


def ingest(database: psycopg.Cursor, deliveries: list[Row], orders: list[Row]) -> list[str]:
    def array(rows: list[Row], row_type: str) -> str:
        one = f"ROW({', '.join(['%s'] * len(rows[0]))})::waybill_data.{row_type}" if rows else ""
        return f"ARRAY[{', '.join([one] * len(rows))}]::waybill_data.{row_type}[]"

    statement = f"SELECT waybill_data.ingest({array(deliveries, 'delivery_in')}, {array(orders, 'order_in')}, NULL, NULL, NULL, NULL, NULL)"
    database.execute(statement, [value for row in deliveries + orders for value in row])
    found = database.fetchone()
    assert found is not None
    return found[0]


def test_a_repetition_is_refused_with_the_first(database: psycopg.Cursor) -> None:
    """Where the quarantine is full, nobody may hear `duplicate` of something that was not kept."""
    key = uuid4()
    rows = [delivery(1, 1, key, None, "quarantined", 0), delivery(2, 2, key, None, "quarantined", 0)]
    assert ingest(database, rows, []) == ["refused", "refused"]
    database.execute("SELECT count(*) FROM waybill_data.deliveries WHERE delivery_id = %s", [key])
    assert database.fetchone() == (0,)


def test_a_repetition_is_a_duplicate_where_there_is_room(database: psycopg.Cursor) -> None:
    key = uuid4()
    rows = [delivery(1, 1, key, None, "quarantined", 1000), delivery(2, 2, key, None, "quarantined", 1000)]
    assert ingest(database, rows, []) == ["quarantined", "duplicate"]
    database.execute("SELECT times_received FROM waybill_data.deliveries WHERE delivery_id = %s", [key])
    assert database.fetchone() == (2,)
    # What is deleted gives its room back.
    database.execute("SELECT bytes FROM waybill_data.quarantine_usage WHERE source = 'shop'")
    used = database.fetchone()
    database.execute("DELETE FROM waybill_data.deliveries WHERE delivery_id = %s", [key])
    database.execute("SELECT bytes FROM waybill_data.quarantine_usage WHERE source = 'shop'")
    left = database.fetchone()
    assert used is not None and left is not None and used[0] - left[0] == len(b"body")


def test_an_order_row_that_was_lost_comes_again_with_the_next_event(database: psycopg.Cursor) -> None:
    """Also when the first change of the batch that speaks of it belongs to a duplicate."""
    order, known, new = uuid4(), uuid4(), uuid4()
    assert ingest(database, [delivery(1, 1, known, order, "applied", 0)], [order_row(1, 1, order)]) == ["applied"]
    database.execute("DELETE FROM waybill_data.orders WHERE order_key = %s", [order])
    rows = [delivery(1, 1, known, order, "applied", 0), delivery(2, 1, new, order, "applied", 0)]
    assert ingest(database, rows, [order_row(1, 1, order), order_row(2, 2, order)]) == ["duplicate", "applied"]
    database.execute("SELECT version > 0 FROM waybill_data.orders WHERE order_key = %s", [order])
    assert database.fetchone() == (True,)


def test_who_reports_cannot_hold_up_who_writes(stack: Stack) -> None:
    """The lock of the feed is not one that a report role could take."""
    with psycopg.connect(stack.env["WAYBILL_REPORT_DSN"]) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("LOCK TABLE waybill_data.feed_lock IN ACCESS SHARE MODE")
