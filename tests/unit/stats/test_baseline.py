"""The baseline: what it learns, what it must not learn, and how fast it forgets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.baseline import (
    HOLD_BACK_DAYS,
    PHI_MAX,
    PHI_MIN,
    baselines,
    hour_of_week,
    week_profiles,
)

MONDAY = 18_000 - (18_000 + 3) % 7
"""A Monday, in days since 1970."""


def track(daily: np.ndarray, first_day: int = MONDAY):
    """Baselines of one series that is all there is, complaints spread evenly over the day."""
    columns = np.stack([daily, daily, daily * 4], axis=1).astype(float)
    weekly = np.zeros((len(daily), 168))
    for day, count in enumerate(daily):
        weekday = (first_day + day + 3) % 7
        weekly[day, weekday * 24 : weekday * 24 + 24] = count / 24
    return baselines(columns, weekly, first_day=first_day)


def test_mean_approaches_the_rate():
    rng = np.random.default_rng(1)
    known = track(rng.poisson(6.0, 200))
    assert abs(known.mean[-1, 0] - 6.0) < 1.0


def test_the_last_days_are_not_known_yet():
    calm = np.full(100, 4)
    burst = calm.copy()
    burst[-(HOLD_BACK_DAYS + 1) :] = 400
    assert np.array_equal(track(calm).mean, track(burst).mean)
    burst[-(HOLD_BACK_DAYS + 2)] = 400
    assert track(burst).mean[-1, 0] > track(calm).mean[-1, 0]


def test_an_incident_does_not_become_the_norm():
    daily = np.full(120, 4)
    daily[80] = 400
    assert track(daily).mean[90, 0] < 5.0


def test_an_old_level_is_forgotten():
    known = track(np.concatenate([np.full(150, 10), np.full(150, 2)]))
    assert known.mean[150, 0] > 9.0
    assert known.mean[-1, 0] < 3.0


def test_bursty_counts_are_known_as_overdispersed():
    rng = np.random.default_rng(2)
    even = track(rng.poisson(20.0, 300))
    bursty = track(rng.poisson(rng.gamma(2.0, 10.0, 300)))
    assert bursty.phi[-1, 0] > 3 * even.phi[-1, 0]
    assert (even.phi >= PHI_MIN).all()
    assert (bursty.phi <= PHI_MAX).all()


def test_rare_series_are_pulled_to_the_products_mean_rate():
    daily = np.zeros((60, 4))
    daily[:, 0] = 6.0
    daily[:, 2] = 6.0
    daily[:, 3] = 9.0
    known = baselines(daily, np.full((60, 168), 6 / 168), first_day=MONDAY)
    assert 0.0 < known.mean[-1, 1] < 0.2


@given(st.lists(st.integers(0, 60), min_size=168, max_size=168))
def test_a_profile_is_a_week_of_average_days(counts):
    profile = week_profiles(np.asarray([counts], dtype=float))[0]
    assert abs(profile.sum() - 7.0) < 1e-9
    assert (profile > 0).all()


def test_busy_hours_get_more_exposure():
    counts = np.zeros(168)
    counts[9::24] = 200
    profile = week_profiles(counts[None, :])[0]
    assert profile[9] > 10 * profile[3]


def test_hour_of_week_starts_on_monday():
    monday_midnight = MONDAY * 24
    assert hour_of_week(np.array([monday_midnight]))[0] == 0
    assert hour_of_week(np.array([monday_midnight - 1]))[0] == 167
