"""Small stories that once ended wrong (tests/cases): in every order and doubled, each ends as its row says."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any, Callable

import pytest

import waybill_client as wb
from waybill_stack import CHECKOUT, Stack

FOLDER = CHECKOUT / "tests" / "cases"
Json = dict[str, Any]


@dataclass(frozen=True)
class Telling:
    """One telling of a story, with ids of its own: SALT, digits, is appended to the words that name things in it."""

    client: wb.StatusClient
    source: str
    words: tuple[str, ...]
    salt: str

    def own(self, text: str) -> str:
        for word in self.words:
            text = text.replace(word, word + self.salt)
        return text

    def order(self, order_id: str) -> Json:
        return self.client.order(self.source, self.own(order_id))


def box_of(order: Json) -> Json:
    assert len(order["boxes"]) == 1, order
    return order["boxes"][0]


def one_row_for_one_delivery(told: Telling) -> None:
    box = box_of(told.order("CASETWIN0000001"))
    assert [(row["status"], row["location"]) for row in box["events"]] == [("delivered", "Guayaquil, EC")]
    assert (box["signed_by"], box["proof_of_delivery"]) == ("M. García", "https://...")


def moved_after_it_was_cancelled(told: Telling) -> None:
    document = told.order("CASEVOID0000001")
    assert (document["status"], document["attention"]) == ("cancelled", ["moved_after_cancelled"])


def later_number_wins(told: Telling) -> None:
    assert told.order("920111")["status"] == "in_transit"


def one_order_with_the_parcel(told: Telling) -> None:
    document, provisional = told.order("4711"), told.order("tracker-910777")
    assert (document["status"], document["moved_to"]) == ("delivered", None)
    assert (provisional["moved_to"], provisional["boxes"], provisional["boxes_total"]) == ({"source": told.source, "id": told.own("4711")}, [], 0)
    assert [one["id"] for one in told.client.lookup(tracking_number=box_of(document)["tracking_number"])] == [told.own("4711")]


def done_although_a_box_was_lost(told: Telling) -> None:
    document = told.order("case-repl-1")
    assert (document["status"], document["boxes_total"], document["boxes_delivered"]) == ("delivered", 2, 1)
    assert (document["delivered_at"], document["attention"]) == ("2026-03-05T10:00:00.000Z", ["failed"])


# Name of the files, the words that name things, the end.
CASES: dict[str, tuple[tuple[str, ...], Callable[[Telling], None]]] = {
    "crossborderly-one-delivery-twice": (("CASETWIN0000001", "evt_case_twin"), one_row_for_one_delivery),
    "crossborderly-moved-after-voided": (("CASEVOID0000001", "evt_case_void"), moved_after_it_was_cancelled),
    "shipup-two-in-one-second": (("920777", "920111"), later_number_wins),
    "shipup-order-named-later": (("4711", "910777"), one_order_with_the_parcel),
    "crowdsender-lost-and-replaced": (("case-repl-1", "CFREPL1"), done_although_a_box_was_lost),
}


@pytest.mark.parametrize("name", CASES)
def test_ends_right_in_every_order(stack: Stack, name: str) -> None:
    words, expect = CASES[name]
    source = name.partition("-")[0]
    bodies = [file.read_text() for file in sorted(FOLDER.glob(f"{name}-[0-9].json"))]
    orders = list(itertools.permutations(bodies))
    # Each order as it is, and once doubled.
    for number, sent in enumerate([*orders, [*bodies, *random.Random(name).sample(bodies, len(bodies))]]):
        told = Telling(stack.status, source, words, str(1000 + number))
        for body in sent:
            answer = stack.sender(source).post(told.own(body).encode())
            assert answer.status == 200, (name, answer)
        expect(told)


def test_every_file_is_told() -> None:
    told = {file.name for name in CASES for file in FOLDER.glob(f"{name}-[0-9].json")}
    assert told == {file.name for file in FOLDER.glob("*.json")}
