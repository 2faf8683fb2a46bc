"""`waybill migrate`: a database of whatever state comes to the schema of this release, all of it or nothing."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Iterator

import psycopg
import pytest

from waybill_stack import CHECKOUT, Stack

pytestmark = pytest.mark.once

SCHEMA = CHECKOUT / "schema"
MIGRATIONS = [path.name for path in sorted((SCHEMA / "migrations").iterdir())]
FILES = {f"{folder}/{path.name}": path for folder in ("views", "functions") for path in sorted((SCHEMA / folder).iterdir())}
NOTHING = "nothing to do: the schema is current\n"


def dumped(dsn: str) -> str:
    command = ["pg_dump", "--schema-only", "--dbname", dsn]
    text = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120).stdout
    return re.sub(r"^\\(un)?restrict.*$", "", text, flags=re.MULTILINE)


def rows(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(sql).fetchall()


def state(dsn: str) -> tuple[object, ...]:
    """The schema and what the database says about it."""
    return (dumped(dsn), rows(dsn, "SELECT number, name FROM waybill_data.schema_migrations ORDER BY 1"),
            rows(dsn, "SELECT name, digest, functions FROM waybill_data.schema_files ORDER BY 1"))


def migrate(stack: Stack, dsn: str) -> str:
    result = stack.waybill("migrate", "--dsn", dsn)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


@contextmanager
def migrated(stack: Stack) -> Iterator[str]:
    with stack.empty_database() as dsn:
        migrate(stack, dsn)
        yield dsn


def change(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("SET ROLE waybill_owner")
        for statement in statements:
            connection.execute(statement)


def other_digest(name: str) -> str:
    assert name in FILES
    return f"UPDATE waybill_data.schema_files SET digest = '\\x00' WHERE name = '{name}'"


# ---- from nothing ----


def test_a_new_database(stack: Stack) -> None:
    with stack.empty_database() as dsn:
        assert migrate(stack, dsn) == "".join(f"{name}\n" for name in MIGRATIONS) + f"views and functions: {len(FILES)}\nthe schema is current\n"
        assert rows(dsn, "SELECT name FROM waybill_data.schema_migrations ORDER BY number") == [(name,) for name in MIGRATIONS]
        digests = {name: hashlib.sha256(path.read_bytes()).digest() for name, path in FILES.items()}
        assert dict(rows(dsn, "SELECT name, digest FROM waybill_data.schema_files")) == digests
        assert rows(dsn, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
        assert rows(dsn, "SELECT done, database_user::text, counts FROM waybill_audit.actions WHERE command = 'migrate'") \
            == [(True, "postgres", {"migrations": len(MIGRATIONS), "files": len(FILES)})]
        before = state(dsn)
        assert before == state(stack.env["WAYBILL_SUPERUSER_DSN"].replace("dbname=postgres", "dbname=waybill"))
        # The owner may, too, and leaves no row where nothing is to do.
        owner = psycopg.conninfo.make_conninfo(stack.env["WAYBILL_DSN"], dbname=psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
        for other in (dsn, owner):
            assert migrate(stack, other) == NOTHING
        assert state(dsn) == before and rows(dsn, "SELECT count(*) FROM waybill_audit.actions") == [(1,)]


def test_every_view_and_function_has_its_file(stack: Stack) -> None:
    """In the file of its name, with a comment."""
    with migrated(stack) as dsn:
        views = rows(dsn, "SELECT relnamespace::regnamespace || '.' || relname, obj_description(oid) IS NOT NULL FROM pg_class WHERE relkind = 'v'"
                          " AND relnamespace::regnamespace::text LIKE 'waybill%'")
        assert {f"views/{name}.sql": True for name, _ in views} == {name: True for name in FILES if name.startswith("views/")}
        functions = rows(dsn, "SELECT f.name, p.proname::text, obj_description(p.oid) IS NOT NULL FROM waybill_data.schema_files f,"
                              " unnest(f.functions) u (name), pg_proc p WHERE p.oid = u.name::regprocedure")
        assert {row[0] for row in functions} == {name for name in FILES if name.startswith("functions/")}
        assert [row for row in (*views, *functions) if row[-1] is not True] == []


def test_several_at_once(stack: Stack) -> None:
    with stack.empty_database() as dsn, migrated(stack) as alone:
        with ThreadPoolExecutor(4) as pool:
            outputs = sorted(pool.map(lambda _: migrate(stack, dsn), range(4)))
        assert outputs[1:] == [NOTHING] * 3 and outputs[0].startswith(MIGRATIONS[0])
        assert state(dsn) == state(alone)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_is_refused(stack: Stack, encoding: str) -> None:
    with stack.empty_database(f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0") as dsn:
        before = dumped(dsn)
        result = stack.waybill("migrate", "--dsn", dsn)
        assert result.returncode == 1 and f"has the encoding {encoding}, not UTF8" in result.stderr, result
        assert MIGRATIONS[0] in result.stderr and result.stdout == ""
        assert dumped(dsn) == before


# ---- from another state ----

STATES = {
    "a function does something else": [
        "CREATE OR REPLACE FUNCTION waybill_data.instant(at timestamptz) RETURNS text LANGUAGE sql STABLE RETURN 'now'", other_digest("functions/instant.sql")],
    "a function has another result": [
        "DROP FUNCTION waybill_data.newest_deliveries",
        "CREATE FUNCTION waybill_data.newest_deliveries(sources text[]) RETURNS integer LANGUAGE sql RETURN 1",
        other_digest("functions/newest_deliveries.sql")],
    "a function has other parameters": [
        "DROP FUNCTION waybill_data.order_versions",
        "CREATE FUNCTION waybill_data.order_versions(one uuid) RETURNS integer LANGUAGE sql RETURN 1",
        "UPDATE waybill_data.schema_files SET digest = '\\x00', functions = '{waybill_data.order_versions(uuid)}' WHERE name = 'functions/order_versions.sql'"],
    "a function is open to all": [
        "GRANT EXECUTE ON FUNCTION waybill_data.purge_orders TO PUBLIC", other_digest("functions/purge_orders.sql")],
    "a function with indexes on it": [
        "CREATE OR REPLACE FUNCTION waybill_data.plain_form(word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT RETURN word",
        "DROP INDEX waybill_data.orders_by_plain_id", other_digest("functions/plain_form.sql")],
    "a function is gone": ["DROP FUNCTION waybill_data.prune_feed"],
    "a function too many": ["CREATE FUNCTION waybill_data.prune_feed(one integer) RETURNS integer LANGUAGE sql RETURN 1"],
    "a view is gone": ["DROP VIEW waybill_audit.deliveries, waybill.deliveries"],
    "a view lacks columns": [
        "DROP VIEW waybill.sources", "CREATE VIEW waybill.sources AS SELECT source::varchar(32) FROM waybill_data.orders",
        other_digest("views/waybill.sources.sql")],
    "a view is open to another role": ["GRANT SELECT ON waybill.orders TO waybill_status", other_digest("views/waybill.orders.sql")],
    "views and a function too many": [
        "CREATE FUNCTION waybill_data.stray() RETURNS integer LANGUAGE sql RETURN 1", "CREATE VIEW waybill.stray AS SELECT waybill_data.stray()",
        "CREATE VIEW waybill_audit.stray AS SELECT * FROM waybill.stray"],
    "a file too many": ["INSERT INTO waybill_data.schema_files (name, digest, functions) VALUES ('functions/gone.sql', '\\x00', '{}')"],
    "a comment is another": ["COMMENT ON COLUMN waybill.orders.source IS 'Something.'", other_digest("views/waybill.orders.sql")],
}


@pytest.fixture(scope="module")
def current(stack: Stack) -> Iterator[tuple[object, ...]]:
    with migrated(stack) as dsn:
        yield state(dsn)


@pytest.mark.parametrize("name", STATES)
def test_it_comes_from_another_state(stack: Stack, current: tuple[object, ...], name: str) -> None:
    with migrated(stack) as dsn:
        change(dsn, *STATES[name])
        assert state(dsn) != current
        assert "the schema is current\n" == migrate(stack, dsn).splitlines(keepends=True)[-1]
        assert state(dsn) == current
        assert migrate(stack, dsn) == NOTHING


def test_psql_does_the_same_with_the_script(stack: Stack, current: tuple[object, ...]) -> None:
    """From all of these states at once; for a new database test_init.py does it."""
    with migrated(stack) as dsn:
        change(dsn, *[statement for name, statements in STATES.items() for statement in statements if name != "a function is gone"])
        name = str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
        dry = ("init", "--dry-run", "--database", name, "--config", str(stack.config), "--dsn", dsn)
        script = stack.waybill(*dry)
        assert script.returncode == 0 and state(dsn) != current
        psql = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", dsn]
        result = subprocess.run(psql, input=script.stdout, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        assert state(dsn) == current
        assert len(stack.waybill(*dry).stdout.splitlines()) == 2 and migrate(stack, dsn) == NOTHING


def test_what_fails_leaves_nothing(stack: Stack) -> None:
    with migrated(stack) as dsn:
        change(dsn, other_digest("functions/instant.sql"), other_digest("views/waybill.sources.sql"), "CREATE FUNCTION waybill_data.stray() RETURNS trigger"
               " LANGUAGE plpgsql AS 'BEGIN END'", "CREATE TRIGGER stray BEFORE INSERT ON waybill_data.feed FOR EACH ROW EXECUTE FUNCTION waybill_data.stray()")
        before = state(dsn)
        result = stack.waybill("migrate", "--dsn", dsn)
        assert result.returncode == 1 and "stray" in result.stderr, result
        assert state(dsn) == before
    with stack.empty_database() as dsn:
        change(dsn, "CREATE SCHEMA waybill", "CREATE TABLE waybill.sources ()")
        before_all = dumped(dsn)
        result = stack.waybill("migrate", "--dsn", dsn)
        assert result.returncode == 1 and 'views/waybill.sources.sql: "sources" is not a view' in result.stderr, result
        assert dumped(dsn) == before_all


# ---- beside others ----


def test_it_waits_and_lets_others_work(stack: Stack) -> None:
    """A report that reads a view, or a writer that has a lane, ends before it; meanwhile it holds the lanes for moments only."""
    for held in ("SELECT FROM waybill.sources", "SELECT FROM waybill_data.lanes FOR NO KEY UPDATE"):
        with migrated(stack) as dsn, psycopg.connect(dsn) as other, ThreadPoolExecutor(1) as pool:
            change(dsn, other_digest("views/waybill.sources.sql"))
            other.execute(held)
            running = pool.submit(migrate, stack, dsn)
            time.sleep(4)
            with psycopg.connect(dsn) as writer:
                writer.execute("SET lock_timeout = '10s'")
                if "lanes" not in held:
                    writer.execute("SELECT FROM waybill_data.lanes FOR NO KEY UPDATE")
            assert not running.done()
            other.rollback()
            assert running.result(60).startswith("waiting for a lock that another session holds\n")


def test_a_session_goes_on(stack: Stack) -> None:
    """One that has prepared what is made anew."""
    sql = "SELECT order_key, version, document FROM waybill_data.read_orders(%s, true, true)"
    with migrated(stack) as dsn, psycopg.connect(dsn, autocommit=True) as session:
        for digest in ("\\x00", "\\x01"):
            for _ in range(9):
                assert session.execute(sql, ([],), prepare=True).fetchall() == []
            change(dsn, f"UPDATE waybill_data.schema_files SET digest = '{digest}'")
            assert migrate(stack, dsn) == f"views and functions: {len(FILES)}\nthe schema is current\n"
        assert session.execute(sql, ([],), prepare=True).fetchall() == []


def test_the_release_knows_its_schema() -> None:
    header = (CHECKOUT / "src" / "engine" / "store.h").read_text()
    assert f"#define STORE_SCHEMA {int(MIGRATIONS[-1][:4])}\n" in header
    assert [int(name[:4]) for name in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
