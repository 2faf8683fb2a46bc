"""All sets of webhooks, of all senders."""

from __future__ import annotations

import event_sets_crossborderly
import event_sets_crowdsender
import event_sets_shipup
import event_sets_swiftpod
import event_sets_waybill
from event_facts import EventSet

SETS: list[EventSet] = [
    *event_sets_crowdsender.SETS, *event_sets_crossborderly.SETS, *event_sets_shipup.SETS, *event_sets_swiftpod.SETS,
    *event_sets_waybill.SETS,
]
