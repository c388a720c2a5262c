"""When did a series rise, and which change's time fits: a likelihood for each explanation.

"None" is a step at an unknown time, uniform over the window; a candidate's rise ramps up as
1 - exp(-(t - t_c) / tau), tau 3, 12 or 48 hours, as releases reach their users. Each likelihood is
the mean over rises of 1.5 to 25 times (and over times or taus).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from closeloop.stats.baseline import Floats
from closeloop.stats.evidence import RISES

WINDOW_H = 240
TAUS_H = (3.0, 12.0, 48.0)
PRIOR_NONE = 0.8
"""Keeps wrongful blame under 5% with a release every 7 to 14 days (.5: up to 9%)."""
BLAME_AT = 0.8


def none_likelihood(counts: Floats, expected: Floats, phi: float) -> float:
    """Return the log likelihood of a step at an unknown hour of the window."""
    hours = len(counts)
    after = (np.arange(hours)[None, :] >= np.arange(hours)[:, None]).astype(float)
    return _mean_over_rises(counts, expected, after, phi)


def candidate_likelihood(
    counts: Floats, expected: Floats, start_h: float, phi: float, *, end_h: float | None = None
) -> float:
    """Return the log likelihood of a rise that ramps up from `start_h` (hours into the window).

    A start before the window counts as its first hour. From `end_h` on the rise is over.
    """
    times = np.arange(len(counts)) + 0.5 - start_h
    ramps = np.stack([1.0 - np.exp(-np.maximum(times, 0.0) / tau) for tau in TAUS_H])
    if end_h is not None:
        ramps = ramps * (np.arange(len(counts)) + 0.5 < end_h)
    return _mean_over_rises(counts, expected, ramps, phi)


def posterior(log_weights: Sequence[float]) -> list[float]:
    """Return weights that sum to 1 from their logarithms."""
    logs = np.asarray(log_weights)
    weights = np.exp(logs - logs.max())
    return [float(w) for w in weights / weights.sum()]


def _mean_over_rises(counts: Floats, expected: Floats, shapes: Floats, phi: float) -> float:
    """Negative binomial by hour; phi, of daily counts, spread so that a day keeps it."""
    size = 1.0 / max(phi * 24.0, 1e-6)
    base = np.maximum(expected, 1e-6)
    logs = []
    for rise in RISES:
        mean = base * (1.0 + (rise - 1.0) * shapes)
        terms = (
            gammaln(counts + size)
            - gammaln(size)
            - gammaln(counts + 1)
            + size * np.log(size / (size + mean))
            + counts * np.log(mean / (size + mean))
        )
        logs.append(terms.sum(axis=1))
    stacked = np.stack(logs)
    return float(np.logaddexp.reduce(stacked, axis=None) - np.log(stacked.size))
