"""Looks at the busy series of a product: what their peaks say, and how much their hours vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import HOLD_BACK_DAYS, Baselines, Floats, Ints
from closeloop.stats.busy import (
    BUSY_PEAK,
    PEAK_DAYS,
    PEAK_WINDOWS_H,
    Peaks,
    daily_peaks,
    hour_overdispersion,
    in_days_before,
)
from closeloop.stats.evidence import WINDOWS_H, surge_factor, surge_gate
from closeloop.stats.series import SeriesData

WHOLE = 0.5
"""A day counts while its sources delivered so much of the usual."""
_COLUMNS = np.array([WINDOWS_H.index(w) for w in PEAK_WINDOWS_H])
_THREE = PEAK_WINDOWS_H.index(3)
_PAST_DAYS = PEAK_DAYS + HOLD_BACK_DAYS + 1


@dataclass(frozen=True, slots=True)
class BusyLooks:
    """What peaks say of each look: arrays [looks].

    `log_evidence` is that of the most unusual window that no surge explains, -inf where there is none
    or the series is not busy; `window` is its place in WINDOWS_H. `expected` come in the busiest such hours
    of a usual day, and `expected_6h` at most in six; `share` is what part of all feedback the series usually
    is. `hours_phi` is the overdispersion of its hours, 0 where it is not busy.
    """

    log_evidence: Floats
    window: Ints
    expected: Floats
    expected_6h: Floats
    share: Floats
    hours_phi: Floats


def busy_looks(
    looks: Ints,
    count: Floats,
    everything: Floats,
    data: SeriesData,
    known: Baselines,
    *,
    asked: Ints,
    needed: float,
) -> BusyLooks:
    """Return what peaks say of looks (hour, series), in order of time.

    `count` and `everything` [looks, windows] are the complaints of the series and all feedback in each
    of WINDOWS_H. Nothing is said of a series whose looks all hold fewer complaints than the peak of a
    busy day, unless one of the looks `asked` for (their places) is its own. Evidence whose logarithm is under `needed` is not
    tested for surges, and counts as none.
    """
    count, everything = count[:, _COLUMNS], everything[:, _COLUMNS]
    found = BusyLooks(
        np.full(len(looks), -np.inf),
        np.zeros(len(looks), dtype=np.int64),
        *(np.zeros(len(looks)) for _ in range(4)),
    )
    many = np.flatnonzero(count[:, _THREE] >= BUSY_PEAK)
    wanted = np.unique(looks[np.concatenate([asked, many]), 1])
    if not len(wanted):
        return found
    past = _Past(data, known, wanted, first=int(looks[0, 0]) // 24, last=int(looks[-1, 0]) // 24)
    order = np.argsort(looks[:, 1], kind="stable")
    starts = np.searchsorted(looks[order, 1], wanted)
    ends = np.searchsorted(looks[order, 1], wanted, side="right")
    for place in range(len(wanted)):
        rows = order[starts[place] : ends[place]]
        own = past.series(place)
        rows = rows[own.peaks.busy(looks[rows, 0] // 24 - past.first_day)]
        if len(rows):
            _say(found, rows, looks[rows, 0], count[rows], everything[rows], own, past, needed)
    return found


@dataclass(frozen=True, slots=True)
class _Own:
    """One series; arrays [days]: complaints of the weeks before, and their share of all feedback.

    `others` are the product's other complaints, which tell a surge of everything.
    """

    peaks: Peaks
    others: Peaks
    hours_phi: Floats
    complaints: Floats
    share: Floats


def _say(
    found: BusyLooks,
    rows: Ints,
    hours: Ints,
    count: Floats,
    everything: Floats,
    own: _Own,
    past: _Past,
    needed: float,
) -> None:
    """Fill in what is found for the looks `rows` of one series, all on days on which it is busy."""
    day = hours // 24 - past.first_day
    level = past.levels(hours)
    usual = np.exp(own.peaks.usual[day]) * level
    others = np.maximum(past.complaints(hours) - count, 0.0)
    surged = surge_factor(others, np.exp(own.others.usual[day]) * level)
    logs = own.peaks.log_evidence(day, count / (level * surged))
    look, window = np.nonzero(logs >= needed)
    passed = surge_gate(
        count[look, window],
        everything[look, window],
        own.share[day[look]],
        shape=own.complaints[day[look]],
    )
    shown = np.full(logs.shape, -np.inf)
    shown[look[passed], window[passed]] = logs[look[passed], window[passed]]
    best = shown.argmax(axis=1)
    each = np.arange(len(rows))
    found.log_evidence[rows] = shown[each, best]
    found.window[rows] = _COLUMNS[best]
    found.expected[rows] = usual[each, best]
    found.expected_6h[rows] = 2.0 * usual[:, _THREE]
    found.share[rows] = own.share[day]
    found.hours_phi[rows] = own.hours_phi[day]


class _Past:
    """Hourly complaints of some series and of the product, as far back as a look at `first` needs."""

    def __init__(
        self, data: SeriesData, known: Baselines, wanted: Ints, *, first: int, last: int
    ) -> None:
        self.first_day = max(first - _PAST_DAYS, known.first_day)
        self._first_hour = self.first_day * 24
        self._known, self._wanted = known, wanted
        hours = np.arange(self._first_hour, (last + 1) * 24)
        self._level = np.ones(len(hours)) if data.exposure is None else data.exposure.of(hours)
        # The first day is rarely whole, and its first hours' windows reach back before it.
        self._whole = np.arange(len(hours) // 24) > 0
        if data.delivered is not None:
            self._whole &= data.delivered.of(hours).reshape(-1, 24).mean(axis=1) >= WHOLE
        held = np.isin(data.member_series, wanted)
        rows = data.member_row[held]
        series = np.searchsorted(wanted, data.member_series[held])
        self._own = self._by_hour(data.hours[rows], data.weight[rows], series, len(wanted))
        only = np.zeros(len(data.hours), dtype=np.int64)
        self._complaints = self._by_hour(data.hours, data.weight, only, 1)[0]
        only = np.zeros(len(data.all_hours), dtype=np.int64)
        self._feedback = self._by_hour(data.all_hours, data.all_weight, only, 1)[0]

    def _by_hour(self, hours: Ints, weight: Floats, series: Ints, many: int) -> Floats:
        size = len(self._level)
        place = hours - self._first_hour
        inside = (place >= 0) & (place < size)
        flat = series[inside] * size + place[inside]
        sums = np.bincount(flat, weights=weight[inside], minlength=many * size)
        return np.asarray(sums, dtype=np.float64).reshape(many, size)

    def levels(self, hours: Ints) -> Floats:
        """Return the mean level of users or orders in the windows that end with `hours`."""
        return np.asarray(self._windows(self._level, hours) / np.asarray(PEAK_WINDOWS_H))

    def complaints(self, hours: Ints) -> Floats:
        """Return the product's complaints in the windows that end with `hours` [looks, windows]."""
        return self._windows(self._complaints, hours)

    def _windows(self, hourly: Floats, hours: Ints) -> Floats:
        passed = np.concatenate([[0.0], np.cumsum(hourly)])
        end = (hours - self._first_hour + 1)[:, None]
        start = np.maximum(end - np.asarray(PEAK_WINDOWS_H), 0)
        return np.asarray(passed[end] - passed[start], dtype=np.float64)

    def series(self, place: int) -> _Own:
        """Return what is known of one of the wanted series, on each day."""
        own, column = self._own[place], int(self._wanted[place])
        known, days = self._known, len(self._whole)
        held = slice(self.first_day - known.first_day, self.first_day - known.first_day + days)
        before, all_before = (in_days_before(h, PEAK_DAYS) for h in (own, self._feedback))
        return _Own(
            peaks=daily_peaks(own / self._level, self._whole),
            others=daily_peaks(np.maximum(self._complaints - own, 0.0) / self._level, self._whole),
            hours_phi=hour_overdispersion(
                own,
                known.by_hour[held.start * 24 : held.stop * 24],
                mean=known.mean[held, column],
                shape=known.shape[held, column],
                phi=known.phi[held, column],
                known=known.known_days[held],
            ),
            complaints=before,
            share=np.clip(before / np.maximum(all_before, 1.0), 0.0, 1.0),
        )
