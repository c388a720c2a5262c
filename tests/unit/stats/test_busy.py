"""Peaks of busy days: what they lead one to expect, how unusual a higher one is, how hours vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.stats.busy import (
    BUSY_PEAK,
    LEAST_DAYS,
    PEAK_WINDOWS_H,
    daily_peaks,
    hour_overdispersion,
    in_days_before,
    pooled,
)

RHYTHM = 1.0 + 0.7 * np.sin((np.arange(24) - 9.0) * np.pi / 12.0)


def hourly(seed: int, *, days: int = 60, rate: float = 20.0, spread: float = 0.3):
    """Complaints of a day vary by `spread` (sd of the logarithm), its hours by chance."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(0.0, spread, days))
    return rng.poisson(rate * np.outer(level, RHYTHM)).ravel().astype(float)


def whole(days: int):
    return np.arange(days) > 0


def windows(counts):
    passed = np.concatenate([[0.0], np.cumsum(counts)])
    end = np.arange(len(counts)) + 1
    return np.stack([passed[end] - passed[np.maximum(end - w, 0)] for w in PEAK_WINDOWS_H], axis=1)


@given(
    st.lists(st.integers(0, 400), min_size=24 * 6, max_size=24 * 12).filter(lambda v: any(v)),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_only_earlier_days_count(values, cut):
    counts = np.array(values[: len(values) // 24 * 24], dtype=float)
    days = len(counts) // 24
    known = daily_peaks(counts, whole(days))
    at = days - 1 - cut
    changed = counts.copy()
    changed[at * 24 :] = 9_999.0
    later = daily_peaks(changed, whole(days))
    for before, after in zip((known.usual, known.spread), (later.usual, later.spread), strict=True):
        assert np.array_equal(before[: at + 1], after[: at + 1])


@given(st.lists(st.integers(1, 500), min_size=24 * 8, max_size=24 * 8))
@settings(max_examples=60, deadline=None)
def test_the_usual_peak_lies_among_those_that_were_there(values):
    counts = np.array(values, dtype=float)
    known = daily_peaks(counts, whole(8))
    peaks = np.log(windows(counts)).reshape(8, 24, -1).max(axis=1)[1:7]
    assert (known.usual[7] >= peaks.min(axis=0) - 1e-9).all()
    assert (known.usual[7] <= peaks.max(axis=0) + 1e-9).all()
    assert (known.spread[7] > 0).all()


def test_a_series_is_busy_from_its_peaks_and_after_three_whole_days():
    calm = daily_peaks(np.full(24 * 10, BUSY_PEAK / 3 - 0.5), whole(10))
    busy = daily_peaks(np.full(24 * 10, BUSY_PEAK / 3 + 0.5), whole(10))
    assert not calm.busy.any()
    assert busy.busy.tolist() == [False] * (LEAST_DAYS + 1) + [True] * (9 - LEAST_DAYS)


def test_days_that_are_not_whole_do_not_count():
    counts = hourly(1, days=20)
    partial = counts.copy()
    partial[24 * 10 : 24 * 12] = 0.0
    kept = whole(20)
    kept[10:12] = False
    known, with_gap = daily_peaks(counts, whole(20)), daily_peaks(partial, kept)
    assert with_gap.known[19] == known.known[19] - 2
    assert with_gap.usual[19] == pytest.approx(known.usual[19], abs=0.15)
    # As days of their own they would pull the usual peak down.
    assert (daily_peaks(partial, whole(20)).usual[19] < with_gap.usual[19]).all()


def test_a_spread_is_that_of_the_days_with_the_prior_and_of_a_new_day():
    counts = np.ones(24 * 5)
    counts[[24 + 5, 48 + 5, 72 + 5]] = [10.0, 20.0, 40.0]
    known = daily_peaks(counts, whole(5))
    assert known.known[4] == 3
    logs = np.log([10.0, 20.0, 40.0])
    variance = (3 * logs.var(ddof=1) + 10 * 0.2**2) / 13
    assert known.usual[4, 0] == pytest.approx(logs.mean())
    assert known.spread[4, 0] == pytest.approx(np.sqrt(variance * (1 + 1 / 3)))


def test_a_weekday_that_is_always_busier_is_held_against_its_own():
    days = 60
    monday = np.arange(days) % 7 == 3
    flat = hourly(5, days=days, spread=0.05)
    busier = flat * np.repeat(np.where(monday, 2.5, 1.0), 24)
    known, other = daily_peaks(busier, whole(days)), daily_peaks(flat, whole(days))
    at = np.flatnonzero(monday)
    # Three of them tell it; before that, and on all other days, nothing is different.
    assert (known.usual[at[4:]] > other.usual[at[4:]] + 0.7).all()
    assert (np.abs(known.usual[at[1] + 1 : at[2]] - other.usual[at[1] + 1 : at[2]]) < 0.25).all()
    holiday = busier.copy()
    holiday[at[6] * 24 : (at[6] + 1) * 24] /= 5.0
    assert daily_peaks(holiday, whole(days)).usual[at[8]] == pytest.approx(
        known.usual[at[8]], abs=0.1
    )
    once = flat.copy()
    once[at[6] * 24 : (at[6] + 1) * 24] *= 2.5
    assert (daily_peaks(once, whole(days)).usual[at[7]] < known.usual[at[7]] - 0.5).all()


def test_peaks_are_in_proportion_to_the_days_users_and_busy_is_not():
    days = 40
    level = np.repeat(np.where(np.arange(days) < 20, 1.0, 3.0), 24)
    counts = np.repeat(np.where(np.arange(days) < 20, 10.0, 30.0), 24)
    known = daily_peaks(counts, whole(days), level)
    assert known.usual[39] == pytest.approx(np.log([10.0, 30.0]), abs=0.02)
    assert known.spread[39] == pytest.approx(
        daily_peaks(np.full(960, 10.0), whole(days)).spread[39]
    )
    few = daily_peaks(np.full(960, 1.0), whole(days), np.full(960, 0.05))
    assert np.exp(few.usual[39, 1]) > BUSY_PEAK
    assert not few.busy.any()


def test_an_earlier_incident_does_not_become_the_norm():
    counts = hourly(2, spread=0.1)
    bad = counts.copy()
    bad[24 * 40 : 24 * 42] *= 20.0
    usual = daily_peaks(counts, whole(60)).usual[59]
    assert (daily_peaks(bad, whole(60)).usual[59] - usual < 0.1).all()
    again = daily_peaks(bad, whole(60)).log_evidence(np.array([59]), np.exp(usual)[None, :] * 20.0)
    assert (again > np.log(20.0)).all()


@given(st.integers(1, 5_000), st.integers(1, 500))
def test_more_complaints_are_never_less_evidence(count, more):
    known = daily_peaks(hourly(3), whole(60))
    day = np.array([50, 50])
    low, high = known.log_evidence(day, np.array([[count] * 2, [count + more] * 2], dtype=float))
    assert (high >= low).all()


def test_chance_reaches_zero_about_once_a_month():
    alarms = days = 0
    for seed in range(60):
        counts = hourly(seed)
        known = daily_peaks(counts, whole(60))
        hour = np.arange(24 * 20, 24 * 60)
        logs = known.log_evidence(hour // 24, windows(counts)[hour]).max(axis=1)
        alarms += int((logs.reshape(-1, 24).max(axis=1) >= 0.0).sum())
        days += 40
    # 80 months, one alarm allowed in each.
    assert 0.4 * days / 30 <= alarms <= 1.3 * days / 30


def test_what_is_deep_in_the_tail_is_rare():
    deep = 0
    for seed in range(60):
        counts = hourly(seed)
        known = daily_peaks(counts, whole(60))
        hour = np.arange(24 * 20, 24 * 60)
        logs = known.log_evidence(hour // 24, windows(counts)[hour]).max(axis=1)
        deep += int((logs.reshape(-1, 24).max(axis=1) >= np.log(20.0)).sum())
    # Of one in twenty series 80 / 20 = 4 are allowed.
    assert deep <= 6


def test_what_the_other_busy_series_tell_is_the_prior_of_each():
    calm = [daily_peaks(hourly(seed, days=8, spread=0.05), whole(8)) for seed in range(8)]
    wild = [daily_peaks(hourly(seed, days=8, spread=0.8), whole(8)) for seed in range(8)]
    rare = daily_peaks(hourly(9, days=8, rate=0.5, spread=2.0), whole(8))
    alone = pooled([calm[0]])[0]
    assert np.array_equal(alone.spread, calm[0].spread)
    among_calm, *_ = pooled([calm[0], *calm[1:], rare])
    among_wild, *_ = pooled([calm[0], *wild])
    assert (among_calm.spread[7] < alone.spread[7]).all()
    assert (among_wild.spread[7] > 1.5 * alone.spread[7]).all()
    # Neither its own days nor those of a series that is not busy are in it.
    assert np.array_equal(pooled([calm[0], rare])[0].spread, alone.spread)
    one, other = (pooled([wild[0], own])[1].prior for own in (calm[1], calm[2]))
    assert one == pytest.approx(other, rel=1e-9)


def test_hours_that_vary_as_days_do_have_the_overdispersion_of_days():
    days = 60
    counts = hourly(4, days=days, spread=0.0)
    flat = {
        "mean": np.full(days, 20.0 * 24.0),
        "shape": np.full(days, 5_000.0),
        "phi": np.full(days, 0.05),
        "told": whole(days),
    }
    by_hour = np.tile(RHYTHM / 24.0, days)
    calm = hour_overdispersion(counts, by_hour, **flat)
    assert (calm >= 0.05).all()
    assert calm[50] < 0.08
    rng = np.random.default_rng(4)
    bursts = rng.poisson(20.0 * np.tile(RHYTHM, days) * rng.gamma(0.5, 2.0, days * 24))
    assert hour_overdispersion(bursts.astype(float), by_hour, **flat)[50] > 1.0
    untold = {**flat, "told": np.zeros(days, dtype=bool)}
    assert np.array_equal(hour_overdispersion(bursts.astype(float), by_hour, **untold), flat["phi"])


def test_what_came_in_the_last_days_does_not_tell_of_hours():
    days = 60
    counts = hourly(4, days=days, spread=0.0)
    held = {
        "mean": np.full(days, 480.0),
        "shape": np.full(days, 5_000.0),
        "phi": np.full(days, 0.05),
        "told": whole(days),
    }
    by_hour = np.tile(RHYTHM / 24.0, days)
    burst = counts.copy()
    burst[24 * 56 + 10] = 2_000.0
    calm, seen = (hour_overdispersion(c, by_hour, **held) for c in (counts, burst))
    assert np.array_equal(calm[:60], seen[:60])
    silent = np.where(np.repeat(np.arange(days) // 10 == 3, 24), 0.0, counts)
    taken = hour_overdispersion(silent, by_hour, **held)
    left_out = hour_overdispersion(
        silent, by_hour, **{**held, "told": whole(days) & (np.arange(days) // 10 != 3)}
    )
    assert taken[50] > 2 * left_out[50]


def test_sums_of_the_days_before():
    assert in_days_before(np.arange(5.0), 2).tolist() == pytest.approx([0.0, 0.0, 1.0, 3.0, 5.0])
