"""What a burst is about: the subject of a signal, or something else that spills over into it.

People who are called upon to leave one star, or who are angry about something that the taxonomy does
not know, write texts of which some come to lie in a category by a word. Most of what they write lies
in none, and that shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stages.product_view import Bools, ProductView
from closeloop.stats.release_watch import LOW_STARS

USUAL_H = 28 * 24
GAP_H = 72
"""What has begun already must not count as usual."""
MIN_HISTORY_H = 14 * 24
UNHAPPY = 0.5
"""A text without stars is unhappy from this probability on."""
PHI_A_DAY = 0.2
"""How much days differ by themselves: the variance of a day's count beyond its mean, over its square."""
SURE_SD = 2.0
"""Only what lies so many standard deviations above the usual counts as a burst."""
GROWTH_PRIOR = 20.0
"""Texts that temper the growth of the product's other feedback."""
SAID_SHARE = 0.25
"""From this part of a burst on it is said that it is about something else."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Unhappy texts of no category of complaint: how many came, were expected, and are surely more."""

    came: int
    expected: float
    excess: float

    def share(self, own: float) -> float:
        """Return which part of the burst `own` complaints on top of the usual are, 0..1."""
        own = max(own, 1.0)
        return own / (own + self.excess)

    def said(self, own: float) -> str | None:
        """Say that the burst is about something else, None where little of it is."""
        rest = 1.0 - self.share(own)
        if rest < SAID_SHARE:
            return None
        return (
            f"{self.came} unhappy texts of no category of complaint came beside it, where "
            f"{self.expected:.0f} are usual: {rest:.0%} of the burst is about something else"
        )


def beside(view: ProductView, *, start: int, end: int, inside: Bools | None = None) -> Beside:
    """Return the unhappy texts outside of all complaint categories in the hours [start, end).

    Texts that say nothing ("bad") and strata whose collection has just begun are left out; `inside`
    marks the rows of a segment, where only those are asked about. Usual are the four weeks that end
    three days before, as much more as the product's contented feedback has grown; with less than two
    weeks of them nothing is said.
    """
    since = max(start - GAP_H - USUAL_H, int(view.hours[0]))
    known = start - GAP_H - since
    if known < MIN_HISTORY_H:
        return Beside(0, 0.0, 0.0)
    kept = view.testable & ~view.flags("content_free")
    if inside is not None:
        kept &= inside
    unhappy = np.where(
        np.isnan(view.rating), view.numbers("sentiment") > UNHAPPY, view.rating <= LOW_STARS
    )
    outside = kept & unhappy & ~view.complaint
    contented = kept & ~unhappy & ~view.complaint
    now = (view.hours >= start) & (view.hours < end)
    before = (view.hours >= since) & (view.hours < start - GAP_H)
    times = (end - start) / known
    grown = (contented & now).sum() + GROWTH_PRIOR
    grown /= (contented & before).sum() * times + GROWTH_PRIOR
    expected = float(((outside & before).sum() + 0.5) * times * max(1.0, grown))
    days = max(1.0, (end - start) / 24)
    spread = np.sqrt(expected + PHI_A_DAY / days * expected**2)
    came = int((outside & now).sum())
    return Beside(came, expected, max(0.0, came - expected - SURE_SD * float(spread)))
