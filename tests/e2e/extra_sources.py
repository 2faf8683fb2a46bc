"""Sources and clients beside the demo's, one for each way of proving an origin; every stack of the tests has them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field, fields

import waybill_client as client
from waybill_stack import Stack


def _key() -> str:
    return secrets.token_hex(24)


def _standard_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


@dataclass(frozen=True)
class Keys:
    signing: str = field(default_factory=_key)
    retired: str = field(default_factory=_key)
    standard: str = field(default_factory=_standard_secret)
    bearer: str = field(default_factory=_key)
    header: str = field(default_factory=_key)
    url_token: str = field(default_factory=_key)
    password: str = field(default_factory=_key)
    retired_password: str = field(default_factory=_key)
    narrow_token: str = field(default_factory=_key)


CONFIG = """
source base64 {{
    provider = crossborderly
    signature = hmac-sha256
    signature_header = "X-Own-Signature"
    signature_prefix = "v0="
    signature_encoding = base64
    secret = "{signing}"
}}
source standard {{ provider = swiftpod  signature = standard-webhooks  secret = "{standard}" }}
source bearer {{ provider = crowdsender  bearer = "{bearer}" }}
source header {{ provider = crowdsender  header = "X-Api-Key: {header}" }}
source url-token {{ provider = shipup  url_token = "{url_token}" }}
source rotated {{ provider = crossborderly  secret = {{"{retired}", "{signing}"}} }}
source rotated-basic {{ provider = crowdsender  basic = {{"shop:{retired_password}", "shop:{password}"}} }}
source several {{
    provider = crossborderly
    secret = "{signing}"
    bearer = "{bearer}"
    header = "X-Api-Key: {header}"
    url_token = "{url_token}"
}}
source from-address {{
    provider = crossborderly
    secret = "{signing}"
    allow_from = {{"203.0.113.7", "198.51.100.0/24", "2001:db8:5::/48"}}
}}
source from-here {{ provider = crossborderly  secret = "{signing}"  allow_from = {{"127.0.0.0/8"}} }}
source live-only {{ provider = crossborderly  secret = "{signing}"  mode = live }}
source sandbox-only {{ provider = crossborderly  secret = "{signing}"  mode = sandbox }}
source linked {{
    provider = crossborderly
    secret = "{signing}"
    tracking_url = "https://shop.example/track/{{tracking_number}}"
}}
source own {{
    provider = waybill
    signature = none
    bearer = "{bearer}"
    writes_to = {{"linked", "live-only", "sandbox-only", "own-live"}}
}}
source own-live {{ provider = waybill  secret = "{standard}"  mode = live  writes_to = {{"linked"}} }}
source flooded {{ provider = crossborderly  secret = "{signing}" }}
source tiny-quarantine {{ provider = crossborderly  secret = "{signing}" }}
client narrow {{ token_sha256 = "{narrow_hash}"  scope = full  sources = {{"swiftpod"}} }}
"""


@dataclass(frozen=True)
class ExtraSources:
    stack: Stack
    keys: Keys = field(default_factory=Keys)

    def add(self) -> ExtraSources:
        values = {one.name: getattr(self.keys, one.name) for one in fields(Keys)}
        narrow_hash = hashlib.sha256(self.keys.narrow_token.encode()).hexdigest()
        self.stack.add_secrets(*values.values())
        self.stack.write_config(self.stack.config.read_text() + CONFIG.format(**values, narrow_hash=narrow_hash))
        self.stack.restart_responders()
        return self

    def sender(self, source: str) -> client.Sender:
        """With all the source asks for."""
        return self.stack.sender(source, self.credential(source), url_token=self.keys.url_token if source in ("url-token", "several") else "")

    def credential(self, source: str) -> client.Credential:
        keys = self.keys
        signature = client.crossborderly_signature(keys.signing)
        own = {
            "base64": client.base64_signature(keys.signing, "X-Own-Signature", "v0="),
            "standard": client.standard_webhooks(keys.standard),
            "bearer": client.bearer(keys.bearer),
            "own": client.bearer(keys.bearer),
            "own-live": client.standard_webhooks(keys.standard),
            "header": client.header("X-Api-Key", keys.header),
            "url-token": client.nothing,
            "rotated-basic": client.basic(f"shop:{keys.password}"),
            "several": client.all_of(signature, client.bearer(keys.bearer), client.header("X-Api-Key", keys.header)),
        }
        return own.get(source, signature)

    @property
    def narrow(self) -> client.StatusClient:
        """Sees the source swiftpod only."""
        return client.StatusClient(self.stack.site, self.keys.narrow_token)
