"""What each database role can do, told by the database itself: nothing but its own part, whatever it tries."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Iterator

import psycopg
import pytest

import waybill_client as client
from waybill_stack import CHECKOUT, Stack

pytestmark = pytest.mark.once

SCHEMAS = ("waybill", "waybill_audit", "waybill_data")
ROLES = ("waybill_ingest", "waybill_status", "waybill_report", "waybill_audit")
READERS = ("waybill_report", "waybill_audit")

VIEWS = (
    "waybill.orders", "waybill.boxes", "waybill.tracking_events", "waybill.order_changes", "waybill.manifests", "waybill.deliveries",
    "waybill.suspected_gaps", "waybill.statuses", "waybill.sources",
)
AUDIT_VIEWS = ("waybill_audit.recipients", "waybill_audit.documents", "waybill_audit.messages", "waybill_audit.deliveries",
               "waybill_audit.actions")
TYPES = {
    "uuid": ("order_key", "box_key", "delivery_id"), "text[]": ("attention",), "boolean": ("live", "conflict", "was_delayed"),
    "timestamp with time zone": ("status_at", "occurred_at", "received_at", "updated_at", "submitted_at"), "date": ("estimated_delivery_date",),
    "bytea": ("body",), "jsonb": ("headers", "destination"), "text": ("previous_value", "new_value", "detail", "tracking_url"),
    # What ODBC would else take for a long text, which it can neither sort nor group by.
    "character varying(32)": ("provider", "status", "field", "outcome"),
    "character varying(255)": (
        "order_id", "order_number", "external_reference", "box_id", "tracking_number", "carrier", "provider_status", "status_detail",
        "provider_status_detail", "courier_id", "location", "destination_country", "destination_zip", "destination_city", "shipment_id", "awb_number",
        "country", "event_type", "meaning"),
}


# ---- asking as a role ----


def dsn_of(stack: Stack, role: str) -> str:
    """The readers' stand in run.env, the programs' in their configuration."""
    if role in READERS:
        return stack.env[f"{role.upper()}_DSN"]
    name = role.removeprefix("waybill_") + "_dsn"
    found = re.search(rf'\b{name}\s*=\s*"([^"]*)"', stack.config.read_text())
    assert found, f"no {name} in the configuration"
    return found.group(1)


@contextmanager
def connected_as(stack: Stack, role: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn_of(stack, role), autocommit=True) as connection:
        # Only a default, which everybody may change: what follows must fail for want of a privilege.
        connection.execute("SET default_transaction_read_only = off")
        yield connection


@pytest.fixture(scope="module")
def catalog(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """As the schema's owner."""
    with psycopg.connect(stack.env["WAYBILL_DSN"], autocommit=True) as connection:
        yield connection


def names(connection: psycopg.Connection[Any], sql: str, *parameters: object) -> set[str]:
    return {row[0] for row in connection.execute(sql, parameters)}


OUR_RELATIONS = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (%s)"
OUR_FUNCTIONS = "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY (%s)"


# ---- privileges, each against the whole catalog ----

RELATIONS_OF = {"waybill_ingest": set(), "waybill_status": set(), "waybill_report": set(VIEWS), "waybill_audit": set(VIEWS) | set(AUDIT_VIEWS)}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_its_views_and_writes_nothing(catalog: psycopg.Connection[Any], role: str) -> None:
    readable = names(
        catalog, f"SELECT n.nspname || '.' || c.relname FROM {OUR_RELATIONS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND (has_table_privilege(%s, c.oid, 'SELECT') OR has_any_column_privilege(%s, c.oid, 'SELECT'))", list(SCHEMAS), role, role)
    assert readable == RELATIONS_OF[role]
    writable = names(
        catalog, f"SELECT n.nspname || '.' || c.relname FROM {OUR_RELATIONS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND (has_table_privilege(%s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        " OR has_any_column_privilege(%s, c.oid, 'INSERT, UPDATE, REFERENCES'))", list(SCHEMAS), role, role)
    sequences = names(
        catalog, f"SELECT c.relname FROM {OUR_RELATIONS}"
        " AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(%s, c.oid, 'USAGE, SELECT, UPDATE') END", list(SCHEMAS), role)
    assert writable | sequences == set()


# What status.fcgi calls.
STATUS_FUNCTIONS = (
    "explain_order", "feed_state", "find_orders", "newest_deliveries", "order_versions", "panel_deliveries", "panel_gaps", "panel_problems", "panel_silent",
    "panel_sources", "read_orders", "search_orders", "walk_feed",
)
# What webhook.fcgi calls.
INGEST_FUNCTIONS = ("read_spans", "take_deliveries", "write_states")
# What must never be within reach of the role that only reads for the status endpoint.
WRITING_FUNCTIONS = {"announce_orders", "lock_lane", "prune_feed", "purge_orders", "purge_deliveries", "replace_order", "take_replayed", *INGEST_FUNCTIONS}


def executable(catalog: psycopg.Connection[Any], role: str) -> set[str]:
    return names(catalog, f"SELECT p.proname FROM {OUR_FUNCTIONS} AND has_function_privilege(%s, p.oid, 'EXECUTE')", list(SCHEMAS), role)


def test_ingest_executes_its_functions(catalog: psycopg.Connection[Any]) -> None:
    assert executable(catalog, "waybill_ingest") == set(INGEST_FUNCTIONS)


def test_status_executes_functions_that_only_read(catalog: psycopg.Connection[Any]) -> None:
    mine = executable(catalog, "waybill_status")
    assert mine and not mine & WRITING_FUNCTIONS
    volatile = names(catalog, f"SELECT p.proname FROM {OUR_FUNCTIONS} AND p.provolatile = 'v'", list(SCHEMAS))
    assert not mine & volatile


@pytest.mark.parametrize("role", READERS)
def test_readers_execute_nothing(catalog: psycopg.Connection[Any], role: str) -> None:
    assert executable(catalog, role) == set()


SCHEMAS_OF = {
    "waybill_ingest": {"waybill_data"}, "waybill_status": {"waybill_data"}, "waybill_report": {"waybill"},
    "waybill_audit": {"waybill", "waybill_audit"},
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_enters_its_schemas_and_creates_in_none(catalog: psycopg.Connection[Any], role: str) -> None:
    entered = names(catalog, "SELECT nspname FROM pg_namespace WHERE nspname = ANY (%s) AND has_schema_privilege(%s, oid, 'USAGE')",
                    list(SCHEMAS), role)
    assert entered == SCHEMAS_OF[role]
    assert names(catalog, "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'CREATE')", role) == set()
    assert names(catalog, "SELECT datname FROM pg_database WHERE datname = current_database() AND has_database_privilege(%s, oid, 'CREATE, TEMP')",
                 role) == set()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_no_other_powers(catalog: psycopg.Connection[Any], role: str) -> None:
    powers = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    assert names(catalog, f"SELECT rolname FROM pg_roles WHERE rolname = %s AND ({powers})", role) == set()
    assert names(catalog, "SELECT rolname FROM pg_roles WHERE rolname <> %s AND pg_has_role(%s, oid, 'MEMBER')", role, role) == set()


# ---- the same, tried ----

# By every role, for want of a privilege.
FORBIDDEN = {
    "read orders": "SELECT * FROM waybill_data.orders",
    "read bodies": "SELECT body FROM waybill_data.bodies",
    "read personal orders": "SELECT * FROM waybill_data.personal_orders",
    "write orders": "UPDATE waybill_data.orders SET status = 'failed'",
    "delete": "DELETE FROM waybill_data.deliveries",
    "truncate": "TRUNCATE waybill_data.feed",
    "draw positions": "SELECT nextval('waybill_data.feed_position')",
    "purge": "SELECT waybill_data.purge_orders('{}')",
    "filter": "SELECT waybill_data.filter_orders('{}', NULL, NULL, true, NULL, NULL, 1)",
    "temporary table": "CREATE TEMPORARY TABLE mine (it integer)",
    "temporary table by SELECT": "SELECT 1 AS it INTO TEMPORARY mine",
    "table in public": "CREATE TABLE public.mine (it integer)",
    "function in public": "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql RETURN 1",
    "view in waybill": "CREATE VIEW waybill.mine AS SELECT 1 AS it",
    "schema": "CREATE SCHEMA mine",
    "new large object": "SELECT lo_create(0)",
    "large object of bytes": "SELECT lo_from_bytea(0, 'x')",
    "become the owner": "SET ROLE waybill_owner",
    "grant": "GRANT waybill_owner TO CURRENT_USER",
    "read a file": "SELECT pg_read_file('postgresql.conf')",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "lift a limit": "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
    "read passwords": "SELECT rolpassword FROM pg_authid",
    "become the superuser": "SET SESSION AUTHORIZATION postgres",
    "start as the owner": "SET SESSION AUTHORIZATION waybill_owner",
    "change another's password": "ALTER ROLE waybill_owner PASSWORD 'mine'",
    "change another's settings": "ALTER ROLE waybill_owner SET search_path = pg_temp",
    "change everybody's settings": "ALTER ROLE ALL SET search_path = pg_temp",
    "new role": "CREATE ROLE mine",
    "end the others": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> CURRENT_USER",
    "read the configuration": "SELECT * FROM pg_file_settings",
    "read who may log in": "SELECT * FROM pg_hba_file_rules",
    "list files": "SELECT pg_ls_dir('.')",
    "look at a file": "SELECT pg_stat_file('postgresql.conf')",
    "read a file as bytes": "SELECT pg_read_binary_file('PG_VERSION')",
    "list the logs": "SELECT pg_ls_logdir()",
    "write a file": "COPY (SELECT 1) TO '/tmp/mine'",
    "load a file": "DO $$ BEGIN EXECUTE 'COPY pg_class FROM ''/etc/passwd'''; END $$",
    "read from a program": "DO $$ BEGIN EXECUTE 'COPY pg_class FROM PROGRAM ''id'''; END $$",
    "load a library": "LOAD 'auto_explain'",
    "a C function": "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE c AS 'libc.so.6', 'getpid'",
    "an extension": "ALTER EXTENSION plpgsql UPDATE",
    "a language": "CREATE LANGUAGE mine HANDLER plpgsql_call_handler",
    "a foreign server": "CREATE FOREIGN DATA WRAPPER mine",
    "an event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION mine()",
    "a publication": "CREATE PUBLICATION mine",
    "a type in public": "CREATE TYPE public.mine AS (it integer)",
    "a type in our schema": "CREATE TYPE waybill_data.mine AS (it integer)",
    "an operator in public": "CREATE OPERATOR public.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq)",
    "a schema for oneself": "CREATE SCHEMA AUTHORIZATION CURRENT_USER",
    "a replication slot": "SELECT pg_create_physical_replication_slot('mine')",
    "read the log of changes": "SELECT pg_create_logical_replication_slot('mine', 'test_decoding')",
    "write into the log of changes": "SELECT pg_logical_emit_message(false, 'mine', 'x')",
    "reload": "SELECT pg_reload_conf()",
    "switch the log": "SELECT pg_switch_wal()",
    "a server's parameter": "SET log_statement = 'none'",
    "preload": "SET session_preload_libraries = 'mine'",
    "triggers off": "SET session_replication_role = replica",
    "own a table": "ALTER TABLE waybill_data.orders OWNER TO CURRENT_USER",
    "change a function": "ALTER FUNCTION waybill_data.read_orders(uuid[], boolean, boolean) SECURITY INVOKER",
    "drop": "DROP VIEW waybill.orders",
    "comment": "COMMENT ON VIEW waybill.orders IS 'mine'",
    "lock out the writers": "LOCK TABLE waybill_data.orders IN ACCESS EXCLUSIVE MODE",
    "lock out the readers": "LOCK TABLE waybill.orders IN ACCESS EXCLUSIVE MODE",
    "statistics of tables": "SELECT pg_stat_reset()",
}
# PostgreSQL does these in no transaction of ours, so nothing could be taken back.
FORBIDDEN_ALONE = {
    "change the server": "ALTER SYSTEM SET fsync = off",
    "a database": "CREATE DATABASE mine",
    "drop the database": "DROP DATABASE postgres",
    "a tablespace": "CREATE TABLESPACE mine LOCATION '/tmp'",
}
# Readers may look at their own views only.
FORBIDDEN_VIEWS = {
    "waybill_ingest": (*VIEWS, *AUDIT_VIEWS), "waybill_status": (*VIEWS, *AUDIT_VIEWS), "waybill_report": tuple(AUDIT_VIEWS), "waybill_audit": (),
}


@pytest.mark.parametrize("role", ROLES)
def test_what_is_forbidden_fails(stack: Stack, role: str) -> None:
    statements = {**FORBIDDEN, **{view: f"SELECT * FROM {view}" for view in FORBIDDEN_VIEWS[role]}}
    with connected_as(stack, role) as connection:
        allowed = [name for name, sql in statements.items() if not is_refused(connection, sql)]
        for name, sql in FORBIDDEN_ALONE.items():
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql)
    assert allowed == []


def is_refused(connection: psycopg.Connection[Any], sql: str) -> bool:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error as error:
        # It failed for another reason: the statement proves nothing.
        raise AssertionError(f"{sql}: {error!r}") from error
    return False


@pytest.mark.parametrize("role", ROLES)
def test_every_large_object_function_is_refused(catalog: psycopg.Connection[Any], role: str) -> None:
    """All of them: one that is left is enough to store something."""
    functions = "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace" \
        r" AND (proname LIKE 'lo\_%%' OR proname IN ('loread', 'lowrite')) AND has_function_privilege(%s, oid, 'EXECUTE')"
    assert names(catalog, functions, role) == set()


@pytest.mark.parametrize("role", READERS)
def test_readers_see_all_of_their_views(stack: Stack, role: str) -> None:
    with connected_as(stack, role) as connection:
        for view in RELATIONS_OF[role]:
            connection.execute(f"SELECT * FROM {view} LIMIT 1")


@pytest.mark.parametrize("role", READERS)
def test_readers_have_limits(stack: Stack, catalog: psycopg.Connection[Any], role: str) -> None:
    with psycopg.connect(dsn_of(stack, role)) as connection:
        ((seconds,),) = connection.execute("SELECT extract(epoch FROM current_setting('statement_timeout')::interval)").fetchall()
    ((limit,),) = catalog.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", (role,)).fetchall()
    assert 0 < seconds <= 3600 and limit > 0


# ---- all privileges there are ----

ACCESS_LISTS = """
    SELECT 'relation ' || c.oid::regclass AS object, c.relacl AS acl FROM pg_class c
    UNION ALL SELECT 'column ' || attrelid::regclass || '.' || attname, attacl FROM pg_attribute
    UNION ALL SELECT 'function ' || oid::regproc, proacl FROM pg_proc
    UNION ALL SELECT 'schema ' || nspname, nspacl FROM pg_namespace
    UNION ALL SELECT 'database', datacl FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'another database', datacl FROM pg_database WHERE datname <> current_database()
    UNION ALL SELECT 'type ' || oid::regtype, typacl FROM pg_type
    UNION ALL SELECT 'language ' || lanname, lanacl FROM pg_language
    UNION ALL SELECT 'wrapper ' || fdwname, fdwacl FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'server ' || srvname, srvacl FROM pg_foreign_server
    UNION ALL SELECT 'large object ' || oid, lomacl FROM pg_largeobject_metadata
    UNION ALL SELECT 'tablespace ' || spcname, spcacl FROM pg_tablespace
    UNION ALL SELECT 'parameter ' || parname, paracl FROM pg_parameter_acl
    UNION ALL SELECT 'default ' || defaclobjtype::text, defaclacl FROM pg_default_acl"""
GRANTED = {
    "waybill_ingest": {"CONNECT database", "USAGE schema waybill_data", *(f"EXECUTE function waybill_data.{name}" for name in INGEST_FUNCTIONS)},
    "waybill_status": {"CONNECT database", "USAGE schema waybill_data", *(f"EXECUTE function waybill_data.{name}" for name in STATUS_FUNCTIONS)},
    "waybill_report": {"CONNECT database", "USAGE schema waybill", *(f"SELECT relation {view}" for view in VIEWS)},
    "waybill_audit": {
        "CONNECT database", "USAGE schema waybill", "USAGE schema waybill_audit", *(f"SELECT relation {view}" for view in (*VIEWS, *AUDIT_VIEWS))},
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_granted_exactly_this(catalog: psycopg.Connection[Any], role: str) -> None:
    """Over every list of the whole catalog; none may be passed on."""
    granted = names(
        catalog, "SELECT a.privilege_type || ' ' || o.object || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END"
        f" FROM ({ACCESS_LISTS}) o, aclexplode(o.acl) a WHERE a.grantee = %s::regrole", role)
    assert granted == GRANTED[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_owns_nothing_and_is_nobody_else(catalog: psycopg.Connection[Any], role: str) -> None:
    owned = "SELECT d.classid::regclass || ' ' || d.objid FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass" \
        " AND d.refobjid = %s::regrole AND d.deptype = 'o'"
    assert names(catalog, owned, role) == set()
    assert names(catalog, "SELECT r.rolname FROM pg_roles r WHERE pg_has_role(%s, r.oid, 'MEMBER')", role) == {role}
    special = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    assert names(catalog, f"SELECT rolname FROM pg_roles WHERE rolname = %s AND ({special})", role) == set()


@pytest.mark.parametrize("role", ROLES)
def test_the_others_statements_are_not_shown(stack: Stack, role: str) -> None:
    """A statement may carry a body, a token's hash or an address."""
    with connected_as(stack, role) as connection:
        seen = names(connection, "SELECT DISTINCT query FROM pg_stat_activity WHERE usename <> CURRENT_USER")
        statistics = names(connection, "SELECT tablename FROM pg_stats WHERE schemaname = 'waybill_data'")
    assert seen == {"<insufficient privilege>"} and statistics == set()


@pytest.mark.parametrize("role", READERS)
def test_the_number_of_connections_is_bounded(stack: Stack, catalog: psycopg.Connection[Any], role: str) -> None:
    """statement_timeout is only a default, which a session may change: this is what holds against who wants to be a burden."""
    ((limit,),) = catalog.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", (role,)).fetchall()
    with ExitStack() as connections, pytest.raises(psycopg.OperationalError, match="too many connections"):
        for _ in range(limit + 1):
            connections.enter_context(psycopg.connect(dsn_of(stack, role)))


# ---- the schema itself ----


def test_public_has_no_part_in_anything(catalog: psycopg.Connection[Any]) -> None:
    # Without an access list the built-in default holds: everybody may execute a function.
    functions = f"SELECT p.oid::regprocedure::text FROM {OUR_FUNCTIONS}" \
        " AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))"
    relations = f"SELECT c.relname FROM {OUR_RELATIONS} AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)"
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname = ANY (%s) AND EXISTS (SELECT FROM aclexplode(nspacl) a WHERE a.grantee = 0)"
    for sql in (functions, relations, schemas):
        assert names(catalog, sql, list(SCHEMAS)) == set()


def test_a_function_of_a_later_migration_is_nobodys(catalog: psycopg.Connection[Any]) -> None:
    with catalog.transaction(force_rollback=True):
        catalog.execute("CREATE FUNCTION waybill_data.of_tomorrow() RETURNS integer LANGUAGE sql RETURN 1")
        assert [role for role in ROLES if "of_tomorrow" in executable(catalog, role)] == []


def test_the_owner_owns_everything(catalog: psycopg.Connection[Any]) -> None:
    owner = " AND pg_get_userbyid({}) <> 'waybill_owner'"
    assert names(catalog, f"SELECT c.relname FROM {OUR_RELATIONS}" + owner.format("c.relowner"), list(SCHEMAS)) == set()
    assert names(catalog, f"SELECT p.proname FROM {OUR_FUNCTIONS}" + owner.format("p.proowner"), list(SCHEMAS)) == set()
    assert names(catalog, "SELECT nspname FROM pg_namespace WHERE nspname = ANY (%s)" + owner.format("nspowner"), list(SCHEMAS)) == set()
    assert names(catalog, "SELECT rolname FROM pg_roles WHERE rolname = 'waybill_owner' AND rolsuper") == set()


def test_nothing_is_in_public(catalog: psycopg.Connection[Any]) -> None:
    kinds = {"pg_class": "relnamespace", "pg_proc": "pronamespace", "pg_type": "typnamespace", "pg_operator": "oprnamespace"}
    for table, column in kinds.items():
        assert names(catalog, f"SELECT oid::text FROM {table} WHERE {column} = 'public'::regnamespace") == set(), table


def test_functions_do_not_depend_on_the_callers_search_path(catalog: psycopg.Connection[Any]) -> None:
    """The body is parsed once and for all, or the path is pinned to where nobody can create anything, with pg_temp last."""
    loose = names(catalog, f"SELECT p.oid::regprocedure::text FROM {OUR_FUNCTIONS} AND p.prosqlbody IS NULL"
                  " AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)", list(SCHEMAS))
    assert loose == set()


def test_only_what_a_program_calls_runs_as_the_owner(catalog: psycopg.Connection[Any]) -> None:
    definers = names(catalog, f"SELECT p.proname FROM {OUR_FUNCTIONS} AND p.prosecdef", list(SCHEMAS))
    assert definers == executable(catalog, "waybill_ingest") | executable(catalog, "waybill_status")


@pytest.mark.parametrize("view", [*VIEWS, *AUDIT_VIEWS])
def test_a_view_has_comments_everywhere(catalog: psycopg.Connection[Any], view: str) -> None:
    audit = view in AUDIT_VIEWS
    columns = {name: (kind, comment) for name, kind, comment in catalog.execute(
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", (view,))}
    assert [name for name, (_, comment) in columns.items() if not comment] == []
    types = {name: kind for kind, those in TYPES.items() for name in those if not (audit and kind.startswith("character"))}
    assert [(name, kind) for name, (kind, _) in columns.items() if types.get(name, kind) != kind] == []
    ((comment, options),) = catalog.execute(
        "SELECT obj_description(oid, 'pg_class'), reloptions FROM pg_class WHERE oid = %s::regclass", (view,)).fetchall()
    # With a barrier, a join of two views reads one of them as a whole: those for reports hide columns only, and do without.
    assert comment and ("security_barrier=true" in (options or ())) == audit


# What a view has a row for each of.
ROWS_OF = {
    "waybill.orders": "orders", "waybill.boxes": "boxes", "waybill.tracking_events": "tracking_events", "waybill.order_changes": "order_changes",
    "waybill.manifests": "manifests", "waybill.deliveries": "deliveries",
}


@pytest.mark.parametrize("view", ROWS_OF)
def test_a_view_without_a_barrier_hides_no_row(stack: Stack, catalog: psycopg.Connection[Any], view: str) -> None:
    """There is nothing that a function in somebody's WHERE could see too early."""
    for source, document in samples():
        assert stack.sender(source).post(document).status == 200
    ((shown, stored),) = catalog.execute(f"SELECT (SELECT count(*) FROM {view}), (SELECT count(*) FROM waybill_data.{ROWS_OF[view]})").fetchall()
    assert shown == stored > 0


def test_there_are_no_views_beside_these(catalog: psycopg.Connection[Any]) -> None:
    found = names(catalog, f"SELECT n.nspname || '.' || c.relname FROM {OUR_RELATIONS} AND c.relkind <> 'i'", ["waybill", "waybill_audit"])
    assert found == set(VIEWS) | set(AUDIT_VIEWS)


# ---- personal data ----

# Members of the senders' documents whose values are about people, or for people, or link to papers with people's names.
PERSONAL_MEMBERS = (
    "name", "surnames", "first_name", "last_name", "company", "company_title", "street", "street1", "street2", "address1", "address2",
    "details", "email", "phone", "signature", "proofOfDelivery", "reason", "message", "raw", "uri", "label_url", "google_maps_link", "banner_url",
)
# Shorter ones are found by chance in what is not personal.
SHORTEST_TELLING = 6


def personal_values(value: Any, inside: bool = False) -> set[str]:
    if isinstance(value, dict):
        return {one for key, member in value.items() for one in personal_values(member, inside or key == "phone" or key in PERSONAL_MEMBERS)}
    if isinstance(value, list):
        return {one for member in value for one in personal_values(member, inside)}
    return {value} if inside and isinstance(value, str) and len(value) >= SHORTEST_TELLING else set()


# Members called "name" that are no names of people.
NOT_PERSONAL = {"Colissimo", "shipment_notify", "order_notify", "stock_notify", "Origin scan"}


def samples() -> list[tuple[str, Any]]:
    paths = sorted(Path(CHECKOUT, "tests", "samples").glob("*/*.json"))
    return [(path.parent.name, json.loads(path.read_text())) for path in paths]


def misplaced() -> list[tuple[str, Any]]:
    """Personal data where none is expected: what cannot be understood must not show it either."""
    name = "Zenobia Quillfeather, Kobaltweg 17"
    order = client.uid("order-")
    return [
        ("crowdsender", client.destination_updated(order, name)),
        ("crowdsender", client.send_date_updated(order, name)),
        ("crowdsender", client.crowdsender_event("addressLabelPrinted", order, client.recipient())),
        ("crossborderly", client.crossborderly_event("parcel.signed", {"trackingNumber": client.uid("CB"), "signature": name})),
        ("swiftpod", client.swiftpod_event("shipment_notify", {"id": {"name": name}, "address": {"name": name}})),
        ("shipup", client.shipup_event("tracker.new", client.tracker(client.number(), "delivered", [client.scan("delivered")], id={"name": name}))),
    ]


def ordinary() -> list[tuple[str, Any]]:
    order, parcel = client.uid("order-"), client.uid("CB")
    return [
        ("crowdsender", client.destination_updated(order, previous=client.recipient(city="Ulm"))),
        ("crowdsender", client.tracking_updated(order, "B1", "generated label", **client.label(client.uid("TRK")))),
        ("crossborderly", client.delivered(parcel)),
        ("crossborderly", client.exception(parcel)),
        ("shipup", client.shipup_event("tracker.events.new", client.tracker(client.number(), "delivered", [client.scan("delivered")]))),
        ("swiftpod", client.shipment_notify(client.number(), [client.tracked(client.uid("1Z"), "delivered", {"item": 1})])),
    ]


def test_reports_show_no_personal_data(stack: Stack) -> None:
    telling = set(client.PERSONAL)
    for source, document in samples() + ordinary() + misplaced():
        assert stack.sender(source).post(document).status == 200
        telling |= personal_values(document)
    telling -= NOT_PERSONAL
    assert {"Zenobia", "xxxxxx@gmail.com", "M. García", "4736 Phillips Rice Rd", "1, rue de Rivoli", "https://jjkdjk.label.pdf"} <= telling
    texts = "\n".join(text for view in VIEWS for text in texts_of(stack, "waybill_report", view))
    assert "München" in texts, "the events have come"
    assert [value for value in telling if value in texts] == []


def texts_of(stack: Stack, role: str, view: str) -> list[str]:
    """Every value of every row, as people read it."""
    with connected_as(stack, role) as connection:
        return [text for (text,) in connection.execute(f"SELECT string_agg(e.value, ' ') FROM {view} v, jsonb_each_text(to_jsonb(v)) e GROUP BY v")]
