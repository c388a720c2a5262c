"""Compares those who had a change with those who had not, at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from closeloop.stages.exposed import Adoption, Reach
from closeloop.stages.product_view import Bools, ProductView
from closeloop.stats.baseline import Ints
from closeloop.stats.odds import Counts, OddsRatio, odds_against_share, odds_ratio

MIN_SHARE = 0.01
"""A share of users under this, or over its rest, is no side to compare with."""
STRATUM_H = 12
"""Feedback of half a day is compared with each other: a rollout moves on in that time only a little."""
STRATUM_TEXTS = 15
"""Or of as long as it takes for so many to come: one or two texts tell nothing of each other."""
CHANCE = 0.05
"""Fisher's one-sided mid-p up to which the exposed complain more than chance explains."""
DAY_H = 24
NEARLY_ALL = 0.75
"""Where so many have a change that the others are too few to compare with, time speaks alone."""


def nearly_all_have_it(exposed: int, unexposed: int) -> bool:
    """Return whether so few are without a change that there is nobody to compare with."""
    return exposed >= NEARLY_ALL * (exposed + unexposed)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Exposed against unexposed feedback of the same time.

    `own` of `complaints` (those that say whether) come from the exposed side; `excess` of them are
    more than usual.
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

        Its users must complain more than chance explains; where nearly all have it there is nobody
        to compare with, and its time has to say it alone.
        """
        if self.ratio.enough:
            return self.ratio.chance <= CHANCE
        return nearly_all_have_it(self.ratio.exposed, self.ratio.unexposed)

    @property
    def log_factor(self) -> float:
        """Log of what the comparison says for the change, against it where negative.

        With few reviews on a side it can't speak for a change, but it can clear one.
        """
        if self.ratio.enough:
            return float(np.log(self.ratio.bayes_factor))
        return float(np.log(max(self.too_few, 1e-12)))


@dataclass(frozen=True, slots=True)
class Sample:
    """The feedback that is compared: `complaints` (rows) of what could be one, `among` [rows].

    `usual` complaints an hour are expected.
    """

    view: ProductView
    complaints: Ints
    among: Bools
    usual: float

    @property
    def hit(self) -> Bools:
        """Which rows are complaints."""
        hit = np.zeros(len(self.view.hours), dtype=np.bool_)
        hit[self.complaints] = True
        return hit


def compare(
    sample: Sample, reach: Reach, adoption: Adoption, *, since: Sequence[int], until: int
) -> Comparison | None:
    """Compare exposed with unexposed feedback up to hour `until`, once the change began.

    From the first hour of `since` that leaves enough on both sides, else from the last; None where
    nobody says which. It is compared within half days: pooled, the hours in which few had a version
    yet, and in which trouble was small yet, would make a rollout guilty of whatever it meets. Where
    too little feedback comes from a side, complaints are compared with the users of the version, if
    those are counted.
    """
    found = None
    for first in since:
        found = _compare(sample, reach, adoption, max(reach.start, first), until)
        if found is not None and found.ratio.enough:
            break
    return found


def later_worse(sample: Sample, own: Reach, with_later: Reach, *, since: int, until: int) -> float:
    """Return log of the Bayes factor of later versions being worse than the first, at least 0.

    Its own users must complain as those of the versions after it do; where they do not, the fault
    is the later one's. 0 where nobody says which.
    """
    if own.told is None or with_later.told is None:
        return 0.0
    hours = sample.view.hours
    had = with_later.told[1] & sample.among
    inside = had & (hours >= max(own.start, since)) & (hours <= until)
    if not inside.any():
        return 0.0
    later = inside & ~own.told[1]
    strata = _strata(hours[inside], later[inside], sample.hit[inside])
    return max(float(np.log(odds_ratio(strata).bayes_factor)), 0.0)


def _compare(
    sample: Sample, reach: Reach, adoption: Adoption, since: int, until: int
) -> Comparison | None:
    if reach.told is None:
        return None
    named, exposed = reach.told
    all_hours, hit = sample.view.hours, sample.hit
    here = (all_hours >= since) & (all_hours <= until) & sample.among
    inside = named & here
    if not inside.any():
        return None
    own, said = int((inside & exposed & hit).sum()), int((inside & hit).sum())
    ratio = odds_ratio(_strata(all_hours[inside], exposed[inside], hit[inside]))
    if not ratio.enough and not reach.partial:
        told = inside & hit
        ratio = _by_users(reach, adoption, all_hours[told], exposed[told]) or ratio
    # Usual are those of all; only a part of them says whether it had the change.
    part = said / max(int((here & hit).sum()), 1)
    excess = max(said - part * sample.usual * max(until - since, 1), 0.0)
    return Comparison(ratio, own, said, excess)


def _by_users(reach: Reach, adoption: Adoption, hours: Ints, own: Bools) -> OddsRatio | None:
    """Compare complaints, made at `hours` and `own` or not, with who had the version in those hours.

    Not with the mean over the time: late in a rollout, when trouble has grown, many more have it.
    Complaints that are newer than the newest figures wait for theirs. None where too little is known.
    """
    known = hours <= adoption.until
    hours, own = hours[known], own[known]
    if not len(hours):
        return None
    first = reach.start - DAY_H
    share = adoption.share(reach.versions, np.arange(first, int(hours[-1]) + 1))
    if share is None:
        return None
    mean = float(share[hours - first].mean())
    if not MIN_SHARE <= mean <= 1.0 - MIN_SHARE:
        return None
    ratio = odds_against_share(own=int(own.sum()), complaints=len(hours), share=mean)
    return ratio if ratio.enough else None


def _strata(hours: Ints, exposed: Bools, hit: Bools) -> list[Counts]:
    """Return the counts of feedback in blocks of hours: what is compared is of the same time."""
    first = int(hours.min())
    length = int(hours.max()) + 1 - first
    width = max(STRATUM_H, -(-length * STRATUM_TEXTS // len(hours)))
    block = (hours - first) // width
    size = int(block.max()) + 1

    def counted(which: Bools) -> list[int]:
        return [int(n) for n in np.bincount(block[which], minlength=size)]

    columns = (exposed & hit, exposed, ~exposed & hit, ~exposed)
    return [c for c in zip(*map(counted, columns), strict=True) if c[1] + c[3]]
