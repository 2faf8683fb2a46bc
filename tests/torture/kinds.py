"""The faults, one function each: what is done to the machine while the load goes on, and until it could recover."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from waybill_stack import RESPONDERS

if TYPE_CHECKING:
    from torture import Round

# Longer than the budget of a request.
FROZEN_SECONDS = (5.2, 6.5)
OUTAGE_SECONDS = (0.5, 2.5)


def kill_webhook(r: Round) -> None:
    with r.load():
        r.machine.kill_webhook()


def kill_backend(r: Round) -> None:
    with r.load():
        r.machine.kill_backend()


def kill_postmaster(r: Round) -> None:
    with r.load():
        r.machine.kill_postmaster()


def restart_immediate(r: Round) -> None:
    with r.load():
        r.machine.stack.pg_ctl("restart", "-m", "immediate")


def restart_fast(r: Round) -> None:
    with r.load():
        r.machine.stack.pg_ctl("restart", "-m", "fast")


def kill_web_server(r: Round) -> None:
    with r.load():
        r.machine.kill_web_server()


def freeze_database(r: Round) -> None:
    with r.load(), r.machine.stack.database_frozen():
        r.sleep(*FROZEN_SECONDS)


def refuse_connections(r: Round) -> None:
    with r.load(), r.machine.stack.database_stopped():
        r.sleep(*OUTAGE_SECONDS)


def fail_authentication(r: Round) -> None:
    with r.load(), r.machine.authentication_failing():
        r.sleep(*OUTAGE_SECONDS)


def fill_database_disk(r: Round) -> None:
    # What deleted rows have left would have room for many.
    r.begin_empty()
    with r.machine.database_disk() as full:
        with r.load(), full():
            r.sleep(*OUTAGE_SECONDS)
        r.settle()


def promote_standby(r: Round) -> None:
    """The same responders go on with the other cluster."""
    with r.machine.standby() as promote:
        before = {name: r.machine.stack.pid(name) for name in RESPONDERS}
        with r.load():
            promote()
            r.machine.stack.wait_ready()
        assert {name: r.machine.stack.pid(name) for name in RESPONDERS} == before
        r.settle()


def fill_spool_disk(r: Round) -> None:
    with r.machine.spool_disk() as full:
        with r.load(), r.machine.stack.database_stopped():
            r.sleep(*OUTAGE_SECONDS)
            with full():
                r.sleep(*OUTAGE_SECONDS)
        r.settle()


def damage_spool(r: Round) -> None:
    """While events wait in it. Those that cannot be read any more are named in the log, moved aside, and sent again."""
    told = r.machine.spool_damages_told()
    with r.machine.stack.database_stopped():
        with r.load():
            r.sleep(*OUTAGE_SECONDS)
        with r.machine.webhook_ended():
            how = r.machine.damage_spool()
    r.settle()
    r.send_destroyed_again(how, r.machine.spool_damages_told() > told)


def kill_while_draining(r: Round) -> None:
    r.machine.stack.pg_ctl("stop", "-m", "fast")
    with r.load(pace=0.03):
        r.sleep(*OUTAGE_SECONDS)
    with r.load():
        r.machine.start_database()
        for _ in range(r.random.randrange(1, 4)):
            r.machine.wait_drains()
            r.sleep(0, 0.05)
            r.machine.kill_webhook_at_once()
        r.machine.stack.wait_ready()


# Each with how often it comes in a cycle: the kills are to be many.
KINDS: dict[str, tuple[int, Callable[[Round], None]]] = {
    "kill -9 webhook.fcgi": (5, kill_webhook),
    "kill -9 a PostgreSQL backend": (5, kill_backend),
    "kill -9 the postmaster": (5, kill_postmaster),
    "pg_ctl restart -m immediate": (5, restart_immediate),
    "pg_ctl restart -m fast": (5, restart_fast),
    "kill -9 the web server": (5, kill_web_server),
    "kill -9 while draining": (1, kill_while_draining),
    "database frozen": (1, freeze_database),
    "connections refused": (1, refuse_connections),
    "authentication failing": (1, fail_authentication),
    "database disk full": (1, fill_database_disk),
    "primary killed, standby promoted": (1, promote_standby),
    "spool disk full": (1, fill_spool_disk),
    "spool file damaged": (1, damage_spool),
}
