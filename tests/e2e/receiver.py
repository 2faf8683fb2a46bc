"""A webhook.fcgi of a test's own beside a stack's: its own configuration and spool, spoken to over its own socket.

Whether it reaches the database is a matter of its configuration, so nobody else is disturbed when it does not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterable, Mapping

import fastcgi
import waybill_client as client
from http_plain import Answer
from waiting import wait_until
from waybill_stack import SANITIZER_REPORTS, Stack, set_option, shared_counters

# Nobody listens there.
NOWHERE = "host=/nowhere dbname=waybill"


class Receiver:
    def __init__(self, stack: Stack, **options: str) -> None:
        """OPTIONS: of the section webhook, as they stand in the file."""
        self.stack = stack
        # Not below the stack's folder: a socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="waybill-e2e-"))
        self.spool = self.folder / "spool"
        self.log = self.folder / "log"
        self.config = self.folder / "waybill.conf"
        self.nowhere = NOWHERE
        # In front of the program: what starts it.
        self.launcher: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._options = {"spool": f'"{self.spool}"', **options}
        self.credential = stack.sender("crossborderly").credential
        self.give(self.folder)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for process in self._processes:
                process.kill()
                process.wait()
            text = self.log_text()
            for report in SANITIZER_REPORTS:
                assert report not in text, text
            for word in client.PERSONAL:
                assert word not in text, text
        finally:
            # Of those that were killed.
            for counters in shared_counters(self.config):
                counters.unlink()
            shutil.rmtree(self.folder)

    def give(self, path: Path) -> None:
        """To the user that the stack runs as."""
        owner = self.stack.config.stat()
        os.chown(path, owner.st_uid, owner.st_gid)

    # ---- the process ----

    def start(self, database: bool, number: int = 0, **environment: str) -> subprocess.Popen[bytes]:
        """Process NUMBER, with or without a DATABASE that it can reach."""
        self.configure(database)
        address = self.address(number)
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [*self.launcher, self.stack.program("webhook.fcgi"), "--listen", f"unix:{address}"],
                env=os.environ | environment | {"WAYBILL_CONFIG": str(self.config)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self.stack.owner)
        self._processes.append(process)
        wait_until(lambda: self.probe(number) is not None, f"it answers: {self.log_text()}")
        return process

    def stop(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
        process.send_signal(how)
        status = process.wait(30)
        assert status == (0 if how == signal.SIGTERM else -how), self.log_text()

    def configure(self, database: bool) -> None:
        text = self.stack.config.read_text()
        for option, value in self._options.items():
            text = set_option(text, "webhook", option, value)
        if not database:
            text = set_option(text, "database", "ingest_dsn", f'"{self.nowhere}"')
        self.config.write_text(text)
        self.config.chmod(0o600)
        self.give(self.config)

    def edit(self, pattern: str, replacement: str) -> None:
        """Changes what stands for good in this receiver's configuration file."""
        text, count = re.subn(pattern, replacement, self.config.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert count == 1, (pattern, text)
        self.config.write_text(text)

    def address(self, number: int = 0) -> str:
        return str(self.folder / f"socket{number}")

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # ---- requests ----

    def probe(self, number: int = 0, page: str = "livez", **headers: str) -> Answer | None:
        params = {
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "REQUEST_URI": f"/webhooks/{page}", "SCRIPT_NAME": "/webhooks",
            "PATH_INFO": f"/{page}", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
        } | {"HTTP_" + name.upper(): value for name, value in headers.items()}
        try:
            return fastcgi.request(self.address(number), params)
        except OSError:
            return None

    def ready(self, number: int = 0) -> Answer:
        """readyz, with all details."""
        answer = self.probe(number, "readyz", authorization=f"Bearer {self.stack.env['STATUS_TOKEN']}")
        assert answer is not None, self.log_text()
        return answer

    def post(self, event: object, number: int = 0) -> Answer:
        """A signed event of the source crossborderly."""
        body = event if isinstance(event, bytes) else client.encode(event)
        answer = fastcgi.request(self.address(number), fastcgi.post_params("/crossborderly", body, self.credential(body)), body)
        assert answer is not None, self.log_text()
        return client.check_answer(answer)

    def post_all(self, bodies: Iterable[bytes], number: int = 0) -> list[Answer]:
        """Many at once."""
        with ThreadPoolExecutor(32) as pool:
            return list(pool.map(lambda body: self.post(body, number), bodies))

    # ---- the spool ----

    @property
    def file(self) -> Path:
        return self.spool / "events.sqlite3"

    def waybill(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.stack.waybill(*arguments, WAYBILL_CONFIG=str(self.config), **environment)

    def state(self) -> Mapping[str, Any]:
        result = self.waybill("spool", "--json")
        assert result.returncode == 0, result
        return client.json.loads(result.stdout)

    def waiting(self) -> int:
        return self.state()["events"]

    def wait_drained(self) -> None:
        wait_until(lambda: self.waiting() == 0, f"the spool is drained: {self.log_text()[-3000:]}")
