"""The parcel lives of `waybill simulate` (src/cli/lives/), filled in a way that can be repeated."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random

LIVES = Path(__file__).resolve().parents[2] / "src" / "cli" / "lives"
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAYS = 150

# (minutes, body)
Step = tuple[int, str]


def lives_of(provider: str) -> dict[str, list[Step]]:
    lives: dict[str, list[Step]] = {}
    for line in (LIVES / f"{provider}.life").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "life":
            steps = lives.setdefault(rest, [])
        elif word.isdigit():
            steps.append((int(word), rest.partition(" ")[2]))
    return lives


def digits(random: Random) -> str:
    """14 of them, not beginning with 0, as many numbers begin with them."""
    return str(random.randrange(10**13, 10**14))


def filled_life(steps: list[Step], random: Random, live: bool) -> list[bytes]:
    life = digits(random)
    begin = FIRST + timedelta(seconds=random.randrange(DAYS * 86400))
    return [_filled(body, life, begin, minutes, random, live) for minutes, body in steps]


def _filled(body: str, life: str, begin: datetime, minutes: int, random: Random, live: bool) -> bytes:
    event, uuid = digits(random), _uuid(random)
    flags = {"live": str(live).lower(), "test": str(not live).lower(), "environment": "production" if live else "sandbox"}

    def value(found: re.Match[str]) -> str:
        name, offset = found.groups()
        when = begin + timedelta(minutes=int(offset) if offset else minutes)
        times = {"time": when.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "unix": str(int(when.timestamp())), "date": when.strftime("%Y-%m-%d")}
        return ({"life": life, "event": event, "uuid": uuid} | flags | times)[name]

    return re.sub(r"\$\{(\w+)(?::(\d+))?\}", value, body).encode()


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
