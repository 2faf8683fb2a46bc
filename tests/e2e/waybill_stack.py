"""Real stacks: `make up` in a private folder, with what tests do to one: ask its database, change its configuration, stop its parts."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import psycopg
from psycopg.rows import dict_row

import waybill_client as client
from http_plain import Answer, Site, request
from waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
SERVERS = ("lighttpd", "apache", "nginx")
RESPONDERS = ("webhook", "status")
# The build may be part of it.
MAKE_SECONDS = 900
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "LeakSanitizer")

Row = dict[str, Any]


def free_port() -> int:
    """Below the ports that the kernel gives to clients, so nobody takes it by chance before the web server does."""
    while True:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def make_command(*arguments: str) -> list[str]:
    return ["make", "--no-print-directory", "-C", str(CHECKOUT), *arguments]


def make_environment() -> dict[str, str]:
    """What selects the build (BUILD, CC, …) passes through; a make that runs the tests has no part in the makes that they run."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Its output goes to a pipe: this only returns when nobody holds that any more."""
    return subprocess.run(
        make_command(*arguments), env=make_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=MAKE_SECONDS)


def shared_counters(config: Path) -> list[Path]:
    """The files in which the responders with this configuration share what they count; the last to end in good order removes them."""
    return list(Path("/dev/shm").glob(f"waybill-metrics-*{configuration_digest(config)}*"))


def configuration_digest(config: Path) -> str:
    """What is in the names of those files."""
    return hashlib.sha256(str(config.resolve()).encode()).hexdigest()[:16]


def heed_ctrl_c() -> None:
    """Where the tests run in the background of a shell, SIGINT is ignored, and a shell cannot trap what it was born to ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# It is asked for before and after thousands of tests, and changes when a responder does.
@cache
def _assignments(text: str) -> list[tuple[str, str]]:
    """The lines NAME=VALUE of a shell."""
    pairs = (shlex.split(line)[0].partition("=") for line in text.splitlines() if line)
    return [(name, value) for name, _, value in pairs]


class Stack:
    """One stack in a folder of its own, which goes away with it."""

    def __init__(self, server: str = "lighttpd") -> None:
        self.server = server
        self._base = Path(tempfile.mkdtemp(prefix="waybill-e2e-"))
        # Started by root, the stack runs as another user, who must get there.
        self._base.chmod(0o755)
        self.var = self._base / "var"
        self._secrets: set[str] = set()
        # With which status a responder may end: in good order, or by our SIGKILL. A test that crashes one adds to it.
        self.ends = {"0", "137"}

    # ---- up and down ----

    def up(self) -> Stack:
        """Tries another port when somebody was quicker; anything else that fails is a failure."""
        for _ in range(5):
            self.port = free_port()
            result = self.make("up", f"PORT={self.port}", f"SERVER={self.server}", "SAMPLES=0")
            if result.returncode == 0:
                self.add_secrets(*self._run_secrets())
                return self
            if "is taken" not in result.stdout:
                break
        raise AssertionError(f"make up failed:\n{result.stdout[-8000:]}")

    def run_in_foreground(self) -> subprocess.Popen[str]:
        """`make run`, as from a terminal of its own; its samples too."""
        self.port = free_port()
        command = make_command("run", f"VAR={self.var}", f"PORT={self.port}", f"SERVER={self.server}")
        return subprocess.Popen(
            command, env=make_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, preexec_fn=heed_ctrl_c)

    def make(self, target: str, *variables: str) -> subprocess.CompletedProcess[str]:
        return make(target, f"VAR={self.var}", *variables)

    def down(self) -> None:
        self.forget_connections()
        result = self.make("down")
        assert result.returncode == 0, f"make down failed:\n{result.stdout}"

    def remove(self) -> None:
        """Stops it, looks at what it leaves, and deletes its folder, whatever fails."""
        try:
            self.down()
            self.check_logs()
            assert shared_counters(self.var / "waybill.conf") == []
        finally:
            shutil.rmtree(self._base, ignore_errors=True)

    # ---- what run.env says ----

    def run_env(self) -> dict[str, str]:
        return dict(_assignments((self.var / "run.env").read_text()))

    @cached_property
    def env(self) -> dict[str, str]:
        """All but the process ids, which change: pid() tells those."""
        return {name: value for name, value in self.run_env().items() if not name.endswith("_PID")}

    def pid(self, name: str) -> int:
        """Of webhook, status, server or postgres."""
        return self._postmaster() if name == "postgres" else int(self.run_env()[f"{name.upper()}_PID"])

    def pids(self) -> dict[str, int]:
        ids = {name.removesuffix("_PID").lower(): int(value) for name, value in self.run_env().items() if name.endswith("_PID")}
        # The tests restart it by pg_ctl, of which run.env knows nothing.
        return ids | {"postgres": self._postmaster()}

    def _postmaster(self) -> int:
        return int((self.pgdata / "postmaster.pid").read_text().split()[0])

    @property
    def site(self) -> Site:
        return Site("127.0.0.1", self.port)

    @property
    def config(self) -> Path:
        return Path(self.env["WAYBILL_CONFIG"])

    @property
    def pgdata(self) -> Path:
        return Path(self.env["PGDATA"])

    @property
    def sockets(self) -> Path:
        """The folder of the responders' and PostgreSQL's sockets, which is elsewhere when $VAR has a long path."""
        elsewhere = self.var / "run" / "sockets"
        return Path(elsewhere.read_text()) if elsewhere.exists() else self.var / "run"

    def responder_socket(self, name: str) -> str:
        return str(self.sockets / f"{name}.sock")

    # ---- programs ----

    @property
    def owner(self) -> dict[str, Any]:
        """subprocess's arguments to run something as the user that the stack runs as."""
        status = self.pgdata.stat()
        if status.st_uid == os.getuid():
            return {"cwd": "/"}
        return {"cwd": "/", "user": status.st_uid, "group": status.st_gid, "extra_groups": []}

    def program(self, name: str) -> str:
        """The path of webhook.fcgi, status.fcgi or waybill."""
        return str(self.var / "bin" / name)

    def waybill(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the administration command; WAYBILL_DSN is the owner's unless ENVIRONMENT says otherwise."""
        defaults = {"WAYBILL_CONFIG": str(self.config), "WAYBILL_DSN": self.env["WAYBILL_DSN"]}
        return subprocess.run(
            [self.program("waybill"), *arguments], env=os.environ | defaults | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, **self.owner)

    # ---- clients ----

    def sender(self, source: str, credential: client.Credential | None = None, mount: str = "/webhooks", url_token: str = "") -> client.Sender:
        """Of a demo source, with its credential; of any other, with the one given."""
        return client.Sender(self.site, source, credential or self._demo_credential(source), mount, url_token)

    def _demo_credential(self, source: str) -> client.Credential:
        make_credential, name = {
            "crossborderly": (client.crossborderly_signature, "CROSSBORDERLY_SECRET"),
            "swiftpod": (client.swiftpod_signature, "SWIFTPOD_SECRET"),
            "waybill": (client.standard_webhooks, "WAYBILL_SECRET"),
            "crowdsender": (client.basic, "CROWDSENDER_BASIC"),
            "shipup": (client.basic, "SHIPUP_BASIC"),
        }[source]
        return make_credential(self.env[name])

    @property
    def status(self) -> client.StatusClient:
        return client.StatusClient(self.site, self.env["STATUS_TOKEN"])

    @property
    def tracking_status(self) -> client.StatusClient:
        return client.StatusClient(self.site, self.env["STATUS_TRACKING_TOKEN"])

    # ---- the database ----

    def report(self, sql: str, *parameters: object) -> list[Row]:
        return self.query("WAYBILL_REPORT_DSN", sql, *parameters)

    def audit(self, sql: str, *parameters: object) -> list[Row]:
        return self.query("WAYBILL_AUDIT_DSN", sql, *parameters)

    def query(self, dsn_name: str, sql: str, *parameters: object) -> list[Row]:
        """All rows, as the role of that connection string in run.env."""
        try:
            return self._execute(dsn_name, sql, parameters)
        except psycopg.OperationalError:  # the database was restarted meanwhile
            self.forget_connections()
            return self._execute(dsn_name, sql, parameters)

    @cached_property
    def _connections(self) -> dict[str, psycopg.Connection[Row]]:
        return {}

    def _execute(self, dsn_name: str, sql: str, parameters: tuple[object, ...]) -> list[Row]:
        if dsn_name not in self._connections:
            self._connections[dsn_name] = psycopg.connect(self.env[dsn_name], autocommit=True, row_factory=dict_row)
        return self._connections[dsn_name].execute(sql, parameters).fetchall()

    def forget_connections(self) -> None:
        """Of the tests: the next question makes new ones."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def stored(self, body: bytes, source: str | None = None) -> list[Row]:
        """The deliveries of exactly these bytes, with the bytes."""
        digest = hashlib.sha256(body).digest()
        rows = self.audit("SELECT * FROM waybill_audit.deliveries WHERE body_sha256 = %s ORDER BY received_at", digest)
        return [row for row in rows if source in (None, row["source"])]

    def delivery(self, delivery_id: str) -> Row:
        (row,) = self.audit("SELECT * FROM waybill_audit.deliveries WHERE delivery_id = %s", delivery_id)
        return row

    @cached_property
    def _postgres_bin(self) -> str:
        return os.path.dirname(os.readlink(f"/proc/{self._postmaster()}/exe"))

    def pg_ctl(self, *arguments: str) -> None:
        """pg_ctl over the stack's own cluster, which runs when this is used first."""
        subprocess.run(
            [f"{self._postgres_bin}/pg_ctl", "-D", str(self.pgdata), "-w", *arguments], check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, **self.owner)

    @contextmanager
    def database_stopped(self) -> Iterator[None]:
        """Nothing listens there."""
        self.pg_ctl("stop", "-m", "fast")
        try:
            yield
        finally:
            self.pg_ctl("start")
            self.wait_ready()

    @contextmanager
    def database_frozen(self) -> Iterator[None]:
        """Every process of the cluster is stopped in its tracks: connections stand, nothing answers."""
        postmaster = self._postmaster()
        processes = [postmaster, *children(postmaster)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                os.kill(process, signal.SIGCONT)
            self.wait_ready()

    @contextmanager
    def empty_database(self, options: str = "OWNER waybill_owner") -> Iterator[str]:
        """In the stack's cluster; gives a superuser's connection string."""
        name = client.uid("e2e_")
        superuser = self.env["WAYBILL_SUPERUSER_DSN"]
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
            try:
                yield re.sub(r"dbname=\S+", f"dbname={name}", superuser)
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def dump(self) -> str:
        """The whole database cluster as SQL."""
        dsn = self.env["WAYBILL_SUPERUSER_DSN"]
        password = re.search(r"password=(\S+)", dsn)
        command = [f"{self._postgres_bin}/pg_dumpall", "--dbname", dsn]
        # pg_dumpall starts others that need it too.
        environment = os.environ | ({"PGPASSWORD": password.group(1)} if password else {})
        return subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **self.owner).stdout

    def limit_files(self, pids: Iterable[int], limit: str) -> None:
        """These processes of the stack write no file beyond LIMIT bytes ("unlimited": they do)."""
        for pid in pids:
            # As their user: root may not in every container. They may be gone meanwhile.
            subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={limit}:"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.owner)

    # ---- configuration ----

    def write_config(self, text: str) -> None:
        """In place: owner and mode stay."""
        self.config.write_text(text)

    def another_config(self, name: str, text: str) -> Path:
        """A file beside the configuration, for the same user alone."""
        path = self.config.with_name(name)
        path.touch(0o600)
        path.write_text(text)
        os.chown(path, self.config.stat().st_uid, self.config.stat().st_gid)
        return path

    @contextmanager
    def configured(self, change: Callable[[str], str]) -> Iterator[None]:
        """Runs the responders with a changed configuration, and with the old one afterwards."""
        before = self.config.read_text()
        try:
            self.write_config(change(before))
            self.restart_responders()
            yield
        finally:
            self.write_config(before)
            self.restart_responders()

    def restart_responders(self) -> None:
        """SIGTERM; their supervisor starts them again."""
        before = {name: self.pid(name) for name in RESPONDERS}
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
        for name, pid in before.items():
            self.wait_replaced(name, pid)

    def wait_replaced(self, name: str, pid: int) -> None:
        """Until another process than PID answers."""
        wait_until(lambda: self.pid(name) != pid and self.is_ready(name), f"{name}.fcgi is replaced: {self.log_end(name)}")

    def wait_ready(self) -> None:
        for name in RESPONDERS:
            wait_until(lambda: self.is_ready(name), f"{name}.fcgi is ready: {self.log_end(name)}")

    def is_ready(self, name: str) -> bool:
        """Nor does anything wait in the spool."""
        answer = self.health(name, "readyz")
        return answer.status == 200 and answer.json()["status"] == "ok"

    def health(self, name: str, page: str, headers: dict[str, str] | None = None) -> Answer:
        mount = {"webhook": "/webhooks", "status": "/status"}[name]
        return request(self.site, "GET", f"{mount}/{page}", headers or {})

    # ---- logs ----

    def log_text(self, name: str) -> str:
        return (self.var / "log" / f"{name}.log").read_text(errors="replace")

    def log_end(self, name: str) -> str:
        return "\n".join(self.log_text(name).splitlines()[-10:])

    def add_secrets(self, *values: str) -> None:
        """What no log and no answer may show."""
        self._secrets.update(values)
        client.SECRETS.update(values)

    @property
    def secrets(self) -> set[str]:
        """As themselves, and as they travel."""
        encoded = {base64.b64encode(secret.encode()).decode() for secret in self._secrets}
        return self._secrets | encoded | {secret.encode().hex() for secret in self._secrets}

    def _run_secrets(self) -> list[str]:
        names = ("CROSSBORDERLY_SECRET", "SWIFTPOD_SECRET", "CROWDSENDER_BASIC", "SHIPUP_BASIC", "STATUS_TOKEN", "STATUS_TRACKING_TOKEN")
        passwords = [re.search(r"password=(\S+)", value) for name, value in self.env.items() if name.endswith("_DSN")]
        return [self.env[name] for name in names] + [found.group(1) for found in passwords if found]

    def check_logs(self) -> None:
        """No sanitizer's report, no secret, nobody's name or address; and no responder ended but as a test meant it to."""
        for log in sorted((self.var / "log").glob("*.log")):
            text = log.read_text(errors="replace")
            ends = set(re.findall(r"^supervisor: .* ended with status (\d+)", text, re.MULTILINE))
            assert ends <= self.ends, f"{log.name} of {self.server}: {ends}\n{text[-3000:]}"
            for report in SANITIZER_REPORTS:
                assert report not in text, f"{log.name} of {self.server} has a report:\n{text[text.index(report) - 200:][:6000]}"
            for word in (*self.secrets, *client.PERSONAL):
                assert word not in text, f"{log.name} of {self.server} shows {word}: {line_with(text, word)}"


def line_with(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if word in line)


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


# ---- editing a configuration ----


def set_option(text: str, section: str, option: str, value: str | None) -> str:
    """The configuration TEXT with OPTION of the section without a title set to VALUE; None removes it."""
    start = re.search(rf"^{section}\s*\{{", text, re.MULTILINE)
    assert start, f"no section {section}"
    end = section_end(text, start.end())
    inside = re.sub(rf"\b{option}\s*=\s*(\{{[^}}]*\}}|\"[^\"]*\"|\S+)", "", text[start.end() : end])
    if value is not None:
        inside = f"\n    {option} = {value}\n{inside}"
    return text[: start.end()] + inside + text[end:]


def section_end(text: str, at: int) -> int:
    """Where the brace closes that was opened before AT."""
    depth = 1
    for found in re.finditer(r'"[^"]*"|#[^\n]*|[{}]', text[at:]):
        depth += {"{": 1, "}": -1}.get(found.group(), 0)
        if depth == 0:
            return at + found.start()
    raise AssertionError("the section has no end")
