"""After a fault: is every event that got a 200 in the database, once, and is the state that of the same events without a fault?

The state without a fault is that of a second stack, to which nothing happens: it is fed with the bytes of all events that the first one's ledger
holds, by the same way, and all that the status endpoint and the views show is compared. An event that is half there, or whose rows are there
without it, makes a difference.
"""

from __future__ import annotations

from contextlib import closing
from typing import Callable, Iterator

import psycopg
from convergence_state import DATA, Database, State
from http_load import load
from traffic import FORGED, OUTCOMES, Item, Post, digest
from waybill_stack import Stack

CONNECTIONS = 16
TABLES = ", ".join(f"waybill_data.{table}" for table in DATA)


class Failed(AssertionError):
    """A promise was broken."""


class Audit:
    def __init__(self, stack: Stack, reference: Stack) -> None:
        self._stacks = (stack, reference)
        self._begin()

    def _begin(self) -> None:
        self._items: list[Item] = []
        # The ledger's rows that the reference knows.
        self._fed: set[str] = set()

    def empty(self) -> None:
        """Begins anew: what was audited often enough goes."""
        for stack in self._stacks:
            with psycopg.connect(stack.env["WAYBILL_DSN"], autocommit=True) as owner:
                owner.execute("TRUNCATE " + TABLES)
        self._begin()

    def check(self, items: list[Item]) -> None:
        """ITEMS were sent since the last time; nothing may be on its way any more."""
        self._items += items
        rows = self._ledger()
        problems = list(self._wrong_rows(rows))
        if not problems:
            self._feed(rows)
            problems = self._differences()
        if problems:
            raise Failed(f"{len(problems)} problems, the first of which are\n  " + "\n  ".join(problems[:20]))

    def _ledger(self) -> dict[str, dict[str, object]]:
        return {row["delivery_id"]: row for row in self._stacks[0].audit(
            "SELECT delivery_id::text, source, body_sha256, outcome, body FROM waybill_audit.deliveries")}

    def missing(self, items: list[Item]) -> list[Item]:
        """Those of ITEMS that got a 200 and are not there."""
        ledger = self._ledger()
        return [item for item in items if item.acknowledged and not item.deliveries & ledger.keys()]

    def _wrong_rows(self, rows: dict[str, dict[str, object]]) -> Iterator[str]:
        sent = {(item.event.source, digest(body)): item for item in self._items for body in item.bodies}
        found: dict[int, list[dict[str, object]]] = {}
        for row in rows.values():
            item = sent.get((str(row["source"]), bytes(row["body_sha256"])))  # type: ignore[call-overload]
            if item is None:
                yield f"never sent: {row}"
            else:
                found.setdefault(id(item), []).append(row)
        for item in self._items:
            yield from self._wrong_item(item, found.get(id(item), []))

    @staticmethod
    def _wrong_item(item: Item, rows: list[dict[str, object]]) -> Iterator[str]:
        what = f"{item.kind} event of {item.event.source}, answers {item.outcomes}, refused {item.refusals} times: {item.event.body.decode()[:300]}"
        if len(rows) > 1:
            yield f"DOUBLED, {len(rows)} deliveries: {what}"
        if item.acknowledged and not rows:
            yield f"LOST: {what}"
        if item.kind == FORGED:
            if rows:
                yield f"stored: {what}"
            return
        if rows and item.acknowledged and item.deliveries != {rows[0]["delivery_id"]}:
            yield f"is delivery {rows[0]['delivery_id']}, not {item.deliveries}: {what}"
        if rows and rows[0]["outcome"] != OUTCOMES[item.kind]:
            yield f"is {rows[0]['outcome']}: {what}"

    def _feed(self, rows: dict[str, dict[str, object]]) -> None:
        reference = self._stacks[1]
        post = Post(reference)
        new = [row for delivery, row in rows.items() if delivery not in self._fed]
        replies = load(reference.site, [post.request(str(row["source"]), bytes(row["body"])) for row in new], CONNECTIONS).replies  # type: ignore[call-overload]
        for number, row in enumerate(new):
            assert replies[number].outcome == (200, row["outcome"]), ("the reference", replies[number], row)
        self._fed.update(str(row["delivery_id"]) for row in new)

    def _differences(self) -> list[str]:
        here, there = (self._state(stack) for stack in self._stacks)
        return [] if here == there else here.differences(there)

    @staticmethod
    def _state(stack: Stack) -> State:
        with closing(Database(stack)) as database:
            # So much has come so quickly that the planner thinks the tables small.
            database.owner.execute("ANALYZE " + TABLES)
            return database.state()



# ---- the audit's own test ----

# Each changes one row of a good database.
PLANTS = {
    "a delivery is gone": "DELETE FROM waybill_data.deliveries WHERE delivery_id = (SELECT delivery_id FROM waybill_data.deliveries WHERE outcome = 'applied' LIMIT 1)",
    "a delivery is there twice": """
        INSERT INTO waybill_data.deliveries
        SELECT (jsonb_populate_record(one, jsonb_build_object('delivery_id', gen_random_uuid()))).* FROM waybill_data.deliveries one LIMIT 1""",
    "a row of history is gone": "DELETE FROM waybill_data.tracking_events WHERE ctid = (SELECT ctid FROM waybill_data.tracking_events LIMIT 1)",
    "a document is gone": "DELETE FROM waybill_data.documents WHERE ctid = (SELECT ctid FROM waybill_data.documents LIMIT 1)",
    "a box shows another place": "UPDATE waybill_data.boxes SET location = 'nowhere' WHERE ctid = (SELECT ctid FROM waybill_data.boxes LIMIT 1)",
    "an order shows another status": "UPDATE waybill_data.orders SET status = 'failed' WHERE ctid = (SELECT ctid FROM waybill_data.orders WHERE status <> 'failed' AND moved_to IS NULL LIMIT 1)",
}


def check_the_audit(audit: Audit, stack: Stack, send: Callable[[], list[Item]]) -> None:
    """SEND sends some events and gives them. Good data must pass, and what is planted must be found: an audit that cannot fail proves nothing."""
    for name, sql in PLANTS.items():
        audit.check(send())
        with psycopg.connect(stack.env["WAYBILL_DSN"], autocommit=True) as owner:
            assert owner.execute(sql).rowcount == 1, name
        try:
            audit.check([])
        except Failed:
            audit.empty()
        else:
            raise Failed(f"the audit does not notice that {name}")
