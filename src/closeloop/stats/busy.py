"""Busy series: what an hour is held against where complaints come by the dozen.

The baseline learns how much days differ, and takes hours to differ no more. Of reviews that is true.
Where people read and answer each other, hours differ far more than days, and the hour of the week says
little of when. So a busy hour is held against the busiest hours of the days before it: the peaks of
one and of three hours, by their logarithm. Whole days are compared, so that no rhythm of the day need
be known, and three of them are enough to begin with; a weekday that is always busier is held against
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from closeloop.stats.baseline import HOLD_BACK_DAYS, PHI_POOL_WEIGHT, Floats, Ints
from closeloop.stats.evidence import HOURS_A_MONTH, Bools

PEAK_WINDOWS_H = (1, 3)
PEAK_DAYS = 42
"""What was usual more than six weeks ago is forgotten."""
LEAST_DAYS = 3
LEAST_WEEKS = 3
"""So many days of one weekday tell what is usual on it: one bad Monday is none."""
SPARED_FROM = 5
"""From so many on the lowest may be a holiday's."""
LEAST_KNOWN_DAYS = 7
"""Days of a baseline that hours may be measured against."""
BUSY_PEAK = 15.0
"""Complaints in the busiest three hours of a usual day from which on a series is busy."""
PRIOR_SPREAD = 0.2
"""How far a day's peak lies from the usual (sd of its logarithm) before any day is known: as far as
chance alone moves one of twenty-five complaints."""
PRIOR_DAYS = 10.0
"""What that is worth, in days."""
MOST_FREEDOM = 14.0
"""Degrees of freedom at most: the logarithm of a day's peak has heavier tails than a normal law. With
as many as days are known, series whose hours come in bursts raise up to four times as often as they
may (tested deep in the tail, as one of twenty or fifty)."""
PEAK_CAP_SD = 2.0
"""Higher peaks enter mean and spread as this many robust deviations above the median."""
NORMAL_MAD = 1.4826
"""Standard deviations of a normal law in one median absolute deviation."""
LEAST_COUNT = 0.5
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Peaks:
    """What the peaks of each day are held against: arrays [days, windows].

    `usual` is the logarithm of the usual peak, at the usual number of users, and `variance` that of
    the days about it; `known` [days] is how many days before each they rest on, and `busy` [days]
    whether those were busy. `prior` is the variance before any day is known.
    """

    usual: Floats
    variance: Floats
    known: Ints
    busy: Bools
    prior: Floats

    @property
    def spread(self) -> Floats:
        """How far a new day's peak lies from the usual one: standard deviations of the logarithm."""
        # It lies from a mean of n days as far as they do, and as far as the mean errs.
        new = 1.0 + 1.0 / np.maximum(self.known, 1)
        return np.sqrt(_with_prior(self.variance, self.known, self.prior) * new[:, None])

    def log_evidence(self, day: Ints, counts: Floats) -> Floats:
        """Return log of 1 / (60 p) [looks, windows], p of a day with such a peak or a higher one.

        `counts` [looks, windows] come in the windows that end with a look, at the usual number of
        users. At 0 a series alarms once a month by chance, in each of two windows every other month;
        at log N a product of N series. p is Student's; the days known and those that the prior is
        worth are its degrees of freedom, fourteen at most.
        """
        far = np.log(np.maximum(counts, LEAST_COUNT)) - self.usual[day]
        freedom = np.minimum(self.known[day] + PRIOR_DAYS - 1.0, MOST_FREEDOM)
        p = student.logsf(far / self.spread[day], freedom[:, None])
        return np.asarray(-p - np.log(HOURS_A_MONTH / 24.0 * len(PEAK_WINDOWS_H)))


def daily_peaks(hourly: Floats, whole: Bools, level: Floats | None = None) -> Peaks:
    """Return what the peaks of the days before each day lead one to expect.

    `hourly` [24 days] are complaints, at `level` [24 days] times the usual users of the day that ends
    with each hour; only days that are `whole` [days] count. The usual peak is the mean of the last 42
    days; peaks more than two robust deviations above their median enter it, and the variance, as two,
    so that an earlier incident does not become the norm. Where the same weekday was higher in each of
    three weeks and more (one of five or six spared), it is the least that it had. Busy are days
    before which the peak of three hours had a (geometric) mean of fifteen complaints.
    """
    sums = window_sums(hourly, np.arange(len(hourly)))
    came = np.log(np.maximum(sums, LEAST_COUNT))
    peaks = _of_days_before(came if level is None else came - np.log(level)[:, None], whole)
    known = np.isfinite(peaks[:, 0]).sum(axis=1)
    three = PEAK_WINDOWS_H.index(3)
    counted = peaks if level is None else _of_days_before(came, whole)
    nothing = known == 0
    peaks[nothing], counted[nothing] = 0.0, 0.0
    busy = (known >= LEAST_DAYS) & (np.nanmean(counted[:, three], axis=1) >= np.log(BUSY_PEAK))
    prior = np.full(peaks.shape[:2], PRIOR_SPREAD**2)
    middle = np.nanmedian(peaks, axis=2)
    about = NORMAL_MAD * np.nanmedian(np.abs(peaks - middle[:, :, None]), axis=2)
    cap = middle + PEAK_CAP_SD * np.sqrt(_with_prior(about**2, known, prior))
    capped = np.minimum(peaks, cap[:, :, None])
    mean = np.nanmean(capped, axis=2)
    squares = np.nansum((capped - mean[:, :, None]) ** 2, axis=2)
    variance = squares / np.maximum(known - 1, 1)[:, None]
    return Peaks(np.maximum(mean, _of_weekday(peaks)), variance, known, busy, prior)


def window_sums(hourly: Floats, places: Ints) -> Floats:
    """Return what came in the windows that end with each of the hours [places, windows]."""
    passed = np.concatenate([[0.0], np.cumsum(hourly)])
    end = places[:, None] + 1
    return np.asarray(passed[end] - passed[np.maximum(end - np.array(PEAK_WINDOWS_H), 0)])


def _of_days_before(values: Floats, whole: Bools) -> Floats:
    """Return the largest value of each of 42 days before each day [days, windows, 42], oldest first."""
    peaks = values.reshape(len(whole), 24, -1).max(axis=1)
    peaks[~whole] = np.nan
    earlier = np.concatenate([np.full((PEAK_DAYS, peaks.shape[1]), np.nan), peaks[:-1]])
    return np.lib.stride_tricks.sliding_window_view(earlier, PEAK_DAYS, axis=0).copy()


def _of_weekday(peaks: Floats) -> Floats:
    """Return what the same weekday's peaks had at least [days, windows], -inf of under three weeks.

    The lowest of three or four, the second lowest of five or six: one holiday is left out.
    """
    same = np.sort(peaks[:, :, ::_WEEK], axis=2)
    seen = np.isfinite(same).sum(axis=2)
    least = np.where(seen >= SPARED_FROM, same[:, :, 1], same[:, :, 0])
    return np.asarray(np.where(seen >= LEAST_WEEKS, least, -np.inf))


def pooled(series: Sequence[Peaks]) -> list[Peaks]:
    """Return the peaks of a product's series, each with what its other busy ones tell as its prior.

    A few days say little of how far a series' peaks vary; twenty series of them say much. The pool
    starts from a spread of .2, which is worth ten days.
    """
    if len(series) < 2:
        return list(series)
    worth = np.stack([p.busy * p.known for p in series]).astype(np.float64)[:, :, None]
    told = worth * np.stack([p.variance for p in series])
    others, days_told = told.sum(axis=0) - told, worth.sum(axis=0) - worth
    priors = (others + PRIOR_DAYS * PRIOR_SPREAD**2) / (days_told + PRIOR_DAYS)
    return [replace(p, prior=prior) for p, prior in zip(series, priors, strict=True)]


def _with_prior(variance: Floats, known: Ints, prior: Floats) -> Floats:
    days = known[:, None]
    return np.asarray((days * variance + PRIOR_DAYS * prior) / (days + PRIOR_DAYS))


def hour_overdispersion(
    hourly: Floats,
    by_hour: Floats,
    *,
    mean: Floats,
    shape: Floats,
    phi: Floats,
    told: Bools,
) -> Floats:
    """Return how much hours vary beyond their expectation, on each day: at least as days do (`phi`).

    `hourly` and their exposure `by_hour` [24 days]; `mean` a day, its `shape` and `phi` [days] as the
    baseline has them; only days that are `told` [days] count. By moments, over the 42 days that end
    three before each day (as the baseline holds back), drawn to the days' own with the weight that the
    baseline gives its pool.
    """
    expected = np.repeat(mean, 24) * by_hour
    excess = (hourly - expected) ** 2 - expected - expected**2 / np.repeat(shape, 24)
    over, square = (
        _held_back(in_days_before(values.reshape(-1, 24).sum(axis=1) * told, PEAK_DAYS))
        for values in (excess, expected**2)
    )
    found = (over + PHI_POOL_WEIGHT * phi) / (square + PHI_POOL_WEIGHT)
    return np.asarray(np.maximum(found, phi))


def in_days_before(daily: Floats, days: int) -> Floats:
    """Return what came in so many days before each day; `daily` [..., days]."""
    passed = np.concatenate([np.zeros((*daily.shape[:-1], 1)), np.cumsum(daily, axis=-1)], axis=-1)
    day = np.arange(daily.shape[-1])
    return np.asarray(passed[..., day] - passed[..., np.maximum(day - days, 0)])


def _held_back(daily: Floats) -> Floats:
    return np.concatenate([np.zeros(HOLD_BACK_DAYS), daily])[: len(daily)]
