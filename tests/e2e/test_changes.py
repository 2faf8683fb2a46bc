"""/changes: none skipped and nobody in the way, whatever commits when; cursors that outlive restarts, rebuilds, dumps and a standby; and long walks page by page."""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack, contextmanager
from random import Random
from threading import Thread
from typing import Any, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

import waybill_client as wb
from batches import commit_less
from conftest import Stacks
from convergence_fixtures import connected, database, processes  # noqa: F401 (fixtures)
from convergence_state import Database
from second_cluster import SecondCluster
from storms import Background, Follower, all_events, in_random_steps, with_resends
from test_outage import ANSWER_SECONDS
from two_processes import TwoProcesses
from waiting import wait_until
from waybill_stack import Stack, set_option

pytestmark = pytest.mark.once

SEED = 20261122


@pytest.fixture
def stack(processes: TwoProcesses, database: Database) -> Stack:
    """Emptied for each test."""
    return processes.stack


def ship(stack: Stack, order: str, word: str = "SHIPPED", minutes: float = 0) -> None:
    stack.sender("crowdsender").deliver(wb.status_updated(order, word, wb.moment(minutes)))


def ids(documents: list[wb.Json]) -> list[str]:
    return [document["id"] for document in documents]


def cursor_of(feed_id: int, position: int) -> str:
    return f"{feed_id:x}-{position:x}"


# ---- transactions that overlap ----


def write(connection: psycopg.Connection[Any], name: str) -> None:
    commit_less(connection.cursor(), name)


def test_two_interleaved_transactions(stack: Stack) -> None:
    """The one that draws its position first is seen first, also when the other is ready to commit before it."""
    follower = Follower(stack.status)
    dsn = stack.env["WAYBILL_SUPERUSER_DSN"]
    with psycopg.connect(dsn) as first, psycopg.connect(dsn) as second, psycopg.connect(dsn, autocommit=True) as watcher:
        write(first, "first")
        writing = Thread(target=write, args=(second, "second"))
        writing.start()
        waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        wait_until(lambda: watcher.execute(waits, (second.info.backend_pid,)).fetchone() == (True,), "the second waits for its turn")
        assert follower.read_on() == []
        first.commit()
        writing.join()
        assert ids(follower.read_on()) == ["first"]
        second.commit()
        assert ids(follower.read_on()) == ["second"]
    assert len(follower.newest()) == 2


def test_a_transaction_that_is_rolled_back_leaves_no_gap_to_fall_into(stack: Stack) -> None:
    follower = Follower(stack.status)
    with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        write(connection, "given up")
        connection.rollback()
    ship(stack, "real")
    assert ids(follower.read_on()) == ["real"]


def test_a_strangers_open_transaction_holds_nobody_up(stack: Stack) -> None:
    """In this database and in another, with a transaction id and an old snapshot."""
    follower = Follower(stack.status)
    dsn = stack.env["WAYBILL_SUPERUSER_DSN"]
    with ExitStack() as strangers:
        for where in (dsn, dsn.replace("dbname=waybill", "dbname=postgres")):
            stranger = strangers.enter_context(psycopg.connect(where))
            stranger.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            stranger.execute("SELECT pg_current_xact_id()")
        for order in ("one", "two"):
            ship(stack, order)
            assert ids(follower.read_on()) == [order]


@pytest.mark.tsan
def test_several_followers_under_load(processes: TwoProcesses, database: Database, stack: Stack) -> None:
    """Every follower hears the last of every order, in the order of the cursors."""
    random = Random(SEED)
    followers = [Follower(stack.status, limit) for limit in (1, 7, 1000)]
    with ExitStack() as reading:
        for follower in followers:
            reading.enter_context(Background(follower.read_on))
        processes.deliver_in_steps(in_random_steps(with_resends(all_events(), random), random))
    documents = {f"{source} {order}": one for (source, live, order), one in database.documents_with_versions().items() if live}
    assert len(documents) > 20
    for follower in followers:
        assert follower.newest() == documents


# ---- cursors that last ----


@contextmanager
def reading_from(stack: Stack, cluster: SecondCluster) -> Iterator[None]:
    """status.fcgi asks another cluster."""
    with stack.configured(lambda text: set_option(text, "database", "status_dsn", f'"{cluster.dsn("waybill_status")}"')):
        yield


def test_a_cursor_outlives_dump_and_restore(stack: Stack) -> None:
    """The identity of the feed is in the dump. Another database's cursor, and one of what the dump does not have, is gone."""
    ship(stack, "old")
    follower = Follower(stack.status)
    ship(stack, "new")
    with SecondCluster(stack).restored() as cluster:
        ship(stack, "lost")
        beyond = stack.status.json("/changes", {"after": "latest"})["next_cursor"]
        with reading_from(stack, cluster), cluster.connect() as there:
            assert ids(follower.read_on()) == ["new"]
            assert stack.status.get("/changes", {"after": beyond}).status == 410
            write(there, "continued")
            assert ids(follower.read_on()) == ["continued"]
            # As docs/polling.md says for a restore of an older state.
            there.execute("UPDATE waybill_data.installation SET feed_id = DEFAULT")
            assert stack.status.get("/changes", {"after": follower.cursor}).status == 410
            assert sorted(ids(stack.status.json("/changes")["orders"])) == ["continued", "new", "old"]
    assert ids(follower_from(stack, beyond).read_on()) == []


def follower_from(stack: Stack, cursor: str) -> Follower:
    follower = Follower(stack.status)
    follower.cursor = cursor
    return follower


def test_a_standby_may_be_behind(stack: Stack) -> None:
    """What its primary has told already comes later there; nobody has to begin anew."""
    ship(stack, "old")
    follower = Follower(stack.status)
    feed_id = int(follower.cursor.split("-")[0], 16)
    with SecondCluster(stack).standby() as standby, reading_from(stack, standby), standby.connect() as there:
        assert there.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        ship(stack, "one")
        wait_until(lambda: "one" in ids(follower.documents + follower.read_on()), "the standby has the change")
        there.execute("SELECT pg_wal_replay_pause()")
        wait_until(lambda: there.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",), "the replay pauses")
        ship(stack, "two")
        assert follower.read_on() == []
        (row,) = stack.query("WAYBILL_DSN", "SELECT max(position) AS position FROM waybill_data.feed")
        ahead = cursor_of(feed_id, row["position"])
        page = stack.status.json("/changes", {"after": ahead})
        assert page == {"orders": [], "next_cursor": ahead, "has_more": False}
        ship(stack, "three")
        there.execute("SELECT pg_wal_replay_resume()")
        told: list[str] = []
        beyond = follower_from(stack, ahead)
        wait_until(lambda: told.extend(ids(beyond.read_on())) or told, "the standby has the next change")
        assert told == ["three"]
        assert ids(follower.read_on()) == ["two", "three"]
        assert stack.status.get("/changes", {"after": cursor_of(feed_id + 1, 1)}).status == 410


# ---- long walks ----

# Twice that is more than two walks go over.
MANY = 22_000


@pytest.fixture(scope="module")
def crowded(stacks: Stacks) -> Iterator[Stack]:
    """Between the first and the last of a small source, MANY changes of another; as many entries are history."""
    stack = stacks.make().up()
    token = wb.uid("narrow-")
    stack.write_config(stack.config.read_text() + f"""
client narrow {{ token_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"  scope = full  sources = {{"crossborderly"}} }}
""")
    stack.restart_responders()
    stack.add_secrets(token)
    stack.env["NARROW_TOKEN"] = token
    stack.sender("crossborderly").deliver(wb.status_changed("first", "IN_TRANSIT"))
    stack.query("WAYBILL_DSN", """
        WITH o AS (
            INSERT INTO waybill_data.orders (order_key, live, source, provider, order_id, version, updated_at, status, attention, boxes_total,
                                             boxes_delivered, writes, registers)
            SELECT gen_random_uuid(), true, 'crowdsender', 'crowdsender', 'crowd-' || n, nextval('waybill_data.feed_position'), now(), 'unknown', '{}', 0,
                   0, 1, ''
            FROM generate_series(1, %s) n RETURNING order_key, version)
        INSERT INTO waybill_data.feed (position, order_key, lane, live, source)
        SELECT version, order_key, 0, true, 'crowdsender' FROM o
        UNION ALL SELECT nextval('waybill_data.feed_position'), order_key, 0, true, 'crowdsender' FROM o RETURNING position""", MANY)
    stack.query("WAYBILL_DSN", """
        UPDATE waybill_data.orders o SET version = f.position FROM waybill_data.feed f
        WHERE f.order_key = o.order_key AND f.position > o.version RETURNING 1 AS one""")
    stack.query("WAYBILL_DSN", "SELECT setval('waybill_data.feed_position', (SELECT max(position) FROM waybill_data.feed))")
    stack.sender("crossborderly").deliver(wb.status_changed("last", "IN_TRANSIT"))
    yield stack
    stacks.remove(stack)


def walk(client: wb.StatusClient, path: str, **query: object) -> tuple[list[str], int]:
    """All that a walk finds, and in how many pages; each page is short, and its cursor gets on."""
    found, pages, cursors = [], 0, set()
    while True:
        started = time.monotonic()
        page = client.json(path, query)
        assert time.monotonic() - started < ANSWER_SECONDS
        found += ids(page["orders"])
        pages += 1
        if not page["has_more"]:
            return found, pages
        assert page["next_cursor"] not in cursors
        cursors.add(page["next_cursor"])
        query["after"] = page["next_cursor"]


def narrow(stack: Stack) -> wb.StatusClient:
    return wb.StatusClient(stack.site, stack.env["NARROW_TOKEN"])


def test_an_entry_says_whose_order_it_is(crowded: Stack) -> None:
    sandbox = wb.status_changed("in the sandbox", "IN_TRANSIT", environment="sandbox")
    crowded.sender("crossborderly").deliver(sandbox)
    rows = crowded.query("WAYBILL_DSN", """
        SELECT f.live, f.source, count(DISTINCT o.order_key) AS orders FROM waybill_data.feed f JOIN waybill_data.orders o USING (order_key)
        WHERE (f.live, f.source) = (o.live, o.source) GROUP BY 1, 2 ORDER BY 1, 2""")
    assert [tuple(row.values()) for row in rows] == [(False, "crossborderly", 1), (True, "crossborderly", 2), (True, "crowdsender", MANY)]


# Behind all of another source, without its orders being looked at; two pages where the machine is very busy.
def test_a_client_of_a_small_source_gets_all_at_once(crowded: Stack) -> None:
    found, pages = walk(narrow(crowded), "/changes", limit=10)
    assert found == ["first", "last"] and pages <= 2


def test_a_list_of_a_small_source_is_there_at_once(crowded: Stack) -> None:
    found, pages = walk(crowded.status, "/orders", limit=10, source="crossborderly")
    assert found == ["last", "first"] and pages <= 2


def test_the_sandbox_is_there_at_once(crowded: Stack) -> None:
    for path in ("/orders", "/changes"):
        found, pages = walk(crowded.status, path, limit=10, live="false")
        assert found == ["in the sandbox"] and pages <= 2


def test_a_rare_status_walks_page_by_page(crowded: Stack) -> None:
    found, pages = walk(crowded.status, "/orders", limit=10, status="in_transit")
    assert found == ["last", "first"] and pages > 2


def test_the_tag_of_a_page_is_also_of_where_it_ends(crowded: Stack) -> None:
    """A busy machine gets less far: two empty pages are not the same when they go on elsewhere."""
    nobody = {"status": "returned"}
    pages = [crowded.status.get("/orders", nobody) for _ in range(3)]
    pages.append(crowded.status.get("/orders", {**nobody, "after": pages[0].json()["next_cursor"]}))
    assert all(page.json()["orders"] == [] and page.json()["has_more"] for page in pages[:3])
    for page in pages:
        for other in pages:
            assert (page.header("ETag") == other.header("ETag")) == (page.body == other.body)


def next_orders(client: wb.StatusClient, cursor: str, count: int) -> tuple[list[wb.Json], str]:
    """COUNT of those behind the cursor, or all, over any number of short pages; and the cursor behind them."""
    orders: list[wb.Json] = []
    while True:
        page = client.json("/changes", {"after": cursor, "limit": count - len(orders), "events": "false"})
        orders, cursor = orders + page["orders"], page["next_cursor"]
        if len(orders) == count or not page["has_more"]:
            return orders, cursor


def entries(stack: Stack) -> int:
    (row,) = stack.query("WAYBILL_DSN", "SELECT count(*) AS entries FROM waybill_data.feed")
    return int(row["entries"])


def test_pruning_takes_what_nobody_needs(crowded: Stack) -> None:
    """Every cursor that was given stays good, and tells the same."""
    newest = crowded.status.json("/changes", {"after": "latest"})["next_cursor"]
    feed_id, position = (int(part, 16) for part in newest.split("-"))
    # In the midst of the history, and near the end.
    cursors = [cursor_of(feed_id, MANY // 2), cursor_of(feed_id, position - 50), newest]

    def told() -> list[tuple[list[wb.Json], str]]:
        return [next_orders(crowded.status, cursor, 100) for cursor in cursors]

    before = told()
    assert [len(orders) for orders, _ in before] == [100, 49, 0]
    assert entries(crowded) == 2 * MANY + 3
    done = crowded.waybill("prune")
    assert (done.returncode, done.stdout) == (0, f"pruned {MANY} entries of the change feed\n"), done
    assert entries(crowded) == MANY + 3
    assert told() == before


def test_pruning_keeps_the_end_of_the_feed(stack: Stack, database: Database) -> None:
    """Also where the newest entry is nobody's: cursors were given that name it."""
    ship(stack, "one")
    newest = stack.status.json("/changes", {"after": "latest"})["next_cursor"]
    database.owner.execute("UPDATE waybill_data.orders SET version = version + 1")
    database.owner.execute("SELECT waybill_data.prune_feed(0, 10)")
    assert stack.status.json("/changes", {"after": newest})["next_cursor"] == newest


def test_a_cursor_outlives_a_crash_and_a_rebuild(crowded: Stack) -> None:
    ship(crowded, "before")
    follower = Follower(crowded.status)
    ship(crowded, "after")
    crowded.pg_ctl("restart", "-m", "immediate")
    crowded.restart_responders()
    assert ids(follower.read_on()) == ["after"]
    assert crowded.waybill("rebuild").returncode == 0
    assert follower.read_on() == []
    ship(crowded, "later")
    assert ids(follower.read_on()) == ["later"]
