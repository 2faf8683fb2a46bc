"""SIGHUP: both responders read configuration and secrets again. What is in hand, and who is served, never notices more than he must."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Callable, Iterator

import pytest

import waybill_client as wb
from http_plain import Connection
from test_operations import connections_to, new_event
from waiting import wait_until
from waybill_stack import RESPONDERS, Stack, set_option

READ = "the configuration was read again"
REFUSED = "the configuration cannot be used, the old one stays"


def hang_up(stack: Stack, name: str, expected: str = READ) -> str:
    """SIGHUP; gives the line in which the responder says what came of it."""
    before = len(stack.log_text(name))

    def lines() -> list[str]:
        return [line for line in stack.log_text(name)[before:].splitlines() if READ in line or REFUSED in line]

    os.kill(stack.pid(name), signal.SIGHUP)
    (line,) = wait_until(lines, f"{name}.fcgi has read its configuration again")
    assert expected in line, line
    return line


@contextmanager
def reloaded(stack: Stack, change: Callable[[str], str], *names: str) -> Iterator[None]:
    """With a changed configuration, read by a SIGHUP, and with the old one afterwards. No process is replaced."""
    before, pids = stack.config.read_text(), stack.pids()
    try:
        stack.write_config(change(before))
        for name in names:
            hang_up(stack, name)
        yield
    finally:
        stack.write_config(before)
        for name in names:
            hang_up(stack, name)
    assert stack.pids() == pids


class SecretFile:
    """The secret of a source of its own, in a file that only the stack's user can read."""

    def __init__(self, stack: Stack) -> None:
        self.path = stack.config.with_name(wb.uid("rotated-"))
        self.source = wb.uid("rotated-")
        self._stack = stack

    def section(self) -> str:
        return f'\nsource {self.source} {{ provider = crossborderly  secret_file = "{self.path}" }}\n'

    def write(self, secret: str) -> wb.Sender:
        """Gives a sender that has this secret."""
        self._stack.add_secrets(secret)
        self.path.touch(mode=0o600)
        owner = self._stack.config.stat()
        os.chown(self.path, owner.st_uid, owner.st_gid)
        self.path.write_text(secret + "\n")
        return self._stack.sender(self.source, wb.crossborderly_signature(secret))


@pytest.fixture
def secret_file(stack: Stack) -> Iterator[SecretFile]:
    file = SecretFile(stack)
    yield file
    file.path.unlink(missing_ok=True)


def statuses(sender: wb.Sender, stopped: threading.Event) -> list[int]:
    """Of one event after the other, on one connection."""
    found = []
    with Connection(sender.site) as connection:
        while not stopped.is_set():
            body = wb.encode(new_event())
            found.append(connection.request("POST", sender.target, sender.credential(body), body).status)
    return found


@pytest.mark.tsan
def test_a_secret_is_changed_under_load(stack: Stack, secret_file: SecretFile) -> None:
    """Each of the two senders is served up to, or from, one moment; nobody ever gets anything but 200 and 401."""
    old = secret_file.write(wb.uid("old-secret-"))
    with reloaded(stack, lambda text: text + secret_file.section(), "webhook"), ThreadPoolExecutor(8) as pool:
        stopped = threading.Event()
        try:
            new_secret = wb.uid("new-secret-")
            new = stack.sender(secret_file.source, wb.crossborderly_signature(new_secret))
            posting = {sender: [pool.submit(statuses, sender, stopped) for _ in range(4)] for sender in (old, new)}
            wait_until(lambda: old.post(new_event()).status == 200, "the load runs")
            for _ in range(5):  # what is the same as before changes nothing
                hang_up(stack, "webhook")
            secret_file.write(new_secret)
            hang_up(stack, "webhook")
            assert (old.post(new_event()).status, new.post(new_event()).status) == (401, 200)
        finally:
            stopped.set()
        for sender, first, then in ((old, 200, 401), (new, 401, 200)):
            for future in posting[sender]:
                found = future.result()
                change = found.index(then) if then in found else len(found)
                assert found[:change] == [first] * change and found[change:] == [then] * (len(found) - change), found
        assert any(401 in future.result() for future in posting[old]) and any(200 in future.result() for future in posting[new])


@pytest.mark.tsan
def test_requests_in_hand_end_with_what_they_began_with(stack: Stack, secret_file: SecretFile) -> None:
    """They wait for the database while their source is taken out of the configuration."""
    sender = secret_file.write(wb.uid("secret-"))
    socket = stack.responder_socket("webhook")
    with ThreadPoolExecutor(4) as pool:
        with reloaded(stack, lambda text: text + secret_file.section(), "webhook"):
            assert sender.post(new_event()).status == 200
            with_source = stack.config.read_text()
            with stack.database_frozen():
                posting = [pool.submit(sender.post, new_event()) for _ in range(4)]
                wait_until(lambda: len(connections_to(socket)) >= 4, "the requests are in hand")
                stack.write_config(with_source.replace(secret_file.section(), ""))
                hang_up(stack, "webhook")
                assert sender.post(new_event()).status == 401
        assert [one.result().status for one in posting] == [200] * 4
    assert sender.post(new_event()).status == 401


def newcomers(stack: Stack) -> tuple[str, wb.Sender, wb.StatusClient]:
    """The sections of a source and a client that are not configured, and those two."""
    secret, token = wb.uid("secret-"), wb.uid("token-")
    stack.add_secrets(secret, token)
    digest = hashlib.sha256(token.encode()).hexdigest()
    sections = f'\nsource newcomer {{ provider = crossborderly  secret = "{secret}" }}\n' \
        f'client newcomer {{ token_sha256 = "{digest}"  sources = {{"newcomer"}} }}\n'
    return sections, stack.sender("newcomer", wb.crossborderly_signature(secret)), wb.StatusClient(stack.site, token)


def test_a_new_source_and_a_new_token(stack: Stack) -> None:
    sections, sender, client = newcomers(stack)

    def served() -> tuple[int, int]:
        return sender.post(new_event()).status, client.get("/orders", {"limit": 1}).status

    assert served() == (401, 401)
    with reloaded(stack, lambda text: text + sections, *RESPONDERS):
        assert served() == (200, 200)
    assert served() == (401, 401)


def test_other_options(stack: Stack) -> None:
    event = wb.status_changed(wb.uid("T"), "IN_TRANSIT", filler="x" * 2000)
    with reloaded(stack, lambda text: set_option(text, "webhook", "max_body", '"1KiB"'), "webhook"):
        assert stack.sender("crossborderly").post(event).status == 413
    assert stack.sender("crossborderly").post(event).status == 200
    with reloaded(stack, lambda text: set_option(text, "status", "plain_http", "no"), "status"):
        assert stack.status.get("/orders", {"limit": 1}).status == 401
    assert stack.status.get("/orders", {"limit": 1}).status == 200


BAD = {
    "an unknown provider": lambda stack: "\nsource other { provider = nonesuch  secret = \"x\" }\n",
    "a secret that is not there": lambda stack: f'\nsource other {{ provider = crossborderly  secret_file = "{stack.config.parent}/none" }}\n',
    "an unknown option": lambda stack: "\nclient other { colour = red }\n",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_configuration_is_reported_and_not_used(stack: Stack, case: str) -> None:
    """With file, line and option."""
    before, pids = stack.config.read_text(), stack.pids()
    addition = BAD[case](stack)
    try:
        stack.write_config(before + addition)
        line = before.count("\n") + 2
        named = re.compile(rf"{re.escape(str(stack.config))}:{line}: (source|client) other: (provider|secret_file|colour): ")
        assert named.search(hang_up(stack, "webhook", REFUSED))
        if "secret" not in case:  # which status.fcgi does not open
            assert named.search(hang_up(stack, "status", REFUSED))
        assert stack.sender("crossborderly").post(new_event()).status == 200
        assert stack.status.get("/orders", {"limit": 1}).status == 200
    finally:
        stack.write_config(before)
    for name in RESPONDERS:
        hang_up(stack, name)
    assert stack.pids() == pids


def test_an_unreadable_secret_is_reported_and_the_old_one_stays(stack: Stack, secret_file: SecretFile) -> None:
    sender = secret_file.write(wb.uid("secret-"))
    with reloaded(stack, lambda text: text + secret_file.section(), "webhook"):
        for mode, word in ((0o000, "Permission denied"), (0o644, "can be read by everybody")):
            secret_file.path.chmod(mode)
            line = hang_up(stack, "webhook", REFUSED)
            assert f"source {secret_file.source}: secret_file: {secret_file.path}" in line and word in line, line
            assert sender.post(new_event()).status == 200
        secret_file.path.chmod(0o600)


def other_port(dsn: str) -> Callable[[str], str]:
    """The configuration with a connection string that leads nowhere."""
    return lambda text: set_option(text, "database", dsn, '"host=127.0.0.1 port=1 user=nobody dbname=none"')


def test_another_database(stack: Stack) -> None:
    """One that is not there: events are spooled, questions 503. Back again, they are applied and answered, without a restart."""
    event = new_event()
    tracking = event["data"]["trackingNumber"]
    stack.sender("crossborderly").deliver(new_event())
    with reloaded(stack, other_port("ingest_dsn"), "webhook"):
        assert stack.sender("crossborderly").post(event).outcome == (200, "spooled")
    wait_until(lambda: stack.is_ready("webhook"), "the spool is drained")
    assert stack.status.order("crossborderly", tracking)["status"] == "in_transit"
    with reloaded(stack, other_port("status_dsn"), "status"):
        assert stack.status.get("/orders", {"limit": 1}).status == 503
    assert stack.status.get("/orders", {"limit": 1}).status == 200


def test_idle_connections_go_over_too(stack: Stack) -> None:
    """All of them, also those that no request uses."""
    assert stack.sender("crossborderly").post(new_event()).status == 200

    def backends() -> int:
        (row,) = stack.query("WAYBILL_SUPERUSER_DSN", "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'waybill webhook'")
        return row["n"]

    assert backends() > 0
    with reloaded(stack, other_port("ingest_dsn"), "webhook"):
        wait_until(lambda: backends() == 0, "nobody is connected to the old database")


FIXED = {
    "webhook": {"connections": "3", "max_in_flight": "512", "max_buffered": '"32MiB"', "spool_max": '"512MiB"', "spool": '"/nonexistent"'},
    "status": {"connections": "3", "max_in_flight": "512"},
}


@pytest.mark.parametrize("name", RESPONDERS)
def test_what_needs_a_restart_is_named(stack: Stack, name: str) -> None:
    def change(text: str) -> str:
        for option, value in FIXED[name].items():
            text = set_option(text, name, option, value)
        return text

    before = len(stack.log_text(name))
    with reloaded(stack, change, name):
        (line,) = [line for line in stack.log_text(name)[before:].splitlines() if "from the next start on" in line]
        assert set(re.findall(r"\w+\.\w+", line.split("detail=")[1])) == {f"{name}.{option}" for option in FIXED[name]}, line
        assert stack.sender("crossborderly").post(new_event()).status == 200
    # Back at what it runs with: nothing to name.
    assert stack.log_text(name)[before:].count("from the next start on") == 1


@pytest.mark.tsan
def test_many_hang_ups_under_load(own_stack: Stack) -> None:
    """Faster than they can be heard; what the last one finds holds. How many are heard is not known, and a line of the log may come late: a stack of its own."""
    stack, stopped = own_stack, threading.Event()
    sender, pids = stack.sender("crossborderly"), stack.pids()
    sections, new_sender, new_client = newcomers(stack)
    with ThreadPoolExecutor(4) as pool:
        posting = [pool.submit(statuses, sender, stopped) for _ in range(4)]
        try:
            for left in reversed(range(100)):
                if left == 0:
                    stack.write_config(stack.config.read_text() + sections)
                for name in RESPONDERS:
                    os.kill(pids[name], signal.SIGHUP)
                assert stack.status.get("/orders", {"limit": 1}).status == 200
        finally:
            stopped.set()
        assert {status for one in posting for status in one.result()} == {200}
    wait_until(lambda: new_sender.post(new_event()).status == 200, "webhook.fcgi knows the new source")
    wait_until(lambda: new_client.get("/orders").status == 200, "status.fcgi knows the new client")
    assert stack.pids() == pids
