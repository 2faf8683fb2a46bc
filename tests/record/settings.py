"""The configuration of a recorded stack: the demo's sources and a few more; and the one after which what was quarantined is read again."""

from __future__ import annotations

import base64
from typing import Callable

import waybill_client as client
from waybill_stack import Stack

# Not random: the same sources in every run, and nothing of it is ever on a network.
TOKEN = "record-" + "0123456789abcdef" * 2
SECRET = "whsec_" + base64.b64encode(b"record 0123456789abcdefg").decode()

TEMPLATE = "https://shop.example/track/{tracking_number}"
MORE = f"""
source crowdsender-two {{ provider = crowdsender  bearer = "{TOKEN}"  tracking_url = "https://shop.example/two/{{tracking_number}}" }}
source mistaken {{
    provider = shipup
    bearer = "{TOKEN}"
}}
source live-only {{ provider = crossborderly  secret = "{SECRET}"  mode = live }}
source sandbox-only {{ provider = crossborderly  secret = "{SECRET}"  mode = sandbox }}
source own {{
    provider = waybill
    signature = none
    bearer = "{TOKEN}"
    writes_to = {{"crossborderly", "swiftpod"}}
}}
"""


def first(text: str) -> str:
    """With which the corpus is sent."""
    provider = "provider = crossborderly\n"
    assert provider in text
    return text.replace(provider, f'{provider}    tracking_url = "{TEMPLATE}"\n', 1) + MORE


def mended(text: str) -> str:
    """Of the text that first() made."""
    changes = {
        "source mistaken {\n    provider = shipup": "source mistaken {\n    provider = crowdsender",
        'writes_to = {"crossborderly", "swiftpod"}': 'writes_to = {"crossborderly", "swiftpod", "crowdsender-two"}',
    }
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return text


def credentials(stack: Stack) -> Callable[[str], client.Credential]:
    own = {
        "crowdsender-two": client.bearer(TOKEN), "mistaken": client.bearer(TOKEN), "own": client.bearer(TOKEN),
        "live-only": client.crossborderly_signature(SECRET), "sandbox-only": client.crossborderly_signature(SECRET),
    }
    return lambda source: own[source] if source in own else stack.sender(source).credential
