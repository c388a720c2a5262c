"""Says by which complaints a fix is measured, over which times, and what is usual of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from closeloop.domain.outcome import Outcome
from closeloop.domain.signal import SignalKind
from closeloop.domain.ticket import Ticket
from closeloop.stages.product_view import ProductView, hour_of, time_of
from closeloop.stages.trouble import complaints_of
from closeloop.stats.baseline import Ints
from closeloop.stats.life import raised_span
from closeloop.stats.outcome import adopted_at, holds_fix

BEFORE_H = 7 * 24
"""The trouble's last week is what the time afterwards is compared with."""
MIN_BEFORE_H = 6
ADOPTION_LIMIT = timedelta(days=14)
"""Where a fixed version never reaches half of the reviews (13% of versions), the clock starts here."""
USUAL_H = 28 * 24
ABOUT_ONE = 1 / 3
"""A version's low ratings are about one category from this part of those on top of the usual on."""


def clock_of(view: ProductView, ticket: Ticket) -> tuple[datetime, str]:
    """Return when the fix could be felt, and why then."""
    resolved = resolved_at(ticket)
    if not ticket.fixed_version:
        return resolved, "measured from the resolution"
    version = view.coded("version")
    after = np.flatnonzero((view.hours >= hour_of(resolved)) & (version.codes >= 0))
    names = [version.names[code] for code in version.codes[after]]
    place = adopted_at(names, ticket.fixed_version)
    if place is not None:
        adopted = max(time_of(int(view.hours[after[place]])), resolved)
        return adopted, f"measured from when half of the reviews came from {ticket.fixed_version}"
    return (
        resolved + ADOPTION_LIMIT,
        f"{ticket.fixed_version} has not reached half of the reviews; "
        f"measured from {ADOPTION_LIMIT.days} days after the resolution",
    )


def trouble_before(
    hours: Ints, signal: Mapping[str, Any], usual: float, *, fixed: datetime
) -> tuple[datetime, datetime]:
    """Return when the trouble began and ended that a fix is measured against, its last week of it.

    Not the calm before it, nor the calm between its end and a ticket that was closed weeks later.
    """
    began, ended = raised_span(
        hours,
        start=hour_of(signal["window_start"]),
        end=hour_of(signal["window_end"]),
        until=hour_of(fixed),
        usual_a_day=usual,
    )
    return time_of(min(max(began, ended - BEFORE_H), ended - MIN_BEFORE_H)), time_of(ended)


def measured_by(view: ProductView, signal: Mapping[str, Any]) -> tuple[Ints, float]:
    """Return the rows that a fix is measured by, and how many a day were expected without trouble.

    A version is raised for its low ratings, most of which would come anyhow, and others with the
    next version's own faults. Where they are about one category, its complaints tell better.
    """
    rows = complaints_of(view, signal)
    start, end = hour_of(signal["window_start"]), hour_of(signal["window_end"])
    days = max(end - start, 1) / 24
    if signal["kind"] != SignalKind.RELEASE:
        return rows, float(signal["baseline"]) / days
    # Its baseline is of the version's own reviews; the fix is measured by those of all versions.
    usual = _usual(view, rows, start)
    if not signal["category"]:
        return rows, usual
    own = complaints_of(view, {"kind": SignalKind.CATEGORY, "series_id": signal["category"]})
    own_usual = _usual(view, own, start)
    inside = (view.hours >= start) & (view.hours < end)
    low = float(inside[rows].sum()) - usual * days
    about = float(inside[np.intersect1d(own, rows)].sum()) - own_usual * days
    return (own, own_usual) if about >= ABOUT_ONE * max(low, 1.0) else (rows, usual)


def of_the_fixed(
    view: ProductView, ticket: Ticket, outcome: Outcome, rows: Ints, usual: float
) -> tuple[int, float] | None:
    """Return how many complaints come from users who have the fix, and how many of theirs were usual.

    Those who have not updated are no measure of a fix. Theirs is their part of the other feedback.
    None where the fix is in no version, or no feedback names one.
    """
    if not ticket.fixed_version:
        return None
    version = view.coded("version")
    fixed = tuple(name for name in version.names if holds_fix(name, ticket.fixed_version))
    since, until = hour_of(outcome.clock_started_at), hour_of(outcome.measured_at)
    inside = (view.hours >= since) & (view.hours < until)
    told, has_fix = inside & (version.codes >= 0), inside & version.among(fixed)
    said, came = int(told[rows].sum()), int(has_fix[rows].sum())
    others = int(told.sum()) - said
    if not others:
        return None
    share = (int(has_fix.sum()) - came) / others
    named = said / max(int(inside[rows].sum()), 1)
    return came, usual * outcome.days_after * named * share


def count_between(hours: Ints, start: datetime, end: datetime) -> int:
    """Return how many of the hours (since 1970) lie in [start, end)."""
    return int(((hours >= hour_of(start)) & (hours < hour_of(end))).sum())


def resolved_at(ticket: Ticket) -> datetime:
    """Return when a ticket that is resolved was."""
    assert ticket.resolved_at is not None
    return ticket.resolved_at


def _usual(view: ProductView, rows: Ints, start: int) -> float:
    """Return how many of the rows came a day in the four weeks before an hour, or since the first."""
    first = int(view.hours[0]) if len(view.hours) else start
    since = max(start - USUAL_H, min(first, start - 24))
    hours = view.hours[rows]
    return float(((hours >= since) & (hours < start)).sum()) * 24 / (start - since)
