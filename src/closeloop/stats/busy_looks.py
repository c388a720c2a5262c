"""Looks at the busy series of a product: what their peaks say, and how much their hours vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import HOLD_BACK_DAYS, Baselines, Floats, Ints
from closeloop.stats.busy import (
    BUSY_PEAK,
    LEAST_DAYS,
    LEAST_KNOWN_DAYS,
    PEAK_DAYS,
    PEAK_WINDOWS_H,
    Peaks,
    daily_peaks,
    hour_overdispersion,
    in_days_before,
    pooled,
    window_sums,
)
from closeloop.stats.evidence import WINDOWS_H, Bools, surge_factor, surge_gate
from closeloop.stats.series import SeriesData

WHOLE = 0.5
"""A day counts while its sources delivered so much of the usual."""
_COLUMNS = np.array([WINDOWS_H.index(w) for w in PEAK_WINDOWS_H])
_PAST_DAYS = PEAK_DAYS + HOLD_BACK_DAYS + 1
_LEAST = BUSY_PEAK * np.array(PEAK_WINDOWS_H) / 3.0
"""Fewer complaints than these in both windows say nothing: a busy day's peaks are higher."""


@dataclass(frozen=True, slots=True)
class BusyLooks:
    """What peaks say of each look: arrays [looks].

    `log_evidence` is that of the most unusual window that no surge explains, -inf where there is
    none or the series is not busy; `window` is its place in WINDOWS_H. `share` is what part of all
    feedback the series usually is, and `by_hour` [looks, 24] what comes at each hour of a day (UTC);
    `hours_phi` is the overdispersion of its hours. These are 0 where it is not busy, or where the look
    neither was asked for nor holds complaints enough to say something.
    """

    log_evidence: Floats
    window: Ints
    share: Floats
    by_hour: Floats
    hours_phi: Floats


def busy_looks(
    looks: Ints,
    count: Floats,
    everything: Floats,
    data: SeriesData,
    known: Baselines,
    *,
    asked: Bools,
    needed: float,
) -> BusyLooks:
    """Return what peaks say of looks (hour, series), in order of time.

    `count` and `everything` [looks, windows] are the complaints of the series and all feedback in each
    of WINDOWS_H; looks that are `asked` for [looks] are looked at whatever they hold. What is said of
    a look does not depend on the others. Evidence whose logarithm is under `needed` is not tested for
    surges, and counts as none.
    """
    count, everything = count[:, _COLUMNS], everything[:, _COLUMNS]
    size = len(looks)
    found = BusyLooks(
        np.full(size, -np.inf),
        np.zeros(size, dtype=np.int64),
        np.zeros(size),
        np.zeros((size, 24)),
        np.zeros(size),
    )
    wanted = np.flatnonzero(asked | (count >= _LEAST).any(axis=1))
    if not len(wanted):
        return found
    past = _Past(data, known, days=np.unique(looks[wanted, 0] // 24))
    peaks = pooled([daily_peaks(own, past.whole, past.level) for own in past.own])
    order = wanted[np.argsort(looks[wanted, 1], kind="stable")]
    starts = np.searchsorted(looks[order, 1], past.series)
    ends = np.searchsorted(looks[order, 1], past.series, side="right")
    for place, held in enumerate(peaks):
        rows = order[starts[place] : ends[place]]
        rows = rows[held.busy[looks[rows, 0] // 24 - past.first_day]]
        if len(rows):
            own = past.told(place, held)
            _say(found, rows, looks[rows, 0], count[rows], everything[rows], own, past, needed)
    return found


@dataclass(frozen=True, slots=True)
class _Own:
    """One series; arrays [days]: complaints of the weeks before, and their share of all feedback.

    `others` are the product's other complaints, which tell a surge of everything; `by_hour` [days, 24]
    is the mean of each hour of the days before.
    """

    peaks: Peaks
    others: Peaks
    hours_phi: Floats
    complaints: Floats
    share: Floats
    by_hour: Floats


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
    level = past.levels(hours)[:, None]
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
    found.log_evidence[rows] = shown[np.arange(len(rows)), best]
    found.window[rows] = _COLUMNS[best]
    found.share[rows] = own.share[day]
    found.by_hour[rows] = own.by_hour[day] * level
    found.hours_phi[rows] = own.hours_phi[day]


class _Past:
    """Hourly complaints of a product, as far back as looks on some `days` (since 1970) need.

    `own` [series, 24 days] are those of the `series` (their places among the product's) that may be
    busy on one of these days, `level` [24 days] the users or orders of the day that ends with each
    hour (None where unknown), `whole` [days] the days that count.
    """

    def __init__(self, data: SeriesData, known: Baselines, *, days: Ints) -> None:
        self.first_day = max(int(days[0]) - _PAST_DAYS, known.first_day)
        self._first_hour, self._known = self.first_day * 24, known
        hours = np.arange(self._first_hour, (int(days[-1]) + 1) * 24)
        self._size = len(hours)
        self.level = None
        if data.exposure is not None:
            of_day = data.exposure.of(np.arange(hours[0] - 23, hours[-1] + 1))
            self.level = np.convolve(of_day, np.full(24, 1.0 / 24.0), mode="valid")
        # The first day is rarely whole, and its first hours' windows reach back before it.
        self.whole = np.arange(self._size // 24) > 0
        if data.delivered is not None:
            self.whole &= data.delivered.of(hours).reshape(-1, 24).mean(axis=1) >= WHOLE
        self._complaints = self._by_hour(data.hours, data.weight)
        feedback = self._by_hour(data.all_hours, data.all_weight)
        self._feedback_before = in_days_before(_daily(feedback), PEAK_DAYS)
        self._days_before = in_days_before(self.whole.astype(np.float64), PEAK_DAYS)
        self.series, self.own = self._often(data, days - self.first_day)

    def _often(self, data: SeriesData, days: Ints) -> tuple[Ints, Floats]:
        """Return the series that may be busy on one of `days`, and their hours.

        The mean of the logarithms of n peaks lies under the logarithm of their mean, and a complaint is
        in the peaks of two days at most: a busy series had half of 15 n complaints.
        """
        place = data.hours - self._first_hour
        inside = (place >= 0) & (place < self._size)
        held = inside[data.member_row]
        rows, of = data.member_row[held], data.member_series[held]
        many = self._size // 24
        daily = np.bincount(
            of * many + place[rows] // 24, weights=data.weight[rows], minlength=data.series * many
        ).reshape(data.series, many)
        known = self._days_before[days]
        came = in_days_before(daily.astype(np.float64), PEAK_DAYS + 1)[:, days]
        series = np.flatnonzero(
            (came >= BUSY_PEAK / 2.0 * np.maximum(known, LEAST_DAYS)).any(axis=1)
        )
        among = np.isin(of, series)
        flat = np.searchsorted(series, of[among]) * self._size + place[rows[among]]
        own = np.bincount(
            flat, weights=data.weight[rows[among]], minlength=len(series) * self._size
        )
        return series, own.astype(np.float64).reshape(len(series), self._size)

    def _by_hour(self, hours: Ints, weight: Floats) -> Floats:
        place = hours - self._first_hour
        inside = (place >= 0) & (place < self._size)
        sums = np.bincount(place[inside], weights=weight[inside], minlength=self._size)
        return np.asarray(sums, dtype=np.float64)

    def levels(self, hours: Ints) -> Floats:
        """Return the users or orders of the days that end with `hours`, in parts of the usual."""
        if self.level is None:
            return np.ones(len(hours))
        return np.asarray(self.level[hours - self._first_hour])

    def complaints(self, hours: Ints) -> Floats:
        """Return the product's complaints in the windows that end with `hours` [looks, windows]."""
        return window_sums(self._complaints, hours - self._first_hour)

    def told(self, place: int, peaks: Peaks) -> _Own:
        """Return what is known of one of the series, whose `peaks` they are, on each day."""
        own, column = self.own[place], int(self.series[place])
        known = self._known
        begin = self.first_day - known.first_day
        held = slice(begin, begin + len(self.whole))
        before = in_days_before(_daily(own), PEAK_DAYS)
        return _Own(
            peaks=peaks,
            others=daily_peaks(np.maximum(self._complaints - own, 0.0), self.whole, self.level),
            hours_phi=hour_overdispersion(
                own,
                known.by_hour[held.start * 24 : held.stop * 24],
                mean=known.mean[held, column],
                shape=known.shape[held, column],
                phi=known.phi[held, column],
                told=self.whole & (known.known_days[held] >= LEAST_KNOWN_DAYS),
            ),
            complaints=before,
            share=np.clip(before / np.maximum(self._feedback_before, 1.0), 0.0, 1.0),
            by_hour=self._hours_before(own),
        )

    def _hours_before(self, own: Floats) -> Floats:
        """Return the mean of each hour of the day over the days before [days, 24], at usual users."""
        hourly = own if self.level is None else own / self.level
        by_hour = hourly.reshape(-1, 24) * self.whole[:, None]
        days = np.maximum(self._days_before, 1.0)[:, None]
        return np.asarray(in_days_before(by_hour.T, PEAK_DAYS).T / days)


def _daily(hourly: Floats) -> Floats:
    return np.asarray(hourly.reshape(-1, 24).sum(axis=1))
