"""`waybill init`: from an empty server to a database, roles and a configuration; and again, which changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Iterator

import psycopg
import pytest

from conftest import Stacks
from waybill_stack import Stack


@pytest.fixture(scope="module")
def cluster(stacks: Stacks) -> Iterator[Stack]:
    """A cluster of its own, for roles belong to the cluster: here they must not be there yet."""
    stack = stacks.make().up()
    drop(stack, "waybill")
    with psycopg.connect(server(stack), autocommit=True) as connection:
        for role in ("owner", "ingest", "status", "report", "audit"):
            connection.execute(f"DROP ROLE waybill_{role}")
    yield stack
    # As the stack knows it.
    drop(stack, "waybill")
    stacks.remove(stack)


def server(stack: Stack, database: str = "postgres") -> str:
    return re.sub(r"dbname=\S+", f"dbname={database}", stack.env["WAYBILL_SUPERUSER_DSN"])


def drop(stack: Stack, database: str) -> None:
    with psycopg.connect(server(stack), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.fixture
def folder(cluster: Stack, tmp_path: Path) -> Path:
    """Where the cluster's user may write."""
    path = cluster.var / f"init-{tmp_path.name}"
    path.mkdir()
    status = cluster.pgdata.stat()
    os.chown(path, status.st_uid, status.st_gid)
    return path


def init(cluster: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cluster.waybill("init", *arguments, WAYBILL_DSN=server(cluster, "nothing"))


def dumped(cluster: Stack, database: str) -> str:
    """The schema of a database, without what differs by its name."""
    command = ["pg_dump", "--schema-only", "--dbname", server(cluster, database)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    return re.sub(r"^\\(un)?restrict.*$", "", text, flags=re.MULTILINE)


def migrations_of(cluster: Stack, database: str) -> list[tuple[int, str]]:
    with psycopg.connect(server(cluster, database)) as connection:
        return connection.execute("SELECT number, name FROM waybill_data.schema_migrations ORDER BY 1").fetchall()


def test_from_nothing_and_again(cluster: Stack, folder: Path) -> None:
    config = folder / "deeper" / "waybill.conf"
    # What it would do, run by psql, is what it does.
    script = init(cluster, "--dry-run", "--database", "by_hand", "--config", str(config))
    assert script.returncode == 0, script
    assert not config.exists() and "CREATE DATABASE by_hand" in script.stdout
    sql = script.stdout.replace("PASSWORD '…'", "PASSWORD NULL")
    psql = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", server(cluster)]
    result = subprocess.run(psql, input=sql, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    with psycopg.connect(server(cluster), autocommit=True) as connection:
        connection.execute("ALTER ROLE waybill_ingest NOLOGIN")
        connection.execute("ALTER ROLE waybill_status NOLOGIN")

    result = init(cluster, "--config", str(config))
    assert result.returncode == 0, result
    assert dumped(cluster, "waybill") == dumped(cluster, "by_hand")
    assert migrations_of(cluster, "waybill") == migrations_of(cluster, "by_hand")
    assert config.stat().st_mode & 0o777 == 0o600
    text = config.read_text()
    for option, role in (("ingest_dsn", "waybill_ingest"), ("status_dsn", "waybill_status")):
        (dsn,) = re.findall(rf'^    {option} = "([^"]*)"$', text, re.MULTILINE)
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT current_user::text, current_database()::text").fetchone() == (role, "waybill")
        password = re.findall(r"password=(\S+)", dsn)[0]
        assert len(password) == 48 and password not in result.stdout + cluster.log_text("postgres")
    check = cluster.waybill("check", WAYBILL_CONFIG=str(config))
    assert check.returncode == 0 and "0 sources, 0 clients" in check.stdout, check
    with psycopg.connect(server(cluster, "waybill")) as connection:
        ((arguments, counts),) = connection.execute(
            "SELECT arguments, counts FROM waybill_audit.actions WHERE command = 'init'").fetchall()
    assert arguments == f"--config {config}" and counts == {"databases": 1, "migrations": len(migrations_of(cluster, "waybill")), "roles": 2}

    again = init(cluster, "--config", str(config))
    assert again.returncode == 0 and config.read_text() == text
    assert "schema: is current" in again.stdout and "stays as it is" in again.stdout
    nothing = init(cluster, "--config", str(config), "--dry-run")
    assert nothing.stdout == f"\\connect waybill\n-- {config}: is there and stays as it is\n"
    # Roles that are in use elsewhere keep their passwords.
    other = init(cluster, "--config", str(folder / "other.conf"))
    assert other.returncode == 0 and "its password stays" in other.stdout
    assert "password=…" in (folder / "other.conf").read_text()
    with psycopg.connect(dsn):
        pass
    drop(cluster, "by_hand")


def test_the_sample_stays_a_comment(cluster: Stack, folder: Path) -> None:
    """Uncommented, the examples are those of the sample."""
    assert init(cluster, "--config", str(folder / "waybill.conf")).returncode == 0
    sample = (Path(__file__).resolve().parents[2] / "apache-conf" / "waybill.conf.sample").read_text()
    written = (folder / "waybill.conf").read_text()
    for text in re.findall(r"^(?:source|client) .*?^\}$", sample, re.MULTILINE | re.DOTALL):
        assert "\n".join("#" + line for line in text.splitlines()) in written
    assert not re.search(r"^(source|client) ", written, re.MULTILINE)


@pytest.mark.parametrize("arguments, code, why", [
    (["--database", "drop table"], 2, "--database"), (["--database", "1st"], 2, "--database"), (["--dsn", "host=/nowhere"], 1, "/nowhere"),
    (["--config", "/proc/nowhere/waybill.conf"], 1, "--config"), (["--dsn", "post=1"], 2, "connection string"),
], ids=str)
def test_what_cannot_be(cluster: Stack, arguments: list[str], code: int, why: str) -> None:
    before = set(databases(cluster))
    result = init(cluster, "--database", "never", *arguments)
    assert result.returncode == code and why in result.stderr, result
    assert set(databases(cluster)) == before


def databases(cluster: Stack) -> list[str]:
    with psycopg.connect(server(cluster)) as connection:
        return [name for (name,) in connection.execute("SELECT datname::text FROM pg_database")]


def test_needs_a_superuser(cluster: Stack) -> None:
    with psycopg.connect(server(cluster), autocommit=True) as connection:
        connection.execute("CREATE ROLE nobody_much LOGIN PASSWORD 'x'")
    dsn = re.sub(r"user=\S+ password=\S+", "user=nobody_much password=x", server(cluster))
    result = init(cluster, "--dsn", dsn, "--dry-run")
    assert result.returncode == 1 and "superuser" in result.stderr
    with psycopg.connect(server(cluster), autocommit=True) as connection:
        connection.execute("DROP ROLE nobody_much")


# ---- root, who says nothing of a database ----


class Server:
    """The cluster where PostgreSQL's socket is by default, and its superuser gets in without a password, as on any Debian; for root's commands alone."""

    def __init__(self, cluster: Stack, config: Path) -> None:
        self.cluster, self.config = cluster, config
        self.hba = cluster.pgdata / "pg_hba.conf"
        self.before = self.hba.read_text()

    def __enter__(self) -> Server:
        self.write("local all postgres peer\n" + self.before)
        return self

    def __exit__(self, *_: object) -> None:
        self.write(self.before)

    def write(self, text: str) -> None:
        self.hba.write_text(text)
        self.cluster.pg_ctl("reload")

    def waybill(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """In a mount namespace of its own."""
        given = {name: value for name, value in os.environ.items() if not name.startswith("PG") and name != "WAYBILL_DSN"}
        script = 'mount --bind "$0" /run/postgresql && exec "$@"'
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, str(self.cluster.sockets), self.cluster.program("waybill"), *arguments],
            env=given | {"WAYBILL_CONFIG": str(self.config)} | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(os.getuid() != 0, reason="it is about root")
def test_root_needs_no_connection_string(cluster: Stack, folder: Path) -> None:
    drop(cluster, "waybill")
    with Server(cluster, folder / "waybill.conf") as server:
        made = server.waybill("init")
        assert made.returncode == 0 and "database waybill: created" in made.stdout, made
        assert server.config.stat().st_uid == 0
        for arguments in (["status"], ["sources"], ["deliveries"], ["rebuild"], ["prune"], ["purge", "--older-than", "1", "--dry-run"], ["verify"]):
            result = server.waybill(*arguments)
            assert result.returncode == 0 and result.stderr == "", (arguments, result)
        again = server.waybill("init")
        assert "database waybill: is there" in again.stdout, again
        # Whoever says something is taken at his word.
        assert server.waybill("prune", PGDATABASE="postgres").returncode == 1
        for said in ({"PGUSER": "nobody"}, {"PGHOST": "/nowhere"}, {"WAYBILL_DSN": "dbname=waybill"}):
            result = server.waybill("prune", **said)
            assert result.returncode == 1 and result.stderr, (said, result)
    with psycopg.connect(cluster.env["WAYBILL_SUPERUSER_DSN"]) as connection:
        actions = connection.execute("SELECT command, os_user, database_user FROM waybill_audit.actions ORDER BY action_id").fetchall()
    assert [row[0] for row in actions] == ["init", "rebuild", "prune"]
    assert {row[1].split(" ")[0] for row in actions} == {"root"} and {row[2] for row in actions} == {"postgres"}
