"""What an operator does: starts and stops, kills, reloads, checks a configuration and rebuilds."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import psycopg
import pytest

import fastcgi
import waybill_client as wb
from conftest import Stacks
from extra_sources import ExtraSources
from http_plain import Connection
from waiting import wait_until
from waybill_stack import RESPONDERS, Stack, make

PROGRAMS = ("webhook.fcgi", "status.fcgi", "waybill")


def run(stack: Stack, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [stack.program(program), *arguments], env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, **stack.owner)


def new_event() -> wb.Json:
    return wb.status_changed(wb.uid("T"), "IN_TRANSIT")


# ---- the command line ----


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(stack: Stack, program: str) -> None:
    result = run(stack, program, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"usage", result.stdout, re.IGNORECASE) and program in result.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(stack: Stack, program: str) -> None:
    result = run(stack, program, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"\d+\.\d+\.\d+", result.stdout)


BAD_USAGE = [
    ("webhook.fcgi", ["--nonsense"]), ("status.fcgi", ["--nonsense"]), ("waybill", ["--nonsense"]),
    ("webhook.fcgi", ["--listen"]), ("webhook.fcgi", ["--listen", "nowhere"]), ("status.fcgi", ["--listen", "unix:"]),
    ("webhook.fcgi", ["surplus"]), ("waybill", ["nonsense"]), ("waybill", []), ("waybill", ["migrate", "surplus"]),
    ("waybill", ["check", "--nonsense"]),
]


@pytest.mark.parametrize("program,arguments", BAD_USAGE, ids=lambda value: "_".join(value) if isinstance(value, list) else value)
def test_usage_errors(stack: Stack, program: str, arguments: list[str]) -> None:
    result = run(stack, program, *arguments, WAYBILL_CONFIG=str(stack.config), WAYBILL_DSN=stack.env["WAYBILL_DSN"])
    assert result.returncode == 2 and result.stdout == "" and result.stderr, result


@pytest.mark.parametrize("program", ["webhook.fcgi", "status.fcgi"])
def test_no_socket_and_no_cgi_request(stack: Stack, program: str) -> None:
    result = run(stack, program, WAYBILL_CONFIG=str(stack.config))
    assert result.returncode == 2 and "usage" in result.stderr.lower(), result


def test_a_database_that_is_not_there(stack: Stack) -> None:
    result = stack.waybill("migrate", "--dsn", "host=/nonexistent dbname=x user=y")
    assert result.returncode == 1 and result.stderr, result


# ---- waybill check ----

GOOD_CONFIG = """database {
    ingest_dsn = "service=waybill_ingest"
    status_dsn = "service=waybill_status"
}
webhook {
    max_body = "1MiB"
    max_in_flight = 1024
    max_buffered = "64MiB"
    connections = 2
    spool_max = "1GiB"
    quarantine_max = "256MiB"
    trusted_proxies = {}
    plain_http = no
}
status { max_in_flight = 1024  connections = 2  plain_http = no }
source crossborderly {
    provider = crossborderly
    secret_file = "good.secret"
    allow_from = {"34.198.12.45", "52.44.78.0/24", "2001:db8::/32"}
    mode = any
}
source crowdsender { provider = crowdsender  basic = "user:password" }
source shipup { provider = shipup  basic_file = "good.basic"  tracking_url = "https://shop.example/track/{tracking_number}" }
client shop { token_sha256 = "%s"  scope = full  sources = {"*"} }
""" % ("ab" * 32)


@dataclass(frozen=True)
class Flaw:
    old: str  # a line of the good configuration, or part of one
    new: str
    named: str  # by the message


CROWDSENDER = 'source crowdsender { provider = crowdsender  basic = "user:password" }'
FLAWS = {
    "an unknown option": Flaw("    connections = 2\n    spool_max", "    conections = 2\n    spool_max", "conections"),
    "an unknown option of a source": Flaw("    mode = any", "    colour = red", "colour"),
    "an unknown section": Flaw("status {", "status2 {", "status2"),
    "a size that is none": Flaw('max_body = "1MiB"', 'max_body = "much"', "max_body"),
    "a size in words": Flaw('max_buffered = "64MiB"', 'max_buffered = "64 apples"', "max_buffered"),
    "a number that is none": Flaw("max_in_flight = 1024\n", "max_in_flight = many\n", "max_in_flight"),
    "no request allowed": Flaw("max_in_flight = 1024\n", "max_in_flight = 0\n", "max_in_flight"),
    "a negative number": Flaw("    connections = 2\n", "    connections = -1\n", "connections"),
    "no connection": Flaw("    connections = 2\n", "    connections = 0\n", "connections"),
    "neither yes nor no": Flaw("plain_http = no\n}", "plain_http = perhaps\n}", "plain_http"),
    "a proxy that is no address": Flaw("trusted_proxies = {}", 'trusted_proxies = {"proxy.example"}', "trusted_proxies"),
    "a sender's address that is none": Flaw('"34.198.12.45"', '"34.198.12.450"', "allow_from"),
    "a range that is none": Flaw('"52.44.78.0/24"', '"52.44.78.0/33"', "allow_from"),
    "an unknown provider": Flaw("provider = crossborderly", "provider = pigeon", "provider"),
    "no provider": Flaw("    provider = crossborderly\n", "", "provider"),
    "an unknown mode": Flaw("mode = any", "mode = sometimes", "mode"),
    "an unknown signature": Flaw("mode = any", "signature = rot13", "signature"),
    "an unknown encoding": Flaw("mode = any", "signature_encoding = base32", "signature_encoding"),
    "a secret file that is not there": Flaw("good.secret", "missing.secret", "secret_file"),
    "a secret file that all can read": Flaw("good.secret", "open.secret", "secret_file"),
    "an empty secret file": Flaw("good.secret", "empty.secret", "secret_file"),
    "a password file that is not there": Flaw("good.basic", "missing.basic", "basic_file"),
    "an empty secret": Flaw('secret_file = "good.secret"', 'secret = ""', "secret"),
    "a password without a user": Flaw('"user:password"', '"password"', "basic"),
    "no credential": Flaw(CROWDSENDER, "source crowdsender { provider = crowdsender }", "crowdsender"),
    "only an address": Flaw(CROWDSENDER, 'source crowdsender { provider = crowdsender  allow_from = {"127.0.0.1"} }', "crowdsender"),
    "a signature without a secret": Flaw('    secret_file = "good.secret"\n', "", "secret"),
    "a header without a value": Flaw('basic = "user:password"', 'header = "X-Api-Key"', "header"),
    "a short token": Flaw('basic = "user:password"', 'url_token = "tooshort"', "url_token"),
    "a token that does not fit a URL": Flaw('basic = "user:password"', f'url_token = "{"a/" * 20}"', "url_token"),
    "a link without its place": Flaw("{tracking_number}", "number", "tracking_url"),
    "the name livez": Flaw("source crowdsender", "source livez", "livez"),
    "the name readyz": Flaw("source crowdsender", "source readyz", "readyz"),
    "the name metrics": Flaw("source crowdsender", "source metrics", "metrics"),
    "the name console": Flaw("source crowdsender", "source console", "console"),
    "the name openapi.json": Flaw("source crowdsender", 'source "openapi.json"', "openapi.json"),
    "a name in capitals": Flaw("source crowdsender", "source Crowdsender", "Crowdsender"),
    "a long name": Flaw("source crowdsender", "source " + "a" * 33, "aaa"),
    "a source twice": Flaw("source crowdsender", "source shipup", "shipup"),
    "a token instead of its hash": Flaw("ab" * 32, "the-token", "token_sha256"),
    "no hash": Flaw(f'token_sha256 = "{"ab" * 32}"', "", "token_sha256"),
    "an unknown scope": Flaw("scope = full", "scope = everything", "scope"),
    "a source that is not there": Flaw('sources = {"*"}', 'sources = {"nobody"}', "nobody"),
    "a brace missing": Flaw("plain_http = no }", "plain_http = no", ""),
    "words": Flaw("status {", "hello there\nstatus {", ""),
}


@contextmanager
def config_file(stack: Stack, text: str, mode: int = 0o600) -> Iterator[Path]:
    """A configuration of the stack's user, with the files it names beside it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = {"waybill.conf": text, "good.secret": wb.uid() + "\n", "open.secret": wb.uid(), "empty.secret": "", "good.basic": "user:password\n"}
        for file, content in contents.items():
            (folder / file).write_text(content)
            (folder / file).chmod({"waybill.conf": mode, "open.secret": 0o644}.get(file, 0o600))
            os.chown(folder / file, stack.config.stat().st_uid, -1)
        os.chown(folder, stack.config.stat().st_uid, -1)
        yield folder / "waybill.conf"


def check(stack: Stack, config: Path) -> subprocess.CompletedProcess[str]:
    return stack.waybill("check", WAYBILL_CONFIG=str(config))


def test_a_good_configuration(stack: Stack) -> None:
    with config_file(stack, GOOD_CONFIG) as config:
        result = check(stack, config)
    assert (result.returncode, result.stderr) == (0, ""), result
    assert stack.waybill("check").returncode == 0


@pytest.mark.parametrize("case", FLAWS)
def test_a_flaw_is_named_with_file_line_and_option(stack: Stack, case: str) -> None:
    flaw = FLAWS[case]
    assert GOOD_CONFIG.count(flaw.old) >= 1
    text = GOOD_CONFIG.replace(flaw.old, flaw.new, 1)
    with config_file(stack, text) as config:
        result = check(stack, config)
        assert result.returncode == 2 and flaw.named in result.stderr, result
        found = re.search(rf"{re.escape(str(config))}:(\d+)", result.stderr)
        assert found, result
        assert int(found.group(1)) in lines_about(text, flaw), result
        # A responder does not start with it either.
        responder = run(stack, "webhook.fcgi", "--listen", f"unix:{config.parent}/socket", WAYBILL_CONFIG=str(config))
        assert responder.returncode == 2 and flaw.named in responder.stderr, responder


def lines_about(text: str, flaw: Flaw) -> range:
    """Those of the section that was changed; of a broken syntax, all that follows."""
    at = GOOD_CONFIG.index(flaw.old)
    sections = [text.count("\n", 0, found.start()) + 1 for found in re.finditer(r"^\w.*\{", text, re.MULTILINE)]
    first = max(line for line in sections if line <= text.count("\n", 0, at) + 1)
    end = text.count("\n") + 1
    return range(first, 1 + (min([line for line in sections if line > first], default=end) if flaw.named else end))


SECRETIVE = ["a password without a user", "a short token", "a token instead of its hash", "a header without a value"]


@pytest.mark.parametrize("case", SECRETIVE)
def test_a_flaw_does_not_tell_the_secret(stack: Stack, case: str) -> None:
    flaw = FLAWS[case]
    value = re.search(r'"([^"]*)"', flaw.new) if '"' in flaw.new else None
    with config_file(stack, GOOD_CONFIG.replace(flaw.old, flaw.new, 1)) as config:
        shown = check(stack, config).stderr
    secret = value.group(1) if value else flaw.new
    assert shown and f'"{secret}"' not in shown and f" {secret}" not in shown, shown


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
def test_a_configuration_with_secrets_that_others_can_read(stack: Stack, mode: int) -> None:
    with config_file(stack, GOOD_CONFIG, mode) as config:
        result = check(stack, config)
        assert result.returncode == 2 and str(config) in result.stderr, result


def test_a_configuration_without_secrets_may_be_read(stack: Stack) -> None:
    with config_file(stack, GOOD_CONFIG.replace('basic = "user:password"', 'basic_file = "good.basic"'), 0o644) as config:
        result = check(stack, config)
        assert result.returncode == 0, result


def test_a_configuration_that_is_not_there(stack: Stack) -> None:
    result = check(stack, Path("/nonexistent/waybill.conf"))
    assert result.returncode == 2 and "/nonexistent/waybill.conf" in result.stderr


# ---- ways to listen ----


class Listener:
    """One way of handing a responder its socket: its arguments, environment and file, and where to call it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX if kind in ("unix", "systemd", "descriptor 0") else socket.AF_INET)
        self.path = str(folder / "socket")
        self.address: str | tuple[str, int] = self.path
        self.arguments: list[str] = []
        self.options: dict[str, Any] = {"stdin": subprocess.DEVNULL}
        getattr(self, "_" + kind.replace(" ", "_"))()

    def _unix(self) -> None:
        self.arguments = ["--listen", f"unix:{self.path}"]

    def _tcp(self) -> None:
        self.socket.bind(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.socket.close()
        self.arguments = ["--listen", "{}:{}".format(*self.address)]

    def _listen(self) -> None:
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.listen(64)

    def _descriptor_0(self) -> None:
        self._listen()
        self.options = {"stdin": self.socket}

    def _systemd(self) -> None:
        """LISTEN_PID is the process itself, so a shell sets it."""
        self._listen()
        self.options |= {"pass_fds": (self.socket.fileno(),)}

    def command(self, program: str) -> list[str]:
        if "pass_fds" not in self.options:
            return [program, *self.arguments]
        return ["bash", "-c", f'exec env LISTEN_FDS=1 LISTEN_PID=$$ "$1" 3<&{self.socket.fileno()}', "-", program]


LISTENERS = ["unix", "tcp", "descriptor 0", "systemd"]


@contextmanager
def responder(stack: Stack, kind: str) -> Iterator[tuple[subprocess.Popen[bytes], Listener]]:
    """A webhook.fcgi beside the stack's own, on the same database."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        listener = Listener(kind, Path(name))
        with closing(listener.socket):
            environment = os.environ | {"WAYBILL_CONFIG": str(stack.config)}
            process = subprocess.Popen(
                listener.command(stack.program("webhook.fcgi")), env=environment, stderr=subprocess.DEVNULL, **listener.options, **stack.owner)
            try:
                wait_until(lambda: answers(stack, listener.address), "the responder answers")
                yield process, listener
            finally:
                process.kill()
                process.wait()


def answers(stack: Stack, address: str | tuple[str, int]) -> bool:
    body = wb.encode(new_event())
    params = fastcgi.post_params("/crossborderly", body, stack.sender("crossborderly").credential(body))
    try:
        answer = fastcgi.request(address, params, body)
    except OSError:
        return False
    return answer is not None and answer.outcome == (200, "applied")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGUSR1], ids=lambda stop: stop.name)
@pytest.mark.parametrize("kind", LISTENERS)
def test_ways_to_listen_and_to_stop(stack: Stack, kind: str, stop: signal.Signals) -> None:
    with responder(stack, kind) as (process, listener):
        assert answers(stack, listener.address)
        process.send_signal(stop)
        assert process.wait(30) == 0
        assert kind != "unix" or not os.path.exists(listener.path)


def test_a_socket_is_for_its_group_only(stack: Stack) -> None:
    with responder(stack, "unix") as (_, listener):
        assert os.stat(listener.path).st_mode & 0o777 == 0o660


def test_a_socket_in_use_is_not_taken_over(stack: Stack) -> None:
    with responder(stack, "unix") as (first, listener):
        second = run(stack, "webhook.fcgi", "--listen", f"unix:{listener.path}", WAYBILL_CONFIG=str(stack.config))
        assert second.returncode != 0 and listener.path in second.stderr
        assert answers(stack, listener.address) and first.poll() is None


def test_a_socket_left_behind_is_replaced(stack: Stack) -> None:
    with responder(stack, "unix") as (first, listener):
        first.kill()
        first.wait()
        assert os.path.exists(listener.path)
        second = subprocess.Popen(
            [stack.program("webhook.fcgi"), *listener.arguments], env=os.environ | {"WAYBILL_CONFIG": str(stack.config)},
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **stack.owner)
        try:
            wait_until(lambda: answers(stack, listener.address), "the second responder answers")
        finally:
            second.kill()
            second.wait()


# ---- killing and stopping ----


@pytest.mark.tsan
@pytest.mark.parametrize("name", RESPONDERS)
def test_a_killed_responder_is_back(each_stack: Stack, name: str) -> None:
    """Soon: within a second, on a machine that has nothing else to do."""
    pid = each_stack.pid(name)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: each_stack.pid(name) != pid, f"there is another {name}.fcgi", seconds=10)
    each_stack.wait_replaced(name, pid)
    each_stack.sender("crossborderly").deliver(new_event())
    assert each_stack.status.get("/orders", {"limit": 1}).status == 200


def post_until(stack: Stack, stopped: threading.Event) -> tuple[list[bytes], list[bytes]]:
    """Posts new events one after the other: all of them, and those that were answered with 200."""
    sender, sent, taken = stack.sender("crossborderly"), [], []
    while not stopped.is_set():
        sent.append(wb.encode(new_event()))
        try:
            with Connection(stack.site) as connection:
                answer = connection.request("POST", sender.target, sender.credential(sent[-1]), sent[-1])
        except (OSError, http.client.HTTPException):
            continue
        if answer.status == 200:
            taken.append(sent[-1])
        else:  # nobody is behind the web server
            assert answer.status in (500, 502, 503, 504), answer
            stopped.wait(0.01)
    return sent, taken


@pytest.mark.tsan
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=lambda stop: stop.name)
def test_a_200_is_a_promise(stack: Stack, stop: signal.Signals) -> None:
    """Also of a responder that is stopped or killed meanwhile; and whatever is stored is whole."""
    stopped = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        posting = [pool.submit(post_until, stack, stopped) for _ in range(8)]
        try:
            for _ in range(3):
                pid = stack.pid("webhook")
                os.kill(pid, stop)
                stack.wait_replaced("webhook", pid)
        finally:
            stopped.set()
        results = [one.result() for one in posting]
    taken = [body for _, some in results for body in some]
    assert taken
    for body in taken:
        assert [row["outcome"] for row in stack.stored(body)] == ["applied"]
    stored = [row for sent, _ in results for body in sent for row in stack.stored(body)]
    deliveries = [row["delivery_id"] for row in stored]
    events = stack.report("SELECT delivery_id FROM waybill.tracking_events WHERE delivery_id = ANY (%s)", deliveries)
    assert sorted(row["delivery_id"] for row in events) == sorted(deliveries)
    orders = stack.report(
        "SELECT o.order_id FROM waybill.orders o JOIN waybill.boxes b USING (order_key) JOIN waybill.tracking_events e USING (order_key, box_key) "
        "WHERE e.delivery_id = ANY (%s) AND o.status = 'in_transit' AND b.status = 'in_transit' AND o.boxes_total = 1", deliveries)
    assert len(orders) == len(deliveries)


def test_sigterm_finishes_the_requests_in_hand(stack: Stack) -> None:
    """They wait for a frozen database when the signal comes; it thaws, they are answered, and the process ends with 0."""
    with responder(stack, "unix") as (process, listener):
        with ThreadPoolExecutor(8) as pool:
            with stack.database_frozen():
                posting = [pool.submit(answers, stack, listener.address) for _ in range(8)]
                wait_until(lambda: len(connections_to(listener.path)) >= 8, "the requests are in hand")
                process.send_signal(signal.SIGTERM)
            assert [one.result() for one in posting] == [True] * 8
        assert process.wait(30) == 0


def connections_to(path: str) -> list[str]:
    """Established connections of the listening Unix socket PATH, the listener itself aside."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return [fields[6] for fields in lines if fields[-1] == path and fields[5] == "03"]


# ---- every 200 has its row ----


@pytest.mark.tsan
def test_every_200_has_its_row(each_stack: Stack) -> None:
    """Distinct events from 16 threads at once, on kept connections."""
    sender = each_stack.sender("crossborderly")
    bodies = [[wb.encode(new_event()) for _ in range(25)] for _ in range(16)]

    def post(some: list[bytes]) -> list[str]:
        with Connection(each_stack.site) as connection:
            answers = [connection.request("POST", sender.target, sender.credential(body), body) for body in some]
        assert [answer.outcome for answer in answers] == [(200, "applied")] * len(some)
        return [answer.json()["delivery"] for answer in answers]

    with ThreadPoolExecutor(len(bodies)) as pool:
        deliveries = [delivery for some in pool.map(post, bodies) for delivery in some]
    (row,) = each_stack.report(
        "SELECT count(*) AS n, sum(times_received) AS times FROM waybill.deliveries WHERE delivery_id = ANY (%s::uuid[]) AND outcome = 'applied'",
        deliveries)
    assert len(set(deliveries)) == 400 and row == {"n": 400, "times": 400}


@pytest.mark.tsan
def test_the_same_event_from_many_at_once(each_stack: Stack) -> None:
    """One of them is the first."""
    sender, event = each_stack.sender("crossborderly"), new_event()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: sender.post(event).json(), range(48)))
    assert sorted(answer["outcome"] for answer in answers) == ["applied"] + ["duplicate"] * 47
    assert len({answer["delivery"] for answer in answers}) == 1
    assert each_stack.delivery(answers[0]["delivery"])["times_received"] == 48


# ---- log lines ----

LOG_KEYS = "request_id client source provider event_type outcome status bytes changes ms reason".split()


def test_one_log_line_for_each_request(stack: Stack, extras: ExtraSources) -> None:
    asked = [
        stack.sender("crossborderly").post(new_event()),
        stack.sender("crossborderly").post(new_event(), credential=wb.nothing),
        stack.sender("crossborderly").post(b"no json" + wb.uid().encode()),
        stack.sender("nobody", wb.nothing).post(new_event()),
        extras.sender("from-address").post(new_event()),
        extras.sender("url-token").post(wb.shipup_event("tracker.new", wb.tracker(wb.number(), "pending"))),
    ]
    for answer in asked:
        request_id = answer.header("X-Request-Id") or ""
        (line,) = wait_until(lambda: [line for line in stack.log_text("webhook").splitlines() if request_id in line], "the line is written")
        keys = re.findall(r"(?:^|\s)([a-z_]+)=", line)
        assert set(LOG_KEYS) <= set(keys), line
        assert re.search(rf"\bstatus={answer.status}\b", line), line
    log = stack.log_text("webhook")
    assert extras.keys.url_token not in log


# ---- rebuild ----


def test_rebuild_gives_the_same_again(stack: Stack) -> None:
    """Every order so far, and plain lines, because nobody watches a terminal."""
    orders = [wb.uid("o") for _ in range(20)]
    for order in orders:
        stack.sender("crowdsender").deliver(wb.destination_updated(order))
        stack.sender("crowdsender").deliver(wb.tracking_updated(order, "box", "on route", wb.moment(1), **wb.label("T" + order)))

    def documents() -> dict[tuple[str, str, bool], wb.Json]:
        return {
            (document["source"], document["id"], document["live"]): wb.comparable(document)
            for live in ("true", "false") for page in stack.status.pages(limit=1000, live=live) for document in page}

    before = documents()
    result = stack.waybill("rebuild")
    assert result.returncode == 0, result
    assert not re.search(r"[\r\x1b\x08]", result.stdout + result.stderr), result
    after = documents()
    assert {key: (before[key], after.get(key)) for key in before if after.get(key) != before[key]} == {}
    assert after.keys() == before.keys()


# ---- make up and make down ----


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that have to do with FOLDER."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") if entry.name.isdigit() else ""
        except OSError:  # it has ended
            continue
        if str(folder) in command:
            found.append(command)
    return found


def assert_all_gone(stack: Stack, pids: dict[str, int]) -> None:
    assert processes_of(stack.var) == [] and [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()] == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stack.port)) != 0


def test_a_stack_of_its_own(stacks: Stacks, own_stack: Stack) -> None:
    """Beside the others, on another port; and nothing is left of it after `make down`, which can be said twice."""
    others = stacks.pids()
    assert own_stack.run_env().keys() >= set(
        "WAYBILL_URL WAYBILL_DSN WAYBILL_REPORT_DSN WAYBILL_AUDIT_DSN WAYBILL_CONFIG PGDATA CROSSBORDERLY_SECRET SWIFTPOD_SECRET "
        "CROWDSENDER_BASIC SHIPUP_BASIC STATUS_TOKEN STATUS_TRACKING_TOKEN POSTGRES_PID SERVER_PID WEBHOOK_PID STATUS_PID".split())
    assert own_stack.env["WAYBILL_URL"] == f"http://127.0.0.1:{own_stack.port}"
    with psycopg.connect(re.sub(r"dbname=\S+", "dbname=postgres", own_stack.env["WAYBILL_DSN"])) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("waybill_owner",)
    own_stack.sender("crossborderly").deliver(new_event())
    pids = own_stack.pids()
    assert processes_of(own_stack.var) != []
    own_stack.down()
    assert_all_gone(own_stack, pids)
    own_stack.down()
    assert stacks.pids() == others


def test_make_run_shows_the_samples_and_ends_with_ctrl_c(stacks: Stacks) -> None:
    own = stacks.make()
    process = own.run_in_foreground()
    try:
        shown = []
        for line in process.stdout or ():
            shown.append(line)
            if "Ctrl-C" in line:
                break
        text = "".join(shown)
        for word in ("9400100109361129278358", "88938849309", "AZ123456789BE", "CBECUSD123456789", "curl", own.env["WAYBILL_URL"]):
            assert word in text, text
        documents = [document for page in own.status.pages() for document in page]
        assert {document["source"] for document in documents} == {"crowdsender", "crossborderly", "shipup", "swiftpod", "waybill"}
        outcomes = own.report("SELECT DISTINCT outcome FROM waybill.deliveries ORDER BY outcome")
        assert [row["outcome"] for row in outcomes] == ["applied", "ignored"]
        pids = own.pids()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert_all_gone(own, pids)


def test_up_again_keeps_what_there_is(own_stack: Stack) -> None:
    """Also after a database that was killed outright: the data, and the credentials."""
    tracking, secrets = wb.uid("T"), own_stack.env
    own_stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    before = own_stack.status.order("crossborderly", tracking)
    for pid in own_stack.pids().values():
        os.kill(pid, signal.SIGKILL)
    own_stack.down()
    own_stack.up()
    again = {name: value for name, value in own_stack.run_env().items() if name in secrets and name != "WAYBILL_URL"}
    assert again == {name: value for name, value in secrets.items() if name != "WAYBILL_URL"}
    assert own_stack.status.order("crossborderly", tracking) == before


def test_down_where_nothing_is(tmp_path: Path) -> None:
    assert make("down", f"VAR={tmp_path}/nothing").returncode == 0


@pytest.mark.parametrize("variable", ["PORT=none", "PORT=0", "PORT=70000", "SERVER=iis"])
def test_up_with_variables_that_make_no_sense(tmp_path: Path, variable: str) -> None:
    result = make("up", f"VAR={tmp_path}/var", variable, "SAMPLES=0")
    assert result.returncode != 0 and variable.partition("=")[0] in result.stdout, result
    assert not (tmp_path / "var" / "run.env").exists()


def test_up_on_a_port_that_is_taken(stack: Stack) -> None:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        result = make("up", f"VAR={name}/var", f"PORT={stack.port}", "SAMPLES=0")
        assert result.returncode != 0 and f"PORT={stack.port} is taken" in result.stdout, result
        assert processes_of(Path(name)) == []
