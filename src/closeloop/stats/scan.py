"""Looks for alarms in all series of one product: at every hour at which a complaint arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import (
    HOURS_A_WEEK,
    Baselines,
    Floats,
    Ints,
    baselines,
    hour_of_week,
)
from closeloop.stats.evidence import (
    HOURS_A_MONTH,
    WINDOWS_H,
    Bools,
    e_bh,
    surge_factor,
    surge_gate,
    window_terms,
)

MIN_HISTORY_DAYS = 14
"""With less history there is not enough evidence of what is usual, and no look is taken."""
LOG_CAP = 600.0
"""Evidence beyond e^600 is stored as that."""
_SERIES_SHIFT = 24
"""Series and hour in one sortable number: hours since 1970 stay under 2^24 for 1,900 years."""


@dataclass(frozen=True, slots=True)
class SeriesData:
    """Complaints of one product and which series each belongs to.

    `hours` (since 1970, in order) and `weight` (0..1) of every complaint; `member_row` and
    `member_series` [memberships] say which complaints belong to which of `series` series;
    `testable` [memberships] marks what may be evidence (the texts that formed a theme are none for
    it: they train its baseline only).
    """

    hours: Ints
    weight: Floats
    member_row: Ints
    member_series: Ints
    testable: Bools
    series: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """One series at one hour whose evidence reached the threshold.

    `count` complaints lie in the `window_h` hours that end with `hour` (the window of the largest
    term) where `expected` were; both also for the last six hours. `evidence` is the e-value.
    """

    series: int
    hour: int
    window_h: int
    count: float
    expected: float
    evidence: float
    threshold: float
    fdr_pass: bool
    count_6h: float
    expected_6h: float


@dataclass(frozen=True, slots=True)
class Scan:
    """All alarms in order of time, how many looks were taken, and the baselines they rest on."""

    alarms: tuple[Alarm, ...]
    looks: int
    baselines: Baselines


def product_baselines(data: SeriesData, *, first_day: int, last_day: int) -> Baselines:
    """Return the baselines of all series (the product's own last) on days first..last."""
    days = last_day - first_day + 1
    day = data.hours // 24 - first_day
    inside = (day >= 0) & (day < days)
    member_day = day[data.member_row]
    held = inside[data.member_row]
    columns = data.series + 1
    flat: Floats = np.bincount(
        np.concatenate(
            [
                member_day[held] * columns + data.member_series[held],
                day[inside] * columns + data.series,
            ]
        ),
        weights=np.concatenate([data.weight[data.member_row][held], data.weight[inside]]),
        minlength=days * columns,
    ).astype(np.float64)
    weekly: Floats = np.bincount(
        day[inside] * HOURS_A_WEEK + hour_of_week(data.hours[inside]),
        weights=data.weight[inside],
        minlength=days * HOURS_A_WEEK,
    ).astype(np.float64)
    return baselines(
        flat.reshape(days, columns), weekly.reshape(days, HOURS_A_WEEK), first_day=first_day
    )


def scan(
    data: SeriesData,
    *,
    since: int,
    until: int,
    first_day: int,
    family: int,
    false_alarms: float,
    q: float,
) -> Scan:
    """Return all alarms at hours in [since, until], from baselines that only know the past.

    An alarm needs M >= N 720 / B (`family` N series, `false_alarms` B a product and month) and to
    pass the surge gate. Evidence can rise only when a complaint arrives, so only such hours are
    looked at. `first_day` is where the product's history begins.
    """
    known = product_baselines(data, first_day=first_day, last_day=max(until // 24, first_day))
    looks = _looks(data, since=since, until=until, known=known)
    if not len(looks):
        return Scan((), 0, known)
    terms = _terms(looks, data, known)
    log_evidence = np.logaddexp.reduce(terms.logs, axis=1) - np.log(HOURS_A_MONTH)
    evidence = np.exp(np.minimum(log_evidence, LOG_CAP))
    threshold = family / false_alarms
    reached = np.flatnonzero(evidence >= threshold)
    best = terms.logs[reached].argmax(axis=1)
    passed = reached[_gated(terms, reached, best)]
    alarms = tuple(
        _alarm(i, looks, terms, evidence, threshold=threshold, family=family, q=q) for i in passed
    )
    return Scan(alarms, len(looks), known)


@dataclass(frozen=True, slots=True)
class _Terms:
    """Arrays [looks, windows]: log terms, own count and expectation, all complaints' counts."""

    logs: Floats
    count: Floats
    expected: Floats
    everything: Floats
    share: Floats


def _looks(data: SeriesData, *, since: int, until: int, known: Baselines) -> Ints:
    """Return (hour, series) pairs in order of time."""
    hour = data.hours[data.member_row]
    wanted = data.testable & (hour >= since) & (hour <= until)
    row = np.clip(hour // 24 - known.first_day, 0, len(known.known_days) - 1)
    wanted &= (known.known_days[row] >= MIN_HISTORY_DAYS) & (data.weight[data.member_row] > 0)
    keys = np.unique((hour[wanted] << _SERIES_SHIFT) | data.member_series[wanted])
    return np.stack([keys >> _SERIES_SHIFT, keys & ((1 << _SERIES_SHIFT) - 1)], axis=1)


def _terms(looks: Ints, data: SeriesData, known: Baselines) -> _Terms:
    hours, series = looks[:, 0], looks[:, 1]
    row = hours // 24 - known.first_day
    mean, total = known.mean[row, series], known.mean[row, -1]
    shape, phi = known.shape[row, series], known.phi[row, series]
    doubled = np.concatenate(
        [np.zeros((len(known.profile), 1)), np.cumsum(np.tile(known.profile, 2), axis=1)], axis=1
    )
    end = hour_of_week(hours) + HOURS_A_WEEK + 1
    own = _Counter(data.member_series[data.testable], data, rows=data.member_row[data.testable])
    everyone = _Counter(np.zeros(len(data.hours), np.int64), data, rows=np.arange(len(data.hours)))
    size = (len(looks), len(WINDOWS_H))
    logs, count, expected, everything = (np.empty(size) for _ in range(4))
    for w, width in enumerate(WINDOWS_H):
        exposure = doubled[row, end] - doubled[row, end - width]
        count[:, w] = own.within(series, hours, width)
        everything[:, w] = everyone.within(np.zeros_like(series), hours, width)
        expected[:, w] = mean * exposure
        surged = exposure * surge_factor(
            np.maximum(everything[:, w] - count[:, w], 0.0),
            np.maximum(total - mean, 0.0) * exposure,
        )
        logs[:, w] = window_terms(count[:, w], surged, mean=mean, shape=shape, phi=phi, width=width)
    share = np.clip(mean / np.maximum(total, 1e-9), 0.0, 1.0)
    return _Terms(logs, count, expected, everything, share)


class _Counter:
    """Counts complaints of a series in the hours up to one, by two binary searches."""

    def __init__(self, series: Ints, data: SeriesData, *, rows: Ints) -> None:
        keys = (series << _SERIES_SHIFT) | data.hours[rows]
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._sums = np.concatenate([[0.0], np.cumsum(data.weight[rows][order])])

    def within(self, series: Ints, hours: Ints, width: int) -> Floats:
        """Return the weight of the `width` hours that end with each of `hours`, inclusive."""
        start = series << _SERIES_SHIFT
        upto = np.searchsorted(self._keys, start | hours, side="right")
        before = np.searchsorted(self._keys, start | (hours - width), side="right")
        return np.asarray(self._sums[upto] - self._sums[before])


def _gated(terms: _Terms, reached: Ints, best: Ints) -> Bools:
    pick = (reached, best)
    return surge_gate(terms.count[pick], terms.everything[pick], terms.share[reached])


def _alarm(
    i: int,
    looks: Ints,
    terms: _Terms,
    evidence: Floats,
    *,
    threshold: float,
    family: int,
    q: float,
) -> Alarm:
    hour, series = int(looks[i, 0]), int(looks[i, 1])
    # e-BH over what every series showed last in the day up to this look.
    recent = slice(int(np.searchsorted(looks[:, 0], hour - 24, side="right")), i + 1)
    newest = dict(zip(looks[recent, 1].tolist(), evidence[recent].tolist(), strict=True))
    shown = np.array(list(newest.values()))
    place = list(newest).index(series)
    window = int(terms.logs[i].argmax())
    six = WINDOWS_H.index(6)
    return Alarm(
        series=series,
        hour=hour,
        window_h=WINDOWS_H[window],
        count=float(terms.count[i, window]),
        expected=float(terms.expected[i, window]),
        evidence=float(evidence[i]),
        threshold=threshold,
        fdr_pass=bool(e_bh(shown, family=family, q=q)[place]),
        count_6h=float(terms.count[i, six]),
        expected_6h=float(terms.expected[i, six]),
    )
