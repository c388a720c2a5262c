"""Shortfalls: what is told as silence or a part, what isn't, and when it is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.stats.baseline import baselines
from closeloop.stats.shortfall import TO_NOTHING, at_ceiling, shortfalls

FIRST_DAY = 18_000
DAYS = 90
RHYTHM = 1.0 + 0.8 * np.sin((np.arange(24) - 9.0) * np.pi / 12.0)


def volume(rate: float, *, seed: int = 1, days: int = DAYS, phi: float = 0.05) -> np.ndarray:
    """Hourly counts of a source with a daily rhythm, its days overdispersed."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(1.0 / phi, phi, days)
    return rng.poisson(rate * level[:, None] * RHYTHM / 24.0).ravel().astype(float)


def found(counts: np.ndarray, *, since: int = 0, **options):
    by_day = counts.reshape(-1, 24)
    daily = by_day.sum(axis=1)
    weekly = np.zeros((len(daily), 168))
    for day in range(len(daily)):
        start = (FIRST_DAY + day + 3) % 7 * 24
        weekly[day, start : start + 24] = by_day[day]
    known = baselines(np.stack([daily] * 3, axis=1), weekly, first_day=FIRST_DAY)
    return shortfalls(counts, known, column=0, since=FIRST_DAY * 24 + since, **options)


def test_a_source_that_falls_silent_is_told_within_a_day_and_from_its_last_word():
    counts = volume(48.0)
    counts[80 * 24 + 10 :] = 0
    (gap,) = found(counts)
    assert gap.silent
    assert gap.since == FIRST_DAY * 24 + 1 + int(np.flatnonzero(counts)[-1])
    assert gap.known - gap.since <= 24
    assert gap.until is None
    assert gap.observed == 0 < gap.expected


def test_silence_ends_when_it_delivers_again():
    counts = volume(48.0)
    counts[70 * 24 : 73 * 24] = 0
    (gap,) = found(counts)
    assert gap.silent
    assert 73 * 24 <= gap.until - FIRST_DAY * 24 <= 75 * 24


def test_a_part_is_no_silence():
    counts = volume(96.0)
    rng = np.random.default_rng(5)
    counts[75 * 24 :] = rng.binomial(counts[75 * 24 :].astype(int), 0.25)
    (gap,) = found(counts)
    assert not gap.silent
    assert gap.observed < 0.5 * gap.expected
    assert 74 * 24 <= gap.since - FIRST_DAY * 24 <= 77 * 24


def test_usual_days_hold_no_shortfall():
    raised = sum(len(found(volume(rate, seed=s))) for s in range(20) for rate in (2.0, 40.0))
    # 40 sources over two and a half months: three are allowed at one a source and year.
    assert raised <= 3


def test_a_rare_source_may_be_still_for_days():
    counts = volume(1.0)
    counts[85 * 24 :] = 0
    assert found(counts) == []


def test_a_star_is_missing_only_where_none_comes():
    counts = volume(30.0)
    few = counts.copy()
    few[80 * 24 :: 30] = 1.0
    few[80 * 24 :] = np.where(np.arange(len(few) - 80 * 24) % 5 == 0, 1.0, 0.0)
    none = counts.copy()
    none[80 * 24 :] = 0
    assert found(few, ratios=TO_NOTHING) == []
    assert len(found(none, ratios=TO_NOTHING)) == 1


def test_new_hours_alone_say_the_same():
    counts = volume(48.0)
    counts[80 * 24 + 10 :] = 0
    whole, late = found(counts), found(counts, since=85 * 24)
    assert [g.since for g in late] == [g.since for g in whole]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_more_feedback_is_never_more_of_a_shortfall(seed):
    counts = volume(30.0, seed=seed)
    less = counts.copy()
    less[85 * 24 :] = 0
    more = less.copy()
    more[-24:] = counts[-24:]
    open_before = any(g.until is None for g in found(less))
    open_after = any(g.until is None for g in found(more))
    assert open_before >= open_after


@pytest.mark.parametrize("seed", range(3))
def test_a_page_limit_is_seen_and_chance_is_not(seed):
    rng = np.random.default_rng(seed)
    free = rng.poisson(18.0, 28 * 24).astype(float)
    assert not at_ceiling(free)
    assert at_ceiling(np.minimum(free, 20.0))
    assert not at_ceiling(np.minimum(rng.poisson(2.0, 500), 3).astype(float))
