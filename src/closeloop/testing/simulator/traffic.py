"""Arrivals: how many rows an hour has, and which share of users each version has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from closeloop.testing.simulator.world import Release

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_NOISE = 0.02
"""Variance of a day's common factor: real days differ by more than chance."""

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


def arrivals(rate: Floats, rng: np.random.Generator) -> Ints:
    """Return the hour of each arrival, ascending, for rates per hour with noisy days."""
    days = -(-rate.size // 24)
    noise = np.repeat(rng.gamma(1 / DAY_NOISE, DAY_NOISE, days), 24)[: rate.size]
    return np.repeat(np.arange(rate.size), rng.poisson(rate * noise))


def version_shares(
    releases: Sequence[Release], *, base_version: str, platform: str, hours: int
) -> tuple[list[str], Floats]:
    """Return the versions of a platform and their shares of users, [hours, versions].

    A user who has a release has all before it: the share on at least release r is what its
    rollout offers, approached exponentially with its uptake; a version's own share is the rest.
    """
    known = sorted((r for r in releases if platform in r.platforms), key=lambda r: r.day)
    time = np.arange(hours, dtype=np.float64) + 0.5
    at_least = [np.ones(hours)]
    for release in known:
        age = time - release.day * 24
        offered = np.zeros(hours)
        reached = np.zeros(hours)
        for after, share in release.rollout:
            step = np.where(age > after, 1 - np.exp(-(age - after) / release.uptake_h), 0.0)
            reached += np.maximum(share - offered.max(), 0.0) * np.clip(step, 0, 1)
            offered = np.maximum(offered, np.where(age > after, share, offered.max()))
        at_least.append(reached)
    stacked = np.stack(at_least)
    # Whoever has a later release has moved past this one.
    stacked = np.maximum.accumulate(stacked[::-1], axis=0)[::-1]
    own = stacked - np.vstack([stacked[1:], np.zeros((1, hours))])
    return [base_version, *(r.version for r in known)], own.T
