"""Whether a stated probability is right as often as it says: bins, and how well it tells apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from closeloop.stats.intervals import Interval, wilson

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose stated probability lies in [low, high): how many, stated and true share."""

    low: float
    high: float
    count: int
    stated: float
    right: float
    interval: Interval


def reliability_bins(probability: Floats, truth: Flags, *, bins: int = BINS) -> list[Bin]:
    """Return the equally wide bins of probability (0..1) that hold an answer.

    The intervals are Wilson's. `calibration.calibration_error` is the mean of |stated - right| over
    these bins, each weighing as many as it holds.
    """
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    stated = np.bincount(place, weights=probability, minlength=bins)
    right = np.bincount(place, weights=truth.astype(np.float64), minlength=bins)
    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            count=int(counts[i]),
            stated=float(stated[i] / counts[i]),
            right=float(right[i] / counts[i]),
            interval=wilson(float(right[i]), float(counts[i])),
        )
        for i in np.flatnonzero(counts).tolist()
    ]


def auroc(scores: Floats, truth: Flags) -> float:
    """Return the chance that a true item scores higher than a false one; a tie counts half.

    From ranks (Mann & Whitney 1947). nan where all items are true or none is.
    """
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return float("nan")
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    # Equal scores share the mean of their ranks.
    ranks = (np.cumsum(times) - (times - 1) / 2)[place][truth].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))
