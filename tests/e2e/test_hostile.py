"""Those who mean harm: slow senders, floods, rubbish on the responder's own socket, replays. The others are served all the same, and nothing is lost."""

from __future__ import annotations

import os
import random
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

import psycopg
import pytest

import fastcgi
import shipped_servers
import waybill_client as wb
from extra_sources import ExtraSources
from http_plain import Site, request
from waiting import wait_until
from waybill_stack import RESPONDERS, SERVERS, Stack, set_option

KIB = 1024
MIB = 1024 * KIB


def new_event(**more: object) -> wb.Json:
    return wb.status_changed(wb.uid("T"), "IN_TRANSIT", **more)


# ---- slow senders, against the configurations as they are shipped ----

# slowhttptest's modes, with connections: the head of a request, its body, and the reading of the answer, dribbling.
SLOW = {"head": ("-H", 400), "body": ("-B", 200), "reading": ("-X", 150)}


@contextmanager
def slow_senders(site: Site) -> Iterator[int]:
    """All kinds of them at once, for as long as the block lasts; how many they are."""
    url = f"http://{site.host}:{site.port}/webhooks/crossborderly"
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for mode, connections in SLOW.values():
            command = ["slowhttptest", mode, "-u", url, "-c", str(connections), "-r", "400", "-l", "120", "-i", "1", "-x", "8", "-s", "65536",
                       "-w", "8", "-y", "16", "-n", "5", "-z", "1", "-k", "5", "-p", "30"]
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield sum(connections for _, connections in SLOW.values())


def connections_to(site: Site) -> int:
    """Those that clients hold open."""
    port = f":{site.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(port) and line[3] == "01" for line in lines)


@pytest.mark.parametrize("server", SERVERS)
def test_slow_senders_hold_nobody_else_up(stack: Stack, server: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, stack.config.stat().st_uid, -1)
        with shipped_servers.running(stack, server, Path(name)) as site, slow_senders(site) as count:
            # Some are refused or ended already: a server need not put up with all of them.
            wait_until(lambda: connections_to(site) >= count // 2, "the slow ones are there")
            sender = wb.Sender(site, "crossborderly", stack.sender("crossborderly").credential)
            for _ in range(15):
                start = time.monotonic()
                assert sender.post(new_event()).outcome == (200, "applied")
                assert time.monotonic() - start < 5.0
            assert connections_to(site) >= count // 4, "the slow ones were still there"


# ---- the FastCGI socket itself ----


def a_request(stack: Stack, body: bytes) -> bytes:
    params = fastcgi.post_params("/crossborderly", body, stack.sender("crossborderly").credential(body))
    return fastcgi.head(params) + fastcgi.stream(fastcgi.STDIN, body) + fastcgi.record(fastcgi.STDIN, b"")


def begin(role: int = 1, request_id: int = 1) -> bytes:
    return fastcgi.record(fastcgi.BEGIN, struct.pack(">HB5x", role, 0), request_id)


def announced(name: int, value: int) -> bytes:
    """A parameter that says how long it is, and then is not."""
    return begin() + fastcgi.record(fastcgi.PARAMS, struct.pack(">II", name | 1 << 31, value | 1 << 31) + b"short")


RUBBISH = {
    "nothing": b"",
    "zeros": bytes(4096),
    "HTTP": b"POST /webhooks/crossborderly HTTP/1.1\r\nHost: x\r\n\r\n",
    "another version": fastcgi.record(fastcgi.BEGIN, struct.pack(">HB5x", 1, 0), version=7),
    "an unknown role": begin(role=77),
    "an authorizer": begin(role=2),
    "a short beginning": fastcgi.record(fastcgi.BEGIN, b"\0"),
    "an abort of nothing": fastcgi.record(fastcgi.ABORT, b""),
    "an abort": begin() + fastcgi.record(fastcgi.ABORT, b""),
    "an unknown record of the request": begin() + fastcgi.record(99, b"x" * 100),
    "the body first": begin() + fastcgi.record(fastcgi.STDIN, b"{}"),
    "two beginnings": begin() + begin(),
    "another request's parameters": begin() + fastcgi.record(fastcgi.PARAMS, b"\1\1ab", request_id=2),
    "a long name": announced(1 << 20, 1),
    "a long value": announced(1, 1 << 24),
    "the longest lengths": announced((1 << 31) - 1, (1 << 31) - 1),
    "asking for values": fastcgi.record(fastcgi.GET_VALUES, fastcgi.pair(b"FCGI_MAX_CONNS", b""), request_id=0) + b"more",
    "output from the wrong side": begin() + fastcgi.record(fastcgi.STDOUT, b"Status: 200\r\n\r\n"),
}
# libfcgi keeps 48 bytes for ever of each (docs/security.md), which LeakSanitizer would tell of.
if not os.environ.get("SANITIZE"):
    RUBBISH["an unknown record"] = fastcgi.record(99, b"x" * 100, request_id=0)


def hears_to_the_end(address: str, data: bytes) -> None:
    """Sends DATA, says that nothing more comes, and reads whatever is answered until the other side closes too."""
    with fastcgi.connect(address) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("responder", RESPONDERS)
def test_rubbish_on_the_socket(stack: Stack, responder: str) -> None:
    """Each kind, noise, and a request that breaks off at every one of its bytes."""
    whole = a_request(stack, wb.encode(new_event()))
    # The last eight bytes end the body: without them it is cut short, and still authentic.
    broken = [whole[:length] for length in range(0, len(whole) - 8, 7)]
    noise = random.Random(4)
    address = stack.responder_socket(responder)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: hears_to_the_end(address, data), [*RUBBISH.values(), *broken, *(noise.randbytes(300) for _ in range(50))]))
    assert stack.health(responder, "livez").status == 200
    assert stack.sender("crossborderly").post(new_event()).outcome == (200, "applied")


@pytest.mark.usefixtures("steady")
def test_mute_connections_hold_nobody_up(stack: Stack) -> None:
    with ExitStack() as connections:
        for data in [b""] * 100 + [begin()] * 100:
            connections.enter_context(fastcgi.connect(stack.responder_socket("webhook"))).sendall(data)
        start = time.monotonic()
        assert stack.sender("crossborderly").post(new_event()).outcome == (200, "applied")
        assert time.monotonic() - start < 5.0


# The promise; starting a program with sanitizers takes longer.
BACK_SECONDS = 10.0 if os.environ.get("SANITIZE") else 1.0
# At most: three, and more where other work on the machine delayed all of them.
CRASHES = 10


def test_a_crash_is_over_within_a_second(own_stack: Stack) -> None:
    """libfcgi's own weakness (docs/security.md): who can speak to the socket can end the responder. What was answered 200 is there."""
    own_stack.ends.add("134")
    # The name four times writes beyond the library's buffer; the stack protector ends the process.
    deadly = fastcgi.record(fastcgi.GET_VALUES, fastcgi.pair(b"FCGI_MAX_CONNS", b"") * 8, request_id=0) + bytes(64)
    sender = own_stack.sender("crossborderly")
    promised: list[bytes] = []
    absences: list[float] = []
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            body = wb.encode(new_event())
            # lighttpd answers 500 or 503 for a responder that dies under it.
            answer = request(sender.site, "POST", sender.target, sender.credential(body), body)
            if answer.status == 200:
                promised.append(body)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for thread in senders:
        thread.start()
    try:
        for _ in range(CRASHES):
            before, count = own_stack.pid("webhook"), len(promised)
            wait_until(lambda: len(promised) > count, "events are taken")
            hears_to_the_end(own_stack.responder_socket("webhook"), deadly)
            start = time.monotonic()
            wait_until(lambda: own_stack.pid("webhook") != before, "another is started")
            body = wb.encode(new_event())
            params = fastcgi.post_params("/crossborderly", body, sender.credential(body))
            wait_until(lambda: taken_directly(own_stack, params, body), "it takes events")
            absences.append(time.monotonic() - start)
            promised.append(body)
            if len(absences) >= 3 and min(absences) < BACK_SECONDS:
                break
    finally:
        done.set()
        for thread in senders:
            thread.join()
    assert min(absences) < BACK_SECONDS and max(absences) < 10.0, absences
    assert [len(own_stack.stored(body)) for body in promised] == [1] * len(promised)


def taken_directly(stack: Stack, params: dict[str, str], body: bytes) -> bool:
    try:
        answer = fastcgi.request(stack.responder_socket("webhook"), params, body)
    except (OSError, struct.error):
        return False
    return answer is not None and answer.status == 200


def test_the_socket_is_not_for_strangers(stack: Stack) -> None:
    for responder in RESPONDERS:
        assert stat.S_IMODE(os.stat(stack.responder_socket(responder)).st_mode) & 0o007 == 0
    if os.getuid() != 0:
        pytest.skip("only root can become a stranger")
    stranger = 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])'
    for responder in RESPONDERS:
        result = subprocess.run(
            ["/usr/bin/python3", "-c", stranger, stack.responder_socket(responder)], capture_output=True, text=True, user=65534, group=65534,
            extra_groups=[], cwd="/")
        assert "PermissionError" in result.stderr, result


# ---- floods ----


def resident_bytes(pid: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * KIB


def test_a_flood_of_bodies_before_authentication(stack: Stack) -> None:
    """Nobody's bodies, each but for its end: they take no more room than max_buffered, and the rest is told so at once."""
    body = b"x" * 900_000
    params = fastcgi.post_params("/crossborderly", body, {})

    def flood(_: int) -> socket.socket:
        connection = fastcgi.connect(stack.responder_socket("webhook"))
        try:
            connection.sendall(fastcgi.head(params) + fastcgi.stream(fastcgi.STDIN, body[:-1]))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return connection

    def change(text: str) -> str:
        return set_option(set_option(text, "webhook", "max_buffered", '"4MiB"'), "webhook", "max_in_flight", "64")

    with stack.configured(change):
        before = resident_bytes(stack.pid("webhook"))
        with ThreadPoolExecutor(40) as pool:
            connections = list(pool.map(flood, range(40)))
            most = resident_bytes(stack.pid("webhook"))
            statuses = list(pool.map(lambda connection: finish(connection, params, fastcgi.stream(fastcgi.STDIN, body[-1:])), connections))
        assert stack.sender("crossborderly").post(new_event()).outcome == (200, "applied")
    # Four fit, and those that come in together keep each other out.
    assert set(statuses) <= {401, 503} and statuses.count(401) <= 4 and statuses.count(503) >= 30, statuses
    if not os.environ.get("SANITIZE"):
        assert most - before < 24 * MIB, (before, most)
    assert stack.stored(body) == []


def finish(connection: socket.socket, params: dict[str, str], rest: bytes) -> int:
    with connection:
        try:
            connection.sendall(rest + fastcgi.record(fastcgi.STDIN, b""))
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered already
        return fastcgi.finish(connection, params).status


def test_a_flood_of_requests_before_authentication(stack: Stack) -> None:
    """Beyond max_in_flight: 503 at once, and those in hand are served."""
    with stack.configured(lambda text: set_option(text, "webhook", "max_in_flight", "8")), ExitStack() as connections:
        held = [connections.enter_context(fastcgi.connect(stack.responder_socket("webhook"))) for _ in range(8)]
        params = fastcgi.post_params("/crossborderly", b"{}", {})
        for connection in held:
            connection.sendall(fastcgi.head(params))
        wait_until(lambda: direct_status(stack, params) == 503, "there are too many")
        start = time.monotonic()
        assert [direct_status(stack, params) for _ in range(20)] == [503] * 20
        assert time.monotonic() - start < 5.0
        assert [finish(connection, params, fastcgi.stream(fastcgi.STDIN, b"{}")) for connection in held] == [401] * 8
        wait_until(lambda: direct_status(stack, params) == 401, "there is room again")


def direct_status(stack: Stack, params: dict[str, str]) -> int:
    answer = fastcgi.request(stack.responder_socket("webhook"), params, b"{}")
    assert answer is not None
    return answer.status


def test_a_flood_of_authentic_rubbish(stack: Stack, extras: ExtraSources) -> None:
    """A sender gone mad: quarantine_max holds, whatever the concurrency; what it sends that can be understood is taken."""
    sender = extras.sender("flooded")
    most = 256 * KIB
    kinds = [lambda: wb.crossborderly_event("parcel.teleported", {"x": wb.uid() + "x" * 9000}), lambda: b"no json" + os.urandom(4500).hex().encode()]

    def post(number: int) -> int:
        return sender.post(kinds[number % 2]()).status

    with stack.configured(lambda text: set_option(text, "webhook", "quarantine_max", f'"{most}"')):
        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(post, range(120)))
        assert sender.post(new_event()).outcome == (200, "applied")
    assert set(statuses) == {200, 400, 503}, statuses
    ((kept,),) = (row.values() for row in stack.report("SELECT sum(body_bytes) FROM waybill.deliveries WHERE source = 'flooded' AND outcome = 'quarantined'"))
    assert most // 2 < kept <= most


# ---- replays ----


def test_an_old_body_is_a_duplicate_for_ever(stack: Stack) -> None:
    """Also when its bytes are gone, as a purge leaves them."""
    sender = stack.sender("crossborderly")
    parcel = wb.uid("T")
    old, new = (wb.encode(wb.status_changed(parcel, word, at=wb.moment(minutes))) for word, minutes in (("IN_TRANSIT", 1), ("DELIVERED", 2)))
    delivery = sender.deliver(old)
    sender.deliver(new)
    before = stack.status.order("crossborderly", parcel)
    assert sender.post(old).outcome == (200, "duplicate")
    with psycopg.connect(stack.env["WAYBILL_DSN"], autocommit=True) as owner:
        emptied = owner.execute("DELETE FROM waybill_data.bodies WHERE delivery_id = %s", (delivery,))
        assert emptied.rowcount == 1
    for body in (old, old + b"\n", old.replace(b'":', b'": ')):
        assert sender.post(body).outcome == (200, "duplicate")
    assert stack.status.order("crossborderly", parcel) == before
    row = stack.delivery(delivery)
    assert (row["body"], row["times_received"]) == (None, 5)


@pytest.mark.parametrize("seconds,expected", [(240, 200), (-240, 200), (360, 401), (-360, 401), (86400, 401), (10**9, 401)])
def test_standard_webhooks_are_good_for_five_minutes(extras: ExtraSources, seconds: int, expected: int) -> None:
    sender = extras.sender("standard")
    body = wb.encode(wb.shipment_notify(wb.number(), [wb.tracked(wb.uid("1Z"), "delivered", {"item": 1})]))
    assert sender.post(body, credential=wb.standard_webhooks(extras.keys.standard, seconds)).status == expected


def test_a_signature_is_bound_to_its_time(extras: ExtraSources) -> None:
    """An old message with a new timestamp is nobody's."""
    body = wb.encode(wb.shipment_notify(wb.number(), [wb.tracked(wb.uid("1Z"), "delivered", {"item": 1})]))
    shown = wb.standard_webhooks(extras.keys.standard, 3600)(body) | {"webhook-timestamp": str(int(time.time()))}
    assert extras.sender("standard").post(body, credential=lambda body: shown).status == 401
