"""nginx and Apache with the configuration examples of apache-conf/, as tests/e2e/shipped_servers.py sets them up, in front of a stack's webhook.fcgi."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Any, Iterator

from common import CHECKOUT, BenchError
from phases import Front, Phase, Phases
from stack import Services, free_ports

sys.path.append(str(CHECKOUT / "tests" / "e2e"))
from shipped_servers import SHIPPED  # noqa: E402

READY_SECONDS = 30
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
PROGRAMS = {"nginx": "nginx", "apache": "apache2"}


@contextmanager
def shipped(services: Services, server: str) -> Iterator[Front]:
    """SERVER, with its files in a folder of its own."""
    folder, (port,) = services.folder / server, free_ports(1)
    folder.mkdir()
    os.chown(folder, services.folder.stat().st_uid, services.folder.stat().st_gid)
    sockets = {name: str(services.folder / "run" / f"{name}.sock") for name in ("webhook", "status")}
    command = SHIPPED[server](sockets, folder, port)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
                               env=os.environ | {"PATH": PATH}, **services.owner)
    try:
        wait_for(port, process, server)
        yield Front(server, port, (process.pid,))
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def wait_for(port: int, process: subprocess.Popen[bytes], what: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BenchError(f"{what} does not start")


def phase(server: str) -> Phase:
    key = f"ingest_{server}"

    def run(bench: Any, phases: Phases) -> None:
        if shutil.which(PROGRAMS[server], path=PATH) is None:
            phases.results.not_measured[key] = f"no {PROGRAMS[server]}"
            return
        with shipped(phases.services, server) as front:
            phases.ingest(key, bench.workload.events(), front=front)
    return Phase(key, run)


PHASES = [phase(server) for server in PROGRAMS]
