"""Complaints of one product by series, and the baselines of all its series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import (
    HOURS_A_WEEK,
    Baselines,
    Floats,
    Ints,
    baselines,
    hour_of_week,
)
from closeloop.stats.evidence import Bools
from closeloop.stats.exposure import Exposure


@dataclass(frozen=True, slots=True)
class SeriesData:
    """Complaints of one product and which series each belongs to.

    `hours` (since 1970, in order) and `weight` (0..1) of every complaint; `all_hours` and
    `all_weight` of all feedback, praise and idle words included; `member_row` and
    `member_series` [memberships] say which complaints belong to which of `series` series;
    `testable` [memberships] marks what may be evidence (the texts that formed a theme are none for
    it: they train its baseline only). A series is not looked at before the hour `ready` [series].
    `exposure` are the users or orders that counts are in proportion to, where they are known;
    `delivered` is what part of the usual came from the sources at all.
    """

    hours: Ints
    weight: Floats
    all_hours: Ints
    all_weight: Floats
    member_row: Ints
    member_series: Ints
    testable: Bools
    ready: Ints
    exposure: Exposure | None = None
    delivered: Exposure | None = None

    @property
    def series(self) -> int:
        """Number of series."""
        return len(self.ready)


def product_baselines(data: SeriesData, *, first_day: int, last_day: int) -> Baselines:
    """Return the baselines of all series (all complaints and all feedback last) on days first..last."""
    days = last_day - first_day + 1
    day = data.hours // 24 - first_day
    inside = (day >= 0) & (day < days)
    member_day = day[data.member_row]
    held = inside[data.member_row]
    all_day = data.all_hours // 24 - first_day
    known = (all_day >= 0) & (all_day < days)
    columns = data.series + 2
    flat: Floats = np.bincount(
        np.concatenate(
            [
                member_day[held] * columns + data.member_series[held],
                day[inside] * columns + data.series,
                all_day[known] * columns + data.series + 1,
            ]
        ),
        weights=np.concatenate(
            [data.weight[data.member_row][held], data.weight[inside], data.all_weight[known]]
        ),
        minlength=days * columns,
    ).astype(np.float64)
    every = np.arange(first_day * 24, (last_day + 1) * 24)
    level = None
    rhythm = data.weight[inside]
    if data.exposure is not None:
        level = data.exposure.of(every)
        rhythm = rhythm / data.exposure.of(data.hours[inside])
    weekly: Floats = np.bincount(
        day[inside] * HOURS_A_WEEK + hour_of_week(data.hours[inside]),
        weights=rhythm,
        minlength=days * HOURS_A_WEEK,
    ).astype(np.float64)
    return baselines(
        flat.reshape(days, columns),
        weekly.reshape(days, HOURS_A_WEEK),
        first_day=first_day,
        level=level,
        delivered=None if data.delivered is None else data.delivered.of(every),
    )
