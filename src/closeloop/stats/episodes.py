"""Tells whether an alarm continues a problem that is known, begins a new one, or says nothing new."""

from __future__ import annotations

from enum import Enum

LASTS_H = 72
"""Alarms no further apart belong to one problem: the longest window that the detector looks at."""
APART_H = 24
"""A burst of its own, so long after the last news of a problem, is not taken for its growth."""
OUTGROWS_COUNT = 1.5
OUTGROWS_EVIDENCE = 10.0


class Fate(Enum):
    """What becomes of an alarm."""

    BEGINS = "begins"
    CONTINUES = "continues"
    PASSED_OVER = "passed over"


def fate(
    *,
    hours_since_last: float,
    stands_apart: bool,
    snooze_h: float,
    count: float,
    evidence: float,
    count_before: float,
    evidence_before: float,
) -> Fate:
    """Return what becomes of an alarm of a series that was raised before.

    Within 72 h of the problem's last alarm it continues, but for a burst that stands apart: its own
    window begins after that alarm, and a day or more lies between. Otherwise, within the snooze, it
    is passed over, unless it has outgrown the problem: 1.5 times its count and ten times its
    evidence.
    """
    apart = stands_apart and hours_since_last >= APART_H
    if hours_since_last <= LASTS_H and not apart:
        return Fate.CONTINUES
    outgrown = (
        count >= OUTGROWS_COUNT * count_before and evidence >= OUTGROWS_EVIDENCE * evidence_before
    )
    if hours_since_last <= snooze_h and not outgrown:
        return Fate.PASSED_OVER
    return Fate.BEGINS
