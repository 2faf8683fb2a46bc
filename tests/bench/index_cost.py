#!/usr/bin/python3
"""What an index costs ingest: index_cost.py DSN [ROUNDS [ORDERS]]

DSN is a superuser's, of a cluster that may be played with (`make up`, then $WAYBILL_SUPERUSER_DSN). Each variant gets a copy of one database with ORDERS stored
orders and takes the same batches of events through the ingest function, in turn, ROUNDS times; figures are medians. CPU is the backend's, as the kernel
counts it. WAL is counted with full_page_writes=off for the time being, since whole pages depend on when a checkpoint was.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

sys.path.insert(0, str(Path(__file__).parent))
import ingest_sql  # noqa: E402

BATCH = 28
BATCHES = 400
EVENTS = BATCH * BATCHES
BASE = "waybill_index_cost"
COPY = f"{BASE}_copy"

# What is measured beside the schema as it is; twice the same shows what chance does.
VARIANTS = {
    "as it is": "",
    "as it is, again": "",
    "without deliveries_by_time and tracking_events_by_time": "DROP INDEX waybill_data.deliveries_by_time, waybill_data.tracking_events_by_time",
    "without boxes_by_delivery": "DROP INDEX waybill_data.boxes_by_delivery",
    "that one as a BRIN":
        "DROP INDEX waybill_data.boxes_by_delivery; CREATE INDEX ON waybill_data.boxes USING brin (delivered_at) WITH (autosummarize = on)",
    "without deliveries_by_source": "DROP INDEX waybill_data.deliveries_by_source",
    "B-tree tracking_events (occurred_at)": "CREATE INDEX ON waybill_data.tracking_events (occurred_at)",
    "B-tree orders (source)": "CREATE INDEX ON waybill_data.orders (source)",
    "B-tree orders (order_id)": "CREATE INDEX ON waybill_data.orders (order_id)",
    "BRIN orders (updated_at)": "CREATE INDEX ON waybill_data.orders USING brin (updated_at) WITH (autosummarize = on)",
    "B-tree orders (status)": "CREATE INDEX ON waybill_data.orders (status)",
}


def batch_statement(admin: psycopg.Connection, orders: int) -> str:
    """BATCH events from %(first)s on: one in five is about one of the stored orders, spread over all of them, each at most once."""
    parcel = f"'CBS' || lpad((CASE WHEN n %% 5 = 0 THEN 1 + (n / 5 * 7919) %% {orders} ELSE n + {orders} END)::text, 9, '0')"
    inputs = ingest_sql._made_inputs("n::bigint", f"1 + n %% {len(ingest_sql.WORDS)}", "'evt_cost' || n::text", parcel) | {
        "order_key": f"pg_temp.order_key({parcel})", "box_key": f"pg_temp.box_key(pg_temp.order_key({parcel}), {parcel})"}
    source = ingest_sql._source(
        inputs, "(n - %(first)s + 1)::integer", f" FROM generate_series(%(first)s::integer, %(first)s::integer + {BATCH - 1}) n")
    return ingest_sql._call(admin, "array_agg({})") + source


def cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


def measure(dsn: str, orders: int) -> dict[str, float]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(ingest_sql.FILL_FUNCTIONS)
        statement = batch_statement(connection, orders)
        for number in range(20):  # plans are made, catalogs are read
            connection.execute(statement, {"first": 1 + (BATCHES + number) * BATCH})
        counters = ("SELECT pg_current_wal_insert_lsn() - '0/0', sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables"
                    " WHERE relname IN ('orders', 'boxes')")
        pid = connection.info.backend_pid
        before, cpu = settled(connection, counters), cpu_us(pid)
        for number in range(BATCHES):
            connection.execute(statement, {"first": 1 + number * BATCH})
        cpu = cpu_us(pid) - cpu
        after = settled(connection, counters)
    wal, updates, hot = (float(b - a) for a, b in zip(before, after))
    return {"CPU us": cpu / EVENTS, "WAL bytes": wal / EVENTS, "HOT %": 100 * hot / updates}


def settled(connection: psycopg.Connection, counters: str) -> tuple:
    """The session's own counts are in the view."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    return connection.execute(counters).fetchone()


def main() -> None:
    dsn, rounds, orders = sys.argv[1], int((sys.argv[2:] or ["3"])[0]), int((sys.argv[3:] or ["100000"])[0])
    results: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as admin:
        try:
            prepare(admin, dsn, orders)
            for _ in range(rounds):
                for name, change in VARIANTS.items():
                    admin.execute(f"DROP DATABASE IF EXISTS {COPY}")
                    admin.execute(f"CREATE DATABASE {COPY} TEMPLATE {BASE}")
                    with psycopg.connect(make_conninfo(dsn, dbname=COPY), autocommit=True) as copy:
                        copy.execute(f"{change}; ANALYZE")
                    results[name].append(measure(make_conninfo(dsn, dbname=COPY), orders))
                    print(f"{name:56}", results[name][-1], file=sys.stderr, flush=True)
        finally:
            admin.execute("ALTER SYSTEM RESET full_page_writes")
            admin.execute("ALTER SYSTEM RESET autovacuum")
            admin.execute("SELECT pg_reload_conf()")
            for database in (COPY, BASE):
                admin.execute(f"DROP DATABASE IF EXISTS {database}")
    for name, rows in results.items():
        print(f"{name:56}", *(f"{key} {statistics.median(row[key] for row in rows):9.1f}" for key in rows[0]))


def prepare(admin: psycopg.Connection, dsn: str, orders: int) -> None:
    admin.execute(f"DROP DATABASE IF EXISTS {BASE}")
    # The stack's own database may be in use, so it is not copied but made again.
    database = make_conninfo(dsn, dbname=BASE)
    admin.execute(f"CREATE DATABASE {BASE}")
    admin.execute("ALTER SYSTEM SET full_page_writes = off")
    admin.execute("ALTER SYSTEM SET autovacuum = off")
    admin.execute("SELECT pg_reload_conf()")
    with psycopg.connect(database, autocommit=True) as base:
        for folder in ("migrations", "views", "functions"):
            for file in sorted((Path(__file__).parents[2] / "schema" / folder).iterdir()):
                with base.transaction():
                    base.execute(file.read_text())
        base.execute(ingest_sql.FILL_FUNCTIONS)
        fill = ingest_sql.fill_statement(base)
        for first in range(1, orders + 1, 2000):
            base.execute(fill, {"first": first, "last": min(first + 1999, orders)})
        base.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
