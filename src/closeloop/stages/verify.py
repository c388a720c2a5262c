"""Verify: did the fix reduce the complaints? A failed fix reopens its ticket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from closeloop.domain.outcome import Outcome, Verdict
from closeloop.domain.review import OutboxMessage
from closeloop.domain.signal import SignalKind
from closeloop.domain.source_health import Suspends
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.ports import StepContext
from closeloop.stages.fix_measure import (
    BEFORE_H,
    clock_of,
    count_between,
    measured_by,
    of_the_fixed,
    resolved_at,
    trouble_before,
)
from closeloop.stages.outbox import mirror, tell_tracker
from closeloop.stages.product_view import ProductView, hour_of, product_view
from closeloop.stages.signal_rows import signals_by_id
from closeloop.stages.source_health import health_of, reasons_against
from closeloop.stages.suspension import material
from closeloop.stats.artefacts import HISTORY_DAYS as STRATA_DAYS
from closeloop.stats.baseline import Ints
from closeloop.stats.life import OVER_AFTER_H
from closeloop.stats.outcome import (
    FAILED_ABOVE,
    HELD_BELOW,
    STILL_RAISED,
    more_than_usual,
    rate_ratio,
    surely_over,
)
from closeloop.tables import OUTCOME, SIGNAL

NAME = "verify"
REOPEN = "ticket.reopen"
MEASURED = "verify.measured"
"""State: when each resolved ticket was measured last."""

EVERY = timedelta(days=1)
UNTIL = timedelta(days=60)
"""A resolved ticket is measured so long; then the last verdict stands."""
MIN_AFTER = timedelta(days=1)
MOVES_WITHIN = timedelta(days=7)
SETTLED_DAYS = 3.0
"""Who has just updated still writes of what was before."""
SILENT = 0.2
"""With less than this share of the usual feedback a silence says nothing of the fix."""


def run(context: StepContext) -> None:
    """Measure the outcome of resolved tickets, at most once a day each.

    Written where the verdict or a count changed. A fix that failed reopens its ticket, one that
    held verifies it.
    """
    resolved = [t for t in context.ops.tickets() if _open_question(t, context.now)]
    if not resolved:
        return
    blob = context.state(MEASURED)
    measured: dict[str, str] = json.loads(blob) if blob else {}
    due = [
        t
        for t in resolved
        if (at := measured.get(t.ticket_id)) is None
        or context.now - datetime.fromisoformat(at) >= EVERY
    ]
    if not due:
        return
    newest = {o.ticket_id: o for o in context.ops.outcomes()}
    for product in sorted({t.product for t in due}):
        own = [t for t in due if t.product == product]
        for ticket, measured_now in _outcomes(context, product, own):
            outcome = _kept(ticket, newest.get(ticket.ticket_id), measured_now)
            if _news(newest.get(ticket.ticket_id), outcome):
                _record(context, ticket, outcome)
    now = context.now.isoformat()
    held = {t.ticket_id: measured.get(t.ticket_id, now) for t in resolved}
    held |= {t.ticket_id: now for t in due}
    context.put_state(MEASURED, json.dumps(held, sort_keys=True).encode())


def _open_question(ticket: Ticket, now: datetime) -> bool:
    return (
        ticket.status in (TicketStatus.RESOLVED, TicketStatus.VERIFIED)
        and ticket.resolved_at is not None
        and ticket.resolved_at + MIN_AFTER <= now <= ticket.resolved_at + UNTIL
    )


def _outcomes(
    context: StepContext, product: str, tickets: Sequence[Ticket]
) -> list[tuple[Ticket, Outcome]]:
    signals = signals_by_id(context, [t.signal_id for t in tickets])
    began = [resolved_at(t) - timedelta(hours=BEFORE_H) for t in tickets]
    began += [s.window_start for s in signals.values()]
    oldest = min(began) - timedelta(days=STRATA_DAYS)
    view = product_view(context, product, since=oldest)
    found = []
    for ticket in tickets:
        signal = signals.get(ticket.signal_id)
        if signal is not None:
            found.append((ticket, _measure(context, view, ticket, asdict(signal))))
    return found


def _measure(
    context: StepContext, view: ProductView, ticket: Ticket, signal: Mapping[str, Any]
) -> Outcome:
    resolved = resolved_at(ticket)
    clock, why = clock_of(view, ticket)
    rows, usual = measured_by(view, signal)
    began, ended = trouble_before(view.hours[rows], signal, usual, fixed=resolved)
    days_before = (ended - began) / timedelta(days=1)
    over_for = hour_of(resolved) - hour_of(ended)
    days_after = max((context.now - clock) / timedelta(days=1), 0.0)
    outcome = Outcome(
        ticket_id=ticket.ticket_id,
        signal_id=ticket.signal_id,
        measured_at=context.now,
        clock_started_at=clock,
        days_before=days_before,
        days_after=days_after,
        complaints_before=count_between(view.hours[rows], began, ended),
        complaints_after=count_between(view.hours[rows], clock, context.now),
        rate_ratio=None,
        ratio_low=None,
        ratio_high=None,
        verdict=Verdict.NOT_ENOUGH_EVIDENCE,
        reasons=(why,),
    )
    if days_after < MIN_AFTER / timedelta(days=1):
        return outcome
    ratio = rate_ratio(
        before=outcome.complaints_before,
        days_before=days_before,
        after=outcome.complaints_after,
        days_after=days_after,
        usual=usual,
        lasted=over_for < OVER_AFTER_H,
    )
    outcome = replace(outcome, rate_ratio=ratio.ratio, ratio_low=ratio.low, ratio_high=ratio.high)
    verdict, reason = ratio.verdict, ""
    if verdict is Verdict.HELD:
        verdict, reason = _doubt(
            context,
            view,
            signal,
            rows=rows,
            usual=usual,
            began=began,
            ended=ended,
            clock=clock,
        )
    elif verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        verdict, reason = _undecided(view, ticket, outcome, rows, usual, over_for)
    return replace(outcome, verdict=verdict, reasons=(why, reason) if reason else (why,))


def _undecided(
    view: ProductView, ticket: Ticket, outcome: Outcome, rows: Ints, usual: float, over_for: int
) -> tuple[Verdict, str]:
    """Return what the fixed version's own users say where the numbers of all do not tell, and why.

    It failed where complaints fell by less than half and they surely make twice the usual ones.
    """
    fell = (outcome.rate_ratio or 0.0) <= HELD_BELOW
    settled = over_for < OVER_AFTER_H and outcome.days_after >= SETTLED_DAYS
    troubled = more_than_usual(outcome.complaints_before, usual, days=outcome.days_before)
    if settled and troubled and not fell:
        own = of_the_fixed(view, ticket, outcome, rows, usual)
        if own is not None:
            came, expected = own
            if surely_over(came, STILL_RAISED * expected, days=outcome.days_after):
                return Verdict.FAILED, (
                    f"{came} complaints came from users of {ticket.fixed_version} or later, "
                    f"{expected:.1f} were usual"
                )
    return Verdict.NOT_ENOUGH_EVIDENCE, _too_little(outcome, over_for)


def _too_little(outcome: Outcome, over_for: int) -> str:
    """Return why the numbers do not tell, where the trouble was over so many hours before the fix."""
    if over_for >= OVER_AFTER_H:
        days = round(over_for / 24)
        return f"the trouble was over {days} days before the fix, so that calm says nothing of it"
    came = f"{outcome.complaints_before} complaints before and {outcome.complaints_after} after"
    if not outcome.complaints_after or outcome.rate_ratio is None:
        return f"{came} say too little yet"
    return (
        f"{came}, {outcome.rate_ratio:.2f} times as many a day "
        f"({outcome.ratio_low:.2f} to {outcome.ratio_high:.2f}): neither held (surely under "
        f"{HELD_BELOW:g}) nor failed (surely over {FAILED_ABOVE:g}, and over the usual)"
    )


def _doubt(
    context: StepContext,
    view: ProductView,
    signal: Mapping[str, Any],
    *,
    rows: Ints,
    usual: float,
    began: datetime,
    ended: datetime,
    clock: datetime,
) -> tuple[Verdict, str]:
    """Return what else a fall of the complaints can mean: silence, or that they moved.

    Silence is when much less comes than came beside the trouble, and its usual complaints a day:
    where the trouble was most of the feedback, that it is gone is no silence.
    """
    now = hour_of(context.now)
    ailing = health_of(view, since=hour_of(clock), now=now)
    ailing = material(view, ailing, rows)
    against = reasons_against(ailing, Suspends.HELD, since=hour_of(clock), until=now + 1)
    if against:
        return Verdict.NOT_ENOUGH_EVIDENCE, f"{'; '.join(against)}: this says nothing of the fix"
    days_before = (ended - began) / timedelta(days=1)
    days_after = (context.now - clock) / timedelta(days=1)
    beside = count_between(np.delete(view.hours, rows), began, ended)
    expected = (beside / days_before + usual) * days_after
    came = count_between(view.hours, clock, context.now)
    if came < SILENT * expected:
        return (
            Verdict.NOT_ENOUGH_EVIDENCE,
            f"only {came} pieces of feedback came since, {expected:.0f} were usual: "
            "silence says nothing of the fix",
        )
    moved = _moved(context, signal, clock)
    if moved:
        return Verdict.MOVED, f"complaints fell here and rose elsewhere: {', '.join(moved)}"
    return Verdict.HELD, ""


def _moved(context: StepContext, signal: Mapping[str, Any], clock: datetime) -> list[str]:
    """Return the product's series that were raised in the week after the fix.

    A theme's own category (and a category's themes) rising is the same trouble, not another.
    """
    rows = context.rows(
        SIGNAL,
        columns=["kind", "series_id", "category", "window_start"],
        where=[
            ("product", "=", signal["product"]),
            ("historic", "=", False),
            ("window_start", ">=", clock),
            ("window_start", "<", clock + MOVES_WITHIN),
        ],
    ).to_pylist()
    return sorted(
        {
            f"{r['kind']} {r['category'] if r['kind'] == SignalKind.THEME else r['series_id']}"
            for r in rows
            if r["kind"] in (SignalKind.THEME, SignalKind.CATEGORY)
            and r["series_id"] != signal["series_id"]
            and (r["kind"] == signal["kind"] or r["category"] != signal["category"])
        }
    )


def _kept(ticket: Ticket, before: Outcome | None, now: Outcome) -> Outcome:
    """Return what is said now, or "held" still: that is taken back by evidence, not by a lack of it.

    A few complaints more, or a source that falls silent, make a fix no worse; a rise is raised anew.
    """
    lacking = now.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    if not lacking or before is None or before.verdict is not Verdict.HELD:
        return now
    if before.measured_at < resolved_at(ticket):
        return now
    since = f"held on {before.measured_at:%Y-%m-%d}, and nothing since takes it back"
    kept = [r for r in before.reasons if r.startswith("held on ")]
    return replace(
        now, verdict=Verdict.HELD, reasons=(now.reasons[0], *(kept or [since]), *now.reasons[1:])
    )


def _news(before: Outcome | None, after: Outcome) -> bool:
    def said(outcome: Outcome) -> tuple[object, ...]:
        return (
            outcome.verdict,
            outcome.complaints_before,
            outcome.complaints_after,
            outcome.clock_started_at,
        )

    return before is None or said(before) != said(after)


def _record(context: StepContext, ticket: Ticket, outcome: Outcome) -> None:
    context.ops.put_outcome(outcome)
    row = {**asdict(outcome), "verdict": outcome.verdict.value, "reasons": list(outcome.reasons)}
    context.merge(OUTCOME, OUTCOME.from_rows([row]))
    context.count(outcome.verdict.value, 1)
    after = outcome.complaints_after / max(outcome.days_after, 1e-9)
    if outcome.verdict is Verdict.FAILED:
        comment = f"The fix did not hold: {after:.1f} complaints a day after it. The ticket is open again."
        _moved_to(context, ticket, TicketStatus.REOPENED, comment)
        context.ops.enqueue(
            OutboxMessage(
                idempotency_key=f"{REOPEN}/{ticket.ticket_id}/{resolved_at(ticket).isoformat()}",
                kind=REOPEN,
                target=ticket.tracker,
                payload=json.dumps(
                    {"ticket_id": ticket.ticket_id, "comment": comment}, sort_keys=True
                ),
                created_at=context.now,
            )
        )
    elif outcome.verdict is Verdict.HELD and ticket.status is TicketStatus.RESOLVED:
        comment = f"The fix held: {after:.1f} complaints a day after it."
        verified = _moved_to(context, ticket, TicketStatus.VERIFIED, comment)
        about = f"held/{resolved_at(ticket).isoformat()}"
        tell_tracker(context, verified, comment=comment, about=about, figures={})


def _moved_to(context: StepContext, ticket: Ticket, status: TicketStatus, comment: str) -> Ticket:
    moved = replace(ticket, status=status)
    if status is TicketStatus.REOPENED:
        moved = replace(moved, resolved_at=None, fixed_version=None)
    context.ops.put_ticket(moved)
    mirror(context, [moved])
    context.ops.audit(
        actor="closeloop",
        action=f"ticket.{status.value}",
        subject=ticket.ticket_id,
        detail=comment,
        at=context.now,
    )
    return moved
