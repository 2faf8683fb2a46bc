"""All that convergence is about, read from the status endpoint and from the views, and a way back to the empty database."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from event_facts import EventSet, Json, OrderName, differences
from waybill_client import comparable
from waybill_stack import Stack

# Every row of the views, without what says when and how often something arrived.
ARRIVAL = ("received_at", "times_received", "body_sha256", "body_bytes", "updated_at", "version", "body", "headers")
VIEWS = (
    "waybill.orders", "waybill.boxes", "waybill.tracking_events", "waybill.order_changes", "waybill.manifests", "waybill.deliveries",
    "waybill.suspected_gaps", "waybill_audit.recipients", "waybill_audit.documents", "waybill_audit.messages",
)
# Everything but what describes the installation.
DATA = ("deliveries", "bodies", "resends", "quarantine_usage", "orders", "boxes", "tracking_events", "order_changes", "documents", "manifests", "feed")


class State:
    """What the orders, their history and the views show."""

    def __init__(self, documents: dict[OrderName, Json], rows: dict[str, list[str]]) -> None:
        self.documents = documents
        self.rows = rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and (self.documents, self.rows) == (other.documents, other.rows)

    def view(self, name: str) -> list[Json]:
        return [json.loads(row) for row in self.rows[name]]

    def differences(self, other: State) -> list[str]:
        """A few lines on what is not the same in OTHER."""
        names = sorted(self.documents.keys() | other.documents.keys())
        lines = [f"{name}: {self.documents.get(name)}\n   not {other.documents.get(name)}" for name in names
                 if self.documents.get(name) != other.documents.get(name)]
        for view, rows in self.rows.items():
            lines += [f"{view} only here: {row}" for row in sorted(set(rows) - set(other.rows[view]))]
            lines += [f"{view} only there: {row}" for row in sorted(set(other.rows[view]) - set(rows))]
        return lines[:20]


class Database:
    """The stack's database as its owner and its auditors see it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.owner = psycopg.connect(stack.env["WAYBILL_DSN"], autocommit=True)
        self._auditor = psycopg.connect(stack.env["WAYBILL_AUDIT_DSN"], autocommit=True, options="-c timezone=UTC -c jit=off")
        # Emptying need not survive a crash, and is done hundreds of times.
        self.owner.execute("SET synchronous_commit = off")

    def close(self) -> None:
        self.owner.close()
        self._auditor.close()

    def empty(self) -> None:
        """Deleting is quicker than TRUNCATE as long as the rows are few; without VACUUM the same keys over and over would fill one page after the other."""
        self.owner.execute("".join(f"DELETE FROM waybill_data.{table};" for table in DATA))
        self.owner.execute("VACUUM (INDEX_CLEANUP ON) waybill_data.deliveries, waybill_data.bodies")

    def state(self) -> State:
        return State(self.documents(), self._rows())

    def documents(self) -> dict[OrderName, Json]:
        return {name: comparable(document) for name, document in self.documents_with_versions().items()}

    def documents_with_versions(self) -> dict[OrderName, Json]:
        pages = [page for live in ("true", "false") for page in self._stack.status.pages(live=live, limit=1000)]
        return {(one["source"], one["live"], one["id"]): one for page in pages for one in page}

    def _rows(self) -> dict[str, list[str]]:
        left_out = "ARRAY[" + ",".join(f"'{column}'" for column in ARRIVAL) + "]"
        sql = " UNION ALL ".join(f"SELECT '{view}', (to_jsonb(v) - {left_out})::text FROM {view} v" for view in VIEWS)
        rows: dict[str, list[str]] = {view: [] for view in VIEWS}
        for view, row in self._auditor.execute(sql):
            rows[view].append(row)
        return {view: sorted(lines) for view, lines in rows.items()}

    def times_received(self) -> dict[str, int]:
        return dict(self._auditor.execute("SELECT delivery_id::text, times_received FROM waybill.deliveries").fetchall())


# ---- what a state must show ----


def check_facts(state: State, sets: list[EventSet]) -> None:
    """STATE, which these SETS and nothing else led to, shows what was derived by hand."""
    wrong = [f"{one.name}: {line}" for one in sets for line in _wrong_of_set(state, one)]
    assert not wrong, "\n".join(wrong)
    assert state.documents.keys() == {name for one in sets for name in one.orders}
    assert _found_gaps(state) == _sorted(row for one in sets for row in one.gaps)
    found_conflicts = {row["event_id"] for row in state.view("waybill.deliveries") if row["conflict"]}
    assert found_conflicts == {event_id for one in sets for event_id in one.conflicts}


def _wrong_of_set(state: State, event_set: EventSet) -> list[str]:
    lines = [f"{name}: {line}" for name, facts in event_set.orders.items() for line in differences(state.documents[name], facts)]
    manifests = state.view("waybill.manifests")
    return lines + [f"no manifest {row} in {manifests}" for row in event_set.manifests if not _has_row(manifests, row)]


def _has_row(rows: list[Json], wanted: Json) -> bool:
    return any(_shown_times(row) == wanted for row in rows)


def _found_gaps(state: State) -> list[Json]:
    return _sorted(_shown_times(row) for row in state.view("waybill.suspected_gaps"))


def _shown_times(row: Json) -> Json:
    """jsonb shows times as 2024-05-01T10:00:00+00:00."""
    return {key: _shown_time(value) if key.endswith("_at") else value for key, value in row.items()}


def _shown_time(value: str | None) -> str | None:
    return value.replace("+00:00", ".000Z") if value else value


def _sorted(rows: Any) -> list[Json]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
