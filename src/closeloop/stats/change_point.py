"""When did a series rise, and which change's time fits: a likelihood for each explanation.

"None" is a step at an unknown time, uniform over the window; a candidate's rise ramps up as
1 - exp(-(t - t_c) / tau), tau 3, 12 or 48 hours, as releases reach their users, after each stage of
a rollout by the share that the stage adds; or as its users did, where that is known. Either lasts to
the window's end or, with the same probability, is over at an unknown hour. Each likelihood is the
mean over rises of 1.5 to 25 times (and over times or shapes).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from closeloop.stats.baseline import Floats
from closeloop.stats.evidence import RISES

WINDOW_H = 240
TAUS_H = (3.0, 12.0, 48.0)
SUDDEN_TAUS_H = (1.0, 3.0, 12.0)
"""Of what hits everybody at once: an incident, a flag, a setting."""
LAGS_H = (0, 6, 24)
"""Hours from having a version to complaining of it, where users by version are known."""
TAILS_H = (1.0, 6.0, 24.0)
"""How long after the end of a cause its complaints still come."""
Stages = tuple[tuple[float, float], ...]
"""A rollout: (hours after the start, share of users reached), in order."""
WHOLE: Stages = ((0.0, 1.0),)
PRIOR_NONE = 0.7
"""Against .3 for a change. A release was the trigger in 37% of a large operator's outages (Site
Reliability Workbook, appendix C: binary push, 2010-2017). At .8 a true cause stayed under the limit
more often and no fewer innocents were blamed (benchmarks/attribution.py); .5 blamed up to 9% where
nothing but the time speaks."""
BLAME_AT = 0.8
SURE = 0.95
"""From this posterior on a change is blamed at once."""


def none_likelihood(counts: Floats, expected: Floats, phi: float) -> float:
    """Return the log likelihood of a step at an unknown hour of the window."""
    hours = len(counts)
    after = (np.arange(hours)[None, :] >= np.arange(hours)[:, None]).astype(float)
    return _mean_over_rises(counts, expected, after, phi)


def candidate_likelihood(
    counts: Floats, expected: Floats, shapes: Floats, phi: float, *, end_h: float | None = None
) -> float:
    """Return the log likelihood of a rise of one of the `shapes` [shapes, hours], 0 to 1.

    From `end_h` (hours into the window) on the rise dies away, in one of three paces: people still
    write of what is over.
    """
    if end_h is not None:
        since = np.maximum(np.arange(len(counts)) + 0.5 - end_h, 0.0)
        shapes = np.vstack([shapes * np.exp(-since / tau) for tau in TAILS_H])
    return _mean_over_rises(counts, expected, shapes, phi)


def ramps(
    hours: int,
    start_h: float,
    *,
    stages: Stages = WHOLE,
    taus_h: Sequence[float] = TAUS_H,
) -> Floats:
    """Return how far a change has reached its users [taus, hours], by stages and by how fast.

    `start_h` is when it starts, in hours into the window; before the window it counts from there.
    The largest share reached within the window counts as 1: a rise is relative to it.
    """
    times = np.arange(hours) + 0.5 - start_h
    shapes = np.zeros((len(taus_h), hours))
    reached = largest = 0.0
    for after_h, share in stages:
        since = np.maximum(times - after_h, 0.0)
        shapes += (share - reached) * np.stack([1.0 - np.exp(-since / tau) for tau in taus_h])
        reached = share
        if since.any():
            largest = max(largest, share)
    return np.asarray(np.clip(shapes / largest, 0.0, 1.0)) if largest > 0 else shapes


def lagged(shares: Floats) -> Floats:
    """Return the shapes of a rise whose users are counted [lags, hours], the largest share as 1."""
    shapes = np.zeros((len(LAGS_H), len(shares)))
    for i, lag in enumerate(LAGS_H):
        shapes[i, lag:] = shares[: len(shares) - lag]
    return np.asarray(shapes / max(float(shares.max()), 1e-9))


def posterior(log_weights: Sequence[float]) -> list[float]:
    """Return weights that sum to 1 from their logarithms."""
    logs = np.asarray(log_weights)
    weights = np.exp(logs - logs.max())
    return [float(w) for w in weights / weights.sum()]


def _mean_over_rises(counts: Floats, expected: Floats, shapes: Floats, phi: float) -> float:
    """Negative binomial by hour; phi, of daily counts, spread so that a day keeps it."""
    size = 1.0 / max(phi * 24.0, 1e-6)
    base = np.maximum(expected, 1e-6)
    usual = _log_counts(counts, base, size)
    begins = np.argmax(shapes > 0.0, axis=1)
    hours = np.arange(shapes.shape[1])
    # Hours before a rise are none in which it could be over.
    may_end = hours[None, :] >= begins[:, None]
    choices = np.log(may_end.sum(axis=1))
    logs = []
    for rise in RISES:
        gained = _log_counts(counts, base * (1.0 + (rise - 1.0) * shapes), size) - usual
        until = np.cumsum(gained, axis=1)
        lasts = until[:, -1]
        over = np.logaddexp.reduce(np.where(may_end, until, -np.inf), axis=1) - choices
        logs.append(np.logaddexp(lasts, over) - np.log(2.0))
    stacked = np.stack(logs)
    mean = float(np.logaddexp.reduce(stacked, axis=None) - np.log(stacked.size))
    return float(usual.sum()) + mean


def _log_counts(counts: Floats, mean: Floats, size: float) -> Floats:
    """Return the log probability of each hour's count."""
    return np.asarray(
        gammaln(counts + size)
        - gammaln(size)
        - gammaln(counts + 1)
        + size * np.log(size / (size + mean))
        + counts * np.log(mean / (size + mean))
    )
