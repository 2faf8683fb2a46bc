"""What a 200 and a transaction rest on is set by the programs themselves: ALTER DATABASE and ALTER ROLE change nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Timer
from typing import Any, Iterator

import psycopg
import pytest

import waybill_client as wb
from convergence_fixtures import connected, database, processes  # noqa: F401 (fixtures)
from convergence_state import Database, check_facts
from event_sets import SETS
from storms import all_events
from test_migrate import dumped, migrate
from two_processes import TwoProcesses
from waiting import wait_until
from waybill_stack import Stack

pytestmark = pytest.mark.once

# Everything that would make a difference, if it could.
HOSTILE = {
    "default_transaction_isolation": "serializable", "default_transaction_read_only": "on", "default_transaction_deferrable": "on",
    "synchronous_commit": "off", "client_min_messages": "error", "search_path": "traps, pg_catalog", "statement_timeout": "500ms", "lock_timeout": "20ms",
    "idle_in_transaction_session_timeout": "50ms", "bytea_output": "escape", "timezone": "Asia/Kathmandu", "datestyle": "German", "intervalstyle": "sql_standard",
    "extra_float_digits": "-15", "client_encoding": "LATIN1", "standard_conforming_strings": "off",
}
# In front of what PostgreSQL brings: nothing is equal to anything.
TRAPS = """
    CREATE SCHEMA traps;
    GRANT USAGE ON SCHEMA traps TO PUBLIC;
    CREATE FUNCTION traps.never(a uuid, b uuid) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
    CREATE FUNCTION traps.never(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
    CREATE FUNCTION traps.lower(a text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'trapped';
    CREATE FUNCTION traps.count() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 0;
    CREATE OPERATOR traps.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = traps.never);
    CREATE OPERATOR traps.= (LEFTARG = text, RIGHTARG = text, FUNCTION = traps.never);
    CREATE OPERATOR traps.> (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = traps.never)"""


@contextmanager
def hostile(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """For all sessions that begin meanwhile; gives a superuser's that has begun before."""
    with psycopg.connect(dsn, autocommit=True) as superuser:
        database = superuser.info.dbname
        superuser.execute(TRAPS)
        for name, value in HOSTILE.items():
            superuser.execute(f"ALTER DATABASE {database} SET {name} = {value if name == 'search_path' else repr(value)}")
        try:
            yield superuser
        finally:
            superuser.execute(f"ALTER DATABASE {database} RESET ALL")
            superuser.execute("DROP SCHEMA traps CASCADE")


def begin_new_sessions(superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'waybill %'")


@contextmanager
def hostile_stack(processes: TwoProcesses) -> Iterator[psycopg.Connection[Any]]:
    with hostile(processes.stack.env["WAYBILL_SUPERUSER_DSN"]) as superuser:
        try:
            for role in ("waybill_ingest", "waybill_status", "waybill_owner"):
                superuser.execute(f"ALTER ROLE {role} SET timezone = 'America/Caracas'")
                superuser.execute(f"ALTER ROLE {role} SET lock_timeout = '10ms'")
            begin_new_sessions(superuser)
            yield superuser
        finally:
            for role in ("waybill_ingest", "waybill_status", "waybill_owner"):
                superuser.execute(f"ALTER ROLE {role} RESET ALL")
            begin_new_sessions(superuser)


def test_webhooks_documents_and_rebuilds_are_the_same(processes: TwoProcesses, database: Database) -> None:
    posts = [(place % 2, event) for place, event in enumerate(all_events())]
    processes.deliver(posts)
    usual = database.state()
    check_facts(usual, SETS)
    database.empty()
    with hostile_stack(processes):
        processes.deliver(posts)
        state = database.state()
        assert state == usual, "\n".join(state.differences(usual))
        names = list(state.documents)
        for command in (["rebuild"], ["prune"], ["sources"], ["explain", f"{names[0][0]}/{names[0][2]}"], ["deliveries", "--limit", "5"]):
            result = processes.stack.waybill(*command)
            assert result.returncode == 0, result
        assert " 0 changed" in processes.stack.waybill("rebuild").stdout
        assert database.state() == usual


def test_a_lock_is_waited_for(processes: TwoProcesses, database: Database) -> None:
    """Longer than the database would have it."""
    own = "-c default_transaction_read_only=off -c idle_in_transaction_session_timeout=0"
    with hostile_stack(processes), psycopg.connect(processes.stack.env["WAYBILL_SUPERUSER_DSN"], options=own) as holder:
        holder.execute("SELECT FROM waybill_data.lanes FOR UPDATE")
        timer = Timer(1.2, holder.rollback)
        timer.start()
        start = time.monotonic()
        event = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
        answer = processes.stack.sender("crossborderly").post(event)
        timer.join()
        assert answer.outcome == (200, "applied") and time.monotonic() - start >= 1.0, answer


def test_a_commit_that_is_not_replicated_is_no_200(processes: TwoProcesses, database: Database) -> None:
    """Somebody cancels the wait for a standby: the server commits, and says in a warning what that is worth."""
    stack = processes.stack
    with hostile_stack(processes) as superuser, ThreadPoolExecutor(1) as pool:
        event = wb.encode(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
        superuser.execute("SET synchronous_commit = local")
        try:
            superuser.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            superuser.execute("SELECT pg_reload_conf()")
            wait_until(lambda: superuser.execute("SHOW synchronous_standby_names").fetchone() == ("nobody",), "commits wait for a standby")
            posting = pool.submit(stack.sender("crossborderly").post, event)
            cancelled = 0
            while not posting.done():
                cancelled += len(superuser.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchall())
                time.sleep(0.05)
            assert cancelled > 0 and posting.result().outcome == (200, "spooled")
        finally:
            superuser.execute("ALTER SYSTEM RESET synchronous_standby_names")
            superuser.execute("SELECT pg_reload_conf()")
        wait_until(lambda: stack.sender("crossborderly").post(event).outcome == (200, "duplicate"), "the spool is drained")


def test_the_schema_is_the_same(stack: Stack) -> None:
    with stack.empty_database() as dsn:
        migrate(stack, dsn)
        usual = dumped(dsn)
    with stack.empty_database() as dsn:
        with hostile(dsn):
            migrate(stack, dsn)
        assert dumped(dsn) == usual
