"""Who is let in: every way of proving an origin, done right and done wrong."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Callable, Iterator

import pytest

import fastcgi
import waybill_client as wb
from extra_sources import ExtraSources
from http_plain import send_raw
from waybill_stack import Stack, set_option

EVENTS: dict[str, Callable[[], wb.Json]] = {
    "crossborderly": lambda: wb.status_changed(wb.uid("T"), "IN_TRANSIT"),
    "swiftpod": lambda: wb.order_notify(wb.number(), "shipped"),
    "crowdsender": lambda: wb.status_updated(wb.uid("o"), "SHIPPED"),
    "shipup": lambda: wb.shipup_event("tracker.new", wb.tracker(wb.number(), "pending")),
}
PROVIDERS = {
    "base64": "crossborderly", "standard": "swiftpod", "bearer": "crowdsender", "header": "crowdsender", "url-token": "shipup",
    "rotated": "crossborderly", "rotated-basic": "crowdsender", "several": "crossborderly", "from-address": "crossborderly",
    "from-here": "crossborderly",
}


def event_for(source: str) -> bytes:
    return wb.encode(EVENTS[PROVIDERS.get(source, source)]())


def status_of(sender: wb.Sender, credential: wb.Credential | None = None, headers: dict[str, str] | None = None) -> int:
    return sender.post(event_for(sender.source), headers, credential).status


# ---- the demo's sources: what their senders do, and forgeries of it ----

Forge = Callable[[str, bytes], dict[str, str]]  # secret, body


def crossborderly_header(value: Callable[[str, bytes], str]) -> Forge:
    return lambda secret, body: {"X-CrossBorderly-Signature": value(secret, body)}


def swiftpod_header(value: Callable[[str, bytes], str]) -> Forge:
    return lambda secret, body: {"X-Swiftpod-Signature": value(secret, body)}


def authorization(value: Callable[[str], str]) -> Forge:
    return lambda secret, body: {"Authorization": value(secret)}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def hexed(secret: str, body: bytes) -> str:
    return wb.hmac_of(secret, body).hex()


SIGNED: dict[str, tuple[str, Forge, int]] = {
    "with the prefix": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret, body)), 200),
    "without the prefix": ("crossborderly", crossborderly_header(hexed), 200),
    "in capitals": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret, body).upper()), 200),
    "no header": ("crossborderly", lambda secret, body: {}, 401),
    "an empty header": ("crossborderly", crossborderly_header(lambda secret, body: ""), 401),
    "only the prefix": ("crossborderly", crossborderly_header(lambda secret, body: "sha256="), 401),
    "another secret": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret + "x", body)), 401),
    "no secret": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed("", body)), 401),
    "another body": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret, body + b" ")), 401),
    "the other prefix": ("crossborderly", crossborderly_header(lambda secret, body: "sha1=" + hexed(secret, body)), 401),
    "base64": ("crossborderly", crossborderly_header(lambda secret, body: base64.b64encode(wb.hmac_of(secret, body)).decode()), 401),
    "one digit less": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret, body)[:-1]), 401),
    "one digit more": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret, body) + "0"), 401),
    "the first half": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + hexed(secret, body)[:32]), 401),
    "twice": ("crossborderly", crossborderly_header(lambda secret, body: hexed(secret, body) * 2), 401),
    "the second of two": ("crossborderly", crossborderly_header(lambda secret, body: f"sha256={'0' * 64}, sha256={hexed(secret, body)}"), 200),
    "the first of two": ("crossborderly", crossborderly_header(lambda secret, body: f"{hexed(secret, body)} {'0' * 64}"), 200),
    "two wrong ones": ("crossborderly", crossborderly_header(lambda secret, body: f"sha256={'0' * 64},{hexed('x', body)}"), 401),
    "zeros": ("crossborderly", crossborderly_header(lambda secret, body: "0" * 64), 401),
    "no digits": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + "g" * 64), 401),
    "the secret itself": ("crossborderly", crossborderly_header(lambda secret, body: secret), 401),
    "very long": ("crossborderly", crossborderly_header(lambda secret, body: "sha256=" + "a" * 4000), 401),
    "the other sender's header": ("crossborderly", swiftpod_header(hexed), 401),
    "hexadecimal": ("swiftpod", swiftpod_header(hexed), 200),
    "a header that is not there": ("swiftpod", lambda secret, body: {}, 401),
    "another key": ("swiftpod", swiftpod_header(lambda secret, body: hexed(secret[:-1], body)), 401),
    "user and password": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret)), 200),
    "the scheme in small letters": ("crowdsender", authorization(lambda secret: "basic " + b64(secret)), 200),
    "another password": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret + "x")), 401),
    "a shorter password": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret[:-1])), 401),
    "another user": ("crowdsender", authorization(lambda secret: "Basic " + b64("x" + secret)), 401),
    "no user": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret[secret.index(":") :])), 401),
    "no password": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret[: secret.index(":") + 1])), 401),
    "no colon": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret.replace(":", ""))), 401),
    "no base64": ("crowdsender", authorization(lambda secret: "Basic " + secret), 401),
    "nothing but the scheme": ("crowdsender", authorization(lambda secret: "Basic"), 401),
    "an empty Authorization": ("crowdsender", authorization(lambda secret: ""), 401),
    "another scheme": ("crowdsender", authorization(lambda secret: "Bearer " + b64(secret)), 401),
    "Digest": ("crowdsender", authorization(lambda secret: 'Digest username="x"'), 401),
    "a NUL in the password": ("crowdsender", authorization(lambda secret: "Basic " + b64(secret + "\0")), 401),
    "4000 bytes": ("crowdsender", authorization(lambda secret: "Basic " + "A" * 4000), 401),
    "Shipup's": ("shipup", authorization(lambda secret: "Basic " + b64(secret)), 200),
    "nobody's": ("shipup", lambda secret, body: {}, 401),
}
SECRET_NAMES = {
    "crossborderly": "CROSSBORDERLY_SECRET", "swiftpod": "SWIFTPOD_SECRET", "crowdsender": "CROWDSENDER_BASIC", "shipup": "SHIPUP_BASIC",
}


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("case", SIGNED)
def test_credentials_of_the_senders(each_stack: Stack, case: str) -> None:
    source, forge, expected = SIGNED[case]
    secret = each_stack.env[SECRET_NAMES[source]]
    body = event_for(source)
    answer = each_stack.sender(source, lambda body: forge(secret, body)).post(body)
    assert answer.status == expected, answer
    assert len(each_stack.stored(body)) == (expected == 200)


def post_lines(sender: wb.Sender, body: bytes, lines: list[str]) -> int:
    """With header lines as they are, several of one name too."""
    start = [f"POST {sender.target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(body)}", *lines]
    answer = send_raw(sender.site, ("\r\n".join(start) + "\r\n\r\n").encode() + body)
    assert answer is not None
    return answer.status


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("right", [0, 1, 2, None])
def test_any_of_several_signature_headers(each_stack: Stack, right: int | None) -> None:
    secret, body = each_stack.env["CROSSBORDERLY_SECRET"], event_for("crossborderly")
    values = [hexed(secret if place == right else f"other {place}", body) for place in range(3)]
    lines = [f"{name}: sha256={value}" for name, value in zip(("X-CrossBorderly-Signature", "x-crossborderly-signature", "X-CROSSBORDERLY-SIGNATURE"), values)]
    assert post_lines(each_stack.sender("crossborderly"), body, lines) == (401 if right is None else 200)
    assert len(each_stack.stored(body)) == (right is not None)
    if right is not None:
        (row,) = each_stack.stored(body)
        result = each_stack.waybill("verify", "--since", row["received_at"].strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert result.returncode == 0, result


class Twice(dict[str, str]):
    """Meta-variables, some of which come twice."""

    def __init__(self, params: dict[str, str], *more: tuple[str, str]) -> None:
        super().__init__(params)
        self.more = more

    def items(self):  # type: ignore[no-untyped-def]
        return [*super().items(), *self.more]


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("credential,expected", [("another", 401), ("the same", 200)])
def test_a_variable_that_comes_twice_with_different_values_is_trusted_in_neither(stack: Stack, credential: str, expected: int) -> None:
    body = event_for("crowdsender")
    params = fastcgi.post_params("/crowdsender", body, stack.sender("crowdsender").credential(body))
    second = params["HTTP_AUTHORIZATION"] if credential == "the same" else "Basic " + b64("nobody:else")
    answer = fastcgi.request(stack.responder_socket("webhook"), Twice(params, ("HTTP_AUTHORIZATION", second)), body)
    assert answer is not None and answer.status == expected


# ---- credentials of the receiver's choice ----


@dataclass(frozen=True)
class Shown:
    source: str
    credential: Callable[[ExtraSources], wb.Credential]
    url_token: Callable[[ExtraSources], str] = lambda extras: ""


def only(*parts: str) -> Callable[[ExtraSources], wb.Credential]:
    """Some of what the source `several` asks for."""

    def credential(extras: ExtraSources) -> wb.Credential:
        of = {
            "signature": wb.crossborderly_signature(extras.keys.signing),
            "bearer": wb.bearer(extras.keys.bearer),
            "header": wb.header("X-Api-Key", extras.keys.header),
        }
        return wb.all_of(*(of[part] for part in parts))

    return credential


def right_token(extras: ExtraSources) -> str:
    return extras.keys.url_token


ACCEPTED = {
    "base64 with the prefix": Shown("base64", lambda x: wb.base64_signature(x.keys.signing, "X-Own-Signature", "v0=")),
    "the header's name in other case": Shown("base64", lambda x: wb.base64_signature(x.keys.signing, "x-own-SIGNATURE", "v0=")),
    "standard webhooks": Shown("standard", lambda x: wb.standard_webhooks(x.keys.standard)),
    "standard webhooks, sent four minutes ago": Shown("standard", lambda x: wb.standard_webhooks(x.keys.standard, 240)),
    "one of two signatures": Shown("standard", lambda x: listed(wb.standard_webhooks(x.keys.standard))),
    "bearer": Shown("bearer", lambda x: wb.bearer(x.keys.bearer)),
    "named header": Shown("header", lambda x: wb.header("X-Api-Key", x.keys.header)),
    "token in the URL": Shown("url-token", lambda x: wb.nothing, right_token),
    "the newer secret": Shown("rotated", lambda x: wb.crossborderly_signature(x.keys.signing)),
    "the older secret": Shown("rotated", lambda x: wb.crossborderly_signature(x.keys.retired)),
    "the newer password": Shown("rotated-basic", lambda x: wb.basic(f"shop:{x.keys.password}")),
    "the older password": Shown("rotated-basic", lambda x: wb.basic(f"shop:{x.keys.retired_password}")),
    "all kinds": Shown("several", only("signature", "bearer", "header"), right_token),
    "from an allowed address": Shown("from-here", only("signature")),
}


def listed(credential: wb.Credential) -> wb.Credential:
    """A signature among others, as while secrets are rotated."""

    def headers(body: bytes) -> dict[str, str]:
        one = credential(body)
        return one | {"webhook-signature": "v1," + b64("x" * 32) + " v1a,x " + one["webhook-signature"]}

    return headers


REFUSED = {
    "hex instead of base64": Shown("base64", lambda x: wb.hex_signature(x.keys.signing, "X-Own-Signature", "v0=")),
    "the provider's own header": Shown("base64", lambda x: wb.crossborderly_signature(x.keys.signing)),
    "standard webhooks, another secret": Shown("standard", lambda x: wb.standard_webhooks("whsec_" + b64("x" * 24))),
    "standard webhooks, an hour ago": Shown("standard", lambda x: wb.standard_webhooks(x.keys.standard, 3600)),
    "standard webhooks, in an hour": Shown("standard", lambda x: wb.standard_webhooks(x.keys.standard, -3600)),
    "standard webhooks, another id": Shown("standard", lambda x: changed(wb.standard_webhooks(x.keys.standard), "webhook-id", "msg_2")),
    "standard webhooks, no id": Shown("standard", lambda x: changed(wb.standard_webhooks(x.keys.standard), "webhook-id", "")),
    "standard webhooks, no version": Shown("standard", lambda x: unversioned(wb.standard_webhooks(x.keys.standard))),
    "another bearer": Shown("bearer", lambda x: wb.bearer(x.keys.header)),
    "a bearer as password": Shown("bearer", lambda x: wb.basic(f"x:{x.keys.bearer}")),
    "no bearer": Shown("bearer", lambda x: wb.nothing),
    "another header": Shown("header", lambda x: wb.header("X-Api-Token", x.keys.header)),
    "another value": Shown("header", lambda x: wb.header("X-Api-Key", x.keys.bearer)),
    "another token in the URL": Shown("url-token", lambda x: wb.nothing, lambda x: x.keys.bearer),
    "half a token in the URL": Shown("url-token", lambda x: wb.nothing, lambda x: x.keys.url_token[:24]),
    "no token in the URL": Shown("url-token", lambda x: wb.nothing),
    "a third secret": Shown("rotated", lambda x: wb.crossborderly_signature(x.keys.header)),
    "both secrets": Shown("rotated", lambda x: wb.crossborderly_signature(x.keys.retired + x.keys.signing)),
    "a third password": Shown("rotated-basic", lambda x: wb.basic(f"shop:{x.keys.header}")),
    "all kinds but the signature": Shown("several", only("bearer", "header"), right_token),
    "all kinds but the bearer": Shown("several", only("signature", "header"), right_token),
    "all kinds but the header": Shown("several", only("signature", "bearer"), right_token),
    "all kinds but the token": Shown("several", only("signature", "bearer", "header")),
    "one kind": Shown("several", only("signature")),
    "from another address": Shown("from-address", only("signature")),
}


def changed(credential: wb.Credential, name: str, value: str) -> wb.Credential:
    return lambda body: credential(body) | {name: value}


def unversioned(credential: wb.Credential) -> wb.Credential:
    return lambda body: {name: value.removeprefix("v1,") for name, value in credential(body).items()}


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("case", [*ACCEPTED, *REFUSED])
def test_credentials_of_the_receivers_choice(stack: Stack, extras: ExtraSources, case: str) -> None:
    shown = ACCEPTED.get(case) or REFUSED[case]
    sender = stack.sender(shown.source, shown.credential(extras), url_token=shown.url_token(extras))
    body = event_for(shown.source)
    assert sender.post(body).status == (200 if case in ACCEPTED else 401)
    assert len(stack.stored(body)) == (case in ACCEPTED)


KEPT = {"base64": True, "standard": True, "bearer": False, "header": False, "url-token": False, "rotated-basic": False}


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("source", KEPT)
def test_signatures_are_kept_and_credentials_are_not(stack: Stack, extras: ExtraSources, source: str) -> None:
    sender = extras.sender(source)
    body = event_for(source)
    credential = sender.credential(body)
    assert sender.post(body, credential=lambda body: credential).status == 200
    (row,) = stack.stored(body)
    shown = str(row["headers"])
    assert [value in shown for value in credential.values()] == [KEPT[source]] * len(credential)
    assert extras.keys.url_token not in str(row)


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("address", ["203.0.113.7", "127.0.0.1, 203.0.113.7", "::ffff:203.0.113.7"])
def test_a_forwarded_address_means_nothing_without_a_trusted_proxy(each_stack: Stack, stacks, address: str) -> None:
    extras = stacks.extras(each_stack.server)
    forged = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    assert status_of(extras.sender("from-address"), headers=forged) == 401
    assert status_of(extras.sender("from-here"), headers=forged) == 200


# ---- behind a proxy, over plain HTTP ----


@pytest.fixture(scope="module")
def behind_proxy(stack: Stack) -> Iterator[Stack]:
    """The web server and 10.0.0.0/8 are trusted proxies, and bare credentials ask for HTTPS."""

    def change(text: str) -> str:
        text = set_option(text, "webhook", "trusted_proxies", '{"127.0.0.1", "10.0.0.0/8"}')
        return set_option(set_option(text, "webhook", "plain_http", "no"), "status", "plain_http", "no")

    with stack.configured(change):
        yield stack


FORWARDED: dict[str, tuple[str | None, int]] = {
    "an allowed address": ("203.0.113.7", 200),
    "in an allowed network": ("198.51.100.200", 200),
    "beside an allowed network": ("198.51.101.200", 401),
    "IPv6": ("2001:db8:5::1", 200),
    "IPv6, written out": ("2001:0db8:0005:0000:0000:0000:0000:0001", 200),
    "another IPv6": ("2001:db8:6::1", 401),
    "IPv4 mapped to IPv6": ("::ffff:203.0.113.7", 200),
    "another, mapped": ("::ffff:203.0.113.8", 401),
    "forged on the left": ("203.0.113.7, 192.0.2.1", 401),
    "forged on the left, for nothing": ("192.0.2.1, 203.0.113.7", 200),
    "garbage on the left": ("unknown, ;;, 203.0.113.7", 200),
    "through a second trusted proxy": ("203.0.113.7, 10.1.2.3", 200),
    "through many": ("203.0.113.7, 10.1.2.3,10.1.2.4 ,  127.0.0.1", 200),
    "forged, then a trusted proxy": ("203.0.113.7, 192.0.2.1, 10.1.2.3", 401),
    "only trusted proxies": ("10.1.2.3, 10.1.2.4", 401),
    "garbage on the right": ("203.0.113.7, unknown", 401),
    "garbage": ("unknown", 401),
    "empty": ("", 401),
    "nothing": (None, 401),
}


@pytest.mark.parametrize("case", FORWARDED)
def test_forwarded_addresses(behind_proxy: Stack, extras: ExtraSources, case: str) -> None:
    chain, expected = FORWARDED[case]
    assert status_of(extras.sender("from-address"), headers={} if chain is None else {"X-Forwarded-For": chain}) == expected


def test_the_proxy_itself_is_not_the_sender(behind_proxy: Stack, extras: ExtraSources) -> None:
    assert status_of(extras.sender("from-here"), headers={"X-Forwarded-For": "203.0.113.7"}) == 401


BARE = ["crowdsender", "shipup", "bearer", "header", "url-token", "rotated-basic", "several"]


@pytest.mark.parametrize("source", BARE)
@pytest.mark.parametrize("protocol,expected", [("https", 200), ("http", 401), ("", 401), (None, 401)])
def test_bare_credentials_ask_for_https(behind_proxy: Stack, extras: ExtraSources, source: str, protocol: str | None, expected: int) -> None:
    sender = behind_proxy.sender(source) if source in SECRET_NAMES else extras.sender(source)
    assert status_of(sender, headers={} if protocol is None else {"X-Forwarded-Proto": protocol}) == expected


@pytest.mark.parametrize("source", ["crossborderly", "swiftpod", "base64", "standard"])
def test_signatures_do_not_ask_for_https(behind_proxy: Stack, extras: ExtraSources, source: str) -> None:
    assert status_of(behind_proxy.sender(source) if source in SECRET_NAMES else extras.sender(source)) == 200


@pytest.mark.parametrize("https,expected", [("on", 200), ("off", 401), (None, 401)])
def test_the_web_server_itself_says_https(behind_proxy: Stack, https: str | None, expected: int) -> None:
    body = event_for("crowdsender")
    params = fastcgi.post_params("/crowdsender", body, behind_proxy.sender("crowdsender").credential(body))
    params |= {} if https is None else {"HTTPS": https}
    answer = fastcgi.request(behind_proxy.responder_socket("webhook"), params, body)
    assert answer is not None and answer.status == expected


def test_nobody_else_can_say_https(behind_proxy: Stack) -> None:
    body = event_for("crowdsender")
    credential = behind_proxy.sender("crowdsender").credential(body) | {"X-Forwarded-Proto": "https"}
    params = fastcgi.post_params("/crowdsender", body, credential) | {"REMOTE_ADDR": "192.0.2.1"}
    answer = fastcgi.request(behind_proxy.responder_socket("webhook"), params, body)
    assert answer is not None and answer.status == 401


@pytest.mark.parametrize("protocol,expected", [("https", 200), ("http", 401), (None, 401)])
def test_status_tokens_ask_for_https(behind_proxy: Stack, protocol: str | None, expected: int) -> None:
    headers = {} if protocol is None else {"X-Forwarded-Proto": protocol}
    assert behind_proxy.status.get("/orders", {"limit": 1}, headers).status == expected
