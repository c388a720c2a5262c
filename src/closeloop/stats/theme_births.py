"""Finds issues that are new within a theme: texts at its edge that are alike and came together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOVEL_BELOW = 0.4
"""A text is at the edge of its theme from so many deviations below the theme's mean similarity on:
about a quarter of all texts."""
MAX_CHANCE = 0.02
"""A group is new where so few groups of its size would have come as late by chance. With 15 of 77
intents left out of the first clustering and 6,000 texts streamed: 15 of 15 found in two draws, after
a median of 8 and 7 texts, 12 false births each (at .05: 23 and 21). Without a look at the edges 6
and 5 of 15 were found; with one but without the test of lateness 14 and 14, with 42 and 41 false.
Five other draws through the step: .91 found, a median of 8 texts, 8-16 false births."""
KEEP_CHANCE = 0.05
"""A child is kept if chance gives such a rise at most so often; a convention, not fitted."""


def edge_of(sums: Floats, sizes: Ints) -> Floats:
    """Return each theme's mean cosine of a further text of its own with its centre [themes].

    From the sums alone: with m = |sum| / n the members' mean, and r = (m²n - 1) / (n - 1) the mean
    of their pairs, a text that is not in the sum comes to r / m.
    """
    size = np.maximum(sizes, 2).astype(np.float64)
    mean = np.maximum(np.linalg.norm(sums, axis=1) / size, 1e-9)
    pairs = (mean**2 * size - 1.0) / (size - 1.0)
    return np.asarray(pairs / mean, np.float64)


def late_groups(centred: Vectors, fresh: Bools, *, least_cosine: float, members: int) -> Ints:
    """Return groups of like texts that came late: a group's number for each text, -1 for none.

    Texts stand in the order of their times; only fresh ones found a group, with all within
    `least_cosine`. Where nothing is new, a group's texts are spread evenly over the order: the
    chance that all m lie after the first one is (1 - its place / all) to the power m - 1.
    """
    rows = len(centred)
    groups = np.full(rows, -1, np.int64)
    founders = np.flatnonzero(fresh)
    if rows < members or not len(founders):
        return groups
    near = centred[founders] @ centred.T >= least_cosine
    near[np.arange(len(founders)), founders] = True
    # Most texts are like nobody: only rows that could found a group are counted down.
    near = near[near.sum(axis=1) >= members]
    sizes = near.sum(axis=1)
    number = 0
    while len(sizes):
        founder = int(sizes.argmax())
        if sizes[founder] < members:
            break
        chosen = np.flatnonzero(near[founder])
        sizes[founder] = 0
        if (1.0 - chosen[0] / rows) ** (len(chosen) - 1) <= MAX_CHANCE:
            groups[chosen] = number
            number += 1
            sizes = np.where(sizes > 0, sizes - near[:, chosen].sum(axis=1), 0)
            near[:, chosen] = False
    return groups


def has_surged(*, before: int, texts_before: int, after: int, texts_after: int) -> bool:
    """Return whether a child's share of its parent's and its own texts has risen since its birth."""
    chance = chance_of_rise(
        before=before, texts_before=texts_before, after=after, texts_after=texts_after
    )
    return chance <= KEEP_CHANCE


def chance_of_rise(*, before: int, texts_before: int, after: int, texts_after: int) -> float:
    """Return the chance of so many texts after, or more, where their share has not risen.

    Conditional binomial test of two Poisson rates (Przyborowski & Wilenski 1940): of before + after
    texts so many come after, one-sided.
    """
    if after <= 0:
        return 1.0
    share = texts_after / max(texts_before + texts_after, 1)
    return float(betainc(after, before + 1, share))
