"""How many users, orders or installs stood behind each hour, in parts of the usual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import HOURS_A_WEEK, Floats, Ints

REFERENCE_DAYS = 28
"""The first known days are the usual that levels are parts of, so that nothing jumps where they begin."""
LEAST, MOST = 0.02, 50.0
"""A figure of nearly nothing is a gap in the records: nobody complains without using."""
SAME_HOUR_WEEKS = 4
"""What is not known yet is taken from the same hour of the last weeks, so far back at most."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """`level` [hours] from the hour `first` (since 1970) on; 1 is the mean of the first 28 days known.

    Hours before `first` count as 1.
    """

    first: int
    level: Floats

    def of(self, hours: Ints) -> Floats:
        """Return the level of each of the hours; after the last the same hour of the week before."""
        place = hours - self.first
        late = place >= len(self.level)
        behind = -(-(place - len(self.level) + 1) // HOURS_A_WEEK)
        place = np.where(late, place - behind * HOURS_A_WEEK, place)
        inside = (place >= 0) & (place < len(self.level))
        held = np.clip(place, 0, len(self.level) - 1)
        # With less than a week of figures there is no same hour to look at.
        last = self.level[-24:].mean()
        return np.asarray(np.where(inside, self.level[held], np.where(late, last, 1.0)))


def exposure_of(starts: Ints, lengths: Ints, figures: Floats) -> Exposure | None:
    """Return the level of each hour, from figures of hours and days; None where there are none.

    `starts` are hours since 1970, `lengths` 1 or 24; a day's figure counts evenly for its hours
    (the rhythm within the day is the baseline's profile). Where an hour and its day are both known
    the hour counts. Gaps take the same hour of up to four weeks before, else the mean.
    """
    known = np.isfinite(figures) & (figures > 0)
    starts, lengths, figures = starts[known], lengths[known], figures[known]
    if len(starts) == 0:
        return None
    first = int(starts.min())
    hours = int((starts + lengths).max()) - first
    level = np.full(hours, np.nan)
    days = lengths == 24
    for offset in range(24):
        place = starts[days] - first + offset
        level[place] = figures[days] / 24.0
    level[starts[~days] - first] = figures[~days]
    usual = float(np.nanmean(level[: REFERENCE_DAYS * 24]))
    return Exposure(first, np.clip(_without_gaps(level / usual), LEAST, MOST))


def _without_gaps(level: Floats) -> Floats:
    """Fill unknown hours in order of time, from the same hour of the weeks before."""
    filled = level.copy()
    mean = float(np.nanmean(level))
    for hour in np.flatnonzero(np.isnan(level)).tolist():
        before = [hour - week * HOURS_A_WEEK for week in range(1, SAME_HOUR_WEEKS + 1)]
        held = [filled[h] for h in before if h >= 0 and not np.isnan(filled[h])]
        filled[hour] = held[0] if held else mean
    return filled
