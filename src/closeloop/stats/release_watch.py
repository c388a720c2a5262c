"""The second detector: has one version a larger share of low ratings than the weeks before?

A sequential Bayes factor: the share p0 of low ratings has the posterior of the product's last 45
days (worth at most 100 reviews, since shares drift), the alternative multiplies its odds by 1.5,
2, 3 or 5. It is an e-value at every look; raised at 20. Measured on 18 apps: 9 of 556 versions
raised, among them redesigns that complaint counts never show.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.evidence import Bools

RAISE_AT = 20.0
HISTORY_DAYS = 45
NEW_DAYS = 30
"""A version is watched for so long after its first day."""
BEGINS_WITHIN_DAYS = 7
BEGINS_REVIEWS, BEGINS_SHARE = 3, 0.01
"""A version has come once it has so many reviews within a week, and so much of all: not its testers'."""
TESTED_DAYS = 90
"""What comes longer after the first review is a new wave of an old version, no release."""
MIN_HISTORY = 50
"""Fewer reviews in the weeks before say too little of the usual share."""
PRIOR_WORTH = 100.0
ODDS = (1.5, 2.0, 3.0, 5.0)
LOW_STARS = 2
OLD_DAYS = 3
"""From this age on a version must show evidence without its worst day too."""
RAISE_AT_WITHOUT = 3.0
BLOCK = 8_192
"""So many looks are weighed at once, which takes some 20 MB."""
MIN_FOR_MISSING = 200
MISSING_SHARE = 0.002
CAPPED_DISPERSION = 0.3
CAPPED_MEAN = 5.0


def begins_at(own: Ints, hours: Ints) -> int:
    """Return the hour from which a version whose release date is unknown is watched.

    `own` [hours] are those of its reviews, `hours` those of all, both in order of time. It is the
    first review of the first week in which the version had three reviews and 1% of all, so that a
    tester's review a month before the release does not spend the watch; until there is such a week,
    or where it comes after 90 days, it is the first review. Each week ends with one of its reviews:
    later ones change nothing.
    """
    week = BEGINS_WITHIN_DAYS * 24
    begins = np.searchsorted(own, own - week, side="right")
    ends = np.searchsorted(hours, own, side="right")
    of_all = ends - np.searchsorted(hours, own - week, side="right")
    reviews = np.arange(1, len(own) + 1) - begins
    come = np.flatnonzero((reviews >= BEGINS_REVIEWS) & (reviews >= BEGINS_SHARE * of_all))
    start = own[begins[come[0]]] if len(come) else own[0]
    return int(start if start - own[0] <= TESTED_DAYS * 24 else own[0])


def release_evidence(low: Ints, count: Ints, *, low_before: int, count_before: int) -> Floats:
    """Return the e-value after each look: `low` of `count` reviews of the version were low.

    `low_before` of `count_before` were low in the weeks before.
    """
    worth = min(1.0, PRIOR_WORTH / max(count_before, 1))
    a = low_before * worth + 0.5
    b = (count_before - low_before) * worth + 0.5
    grid = betaincinv(a, b, (np.arange(61) + 0.5) / 61)
    grid = np.clip(grid, 1e-6, 1 - 1e-6)[:, None]
    found = [
        _evidence(grid, low[at : at + BLOCK], count[at : at + BLOCK])
        for at in range(0, len(low), BLOCK)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _evidence(grid: Floats, low: Ints, count: Ints) -> Floats:
    k, n = low.astype(float)[None, :], count.astype(float)[None, :]
    null = np.logaddexp.reduce(k * np.log(grid) + (n - k) * np.log1p(-grid), axis=0)
    raised = []
    for odds in ODDS:
        p = odds * grid / (1 - grid + odds * grid)
        raised.append(np.logaddexp.reduce(k * np.log(p) + (n - k) * np.log1p(-p), axis=0))
    alternative = np.logaddexp.reduce(np.stack(raised), axis=0) - np.log(len(ODDS))
    return np.asarray(np.exp(np.minimum(alternative - null, 600.0)))


def without_worst_day(low: Bools, days: Ints) -> tuple[Ints, Ints]:
    """Return (low, all) reviews up to each look, less those of the day that had the most low ones.

    `low` and `days` [reviews] in order of time. One bad day in a version's life is an outage; a bad
    version is bad on its other days too.
    """
    if len(low) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    begins = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    own_day = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(low)))
    lows, counts = np.cumsum(low, dtype=np.int64), np.arange(1, len(low) + 1)
    low_by_day = np.add.reduceat(low.astype(np.int64), begins)
    all_by_day = np.diff(begins, append=len(low))
    # The worst of the days that are over, the first of several; -1 while none is.
    most = np.maximum.accumulate(np.concatenate([[-1], low_by_day[:-1]]))
    is_new = np.diff(most, prepend=-1) > 0
    worst = np.maximum.accumulate(np.where(is_new, np.arange(len(begins)) - 1, -1))
    low_today = lows - (lows[begins] - low[begins])[own_day]
    all_today = counts - begins[own_day]
    today = low_today > most[own_day]
    return (
        lows - np.where(today, low_today, most[own_day]),
        counts - np.where(today, all_today, all_by_day[worst[own_day]]),
    )


def stars_are_whole(rating: Floats, days_ago: Ints) -> bool:
    """Return whether all five stars were collected, uncapped, before a version came.

    `rating` and `days_ago` [reviews] of the time before. A star is missing where at most .2% of 200
    and more ratings have it; with fewer ratings where only low or only high ones are there. A star
    is capped where its daily counts are too even.
    """
    if len(rating) == 0:
        return False
    counts = np.array([(rating == star).sum() for star in range(1, 6)])
    if counts[:LOW_STARS].sum() == 0 or counts[LOW_STARS:].sum() == 0:
        return False
    if len(rating) >= MIN_FOR_MISSING and (counts <= MISSING_SHARE * len(rating)).any():
        return False
    recent = (days_ago >= 1) & (days_ago <= HISTORY_DAYS)
    for star in range(1, 6):
        daily = np.bincount(days_ago[recent & (rating == star)], minlength=HISTORY_DAYS + 1)[1:]
        if capped(daily.astype(np.float64)):
            return False
    return True


def capped(daily: Floats) -> bool:
    """Return whether a star's daily counts [days] look like a collector's cap.

    People's counts vary at least like a Poisson's (variance over mean about 1 and more); a cap
    makes them even: variance over mean under .3 where there are 5 and more a day.
    """
    if len(daily) < 14:
        return False
    mean = float(daily.mean())
    return mean >= CAPPED_MEAN and float(daily.var()) / mean < CAPPED_DISPERSION
