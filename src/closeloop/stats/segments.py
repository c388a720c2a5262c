"""Does a signal concentrate in one region, article, centre, tier or platform?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from closeloop.stats.evidence import beta_binomial_tail

STRENGTH = 50.0
SPEAK_P = 0.001
SPEAK_LOW = 0.5
PRIOR = 20.0
"""Complaints that a segment's share of all feedback is worth beside its share of a category's."""


@dataclass(frozen=True, slots=True)
class Concentration:
    """`count` of `total` complaints have this value, usually `usual_share` of all do."""

    column: str
    value: str
    count: int
    total: int
    usual_share: float

    def __str__(self) -> str:
        """Say it as people read it."""
        return (
            f"{self.column}={self.value}: {self.count} of {self.total} "
            f"({self.count / self.total:.0%}, usually {self.usual_share:.0%})"
        )


def stands_out(
    count: int,
    total: int,
    *,
    before: int,
    before_all: int,
    everyone: float,
    values: int,
    grown: float = 1.0,
) -> bool:
    """Return whether a segment has more of a category's complaints than its usual share allows.

    `count` of `total` complaints now, `before` of `before_all` in the weeks before; `everyone` is
    the segment's share of all feedback, worth PRIOR complaints; `grown` by how much its share of
    orders or users has grown since. P(BetaBinomial(total, 50 p, 50 (1 - p)) >= count) times the
    number of values must be under .001.
    """
    share = (before + PRIOR * everyone) / (before_all + PRIOR) * grown
    share = min(max(share, 1e-4), 1.0 - 1e-4)
    tail = beta_binomial_tail(count, total, STRENGTH * share, STRENGTH * (1.0 - share))
    return tail * values < SPEAK_P


def concentration(
    column: str, values: Sequence[str | None], usual: Sequence[str | None]
) -> Concentration | None:
    """Return the value in which complaints concentrate, or None.

    Said only when P(BetaBinomial(n, 50 p, 50 (1 - p)) >= count) times the number of values is
    under .001 and the share's 95% interval lies above one half.
    """
    named = [v for v in values if v]
    before = [v for v in usual if v]
    if len(named) < 5 or not before:
        return None
    value, count = min(Counter(named).items(), key=lambda item: (-item[1], item[0]))
    total = len(named)
    counts_before = Counter(before)
    kinds = len(counts_before | Counter({value: 1}))
    share = (counts_before[value] + 0.5) / (len(before) + 0.5 * kinds)
    if share >= 1.0:
        return None
    tail = beta_binomial_tail(count, total, STRENGTH * share, STRENGTH * (1.0 - share))
    low = float(betaincinv(count + 0.5, total - count + 0.5, 0.025))
    if tail * kinds >= SPEAK_P or low < SPEAK_LOW:
        return None
    return Concentration(column, value, count, total, share)
