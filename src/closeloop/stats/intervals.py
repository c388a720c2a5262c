"""How sure a measured figure is: an interval that holds the true one 95 times in 100."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Z95 = 1.959964
"""The standard normal's 97.5% point: an interval of 95% reaches so many deviations either way."""
MOST_DRAWS, FEWEST_DRAWS = 1_000, 60
ITEMS_DRAWN = 10_000_000
"""Items in all draws together: 1,000 draws up to 10,000 items, then fewer."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95% interval of a figure."""

    low: float
    high: float


def wilson(hits: float, count: float) -> Interval:
    """Return the interval of a share (Wilson, JASA 1927); of nothing, 0 to 1."""
    if count <= 0:
        return Interval(0.0, 1.0)
    share, square = hits / count, Z95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = Z95 / (1 + square / count)
    reach *= float(np.sqrt(share * (1 - share) / count + square / (4 * count**2)))
    # At the ends rounding must not put the share outside its interval.
    low, high = min(middle - reach, share), max(middle + reach, share)
    return Interval(max(0.0, low), min(1.0, high))


def bootstrap(
    count: int,
    statistic: Callable[[Ints], Floats],
    *,
    seed: int,
    on_draw: Callable[[int], None] | None = None,
) -> list[Interval]:
    """Return the percentile interval of each figure (Efron 1979), from items drawn with return.

    `statistic` takes the positions of the drawn items [count] and returns the figures. Draws in
    which a figure is undefined (nan) are left out of its interval.
    """
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(draws_of(count)):
        found.append(statistic(draw.integers(0, count, count)))
        if on_draw is not None:
            on_draw(1)
    values = np.array(found, np.float64)
    return [_percentiles(values[:, i]) for i in range(values.shape[1])]


def unless_certain(drawn: Interval, hits: float, count: float) -> Interval:
    """Return a bootstrap's interval of a share, or Wilson's where all draws gave the same.

    From items that are all right no draw has a wrong one: that says nothing of the next item.
    """
    return drawn if drawn.high > drawn.low else wilson(hits, count)


def halves(
    count: int,
    statistic: Callable[[Ints], Floats],
    *,
    seed: int,
    on_draw: Callable[[int], None] | None = None,
) -> list[Interval]:
    """Return the interval of each figure from random halves of the items, without return.

    For agreement of groups the bootstrap won't do: an item that is drawn twice agrees with itself.
    A figure over half of the items, drawn without return, varies as the figure over all does over
    samples (delete-d jackknife with d = n/2; Shao & Wu, Annals of Statistics 1989); the interval is
    1.96 of its deviations to either side of the figure over all items.
    """
    draw = np.random.default_rng(seed)
    whole = np.asarray(statistic(np.arange(count)), np.float64)
    found = []
    for _ in range(max(draws_of(count) // 5, FEWEST_DRAWS)):
        found.append(statistic(np.sort(draw.permutation(count)[: max(count // 2, 1)])))
        if on_draw is not None:
            on_draw(1)
    reach = Z95 * np.nanstd(np.array(found, np.float64), axis=0)
    return [
        Interval(float(v - r), float(min(v + r, 1.0)))
        for v, r in zip(whole, np.nan_to_num(reach), strict=True)
    ]


def draws_of(count: int) -> int:
    """Return how many draws a bootstrap of so many items makes."""
    return int(np.clip(ITEMS_DRAWN // max(count, 1), FEWEST_DRAWS, MOST_DRAWS))


def _percentiles(values: Floats) -> Interval:
    held = values[~np.isnan(values)]
    if not len(held):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(held, [2.5, 97.5])
    return Interval(float(low), float(high))
