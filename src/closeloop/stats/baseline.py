"""What a series leads one to expect: a gamma-Poisson baseline with an hour-of-week profile.

The constants are the ones that did best on simulated series and on the review histories of 18
apps: at a nominal .01 false alarms per series and month, quiet series raised none and overdispersed
ones .002.
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
PHI_MIN, PHI_MAX = 0.02, 4.0
PHI_POOL_WEIGHT = 200.0
PHI_START = 0.1
CAP_SD = 2.5
HOURS_A_WEEK = 168
SLOW_HALF_LIFE_DAYS = 112.0
SLOW_DECAY = 0.5 ** (1.0 / SLOW_HALF_LIFE_DAYS)
SLOW_WORTH = 20.0
"""Complaints that what the half-life has forgotten may still count for: a series with one a month
would otherwise rest on the two or three that are remembered, one with one a day is left as it is."""
HISTORY_DAYS = 420
"""Days folded in: fifteen half-lives, and nearly four of the slow one."""
MEAN_FLOOR = 1e-3
"""Complaints a day of an average series that has shown none yet."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """The baseline in force on each day: arrays [days, series + 2], `first_day` since 1970 first.

    The last two columns are all of the product's complaints and all of its feedback.
    Expected complaints in exposure E are (shape / rate) E; `phi` is the overdispersion of daily
    counts. `profile` [days, 168] is the exposure, in average days, of each hour of the week (Monday
    0 h UTC first); it sums to 7. `known_days` [days] is how many days of history each rests on.
    `by_hour` [24 days] is the exposure of each hour: its profile times the level of users or orders
    where those are known.
    """

    first_day: int
    shape: Floats
    rate: Floats
    phi: Floats
    profile: Floats
    known_days: Ints
    by_hour: Floats

    @property
    def mean(self) -> Floats:
        """Expected complaints of an average day [days, series]."""
        return np.asarray(self.shape / self.rate)

    def row(self, day: int) -> int:
        """Return the row of a day (since 1970), held inside what is known."""
        return min(max(day - self.first_day, 0), len(self.known_days) - 1)

    def hourly(self, series: int, hours: Ints) -> Floats:
        """Return the expected complaints of a series in each of the hours (since 1970).

        All from the baseline in force on the day of the first hour.
        """
        row = self.row(int(hours[0]) // 24)
        return np.asarray(self.mean[row, series] * self.exposure(hours))

    def exposure(self, hours: Ints) -> Floats:
        """Return the exposure, in average days, of each of the hours (since 1970)."""
        place = np.clip(hours - self.first_day * 24, 0, len(self.by_hour) - 1)
        return np.asarray(self.by_hour[place])


def hour_of_week(hours: Ints) -> Ints:
    """Return the hour of the week, Monday 0 h first, of hours since 1970 (a Thursday)."""
    return np.asarray((hours + 72) % HOURS_A_WEEK)


def week_profiles(counts: Floats) -> Floats:
    """Return the exposure of each hour of the week, from complaints by hour [days, 168].

    Hours are shrunk with 50 pseudo-complaints to hour of day times day of week, and those to
    evenness with one pseudo-complaint an hour. Each row sums to 7.
    """
    table = counts.reshape(-1, 7, 24)
    total = table.sum(axis=(1, 2))
    by_day = (table.sum(axis=2) + 24.0) / (total + 168.0)[:, None]
    by_hour = (table.sum(axis=1) + 7.0) / (total + 168.0)[:, None]
    expected = by_day[:, :, None] * by_hour[:, None, :]
    shares = (table + PROFILE_PRIOR * expected) / (total + PROFILE_PRIOR)[:, None, None]
    profiles = shares.reshape(-1, HOURS_A_WEEK)
    return np.asarray(profiles * (7.0 / profiles.sum(axis=1, keepdims=True)))


def baselines(
    daily: Floats,
    by_hour_of_week: Floats,
    *,
    first_day: int,
    level: Floats | None = None,
    delivered: Floats | None = None,
) -> Baselines:
    """Return the baseline in force on each day, from days before the day minus three only.

    `daily` [days, series + 2] are the complaints of each series, all complaints, and all feedback;
    `by_hour_of_week` [days, 168] are all complaints over `level` [24 days], the users or orders of
    each hour in parts of the usual (None: unknown, 1); `delivered` [24 days] is what part of the
    usual came from the sources at all, so that silence is not taken for calm. On each day a half-life of 28 days decays
    what was folded in; A = 1/2 + sum w y, B = 1/(2g) + sum w e, g the mean rate of the product's
    series, and up to twenty complaints of what was decayed, with their exposure. A day's count is
    capped at m + 2.5 sqrt(m + (phi + 1/A) m^2) + 1, so that an earlier incident doesn't become the
    norm; phi, by moments, is not trimmed (that doubled false discoveries).
    """
    days = len(daily)
    lag = HOLD_BACK_DAYS + 1
    known = np.maximum(np.arange(days) + 1 - lag, 0)
    cumulative = np.concatenate([np.zeros((1, HOURS_A_WEEK)), np.cumsum(by_hour_of_week, axis=0)])
    profile = week_profiles(cumulative[known])
    weekday = (first_day + np.arange(days) + 3) % 7
    of_day = profile.reshape(days, 7, 24)[np.arange(days), weekday]
    if level is not None:
        of_day = of_day * level.reshape(days, 24)
    came = of_day if delivered is None else of_day * delivered.reshape(days, 24)
    shape, rate, phi = _folded(daily, came.sum(axis=1), lag=lag)
    return Baselines(first_day, shape, rate, phi, profile, known, of_day.ravel())


class _Memory:
    """Sums of complaints and exposure that fade with a half-life."""

    def __init__(self, columns: int, decay: float) -> None:
        self.complaints: Floats = np.zeros(columns)
        self.exposure = 0.0
        self._decay = decay

    def fold(self, complaints: Floats, exposure: float) -> None:
        self.complaints = self.complaints * self._decay + complaints
        self.exposure = self.exposure * self._decay + exposure


def _folded(daily: Floats, exposure: Floats, *, lag: int) -> tuple[Floats, Floats, Floats]:
    days, columns = daily.shape
    own = slice(0, max(columns - 2, 1))
    shape, rate, phi = (np.empty((days, columns)) for _ in range(3))
    recent, old = _Memory(columns, DECAY), _Memory(columns, SLOW_DECAY)
    excess, square = np.zeros(columns), np.zeros(columns)
    phi_now = np.full(columns, PHI_START)
    a, b = _posterior(recent, old, own)
    for day in range(days):
        folded = day - lag
        if folded >= 0:
            mean = a / b * exposure[folded]
            square_mean = mean * mean
            capped = came = daily[folded]
            if recent.exposure >= 1.0:
                spread = np.sqrt(mean + (phi_now + 1.0 / a) * square_mean)
                capped = np.minimum(capped, mean + CAP_SD * spread + 1.0)
            # Not trimmed: what bursts now and then will do so again.
            excess = excess * DECAY + (came - mean) ** 2 - mean - square_mean / a
            square = square * DECAY + square_mean
            recent.fold(capped, float(exposure[folded]))
            old.fold(capped, float(exposure[folded]))
            phi_now = _overdispersion(excess, square, own)
            a, b = _posterior(recent, old, own)
        shape[day] = a
        rate[day] = b
        phi[day] = phi_now
    return shape, rate, phi


def _posterior(recent: _Memory, old: _Memory, own: slice) -> tuple[Floats, Floats]:
    """Return shape and rate: the prior, what is remembered, and some of what is older."""
    forgotten = old.complaints - recent.complaints
    part = SLOW_WORTH / np.maximum(forgotten, SLOW_WORTH)
    shape = 0.5 + recent.complaints + part * forgotten
    rate = _prior_rate(recent.complaints[own], recent.exposure)
    return shape, rate + recent.exposure + part * (old.exposure - recent.exposure)


def _prior_rate(sums: Floats, exposure: float) -> float:
    """Return 1/(2g), g the mean complaints a day of one of the product's series."""
    mean_rate = float(sums.sum()) / max(exposure, 1.0) / len(sums)
    return 1.0 / (2.0 * max(mean_rate, MEAN_FLOOR))


def _overdispersion(excess: Floats, square: Floats, own: slice) -> Floats:
    pool_square = float(square[own].sum())
    pool = float(excess[own].sum()) / pool_square if pool_square > 0 else PHI_START
    pool = min(max(pool, PHI_MIN), PHI_MAX)
    phi = (excess + PHI_POOL_WEIGHT * pool) / (square + PHI_POOL_WEIGHT)
    return np.asarray(np.minimum(np.maximum(phi, PHI_MIN), PHI_MAX))
