"""Rates as an SVG, by gnuplot."""

from __future__ import annotations

import subprocess
from pathlib import Path

from report import Results

# Each panel: title, and its bars with their names.
CHART = [
    ("webhooks taken per second", {
        "ingest": "waybill", "ingest_mix": "waybill, the realistic mix", "ingest_256": "waybill, 256 connections",
        "scale_ingest": "waybill, {orders} orders stored", "peer_pgbench": "pgbench", "peer_upsert": "one upsert (Fastify)",
        "peer_fastify_cte": "one statement (Fastify)", "peer_fastapi": "FastAPI", "peer_php": "PHP", "peer_fastify": "Fastify", "peer_express": "Express",
        "ingest_null": "null responder"}),
    ("order documents served per second", {
        "status": "waybill", "scale_status": "waybill, {orders} orders stored", "status_304": "waybill, not modified",
        "status_express": "Express", "status_null": "null responder"}),
]
OUR_COLOUR, PEER_COLOUR = 0x2A6F97, 0xB0B0B0


def is_peer(key: str) -> bool:
    return key.startswith("peer_") or key in ("ingest_null", "status_null", "status_express")


def draw(results: Results, file: Path) -> None:
    panels = []
    for title, names in CHART:
        rows = [(key, name.format(orders=results.orders), rate) for key, name in reversed(names.items())
                if (rate := results.of(key, "per_second")) is not None]
        if rows:
            panels.append((title, rows))
    if not panels:
        return
    # In bars; a title and an axis are as high as three.
    height = sum(len(rows) + 3 for _, rows in panels)
    script = (f"set terminal svg noenhanced size 900,{32 * height} font 'sans-serif,13' background rgb 'white'\n"
              f"set output '{file}'\n"
              "set encoding utf8\nset style fill solid noborder\nset border 3\nset tics nomirror out\nset grid xtics lc rgb '#dddddd'\n"
              "set lmargin 34\nset multiplot\n")
    top = height
    for title, rows in panels:
        top -= len(rows) + 3
        script += f"set origin 0,{top / height}\nset size 1,{(len(rows) + 3) / height}\n" + panel(title, rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gnuplot"], input=script + "unset multiplot\n", text=True, check=True, timeout=60)


def panel(title: str, rows: list[tuple[str, str, float]]) -> str:
    """The last row is on top."""
    data = "\n".join(f'{place} {rate:.0f} "{name}" {PEER_COLOUR if is_peer(key) else OUR_COLOUR}' for place, (key, name, rate) in enumerate(rows))
    most = max(rate for _, _, rate in rows)
    return (f"$data << EOD\n{data}\nEOD\n"
            f"set title '{title}'\nset xrange [0:{most * 1.15}]\nset yrange [-0.6:{len(rows) - 0.4}]\n"
            "plot $data using ($2/2):1:($2/2):(0.35):4:ytic(3) with boxxyerror lc rgb variable notitle,"
            f" $data using ($2 + {most * 0.01}):1:2 with labels left notitle\n")
