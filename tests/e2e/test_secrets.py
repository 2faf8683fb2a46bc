"""What must stay secret: each program opens only its own credentials, shows them nowhere, and asks nothing of the kernel that its unit forbids."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import psycopg
import pytest

import fastcgi
import shipped_servers
import waybill_client as wb
from extra_sources import ExtraSources
from http_plain import request
from traced import Trace, Tracer
from waiting import wait_until
from waybill_stack import CHECKOUT, RESPONDERS, SERVERS, Stack, set_option

# Who the kernel lets look into the programs, which keep to themselves.
ONLY_ROOT_SEES_PATHS = pytest.mark.skipif(os.getuid() != 0, reason="strace sees no paths of a program that keeps its memory to itself")
SANITIZED = bool(os.environ.get("SANITIZE"))
# Counters of covered lines are files too.
COUNTED = "--coverage" in os.environ.get("LDFLAGS", "")
PROGRAMS = {"webhook": "webhook.fcgi", "status": "status.fcgi"}


@contextmanager
def folder_of(stack: Stack) -> Iterator[Path]:
    """A temporary folder of the stack's user."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, stack.config.stat().st_uid, -1)
        yield Path(name)


def write(stack: Stack, path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
    os.chown(path, stack.config.stat().st_uid, -1)


# ---- what is opened ----

SECRET_FILES = ("signed.secret", "shop.basic", "shop.bearer", "shop.header", "shop.url")


def config_with_files(stack: Stack, folder: Path) -> Path:
    """Each credential in a file of its own, the databases' passwords too."""
    text = stack.config.read_text()
    dsns = {}
    for role in ("ingest", "status"):
        found = re.search(rf'\b{role}_dsn\s*=\s*"([^"]*)"', text)
        assert found
        password = re.search(r"password=(\S+)", found.group(1))
        write(stack, folder / f"{role}.pass", f"*:*:*:*:{password.group(1) if password else 'none'}\n")
        dsns[role] = re.sub(r"password=\S+", "", found.group(1)) + f" passfile={folder}/{role}.pass"
    for name in SECRET_FILES:
        write(stack, folder / name, {"shop.basic": "user:", "shop.header": "X-Api-Key: "}.get(name, "") + wb.uid() * 3)
    write(stack, folder / "waybill.conf", f"""
database {{ ingest_dsn = "{dsns['ingest']}"  status_dsn = "{dsns['status']}" }}
source signed {{ provider = crossborderly  secret_file = "signed.secret" }}
source basic {{ provider = crowdsender  basic_file = "shop.basic" }}
source bearer {{ provider = crowdsender  bearer_file = "shop.bearer" }}
source header {{ provider = crowdsender  header_file = "shop.header" }}
source url {{ provider = crowdsender  url_token_file = "shop.url" }}
client shop {{ token_sha256 = "{'ab' * 32}"  scope = full  sources = {{"*"}} }}
""")
    return folder / "waybill.conf"


def get(path: str, mount: str = "/status", **headers: str) -> dict[str, str]:
    return {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET", "REQUEST_URI": mount + path, "SCRIPT_NAME": mount,
        "PATH_INFO": path.partition("?")[0], "QUERY_STRING": path.partition("?")[2], "REMOTE_ADDR": "127.0.0.1", **headers,
    }


OPENED_BY = {"webhook": {*SECRET_FILES, "ingest.pass"}, "status": {"status.pass"}}


@ONLY_ROOT_SEES_PATHS
@pytest.mark.parametrize("name", RESPONDERS)
def test_a_responder_opens_only_its_own_secrets(stack: Stack, name: str) -> None:
    with folder_of(stack) as folder:
        config, tracer = config_with_files(stack, folder), Tracer(stack, folder)
        mount = {"webhook": "/webhooks", "status": "/status"}[name]
        with tracer.serving(PROGRAMS[name], config):
            wait_until(lambda: fastcgi.request(tracer.socket, get("/readyz", mount)), "it has asked its database")
        assert secrets_opened(tracer.trace, folder) == OPENED_BY[name]


COMMANDS = {"check": set(SECRET_FILES), "migrate": set(), "rebuild": set(), "status": set(), "sources": set(), "deliveries": set()}


@ONLY_ROOT_SEES_PATHS
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_opens_only_the_secrets_it_needs(stack: Stack, command: str) -> None:
    with folder_of(stack) as folder:
        config, tracer = config_with_files(stack, folder), Tracer(stack, folder)
        # An empty database: nothing to rebuild.
        with stack.empty_database() as dsn:
            if command not in ("check", "migrate"):
                stack.waybill("migrate", "--dsn", dsn)
            own_dsn = () if command == "check" else ("--dsn", dsn)
            trace = tracer.run("waybill", command, *own_dsn, WAYBILL_CONFIG=str(config))
        assert secrets_opened(trace, folder) == COMMANDS[command]


def secrets_opened(trace: Trace, folder: Path) -> set[str]:
    inside = {os.path.relpath(path, folder) for path in trace.opened if path.startswith(str(folder))}
    return inside & {*SECRET_FILES, "ingest.pass", "status.pass"}


# ---- what is asked of the kernel ----


def unit_option(name: str, option: str) -> list[str]:
    text = (CHECKOUT / "apache-conf" / "systemd" / f"waybill-{name}.service").read_text()
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(option + "=")]


def members(group: str) -> set[str]:
    """The calls of one of systemd's sets, and of the sets in it."""
    shown = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    names = [line.strip() for line in shown.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return {one for name in names for one in (members(name) if name.startswith("@") else {name})}


def allowed_calls(name: str) -> set[str]:
    """By the lines of SystemCallFilter, in their order. execve brings the program itself in."""
    allowed: set[str] = set()
    for line in unit_option(name, "SystemCallFilter"):
        calls = {call for word in line.removeprefix("~").split() for call in (members(word) if word.startswith("@") else {word})}
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


@pytest.mark.skipif(SANITIZED or COUNTED, reason="the sanitizers ask for more, and counters are written")
@pytest.mark.parametrize("name,database", [("webhook", True), ("webhook", False), ("status", True)], ids=["webhook", "webhook-spooling", "status"])
def test_the_unit_allows_what_is_done_and_nothing_is_written_elsewhere(stack: Stack, name: str, database: bool) -> None:
    """Under some load, with a database that ends the connections, or with none."""
    with folder_of(stack) as folder:
        tracer = Tracer(stack, folder)
        text = set_option(stack.config.read_text(), "webhook", "spool", f'"{folder}/spool"')
        write(stack, folder / "waybill.conf", text if database else set_option(text, "database", "ingest_dsn", '"host=/nonexistent user=x"'))
        with tracer.serving(PROGRAMS[name], folder / "waybill.conf"):
            outcomes = work(stack, tracer.socket, name)
            with psycopg.connect(stack.env["WAYBILL_SUPERUSER_DSN"], autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (f"waybill_{ROLE[name]}",))
            outcomes |= work(stack, tracer.socket, name)
        trace = tracer.trace
        spooled = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and "spool" in str(path.relative_to(folder)))
    assert ("spooled" in outcomes) == (not database)
    assert {"accept4", "epoll_wait", "connect"} <= trace.calls
    assert trace.calls - allowed_calls(name) == set()
    assert os.getuid() != 0 or str(folder / "waybill.conf") in trace.opened
    outside = {path for path in trace.opened_for_writing if not path.startswith(f"{folder}/spool") and path not in ("/dev/null", "/dev/tty")}
    # The counters of /metrics are memory that processes of one configuration share.
    counters = {path for path in outside if path.startswith(f"/dev/shm/waybill-metrics-2-{PROGRAMS[name]}-")}
    assert len(counters) == 1 and outside == counters
    assert [word for word in stack.secrets if word.encode() in spooled] == []


ROLE = {"webhook": "ingest", "status": "status"}


def work(stack: Stack, address: str, name: str) -> set[str | None]:
    """Requests of all kinds; the outcomes of the webhooks among them."""
    token = {"HTTP_AUTHORIZATION": f"Bearer {stack.env['STATUS_TOKEN']}"}
    outcomes: set[str | None] = set()
    for number in range(20):
        if name == "status":
            for path in ("/orders?limit=3", "/changes?limit=2", "/orders/crossborderly/nobody", "/readyz", "/livez"):
                fastcgi.request(address, get(path, **token))
            continue
        event = wb.status_changed(wb.uid("T"), "IN_TRANSIT", padding="x" * 1000 * number)
        for body in (wb.encode(event), b"no json", b""):
            for credential in (stack.sender("crossborderly").credential(body), {}):
                answer = fastcgi.request(address, fastcgi.post_params("/crossborderly", body, credential), body)
                assert answer is not None
                outcomes.add(answer.outcome[1])
        fastcgi.request(address, get("/readyz", "/webhooks"))
    return outcomes


@pytest.mark.skipif(SANITIZED or COUNTED, reason="the sanitizers ask for more, and counters are written")
def test_the_unit_of_prune_allows_what_is_done(stack: Stack) -> None:
    with folder_of(stack) as folder:
        trace = Tracer(stack, folder).run("waybill", "prune", WAYBILL_DSN=stack.env["WAYBILL_DSN"])
    assert {"connect", "sendto"} <= trace.calls and trace.calls - allowed_calls("prune") == set()
    assert trace.opened_for_writing <= {"/dev/null", "/dev/tty"}


# RemoveIPC= would take the counters of /metrics when the last process of the user is killed, and PostgreSQL's memory from under it.
ALWAYS = {
    "CapabilityBoundingSet": [""], "NoNewPrivileges": ["yes"], "ProtectSystem": ["strict"], "LimitCORE": ["0"], "UMask": ["0077"],
    "AmbientCapabilities": [], "RemoveIPC": [],
}
PROMISES = {
    "webhook": {"User": ["waybill"], "StateDirectory": ["waybill"], "ReadWritePaths": [], "Restart": ["always"], "StartLimitIntervalSec": ["0"]},
    "status": {"User": ["waybill"], "StateDirectory": [], "ReadWritePaths": ["-/var/lib/waybill"], "Restart": ["always"], "StartLimitIntervalSec": ["0"]},
    "prune": {"User": ["postgres"], "Type": ["oneshot"], "StateDirectory": [], "ReadWritePaths": [], "Restart": [], "WantedBy": []},
}


@pytest.mark.parametrize("name", PROMISES)
def test_the_unit_keeps_its_promises(name: str) -> None:
    """Options that systemd's own reckoning would let pass."""
    expected = ALWAYS | PROMISES[name]
    assert {option: unit_option(name, option) for option in expected} == expected


# ---- what is shown ----


@pytest.mark.parametrize("server", SERVERS)
def test_a_token_in_the_url_is_in_no_log_of_the_server(stack: Stack, extras: ExtraSources, server: str) -> None:
    """With the shipped configuration, whether the responder can be reached or not."""
    sender = extras.sender("url-token")
    body = wb.encode(wb.URL_CHECK)
    with folder_of(stack) as folder:
        with shipped_servers.running(stack, server, folder) as site:
            assert request(site, "POST", sender.target, {}, body).outcome == (200, "ignored")
        with shipped_servers.running(stack, server, folder, webhook=str(folder / "gone")) as site:
            assert request(site, "POST", sender.target, {}, body).status in (500, 502, 503)
            assert request(site, "POST", "/webhooks/crossborderly", {}, body).status in (500, 502, 503)
        logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert str(folder / "gone") in logs or "waybill-webhook" in logs, "the server told of its trouble"
    assert extras.keys.url_token not in logs


def test_nothing_is_shown_of_a_process(stack: Stack) -> None:
    """No secret in its command line, no core file, and its memory is not for those of the same user."""
    for name in RESPONDERS:
        pid = stack.pid(name)
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        assert [word for word in stack.secrets if word in command] == []
        assert re.search(r"^Max core file size\s+0\s+0\s", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
        # Of a process that may be dumped it belongs to the process's user.
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0 != stack.config.stat().st_uid
        for file in ("mem", "environ", "maps"):
            peek = subprocess.run(
                ["/usr/bin/python3", "-c", "import sys; open(sys.argv[1], 'rb').read(1)", f"/proc/{pid}/{file}"], capture_output=True, text=True,
                **stack.owner)
            assert "PermissionError" in peek.stderr, (file, peek)


def test_a_connection_string_leaves_the_list_of_processes(stack: Stack) -> None:
    password = wb.uid() * 2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        process = subprocess.Popen(
            [stack.program("waybill"), "migrate", "--dsn", f"host={host} port={port} user=x dbname=x password={password} sslmode=disable"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **stack.owner)
        try:
            connection, _ = silent.accept()
            with connection:
                assert password not in Path(f"/proc/{process.pid}/cmdline").read_text()
        finally:
            process.kill()
            _, told = process.communicate()
    assert password not in told


def test_a_wrong_credential_is_written_nowhere(stack: Stack, extras: ExtraSources) -> None:
    """It may be the right one of somewhere else, or have one letter wrong: logs are looked at when the stack goes."""
    wrong = wb.uid() * 3
    stack.add_secrets(wrong, base64.b64encode(f"shop:{wrong}".encode()).decode())
    attempts = {
        "rotated-basic": wb.basic(f"shop:{wrong}"), "bearer": wb.bearer(wrong), "header": wb.header("X-Api-Key", wrong),
        "url-token": wb.nothing, "base64": wb.header("X-Own-Signature", wrong), "nobody": wb.bearer(wrong), "standard": wb.header("webhook-signature", wrong),
    }
    for source, credential in attempts.items():
        assert stack.sender(source, credential, url_token=wrong if source == "url-token" else "").post(b"{}").status == 401
    assert wb.StatusClient(stack.site, wrong).get("/orders").status == 401
    for name in RESPONDERS:
        assert wrong not in stack.log_text(name)


def test_no_secret_is_in_the_database(stack: Stack, extras: ExtraSources) -> None:
    """A dump of everything, roles included, after every kind of credential was shown."""
    for source in ("standard", "base64", "rotated", "several"):
        assert extras.sender(source).post(event_of(source)).status == 200
    for source in ("bearer", "header", "rotated-basic"):
        assert extras.sender(source).post(wb.send_date_updated(wb.uid("order-"), wb.moment())).status == 200
    dump = stack.dump()
    assert len(stack.secrets) > 30
    assert "waybill_data.deliveries" in dump and "webhook-signature" in dump
    assert [word for word in stack.secrets if word in dump] == []


def event_of(source: str) -> wb.Json:
    if source == "standard":
        return wb.shipment_notify(wb.number(), [wb.tracked(wb.uid("1Z"), "delivered", {"item": 1})])
    return wb.status_changed(wb.uid("T"), "IN_TRANSIT")
