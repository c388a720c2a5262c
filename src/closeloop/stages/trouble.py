"""Says over which hours a signal's trouble is looked at, and how many complaints are usual there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from closeloop.domain.signal import SignalKind
from closeloop.stages.comparison import DAY_H, STRATUM_H
from closeloop.stages.product_view import ProductView, hour_of
from closeloop.stats.baseline import HOURS_A_WEEK, Floats, Ints, hour_of_week, week_profiles
from closeloop.stats.change_point import WINDOW_H
from closeloop.stats.release_watch import LOW_STARS

BASE_DAYS = 45
"""Days before the timing window that the usual rate is taken from."""
NOISE_FLOOR = 0.5 / 24
"""Complaints an hour that are usual in any series: a rare one's stray texts, one every second day,
must not date a rise to before its cause."""
AFTERMATH = timedelta(hours=72)
"""After a release signal's last news its reviews still tell when it began."""
STILL_RAISED = 3.0
AHEAD_H = 72
"""Trouble goes on while the next 72 hours have so many times the usual complaints."""
CALM_H = 48
"""So much of the calm after the trouble is looked at: when it ended tells of its cause, too."""
CALM_BEFORE_H = 120
"""And at least so much before it, however long it lasts: when it began tells most."""
FORERUN_H = 48
"""Before a signal's window its trouble may have begun."""
WHOLE_WEEKS_H = 2 * HOURS_A_WEEK
"""Less history has no hours of the week."""
BASE_LEAST_H = 72
"""Of a history that has just begun so much is left to take the usual rate from, if trouble allows."""


@dataclass(frozen=True, slots=True)
class Span:
    """Hours since 1970 of a signal's trouble: `onset` to `until`, and what is looked at around it.

    `earliest` is the hour at which it may have begun at the earliest; `first` to `last` (exclusive)
    are the hours whose complaints, `counts` where `expected` are usual, are held against the changes'
    times.
    """

    first: int
    earliest: int
    onset: int
    until: int
    last: int
    counts: Floats
    expected: Floats

    @property
    def hours(self) -> Ints:
        """The hours that are looked at."""
        return np.arange(self.first, self.last)


def span_of(view: ProductView, signal: Mapping[str, Any], complaints: Ints, *, now: int) -> Span:
    """Return the hours of a signal's trouble, with the calm before and after it."""
    start = hour_of(signal["window_start"])
    earliest = start - FORERUN_H
    until = _trouble_ends(view, signal, complaints, now=now)
    release = signal["kind"] == SignalKind.RELEASE
    if release:
        last = min(until, hour_of(signal["window_end"] + AFTERMATH))
        first = last - WINDOW_H
    else:
        last = min(until + CALM_H, now)
        first = min(last - WINDOW_H, earliest - CALM_BEFORE_H)
    first = _since_known(view, first, earliest)
    counts, expected = _hourly(view, complaints, first, last)
    # Low ratings of a version have no onset of their own, and begin with it.
    onset = earliest if release else first + _onset(counts, expected, start - first)
    return Span(first, earliest, onset, until, last, counts, expected)


def _since_known(view: ProductView, first: int, earliest: int) -> int:
    """Return the hour from which on a trouble is looked at: none before the history, or in its base.

    There nothing came, and the history's own beginning would pass for that of the trouble.
    """
    begins = int(view.hours[0])
    return max(first, min(begins + BASE_LEAST_H, earliest), begins + 1)


def complaints_of(view: ProductView, signal: Mapping[str, Any]) -> Ints:
    """Return the rows that count as complaints of a signal: its series', or low ratings."""
    if signal["kind"] == SignalKind.RELEASE:
        return np.flatnonzero(view.testable & (view.rating <= LOW_STARS))
    rows = view.members(signal["kind"], signal["series_id"])
    return np.asarray(rows[view.testable[rows]])


def _hourly(view: ProductView, complaints: Ints, first: int, last: int) -> tuple[Floats, Floats]:
    """Return (complaints, expected complaints) of each hour from `first` to `last`."""
    hours = view.hours[complaints]
    inside = hours[(hours >= first) & (hours < last)]
    counts = np.bincount(inside - first, minlength=last - first).astype(np.float64)
    begin = max(int(view.hours[0]), first - BASE_DAYS * 24)
    before = int(((hours >= begin) & (hours < first)).sum())
    rate = max((before + 0.5) / max(first - begin, 24), NOISE_FLOOR)
    usual = view.hours[view.complaint & (view.hours < first)]
    profile = week_profiles(_weekly(usual, int(view.hours[0]), first)[None, :])[0] * 24.0
    return counts, np.asarray(rate * profile[hour_of_week(np.arange(first, last))])


def _weekly(usual: Ints, begins: int, first: int) -> Floats:
    """Return complaints by hour of the week; of under two weeks, by hour of the day.

    Days that were never seen, or once more than others, would count as calm ones and as busy ones.
    """
    if first - begins >= WHOLE_WEEKS_H:
        return np.bincount(hour_of_week(usual), minlength=HOURS_A_WEEK).astype(np.float64)
    came = np.bincount(usual % DAY_H, minlength=DAY_H)
    seen = np.bincount(np.arange(begins, first) % DAY_H, minlength=DAY_H)
    return np.tile(came / np.maximum(seen, 1), HOURS_A_WEEK // DAY_H)


def _onset(counts: Floats, expected: Floats, start: int) -> int:
    """Return the hour, counted as `counts` are, from which on a signal's trouble is looked at.

    Its window began at `start` with complaints, and the half days before it belong to the trouble
    while they are raised as well, two days at most. Calm hours, and other troubles, before it tell
    nothing of who complains in it.
    """
    onset = start
    while onset > start - FORERUN_H:
        before = slice(onset - STRATUM_H, onset)
        came = counts[before].sum()
        if came == 0 or came < STILL_RAISED * expected[before].sum():
            break
        onset -= STRATUM_H
    return onset


def _trouble_ends(
    view: ProductView, signal: Mapping[str, Any], complaints: Ints, *, now: int
) -> int:
    """Return the hour until which a signal's trouble is looked at.

    Calm on all sides says nothing of a trouble that is over, so it ends with the last alarm and the
    raised days that follow. A bad version stays bad: its reviews compare while it is watched.
    """
    end = hour_of(signal["window_end"])
    latest = min(now, max(hour_of(signal["window_start"]) + WINDOW_H, end))
    if signal["kind"] == SignalKind.RELEASE:
        return latest
    hours = view.hours[complaints]
    usual = signal["baseline"] / max(end - hour_of(signal["window_start"]), 1)
    while end < latest:
        ahead = min(AHEAD_H, latest - end)
        came = int(((hours >= end) & (hours < end + ahead)).sum())
        if came < STILL_RAISED * ahead * usual:
            break
        end += DAY_H
    return min(end, latest)
