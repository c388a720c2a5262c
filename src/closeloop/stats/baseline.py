"""What a series leads one to expect: a gamma-Poisson baseline with an hour-of-week profile.

Source of the formulas and of every constant: measured on simulated series and on the histories of
18 apps (false alarms per series and month at a nominal .01: quiet 0, overdispersed .002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HALF_LIFE_DAYS = 28.0
DECAY = 0.5 ** (1.0 / HALF_LIFE_DAYS)
HOLD_BACK_DAYS = 3
"""The last days never enter the baseline: trouble that has just begun must not hide itself."""
PROFILE_PRIOR = 50.0
"""Pseudo-complaints that pull an hour of the week to its hour of day times its day of week."""
PHI_MIN, PHI_MAX = 0.02, 2.0
PHI_POOL_WEIGHT = 200.0
PHI_START = 0.1
CAP_SD = 2.5
HOURS_A_WEEK = 168
HISTORY_DAYS = 400
"""Days folded in where a baseline is made for a live look: 14 half-lives."""


@dataclass(frozen=True, slots=True)
class DailyBaseline:
    """The baseline in force on one day: arrays of one value a series.

    Expected complaints in exposure E: (A / B) E; A and B are the gamma posterior, `phi` the
    overdispersion of daily counts. `profile` [168] is the share of a day's exposure of each hour
    of the week (Monday 0 h UTC first); it sums to 7.
    """

    shape: Floats
    rate: Floats
    phi: Floats
    profile: Floats

    @property
    def mean(self) -> Floats:
        """Expected complaints of an average day."""
        return np.asarray(self.shape / self.rate)


def hour_of_week(hours: Ints) -> Ints:
    """Return the hour of the week, Monday 0 h first, of hours since 1970 (a Thursday)."""
    return np.asarray((hours + 72) % HOURS_A_WEEK)


def week_profile(counts: Floats) -> Floats:
    """Return the exposure of each hour of the week from counts [168]; it sums to 7.

    Hours are shrunk with 50 pseudo-complaints to hour of day times day of week, and those to
    evenness with one pseudo-complaint an hour and a day.
    """
    table = counts.reshape(7, 24)
    by_day = (table.sum(axis=1) + 24.0) / (table.sum() + 168.0)
    by_hour = (table.sum(axis=0) + 7.0) / (table.sum() + 168.0)
    expected = np.outer(by_day, by_hour)
    shares = (table + PROFILE_PRIOR * expected) / (table.sum() + PROFILE_PRIOR)
    return np.asarray(shares.reshape(-1) * 7.0 / shares.sum())


class BaselineTrack:
    """Folds days in one after another and gives the baseline in force on each day.

    Day d's baseline knows days before d - 3 only. A day's count is capped at
    m + 2.5 sqrt(m + (phi + 1/A) m^2) + 1 before it is folded in, so that an earlier incident
    doesn't become the norm; phi is not trimmed (that doubled false discoveries).
    """

    def __init__(self, series: int) -> None:
        self._shape = np.zeros(series)
        self._exposure = np.zeros(series)
        self._excess = np.zeros(series)
        self._square = np.zeros(series)
        self._phi = np.full(series, PHI_START)
        self._profile_counts = np.zeros(HOURS_A_WEEK)
        self._seen = 0.0
        self._days = 0.0

    def fold(self, counts: Floats, *, hours_of_week: Ints, weekday: int) -> None:
        """Fold in one day: counts [series], the product's complaints by hour of the week."""
        now = self.baseline()
        exposure = float(now.profile[weekday * 24 : weekday * 24 + 24].sum())
        mean = now.mean * exposure
        spread = np.sqrt(mean + (now.phi + 1.0 / now.shape) * mean**2)
        if self._days >= 1.0:
            capped = np.minimum(counts, mean + CAP_SD * spread + 1.0)
        else:
            capped = counts
        self._excess = self._excess * DECAY + (capped - mean) ** 2 - mean - mean**2 / now.shape
        self._square = self._square * DECAY + mean**2
        self._shape = self._shape * DECAY + capped
        self._exposure = self._exposure * DECAY + exposure
        self._seen = self._seen * DECAY + float(capped.sum())
        self._days = self._days * DECAY + exposure
        np.add.at(self._profile_counts, hours_of_week, 1.0)
        pool_square = float(self._square.sum())
        pool = float(self._excess.sum()) / pool_square if pool_square > 0 else PHI_START
        pool = min(max(pool, PHI_MIN), PHI_MAX)
        self._phi = np.clip(
            (self._excess + PHI_POOL_WEIGHT * pool) / (self._square + PHI_POOL_WEIGHT),
            PHI_MIN,
            PHI_MAX,
        )

    def baseline(self) -> DailyBaseline:
        """Return the baseline from the days folded in so far."""
        series = max(1, len(self._shape))
        mean_rate = max(self._seen / max(self._days, 1.0) / series, 1e-3)
        return DailyBaseline(
            shape=0.5 + self._shape,
            rate=1.0 / (2.0 * mean_rate) + self._exposure,
            phi=self._phi.copy(),
            profile=week_profile(self._profile_counts),
        )


def window_exposure(profile: Floats, hours: Ints, width: int) -> Floats:
    """Return the exposure, in average days, of the `width` hours that end with each of `hours`."""
    doubled = np.concatenate([[0.0], np.cumsum(np.concatenate([profile, profile]))])
    end = hour_of_week(hours) + HOURS_A_WEEK + 1
    return np.asarray(doubled[end] - doubled[end - width])
