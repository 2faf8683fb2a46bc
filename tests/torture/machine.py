"""The stack that is tortured, and what can be done to its processes, its database's clusters and its disks."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Callable, ContextManager, Iterator

import psycopg
from waiting import wait_until
from waybill_stack import CHECKOUT, SERVERS, Stack, children, set_option

PR_SET_CHILD_SUBREAPER = 36
WRITER = "waybill webhook"
FIRST_PORT = 5432
OTHER_PORT = {5432: 5433, 5433: 5432}


def can_mount() -> bool:
    """Root can, but not in every container."""
    with tempfile.TemporaryDirectory(prefix="waybill-disk-") as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], stdin=subprocess.DEVNULL, capture_output=True).returncode != 0:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


CAN_MOUNT = can_mount()


def adopt_orphans() -> None:
    """What is left by processes that are killed becomes ours to collect: where nobody does, a killed postmaster still looks alive to the next one."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def collect() -> None:
    """What has ended of what was adopted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            found += children(one)
    return found


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(pids: list[int]) -> None:
    signal_all(pids, signal.SIGKILL)
    wait_until(lambda: (collect(), not any(is_alive(pid) for pid in pids))[1], f"{pids} are gone")


class Machine:
    def __init__(self, stack: Stack, random: Random) -> None:
        self.stack = stack
        self.random = random
        stack.pg_ctl("status")
        self._postgres_bin = os.path.dirname(os.readlink(f"/proc/{stack.pid('postgres')}/exe"))
        # Where the stack's cluster is, and where a standby of it can be, whichever is which.
        self._port = FIRST_PORT
        self._folders = {FIRST_PORT: stack.pgdata, OTHER_PORT[FIRST_PORT]: stack.pgdata.with_name("pgdata2")}
        with self.superuser() as connection:
            # Checkpoints, and segments that come and go, belong to it.
            connection.execute("ALTER SYSTEM SET max_wal_size = '96MB'")
            connection.execute("ALTER SYSTEM SET min_wal_size = '32MB'")
            connection.execute("SELECT pg_reload_conf()")

    # ---- the web server ----

    def kill_web_server(self) -> None:
        """With all its processes; another one takes its place."""
        kill(family(self.stack.pid("server")))
        self.stack.server = self.random.choice(SERVERS)
        environment = os.environ | {"VAR": str(self.stack.var), "PORT": str(self.stack.port), "SERVER": self.stack.server}
        wait_until(lambda: not self._listens(), "nobody listens there")
        subprocess.run([str(CHECKOUT / "tests/stack/stack.sh"), "server"], env=environment, stdin=subprocess.DEVNULL, check=True, timeout=60)

    def _listens(self) -> bool:
        with suppress(OSError), self.stack.site.connect():
            return True
        return False

    # ---- the responder ----

    def kill_webhook(self) -> None:
        self.stack.wait_replaced("webhook", self.kill_webhook_at_once())

    def kill_webhook_at_once(self) -> int:
        """Gives its id, when another has come."""
        pid = self.stack.pid("webhook")
        kill([pid])
        wait_until(lambda: self.stack.pid("webhook") != pid, "there is another webhook.fcgi")
        return pid

    @contextmanager
    def webhook_ended(self) -> Iterator[None]:
        """In good order; meanwhile its supervisor does not start it again."""
        pid = self.stack.pid("webhook")
        supervisor = int(re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1))
        os.kill(supervisor, signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not is_alive(pid), "webhook.fcgi ends")
            yield
        finally:
            os.kill(supervisor, signal.SIGCONT)

    # ---- the database ----

    def superuser(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.stack.env["WAYBILL_SUPERUSER_DSN"], autocommit=True)

    def kill_backend(self) -> None:
        """One that commits events, or, now and then, any other."""
        with self.superuser() as connection:
            rows = connection.execute(
                "SELECT pid, application_name FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").fetchall()
        writers = [pid for pid, name in rows if name == WRITER]
        pids = writers if writers and self.random.random() < 0.8 else [pid for pid, _ in rows]
        if pids:
            kill([self.random.choice(pids)])  # type: ignore[list-item]

    def kill_postmaster(self) -> None:
        """Its other processes notice and end."""
        pid = self.stack.pid("postgres")
        rest = children(pid)
        kill([pid])
        time.sleep(self.random.uniform(0, 0.5))
        wait_until(lambda: not any(is_alive(one) for one in rest), "the rest of the cluster is gone")
        self.start_database()

    def start_database(self) -> None:
        self.stack.pg_ctl("start")

    def terminate_writers(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waybill_ingest'")

    @contextmanager
    def authentication_failing(self) -> Iterator[None]:
        """The password is another, or pg_hba.conf lets nobody in; connections that stand are ended."""
        change = self.random.choice((self._other_password, self._rejected))
        with self.superuser() as connection, change(connection):
            connection.execute("SELECT pg_reload_conf()")
            self.terminate_writers(connection)
            yield

    @contextmanager
    def _other_password(self, connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[None]:
        password = (self.stack.var / "secrets" / "waybill_ingest.password").read_text()
        connection.execute("ALTER ROLE waybill_ingest PASSWORD 'another'")
        try:
            yield
        finally:
            connection.execute(f"ALTER ROLE waybill_ingest PASSWORD '{password}'")

    @contextmanager
    def _rejected(self, connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[None]:
        file = self.stack.pgdata / "pg_hba.conf"
        before = file.read_text()
        file.write_text("local all waybill_ingest reject\n" + before)
        try:
            yield
        finally:
            file.write_text(before)
            connection.execute("SELECT pg_reload_conf()")

    def wait_drains(self) -> None:
        """Until something came out of the spool, or all did."""
        with self.superuser() as connection:
            def drained() -> object:
                return connection.execute("SELECT count(*) FROM waybill_data.deliveries").fetchone()

            before = drained()
            wait_until(lambda: drained() != before or self.stack.is_ready("webhook"), "it drains")

    # ---- a standby ----

    def _use_node(self, port: int) -> None:
        """From now on the cluster on PORT is the stack's, for everybody who asks."""
        env = self.stack.env
        for name in [name for name in env if name.endswith("_DSN")]:
            env[name] = re.sub(r"\bport=\d+", f"port={port}", env[name])
        env["PGDATA"] = str(self._folders[port])
        self._port = port
        self.stack.forget_connections()

    def _pg_ctl(self, folder: Path, *arguments: str) -> None:
        subprocess.run(
            [f"{self._postgres_bin}/pg_ctl", "-D", str(folder), "-w", *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=120, **self.stack.owner)

    @contextmanager
    def standby(self) -> Iterator[Callable[[], None]]:
        """A copy of the cluster follows it and every commit waits for the copy; the responders know both. Gives what kills the primary and promotes the standby."""
        port = OTHER_PORT[self._port]
        folder = self._folders[port]
        shutil.rmtree(folder, ignore_errors=True)
        dsn = self.stack.env["WAYBILL_SUPERUSER_DSN"].replace("dbname=waybill ", "")
        subprocess.run(
            [f"{self._postgres_bin}/pg_basebackup", "-D", str(folder), "-d", dsn, "-R", "-c", "fast", "-X", "stream"], check=True,
            stdin=subprocess.DEVNULL, timeout=120, **self.stack.owner)
        conf = folder / "postgresql.conf"
        conf.write_text(conf.read_text().replace(f"\nport = {self._port}\n", f"\nport = {port}\n"))
        self._pg_ctl(folder, "start")
        with self.superuser() as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone(), "commits wait for the standby")
        self._name_clusters(self._port, port)
        yield lambda: self._promote(folder, port)
        self._name_clusters(port)

    def _promote(self, folder: Path, port: int) -> None:
        """The standby falls behind first: what only the primary has is lost with it."""
        standby = family(int((folder / "postmaster.pid").read_text().split()[0]))
        signal_all(standby, signal.SIGSTOP)
        time.sleep(self.random.uniform(0, 1))
        kill(family(self.stack.pid("postgres")))
        signal_all(standby, signal.SIGCONT)
        time.sleep(self.random.uniform(0, 1))
        self._pg_ctl(folder, "promote")
        self._use_node(port)

    def _name_clusters(self, *ports: int) -> None:
        """To the responders."""
        def hosts(found: re.Match[str]) -> str:
            host = found.group(1).split(",")[0]
            return f"host={','.join([host] * len(ports))} port={','.join(map(str, ports))} target_session_attrs=read-write dbname="

        text = re.sub(r"host=(\S+) port=\S+ (?:target_session_attrs=\S+ )?dbname=", hosts, self.stack.config.read_text())
        self.stack.write_config(text)
        self.stack.restart_responders()

    # ---- disks ----

    @contextmanager
    def _small_disk(self, mebibytes: int) -> Iterator[Path]:
        """A file system of that size. Only root can make one."""
        folder = Path(tempfile.mkdtemp(prefix="waybill-disk-"))
        owner = self.stack.pgdata.stat()
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}", "tmpfs", str(folder)], check=True)
            try:
                yield folder
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
        finally:
            folder.rmdir()

    @contextmanager
    def _full(self, folder: Path) -> Iterator[None]:
        """Not a byte is left there."""
        ballast = folder / "ballast"
        try:
            with open(ballast, "wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(64 * 1024))
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def _files_limited(self, pids: Callable[[], list[int]], limit: int) -> Iterator[None]:
        """What a user who is not root can do to a disk: these processes write no file beyond LIMIT bytes."""
        self.stack.limit_files(pids(), str(limit))
        try:
            yield
        finally:
            self.stack.limit_files(pids(), "unlimited")

    @contextmanager
    def database_disk(self) -> Iterator[Callable[[], ContextManager[None]]]:
        """The cluster's tables or its WAL are on a small disk. Gives what fills it."""
        if not CAN_MOUNT:
            yield self._no_cluster_file
            return
        with self._small_disk(384) as disk:
            with self.random.choice((self._tables_on, self._wal_on))(disk) as fill:
                yield fill

    @contextmanager
    def _no_cluster_file(self) -> Iterator[None]:
        def cluster() -> list[int]:
            with suppress(OSError, ValueError, IndexError):
                return family(self.stack.pid("postgres"))
            return []

        with self._files_limited(cluster, 0):
            yield
        self._revive_database()

    @contextmanager
    def _tables_on(self, disk: Path) -> Iterator[Callable[[], ContextManager[None]]]:
        place = disk / "tables"
        place.mkdir(mode=0o700)
        os.chown(place, *self._owner())
        with self._administrator() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        self._move_database("small")
        try:
            yield lambda: self._full(disk)
        finally:
            self._move_database("pg_default")
            with self._administrator() as connection:
                connection.execute("DROP TABLESPACE small")

    def _move_database(self, tablespace: str) -> None:
        with self._administrator() as connection:
            connection.execute("ALTER DATABASE waybill ALLOW_CONNECTIONS false")
            self.stack.forget_connections()
            connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'waybill'")
            connection.execute(f"ALTER DATABASE waybill SET TABLESPACE {tablespace}")
            connection.execute("ALTER DATABASE waybill ALLOW_CONNECTIONS true")
        self.stack.wait_ready()

    @contextmanager
    def _wal_on(self, disk: Path) -> Iterator[Callable[[], ContextManager[None]]]:
        wal, place = self.stack.pgdata / "pg_wal", disk / "pg_wal"
        with self._administrator() as connection:
            connection.execute("CHECKPOINT")
        with self.stack.database_stopped():
            self._as_owner("mv", str(wal), str(place))
            self._as_owner("ln", "-s", str(place), str(wal))
        try:
            yield lambda: self._full_wal(disk)
        finally:
            with self.stack.database_stopped():
                wal.unlink()
                self._as_owner("mv", str(place), str(wal))

    @contextmanager
    def _full_wal(self, disk: Path) -> Iterator[None]:
        """The segments that are there already are used up too: PostgreSQL panics."""
        with self._full(disk):
            with suppress(psycopg.OperationalError), self._administrator() as connection:
                for _ in range(100):
                    connection.execute("SELECT pg_logical_emit_message(false, 'torture', 'one more segment')")
                    connection.execute("SELECT pg_switch_wal()")
            yield
        self._revive_database()

    def _revive_database(self) -> None:
        """It may have given up, or still be about to."""
        def accepts() -> bool:
            with suppress(psycopg.OperationalError), self._administrator() as connection:
                connection.execute("SELECT pg_logical_emit_message(false, 'torture', 'it writes')")
                return True
            collect()
            if not (self.stack.pgdata / "postmaster.pid").exists() or not is_alive(self.stack.pid("postgres")):
                with suppress(subprocess.CalledProcessError):
                    self.stack.pg_ctl("start")
            return False

        wait_until(accepts, "the database is back")

    @contextmanager
    def spool_disk(self) -> Iterator[Callable[[], ContextManager[None]]]:
        """The spool is on a small disk. Gives what fills it."""
        if not CAN_MOUNT:
            yield lambda: self._files_limited(lambda: [self.stack.pid("webhook")], 64 * 1024)
            return
        with self._small_disk(16) as disk:
            with self.stack.configured(lambda text: set_option(text, "webhook", "spool", f'"{disk}/spool"')):
                yield lambda: self._full(disk)

    def _administrator(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.stack.env["WAYBILL_SUPERUSER_DSN"].replace("dbname=waybill ", "dbname=postgres "), autocommit=True)

    def _owner(self) -> tuple[int, int]:
        status = self.stack.pgdata.stat()
        return status.st_uid, status.st_gid

    def _as_owner(self, *command: str) -> None:
        subprocess.run(command, check=True, **self.stack.owner)

    # ---- the spool ----

    def damage_spool(self) -> str:
        """Of a responder that is not running. Gives what was done."""
        file = self.stack.var / "spool" / "events.sqlite3"
        # Else all of it may be in the -wal, and whatever is done to the file costs no event.
        if self.random.random() < 0.7:
            with closing(sqlite3.connect(file)) as spool:
                spool.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = file.stat().st_size
        with open(file, "r+b") as content:
            how = self.random.choice(("garbage", "garbage somewhere", "cut short", "emptied"))
            if how == "garbage":
                content.write(os.urandom(size))
            elif how == "garbage somewhere":
                content.seek(self.random.randrange(size))
                content.write(os.urandom(min(4096, size - content.tell())))
            else:
                content.truncate(self.random.randrange(1, size) if how == "cut short" else 0)
        return how

    def spool_damages_told(self) -> int:
        return self.stack.log_text("webhook").count("the spool's file was damaged: moved aside to ")

    def stop(self) -> None:
        """What the stack itself does not know of."""
        self.stack.forget_connections()
        other = self._folders[OTHER_PORT[FIRST_PORT]]
        if (other / "postmaster.pid").exists():
            self._pg_ctl(other, "stop", "-m", "immediate")
