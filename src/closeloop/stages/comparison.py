"""Compares those who had a change with those who had not, at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from scipy.special import bdtr

from closeloop.stages.exposed import Adoption, Reach
from closeloop.stages.product_view import Bools, ProductView, hour_of
from closeloop.stats.baseline import Ints
from closeloop.stats.odds import MIN_A_SIDE, Counts, OddsRatio, odds_against_share, odds_ratio

MIN_SHARE = 0.01
"""A share of users under this, or over its rest, is no side to compare with."""
FORERUN = timedelta(hours=48)
"""Before a signal's window its trouble may have begun."""
STRATUM_H = 12
"""Feedback of half a day is compared with each other: a rollout moves on in that time only a little."""
CHANCE = 0.05
"""Fisher's one-sided mid-p up to which the exposed complain more than chance explains."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Exposed against unexposed feedback of the same time.

    `own` of `complaints` come from the exposed side; `excess` are more than usual.
    """

    ratio: OddsRatio
    own: int
    complaints: int
    excess: float

    @property
    def too_few(self) -> float:
        """Probability of so few complaints from the exposed side, were it behind the excess.

        Then at least half of the excess comes from there.
        """
        if self.complaints == 0:
            return 1.0
        share = 0.5 * self.excess / self.complaints
        return float(bdtr(self.own, self.complaints, share))

    @property
    def allows_blame(self) -> bool:
        """Whether the comparison lets the change be blamed.

        Its users must complain more than chance explains; where all have it there is nobody to
        compare with, and its time has to say it alone.
        """
        if self.ratio.enough:
            return self.ratio.chance <= CHANCE
        return self.ratio.unexposed <= MIN_A_SIDE

    @property
    def log_factor(self) -> float:
        """Log of what the comparison says for the change, against it where negative.

        With few reviews on a side it can't speak for a change, but it can clear one.
        """
        if self.ratio.enough:
            return float(np.log(self.ratio.bayes_factor))
        return float(np.log(max(self.too_few, 1e-12)))


def compare(
    view: ProductView,
    signal: Mapping[str, Any],
    reach: Reach,
    adoption: Adoption,
    *,
    complaints: Ints,
    usual: float,
    until: int,
) -> Comparison | None:
    """Compare exposed with unexposed feedback of the same time; None where nobody says which.

    Where too little feedback comes from a side, complaints are compared with the users of the
    version, if those are counted.

    The time is the signal's and the two days before, since the change was there: weeks of calm
    before would make a release guilty of whatever comes after it. `usual` complaints an hour are
    expected.
    """
    if reach.told is None:
        return None
    named, exposed = reach.told
    since = max(reach.start, hour_of(signal["window_start"] - FORERUN))
    inside = named & (view.hours >= since) & (view.hours <= until) & view.testable
    if not inside.any():
        return None
    hit = np.zeros(len(view.hours), dtype=np.bool_)
    hit[complaints] = True
    own, all_hits = int((inside & exposed & hit).sum()), int((inside & hit).sum())
    strata = _strata(view.hours[inside], exposed[inside], hit[inside])
    a, n, c, m = (sum(column) for column in zip(*strata, strict=True))
    whole = odds_ratio([(a, n, c, m)])
    # A rollout grows while trouble does: what chance explains is asked within half days.
    ratio = replace(whole, chance=odds_ratio(strata).chance)
    if not ratio.enough and not reach.partial:
        share = adoption.share(reach.versions, np.arange(since, until + 1))
        mean = 0.0 if share is None else float(share.mean())
        if MIN_SHARE <= mean <= 1.0 - MIN_SHARE:
            by_users = odds_against_share(own=own, complaints=all_hits, share=mean)
            ratio = by_users if by_users.enough else ratio
    excess = max(all_hits - usual * max(until - since, 1), 0.0)
    return Comparison(ratio, own, all_hits, excess)


def _strata(hours: Ints, exposed: Bools, hit: Bools) -> list[Counts]:
    """Return the counts of feedback in blocks of hours: what is compared is of the same time."""
    block = (hours - hours.min()) // STRATUM_H
    size = int(block.max()) + 1

    def counted(which: Bools) -> list[int]:
        return [int(n) for n in np.bincount(block[which], minlength=size)]

    columns = (exposed & hit, exposed, ~exposed & hit, ~exposed)
    return [c for c in zip(*map(counted, columns), strict=True) if c[1] + c[3]]
