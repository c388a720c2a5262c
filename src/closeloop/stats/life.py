"""Tells in which state a problem is, from its complaints by hour: grows, lasts, calms, over, resumed.

And how long it was raised until somebody mended it.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from closeloop.stats.baseline import Ints

DAY_H = 24
OVER_AFTER_H = 72
"""Calm for as long as the longest window that the detector looks at: the problem is over."""
PAUSE_H = 48
"""A calm of so many hours between two raised stretches makes the second a resumption."""
RAISED_TIMES = 2.0
"""A day is raised while it holds so many times the usual complaints, and at least two."""
MIN_RAISED = 2.0
GROWS = 1.25
"""A day that holds so many times the day before is growth."""


class LifeState(StrEnum):
    """The state of a problem."""

    GROWING = "growing"
    LASTING = "lasting"
    CALMING = "calming"
    OVER = "over"
    RESUMED = "resumed"


def life_state(hours: Ints, *, start: int, now: int, usual_a_day: float) -> LifeState:
    """Return the state at `now` of a problem that began at `start` (hours since 1970).

    `hours` are those of its complaints; `usual_a_day` is the baseline. The days looked at end with
    `now`. Growing: the last day is raised and holds 1.25 times the day before. Resumed: it is raised
    after two calm days or more. Calming: it is calm, and three days back it was not. Over: calm for
    three days.
    """
    raised_from = max(RAISED_TIMES * usual_a_day, MIN_RAISED)
    inside = hours[(hours >= start) & (hours <= now)]
    ends = np.arange(now, max(start, now - 60 * DAY_H) - 1, -1)
    ordered = np.sort(inside)
    upto = np.searchsorted(ordered, ends, side="right")
    since = np.searchsorted(ordered, ends - DAY_H, side="right")
    a_day = upto - since
    raised = a_day >= raised_from
    if not raised[0]:
        recent = raised[:OVER_AFTER_H].any() or now - start < OVER_AFTER_H
        return LifeState.CALMING if recent else LifeState.OVER
    calm = np.flatnonzero(~raised)
    if len(calm):
        first = int(calm[0])
        again = np.flatnonzero(raised[first:])
        # A day's window is still raised up to a day after its last complaint.
        if len(again) and int(again[0]) + DAY_H >= PAUSE_H:
            return LifeState.RESUMED
    before = int(a_day[DAY_H]) if len(a_day) > DAY_H else 0
    return LifeState.GROWING if a_day[0] >= GROWS * before else LifeState.LASTING


def raised_span(
    hours: Ints, *, start: int, end: int, until: int, usual_a_day: float
) -> tuple[int, int]:
    """Return the hours [began, ended) for which a problem of window [start, end) was raised.

    `hours` are those of its complaints, `until` is when it was mended; nothing later is looked at.
    It goes on behind its window day by day, while the next three days hold more than halfway from
    the usual to what the window held (at most twice the usual), and at least two complaints. Where
    that has ended, but the last three days are raised again, it is these three.
    """
    ordered = np.sort(hours)
    end = min(end, until)
    start = min(start, end - 1)

    def came(since: int, to: int) -> int:
        return int(np.searchsorted(ordered, to) - np.searchsorted(ordered, since))

    held_a_day = came(start, end) * DAY_H / (end - start)
    raised_from = min(RAISED_TIMES * usual_a_day, (usual_a_day + held_a_day) / 2)

    def raised(since: int, to: int) -> bool:
        return came(since, to) >= max(raised_from * (to - since) / DAY_H, MIN_RAISED)

    ended = end
    while ended < until and raised(ended, min(ended + OVER_AFTER_H, until)):
        ended += DAY_H
    if until - ended >= OVER_AFTER_H and raised(until - OVER_AFTER_H, until):
        return until - OVER_AFTER_H, until
    return start, min(ended, until)
