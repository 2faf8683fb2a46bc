"""/metrics of both endpoints: who may read it, what it counts, by one process and by several, and that Prometheus' own tool is content."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

import fastcgi
import waybill_client as wb
from http_plain import Answer, request
from test_operations import connections_to, new_event
from test_reload import other_port, reloaded
from waiting import wait_until
from waybill_stack import CHECKOUT, RESPONDERS, Stack, configuration_digest, set_option

MONITORING = CHECKOUT / "docs" / "monitoring"
MOUNTS = {"webhook": "/webhooks", "status": "/status"}
Labels = frozenset[tuple[str, str]]


class Scrape:
    """One answer, read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: dict[str, dict[Labels, float]] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                found = re.fullmatch(r'(\w+)\{(.*)\} (\S+)', line)
                assert found, line
                labels = frozenset(re.findall(r'(\w+)="([^"]*)"', found.group(2)))
                series = self.samples.setdefault(found.group(1), {})
                assert labels not in series, f"twice: {line}"
                series[labels] = float(found.group(3))

    def sum(self, name: str, **labels: str) -> float:
        """Over all series with at least these labels."""
        return sum(value for found, value in self.samples.get(name, {}).items() if set(labels.items()) <= found)

    def labels(self, name: str, label: str) -> set[str]:
        return {value for found in self.samples.get(name, {}) for key, value in found if key == label}


def get(stack: Stack, name: str, token: str | None = None, method: str = "GET") -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return wb.check_answer(request(stack.site, method, f"{MOUNTS[name]}/metrics", headers))


def scrape(stack: Stack, name: str, token: str | None = None) -> Scrape:
    answer = get(stack, name, token or stack.env["STATUS_TOKEN"])
    assert answer.status == 200, answer
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.header("Cache-Control") == "no-store"
    return Scrape(answer.body.decode())


# ---- who may ----


@pytest.mark.parametrize("name", RESPONDERS)
def test_a_token_or_an_address(stack: Stack, name: str) -> None:
    assert scrape(stack, name, stack.env["STATUS_TRACKING_TOKEN"]).sum("waybill_processes") == 1
    assert [get(stack, name, token).status for token in (None, wb.uid("token-"))] == [401, 401]
    with reloaded(stack, lambda text: set_option(text, name, "metrics_allow", '{"192.0.2.0/24", "127.0.0.1"}'), name):
        assert get(stack, name).status == 200
    with reloaded(stack, lambda text: set_option(text, name, "metrics_allow", '{"192.0.2.1", "::1"}'), name):
        assert get(stack, name).status == 401
    assert get(stack, name, stack.env["STATUS_TOKEN"], "HEAD").status == 200
    assert get(stack, name, stack.env["STATUS_TOKEN"], "DELETE").status == 405


def test_the_refusal_is_the_usual_one(stack: Stack) -> None:
    """Byte for byte."""
    for name, usual in (("webhook", request(stack.site, "POST", "/webhooks/crossborderly", {}, b"{}")),
                        ("status", request(stack.site, "GET", "/status/orders", {}))):
        refused = get(stack, name)
        names = ("Content-Type", "WWW-Authenticate", "Content-Length")
        assert (refused.status, refused.body) == (usual.status, usual.body)
        assert [refused.header(header) for header in names] == [usual.header(header) for header in names]


def test_a_bad_address_is_named(stack: Stack) -> None:
    before = stack.config.read_text()
    try:
        for section in RESPONDERS:
            stack.write_config(set_option(before, section, "metrics_allow", '{"localhost"}'))
            result = stack.waybill("check")
            assert result.returncode == 2 and f"{section}: metrics_allow: " in result.stderr, result
    finally:
        stack.write_config(before)


def test_a_client_sees_its_own_sources_only(stack: Stack) -> None:
    token = wb.uid("token-")
    stack.add_secrets(token)
    digest = hashlib.sha256(token.encode()).hexdigest()
    stack.sender("crossborderly").deliver(new_event())
    stack.sender("crowdsender").deliver(wb.status_updated(wb.uid("order-"), "PAID"))
    with reloaded(stack, lambda text: text + f'\nclient some {{ token_sha256 = "{digest}"  sources = {{"crowdsender"}} }}\n', *RESPONDERS):
        for name, metric in (("webhook", "waybill_deliveries_total"), ("status", "waybill_newest_event_age_seconds")):
            seen = scrape(stack, name, token)
            assert seen.labels(metric, "source") == {"crowdsender"} and "crossborderly" not in seen.text
            assert {"crowdsender", "crossborderly"} <= scrape(stack, name).labels(metric, "source")


# ---- what it counts ----


def test_deliveries_and_refusals(stack: Stack) -> None:
    sender, event = stack.sender("crossborderly"), new_event()
    before = scrape(stack, "webhook")
    sender.deliver(event)
    sender.deliver(event, "duplicate")
    sender.deliver(wb.crossborderly_event(wb.uid("parcel.unheard-of-"), {"trackingNumber": "T"}), "quarantined")
    sender.deliver(wb.crossborderly_event("parcel.delivered", {}), "quarantined")
    stack.sender("swiftpod").deliver(wb.stock_notify(), "ignored")
    stack.sender("shipup").deliver(wb.URL_CHECK, "ignored")
    assert sender.post(event, credential=wb.nothing).status == 401
    assert sender.post(b"no json " + wb.uid().encode()).status == 400
    assert stack.sender(wb.uid("nobody-"), wb.nothing).post(event).status == 401
    after = scrape(stack, "webhook")
    expected = {
        ("waybill_deliveries_total", "crossborderly", "event_type=parcel.status_changed outcome=applied"): 1,
        ("waybill_deliveries_total", "crossborderly", "event_type=parcel.status_changed outcome=duplicate"): 1,
        ("waybill_deliveries_total", "crossborderly", "event_type=other outcome=quarantined"): 1,
        ("waybill_deliveries_total", "crossborderly", "event_type=parcel.delivered outcome=quarantined"): 1,
        ("waybill_deliveries_total", "swiftpod", "event_type=stock_notify outcome=ignored"): 1,
        ("waybill_deliveries_total", "shipup", "event_type=other outcome=ignored"): 1,
        ("waybill_refusals_total", "crossborderly", "reason=signature_missing"): 1,
        ("waybill_refusals_total", "crossborderly", "reason=not_json"): 1,
    }
    for (name, source, more), difference in expected.items():
        labels = dict(label.split("=") for label in more.split()) | {"source": source}
        assert after.sum(name, **labels) - before.sum(name, **labels) == difference, (name, labels)
    assert after.sum("waybill_refusals_total", reason="unknown_source") - before.sum("waybill_refusals_total", reason="unknown_source") == 1
    assert "unheard-of" not in after.text and "nobody-" not in after.text
    for status, count in (("200", 7), ("401", 2), ("400", 1)):  # with the first scrape
        assert after.sum("waybill_requests_total", status=status) - before.sum("waybill_requests_total", status=status) == count, status
    # Five were stored and one was no JSON, which is stored too; a URL check is not.
    grown = after.sum("waybill_batch_events_sum") - before.sum("waybill_batch_events_sum")
    assert grown == 6
    for name in ("waybill_commit_seconds", "waybill_batch_events"):
        assert after.sum(name + "_count") - before.sum(name + "_count") == 6
    assert after.sum("waybill_request_seconds_count") == after.sum("waybill_requests_total")
    assert after.sum("waybill_database_up") == 1


@pytest.mark.parametrize("name", RESPONDERS)
def test_histograms_are_well_formed(stack: Stack, name: str) -> None:
    found = scrape(stack, name)
    for metric in [metric for metric in found.samples if metric.endswith("_bucket")]:
        bounds = sorted((float(dict(labels)["le"]), value) for labels, value in found.samples[metric].items())
        values = [value for _, value in bounds]
        assert bounds[-1][0] == float("inf") and values == sorted(values)
        assert values[-1] == found.sum(metric.replace("_bucket", "_count"))


def test_the_number_of_series_is_bounded(stack: Stack) -> None:
    """Whatever is sent."""
    sender = stack.sender("crossborderly")
    sender.deliver(wb.crossborderly_event("unknown", {}), "quarantined")
    stack.sender("nobody", wb.nothing).post(new_event())
    before = scrape(stack, "webhook").text.count("\n")
    for _ in range(20):
        sender.deliver(wb.crossborderly_event(wb.uid("unknown."), {}), "quarantined")
        assert stack.sender(wb.uid("nobody-"), wb.nothing).post(new_event()).status == 401
    assert scrape(stack, "webhook").text.count("\n") == before


def test_status_requests(stack: Stack) -> None:
    tracking = wb.uid("T")
    stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    before = scrape(stack, "status")
    stack.status.order("crossborderly", tracking)
    assert stack.status.get("/orders/crossborderly/" + wb.uid()).status == 404
    assert wb.StatusClient(stack.site, wb.uid()).get("/orders").status == 401
    after = scrape(stack, "status")
    for name, labels in (("waybill_requests_total", {"status": "404"}), ("waybill_requests_total", {"status": "401"}),
                         ("waybill_refusals_total", {"reason": "not_found"}), ("waybill_refusals_total", {"reason": "token"})):
        assert after.sum(name, **labels) - before.sum(name, **labels) == 1, (name, labels)
    assert not [name for name in after.samples if re.search("spool|commit|batch|deliveries", name)]


def test_a_silent_source_grows_old(stack: Stack) -> None:
    stack.sender("crossborderly").deliver(new_event())
    found = scrape(stack, "status")
    age = found.sum("waybill_newest_event_age_seconds", source="crossborderly")
    assert 0 <= age < 60
    later = wait_until(lambda: scrape(stack, "status").sum("waybill_newest_event_age_seconds", source="crossborderly") > age, "it grows")
    assert later
    assert "never-sent" not in found.text


# ---- when things are bad ----


def test_without_a_database(stack: Stack) -> None:
    """The scrape is answered all the same; the spool shows."""
    stack.sender("crossborderly").deliver(new_event())
    before = scrape(stack, "webhook")
    with stack.database_stopped():
        assert stack.sender("crossborderly").post(new_event()).outcome == (200, "spooled")
        found = scrape(stack, "webhook")
        assert found.sum("waybill_database_up") == 0
        assert found.sum("waybill_spool_events") == 1 and found.sum("waybill_spool_age_seconds") > 0
        assert 0 < found.sum("waybill_spool_bytes") < found.sum("waybill_spool_max_bytes")
        spooled = [one.sum("waybill_deliveries_total", outcome="spooled") for one in (before, found)]
        assert spooled[1] == spooled[0] + 1
        status = scrape(stack, "status")
        assert status.sum("waybill_database_up") == 0 and "newest" not in status.text
    found = scrape(stack, "webhook")
    assert found.sum("waybill_spool_events") == 0 == found.sum("waybill_spool_age_seconds")
    assert found.sum("waybill_database_up") == 1 == scrape(stack, "status").sum("waybill_database_up")


def test_with_a_frozen_database(stack: Stack) -> None:
    """Requests in hand are seen while they wait; a scrape does not wait for ever."""
    sender = stack.sender("crossborderly")
    with ThreadPoolExecutor(4) as pool, stack.database_frozen():
        posting = [pool.submit(sender.post, new_event()) for _ in range(4)]
        wait_until(lambda: len(connections_to(stack.responder_socket("webhook"))) >= 4, "the requests are in hand")
        found = [scrape(stack, name) for name in RESPONDERS]
        assert [one.sum("waybill_database_up") for one in found] == [0, 0]
        assert all(one.result().status in (200, 503) for one in posting)


def test_requests_in_hand(stack: Stack) -> None:
    """Each that waits for its body is one."""
    socket = stack.responder_socket("webhook")
    body = wb.encode(new_event())
    params = fastcgi.post_params("/crossborderly", body, stack.sender("crossborderly").credential(body))
    waiting = [fastcgi.begin(socket, params, body[:10], complete=False) for _ in range(3)]
    try:
        wait_until(lambda: scrape(stack, "webhook").sum("waybill_requests_in_hand") >= 3, "they are counted")
        assert scrape(stack, "webhook").sum("waybill_requests_in_hand_max") == 1024
    finally:
        for connection in waiting:
            connection.close()
    wait_until(lambda: scrape(stack, "webhook").sum("waybill_requests_in_hand") <= 1, "they are gone")


def test_reading_the_configuration_is_counted(stack: Stack) -> None:
    before = scrape(stack, "webhook")
    with reloaded(stack, other_port("ingest_dsn"), "webhook"):
        pass
    after = scrape(stack, "webhook")
    assert after.sum("waybill_configuration_reads_total", outcome="ok") - before.sum("waybill_configuration_reads_total", outcome="ok") == 2


# ---- several processes ----


@contextmanager
def another(stack: Stack) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A second webhook.fcgi of the same configuration."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = f"{folder}/socket"
        process = subprocess.Popen(
            [stack.program("webhook.fcgi"), "--listen", f"unix:{path}"], env=os.environ | {"WAYBILL_CONFIG": str(stack.config)},
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **stack.owner)
        try:
            wait_until(lambda: fastcgi.listens(path), "it listens")
            yield process, path
        finally:
            process.kill()
            process.wait()


def post_to(stack: Stack, socket: str) -> None:
    body = wb.encode(new_event())
    params = fastcgi.post_params("/crossborderly", body, stack.sender("crossborderly").credential(body))
    answer = fastcgi.request(socket, params, body)
    assert answer is not None and answer.outcome == (200, "applied")


def scrape_of(stack: Stack, socket: str) -> Scrape:
    params = fastcgi.post_params("/metrics", b"", {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"}) | {"REQUEST_METHOD": "GET"}
    answer = fastcgi.request(socket, params)
    assert answer is not None and answer.status == 200
    return Scrape(answer.body.decode())


@pytest.mark.tsan
def test_several_processes_count_together(stack: Stack) -> None:
    """Whoever is asked says the same; a killed one takes nothing with it but what it had in hand."""
    name, labels = "waybill_deliveries_total", {"source": "crossborderly", "outcome": "applied"}
    first = stack.responder_socket("webhook")
    with another(stack) as (process, second):
        wait_until(lambda: scrape(stack, "webhook").sum("waybill_requests_in_hand_max") == 2048, "both count")
        before = scrape(stack, "webhook")
        assert before.sum("waybill_processes") == 2
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: post_to(stack, (first, second)[number % 2]), range(64)))
        for socket in (first, second):
            assert scrape_of(stack, socket).sum(name, **labels) == before.sum(name, **labels) + 64
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = scrape(stack, "webhook")
        assert after.sum("waybill_processes") == 1 and after.sum("waybill_requests_in_hand_max") == 1024
        assert after.sum(name, **labels) == before.sum(name, **labels) + 64
    with another(stack) as (process, second):
        post_to(stack, second)
        assert scrape_of(stack, first).sum(name, **labels) == before.sum(name, **labels) + 65
        process.terminate()
        assert process.wait(30) == 0
    assert scrape(stack, "webhook").sum(name, **labels) == before.sum(name, **labels) + 65


@contextmanager
def a_configuration(stack: Stack) -> Iterator[tuple[Path, Path]]:
    """An empty one that nobody else has, and the file of the counters that status.fcgi shares under it."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "waybill.conf"
        config.write_text("")
        os.chmod(folder, 0o777)
        config.chmod(0o644)
        yield config, Path(f"/dev/shm/waybill-metrics-3-status.fcgi-{configuration_digest(config)}-{stack.pgdata.stat().st_uid}")


def test_nothing_stays_behind(stack: Stack) -> None:
    """The file is for its user alone, survives a kill of the last process, and goes with an orderly end."""
    with a_configuration(stack) as (config, counters):
        socket = config.parent / "socket"

        def start() -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [stack.program("status.fcgi"), "--listen", f"unix:{socket}"], env=os.environ | {"WAYBILL_CONFIG": str(config)},
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **stack.owner)
            wait_until(lambda: fastcgi.listens(str(socket)) and counters.exists(), "it listens")
            return process

        process = start()
        status = counters.stat()
        assert (status.st_mode & 0o7777, status.st_uid) == (0o600, stack.pgdata.stat().st_uid)
        process.kill()
        process.wait()
        socket.unlink()
        assert counters.exists()
        process = start()
        process.terminate()
        assert process.wait(30) == 0
        assert not counters.exists()


def test_a_file_of_another_shape_is_not_used(stack: Stack) -> None:
    """As somebody could leave one: a line in the log, and each process counts for itself."""
    with a_configuration(stack) as (config, counters):
        socket = config.parent / "socket"
        counters.write_bytes(b"x")
        counters.chmod(0o644)
        try:
            process = subprocess.Popen(
                [stack.program("status.fcgi"), "--listen", f"unix:{socket}"], env=os.environ | {"WAYBILL_CONFIG": str(config)},
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **stack.owner)
            wait_until(lambda: fastcgi.listens(str(socket)), "it listens")
            params = fastcgi.post_params("/livez", b"", {}) | {"REQUEST_METHOD": "GET"}
            answer = fastcgi.request(str(socket), params)
            assert answer is not None and answer.status == 200
            process.terminate()
            _, log = process.communicate(timeout=30)
            assert process.returncode == 0 and b"the metrics are this process's alone" in log and counters.read_bytes() == b"x", log
        finally:
            counters.unlink()


# ---- Prometheus' own tool, and the files for it ----


def promtool(*arguments: str, text: str | None = None) -> str:
    result = subprocess.run(["promtool", *arguments], input=text, stdin=None if text else subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=120, cwd=MONITORING)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", RESPONDERS)
def test_promtool_is_content(stack: Stack, name: str) -> None:
    stack.sender("crossborderly").deliver(new_event())
    assert promtool("check", "metrics", text=scrape(stack, name).text).strip() == ""


def test_the_alert_rules() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_documents_speak_of_what_there_is(stack: Stack) -> None:
    """Every metric has its line in the table; alerts and dashboard use no other."""
    with_events = [scrape(stack, name) for name in RESPONDERS]
    there = {name for found in with_events for name in re.findall(r"^# TYPE (\S+)", found.text, re.MULTILINE)}
    text = (CHECKOUT / "docs" / "monitoring.md").read_text()
    described = {name for line in text.splitlines() if line.startswith("| `waybill_") for name in re.findall(r"`(waybill_\w+)`", line.split("|")[1])}
    assert there == described
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = set(re.findall(r"waybill_\w+", "\n".join(expressions) + (MONITORING / "alerts.yml").read_text()))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} <= there
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}) == len(dashboard["panels"])
    alerts = re.findall(r"alert: (\w+)", (MONITORING / "alerts.yml").read_text())
    tested = set(re.findall(r"alertname: (\w+)", (MONITORING / "alerts.test.yml").read_text()))
    assert set(alerts) == tested and all(f"| {alert} |" in text for alert in alerts)
    for line in (MONITORING / "prometheus.yml").read_text().splitlines():
        assert line.startswith("#") or line in text
