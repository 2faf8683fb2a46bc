"""The console in a browser (`make browser`): what a person sees and can do, wide and narrow, light and dark, with the keyboard alone. The pictures of docs/console/ are taken anew."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import node_modules
import waybill_client as wb
from waybill_stack import CHECKOUT, Stack

pytestmark = pytest.mark.usefixtures("steady")

SCRIPT = CHECKOUT / "tests" / "e2e" / "node" / "console.mjs"
PICTURES = CHECKOUT / "docs" / "console"


def ago(**age: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(**age)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture(scope="module")
def shop(stack: Stack) -> dict[str, str]:
    """What a shop may have on an ordinary day, texts that are markup among it."""
    crossborderly, crowdsender = stack.sender("crossborderly"), stack.sender("crowdsender")
    silent, gap, done = "CBECUSD700000001", "CBECUSD700000002", "CBECUSD700000003"
    crossborderly.deliver(wb.status_changed(silent, "IN_TRANSIT", ago(days=9)))
    crossborderly.deliver(wb.status_changed(gap, "PICKED_UP", ago(days=2)))
    crossborderly.deliver(wb.status_changed(gap, "OUT_FOR_DELIVERY", ago(hours=5), previous="CUSTOMS_CLEARED"))
    crossborderly.deliver(wb.status_changed(done, "PICKED_UP", ago(days=3)))
    crossborderly.deliver(wb.delivered(done, ago(hours=20)))
    crossborderly.deliver(wb.exception(done, "DELIVERY_FAILED", ago(hours=30), next_attempt=ago(hours=-4)))
    crossborderly.deliver(wb.crossborderly_event("parcel.teleported", {}), "quarantined")
    order, number = "3LkOSOBBZrw7oS2I1tbxaco9", "CF-2230 949044"
    for event in (
            wb.status_updated(order, "SHIPPED", ago(hours=2), order_number=number),
            wb.tracking_updated(order, "box", "generated label", ago(hours=1), order_number=number, trackId="javascript:alert(1)")):
        event["data"]["_externalReferenceId"] = "<img src=x onerror=document.title='taken'>"
        crowdsender.deliver(event)
    return {"silent": silent, "gap": gap, "done": done, "number": number}


def test_the_console(stack: Stack, shop: dict[str, str], tmp_path: Path) -> None:
    folder, why = node_modules.install()
    assert folder is not None, why
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser is not None, "there is no chromium"
    given = {
        "browser": browser, "url": f"{stack.env['WAYBILL_URL']}/status/console", "token": stack.env["STATUS_TOKEN"],
        "tracking": stack.env["STATUS_TRACKING_TOKEN"], "pictures": str(tmp_path), **shop}
    # Node finds packages from where a script is.
    script = folder / "console.mjs"
    shutil.copyfile(SCRIPT, script)
    result = subprocess.run(["node", script, json.dumps(given)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == "all seen"
    for shown in PICTURES.glob("*.png"):
        shutil.copyfile(tmp_path / shown.name, shown)
