"""Looks at the busy series of a product: what their peaks say, and how much their hours vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import HOLD_BACK_DAYS, Baselines, Floats, Ints
from closeloop.stats.busy import (
    BUSY_PEAK,
    LEAST_DAYS,
    PEAK_DAYS,
    PEAK_WINDOWS_H,
    Peaks,
    daily_peaks,
    hour_overdispersion,
    in_days_before,
    pooled,
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

    `log_evidence` is that of the most unusual window that no surge explains, -inf where there is
    none or the series is not busy; `window` is its place in WINDOWS_H. `expected` come in the busiest
    such hours of a usual day, and `expected_6h` at most in six; `share` is what part of all feedback
    the series usually is. `hours_phi` is the overdispersion of its hours, 0 where it is not busy.
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
    of WINDOWS_H. Where no look holds as many complaints as the peak of a busy day and none is `asked`
    for (their places), nothing is said at all. Evidence whose logarithm is under `needed` is not
    tested for surges, and counts as none.
    """
    count, everything = count[:, _COLUMNS], everything[:, _COLUMNS]
    found = BusyLooks(
        np.full(len(looks), -np.inf),
        np.zeros(len(looks), dtype=np.int64),
        *(np.zeros(len(looks)) for _ in range(4)),
    )
    if not len(asked) and not (count[:, _THREE] >= BUSY_PEAK).any():
        return found
    past = _Past(data, known, first=int(looks[0, 0]) // 24, last=int(looks[-1, 0]) // 24)
    order = np.argsort(looks[:, 1], kind="stable")
    starts = np.searchsorted(looks[order, 1], past.series)
    ends = np.searchsorted(looks[order, 1], past.series, side="right")
    peaks = pooled([daily_peaks(own, past.whole) for own in past.own / past.level])
    for place, held in enumerate(peaks):
        rows = order[starts[place] : ends[place]]
        rows = rows[held.busy(looks[rows, 0] // 24 - past.first_day)]
        if len(rows):
            own = past.told(place, held)
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
    """Hourly complaints of a product as far back as a look at the day `first` needs.

    `own` [series, 24 days] are those of the `series` (their places among the product's) that may have
    been busy, `level` [24 days] the users or orders behind each hour, `whole` [days] the days that count.
    """

    def __init__(self, data: SeriesData, known: Baselines, *, first: int, last: int) -> None:
        self.first_day = max(first - _PAST_DAYS, known.first_day)
        self._first_hour, self._known = self.first_day * 24, known
        hours = np.arange(self._first_hour, (last + 1) * 24)
        self.level = np.ones(len(hours)) if data.exposure is None else data.exposure.of(hours)
        # The first day is rarely whole, and its first hours' windows reach back before it.
        self.whole = np.arange(len(hours) // 24) > 0
        if data.delivered is not None:
            self.whole &= data.delivered.of(hours).reshape(-1, 24).mean(axis=1) >= WHOLE
        self._complaints = self._by_hour(data.hours, data.weight)
        self._feedback = self._by_hour(data.all_hours, data.all_weight)
        self.series, self.own = self._often(data, first=first)

    def _often(self, data: SeriesData, *, first: int) -> tuple[Ints, Floats]:
        """Return the series that may have been busy on the day `first` or later, and their hours.

        The mean of the logarithms of n days' peaks lies under that of their sum over n, and a complaint
        is in the peaks of two days at most: fewer than half of 15 n complaints are none of a busy series.
        """
        size = len(self.level)
        place = data.hours - self._first_hour
        inside = (place >= 0) & (place < size)
        held = inside[data.member_row]
        rows, of = data.member_row[held], data.member_series[held]
        relative = data.weight[rows] / self.level[place[rows]]
        sums = np.bincount(of, weights=relative, minlength=data.series)
        known = int(self.whole[: first - self.first_day][-PEAK_DAYS:].sum())
        many = np.flatnonzero(sums >= BUSY_PEAK / 2.0 * max(known, LEAST_DAYS))
        among = np.isin(of, many)
        flat = np.searchsorted(many, of[among]) * size + place[rows[among]]
        own = np.bincount(flat, weights=data.weight[rows[among]], minlength=len(many) * size)
        return many, own.astype(np.float64).reshape(len(many), size)

    def _by_hour(self, hours: Ints, weight: Floats) -> Floats:
        place = hours - self._first_hour
        inside = (place >= 0) & (place < len(self.level))
        sums = np.bincount(place[inside], weights=weight[inside], minlength=len(self.level))
        return np.asarray(sums, dtype=np.float64)

    def levels(self, hours: Ints) -> Floats:
        """Return the mean level of users or orders in the windows that end with `hours`."""
        return np.asarray(self._windows(self.level, hours) / np.asarray(PEAK_WINDOWS_H))

    def complaints(self, hours: Ints) -> Floats:
        """Return the product's complaints in the windows that end with `hours` [looks, windows]."""
        return self._windows(self._complaints, hours)

    def _windows(self, hourly: Floats, hours: Ints) -> Floats:
        passed = np.concatenate([[0.0], np.cumsum(hourly)])
        end = (hours - self._first_hour + 1)[:, None]
        start = np.maximum(end - np.asarray(PEAK_WINDOWS_H), 0)
        return np.asarray(passed[end] - passed[start], dtype=np.float64)

    def told(self, place: int, peaks: Peaks) -> _Own:
        """Return what is known of one of the series, whose `peaks` they are, on each day."""
        own, column = self.own[place], int(self.series[place])
        known = self._known
        begin = self.first_day - known.first_day
        held = slice(begin, begin + len(self.whole))
        before, all_before = (in_days_before(h, PEAK_DAYS) for h in (own, self._feedback))
        return _Own(
            peaks=peaks,
            others=daily_peaks(np.maximum(self._complaints - own, 0.0) / self.level, self.whole),
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
