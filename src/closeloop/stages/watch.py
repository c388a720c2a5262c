"""The release watch over one product: which new versions have too many low ratings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from closeloop.ports import StepContext
from closeloop.stages.product_view import ProductView, hour_of, time_of
from closeloop.stats.release_watch import (
    HISTORY_DAYS,
    LOW_STARS,
    MIN_HISTORY,
    NEW_DAYS,
    RAISE_AT,
    capped,
    release_evidence,
)
from closeloop.tables import CHANGE


def release_alarms(
    context: StepContext, view: ProductView, *, since: int
) -> Iterator[dict[str, Any]]:
    """Yield, for each new version whose evidence is over 20, what its signal needs.

    Not applicable, and then silent, where stars are missing, capped, or where only one side of
    good and bad is collected.
    """
    usable = view.testable & np.isfinite(view.rating)
    if int(usable.sum()) < MIN_HISTORY:
        return
    rows = np.flatnonzero(usable)
    versions = view.version[rows]
    hours = view.hours[rows]
    low = view.rating[rows] <= LOW_STARS
    releases = _releases(context, view.product)
    new = sorted({str(v) for v in versions[hours >= since] if v})
    for version in new:
        own = np.flatnonzero(versions == version)
        start = hour_of(releases[version]) if version in releases else int(hours[own[0]])
        start = min(start, int(hours[own[0]]))
        own = own[hours[own] < start + NEW_DAYS * 24]
        if len(own) == 0 or hours[own[-1]] < since:
            continue
        history = (hours < start) & (hours >= start - HISTORY_DAYS * 24)
        if not _applicable(view.rating[rows], hours, history, start):
            continue
        yield from _one(
            view, version, rows, own, low, hours, history, start, since, len(new), context.now
        )


def _one(
    view: ProductView,
    version: str,
    rows: np.ndarray,
    own: np.ndarray,
    low: np.ndarray,
    hours: np.ndarray,
    history: np.ndarray,
    start: int,
    since: int,
    family: int,
    now: datetime,
) -> Iterator[dict[str, Any]]:
    lows = np.cumsum(low[own])
    evidence = release_evidence(
        lows,
        np.arange(1, len(own) + 1),
        low_before=int(low[history].sum()),
        count_before=int(history.sum()),
    )
    raised = np.flatnonzero((evidence >= RAISE_AT) & (hours[own] >= since))
    if len(raised) == 0:
        return
    share = (low[history].sum() + 0.5) / (history.sum() + 1.0)
    others = np.flatnonzero((hours >= start) & (view.version[rows] != version) & _named(view, rows))
    # The first look that raises it, and the newest: one opens the signal, one lets it grow.
    for look in sorted({int(raised[0]), int(raised[-1])}):
        end = int(hours[own[look]]) + 1
        seen = own[: look + 1]
        last = hours[seen] >= end - 6
        yield {
            "version": version,
            "start": time_of(start),
            "at": min(time_of(end), max(now, time_of(start) + timedelta(hours=1))),
            "low": int(lows[look]),
            "reviews": look + 1,
            "others": int((hours[others] < end).sum()),
            "expected": float(share * (look + 1)),
            "low_6h": int(low[seen][last].sum()),
            "expected_6h": float(share * last.sum()),
            "evidence": float(evidence[look]),
            "threshold": RAISE_AT,
            "family": family,
            "rows": rows[seen[low[seen]]],
        }


def _named(view: ProductView, rows: np.ndarray) -> np.ndarray:
    return np.asarray([v is not None for v in view.version[rows]], dtype=bool)


def _applicable(
    rating: np.ndarray,
    hours: np.ndarray,
    history: np.ndarray,
    start: int,
) -> bool:
    if int(history.sum()) < MIN_HISTORY:
        return False
    before = rating[history]
    low = before <= LOW_STARS
    if not low.any() or low.all():
        return False
    days = (hours[history] - (start - HISTORY_DAYS * 24)) // 24
    for star in np.unique(before):
        daily = np.bincount(days[before == star], minlength=HISTORY_DAYS)
        if capped(daily.astype(float)):
            return False
    return True


def _releases(context: StepContext, product: str) -> dict[str, datetime]:
    rows = context.rows(
        CHANGE,
        columns=["version", "started_at", "known_at", "kind"],
        where=[("product", "=", product), ("kind", "=", "release")],
    ).to_pylist()
    known = [r for r in rows if r["version"] and (r["known_at"] or r["started_at"]) <= context.now]
    return {r["version"]: r["started_at"] for r in sorted(known, key=lambda r: r["started_at"])}
