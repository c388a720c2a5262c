"""Finds the larger signal of the same days, whose cause is often that of those beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from closeloop.stages.product_view import ProductView
from closeloop.stages.trouble import complaints_of
from closeloop.stats.baseline import Ints
from closeloop.stats.change_point import BLAME_AT, SURE
from closeloop.stats.evidence import strength

LEADER_ALLOWS = 0.5
"""A change that is less likely than this behind the larger trouble is not blamed for a part of it."""
SAME_DAYS = 0.5
"""Part of the shorter of two windows that lies in the other where their days are the same."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leader:
    """A larger signal of the same days: `posteriors` by change (None: none of these).

    `shared` is the part of the smaller one's complaints that are the larger one's as well.
    """

    posteriors: Mapping[str | None, float]
    shared: float

    def allows(self, change_id: str | None, share: float) -> bool:
        """Return whether a change that is so likely for the smaller one may be blamed for it.

        Where it is not blamed for the larger, it has to be sure: the parts are many, and in one of
        them chance looks like a cause.
        """
        held = self.posteriors.get(change_id, 1.0)
        return held >= BLAME_AT or (held >= LEADER_ALLOWS and share >= SURE)


def leader_of(
    view: ProductView,
    signal: Row,
    own: Ints,
    family: Sequence[Row],
    posteriors: Mapping[str, Mapping[str | None, float]],
) -> Leader | None:
    """Return the largest signal of the same days, None where none is larger, or not weighed yet.

    `own` are the signal's complaints [rows], `family` the product's live signals, `posteriors` those of
    each that is weighed. Larger is what brought more complaints beyond the usual and stands out more as
    well: a version's low ratings are many, most are of other things, and what is behind a few of them
    they can't tell.
    """
    beside = [
        other
        for other in family
        if _excess(other) > _excess(signal)
        and strength_of(other) > strength_of(signal)
        and _same_days(other, signal)
    ]
    if not beside:
        return None
    largest = max(beside, key=_excess)
    if largest["signal_id"] not in posteriors:
        return None
    shared = np.isin(own, complaints_of(view, largest))
    return Leader(posteriors[largest["signal_id"]], float(shared.mean()) if len(own) else 0.0)


def strength_of(signal: Mapping[str, Any]) -> float:
    """Return how far a signal stands out of the usual (stats.evidence.strength)."""
    return strength(signal["count"], signal["baseline"])


def _excess(signal: Row) -> float:
    """Return how many complaints a signal's trouble brought beyond the usual."""
    return float(signal["count"] - signal["baseline"])


def _same_days(one: Row, other: Row) -> bool:
    """Return whether two signals are of the same days.

    Trouble that goes on into the first hours of the next is not.
    """
    first = max(one["window_start"], other["window_start"])
    last = min(one["window_end"], other["window_end"])
    shorter = min(r["window_end"] - r["window_start"] for r in (one, other))
    return bool(last > first and (last - first) >= SAME_DAYS * shorter)
