"""docs/reporting.md: its questions get the right answers, its list of views is the schema's, its look-ups use indexes, and reports do not keep webhooks waiting."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import waybill_client as wb
from conftest import Stacks
from waiting import wait_until
from waybill_stack import CHECKOUT, Row, Stack

pytestmark = pytest.mark.once

DOCUMENT = Path(CHECKOUT, "docs", "reporting.md")


@pytest.fixture(scope="module")
def reporting(stacks: Stacks) -> Iterator[Stack]:
    """A database that holds nothing but what is told below."""
    stack = stacks.make().up()
    tell_the_stories(stack)
    yield stack
    stacks.remove(stack)


# ---- the questions ----

NOW = datetime.now(timezone.utc).replace(microsecond=0)


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def seconds(at: datetime) -> int:
    return int(at.timestamp())


LATE_SINCE = (NOW - timedelta(days=3)).date()
# The same number at two senders.
SHARED = "CBECUSD123456789"


def tell_the_stories(stack: Stack) -> None:
    cross, shipup, crowd = (stack.sender(name) for name in ("crossborderly", "shipup", "crowdsender"))

    # Two parcels of CrossBorderly: one is delivered in 40 hours, the other at the second attempt in 60.
    for number, hours, attempts in (("CB-FAST", 40, 0), ("CB-SLOW", 60, 2)):
        start = ago(days=4)
        cross.deliver(wb.status_changed(number, "PICKED_UP", text(start)))
        for attempt in range(attempts):
            cross.deliver(wb.exception(
                number, at=text(start + timedelta(hours=50 + attempt)), next_attempt=text(start + timedelta(hours=hours))))
        cross.deliver(wb.delivered(number, text(start + timedelta(hours=hours))))
    # Delivered long ago, by the same carrier: not in the last 30 days.
    cross.deliver(wb.status_changed("CB-OLD", "PICKED_UP", text(ago(days=100))))
    cross.deliver(wb.delivered("CB-OLD", text(ago(days=99))))
    # Silent for six days, with a gap: nobody told of the manifest.
    cross.deliver(wb.status_changed(SHARED, "LABEL_GENERATED", text(ago(days=8))))
    cross.deliver(wb.status_changed(SHARED, "PICKED_UP", text(ago(days=6)), previous="MANIFEST_SUBMITTED"))
    # The sandbox is in no answer.
    cross.deliver(wb.status_changed("CB-SANDBOX", "PICKED_UP", text(ago(days=50)), previous="ORDERED", environment="sandbox"))

    # Shipup: one order late since three days, one expected tomorrow, one at a pick-up point.
    for order, status, code, tracker, more in (
            (1001, "in_transit", "transit", 501, {"displayable_expected_delivery_date": LATE_SINCE.isoformat()}),
            (1002, "in_transit", "transit", 502, {"displayable_expected_delivery_date": (NOW.date() + timedelta(days=1)).isoformat()}),
            (1003, "pickup", "pickup_point", 503, {})):
        scans = [wb.scan(code, seconds(ago(hours=5)), address=wb.shipup_address(city="Lyon"))]
        tracked = wb.tracker(order, status, scans, id=tracker, tracking_number=f"SU-T{tracker}", **more)
        shipup.deliver(wb.shipup_event("tracker.events.new", tracked, seconds(ago(hours=5))))

    # Crowdsender reports the silent parcel too, and something that nobody understands.
    crowd.deliver(wb.tracking_updated("CF-1", "box", "generated label", text(ago(days=1)), trackId=SHARED))
    assert crowd.post(wb.crowdsender_event("newKindOfEvent", "CF-1", "x", text(ago(days=1)))).outcome == (200, "quarantined")
    repeated = wb.status_updated("CF-1", "SHIPPED", text(ago(days=1)))
    crowd.deliver(repeated)
    crowd.deliver(repeated, "duplicate")


def picked(names: str) -> Callable[[list[Row]], list[tuple[Any, ...]]]:
    """Those columns of each row."""
    return lambda rows: [tuple(row[name] for name in names.split()) for row in rows]


def hours_without_webhooks(rows: list[Row]) -> Any:
    """The stories were told in this hour, or while it began."""
    return len(rows), sum(row["webhooks"] for row in rows[-2:]), sum(row["webhooks"] for row in rows[:-2]), sum(row["resends"] for row in rows)


ANSWERS: dict[str, tuple[Callable[[list[Row]], Any], Any]] = {
    "Where is this parcel?": (picked("occurred_at status provider_status location"), [
        (ago(days=8), "pre_transit", "LABEL_GENERATED", "Guayaquil, EC"), (ago(days=6), "in_transit", "PICKED_UP", "Guayaquil, EC"),
        (ago(days=1), "pre_transit", "generated label", None)]),
    "What became of this order?": (picked("source order_id status box_id tracking_number box_status delivered_at"), [
        ("shipup", "1001", "in_transit", "501", "SU-T501", "in_transit", None)]),
    "Which parcels are late?": (picked("source order_id tracking_number carrier status estimated_delivery_date days_late"), [
        ("shipup", "1001", "SU-T501", "colissimo", "in_transit", LATE_SINCE, None)]),
    "Which parcels are silent?": (picked("source tracking_number status status_at"), [
        ("crossborderly", SHARED, "in_transit", ago(days=6))]),
    "How long does each carrier take?": (picked("source carrier parcels mean_hours median_hours p90_hours"), [
        ("crossborderly", None, 2, Decimal("50.0"), Decimal("50.0"), Decimal("58.0"))]),
    "How often does the first attempt succeed?": (picked("source carrier delivered at_first_attempt percent"), [
        ("crossborderly", None, 2, 1, Decimal("50.0"))]),
    "Where do attempts fail?": (picked("location failed_attempts parcels"), [("Guayaquil, EC", 2, 1)]),
    "Which orders need attention?": (picked("reason source order_id order_number status"), [
        ("available_for_pickup", "shipup", "1003", "SU-1003", "available_for_pickup")]),
    "What did we miss?": (picked("source expected_previous gaps first_at last_at"), [
        ("crossborderly", "MANIFEST_SUBMITTED", 1, ago(days=6), ago(days=6))]),
    "How many webhooks an hour?": (hours_without_webhooks, (24, 17, 0, 1)),
    "What became of the webhooks?": (picked("source outcome webhooks conflicts"), [
        ("crossborderly", "applied", 11, 0), ("crowdsender", "applied", 2, 0), ("crowdsender", "quarantined", 1, 0), ("shipup", "applied", 3, 0)]),
    "Which sender carries how much?": (picked("source orders boxes percent_of_boxes"), [
        ("crossborderly", 3, 3, Decimal("42.9")), ("shipup", 3, 3, Decimal("42.9")), ("crowdsender", 1, 1, Decimal("14.3"))]),
    "Which parcels do two senders report?": (picked("tracking_number sources statuses"), [
        (SHARED, ["crossborderly", "crowdsender"], ["in_transit", "pre_transit"])]),
    "What has changed since my last load?": (lambda rows: {(row["source"], row["order_id"]) for row in rows}, {
        *(("crossborderly", number) for number in ("CB-FAST", "CB-SLOW", "CB-OLD", SHARED, "CB-SANDBOX")),
        *(("shipup", number) for number in ("1001", "1002", "1003")), ("crowdsender", "CF-1")}),
    "Who has fallen silent?": (lambda rows: {(row["source"], row["provider"], row["live"], row["deliveries"], row["quarantined"]) for row in rows}, {
        ("crossborderly", "crossborderly", True, 10, 0), ("crossborderly", "crossborderly", False, 1, 0), ("shipup", "shipup", True, 3, 0),
        ("crowdsender", "crowdsender", True, 3, 1)}),
}


def questions() -> dict[str, str]:
    """Title and SQL of each, from the document."""
    return dict(re.findall(r"^### ([^\n]*\?)\n.*?^```sql\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))


def test_every_question_has_its_answer_here() -> None:
    assert questions().keys() == ANSWERS.keys()
    assert DOCUMENT.read_text().count("```sql") == len(ANSWERS)


@pytest.mark.parametrize("question", ANSWERS)
def test_the_answer_is_right(reporting: Stack, question: str) -> None:
    read, expected = ANSWERS[question]
    rows = reporting.report(questions()[question])
    if question == "Which parcels are late?":
        # The database's day may begin at another hour than ours.
        assert {row.pop("days_late") for row in rows} <= {2, 3, 4}
        rows = [{**row, "days_late": None} for row in rows]
    assert read(rows) == expected


# ---- the list of views ----

BEGIN, END = "<!-- views: `make reporting-doc` writes them -->\n", "<!-- end of views -->"


def views_section(stack: Stack) -> str:
    """Every view with its columns, from the comments."""
    columns = stack.report(
        "SELECT c.relname AS view, obj_description(c.oid) AS purpose, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,"
        " col_description(c.oid, a.attnum) AS comment FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = 'waybill'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum")
    section, view = "", None
    for column in columns:
        if column["view"] != view:
            view = column["view"]
            section += f"\n### waybill.{view}\n\n{column['purpose']}\n\n| column | type | |\n|---|---|---|\n"
        kind = column["type"].replace("character varying", "varchar").replace("timestamp with time zone", "timestamptz")
        section += f"| `{column['name']}` | {kind} | {column['comment'].replace('|', chr(92) + '|')} |\n"
    return section + "\n"


def test_the_list_of_views_is_current(reporting: Stack) -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    current = before + BEGIN + views_section(reporting) + END + after
    if os.environ.get("REPORTING_UPDATE"):
        DOCUMENT.write_text(current)
    assert DOCUMENT.read_text() == current, "make reporting-doc writes it anew"


# ---- the vocabulary ----


def vocabulary() -> dict[str, tuple[int, str]]:
    """Rank and phase of each word, from the programs' own table."""
    source = Path(CHECKOUT, "src", "domain", "status_word.c").read_text()
    rows = re.findall(r"\[STATUS_\w+\] = \{SLICE\(\"(\w+)\"\), (\d+), PHASE_(\w+)\}", source)
    assert len(rows) == source.count("[STATUS_")
    return {word: (int(rank), phase) for word, rank, phase in rows}


NEED_ATTENTION = {"attempt_failed", "available_for_pickup", "exception", "failed", "returning", "expired"}


def test_statuses_are_the_vocabulary(reporting: Stack) -> None:
    rows = reporting.report("SELECT * FROM waybill.statuses ORDER BY rank")
    words = vocabulary()
    assert {row["status"]: row["rank"] for row in rows} == {word: rank for word, (rank, _) in words.items()}
    assert {row["status"] for row in rows if row["is_open"]} == {word for word, (_, phase) in words.items() if phase == "OPEN"}
    sticky = {word for word, (_, phase) in words.items() if phase == "STICKY"}
    # What is on its way back is open no more, and not over yet.
    assert {row["status"] for row in rows if row["is_final"]} == sticky - {"returning"}
    assert {row["status"] for row in rows if row["needs_attention"]} == NEED_ATTENTION
    assert [row["status"] for row in rows if row["order_only"]] == ["partially_delivered"]
    known = reporting.query("WAYBILL_DSN", "SELECT unnest(enum_range(NULL::waybill_data.status))::text AS word")
    assert {row["word"] for row in known} == words.keys()
    assert all(row["meaning"] for row in rows)


# ---- look-ups ----

MANY = 20_000


@pytest.fixture(scope="module")
def filled(reporting: Stack) -> Iterator[psycopg.Connection[Any]]:
    """As waybill_report, in a database of many orders, one box, event and delivery each, one a minute."""
    with psycopg.connect(reporting.env["WAYBILL_SUPERUSER_DSN"], autocommit=True) as admin:
        admin.execute("CREATE DATABASE filled")
    database = {name: make_conninfo(reporting.env[name], dbname="filled") for name in ("WAYBILL_SUPERUSER_DSN", "WAYBILL_REPORT_DSN")}
    result = reporting.waybill("migrate", WAYBILL_DSN=database["WAYBILL_SUPERUSER_DSN"])
    assert result.returncode == 0, result.stderr
    with psycopg.connect(database["WAYBILL_SUPERUSER_DSN"], autocommit=True) as owner:
        owner.execute(FILL)
        owner.execute("VACUUM ANALYZE")
    with psycopg.connect(database["WAYBILL_REPORT_DSN"], autocommit=True) as connection:
        yield connection


FILL = f"""
CREATE TEMPORARY TABLE made AS
SELECT n, md5('order' || n)::uuid AS order_key, md5('box' || n)::uuid AS box_key, md5('delivery' || n)::uuid AS delivery_id,
       timestamptz '2026-01-01 00:00Z' + n * interval '1 minute' AS at
FROM generate_series(1, {MANY}) n;
INSERT INTO waybill_data.orders (order_key, version, updated_at, live, source, provider, order_id, order_number, external_reference, status, status_at,
                                 attention, boxes_total, boxes_delivered, shipped_at, delivered_at, writes, registers)
SELECT order_key, n, at, true, 'crowdsender', 'crowdsender', 'o' || n, 'N' || n, 'R' || n, 'delivered', at, '{{}}', 1, 1, at - interval '1 day', at, 1, '' FROM made;
INSERT INTO waybill_data.boxes (order_key, box_key, box_id, status, status_at, tracking_number, delivered_at, was_delayed, had_failed_attempt, registers)
SELECT order_key, box_key, 'b' || n, 'delivered', at, 'T' || n, at, false, false, '' FROM made;
INSERT INTO waybill_data.tracking_events (order_key, event_key, box_key, delivery_id, occurred_at, status, provider_status, previous_status, register)
SELECT order_key, box_key, box_key, delivery_id, at, 'delivered', 'DELIVERED', 'OUT_FOR_DELIVERY', '' FROM made;
INSERT INTO waybill_data.deliveries (delivery_id, order_key, received_at, body_bytes, live, source, provider, event_type, outcome, body_sha256)
SELECT delivery_id, order_key, at, 300, true, 'crowdsender-' || n % 4, 'crowdsender', 'trackingUpdated', 'applied', '' FROM made;
INSERT INTO waybill_data.bodies (received_at, delivery_id, headers, body) SELECT at, delivery_id, '{{}}', decode(repeat('ab', 300), 'hex') FROM made;
INSERT INTO waybill_data.resends (delivery_id, times) SELECT delivery_id, 1 FROM made WHERE n % 50 = 0;
"""

HOUR = "BETWEEN '2026-01-10 10:00Z' AND '2026-01-10 11:00Z'"
# With how many rows each answers.
LOOKUPS: dict[str, tuple[str, int]] = {
    "order number": ("SELECT * FROM waybill.orders WHERE order_number = 'N77'", 1),
    "external reference": ("SELECT * FROM waybill.orders WHERE external_reference = 'R77'", 1),
    "tracking number": ("SELECT * FROM waybill.boxes WHERE tracking_number = 'T77'", 1),
    "several at once": ("SELECT * FROM waybill.boxes WHERE tracking_number IN ('T77', 'T78', 'T79')", 3),
    "as a driver's text": ("SELECT * FROM waybill.orders WHERE order_number = 'N77'::text", 1),
    "as a driver's varchar": ("SELECT * FROM waybill.orders WHERE order_number = 'N77'::varchar", 1),
    "as a driver's varchar(n)": ("SELECT * FROM waybill.orders WHERE order_number = 'N77'::varchar(20)", 1),
    "order key": ("SELECT * FROM waybill.orders WHERE order_key = md5('order77')::uuid", 1),
    "delivery id": ("SELECT * FROM waybill.deliveries WHERE delivery_id = md5('delivery77')::uuid", 1),
    "an order with its boxes": ("SELECT * FROM waybill.orders o JOIN waybill.boxes b USING (order_key) WHERE o.order_number = 'N77'", 1),
    "the history by tracking number": (
        "SELECT * FROM waybill.boxes b JOIN waybill.tracking_events e USING (order_key, box_key) WHERE b.tracking_number = 'T77'", 1),
    "the order of a delivery": (
        "SELECT * FROM waybill.deliveries d JOIN waybill.orders o USING (order_key) WHERE d.delivery_id = md5('delivery77')::uuid", 1),
    "deliveries of an hour": (f"SELECT * FROM waybill.deliveries WHERE received_at {HOUR}", 61),
    "events of an hour": (f"SELECT * FROM waybill.tracking_events WHERE occurred_at {HOUR}", 61),
    "parcels delivered in an hour": (f"SELECT * FROM waybill.boxes WHERE delivered_at {HOUR}", 61),
    "gaps of an hour": (f"SELECT * FROM waybill.suspected_gaps WHERE field = 'status' AND occurred_at {HOUR}", 0),
    "orders that an hour changed": (
        f"SELECT * FROM waybill.orders WHERE order_key IN (SELECT order_key FROM waybill.deliveries WHERE received_at {HOUR})", 61),
}
LARGE = {"orders", "boxes", "tracking_events", "deliveries"}


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_lookup_uses_an_index(filled: psycopg.Connection[Any], lookup: str) -> None:
    sql, count = LOOKUPS[lookup]
    assert len(filled.execute(sql).fetchall()) == count
    ((plan,),) = filled.execute(f"EXPLAIN (FORMAT JSON) {sql}").fetchall()
    assert {node["Relation Name"] for node in nodes(plan[0]["Plan"]) if node["Node Type"] == "Seq Scan"} & LARGE == set(), plan


def test_a_conflict_is_looked_for_by_the_event_alone(filled: psycopg.Connection[Any]) -> None:
    """Not among all that its source sent, which would be the square of that."""
    ((plan,),) = filled.execute("EXPLAIN (FORMAT JSON) SELECT count(*) FILTER (WHERE conflict) FROM waybill.deliveries").fetchall()
    assert {node["Index Name"] for node in nodes(plan[0]["Plan"]) if "Index Name" in node} == {"deliveries_pkey"}, plan


def test_a_lookup_with_a_parameter_uses_an_index(filled: psycopg.Connection[Any]) -> None:
    """As drivers do: prepared, with a plan for any value."""
    filled.execute("SET plan_cache_mode = force_generic_plan")
    for kind in ("text", "varchar", "varchar(255)"):
        filled.execute(f"PREPARE parcel({kind}) AS SELECT * FROM waybill.boxes WHERE tracking_number = $1")
        ((plan,),) = filled.execute("EXPLAIN (FORMAT JSON) EXECUTE parcel('T77')").fetchall()
        assert "Seq Scan" not in {node["Node Type"] for node in nodes(plan[0]["Plan"])}, kind
        filled.execute("DEALLOCATE parcel")
    filled.execute("RESET plan_cache_mode")


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


# ---- reports and webhooks at the same time ----

# Never ends by itself.
HEAVY = "SELECT count(*) FROM waybill.tracking_events a, waybill.tracking_events b, waybill.deliveries c, waybill.deliveries d, generate_series(1, 1000000)"
EVENTS_MEANWHILE = 20


def test_reports_do_not_keep_webhooks_waiting(reporting: Stack) -> None:
    """All the connections that a role may have, each with the largest locks it may take, an old snapshot and a report without end."""
    with psycopg.connect(reporting.env["WAYBILL_SUPERUSER_DSN"], autocommit=True) as admin, ExitStack() as until_then:
        reports = [until_then.enter_context(report) for report in all_connections(reporting.env["WAYBILL_REPORT_DSN"])]
        threads = until_then.enter_context(ThreadPoolExecutor(len(reports)))
        try:
            for report in reports:
                report.execute("SET statement_timeout = 0")
                report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                report.execute("LOCK TABLE waybill.orders, waybill.boxes, waybill.deliveries, waybill.tracking_events IN ACCESS SHARE MODE")
            scans = [threads.submit(report.execute, HEAVY) for report in reports]
            running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'waybill_report' AND state = 'active'"
            wait_until(lambda: admin.execute(running).fetchone() == (len(reports),), "all reports run")
            number = wb.uid("T")
            outcomes = {post_status(reporting, number, event) for event in range(EVENTS_MEANWHILE)}
            # On a machine that is busy enough one may have had to wait, but not until the reports end.
            assert outcomes <= {(200, "applied"), (200, "spooled")}
            stored = "SELECT count(*) FROM waybill_data.deliveries d JOIN waybill_data.orders o USING (order_key) WHERE o.order_id = %s"
            with psycopg.connect(reporting.env["WAYBILL_DSN"], autocommit=True) as owner:
                wait_until(lambda: owner.execute(stored, (number,)).fetchone() == (EVENTS_MEANWHILE,), "all are stored")
            assert not any(scan.done() for scan in scans)
        finally:
            for report in reports:
                report.cancel()
        assert {type(scan.exception()) for scan in scans} == {psycopg.errors.QueryCanceled}


def all_connections(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """As many as the role may have."""
    while True:
        try:
            connection = psycopg.connect(dsn, autocommit=True)
        except psycopg.OperationalError as refusal:
            assert "too many connections" in str(refusal)
            return
        yield connection


def post_status(stack: Stack, number: str, event: int) -> tuple[int, str | None]:
    return stack.sender("crossborderly").post(wb.status_changed(number, "IN_TRANSIT", wb.moment(event))).outcome


DEFAULTS = {
    "statement_timeout": "1min", "idle_in_transaction_session_timeout": "1min", "lock_timeout": "5s", "max_parallel_workers_per_gather": "0",
    "work_mem": "16MB", "temp_file_limit": "1GB", "default_transaction_read_only": "on",
}
# What a session cannot change.
FIXED = {"temp_file_limit": "-1"}


@pytest.mark.parametrize("role", ["WAYBILL_REPORT_DSN", "WAYBILL_AUDIT_DSN"])
def test_reports_start_with_limits(reporting: Stack, role: str) -> None:
    with psycopg.connect(reporting.env[role], autocommit=True) as connection:
        found = {name: connection.execute(f"SHOW {name}").fetchall()[0][0] for name in DEFAULTS}
        assert found == DEFAULTS
        connection.execute("SET default_transaction_read_only = off")
        for name, value in FIXED.items():
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SET {name} = {value}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"ALTER ROLE CURRENT_USER SET {name} = {value}")
