"""The release watch over one product: which new versions have too many low ratings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from closeloop.domain.source_health import Episode, Suspends
from closeloop.ports import StepContext
from closeloop.stages.product_view import Bools, ProductView, hour_of
from closeloop.stages.source_health import reasons_against
from closeloop.stages.suspension import material
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.release_watch import (
    HISTORY_DAYS,
    LOW_STARS,
    MIN_HISTORY,
    NEW_DAYS,
    OLD_DAYS,
    RAISE_AT,
    RAISE_AT_WITHOUT,
    begins_at,
    release_evidence,
    stars_are_whole,
    without_worst_day,
)
from closeloop.tables import CHANGE

RECENT_H = 72
"""What a source missed longer ago has been made up for by the ratings since."""


@dataclass(frozen=True, slots=True)
class RaisedRelease:
    """A version whose share of low ratings is too high; hours since 1970, `rows` of the view.

    `rows` are its low ratings in [start, end), of `reviews` rated ones; `others` are the reviews of
    other versions in that time; `family` versions were watched then.
    """

    version: str
    start: int
    end: int
    rows: Ints
    reviews: int
    others: int
    expected: float
    count_6h: int
    expected_6h: float
    evidence: float
    threshold: float
    family: int


@dataclass(frozen=True, slots=True)
class _Watched:
    """The rated reviews of a product [reviews]: rows of the view, hours, low or not, versions.

    `first` is the hour from which each version is watched.
    """

    rows: Ints
    hours: Ints
    rating: Floats
    low: Bools
    codes: Ints
    names: tuple[str, ...]
    first: dict[int, int]


def watch_releases(
    context: StepContext,
    view: ProductView,
    *,
    since: int,
    episodes: Sequence[Episode] = (),
) -> Iterator[RaisedRelease]:
    """Yield each version that reached the evidence at an hour from `since` on.

    First as it was when it got there, then as it is at its newest review. A version is watched for
    30 days from its release, or where that is unknown from when it has come. Not applicable, and
    counted as that, where a star is not collected or capped, or where a source of the ratings was
    ailing in the last three days.
    """
    watched = _watched(context, view)
    for code in sorted({int(c) for c in watched.codes[watched.hours >= since] if c >= 0}):
        first = watched.first[code]
        own = np.flatnonzero(
            (watched.codes == code)
            & (watched.hours >= first)
            & (watched.hours < first + NEW_DAYS * 24)
        )
        if len(own) == 0 or watched.hours[own[-1]] < since:
            continue
        history = (watched.hours < first) & (watched.hours >= first - HISTORY_DAYS * 24)
        # Its testers' reviews are no part of what was usual before it.
        history &= watched.codes != code
        if int(history.sum()) < MIN_HISTORY:
            continue
        until = int(watched.hours[own[-1]])
        ailing = material(view, episodes, watched.rows[history])
        if not _applicable(view, watched, first, until=until) or reasons_against(
            ailing, Suspends.RELEASE_WATCH, since=max(first, until - RECENT_H), until=until + 1
        ):
            context.count("release_watch_not_applicable", 1)
            continue
        yield from _raised(watched, code, own, history, since=since)


def _watched(context: StepContext, view: ProductView) -> _Watched:
    rows = np.flatnonzero(np.isfinite(view.rating) & (view.weight > 0))
    version = view.coded("version")
    codes, hours = version.codes[rows], view.hours[rows]
    released = _releases(context, view.product)
    first = {}
    by_version = np.argsort(codes, kind="stable")
    seen, begins = np.unique(codes[by_version], return_index=True)
    groups = np.split(by_version, begins[1:])[: len(seen)]
    for code, places in zip(seen.tolist(), groups, strict=True):
        if code < 0:
            continue
        start = released.get(version.names[code])
        first[code] = begins_at(hours[places], hours) if start is None else hour_of(start)
    rating = view.rating[rows]
    return _Watched(rows, hours, rating, rating <= LOW_STARS, codes, version.names, first)


def _applicable(view: ProductView, watched: _Watched, first: int, *, until: int) -> bool:
    begins = first - HISTORY_DAYS * 24
    if any(
        s.column == "rating" and s.since <= until and s.until > begins for s in view.suspensions
    ):
        return False
    before = watched.hours < first
    return stars_are_whole(watched.rating[before], first // 24 - watched.hours[before] // 24)


def _raised(
    watched: _Watched, code: int, own: Ints, history: Bools, *, since: int
) -> Iterator[RaisedRelease]:
    low_before, count_before = int(watched.low[history].sum()), int(history.sum())
    reached, evidence = _reached(
        watched, code, own, since=since, low_before=low_before, count_before=count_before
    )
    if len(reached) == 0:
        return
    share = (low_before + 0.5) / (count_before + 1.0)
    start = int(watched.hours[own[0]])
    others = (watched.codes >= 0) & (watched.codes != code) & (watched.hours >= start)
    for place in sorted({0, len(reached) - 1}):
        look = int(reached[place])
        end = int(watched.hours[own[look]]) + 1
        seen = own[: look + 1]
        recent = seen[watched.hours[seen] >= end - 6]
        yield RaisedRelease(
            version=watched.names[code],
            start=start,
            end=end,
            rows=watched.rows[seen[watched.low[seen]]],
            reviews=look + 1,
            others=int((others & (watched.hours < end)).sum()),
            expected=float(share * (look + 1)),
            count_6h=int(watched.low[recent].sum()),
            expected_6h=float(share * len(recent)),
            evidence=float(evidence[place]),
            threshold=RAISE_AT,
            family=sum(end - NEW_DAYS * 24 <= f < end for f in watched.first.values()),
        )


def _reached(
    watched: _Watched, code: int, own: Ints, *, since: int, low_before: int, count_before: int
) -> tuple[Ints, Floats]:
    """Return the looks (places in `own`) from `since` on that reached the evidence, and theirs.

    The evidence is of all reviews up to a look: those before `since` are summed and not weighed
    again, nor is what the worst day hides where there is too little with it.
    """
    hours = watched.hours[own]
    lows = np.cumsum(watched.low[own], dtype=np.int64)
    looks = np.arange(int(np.searchsorted(hours, since)), len(own))
    before = {"low_before": low_before, "count_before": count_before}
    evidence = release_evidence(lows[looks], looks + 1, **before)
    bad = evidence >= RAISE_AT
    old = np.flatnonzero(bad & (hours[looks] - watched.first[code] >= OLD_DAYS * 24))
    if len(old):
        low_rest, count_rest = without_worst_day(watched.low[own], hours // 24)
        rest = release_evidence(low_rest[looks[old]], count_rest[looks[old]], **before)
        bad[old] = rest >= RAISE_AT_WITHOUT
    return looks[bad], evidence[bad]


def _releases(context: StepContext, product: str) -> dict[str, datetime]:
    """Return when each release began, of those known and begun by now (the earliest of a version)."""
    rows = context.rows(
        CHANGE,
        columns=["version", "started_at", "known_at"],
        where=[("product", "=", product), ("kind", "=", "release")],
    ).to_pylist()
    known = [
        r
        for r in rows
        if r["version"]
        and r["started_at"]
        and max(r["started_at"], r["known_at"] or r["started_at"]) <= context.now
    ]
    return {
        r["version"]: r["started_at"]
        for r in sorted(known, key=lambda r: (r["started_at"], r["version"]), reverse=True)
    }
