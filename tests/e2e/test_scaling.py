"""docs/scaling.md: a standby by pg_basebackup that serves status documents and reports, a failover, two receivers; with the connection strings of the document."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import waybill_client as wb
from event_facts import Event
from two_processes import TwoProcesses
from waiting import wait_until
from waybill_stack import CHECKOUT, Stack, set_option

pytestmark = pytest.mark.once

PORTS = ("5432", "5433")
USERS = {"ingest": "webhook.fcgi", "status": "status.fcgi", "report": "reports", "owner": "`waybill migrate`, `rebuild`"}


def documented(user: str) -> dict[str, str]:
    """The connection string that docs/scaling.md gives to waybill_USER."""
    table = Path(CHECKOUT, "docs", "scaling.md").read_text()
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {USERS[user]} |")]
    found = re.search(rf"host=db1,db2 dbname=waybill user=waybill_{user} [^`\"]*", row)
    assert found
    return conninfo_to_dict(found.group())


class Pair:
    """A stack and a standby of its database. db1 and db2 are two ports of one folder of sockets."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.standby = stack.var / "standby"
        self._bin = stack._postgres_bin

    def dsn(self, user: str, password: str) -> str:
        return make_conninfo("", **documented(user) | {"host": f"{self.stack.sockets},{self.stack.sockets}", "port": ",".join(PORTS), "password": password})

    def password(self, user: str) -> str:
        return (self.stack.var / "secrets" / f"waybill_{user}.password").read_text()

    def superuser(self, port: str) -> psycopg.Connection[Any]:
        return psycopg.connect(make_conninfo(self.stack.env["WAYBILL_SUPERUSER_DSN"], port=port), autocommit=True)

    def run(self, program: str, *arguments: str, **environment: str) -> None:
        subprocess.run([f"{self._bin}/{program}", *arguments], check=True, env=os.environ | environment, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, timeout=120, **self.stack.owner)

    @contextmanager
    def replicated(self) -> Iterator[None]:
        password = wb.uid()
        self.stack.add_secrets(password)
        with self.superuser(PORTS[0]) as primary:
            primary.execute(f"CREATE ROLE waybill_replication LOGIN REPLICATION PASSWORD '{password}'")
        source = make_conninfo("", host=str(self.stack.sockets), port=PORTS[0], user="waybill_replication", application_name="db2")
        self.run("pg_basebackup", "--dbname", source, "--pgdata", str(self.standby), "--write-recovery-conf", "--checkpoint=fast", "--create-slot",
                 "--slot=db2", PGPASSWORD=password)
        with open(self.standby / "postgresql.conf", "a") as settings:
            settings.write(f"port = {PORTS[1]}\nlog_filename = 'standby.log'\n")
        self.run("pg_ctl", "-D", str(self.standby), "-w", "start")
        try:
            yield
        finally:
            self.run("pg_ctl", "-D", str(self.standby), "-w", "-m", "fast", "stop")

    def wait_replayed(self) -> None:
        with self.superuser(PORTS[0]) as primary, self.superuser(PORTS[1]) as standby:
            ((written,),) = primary.execute("SELECT pg_current_wal_lsn()").fetchall()
            wait_until(lambda: standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (written,)).fetchone() == (True,), "the standby has all of it")

    def sessions(self, port: str, role: str) -> int:
        with self.superuser(port) as server:
            ((count,),) = server.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (role,)).fetchall()
        return count

    def stored(self, deliveries: set[str]) -> set[str]:
        """Which of DELIVERIES the database has that takes writes now."""
        with psycopg.connect(self.dsn("owner", self.password("owner"))) as owner:
            rows = owner.execute("SELECT delivery_id::text FROM waybill_data.deliveries WHERE delivery_id = ANY (%s::uuid[])", (list(deliveries),))
            return {delivery for (delivery,) in rows}


def send(stack: Stack, number: str, events: range) -> set[str]:
    """Status events of a parcel, each answered 200; the ids of the deliveries."""
    deliveries = set()
    for event in events:
        answer = stack.sender("crossborderly").post(wb.status_changed(number, "IN_TRANSIT", wb.moment(event)))
        assert answer.outcome in {(200, "applied"), (200, "spooled")}, answer
        deliveries.add(answer.json()["delivery"])
    return deliveries


def test_a_standby_a_failover_and_two_receivers(own_stack: Stack) -> None:
    stack, pair = own_stack, Pair(own_stack)
    with pair.replicated():
        stack.write_config(with_documented_strings(pair, stack.config.read_text()))
        stack.restart_responders()
        second = TwoProcesses(stack).start()
        try:
            walk_through(stack, pair, second)
        finally:
            second.stop()


def with_documented_strings(pair: Pair, text: str) -> str:
    for user in ("ingest", "status"):
        text = set_option(text, "database", f"{user}_dsn", f'"{pair.dsn(user, pair.password(user))}"')
    return text


def walk_through(stack: Stack, pair: Pair, second: TwoProcesses) -> None:
    # Documents and reports come from the standby.
    number = wb.uid("T")
    sent = send(stack, number, range(5))
    pair.wait_replayed()
    assert len(stack.status.order("crossborderly", number)["boxes"][0]["events"]) == 5
    assert pair.sessions(PORTS[1], "waybill_status") > 0
    wait_until(lambda: pair.sessions(PORTS[0], "waybill_status") == 0, "none of status.fcgi's sessions is on the primary")
    report = pair.dsn("report", pair.password("report"))
    with psycopg.connect(report) as connection:
        assert connection.info.port == int(PORTS[1])
        assert connection.execute("SELECT count(*) FROM waybill.tracking_events WHERE order_id = %s", (number,)).fetchone() == (5,)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)

    # From here on a 200 means both machines.
    with pair.superuser(PORTS[0]) as primary:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (db2)'")
        primary.execute("SELECT pg_reload_conf()")
        synchronous = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'db2' AND sync_state IN ('sync', 'quorum')"
        wait_until(lambda: primary.execute(synchronous).fetchone() == (1,), "commits wait for db2")
    sent |= send(stack, number, range(5, 10))

    # The primary dies; webhooks go on, and the same strings lead to the new one.
    stack.pg_ctl("stop", "-m", "immediate")
    sent |= send(stack, number, range(10, 13))
    with pair.superuser(PORTS[1]) as standby:
        assert standby.execute("SELECT pg_promote()").fetchone() == (True,)
    sent |= send(stack, number, range(13, 16))
    twice = Event("crossborderly", wb.encode(wb.status_changed(number, "DELIVERED", wb.moment(99))))
    sent |= {second.post((process, twice)).json()["delivery"] for process in (0, 1)}
    wait_until(lambda: pair.stored(sent) == sent, "all that was answered 200 is in the new primary")
    stack.wait_ready()
    document = stack.status.order("crossborderly", number)
    assert (document["status"], len(document["boxes"][0]["events"])) == ("delivered", 17)
