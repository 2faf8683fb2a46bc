"""Fixtures of the tests that empty the database again and again: a stack of their own, with two processes."""

from __future__ import annotations

from typing import Iterator

import pytest

from conftest import Stacks
from convergence_state import Database
from two_processes import TwoProcesses

# A link made from it must survive a rebuild, though no delivery holds it.
TRACKING_URL = "https://shop.example/track/{tracking_number}"


@pytest.fixture(scope="module")
def processes(stacks: Stacks) -> Iterator[TwoProcesses]:
    stack = stacks.make().up()
    provider = "provider = crossborderly\n"
    stack.write_config(stack.config.read_text().replace(provider, f'{provider}    tracking_url = "{TRACKING_URL}"\n'))
    stack.restart_responders()
    processes = TwoProcesses(stack).start()
    yield processes
    processes.stop()
    # All transactions take their locks in the same order.
    assert "deadlock detected" not in stack.log_text("postgres")
    stacks.remove(stack)


@pytest.fixture(scope="module")
def connected(processes: TwoProcesses) -> Iterator[Database]:
    database = Database(processes.stack)
    yield database
    database.close()


@pytest.fixture
def database(connected: Database) -> Database:
    connected.empty()
    return connected
