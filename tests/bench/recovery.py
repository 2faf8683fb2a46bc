#!/usr/bin/python3
"""make bench-recovery: kills parts of the stack under a steady load and prints how long it takes until webhooks are answered 200 again.

Environment: RECOVERY_ROUNDS (figures are medians of so many), BENCH_JSON (a file for the figures), BENCH_TMP, BUILD and CGIBIN as for bench.py.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Callable

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

import machine
from common import BenchError, CountError, heed_signals, ignore_signals, run_program, say, setting
from http_load import Load, Reply
from http_plain import Site
from stack import Programs, Services, Store

CONNECTIONS = 16
# Between two requests of a connection, whatever the first one's answer: the figures are as exact as this divided by the connections.
PACE_SECONDS = 0.01
# Nothing but commits for so long is steady.
STEADY_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


class Events(Sequence[bytes]):
    """Signed requests without an end, each about a parcel of its own."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]
        name = secrets.token_hex(8)
        body = json.dumps({
            "id": "evt_" + name, "event": "parcel.status_changed", "timestamp": "2024-12-21T00:00:00Z", "environment": "production",
            "data": {"trackingNumber": "R" + name, "previousStatus": None, "newStatus": "IN_TRANSIT", "timestamp": "2024-12-21T00:00:00Z"}}).encode()
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        head = f"POST /webhooks/crossborderly HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\nX-CrossBorderly-Signature: sha256={signature}\r\n\r\n"
        return head.encode() + body


COMMITTED = (200, "applied")


@dataclass
class Outage:
    """Seconds without a 200, and without one that is committed, not spooled."""

    answered: float
    committed: float
    spooled: int
    refused: int  # answers other than 200, and connections that were cut

    @classmethod
    def of(cls, replies: list[Reply], killed: float) -> Outage:
        good = [reply for reply in replies if reply.status == 200]
        committed = [reply for reply in good if reply.outcome == COMMITTED]
        return cls(longest_without(good, killed), longest_without(committed, killed), len(good) - len(committed), len(replies) - len(good))


def longest_without(replies: list[Reply], killed: float) -> float:
    """The longest time from the kill on without one of REPLIES: the first ones after it may have been on their way when it came."""
    times = [killed, *sorted(end for reply in replies if (end := reply.began + reply.seconds) > killed)]
    return max(later - earlier for earlier, later in zip(times, times[1:]))


def is_steady(load: Load, since: float) -> bool:
    now = time.monotonic()
    recent = [reply for reply in list(load.replies.values()) if reply.began + reply.seconds > max(since, now - STEADY_SECONDS)]
    return now - since > STEADY_SECONDS and len(recent) > CONNECTIONS and all(reply.outcome == COMMITTED for reply in recent)


def wait_steady(load: Load, since: float) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_steady(load, since):
        if time.monotonic() > end:
            raise BenchError(f"after {PATIENCE_SECONDS:.0f} s there are still not only commits: {load.outcomes()}")
        time.sleep(0.1)


class Recovery:
    def __init__(self, services: Services, rounds: int) -> None:
        self.services, self.rounds = services, rounds
        self.store = Store(services, "written")
        self.site = Site("127.0.0.1", services.ports["PORT"])
        self.events = Events(Path(services.known["SECRET_FILE"]).read_text().strip().encode())

    # ---- what is killed ----

    def kill_responder(self) -> None:
        os.kill(int((self.services.folder / "run" / "webhook.child").read_text()), signal.SIGKILL)

    def kill_backend(self) -> None:
        """PostgreSQL then ends all its processes and recovers as after a crash."""
        os.kill(self.backend, signal.SIGKILL)

    def restart_database(self) -> None:
        pgdata = self.services.folder / "pgdata"
        owner = pgdata.stat().st_uid
        user = {"user": owner, "group": pgdata.stat().st_gid, "extra_groups": []} if owner != os.getuid() else {}
        done = subprocess.run(
            [f"{self.services.known['PGBIN']}/pg_ctl", "restart", "-D", str(pgdata), "-m", "immediate", "-w"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, cwd="/", **user)
        if done.returncode != 0:
            raise BenchError("pg_ctl restart failed")

    # ---- rounds ----

    def measure(self, kill: Callable[[], None]) -> Outage:
        with Load(self.site, self.events, CONNECTIONS, pace=PACE_SECONDS, pause=PACE_SECONDS) as load:
            try:
                wait_steady(load, time.monotonic())
                with self.services.connect(self.store.database) as admin:
                    (self.backend,) = admin.execute(
                        "SELECT pid FROM pg_stat_activity WHERE application_name = 'waybill webhook' ORDER BY pid LIMIT 1").fetchone()
                killed = time.monotonic()
                kill()
                wait_steady(load, killed)
            finally:
                load.stop()
        replies = list(load.replies.values())
        self.check(replies)
        return Outage.of(replies, killed)

    def check(self, replies: list[Reply]) -> None:
        """Every 200 was a promise. What was spooled may still be on its way."""
        taken = [json.loads(reply.body)["delivery"] for reply in replies if reply.status == 200]
        end = time.monotonic() + PATIENCE_SECONDS
        with self.services.connect(self.store.database) as admin:
            while True:
                (found,) = admin.execute("SELECT count(*) FROM waybill.deliveries WHERE delivery_id = ANY (%s::uuid[])", (taken,)).fetchone()
                if found == len(taken):
                    return
                if time.monotonic() > end:
                    raise CountError(f"{len(taken)} webhooks were answered with 200, {found} are stored")
                time.sleep(0.2)

    def run(self) -> dict[str, list[Outage]]:
        kinds = {"responder_killed": self.kill_responder, "backend_killed": self.kill_backend, "database_restarted": self.restart_database}
        outages: dict[str, list[Outage]] = {name: [] for name in kinds}
        self.store.create()
        with self.services.running(f"webhook.{self.store.name}"):
            for number in range(self.rounds):
                for name, kill in kinds.items():
                    outages[name].append(self.measure(kill))
                    say(f"round {number + 1} of {self.rounds}: {name} {outages[name][-1].answered:.3f} s, {outages[name][-1].committed:.3f} s")
        return outages


ROWS = {
    "responder_killed": "kill -9 of webhook.fcgi",
    "backend_killed": "kill -9 of a PostgreSQL backend",
    "database_restarted": "pg_ctl restart -m immediate",
}


def print_report(outages: dict[str, list[Outage]], environment: dict[str, object]) -> None:
    print(f"{environment['processor']}, {environment['cores']} cores, {environment['file_system']}, PostgreSQL {environment['postgresql']}")
    print(f"{CONNECTIONS} connections through lighttpd, a request every {PACE_SECONDS * 1000:.0f} ms each; medians of {len(outages['responder_killed'])}")
    print(f"\n{'seconds until, after':<34}{'the next 200':^24}{'the next commit':^24}{'answers of a round':^20}")
    print(f"{'':<34}" + f"{'median':>8}{'least':>8}{'most':>8}" * 2 + f"{'spooled':>10}{'refused':>10}")
    for name, text in ROWS.items():
        some = outages[name]
        seconds = [[outage.answered for outage in some], [outage.committed for outage in some]]
        counts = [[outage.spooled for outage in some], [outage.refused for outage in some]]
        print(f"{text:<34}" + "".join(f"{median(one):>8.3f}{min(one):>8.3f}{max(one):>8.3f}" for one in seconds)
              + "".join(f"{median(one):>10.0f}" for one in counts))
    print("\nEvery 200 was found in the database.")


def main() -> None:
    rounds = setting("RECOVERY_ROUNDS", 5)
    heed_signals(300 + rounds * 3 * 90)
    services = Services(Programs.ours())
    try:
        say(f"starting the stack in {services.folder}")
        services.up()
        with services.connect("postgres") as admin:
            environment = machine.environment(admin, services.folder)
        outages = Recovery(services, rounds).run()
    finally:
        ignore_signals()
        services.down()
    print_report(outages, environment)
    if os.environ.get("BENCH_JSON"):
        figures = {name: {"seconds": median(outage.answered for outage in some), "committed_seconds": median(outage.committed for outage in some),
                          "rounds": [asdict(outage) for outage in some]} for name, some in outages.items()}
        Path(os.environ["BENCH_JSON"]).write_text(json.dumps({"figures": figures, "environment": environment}, indent=2) + "\n")


if __name__ == "__main__":
    run_program("bench-recovery", main)
