"""Verify: did the fix reduce the complaints? A failed fix reopens its ticket."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from closeloop.domain.outcome import Outcome, Verdict
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.ports import StepContext
from closeloop.stages.outbox import tell_tracker
from closeloop.stages.product_view import ProductView, hour_of, product_view, time_of
from closeloop.stats.outcome import rate_ratio
from closeloop.stats.release_watch import LOW_STARS
from closeloop.tables import OUTCOME, SIGNAL

NAME = "verify"

EVERY = timedelta(days=1)
UNTIL = timedelta(days=60)
"""A resolved ticket is measured so long; then the last verdict stands."""
BEFORE_DAYS = 7.0
MIN_AFTER = timedelta(days=1)
FIXED_SHARE = 0.5
ADOPTION_LIMIT = timedelta(days=14)
"""Where a fixed version never reaches half of the reviews, the clock starts here at the latest."""


def run(context: StepContext) -> None:
    """Measure the outcome of resolved tickets, at most once a day each."""
    resolved = [
        t
        for t in context.ops.tickets()
        if t.status in (TicketStatus.RESOLVED, TicketStatus.VERIFIED)
        and t.resolved_at is not None
        and t.resolved_at + MIN_AFTER <= context.now <= t.resolved_at + UNTIL
    ]
    if not resolved:
        return
    newest = {o.ticket_id: o for o in context.ops.outcomes()}
    views: dict[str, ProductView] = {}
    for ticket in resolved:
        before = newest.get(ticket.ticket_id)
        if before is not None and context.now - before.measured_at < EVERY:
            continue
        if ticket.product not in views:
            oldest = min(
                (t.detected_at or t.opened_at) for t in resolved if t.product == ticket.product
            )
            views[ticket.product] = product_view(
                context, ticket.product, since=oldest - timedelta(days=30)
            )
        outcome = _measure(context, views[ticket.product], ticket)
        if outcome is not None and _news(before, outcome):
            _record(context, ticket, outcome)


def _news(before: Outcome | None, after: Outcome) -> bool:
    return before is None or (before.verdict, before.complaints_after, before.days_after) != (
        after.verdict,
        after.complaints_after,
        after.days_after,
    )


def _measure(context: StepContext, view: ProductView, ticket: Ticket) -> Outcome | None:
    rows = context.rows(SIGNAL, where=[("signal_id", "=", ticket.signal_id)]).to_pylist()
    assert ticket.resolved_at is not None
    clock, why = _clock(context, view, ticket)
    days_after = (context.now - clock) / timedelta(days=1)
    if not rows or days_after < MIN_AFTER / timedelta(days=1):
        return None
    signal = rows[0]
    members = _members(view, signal)
    # What the fix is measured against is the trouble, not the calm before it.
    began = max(signal["window_start"], ticket.resolved_at - timedelta(days=BEFORE_DAYS))
    days_before = max((ticket.resolved_at - began) / timedelta(days=1), 0.25)
    before = _count(view, members, began, ticket.resolved_at)
    after = _count(view, members, clock, context.now)
    ratio = rate_ratio(before=before, days_before=days_before, after=after, days_after=days_after)
    verdict, reasons = ratio.verdict, [why]
    if verdict is Verdict.HELD:
        moved = _moved(context, signal, clock)
        if moved:
            verdict, reasons = Verdict.MOVED, [why, moved]
    if verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        reasons.append(f"{before} complaints before and {after} after say too little yet")
    return Outcome(
        ticket_id=ticket.ticket_id,
        signal_id=ticket.signal_id,
        measured_at=context.now,
        clock_started_at=clock,
        days_before=days_before,
        days_after=days_after,
        complaints_before=before,
        complaints_after=after,
        rate_ratio=ratio.ratio,
        ratio_low=ratio.low,
        ratio_high=ratio.high,
        verdict=verdict,
        reasons=tuple(reasons),
    )


def _clock(context: StepContext, view: ProductView, ticket: Ticket) -> tuple[datetime, str]:
    """Return when the fix could be felt: half of the reviews come from the fixed version."""
    assert ticket.resolved_at is not None
    if not ticket.fixed_version:
        return ticket.resolved_at, "measured from the resolution"
    after = np.flatnonzero(view.hours >= hour_of(ticket.resolved_at))
    named = np.asarray([i for i in after if view.version[i] is not None], dtype=np.int64)
    fixed = view.version[named] == ticket.fixed_version
    for day in range(int((context.now - ticket.resolved_at) / timedelta(days=1)) + 1):
        start = hour_of(ticket.resolved_at) + 24 * day
        inside = (view.hours[named] >= start) & (view.hours[named] < start + 24)
        if inside.sum() >= 5 and fixed[inside].mean() >= FIXED_SHARE:
            return (
                max(time_of(start), ticket.resolved_at),
                f"measured from when half of the reviews came from {ticket.fixed_version}",
            )
    late = min(ticket.resolved_at + ADOPTION_LIMIT, context.now)
    return late, f"{ticket.fixed_version} has not reached half of the reviews"


def _members(view: ProductView, signal: dict[str, Any]) -> np.ndarray:
    if signal["kind"] == "release":
        return np.flatnonzero(view.testable & (view.rating <= LOW_STARS))
    column = view.theme if signal["kind"] == "theme" else view.category
    return np.flatnonzero(view.complaint & view.testable & (column == signal["series_id"]))


def _count(view: ProductView, members: np.ndarray, start: datetime, end: datetime) -> int:
    hours = view.hours[members]
    return int(((hours >= hour_of(start)) & (hours < hour_of(end))).sum())


def _moved(context: StepContext, signal: dict[str, Any], since: datetime) -> str:
    """Say which other signal of the product was raised after the fix, if one was."""
    others = context.rows(
        SIGNAL,
        columns=["signal_id", "series_id", "detected_at", "kind", "parent_id"],
        where=[
            ("product", "=", signal["product"]),
            ("historic", "=", False),
            ("detected_at", ">", since),
        ],
    ).to_pylist()
    named = sorted(
        f"{o['kind']} {o['series_id']}"
        for o in others
        if o["series_id"] != signal["series_id"] and o["parent_id"] == signal["signal_id"]
    )
    return f"complaints fell here and rose elsewhere: {', '.join(named)}" if named else ""


def _record(context: StepContext, ticket: Ticket, outcome: Outcome) -> None:
    context.ops.put_outcome(outcome)
    context.merge(
        OUTCOME,
        OUTCOME.from_rows(
            [
                {
                    "ticket_id": outcome.ticket_id,
                    "signal_id": outcome.signal_id,
                    "measured_at": outcome.measured_at,
                    "clock_started_at": outcome.clock_started_at,
                    "days_before": outcome.days_before,
                    "days_after": outcome.days_after,
                    "complaints_before": outcome.complaints_before,
                    "complaints_after": outcome.complaints_after,
                    "rate_ratio": outcome.rate_ratio,
                    "ratio_low": outcome.ratio_low,
                    "ratio_high": outcome.ratio_high,
                    "verdict": outcome.verdict.value,
                    "reasons": list(outcome.reasons),
                }
            ]
        ),
    )
    context.count(outcome.verdict.value, 1)
    per_day = f"{outcome.complaints_after / outcome.days_after:.1f} complaints a day after the fix"
    if outcome.verdict is Verdict.FAILED:
        changed = replace(ticket, status=TicketStatus.REOPENED, resolved_at=None)
        comment = f"The fix did not hold: {per_day}. The ticket is open again."
    elif outcome.verdict is Verdict.HELD and ticket.status is TicketStatus.RESOLVED:
        changed = replace(ticket, status=TicketStatus.VERIFIED)
        comment = f"The fix held: {per_day}."
    else:
        return
    context.ops.put_ticket(changed)
    context.ops.audit(
        actor="closeloop",
        action=f"ticket.{changed.status.value}",
        subject=ticket.ticket_id,
        detail=comment,
        at=context.now,
    )
    tell_tracker(
        context,
        changed,
        comment=comment,
        about=f"outcome/{outcome.verdict.value}/{outcome.measured_at:%Y%m%d%H}",
        figures={"verdict": outcome.verdict.value},
    )
