"""Arrivals: how many rows an hour has, and which share of users each version has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from closeloop.testing.simulator.world import Release

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_NOISE = 0.02
"""Variance of a day's common factor: real days differ by more than chance."""
THEME_NOISE = 0.05
"""Variance of a day's factor of one theme, beside it."""
YEAR_SWING = 0.1
BUSIEST_DAY = 350

_HOUR_OF_DAY = np.array(
    [2, 1.2, 0.8, 0.6, 0.6, 1, 2, 3.2, 4.4, 5, 5.2, 5.3, 5.6, 5.4, 5, 4.9, 5, 5.4, 6, 6.6, 6.8, 6.2,
     4.6, 3.2]
)  # fmt: skip
_DAY_OF_WEEK = np.array([1.0, 0.97, 0.96, 0.98, 1.02, 1.1, 1.12])


def profile(first_weekday: int, days: int) -> Floats:
    """Return each hour's share of an average day, [days * 24]; it sums to about `days`."""
    week = np.outer(_DAY_OF_WEEK / _DAY_OF_WEEK.mean(), _HOUR_OF_DAY / _HOUR_OF_DAY.sum()).ravel()
    hours = (first_weekday * 24 + np.arange(days * 24)) % week.size
    return week[hours]


def season(start: datetime, hours: int) -> Floats:
    """Return the factor of the time of year, [hours]: most is written in December."""
    first = start.timetuple().tm_yday
    day = first + np.arange(hours) / 24
    return np.asarray(1 + YEAR_SWING * np.cos(2 * np.pi * (day - BUSIEST_DAY) / 365.25))


def day_noise(hours: int, columns: int, variance: float, rng: np.random.Generator) -> Floats:
    """Return a factor around 1 for each day and column, spread over its hours, [hours, columns]."""
    days = -(-hours // 24)
    drawn = rng.gamma(1 / variance, variance, (days, columns))
    return np.asarray(np.repeat(drawn, 24, axis=0)[:hours])


def version_shares(
    releases: Sequence[Release], *, base_version: str, platform: str, hours: int
) -> tuple[list[str], Floats]:
    """Return the versions of a platform and their shares of users, [hours, versions].

    A user who has a release has all before it: the share on at least release r is what its
    rollout offers, approached exponentially with its uptake; a version's own share is the rest.
    """
    known = sorted((r for r in releases if platform in r.platforms), key=lambda r: r.day)
    time = np.arange(hours, dtype=np.float64)
    at_least = [np.ones(hours)]
    for release in known:
        age = time - release.day * 24
        offered = np.zeros(hours)
        reached = np.zeros(hours)
        for after, share in release.rollout:
            step = np.where(
                age > after, 1 - np.exp(-np.maximum(age - after, 0) / release.uptake_h), 0.0
            )
            reached += np.maximum(share - offered.max(), 0.0) * np.clip(step, 0, 1)
            offered = np.maximum(offered, np.where(age > after, share, offered.max()))
        at_least.append(reached)
    stacked = np.stack(at_least)
    # Whoever has a later release has moved past this one.
    stacked = np.maximum.accumulate(stacked[::-1], axis=0)[::-1]
    own = stacked - np.vstack([stacked[1:], np.zeros((1, hours))])
    return [base_version, *(r.version for r in known)], own.T
