"""Reads the course of the days from a fact sheet: the last day counts only where it is over."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from closeloop.domain.grounding.sheet_view import SheetView


def daily_counts(view: SheetView) -> list[float]:
    """Return the complaints of each whole day of the trend, in order."""
    counts: list[float] = []
    for fact in view.topic("trend"):
        held = [f.amount for f in fact.figures if f.noun == "complaint"]
        # The day that the window ends in is not over.
        counts += held[:-1] if "until" in fact.statement else held
    return counts


def falls(counts: Sequence[float]) -> bool:
    """Return whether the last day has fewer complaints than one before it."""
    return len(counts) >= 2 and counts[-1] < max(counts[:-1])


def rises_daily(counts: Sequence[float]) -> bool:
    """Return whether each day has more complaints than the one before."""
    return len(counts) >= 2 and all(one < other for one, other in pairwise(counts))
