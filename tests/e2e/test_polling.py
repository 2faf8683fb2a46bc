"""docs/polling.md: every program in it, taken from the page, does what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import waybill_client as wb
from conftest import Stacks
from waybill_stack import CHECKOUT, Stack

pytestmark = pytest.mark.once

PAGE = (CHECKOUT / "docs" / "polling.md").read_text()
COMMANDS = {"python": ["/usr/bin/python3"], "php": ["php"], "js": ["node"]}


def programs(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def polled(stacks: Stacks) -> Iterator[Stack]:
    """More orders than one page has."""
    stack = stacks.make().up()
    for number in range(3):
        stack.sender("crowdsender").deliver(wb.status_updated(f"early-{number}", "REGISTERED"))
    yield stack
    stacks.remove(stack)


def run(stack: Stack, folder: Path, command: list[str]) -> str:
    environment = os.environ | {"WAYBILL_URL": stack.env["WAYBILL_URL"], "STATUS_TOKEN": stack.env["STATUS_TOKEN"]}
    done = subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown(stack: Stack, prefix: str) -> list[str]:
    """What a follower must have printed of the orders whose id begins so, in the order of their changes."""
    orders = [order for page in stack.status.pages(limit=1000) for order in page if order["id"].startswith(prefix)]
    return [f"{order['source']} {order['id']} {order['status']}" for order in sorted(orders, key=lambda order: order["version"])]


@pytest.mark.parametrize("language", COMMANDS)
def test_a_follower(polled: Stack, tmp_path: Path, language: str) -> None:
    """From the beginning, on with its cursor, and anew after a 410."""
    assert shutil.which(COMMANDS[language][0]), f"{COMMANDS[language][0]} is missing: make deps"
    (program,) = programs(language)
    # Small pages, so that there are several.
    file = tmp_path / f"poll.{language}"
    file.write_text(re.sub(r"\b500\b", "2", program))
    command = [*COMMANDS[language], str(file)]
    first = run(polled, tmp_path, command).splitlines()
    assert [line for line in first if " early-" in line] == shown(polled, "early-")
    assert run(polled, tmp_path, command) == ""
    mark = f"{language}-"
    for number in range(5):
        polled.sender("crowdsender").deliver(wb.status_updated(f"{mark}{number}", "SHIPPED"))
    assert run(polled, tmp_path, command).splitlines() == shown(polled, mark)
    (tmp_path / "cursor").write_text("1-1")
    again = run(polled, tmp_path, command).splitlines()
    assert set(first) <= set(again) and [line for line in again if mark in line] == shown(polled, mark)


def test_the_examples_with_curl(polled: Stack, tmp_path: Path) -> None:
    order, changes = programs("sh")
    (tmp_path / "order.sh").write_text(order)
    (tmp_path / "changes.sh").write_text(changes.replace("limit=500", "limit=2"))
    ask = ["sh", "-e", "order.sh", "crowdsender", "curl-1"]
    assert run(polled, tmp_path, ask) == "no such order\n"
    polled.sender("crowdsender").deliver(wb.status_updated("curl-1", "REGISTERED"))
    assert [run(polled, tmp_path, ask) for _ in range(2)] == ["changed\n", "unchanged\n"]
    polled.sender("crowdsender").deliver(wb.status_updated("curl-1", "SHIPPED", wb.moment(1)))
    assert [run(polled, tmp_path, ask) for _ in range(2)] == ["changed\n", "unchanged\n"]
    assert json.loads((tmp_path / "order.json").read_text())["status"] == "in_transit"

    def followed() -> list[str]:
        for old in tmp_path.glob("page-*.json"):
            old.unlink()
        run(polled, tmp_path, ["sh", "-e", "changes.sh"])
        pages = sorted(tmp_path.glob("page-*.json"), key=lambda path: int(path.stem.removeprefix("page-")))
        return [order["id"] for page in pages for order in json.loads(page.read_text())["orders"]]

    all_of_them = followed()
    assert len(all_of_them) > 2 and all_of_them[-1] == "curl-1"
    assert followed() == []
    polled.sender("crowdsender").deliver(wb.status_updated("curl-2", "SHIPPED"))
    assert followed() == ["curl-2"]


def test_the_reasons_are_all_on_the_page() -> None:
    claim = (CHECKOUT / "src" / "cli" / "explain.c").read_text()
    reasons = re.findall(r'\{SLICE\("(\w+)"\), SLICE', claim)
    assert [reason for reason in reasons if f"`{reason}`" not in PAGE and reason not in ("purged", "too_many", "unreadable")] == []


def test_the_statement_for_a_new_identity(polled: Stack) -> None:
    cursor = polled.status.json("/changes", {"after": "latest"})["next_cursor"]
    (statement,) = programs("sql")
    polled.query("WAYBILL_DSN", statement.rstrip().rstrip(";") + " RETURNING 1 AS one")
    assert polled.status.get("/changes", {"after": cursor}).status == 410
