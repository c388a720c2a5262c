"""How much each text counts as a voice of its own: campaigns and insistent authors count less.

A campaign is what several authors sent in nearly the same words. Customers quote the same banner,
too, so that its texts are not dropped: of a campaign of 10 within three days 6.6 count, of 100
13.5, of 1,000 20.4. What an author sends beyond one text in three days fades in the same way.
"""

from __future__ import annotations

import numpy as np

from closeloop.stats.baseline import Floats, Ints

SPAN_H = 72
FREE_COPIES, FREE_TEXTS = 3, 1
_GROUP_SHIFT = 24


def voice_weights(hours: Ints, group: Ints, *, free: int) -> Floats:
    """Return the weight of each row: 1 for the first `free` of a group in 72 h, then free / k.

    k is a row's number among those of its group in the 72 hours up to it; rows of one hour count in
    their order. `hours` in order of time; a group below 0 is none, its rows weigh 1.
    """
    weight = np.ones(len(hours))
    rows = np.flatnonzero(group >= 0)
    if len(rows) == 0:
        return weight
    keys = (group[rows] << _GROUP_SHIFT) | hours[rows]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    before = np.searchsorted(keys, keys - SPAN_H, side="right")
    # The hours of another group end before this group's first.
    first = np.searchsorted(keys, (keys >> _GROUP_SHIFT) << _GROUP_SHIFT, side="left")
    number = np.arange(len(keys)) - np.maximum(before, first) + 1
    weight[rows[order]] = np.minimum(1.0, free / number)
    return weight
