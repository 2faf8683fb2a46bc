#!/usr/bin/python3
"""over_http.py [ROUNDS]: the times of refusals through a web server, over a stack that is up (VAR, by default var/).

For people, not for a verdict: what counts is counted by check.sh. All kinds take turns in every round, in an order drawn anew, so that what else the
machine does falls on all of them alike. Told are the medians, and for each kind how often it was slower than an unknown source in the same round: near
50 % when nothing can be told.
"""

from __future__ import annotations

import http.client
import os
import random
import shlex
import statistics
import sys
import time
from pathlib import Path

SIZES = (200, 200_000)
ZEROS = "0" * 62
KINDS = {
    "unknown source": ("nobody", {"X-CrossBorderly-Signature": "sha256=11" + ZEROS}),
    "signature, first byte": ("crossborderly", {"X-CrossBorderly-Signature": "sha256=11" + ZEROS}),
    "signature, last byte": ("crossborderly", {"X-CrossBorderly-Signature": "sha256=" + ZEROS + "11"}),
    "no signature": ("swiftpod", {}),
    "basic": ("crowdsender", {"Authorization": "Basic c2hvcDp4eHh4eHh4eHh4eHh4eHh4"}),
}


def url_of_stack() -> tuple[str, int]:
    lines = Path(os.environ.get("VAR", "var"), "run.env").read_text().splitlines()
    env = dict(shlex.split(line)[0].partition("=")[::2] for line in lines if line)
    host, _, port = env["WAYBILL_URL"].removeprefix("http://").partition(":")
    return host, int(port)


def refusal(connection: http.client.HTTPConnection, kind: str, body: bytes) -> float:
    source, headers = KINDS[kind]
    start = time.perf_counter()
    connection.request("POST", f"/webhooks/{source}", body, headers)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - start
    assert answer.status == 401, answer.status
    return seconds


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    connection = http.client.HTTPConnection(*url_of_stack(), timeout=30)
    for size in SIZES:
        body = b"x" * size
        times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind in random.sample(list(KINDS), len(KINDS)):
                times[kind].append(refusal(connection, kind, body))
        print(f"{size} bytes, {rounds} rounds")
        for kind, those in times.items():
            slower = sum(a > b for a, b in zip(those, times["unknown source"])) / rounds
            print(f"  {kind:24} median {statistics.median(those) * 1e6:8.1f} us   slower than unknown: {slower:6.1%}")


if __name__ == "__main__":
    main()
