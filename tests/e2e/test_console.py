"""The console's page, its panels, the search behind its box, and logins of the web server."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

import fastcgi
import waybill_client as wb
from conftest import Stacks
from http_plain import Answer
from test_reload import reloaded
from waybill_stack import Stack, set_option

pytestmark = pytest.mark.usefixtures("steady")

PANELS = {"deliveries": "hours", "sources": "sources", "problems": "deliveries", "silent": "boxes", "gaps": "gaps"}


def moments_ago(days: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


# ---- the page ----


def test_the_page_is_for_everybody_and_complete(each_stack: Stack) -> None:
    """Nothing comes from elsewhere, and the browser runs the page's own script and style and no other."""
    nobody = wb.StatusClient(each_stack.site, None)
    answer = nobody.get("/console")
    assert (answer.status, answer.header("Content-Type")) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert "{{" not in text and re.findall(r"""(?:src|href)\s*=\s*["']?(?:[a-z]+:)?//""", text) == []
    policy = dict(re.findall(r"([a-z-]+) ([^;]+)", answer.header("Content-Security-Policy") or ""))
    for directive, element in (("script-src", "script"), ("style-src", "style")):
        (inline,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy.pop(directive) == f"'sha256-{digest}'"
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
    assert nobody.get("/console", headers={"If-None-Match": answer.header("ETag") or ""}).status == 304
    head = nobody.get("/console", method="HEAD")
    assert (head.status, head.body, head.header("ETag")) == (200, b"", answer.header("ETag"))
    refused = nobody.get("/console", method="POST")
    assert (refused.status, refused.header("Allow")) == (405, "GET, HEAD")


def test_an_order_is_no_page(each_stack: Stack) -> None:
    """Where the server does not say where the mount ends, ids that look like pages are ids all the same."""
    for order in ("console", "x/console"):
        each_stack.sender("crowdsender").deliver(wb.status_updated(order, "SHIPPED"))
        assert each_stack.status.order("crowdsender", order)["id"] == order


# ---- panels ----


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_takes_a_token(each_stack: Stack, panel: str) -> None:
    nobody = wb.StatusClient(each_stack.site, None)
    assert nobody.get(f"/console/{panel}").status == 401
    assert list(each_stack.status.json(f"/console/{panel}")) == [PANELS[panel]]
    assert each_stack.status.get(f"/console/{panel}", [("limit", "5")]).status == 400


def test_there_is_no_other_panel(stack: Stack) -> None:
    for path in ("/console/orders", "/console/silent/5", "/consoles"):
        assert stack.status.get(path).status == 404


def totals(stack: Stack) -> dict[str, int]:
    hours = stack.status.json("/console/deliveries")["hours"]
    assert len(hours) == 24 and [hour["hour"] for hour in hours] == sorted(hour["hour"] for hour in hours)
    return {outcome: sum(hour[outcome] for hour in hours) for outcome in ("applied", "ignored", "repeated", "quarantined")}


def test_deliveries_are_counted_by_outcome(stack: Stack) -> None:
    before, sender = totals(stack), stack.sender("crossborderly")
    event = wb.status_changed(wb.uid("T"), "IN_TRANSIT")
    sender.deliver(event)
    sender.deliver(event, "duplicate")
    sender.deliver(wb.crossborderly_event("parcel.teleported", {}), "quarantined")
    stack.sender("swiftpod").deliver(wb.stock_notify(), "ignored")
    after = totals(stack)
    assert {outcome: after[outcome] - before[outcome] for outcome in after} == {"applied": 1, "ignored": 1, "repeated": 1, "quarantined": 1}


def test_problems_are_named_with_their_reason(stack: Stack) -> None:
    sender = stack.sender("crossborderly")
    unknown = sender.deliver(wb.crossborderly_event("parcel.teleported", {}), "quarantined")
    first = wb.status_changed(wb.uid("T"), "IN_TRANSIT")
    other = {**first, "data": {**first["data"], "newStatus": "OUT_FOR_DELIVERY"}}
    twins = {sender.deliver(event) for event in (first, other)}
    found = {one["delivery"]: one for one in stack.status.json("/console/problems")["deliveries"]}
    assert found[unknown]["outcome"] == "quarantined" and found[unknown]["detail"]
    assert twins <= found.keys() and all(found[twin]["conflict"] for twin in twins)


def test_silent_parcels(stack: Stack) -> None:
    """On their way, and no scan for so many days; a scan of a lower rank is one too."""
    def parcel(*events: tuple[str, float]) -> str:
        tracking = wb.uid("T")
        for status, days in events:
            stack.sender("crossborderly").deliver(wb.status_changed(tracking, status, moments_ago(days)))
        return tracking

    silent, fresh, closed = parcel(("IN_TRANSIT", 8)), parcel(("IN_TRANSIT", 3)), parcel(("IN_TRANSIT", 9), ("DELIVERED", 8))

    def shown(days: int | None) -> set[str]:
        query = [] if days is None else [("days", str(days))]
        boxes = stack.status.json("/console/silent", query)["boxes"]
        assert [box["last_event_at"] for box in boxes] == sorted(box["last_event_at"] for box in boxes)
        return {box["tracking_number"] for box in boxes} & {silent, fresh, closed}

    assert (shown(None), shown(2), shown(9)) == ({silent}, {silent, fresh}, set())
    for days in ("0", "366", "x", ""):
        assert stack.status.get("/console/silent", [("days", days)]).status == 400


def test_gaps(stack: Stack) -> None:
    tracking, sender = wb.uid("T"), stack.sender("crossborderly")
    sender.deliver(wb.status_changed(tracking, "PICKED_UP", moments_ago(2)))
    sender.deliver(wb.status_changed(tracking, "OUT_FOR_DELIVERY", moments_ago(1), previous="CUSTOMS_CLEARED"))
    (gap,) = [one for one in stack.status.json("/console/gaps")["gaps"] if one["order_id"] == tracking]
    assert (gap["expected_previous"], gap["found_previous"]) == ("CUSTOMS_CLEARED", "PICKED_UP")


# What the panel of the sources says, by reading all of 30 days.
SOURCES = """
    SELECT source, waybill_data.instant(max(received_at)) AS newest, count(*) FILTER (WHERE received_at > now() - interval '1 day') AS last_day
    FROM waybill_data.deliveries WHERE received_at > now() - interval '30 days' GROUP BY source ORDER BY source COLLATE "C" """
HEARD_OF = """
    INSERT INTO waybill_data.deliveries (delivery_id, received_at, body_bytes, live, source, provider, outcome, body_sha256)
    SELECT gen_random_uuid(), now() - n * interval '1 second' - %(days)s * interval '1 day', 2, true, %(source)s, 'crossborderly', 'ignored', ''
    FROM generate_series(1, %(count)s) n"""


def test_sources_are_heard_of(stack: Stack) -> None:
    """Quiet, long gone and busy ones, and the whole of it without reading the month."""
    stack.sender("crossborderly").deliver(wb.status_changed(wb.uid("T"), "IN_TRANSIT"))
    with psycopg.connect(stack.env["WAYBILL_DSN"]) as owner:
        for source, days, count in (("a-quiet-one", 20, 20_000), ("a-quiet-one", 40, 5), ("gone", 31, 3), ("z-busy", 0, 7), ("z-busy", 2, 7)):
            owner.execute(HEARD_OF, {"source": source, "days": days, "count": count})
        expected = [dict(zip(("source", "newest", "last_day"), row)) for row in owner.execute(SOURCES)]
        ((told,),) = owner.execute("SELECT waybill_data.panel_sources(NULL, true, 7)::json -> 'sources'").fetchall()
        assert told == expected
        names = {one["source"]: one["last_day"] for one in told}
        assert (names["a-quiet-one"], names["z-busy"], "gone" in names) == (0, 7, False)
        call = "waybill_data.panel_sources('{a-quiet-one,gone,nobody}', true, 7)"
        ((told,),) = owner.execute(f"SELECT {call}::json -> 'sources'").fetchall()
        assert told == [one for one in expected if one["source"] == "a-quiet-one"]
        ((plan,),) = owner.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT {call}").fetchall()
        assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 150, plan
        owner.rollback()


def test_a_client_sees_the_panels_of_its_sources(each_stack: Stack, stacks: Stacks) -> None:
    narrow = stacks.extras(each_stack.server).narrow
    each_stack.sender("crossborderly").deliver(wb.crossborderly_event("parcel.teleported", {}), "quarantined")
    each_stack.sender("swiftpod").deliver(wb.stock_notify(), "ignored")
    assert {one["source"] for one in narrow.json("/console/sources")["sources"]} == {"swiftpod"}
    assert {one["source"] for one in narrow.json("/console/problems")["deliveries"]} <= {"swiftpod"}
    everything = sum(hour["quarantined"] for hour in each_stack.status.json("/console/deliveries")["hours"])
    assert sum(hour["quarantined"] for hour in narrow.json("/console/deliveries")["hours"]) < everything


# ---- the search ----


@pytest.fixture(scope="module")
def sought(stack: Stack) -> str:
    """An order with a number, a reference, a tracking number and an id, each with spaces, dashes and small letters, beside one that shares none."""
    mark = wb.uid()
    event = wb.status_updated(f"Id-{mark}x", "SHIPPED", order_number=f"No {mark}-y")
    event["data"]["_externalReferenceId"] = f"REF{mark.upper()}"
    sender = stack.sender("crowdsender")
    sender.deliver(event)
    sender.deliver(wb.tracking_updated(f"Id-{mark}x", "box", "waiting", wb.moment(-5), trackId=f"tr-ack {mark}"))
    sender.deliver(wb.status_updated(f"other-{mark}", "SHIPPED", order_number=f"other {mark}"))
    return mark


SPELLINGS = {
    "number": "No {}-y", "number in capitals without spaces": "NO{upper}Y", "number with other dashes": "n-o-{}  y", "reference": "REF{upper}",
    "reference in small letters": "ref {}", "tracking number": "tr-ack {}", "tracking number without dashes": "TRACK{upper}", "id": "Id-{}x",
    "id in small letters": "id{}x", "with spaces around it": "  Id-{}x ",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_search_forgives_the_spelling(stack: Stack, sought: str, spelling: str) -> None:
    words = SPELLINGS[spelling].format(sought, upper=sought.upper())
    assert [order["id"] for order in stack.status.lookup(q=words)] == [f"Id-{sought}x"]
    assert stack.status.lookup(q=words, source="swiftpod") == []
    assert stack.status.lookup(q=words, live="false") == []
    assert stack.status.lookup(q=words, status="delivered") == []


def test_a_search_is_no_pattern(stack: Stack, sought: str) -> None:
    for words in (sought, "%", f"No {sought}", "-", f"No {sought}_y", "'", "*"):
        assert stack.status.lookup(q=words) == []


def test_ids_in_plain_form_are_found(stack: Stack) -> None:
    """They have no index: the key that they would have is tried for every source."""
    tracking = wb.uid("T").upper()
    stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    order = wb.uid("O").upper()
    stack.sender("crowdsender").deliver(wb.status_updated(order, "SHIPPED"))
    assert [found["id"] for found in stack.status.lookup(q=f"{order[:5]}-{order[5:]}".lower())] == [order]
    assert [found["id"] for found in stack.status.lookup(q=tracking.lower())] == [tracking]


@pytest.mark.parametrize("query", [
    [("q", "")], [("q", " ")], [("q", "a"), ("q", "b")], [("q", "x" * 256)], [("q", "a"), ("order_number", "b")], [("q", "a"), ("tracking_number", "b")],
    [("q", "a"), ("source", "crowdsender"), ("id", "b")]], ids=["empty", "blank", "two", "long", "number", "tracking number", "id"])
def test_bad_searches(stack: Stack, query: list[tuple[str, str]]) -> None:
    assert stack.status.get("/orders", query).status == 400


# ---- logins of the web server ----


def asked(stack: Stack, path: str, **params: str) -> Answer:
    answer = fastcgi.request(stack.responder_socket("status"), {
        "REQUEST_METHOD": "GET", "REQUEST_URI": f"/status{path}", "SCRIPT_NAME": "/status", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **params})
    assert answer is not None
    return answer


def test_a_login_counts_where_it_is_configured(stack: Stack, extras: object) -> None:
    """The client of that name, else one that sees everything; a token that is shown decides alone."""
    order = wb.uid("o")
    stack.sender("crowdsender").deliver(wb.status_updated(order, "SHIPPED"))
    stack.sender("swiftpod").deliver(wb.order_notify(wb.number(), "shipped"))
    token = {"HTTP_AUTHORIZATION": f"Bearer {stack.env['STATUS_TRACKING_TOKEN']}"}
    assert asked(stack, "/orders", REMOTE_USER="ada").status == 401

    def sources(**params: str) -> set[str]:
        answer = asked(stack, "/console/sources", **params)
        assert answer.status == 200, answer
        return {one["source"] for one in answer.json()["sources"]}

    with reloaded(stack, lambda text: set_option(text, "status", "remote_user", "yes"), "status"):
        assert {"crowdsender", "swiftpod"} <= sources(REMOTE_USER="ada")
        assert sources(REMOTE_USER="ada", HTTP_AUTHORIZATION="Basic YWRhOnNlY3JldA==") == sources(REMOTE_USER="ada")
        assert sources(REMOTE_USER="narrow") == {"swiftpod"}
        assert asked(stack, "/orders", REMOTE_USER="").status == 401
        assert asked(stack, "/orders", HTTP_REMOTE_USER="ada").status == 401
        assert asked(stack, "/orders", REMOTE_USER="ada", HTTP_AUTHORIZATION="Bearer nobodys").status == 401
        path = wb.order_path("crowdsender", order)
        assert "-fe-" in (asked(stack, path, REMOTE_USER="ada").header("ETag") or "")
        assert "-te-" in (asked(stack, path, REMOTE_USER="ada", **token).header("ETag") or "")
    assert asked(stack, "/orders", REMOTE_USER="ada").status == 401
