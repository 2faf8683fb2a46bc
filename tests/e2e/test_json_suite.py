"""JSONTestSuite (github.com/nst/JSONTestSuite): each file as an authentic body. $JSON_TEST_SUITE names the folder of its files, test_parsing.

What begins with y_ is JSON, with n_ it is not; of what begins with i_ (RFC 8259 leaves it open) waybill's answers stand in json_suite_open.tsv.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from waybill_stack import Stack

VARIABLE = "JSON_TEST_SUITE"
FOLDER = os.environ.get(VARIABLE, "")
FILES = sorted(Path(FOLDER).glob("*.json")) if FOLDER else [Path("none")]
OPEN = dict(line.split("\t") for line in (Path(__file__).parent / "json_suite_open.tsv").read_text().splitlines())

pytestmark = [
    pytest.mark.usefixtures("steady"),
    pytest.mark.skipif(not FOLDER, reason=f"${VARIABLE} is not set: it names the folder test_parsing of JSONTestSuite"),
]


def test_all_of_the_suite_is_there() -> None:
    kinds = [file.name[:2] for file in FILES]
    assert len(kinds) == 318 and (kinds.count("y_"), kinds.count("n_"), kinds.count("i_")) == (95, 188, 35)
    assert OPEN.keys() == {file.name for file in FILES if file.name.startswith("i_")}


def expected_status(name: str) -> int:
    return {"y": 200, "n": 400}.get(name[0]) or int(OPEN[name])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_the_suite(stack: Stack, file: Path) -> None:
    body = file.read_bytes()
    answer = stack.sender("crossborderly").post(body)
    assert answer.status == expected_status(file.name), answer
    # None of them is an event. Some files are the same byte for byte.
    assert answer.status == 400 or answer.json()["outcome"] in ("quarantined", "duplicate"), answer
    # Whatever it is, its bytes are kept; only nothing is not.
    assert [bytes(row["body"]) for row in stack.stored(body)] == ([body] if body else [])
