"""Asking for orders: filters, pages, cursors, conditional requests, and who may ask."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest

import waybill_client as wb
from conftest import Stacks
from extra_sources import ExtraSources
from http_plain import Answer, request
from waybill_stack import Stack

pytestmark = pytest.mark.usefixtures("steady")

# ---- ids in the path ----

AWKWARD_IDS = {
    "a slash": "a/b", "slashes around": "/a/", "two slashes": "a//b", "a space": "a b", "a plus": "a+b", "an umlaut": "Zürich", "a percent": "100%",
    "an escape": "a%2Fb", "an escaped escape": "%252F", "a question mark": "a?b=c", "a hash": "a#b", "an ampersand": "a&b=c;d", "a quote": "a'\"b",
    "a backslash": "a\\b", "a colon": "a:b@c", "dots": "a..b", "a hidden one": ".a", "japanese": "東京", "emoji": "\U0001f4e6", "a tab": "a\tb",
    "json": '{"a":[1]}', "a trailing space": "a ", "a pipe": "a|b^c`d",
}


@pytest.mark.parametrize("case", AWKWARD_IDS)
def test_any_id_fits_into_the_path(each_stack: Stack, case: str) -> None:
    tracking = wb.uid() + AWKWARD_IDS[case] + wb.uid()
    each_stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    assert each_stack.status.order("crossborderly", tracking)["id"] == tracking
    assert [found["id"] for found in each_stack.status.lookup(source="crossborderly", id=tracking)] == [tracking]
    assert [found["id"] for found in each_stack.status.lookup(tracking_number=tracking)] == [tracking]


@pytest.mark.parametrize("order_id", [".", "..", "/", "orders", "\ufffd"])
def test_ids_that_no_path_can_carry(stack: Stack, order_id: str) -> None:
    stack.sender("crowdsender").deliver(wb.status_updated(order_id, "SHIPPED", order_number=wb.uid()))
    assert [found["id"] for found in stack.status.lookup(source="crowdsender", id=order_id)] == [order_id]


# ---- filters ----


@pytest.fixture(scope="module")
def family(stack: Stack) -> dict[str, str]:
    """Orders of several sources, some with one number or reference in common: name to id."""
    mark, sender = wb.uid(), stack.sender("crowdsender")
    for name, status, box in (("one", "SHIPPED", "T1"), ("two", "COMPLETED", "T2"), ("three", "SHIPPED", "T2")):
        event = wb.status_updated(f"{name}-{mark}", status, order_number=f"N-{mark}" if name != "three" else f"M-{mark}")
        event["data"]["_externalReferenceId"] = f"R-{mark}" if name != "one" else f"S-{mark}"
        sender.deliver(event)
        sender.deliver(wb.tracking_updated(f"{name}-{mark}", "box", "waiting", wb.moment(-5), trackId=f"{box}-{mark}"))
    stack.sender("swiftpod").deliver(wb.order_notify(f"four-{mark}", "shipped", order_id=f"N-{mark}"))
    return {"mark": mark}


FILTERS: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "by number": ([("order_number", "N-{}")], ["one", "two", "four"]),
    "by two numbers": ([("order_number", "N-{}"), ("order_number", "M-{}")], ["one", "two", "three", "four"]),
    "by numbers that nobody has too": ([("order_number", "X-{}"), ("order_number", "M-{}")], ["three"]),
    "by reference": ([("external_reference", "R-{}")], ["two", "three"]),
    "by two references": ([("external_reference", "R-{}"), ("external_reference", "S-{}")], ["one", "two", "three"]),
    "by tracking number": ([("tracking_number", "T2-{}")], ["two", "three"]),
    "by two tracking numbers": ([("tracking_number", "T1-{}"), ("tracking_number", "T2-{}")], ["one", "two", "three"]),
    "by number and source": ([("order_number", "N-{}"), ("source", "swiftpod")], ["four"]),
    "by number and status": ([("order_number", "N-{}"), ("status", "in_transit")], ["one", "four"]),
    "by number and reference": ([("order_number", "N-{}"), ("external_reference", "R-{}")], ["two"]),
    "by number and tracking number": ([("order_number", "N-{}"), ("tracking_number", "T2-{}")], ["two"]),
    "by source and id": ([("source", "crowdsender"), ("id", "two-{}")], ["two"]),
    "by the id of another source": ([("source", "swiftpod"), ("id", "two-{}")], []),
    "by a number in other case": ([("order_number", "n-{}")], []),
    "by part of a number": ([("order_number", "N")], []),
    "by a source that is not there": ([("order_number", "N-{}"), ("source", "nobody")], []),
    "the sandbox": ([("order_number", "N-{}"), ("live", "false")], []),
}


@pytest.mark.parametrize("case", FILTERS)
def test_filters(stack: Stack, family: dict[str, str], case: str) -> None:
    pairs, names = FILTERS[case]
    mark = family["mark"]
    page = stack.status.json("/orders", [(name, value.format(mark)) for name, value in pairs])
    assert sorted(document["id"] for document in page["orders"]) == sorted(f"{name}-{mark}" for name in names)
    assert list(page) == ["orders", "next_cursor", "has_more"] and page["has_more"] is False and page["next_cursor"] is None


def test_a_look_up_gives_the_same_documents(stack: Stack, family: dict[str, str]) -> None:
    for document in stack.status.lookup(order_number=f"N-{family['mark']}"):
        assert document == stack.status.order(document["source"], document["id"])


def test_a_hundred_values_at_once(stack: Stack, family: dict[str, str]) -> None:
    pairs = [("tracking_number", f"none-{index}") for index in range(99)] + [("tracking_number", f"T1-{family['mark']}")]
    assert len(stack.status.json("/orders", pairs)["orders"]) == 1
    assert stack.status.get("/orders", [*pairs, ("tracking_number", "one more")]).status == 400


# ---- pages ----

COUNT = 120


@pytest.fixture(scope="module")
def many(stack: Stack) -> tuple[str, list[str]]:
    """COUNT orders with one number, sent one after the other; the first ones change again at the end: the number, and ids newest change first."""
    order_number, sender = wb.uid("N"), stack.sender("crowdsender")
    ids = [f"{order_number}-{index}" for index in range(COUNT)]
    random.shuffle(ids)
    for order in ids:
        sender.deliver(wb.status_updated(order, "REGISTERED", order_number=order_number))
    for order in ids[:10]:
        sender.deliver(wb.status_updated(order, "SHIPPED", wb.moment(1), order_number=order_number))
    return order_number, list(reversed(ids[10:] + ids[:10]))


@pytest.mark.parametrize("limit", [1, 7, 60, 119, 120, 121, 1000, None])
def test_pages_have_no_gap_and_no_repetition(stack: Stack, many: tuple[str, list[str]], limit: int | None) -> None:
    order_number, ids = many
    query = {"order_number": order_number, **({} if limit is None else {"limit": limit})}
    pages = stack.status.pages(**query)
    assert [document["id"] for page in pages for document in page] == ids
    size = limit or 100
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1) and 0 < len(pages[-1]) <= size


def test_all_orders_newest_change_first(stack: Stack, many: tuple[str, list[str]]) -> None:
    """Without a filter, from the newest: nobody else changes anything meanwhile."""
    _, ids = many
    pages = stack.status.pages(limit=50, events="false")
    shown = [(document["source"], document["id"]) for page in pages for document in page]
    assert len(set(shown)) == len(shown)
    assert [order for source, order in shown if order in set(ids)] == ids
    (count,) = stack.report("SELECT count(*) AS orders FROM waybill.orders WHERE live")
    assert len(shown) == count["orders"]


@pytest.mark.parametrize("filters", [{"source": "crowdsender"}, {"status": "in_transit"}, {"source": "crowdsender", "status": "pending"}])
def test_pages_of_a_filter_without_a_number(stack: Stack, many: tuple[str, list[str]], filters: dict[str, str]) -> None:
    documents = [document for page in stack.status.pages(limit=37, events="false", **filters) for document in page]
    assert len({(document["source"], document["id"]) for document in documents}) == len(documents)
    for name, value in filters.items():
        assert {document[name] for document in documents} == {value}
    conditions = " AND ".join(f"{name} = %s" for name in filters)
    (count,) = stack.report(f"SELECT count(*) AS orders FROM waybill.orders WHERE live AND {conditions}", *filters.values())
    assert len(documents) == count["orders"]


def test_changes_between_pages_repeat_nothing(stack: Stack) -> None:
    """An order that changes while somebody pages has moved to the front: no other is skipped for it."""
    order_number, sender = wb.uid("N"), stack.sender("crowdsender")
    ids = [f"{order_number}-{index}" for index in range(10)]
    for order in ids:
        sender.deliver(wb.status_updated(order, "REGISTERED", order_number=order_number))
    first = stack.status.json("/orders", {"order_number": order_number, "limit": 4})
    sender.deliver(wb.status_updated(ids[0], "SHIPPED", wb.moment(1), order_number=order_number))
    sender.deliver(wb.status_updated(ids[9], "SHIPPED", wb.moment(1), order_number=order_number))
    rest = stack.status.pages(order_number=order_number, limit=4, after=first["next_cursor"])
    shown = [document["id"] for page in [first["orders"], *rest] for document in page]
    assert shown == [ids[index] for index in (9, 8, 7, 6, 5, 4, 3, 2, 1)]


# ---- what is refused ----

BAD_QUERIES: dict[str, list[tuple[str, str]]] = {
    "an unknown parameter": [("colour", "red")],
    "an unknown parameter of an order": [("number", "1")],
    "a limit of nothing": [("limit", "0")],
    "a limit too great": [("limit", "1001")],
    "a negative limit": [("limit", "-1")],
    "a limit in words": [("limit", "ten")],
    "an empty limit": [("limit", "")],
    "a limit with a fraction": [("limit", "1.5")],
    "a limit beyond 64 bits": [("limit", "99999999999999999999")],
    "live, perhaps": [("live", "perhaps")],
    "live, empty": [("live", "")],
    "events, a number": [("events", "2")],
    "a status that there is not": [("status", "teleported")],
    "an id without its source": [("id", "1")],
    "101 numbers": [("order_number", str(index)) for index in range(101)],
}


@pytest.mark.parametrize("case", BAD_QUERIES)
def test_bad_queries(each_stack: Stack, case: str) -> None:
    assert each_stack.status.get("/orders", BAD_QUERIES[case]).status == 400


@pytest.mark.parametrize("query", ["order_number=%", "order_number=%zz", "order_number=%1", "live=%ff"])
def test_broken_escapes_in_a_query(stack: Stack, query: str) -> None:
    answer = request(stack.site, "GET", f"/status/orders?{query}", {"Authorization": f"Bearer {stack.env['STATUS_TOKEN']}"})
    assert wb.check_answer(answer).status == 400, answer


@pytest.mark.parametrize("query", [{"colour": "red"}, {"live": "perhaps"}, {"events": "x"}, {"limit": "5"}, {"order_number": "x"}])
def test_bad_queries_of_one_order(stack: Stack, query: dict[str, str]) -> None:
    tracking = wb.uid("T")
    stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    assert stack.status.get(wb.order_path("crossborderly", tracking), query).status == 400


def test_odd_values_that_find_nothing(stack: Stack) -> None:
    for value in ("\0", "a\0b", "'; DROP TABLE orders; --", "x" * 300, "%", "\\", "\ufffd", "\n"):
        answer = stack.status.get("/orders", {"order_number": value})
        assert answer.status == 400 or answer.json()["orders"] == [], answer


CURSORS = ["garbage", "0", "-1", "eyJ2IjoxfQ==", "99999999999999999999999", "%00", "' OR 1=1", "a" * 2000]


@pytest.mark.parametrize("cursor", CURSORS)
def test_cursors_that_this_database_never_gave(each_stack: Stack, cursor: str) -> None:
    assert each_stack.status.get("/orders", {"after": cursor}).status == 410


def test_the_cursor_of_another_database(stacks: Stacks) -> None:
    """Also where its position is one that this database has reached."""
    pair = [stacks(server) for server in ("lighttpd", "apache")]
    for stack in pair:
        for _ in range(2):
            stack.sender("crowdsender").deliver(wb.status_updated(wb.uid("o"), "SHIPPED"))
    cursors = [stack.status.json("/orders", {"limit": 1})["next_cursor"] for stack in pair]
    assert [[stack.status.get("/orders", {"after": cursor}).status for cursor in cursors] for stack in pair] == [[200, 410], [410, 200]]


UNKNOWN_PATHS = ["/orders/crossborderly/nothing", "/orders/nobody/1", "/orders/crossborderly/", "/orders/crossborderly", "/nonsense", "/", "", "/orders/a/b/c/d"]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_what_is_not_there(each_stack: Stack, path: str) -> None:
    assert each_stack.status.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/orders", "/orders/crossborderly/1"])
def test_other_methods(each_stack: Stack, method: str, path: str) -> None:
    answer = each_stack.status.get(path, method=method)
    assert answer.status == 405, answer
    assert {word.strip() for word in (answer.header("Allow") or "").split(",")} == {"GET", "HEAD"}


# ---- who may ask ----

AUTHORIZATIONS: dict[str, tuple[Callable[[str], str | None], int]] = {
    "bearer": (lambda token: f"Bearer {token}", 200),
    "the scheme in small letters": (lambda token: f"bearer {token}", 200),
    "nothing": (lambda token: None, 401),
    "empty": (lambda token: "", 401),
    "no token": (lambda token: "Bearer", 401),
    "no token but a space": (lambda token: "Bearer ", 401),
    "no scheme": (lambda token: token, 401),
    "another scheme": (lambda token: f"Token {token}", 401),
    "as a password": (lambda token: wb.basic(f"x:{token}")(b"")["Authorization"], 401),
    "another token": (lambda token: "Bearer " + "0" * len(token), 401),
    "half a token": (lambda token: f"Bearer {token[: len(token) // 2]}", 401),
    "twice": (lambda token: f"Bearer {token}{token}", 401),
    "in capitals": (lambda token: f"Bearer {token.upper()}x", 401),
    "the hash of it": (lambda token: "Bearer " + hashlib.sha256(token.encode()).hexdigest(), 401),
}


@pytest.mark.parametrize("case", AUTHORIZATIONS)
def test_who_may_ask(each_stack: Stack, case: str) -> None:
    make, expected = AUTHORIZATIONS[case]
    value = make(each_stack.env["STATUS_TOKEN"])
    nobody = wb.StatusClient(each_stack.site, None)
    for path in ("/orders", "/orders/crossborderly/nothing"):
        answer = nobody.get(path, headers={} if value is None else {"Authorization": value})
        assert answer.status == (expected if path == "/orders" or expected == 401 else 404), answer
        assert ("Bearer" in (answer.header("WWW-Authenticate") or "")) == (answer.status == 401), answer


def test_a_client_sees_its_sources_only(each_stack: Stack, stacks: Stacks) -> None:
    narrow = stacks.extras(each_stack.server).narrow
    mark, swiftpod, crowdsender = wb.uid("N"), wb.number(), wb.uid("o")
    each_stack.sender("swiftpod").deliver(wb.order_notify(swiftpod, "shipped", order_id=mark))
    each_stack.sender("crowdsender").deliver(wb.status_updated(crowdsender, "SHIPPED", order_number=mark))
    assert len(each_stack.status.lookup(order_number=mark)) == 2
    assert [found["source"] for found in narrow.lookup(order_number=mark)] == ["swiftpod"]
    assert narrow.lookup(order_number=mark, source="crowdsender") == []
    assert narrow.lookup(source="crowdsender", id=crowdsender) == []
    assert {document["source"] for page in narrow.pages(limit=500) for document in page} == {"swiftpod"}
    assert narrow.order("swiftpod", str(swiftpod))["order_number"] == mark
    hidden = narrow.get(wb.order_path("crowdsender", crowdsender))
    unknown = narrow.get(wb.order_path("crowdsender", wb.uid()))
    assert (hidden.status, hidden.body) == (404, unknown.body)


# ---- conditional requests ----


def conditional(client: wb.StatusClient, path: str, value: str, query: wb.Query = (), method: str = "GET") -> Answer:
    return client.get(path, query, {"If-None-Match": value}, method)


MATCHES: dict[str, tuple[Callable[[str], str], int]] = {
    "the tag": (lambda tag: tag, 304),
    "as a weak one": (lambda tag: "W/" + tag.removeprefix("W/"), 304),
    "in a list": (lambda tag: f'"a", {tag}, "b"', 304),
    "in a list without spaces": (lambda tag: f'"a",W/"b",{tag}', 304),
    "any": (lambda tag: "*", 304),
    "another": (lambda tag: '"another"', 200),
    "a list of others": (lambda tag: '"a", W/"b"', 200),
    "part of it": (lambda tag: tag[:-2] + '"', 200),
    "empty": (lambda tag: "", 200),
    "garbage": (lambda tag: ',,"', 200),
}


@pytest.mark.parametrize("case", MATCHES)
@pytest.mark.parametrize("lookup", [False, True], ids=["order", "lookup"])
def test_conditional_requests(each_stack: Stack, lookup: bool, case: str) -> None:
    tracking = wb.uid("T")
    each_stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    client = each_stack.status
    path, query = ("/orders", {"tracking_number": tracking}) if lookup else (wb.order_path("crossborderly", tracking), {})
    whole = client.get(path, query)
    make, expected = MATCHES[case]
    for method in ("GET", "HEAD"):
        answer = conditional(client, path, make(whole.header("ETag") or ""), query, method)
        assert answer.status == expected, answer
        assert answer.body == (whole.body if expected == 200 and method == "GET" else b"")
        for name in ("ETag", "Cache-Control", "Vary"):
            assert answer.header(name) == whole.header(name), name
    assert whole.header("Cache-Control") == "private, no-cache" and whole.header("Vary") == "Authorization"


def test_a_head_is_a_get_without_a_body(each_stack: Stack) -> None:
    tracking = wb.uid("T")
    each_stack.sender("crossborderly").deliver(wb.status_changed(tracking, "IN_TRANSIT"))
    # A length may be left out of the answer to HEAD (RFC 9110); if it is there, it is that of the body.
    changing = ("date", "x-request-id", "connection", "keep-alive", "transfer-encoding", "content-length")

    def fields(answer: Answer) -> dict[str, str]:
        return {name.lower(): value for name, value in answer.headers.items() if name.lower() not in changing}

    for path in ("/orders?tracking_number=" + tracking, wb.order_path("crossborderly", tracking), "/orders/crossborderly/nothing"):
        get, head = (each_stack.status.get(path, method=method) for method in ("GET", "HEAD"))
        assert (head.status, head.body, fields(head)) == (get.status, b"", fields(get))
        assert head.header("Content-Length") in (None, str(len(get.body)))


def test_the_tag_is_of_what_was_asked(stack: Stack, extras: ExtraSources) -> None:
    """Other scope, other parameters, other order, other version: another tag."""
    order, sender = wb.number(), stack.sender("swiftpod")
    path = wb.order_path("swiftpod", str(order))

    def tags() -> list[str]:
        asked = [
            stack.status.get(path), stack.status.get(path, {"events": "false"}), stack.tracking_status.get(path),
            stack.tracking_status.get(path, {"events": "false"}),
            stack.status.get("/orders", {"order_number": f"SP-{order}"}),
            stack.status.get("/orders", {"order_number": f"SP-{order}", "events": "false"}),
            stack.tracking_status.get("/orders", {"order_number": f"SP-{order}"}),
            stack.status.get("/orders", {"order_number": f"none-{order}"}),
        ]
        assert [answer.status for answer in asked] == [200] * len(asked)
        return [answer.header("ETag") or "" for answer in asked]

    sender.deliver(wb.order_notify(order, "in_production", wb.moment(0)))
    before = tags()
    assert tags() == before and len(set(before)) == len(before) and "" not in before
    sender.deliver(wb.order_notify(order, "shipped", wb.moment(1)))
    after = tags()
    assert [new for old, new in zip(before[:-1], after[:-1]) if new == old] == []


def test_a_look_up_changes_its_tag_when_an_order_joins(stack: Stack) -> None:
    mark, sender = wb.uid("N"), stack.sender("crowdsender")
    tags = []
    for index in range(3):
        sender.deliver(wb.status_updated(wb.uid("o"), "SHIPPED", order_number=mark))
        tags.append(stack.status.get("/orders", {"order_number": mark}).header("ETag"))
    assert len(set(tags)) == 3


# ---- health ----


@pytest.mark.parametrize("name", ["webhook", "status"])
@pytest.mark.parametrize("page", ["livez", "readyz"])
def test_health(each_stack: Stack, name: str, page: str) -> None:
    anybody = each_stack.health(name, page)
    known = each_stack.health(name, page, {"Authorization": f"Bearer {each_stack.env['STATUS_TOKEN']}"})
    wrong = each_stack.health(name, page, {"Authorization": "Bearer wrong"})
    assert [answer.status for answer in (anybody, known, wrong)] == [200, 200, 200]
    assert all(wb.check_answer(answer) for answer in (anybody, known, wrong))
    assert wrong.body == anybody.body
    assert (known.body != anybody.body) == (page == "readyz"), known
    for word in ("dbname", "waybill_", "crossborderly", str(each_stack.var)):
        assert word.encode() not in anybody.body


@pytest.mark.tsan
def test_many_readers_at_once(each_stack: Stack) -> None:
    """Each gets its own answer."""
    orders = {wb.number() for _ in range(40)}
    for order in orders:
        each_stack.sender("swiftpod").deliver(wb.order_notify(order, "shipped"))
    with ThreadPoolExecutor(16) as pool:
        shown = list(pool.map(lambda order: each_stack.status.order("swiftpod", str(order))["id"], 5 * sorted(orders)))
    assert shown == 5 * [str(order) for order in sorted(orders)]
