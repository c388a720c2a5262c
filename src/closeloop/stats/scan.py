"""Looks for alarms in all series of one product: at every hour at which a complaint arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import (
    HISTORY_DAYS,
    HOLD_BACK_DAYS,
    BaselineTrack,
    DailyBaseline,
    Floats,
    Ints,
    hour_of_week,
    window_exposure,
)
from closeloop.stats.evidence import (
    HOURS_A_MONTH,
    WINDOWS_H,
    e_bh,
    surge_factor,
    surge_gate,
    window_terms,
)


@dataclass(frozen=True, slots=True)
class SeriesData:
    """Complaints of one product, in order of time.

    `hours` (since 1970) of every complaint of the product that counts; `member_series` and
    `member_row` say which complaints belong to which of `series` series; `testable` marks the
    complaints that may raise an alarm (others, of a suspended stratum say, train only).
    """

    hours: Ints
    member_series: Ints
    member_row: Ints
    series: int
    testable: np.ndarray  # type: ignore[type-arg]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One series at one hour whose evidence reached the threshold."""

    series: int
    hour: int
    window_h: int
    count: int
    expected: float
    evidence: float
    threshold: float
    fdr_pass: bool
    count_6h: int
    expected_6h: float


@dataclass(frozen=True, slots=True)
class Look:
    """The looks of one scan: each a series at an hour, with its e-value."""

    alarms: list[Alarm]
    looks: int


def scan(
    data: SeriesData, *, since: int, until: int, false_alarms: float, q: float
) -> Look:
    """Return all alarms at hours in [since, until], from baselines that only know the past.

    An alarm needs M >= N 720 / B (N series, B false alarms a product and month) and to pass the
    surge gate. Evidence can rise only when a complaint arrives, so only such hours are looked at.
    """
    if data.series == 0 or len(data.hours) == 0:
        return Look([], 0)
    testable_member = data.testable[data.member_row]
    member_hour = data.hours[data.member_row]
    candidates = testable_member & (member_hour >= since) & (member_hour <= until)
    if not candidates.any():
        return Look([], 0)
    looks = np.unique(
        np.stack([member_hour[candidates], data.member_series[candidates]], axis=1), axis=0
    )
    baselines = _baselines(data, days=np.unique(looks[:, 0] // 24))
    tested = _sorted_hours(data, testable_member, member_hour)
    total = np.sort(data.hours[data.testable])
    evidence, best = _evidence(looks, baselines, tested, total)
    threshold = data.series / false_alarms
    alarms = [
        _alarm(i, looks, best, evidence, threshold, baselines, tested, data.series, q)
        for i in np.flatnonzero(evidence >= threshold)
        if best.gate[i]
    ]
    return Look(alarms, len(looks))


@dataclass(slots=True)
class _Best:
    window: Ints
    count: Floats
    expected: Floats
    gate: np.ndarray  # type: ignore[type-arg]


def _baselines(data: SeriesData, *, days: Ints) -> dict[int, DailyBaseline]:
    """Return the baseline in force on each of the days (since 1970)."""
    wanted = {int(d) for d in days}
    last = max(wanted)
    first = max(int(data.hours.min()) // 24, min(wanted) - HISTORY_DAYS)
    member_day = data.hours[data.member_row] // 24
    inside = (member_day >= first) & (member_day <= last)
    counts = np.zeros((last - first + 1, data.series))
    np.add.at(counts, (member_day[inside] - first, data.member_series[inside]), 1.0)
    day_of_row = data.hours // 24
    starts = np.searchsorted(np.sort(day_of_row), np.arange(first, last + 2))
    ordered = hour_of_week(data.hours[np.argsort(day_of_row, kind="stable")])
    track = BaselineTrack(data.series)
    found: dict[int, DailyBaseline] = {}
    for day in range(first, last + 1):
        folded = day - HOLD_BACK_DAYS - 1
        if folded >= first:
            position = folded - first
            track.fold(
                counts[position],
                hours_of_week=ordered[starts[position] : starts[position + 1]],
                weekday=(folded + 3) % 7,
            )
        if day in wanted:
            found[day] = track.baseline()
    return found


def _sorted_hours(data: SeriesData, testable: Ints, hours: Ints) -> list[Ints]:
    order = np.lexsort((hours, data.member_series))
    order = order[testable[order]]
    series, sorted_hours = data.member_series[order], hours[order]
    edges = np.searchsorted(series, np.arange(data.series + 1))
    return [sorted_hours[edges[s] : edges[s + 1]] for s in range(data.series)]


def _evidence(
    looks: Ints, baselines: dict[int, DailyBaseline], tested: list[Ints], total: Ints
) -> tuple[Floats, _Best]:
    hours, series = looks[:, 0], looks[:, 1]
    days = hours // 24
    rows = len(looks)
    mean, shape, phi, everything = (np.zeros(rows) for _ in range(4))
    exposure = np.zeros((rows, len(WINDOWS_H)))
    for day in np.unique(days):
        at = np.flatnonzero(days == day)
        base = baselines[int(day)]
        mean[at] = base.mean[series[at]]
        shape[at], phi[at] = base.shape[series[at]], base.phi[series[at]]
        everything[at] = base.mean.sum()
        for w, width in enumerate(WINDOWS_H):
            exposure[at, w] = window_exposure(base.profile, hours[at], width)
    counts = np.zeros((rows, len(WINDOWS_H)))
    all_counts = np.zeros((rows, len(WINDOWS_H)))
    for s in np.unique(series):
        at = np.flatnonzero(series == s)
        for w, width in enumerate(WINDOWS_H):
            counts[at, w] = _within(tested[s], hours[at], width)
    for w, width in enumerate(WINDOWS_H):
        all_counts[:, w] = _within(total, hours, width)
    logs = np.zeros((rows, len(WINDOWS_H)))
    share = np.clip(mean / np.maximum(everything, 1e-9), 0.0, 1.0)
    for w, width in enumerate(WINDOWS_H):
        others = np.maximum(all_counts[:, w] - counts[:, w], 0.0)
        expected_others = np.maximum(everything - mean, 0.0) * exposure[:, w]
        surged = exposure[:, w] * surge_factor(others, expected_others)
        logs[:, w] = window_terms(
            counts[:, w], surged, mean=mean, shape=shape, phi=phi, width=width
        )
    evidence = np.exp(np.minimum(np.logaddexp.reduce(logs, axis=1), 600.0)) / HOURS_A_MONTH
    largest = logs.argmax(axis=1)
    pick = (np.arange(rows), largest)
    best = _Best(
        window=np.asarray(WINDOWS_H)[largest],
        count=counts[pick],
        expected=mean * exposure[pick],
        gate=np.zeros(rows, dtype=np.bool_),
    )
    strong = np.flatnonzero(evidence >= 1.0)
    best.gate[strong] = surge_gate(
        counts[pick][strong], np.maximum(all_counts[pick][strong], counts[pick][strong]), share[strong]
    )
    return evidence, best


def _within(sorted_hours: Ints, hours: Ints, width: int) -> Ints:
    upto = np.searchsorted(sorted_hours, hours, side="right")
    return np.asarray(upto - np.searchsorted(sorted_hours, hours - width, side="right"))


def _alarm(
    i: int,
    looks: Ints,
    best: _Best,
    evidence: Floats,
    threshold: float,
    baselines: dict[int, DailyBaseline],
    tested: list[Ints],
    series: int,
    q: float,
) -> Alarm:
    hour, which = int(looks[i, 0]), int(looks[i, 1])
    # e-BH over what every series showed in the day up to this hour.
    recent = np.flatnonzero((looks[:, 0] > hour - 24) & (looks[:, 0] <= hour))
    shown = np.zeros(series)
    shown[looks[recent, 1]] = evidence[recent]
    shown[which] = evidence[i]
    base = baselines[hour // 24]
    one = np.array([hour])
    exposure_6h = float(window_exposure(base.profile, one, 6)[0])
    return Alarm(
        series=which,
        hour=hour,
        window_h=int(best.window[i]),
        count=int(best.count[i]),
        expected=float(best.expected[i]),
        evidence=float(evidence[i]),
        threshold=threshold,
        fdr_pass=bool(e_bh(shown, family=series, q=q)[which]),
        count_6h=int(_within(tested[which], one, 6)[0]),
        expected_6h=float(base.mean[which] * exposure_6h),
    )
