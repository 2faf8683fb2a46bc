"""Two webhook.fcgi processes over one database, spoken to over their own sockets: no web server in between, many requests at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Iterable, Sequence

import fastcgi
from event_facts import Event
from http_plain import Answer
from waiting import wait_until
from waybill_stack import Stack, set_option

# Requests in flight at most: more than both processes have database connections.
IN_FLIGHT = 48

# (process, event): which of the two is to take it.
Post = tuple[int, Event]


class TwoProcesses:
    """The stack's webhook.fcgi and a second one beside it, with a spool of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        first = stack.responder_socket("webhook")
        self.sockets = (first, first.replace("webhook.sock", "webhook2.sock"))
        self._config = stack.config.with_name("waybill2.conf")
        self._threads = ThreadPoolExecutor(IN_FLIGHT)
        self._params = cache(self._make_params)

    def start(self) -> TwoProcesses:
        spool = self._folder(self.stack.var / "spool2")
        shutil.copy(self.stack.config, self._config)
        self._config.write_text(set_option(self._config.read_text(), "webhook", "spool", f'"{spool}"'))
        os.chown(self._config, *self._owner())
        command = [self.stack.program("webhook.fcgi"), "--listen", f"unix:{self.sockets[1]}"]
        with open(self.stack.var / "log" / "webhook2.log", "ab") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | {"WAYBILL_CONFIG": str(self._config)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self.stack.owner)
        wait_until(lambda: fastcgi.listens(self.sockets[1]), f"the second webhook.fcgi listens: {self.stack.log_end('webhook2')}")
        return self

    def stop(self) -> None:
        self._threads.shutdown()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(30) == 0, self.stack.log_end("webhook2")

    def _owner(self) -> tuple[int, int]:
        status = self.stack.config.stat()
        return status.st_uid, status.st_gid

    def _folder(self, path: Path) -> Path:
        path.mkdir(mode=0o700)
        os.chown(path, *self._owner())
        return path

    # ---- sending ----

    def _make_params(self, event: Event) -> dict[str, str]:
        headers = self.stack.sender(event.source).credential(event.body)
        return fastcgi.post_params(f"/{event.source}", event.body, headers)

    def post(self, post: Post) -> Answer:
        process, event = post
        # A signature of Standard Webhooks holds for five minutes.
        params = self._make_params(event) if event.source == "waybill" else self._params(event)
        answer = fastcgi.request(self.sockets[process], params, event.body)
        assert answer is not None
        return answer

    def deliver(self, posts: Sequence[Post]) -> list[str]:
        """All of POSTS at once; the ids of the deliveries. Each must be applied or a duplicate."""
        answers = self._threads.map(self.post, posts)
        return [_delivery(answer) for answer in answers]

    def deliver_in_steps(self, steps: Iterable[Sequence[Post]]) -> list[str]:
        """A step begins when all answers of the one before are there."""
        return [delivery for step in steps for delivery in self.deliver(step)]


def _delivery(answer: Answer) -> str:
    assert answer.outcome in ((200, "applied"), (200, "duplicate")), answer
    return answer.json()["delivery"]
