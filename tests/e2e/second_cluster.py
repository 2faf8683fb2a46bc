"""A second PostgreSQL cluster beside a stack's own: restored from a dump, or following it as a standby. Its owner trusts everybody: only the stack's user gets there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from waybill_stack import Stack


class SecondCluster:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._bin = os.path.dirname(os.readlink(f"/proc/{stack.pid('postgres')}/exe"))
        # Not below the stack's folder, whose path may be too long for a socket.
        self._folder = Path(tempfile.mkdtemp(prefix="waybill-pg-"))
        owner = stack.pgdata.stat()
        os.chown(self._folder, owner.st_uid, owner.st_gid)
        self._data = self._folder / "data"

    def _run(self, program: str, *arguments: str, check: bool = True) -> str:
        environment = os.environ | {"PGPASSWORD": self._password()}
        done = subprocess.run(
            [f"{self._bin}/{program}", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
            **self._stack.owner)
        assert done.returncode == 0 or not check, f"{program}: {done.stderr}"
        return done.stdout

    def _password(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self._stack.env["WAYBILL_SUPERUSER_DSN"])["password"])

    def _start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c logging_collector=off -c fsync=on -c dynamic_shared_memory_type=mmap"
        # Its log to a file: pg_ctl's children would otherwise hold our pipe.
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "120", "-l", str(self._folder / "log"), "-o", options, "start")

    def restored(self) -> SecondCluster:
        """pg_dump of the stack's database, and its roles, restored into a new cluster."""
        dsn = self._stack.env["WAYBILL_SUPERUSER_DSN"]
        roles, dump = self._folder / "roles.sql", self._folder / "waybill.dump"
        self._run("pg_dumpall", "--globals-only", "--file", str(roles), "--dbname", dsn)
        self._run("pg_dump", "--format=custom", "--file", str(dump), dsn)
        self._run("initdb", "-D", str(self._data), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        self._start()
        there = ["--host", str(self._folder), "--username", "postgres"]
        # The superuser exists already: that one statement may fail.
        self._run("psql", *there, "--no-psqlrc", "--quiet", "--file", str(roles), "postgres")
        self._run("createdb", *there, "--template=template0", "waybill")
        self._run("pg_restore", *there, "--exit-on-error", "--dbname=waybill", str(dump))
        return self

    def standby(self) -> SecondCluster:
        """A streaming standby of the stack's cluster."""
        dsn = self._stack.env["WAYBILL_SUPERUSER_DSN"]
        self._run("pg_basebackup", "--pgdata", str(self._data), "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", dsn)
        self._start()
        return self

    def dsn(self, role: str) -> str:
        """Of ROLE, with the password that the stack's configuration has for it."""
        return f"host={self._folder} port=5432 dbname=waybill user={role} password={self._role_password(role)}"

    def _role_password(self, role: str) -> str:
        if role == "postgres":
            return self._password()
        name = {"waybill_owner": "WAYBILL_DSN", "waybill_report": "WAYBILL_REPORT_DSN"}.get(role)
        if name:
            return str(psycopg.conninfo.conninfo_to_dict(self._stack.env[name])["password"])
        return self._configured_password(role)

    def _configured_password(self, role: str) -> str:
        text = self._stack.config.read_text()
        return text.split(f"user={role} password=", 1)[1].split('"', 1)[0].split()[0]

    def connect(self, role: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn(role), autocommit=True)

    def __enter__(self) -> SecondCluster:
        return self

    def __exit__(self, *_: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)
