"""Looks for alarms in all series of one product: at every hour at which a complaint arrived."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from closeloop.stats.baseline import HOLD_BACK_DAYS, HOURS_A_WEEK, Baselines, Floats, Ints
from closeloop.stats.busy import LEAST_DAYS
from closeloop.stats.busy_looks import BusyLooks, busy_looks
from closeloop.stats.evidence import (
    GAPS_H,
    HOURS_A_MONTH,
    WINDOWS_H,
    Bools,
    e_bh,
    surge_factor,
    surge_gate,
    window_terms,
)
from closeloop.stats.series import SeriesData, product_baselines

MIN_HISTORY_DAYS = 14
"""With less history there is not enough evidence of what is usual, but of a busy series."""
BURSTING_PHI = 0.5
"""Where a busy series' hours vary so much, by seven tenths of what they are, no gamma law says how
high the next one is: windows of less than a day are left to the peaks of the days before."""
LOG_CAP = 600.0
"""Evidence beyond e^600 is stored as that."""
LASTING_H = 72
LASTING_EVIDENCE = 10.0
"""A window of more than three days counts while its last three show so much evidence themselves."""
_SERIES_SHIFT = 24
"""Series and hour in one sortable number: hours since 1970 stay under 2^24 for 1,900 years."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One series at one hour whose evidence reached the threshold.

    `count` complaints lie in the `window_h` hours that end with `hour` (the window of the largest
    term) where `expected` were; both also for the last six hours. `share` of all feedback of the
    window is its, where `usual_share` is usual; `exposure_ratio` is the users or orders in the
    window over the usual, None where none are known. `evidence` is the e-value. With `peak` the peaks
    of a busy series said more, and it is 1 over the alarms that chance alone raises in a month. Of a
    history too young for a baseline `by_hour` holds what usually comes at each hour of the day (UTC),
    which `expected` rests on then.
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
    share: float
    usual_share: float
    exposure_ratio: float | None
    peak: bool = False
    by_hour: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """All alarms in order of time, how many looks were taken, and the baselines they rest on."""

    alarms: tuple[Alarm, ...]
    looks: int
    baselines: Baselines


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

    An alarm needs M >= N 720 / B (`family` N series, `false_alarms` B a product and month), M the
    sum of those windows' terms that pass the surge gate; or, in a busy series, a peak that chance
    alone brings on B of 30 N days. Evidence can rise only when a complaint arrives, so only such
    hours are looked at. `first_day` is where the product's history begins.
    """
    known = product_baselines(data, first_day=first_day, last_day=max(until // 24, first_day))
    looks = _looks(data, since=since, until=until, known=known)
    if not len(looks):
        return Scan((), 0, known)
    threshold = family / false_alarms
    terms = _terms(looks, data, known, hours_phi=np.zeros(len(looks)))
    evidence = _evidence(terms.logs)
    asked = evidence >= threshold
    reached = np.flatnonzero(asked)
    busy = busy_looks(
        looks,
        terms.count,
        terms.everything,
        data,
        known,
        asked=asked,
        needed=float(np.log(threshold)),
    )
    again = reached[busy.hours_phi[reached] > 0]
    if len(again):
        anew = _terms(looks[again], data, known, hours_phi=busy.hours_phi[again])
        terms.logs[again] = anew.logs
    terms.logs[reached] = _gated(terms, reached, needed=float(np.log(threshold * HOURS_A_MONTH)))
    evidence[reached] = _evidence(terms.logs[reached])
    peaks = np.exp(np.minimum(busy.log_evidence, LOG_CAP))
    shown = np.maximum(evidence, peaks)
    judged = known.known_days[_today(looks[:, 0], known)] >= MIN_HISTORY_DAYS
    alarms = tuple(
        _alarm(
            i,
            looks,
            terms,
            _peak(i, looks, terms, busy, judged=judged)
            if peaks[i] > evidence[i]
            else _rise(i, int(terms.logs[i].argmax()), terms),
            shown,
            threshold,
            data=data,
            family=family,
            q=q,
        )
        for i in np.flatnonzero(shown >= threshold).tolist()
    )
    return Scan(alarms, int((judged | (busy.hours_phi > 0)).sum()), known)


def _evidence(logs: Floats) -> Floats:
    # As logaddexp.reduce, and several times as fast.
    most = np.maximum(logs.max(axis=1, initial=-np.inf), -1e300)
    with np.errstate(divide="ignore"):
        total = most + np.log(np.exp(logs - most[:, None]).sum(axis=1)) - np.log(HOURS_A_MONTH)
    return np.asarray(np.exp(np.minimum(total, LOG_CAP)))


@dataclass(frozen=True, slots=True)
class _Terms:
    """Arrays [looks, windows]: log terms, own count and expectation, all feedback's count.

    `share` is what part of all feedback the series usually is, `shape` what the baseline rests on.
    """

    logs: Floats
    count: Floats
    expected: Floats
    everything: Floats
    share: Floats
    shape: Floats


def _looks(data: SeriesData, *, since: int, until: int, known: Baselines) -> Ints:
    """Return (hour, series) pairs in order of time."""
    hour = data.hours[data.member_row]
    wanted = data.testable & (hour >= since) & (hour <= until)
    wanted &= (_today(hour, known) > LEAST_DAYS) & (data.weight[data.member_row] > 0)
    wanted &= hour >= data.ready[data.member_series]
    keys = np.unique((hour[wanted] << _SERIES_SHIFT) | data.member_series[wanted])
    return np.stack([keys >> _SERIES_SHIFT, keys & ((1 << _SERIES_SHIFT) - 1)], axis=1)


def _today(hours: Ints, known: Baselines) -> Ints:
    """Return the row of the baselines of the day on which each hour lies."""
    return np.clip(hours // 24 - known.first_day, 0, len(known.known_days) - 1)


def _terms(looks: Ints, data: SeriesData, known: Baselines, *, hours_phi: Floats) -> _Terms:
    """Return the terms of the looks, `hours_phi` [looks] the overdispersion of hours in busy series."""
    hours, series = looks[:, 0], looks[:, 1]
    passed = np.concatenate([[0.0], np.cumsum(known.by_hour)])
    end = hours + 1 - known.first_day * 24
    hour = data.hours[data.member_row]
    # Sorting years of complaints for a look at the last hour would take longer than the look.
    near = data.testable & (hour > hours[0] - max(WINDOWS_H)) & (hour <= hours[-1])
    own = _Counter(data.member_series[near], hour[near], data.weight[data.member_row[near]])
    own_at = own.at(series, hours)
    complaints = _by_hour(data.hours, data.weight, known)
    feedback = _by_hour(data.all_hours, data.all_weight, known)
    size = (len(looks), len(WINDOWS_H))
    logs, count, expected, everything, share, shape = (np.empty(size) for _ in range(6))
    for w, width in enumerate(WINDOWS_H):
        row = _row_before(hours, width, known)
        start = np.maximum(end - width, 0)
        mean = known.shape[row, series] / known.rate[row, series]
        total = known.shape[row, -2] / known.rate[row, -2]
        usual = known.shape[row, -1] / known.rate[row, -1]
        exposure = passed[end] - passed[start]
        count[:, w] = own_at - own.at(series, hours - width)
        everything[:, w] = feedback[end] - feedback[start]
        expected[:, w] = mean * exposure
        share[:, w] = np.clip(mean / np.maximum(usual, 1e-9), 0.0, 1.0)
        shape[:, w] = known.shape[row, series]
        surged = exposure * surge_factor(
            np.maximum(complaints[end] - complaints[start] - count[:, w], 0.0),
            np.maximum(total - mean, 0.0) * exposure,
        )
        logs[:, w] = window_terms(
            count[:, w],
            surged,
            mean=mean,
            shape=shape[:, w],
            phi=np.maximum(known.phi[row, series], hours_phi if width < 24 else 0.0),
            width=width,
        )
        if width < 24:
            logs[hours_phi >= BURSTING_PHI, w] = -np.inf
        logs[known.known_days[row] < MIN_HISTORY_DAYS, w] = -np.inf
    _drop_what_is_over(logs)
    return _Terms(logs, count, expected, everything, share, shape)


def _row_before(hours: Ints, width: int, known: Baselines) -> Ints:
    """Return the row of the baseline that knows nothing of a window: its own days never enter."""
    days = max(-(-width // 24) - HOLD_BACK_DAYS, 0)
    return np.maximum(hours // 24 - known.first_day - days, 0)


def _drop_what_is_over(logs: Floats) -> None:
    """Take out the long windows' terms of what does not go on in the last three days.

    There a complaint a day would keep a burst of last week alive. Taking a term out can only make
    the evidence less.
    """
    now = WINDOWS_H.index(LASTING_H)
    over = logs[:, now] < np.log(GAPS_H[now] * LASTING_EVIDENCE)
    logs[over, now + 1 :] = -np.inf


def _by_hour(hours: Ints, weight: Floats, known: Baselines) -> Floats:
    """Return the weight that came before each hour of the baselines' days, and before their end."""
    size = len(known.by_hour)
    place = hours - known.first_day * 24
    inside = (place >= 0) & (place < size)
    counts = np.bincount(place[inside], weights=weight[inside], minlength=size)
    return np.concatenate([[0.0], np.cumsum(counts)])


class _Counter:
    """Counts complaints of a series up to an hour, by binary search."""

    def __init__(self, series: Ints, hours: Ints, weight: Floats) -> None:
        keys = (series << _SERIES_SHIFT) | hours
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._sums = np.concatenate([[0.0], np.cumsum(weight[order])])

    def at(self, series: Ints, hours: Ints) -> Floats:
        """Return the weight up to each of `hours`, inclusive; differences count what lies between."""
        key = (series << _SERIES_SHIFT) | hours
        return np.asarray(self._sums[np.searchsorted(self._keys, key, side="right")])


def _gated(terms: _Terms, reached: Ints, *, needed: float) -> Floats:
    """Return the log terms of the looks, without windows that a surge of everything explains.

    Taken window by window: a broad rise in the longest must not hide what stands out in hours. A
    term so small that eight of its size would not reach the threshold needs no test.
    """
    kept = terms.logs[reached].copy()
    look, window = np.nonzero(kept >= needed - np.log(len(WINDOWS_H)))
    kept[kept < needed - np.log(len(WINDOWS_H))] = -np.inf
    at = reached[look]
    passed = surge_gate(
        terms.count[at, window],
        terms.everything[at, window],
        terms.share[at, window],
        shape=terms.shape[at, window],
    )
    kept[look[~passed], window[~passed]] = -np.inf
    return np.asarray(kept)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an alarm rests on: a window's place, what was expected in it and in six hours, its usual share."""

    window: int
    expected: float
    expected_6h: float
    usual_share: float
    peak: bool = False
    by_hour: tuple[float, ...] | None = None


def _rise(i: int, window: int, terms: _Terms) -> _Shown:
    return _Shown(
        window,
        float(terms.expected[i, window]),
        float(terms.expected[i, WINDOWS_H.index(6)]),
        float(terms.share[i, window]),
    )


def _peak(i: int, looks: Ints, terms: _Terms, busy: BusyLooks, *, judged: Bools) -> _Shown:
    rise = _rise(i, int(busy.window[i]), terms)
    shown = replace(rise, usual_share=float(busy.share[i]), peak=True)
    if judged[i]:
        return shown
    usual, end = busy.by_hour[i], int(looks[i, 0]) + 1
    expected, expected_6h = (
        float(usual[np.arange(end - width, end) % 24].sum())
        for width in (WINDOWS_H[shown.window], 6)
    )
    return replace(shown, expected=expected, expected_6h=expected_6h, by_hour=tuple(usual.tolist()))


def _alarm(
    i: int,
    looks: Ints,
    terms: _Terms,
    shown: _Shown,
    evidence: Floats,
    threshold: float,
    *,
    data: SeriesData,
    family: int,
    q: float,
) -> Alarm:
    hour, series = int(looks[i, 0]), int(looks[i, 1])
    # e-BH over what every series showed last in the day up to this look.
    recent = slice(int(np.searchsorted(looks[:, 0], hour - 24, side="right")), i + 1)
    newest = dict(zip(looks[recent, 1].tolist(), evidence[recent].tolist(), strict=True))
    seen = np.array(list(newest.values()))
    place = list(newest).index(series)
    window = shown.window
    return Alarm(
        series=series,
        hour=hour,
        window_h=WINDOWS_H[window],
        count=float(terms.count[i, window]),
        expected=shown.expected,
        evidence=float(evidence[i]),
        threshold=threshold,
        fdr_pass=bool(e_bh(seen, family=family, q=q)[place]),
        count_6h=float(terms.count[i, WINDOWS_H.index(6)]),
        expected_6h=shown.expected_6h,
        share=float(terms.count[i, window] / max(terms.everything[i, window], 1e-9)),
        usual_share=shown.usual_share,
        exposure_ratio=_exposure_ratio(data, hour, WINDOWS_H[window]),
        peak=shown.peak,
        by_hour=shown.by_hour,
    )


def _exposure_ratio(data: SeriesData, hour: int, width: int) -> float | None:
    """Return the window's users or orders over those of the same hours of the four weeks before."""
    if data.exposure is None:
        return None
    inside = np.arange(hour + 1 - width, hour + 1)
    before = inside[:, None] - HOURS_A_WEEK * np.arange(1, 5)[None, :]
    return float(data.exposure.of(inside).sum() / data.exposure.of(before).mean(axis=1).sum())
