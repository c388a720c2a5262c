"""The scan: finds what rose, says nothing of calm and of surges, and only knows the past."""

from __future__ import annotations

import numpy as np
import pytest

from closeloop.stats.scan import SeriesData, scan

DAYS = 70
FIRST_DAY = 18_000
END = (FIRST_DAY + DAYS) * 24
RATES = (3.0, 1.0, 0.5, 0.2)
"""Complaints a day of four series; beside them 12 pieces of feedback a day that are none."""


def history(seed: int, *, days: int = DAYS) -> list[tuple[int, int]]:
    """(hour, series) of complaints, series -1 for feedback that is none."""
    rng = np.random.default_rng(seed)
    rows = []
    for series, rate in enumerate((*RATES, 12.0)):
        for _ in range(rng.poisson(rate * days)):
            hour = FIRST_DAY * 24 + int(rng.integers(days * 24))
            rows.append((hour, series if series < len(RATES) else -1))
    return rows


def look(rows, *, since=FIRST_DAY * 24, until=END, family=4, ready=0, formed=()):
    rows = sorted(rows)
    hours = np.array([h for h, _ in rows], dtype=np.int64)
    series = np.array([s for _, s in rows], dtype=np.int64)
    complaint = series >= 0
    return scan(
        SeriesData(
            hours=hours[complaint],
            weight=np.ones(int(complaint.sum())),
            all_hours=hours,
            all_weight=np.ones(len(hours)),
            member_row=np.arange(int(complaint.sum())),
            member_series=series[complaint],
            testable=~np.isin(series[complaint], formed),
            ready=np.full(len(RATES), ready, dtype=np.int64),
        ),
        since=since,
        until=until,
        first_day=FIRST_DAY,
        family=family,
        false_alarms=1.0,
        q=0.1,
    )


def test_a_rise_is_found_with_its_count_and_expectation():
    burst = [(END - 5 + i % 3, 2) for i in range(9)]
    found = look([*history(1), *burst])
    (first, *_) = [a for a in found.alarms if a.series == 2]
    assert first.hour >= END - 5
    assert first.count <= 9
    assert first.expected < 1.0
    assert first.evidence >= first.threshold == 4.0
    last = found.alarms[-1]
    assert last.fdr_pass
    assert last.count_6h == 9


def test_calm_raises_little():
    alarms = sum(bool(look(history(seed)).alarms) for seed in range(30))
    # 30 histories of two months: 60 false alarms are allowed, a quarter of that is far from it.
    assert alarms <= 15


def test_a_surge_of_everything_is_passed_over():
    rng = np.random.default_rng(5)
    rows = history(2)
    surge = [
        (END - 1 - int(rng.integers(24)), s)
        for s, rate in (*enumerate(RATES), (-1, 12.0))
        for _ in range(rng.poisson(4 * rate))
    ]
    assert not [a for a in look([*rows, *surge]).alarms if a.hour >= END - 24]


def test_evidence_does_not_know_the_future():
    rows = history(3)
    burst = [(END - 100, 1)] * 8
    later = [(END - 3, 1)] * 50
    until = END - 99
    seen = look([*rows, *burst], until=until)
    assert seen.alarms
    assert look([*rows, *burst, *later], until=until).alarms == seen.alarms


def test_a_look_at_the_new_hours_alone_says_the_same():
    rows = [*history(4), *[(END - 3, 3)] * 6]
    whole = [a for a in look(rows).alarms if a.hour >= END - 10]
    assert whole
    assert list(look(rows, since=END - 10).alarms) == whole


def test_without_two_weeks_of_history_nothing_is_raised():
    rows = [(FIRST_DAY * 24 + 24 * d + h, 0) for d in range(10) for h in (3, 15)]
    burst = [(FIRST_DAY * 24 + 240, 0)] * 40
    assert look([*rows, *burst], until=FIRST_DAY * 24 + 241).looks == 0


def test_a_series_is_not_looked_at_before_it_is_ready():
    rows = [*history(1), *[(END - 3, 2)] * 9]
    assert look(rows).alarms
    assert not look(rows, ready=END).alarms


def test_texts_that_formed_a_theme_are_no_evidence_for_it():
    rows = [*history(1), *[(END - 3, 2)] * 9]
    assert not [a for a in look(rows, formed=(2,)).alarms if a.series == 2]


@pytest.mark.parametrize("family", [4, 4_000])
def test_more_series_ask_for_more_evidence(family):
    rows = [*history(1), *[(END - 3, 2)] * 4]
    raised = [a for a in look(rows, family=family).alarms if a.hour >= END - 3]
    assert bool(raised) == (family == 4)
