"""Which rows and hours are left out of the search for signals, and what part of the usual came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from closeloop.domain.source_health import Ailment, Episode
from closeloop.stages.product_view import Bools, ProductView, Suspension
from closeloop.stats.baseline import Ints
from closeloop.stats.exposure import LEAST, Exposure

RECOVERY_H = 24
"""After a silence what was held up comes at once, at times under the hour of its delivery."""
MATERIAL = 0.1
"""A source with a smaller part of the rows that a verdict rests on does not suspend it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Hours [since, until] that are scanned without some rows; `sources` are left out wholly."""

    since: int
    until: int
    without: Bools
    sources: frozenset[str]


def silences(view: ProductView, episodes: Sequence[Episode], *, now: int) -> list[Suspension]:
    """Return the silent sources as suspensions, each until a day after it delivers again."""
    source = view.coded("source")
    return [
        Suspension(
            column="source",
            value=e.source,
            member=source.equal(e.source),
            since=e.since,
            until=(now + 1 if e.until is None else e.until) + RECOVERY_H,
        )
        for e in episodes
        if e.ailment is Ailment.SILENT
    ]


def spans(
    view: ProductView, suspensions: Sequence[Suspension], *, first: int, last: int
) -> list[Span]:
    """Return the hours first..last in parts; a suspended stratum is left out wholly of its part.

    Its rows before are left out too, so that the rest is compared with the rest.
    """
    edges = {first, last + 1}
    for s in suspensions:
        edges |= {e for e in (s.since, s.until) if first < e <= last}
    found = []
    for start, end in pairwise(sorted(edges)):
        without = np.zeros(len(view.hours), dtype=np.bool_)
        sources = set()
        for s in suspensions:
            if s.since <= start < s.until:
                without |= s.member
                if s.column == "source":
                    sources.add(s.value)
        found.append(Span(start, end - 1, without, frozenset(sources)))
    return found


def delivered_part(
    view: ProductView, episodes: Sequence[Episode], *, left_out: frozenset[str], now: int
) -> Exposure | None:
    """Return what part of the usual feedback came in each hour, None where nothing was short.

    By the usual part that each silent or partial source has of the product's feedback, so that
    hours of silence train no baseline.
    """
    short = [
        e
        for e in episodes
        if e.ailment in (Ailment.SILENT, Ailment.PARTIAL) and e.source not in left_out
    ]
    if not short:
        return None
    source = view.coded("source")
    kept = sum(int(source.equal(n).sum()) for n in source.names if n not in left_out)
    first = min(e.since for e in short)
    level = np.ones(now + 1 - first)
    for e in short:
        share = source.equal(e.source).sum() / max(kept, 1)
        missing = 1.0 - min(e.observed / max(e.expected, 1e-9), 1.0)
        end = len(level) if e.until is None else e.until - first
        level[e.since - first : end] -= share * missing
    return Exposure(first, np.maximum(level, LEAST))


def material(view: ProductView, episodes: Sequence[Episode], rows: Ints) -> list[Episode]:
    """Return the episodes of sources that have a tenth and more of these rows of the view."""
    if not episodes:
        return []
    source = view.coded("source")
    return [e for e in episodes if len(rows) and source.equal(e.source)[rows].mean() >= MATERIAL]
