"""A corpus of deliveries leads to what it led to before: every document, explanation, answer and row of a view, whatever came when.

The corpus and the record are in tests/record/small. RECORD_UPDATE=1 writes the record again; its difference is then what users will see change.
"""

from __future__ import annotations

import os
import sys
from random import Random

from waybill_stack import CHECKOUT, Stack

sys.path.append(str(CHECKOUT / "tests" / "record"))

import corpus  # noqa: E402
import record  # noqa: E402
import runs  # noqa: E402
from shortened import shortened  # noqa: E402

SMALL = CHECKOUT / "tests" / "record" / "small"
SEED = os.environ.get("WAYBILL_TEST_SEED", "20240501")


def test_a_corpus_leads_to_what_it_led_to(own_stack: Stack) -> None:
    events = corpus.read_corpus(SMALL / "corpus.jsonl")
    Random(SEED).shuffle(events)
    for done, found in runs.records_of(own_stack, events, "rebuild"):
        if done == "one" and os.environ.get("RECORD_UPDATE") == "1":
            record.write(shortened(found), SMALL / "expected")
        lines = record.differences(record.read(SMALL / "expected"), shortened(found))
        assert not lines, f"{done}, WAYBILL_TEST_SEED={SEED}\n" + "\n".join(lines)
