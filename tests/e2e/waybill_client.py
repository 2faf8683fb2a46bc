"""The senders as waybill meets them (how they sign, what they send) and a client of the status endpoint.

Event factories make one genuine event each, with random ids, in the shape of the senders' own documents. Their texts about people are
those of PERSONAL, so that a test can look for them where they must not be.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterable, Mapping
from urllib.parse import quote, urlencode

from http_plain import Answer, Site, request

Json = dict[str, Any]
# What proves a body's origin: the request headers for it.
Credential = Callable[[bytes], dict[str, str]]

PERSONAL = (
    "Zenobia", "Quillfeather", "Kobaltweg", "zenobia.q@example.test", "15550001234", "Ignatius Vellichor", "neighbour Vellichor",
    "papers.example.test",
)

# ---- ids and times ----


def uid(prefix: str = "") -> str:
    return prefix + secrets.token_hex(8)


def number() -> int:
    """A random id for the senders whose ids are integers."""
    return secrets.randbelow(1 << 50) + 1


START = datetime(2024, 5, 1, 12, 0, 0, tzinfo=timezone.utc)


def moment(minutes: float = 0) -> str:
    """A time of the senders, MINUTES after the first."""
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def unix(minutes: float = 0) -> int:
    return int((START + timedelta(minutes=minutes)).timestamp())


# ---- credentials ----


def hmac_of(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


def hex_signature(secret: str, header: str, prefix: str = "") -> Credential:
    return lambda body: {header: prefix + hmac_of(secret, body).hex()}


def base64_signature(secret: str, header: str, prefix: str = "") -> Credential:
    return lambda body: {header: prefix + base64.b64encode(hmac_of(secret, body)).decode()}


def crossborderly_signature(secret: str) -> Credential:
    return hex_signature(secret, "X-CrossBorderly-Signature", "sha256=")


def swiftpod_signature(secret: str) -> Credential:
    return hex_signature(secret, "X-Swiftpod-Signature")


def basic(user_and_password: str) -> Credential:
    return header("Authorization", "Basic " + base64.b64encode(user_and_password.encode()).decode())


def bearer(token: str) -> Credential:
    return header("Authorization", "Bearer " + token)


def header(name: str, value: str) -> Credential:
    return lambda body: {name: value}


def standard_webhooks(secret: str, seconds_ago: int = 0) -> Credential:
    """standardwebhooks.com; SECRET is whsec_ and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))

    def headers(body: bytes) -> dict[str, str]:
        message, when = uid("msg_"), str(int(time.time()) - seconds_ago)
        digest = hmac.new(key, f"{message}.{when}.".encode() + body, hashlib.sha256).digest()
        return {"webhook-id": message, "webhook-timestamp": when, "webhook-signature": "v1," + base64.b64encode(digest).decode()}

    return headers


def all_of(*credentials: Credential) -> Credential:
    return lambda body: {name: value for credential in credentials for name, value in credential(body).items()}


def nothing(body: bytes) -> dict[str, str]:
    return {}


# ---- sending ----


def encode(event: object) -> bytes:
    """As JSON.stringify would."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


# What no answer may tell: credentials of the stacks (who start them add theirs), paths of the machine, statements, connection strings.
SECRETS: set[str] = set()
INDISCREET = re.compile(rb"/tmp/|/var/|/src/|\.c:|\bSELECT\b|\bINSERT\b|waybill_data|SQLSTATE|ERROR:|host=|password", re.IGNORECASE)


def check_answer(answer: Answer) -> Answer:
    """What holds for every answer of waybill's own."""
    assert answer.header("X-Request-Id"), f"no X-Request-Id: {answer}"
    if answer.status >= 400:
        check_problem(answer)
    return answer


def check_problem(answer: Answer) -> None:
    """RFC 9457, and discreet."""
    if answer.body:
        assert answer.header("Content-Type") == "application/problem+json", answer
        problem = answer.json()
        assert problem["status"] == answer.status and isinstance(problem["title"], str), answer
    assert not INDISCREET.search(answer.body), answer
    assert not [secret for secret in SECRETS if secret.encode() in answer.body], answer


@dataclass(frozen=True)
class Sender:
    """One source's sender. POST-ing takes an event (made into compact JSON) or the exact bytes."""

    site: Site
    source: str
    credential: Credential
    mount: str = "/webhooks"
    url_token: str = ""

    @property
    def target(self) -> str:
        return f"{self.mount}/{self.source}" + (f"/{self.url_token}" if self.url_token else "")

    def post(self, event: object, headers: Mapping[str, str] | None = None, credential: Credential | None = None) -> Answer:
        body = event if isinstance(event, bytes) else encode(event)
        fields = {"Content-Type": "application/json", **(credential or self.credential)(body), **(headers or {})}
        return check_answer(request(self.site, "POST", self.target, fields, body))

    def deliver(self, event: object, outcome: str = "applied") -> str:
        """Posts an event that must have this outcome; gives the id of the delivery."""
        answer = self.post(event)
        assert answer.outcome == (200, outcome), answer
        return answer.json()["delivery"]


# ---- asking ----

Query = Mapping[str, object] | Iterable[tuple[str, object]]


def order_path(source: str, order_id: str) -> str:
    return f"/orders/{quote(source, safe='')}/{quote(order_id, safe='')}"


@dataclass(frozen=True)
class StatusClient:
    site: Site
    token: str | None
    mount: str = "/status"

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        pairs = list(query.items() if isinstance(query, Mapping) else query)
        target = self.mount + path + ("?" + urlencode(pairs) if pairs else "")
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        body = None if method in ("GET", "HEAD") else b""
        return check_answer(request(self.site, method, target, authorization | dict(headers or {}), body))

    def json(self, path: str, query: Query = ()) -> Json:
        answer = self.get(path, query)
        assert answer.status == 200, answer
        assert answer.header("Content-Type") == "application/json", answer
        return answer.json()

    def order(self, source: str, order_id: str, **query: object) -> Json:
        return self.json(order_path(source, order_id), query)

    def lookup(self, **query: object) -> list[Json]:
        """All orders of a look-up that has one page."""
        page = self.json("/orders", query)
        assert not page["has_more"], page
        return page["orders"]

    def pages(self, **query: object) -> list[list[Json]]:
        """A look-up followed to its end."""
        pages, after = [], {}
        while True:
            page = self.json("/orders", {**query, **after})
            pages.append(page["orders"])
            assert (page["next_cursor"] is not None) == page["has_more"], page
            if not page["has_more"]:
                return pages
            after = {"after": page["next_cursor"]}


# What convergence leaves out.
def comparable(document: Json) -> Json:
    return {key: value for key, value in document.items() if key not in ("version", "updated_at", "first_seen_at")}


# ---- CrossBorderly ----


def crossborderly_event(event: str, data: Json, at: str = moment(), **envelope: object) -> Json:
    return {"id": uid("evt_"), "event": event, "timestamp": at, "environment": "production", "data": data, **envelope}


def status_changed(tracking: str, word: str, at: str = moment(), previous: str | None = None, **envelope: object) -> Json:
    data = {"trackingNumber": tracking, "previousStatus": previous, "newStatus": word, "timestamp": at, "location": "Guayaquil, EC"}
    return crossborderly_event("parcel.status_changed", data, at, **envelope)


def delivered(tracking: str, at: str = moment(), **envelope: object) -> Json:
    data = {
        "trackingNumber": tracking, "deliveredAt": at, "signature": "Ignatius Vellichor", "location": "Guayaquil, EC",
        "proofOfDelivery": f"https://papers.example.test/proof/{tracking}",
    }
    return crossborderly_event("parcel.delivered", data, at, **envelope)


def exception(tracking: str, kind: str = "DELIVERY_FAILED", at: str = moment(), next_attempt: str | None = None, **envelope: object) -> Json:
    data = {
        "trackingNumber": tracking, "exceptionType": kind, "reason": "left with neighbour Vellichor", "timestamp": at,
        "location": "Guayaquil, EC", "nextAttempt": next_attempt,
    }
    return crossborderly_event("parcel.exception", data, at, **envelope)


def manifest(shipment: str, at: str = moment(), **envelope: object) -> Json:
    data = {"shipmentId": shipment, "awbNumber": "180-12345678", "parcelCount": 50, "country": "EC"}
    return crossborderly_event("manifest.submitted", data, at, **envelope)


# ---- Crowdsender ----


def crowdsender_event(kind: str, order: str, value: object, at: str = moment(), previous: object = None, order_number: str | None = None,
                      live: bool = True, **data: object) -> Json:
    return {
        "apiVersion": 1, "createdAt": at, "liveMode": live, "type": kind, "source": "crowdsender.webhooks.order.box.tracking",
        "data": {
            "orderId": order, "object": "order", "orderNumber": order_number or "CF-" + order, "_externalReferenceId": "ref-" + order,
            "newValue": value, "previousValue": previous, **data,
        },
    }


def tracking_updated(order: str, box: str, word: str, at: str = moment(), **more: Any) -> Json:
    return crowdsender_event("trackingUpdated", order, word, at, boxId=box, **more)


def label(tracking: str) -> Json:
    """The further data of a box's 'generated label'."""
    return {"trackId": tracking, "documents": [{"uri": f"https://papers.example.test/label/{tracking}.pdf", "typeFile": "label"}]}


def status_updated(order: str, word: str, at: str = moment(), **more: Any) -> Json:
    return crowdsender_event("statusUpdated", order, word, at, **more)


def send_date_updated(order: str, date: str, at: str = moment(), **more: Any) -> Json:
    return crowdsender_event("sendDateUpdated", order, date, at, **more)


def courier_updated(order: str, courier: str, at: str = moment(), **more: Any) -> Json:
    return crowdsender_event("courierUpdated", order, courier, at, **more)


def recipient(**changes: object) -> Json:
    return {
        "name": "Zenobia", "surnames": "Quillfeather", "phone": {"prefix": "+49", "number": "15550001234"}, "street": "Kobaltweg",
        "number": "17", "details": "", "city": "München", "zip": "80469", "province": "Bavaria", "country": "de",
        "email": "zenobia.q@example.test", **changes,
    }


def destination_updated(order: str, value: Json | None = None, at: str = moment(), **more: Any) -> Json:
    return crowdsender_event("destinationAddressUpdated", order, value or recipient(), at, **more)


# ---- Shipup ----


def shipup_event(kind: str, tracker: Json, at: int = unix(), **envelope: object) -> Json:
    return {
        "id": number(), "created_at": at, "livemode": True, "object": "webhook_event", "type": kind, "retry_count": 0,
        "webhook_setting_id": 335777, "data": {"object": tracker, "reason": {"kind": "new", "event_id": 31357}}, **envelope,
    }


def shipup_address(**changes: object) -> Json:
    return {
        "id": 322222, "object": "address", "comment": None, "city": None, "country": "France", "country_code": "FR", "state": None,
        "address1": None, "address2": None, "zip": None, "company_title": None, "first_name": None, "last_name": None, "name": None,
        **changes,
    }


def scan(code: str | None, happened_at: int = unix(), **changes: object) -> Json:
    """One of a tracker's events."""
    return {
        "id": number(), "object": "event", "happened_at": happened_at, "event_type_code": code, "message": "left with neighbour Vellichor",
        "raw": "JSON STRING OR HTML", "address": shipup_address(), **changes,
    }


def tracker(order: int | None, status: str | None, events: Iterable[Json] = (), **changes: object) -> Json:
    tracker_id = changes.pop("id", None) or number()
    return {
        "id": tracker_id, "object": "tracker", "carrier": {"name": "Colissimo", "code": "colissimo"}, "carrier_code": "colissimo",
        "carrier_tracking_url": f"https://carrier.example.test/{tracker_id}", "created_at": unix(), "custom_variables": {},
        "delivered_at": None, "delivery_status_code": status, "shipped_at": None, "first_delivery_attempted_at": None,
        "displayable_expected_delivery_date": None, "displayable_expected_delivery_datetime": None,
        "displayable_expected_delivery_kind": None, "tracking_number": f"AZ{tracker_id}",
        "fulfillment": {
            "id": 36789, "object": "fulfillment", "merchant_id": "internal_id_1234", "fulfillment_number": "XYZABCD_1",
            "order": {
                "id": order, "object": "order", "order_number": f"SU-{order}", "merchant_id": f"merchant-{order}",
                "email": "zenobia.q@example.test", "phone": "15550001234",
            },
            "shipping_address": shipup_address(
                city="Paris", zip="75001", address1="17, rue Kobaltweg", first_name="Zenobia", last_name="Quillfeather",
                name="Zenobia Quillfeather", company_title="ACME Corp"),
        },
        "pickup_point": None, "events": list(events), **changes,
    }


URL_CHECK: Json = {"livemode": "false"}

# ---- SwiftPOD ----


def swiftpod_order(order: int | str, status: str = "shipped", **changes: object) -> Json:
    return {
        "id": order, "order_id": f"SP-{order}", "test_order": False, "created_at": moment(-600), "updated_at": moment(),
        "status": status, "rejected_at": None, "cancelled_at": None,
        "address": {
            "name": "Zenobia Quillfeather", "company": "DEMO", "phone": "15550001234", "street1": "17 Kobaltweg", "street2": None,
            "city": "Cortland", "state": "OH", "country": "US", "zip": "44410",
        },
        "line_items": [{"id": 2, "sku": "UNPT1B00M", "quantity": 1, "order_item_id": "196953049"}], "shipping_method": "standard",
        **changes,
    }


def swiftpod_event(name: str, data: Json, at: str = moment(), **event: object) -> Json:
    return {"event": {"uuid": uid(), "name": name, "timestamp": at, **event}, "data": data}


def order_notify(order: int | str, status: str, at: str = moment(), **changes: object) -> Json:
    return swiftpod_event("order_notify", swiftpod_order(order, status, **changes), at, status=status)


def tracked(tracking: str, status: str, items: Mapping[str, int] | None = None) -> Json:
    """One of an order's trackings."""
    return {
        "tracking_number": tracking, "tracking_url": f"https://carrier.example.test/{tracking}", "carrier": "USPS",
        "created_at": "2024-05-01T10:53:46.000000+00:00", "status": status, "label_url": f"https://papers.example.test/label/{tracking}.png",
        "shipped_items": [{"order_item_id": item, "quantity": count} for item, count in (items or {}).items()], "primary": True,
    }


def shipment_notify(order: int | str, trackings: list[Json], at: str = moment(), **changes: object) -> Json:
    """About the first of TRACKINGS."""
    first = trackings[0]
    about = {
        "tracking_number": first["tracking_number"], "tracking_status": first["status"], "carrier_code": first["carrier"],
        "tracking_url": first["tracking_url"], "shipped_items": first["shipped_items"],
    }
    return swiftpod_event("shipment_notify", swiftpod_order(order, trackings=trackings, **changes), at, tracking=about)


def stock_notify() -> Json:
    return swiftpod_event("stock_notify", {"id": str(number()), "name": "Shirt", "sku": "UNPT1B00M", "stock": 10, "status": "in_stock"})


# ---- waybill's own form ----


def order_updated(order: str, at: str = moment(), envelope: Json | None = None, **data: object) -> Json:
    return {"id": uid("evt_"), "type": "order.updated", "timestamp": at, "data": {"id": order, **data}, **(envelope or {})}


def parcel(box: str, status: str | None = None, **facts: object) -> Json:
    return {"id": box, "status": status, **facts}
