"""The stacks of a test session: one for each web server, started when the first test asks for it, stopped at the end whatever fails."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Iterator

import pytest

from extra_sources import ExtraSources
from waybill_stack import SERVERS, Stack


class Stacks:
    def __init__(self) -> None:
        self._started: list[Stack] = []
        self._shared: dict[str, Stack] = {}
        self._failed: set[str] = set()
        self._extras: dict[str, ExtraSources] = {}

    def make(self, server: str = "lighttpd") -> Stack:
        """A stack of one's own, not yet up."""
        stack = Stack(server)
        self._started.append(stack)
        return stack

    def __call__(self, server: str) -> Stack:
        """The session's stack behind SERVER. Tests share it: each keeps to random ids. Another name: one more behind lighttpd."""
        if server not in self._shared:
            # Without one, all its tests fail: once with the reason is enough.
            assert server not in self._failed, f"the stack behind {server} did not start, see the first failure"
            self._failed.add(server)
            stack = self.make(server if server in SERVERS else "lighttpd").up()
            self._extras[server] = ExtraSources(stack).add()
            self._shared[server] = stack
            self._failed.remove(server)
        return self._shared[server]

    def extras(self, server: str) -> ExtraSources:
        self(server)
        return self._extras[server]

    def pids(self) -> dict[str, dict[str, int]]:
        return {server: stack.pids() for server, stack in self._shared.items()}

    def remove(self, stack: Stack) -> None:
        self._started.remove(stack)
        stack.remove()

    def remove_all(self) -> None:
        failures = []
        while self._started:
            try:
                self._started.pop().remove()
            except Exception as failure:  # the others must go too
                failures.append(failure)
        if failures:
            raise failures[0]


# The files that take longest, much of it spent waiting, and leave most behind. They begin first: the workers end together, and none is left alone with one
# of them; and they have a stack of their own, where their thousands of orders are in nobody's way.
LONGEST = [f"test_{name}.py" for name in ("spool", "convergence", "operations", "scaling", "openapi", "hostile", "lost_connections", "load", "rebuild", "changes")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def cluster_template() -> Iterator[None]:
    """The session's first cluster is made by initdb, those after are copies (cluster.sh)."""
    with tempfile.TemporaryDirectory(prefix="waybill-e2e-") as folder, pytest.MonkeyPatch.context() as environment:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        environment.setenv("CLUSTER_TEMPLATE", folder)
        yield


@pytest.fixture(scope="session")
def stacks(cluster_template: None) -> Iterator[Stacks]:
    stacks = Stacks()
    yield stacks
    stacks.remove_all()


# These have one each: webhooks from tomorrow keep a source young, and a panel shows so many rows and no more.
ALONE = ("test_clock.py", "test_console.py")


def lighttpd_for(request: pytest.FixtureRequest) -> str:
    name = request.path.name
    return name if name in ALONE else "crowded" if name in LONGEST else "lighttpd"


@pytest.fixture(scope="module")
def stack(stacks: Stacks, request: pytest.FixtureRequest) -> Stack:
    """Behind lighttpd: for what no web server has a part in."""
    return stacks(lighttpd_for(request))


@pytest.fixture(scope="module")
def extras(stacks: Stacks, request: pytest.FixtureRequest) -> ExtraSources:
    """Of that stack."""
    return stacks.extras(lighttpd_for(request))


@pytest.fixture(scope="session", params=SERVERS)
def each_stack(stacks: Stacks, request: pytest.FixtureRequest) -> Stack:
    """The same behind each web server."""
    return stacks(request.param)


@pytest.fixture
def own_stack(stacks: Stacks) -> Iterator[Stack]:
    """A stack for one test that leaves nothing as it was."""
    stack = stacks.make().up()
    yield stack
    stacks.remove(stack)


@pytest.fixture
def steady(stacks: Stacks) -> Iterator[None]:
    """Nothing dies of it: every process outlives the test."""
    before = stacks.pids()
    yield
    after = stacks.pids()
    assert {server: after[server] for server in before} == before
