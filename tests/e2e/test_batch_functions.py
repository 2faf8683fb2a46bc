"""take_deliveries() and write_states() themselves, with batches that are hard to time from outside. Each test ends in a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from batches import delivery, take, write
from waybill_stack import Stack

pytestmark = pytest.mark.once


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Cursor]:
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        yield connection.cursor()
        connection.rollback()


def only(database: psycopg.Cursor, sql: str, *parameters: object) -> object:
    row = database.execute(sql, parameters).fetchone()
    assert row is not None
    return row[0]


def test_what_is_refused_leaves_nothing(database: psycopg.Cursor) -> None:
    """Where the quarantine is full, also for one that came twice in the batch."""
    key = uuid4()
    assert take(database, [delivery(key, None, "quarantined")], times=2)[0] == ["refused"]
    for table in ("deliveries", "bodies", "resends"):
        assert only(database, f"SELECT count(*) FROM waybill_data.{table} WHERE delivery_id = %s", key) == 0


def test_repetitions_in_a_batch_and_after_it_are_counted(database: psycopg.Cursor) -> None:
    key = uuid4()
    assert take(database, [delivery(key, None, "quarantined")], times=2, quarantine_max=1000)[0] == ["quarantined"]
    assert only(database, "SELECT times_received FROM waybill.deliveries WHERE delivery_id = %s", key) == 2
    assert take(database, [delivery(key, None, "quarantined")], quarantine_max=1000)[0] == ["duplicate"]
    assert only(database, "SELECT times_received FROM waybill.deliveries WHERE delivery_id = %s", key) == 3
    used = "SELECT bytes FROM waybill_data.quarantine_usage WHERE source = 'shop'"
    before = only(database, used)
    # Deleting its bytes gives their space back.
    database.execute("SELECT * FROM waybill_data.purge_deliveries(%s)", ([key],))
    assert isinstance(before, int) and only(database, used) == before - len(b"body")


def test_only_what_is_new_shows_its_order(database: psycopg.Cursor) -> None:
    """A client of the ingest role cannot read an order by sending a known delivery again."""
    order, known, new = uuid4(), uuid4(), uuid4()
    _, positions, _ = take(database, [delivery(known, order)])
    write(database, order, "order", positions[0])
    assert take(database, [delivery(known, order)]) == (["duplicate"], [], [])
    outcomes, positions, parts = take(database, [delivery(known, order), delivery(new, order)])
    assert outcomes == ["duplicate", "applied"] and len(positions) == 1
    assert [part["an_order"]["order_id"] for part in parts] == ["order"]


def test_personal_facts_come_as_digests(database: psycopg.Cursor) -> None:
    order = uuid4()
    _, positions, _ = take(database, [delivery(uuid4(), order)])
    write(database, order, "order", positions[0], destination={"name": "Zenobia"})
    _, _, parts = take(database, [delivery(uuid4(), order)])
    digest = parts[0]["an_order"]["destination"]
    assert isinstance(digest, str) and len(digest) == 64 and "Zenobia" not in str(parts)


def test_who_reports_cannot_hold_up_who_writes(stack: Stack) -> None:
    """The lock of the lane is not one that a report role could take."""
    with psycopg.connect(stack.env["WAYBILL_REPORT_DSN"]) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM waybill_data.lanes FOR UPDATE")
