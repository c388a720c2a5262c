"""Moves tickets: started, resolved by a fix, or rejected as no issue."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from closeloop.domain.autonomy import NOT_AN_ISSUE, REAL
from closeloop.domain.ticket import OPEN_STATUSES, Ticket, TicketStatus
from closeloop.errors import NotFoundError, UsageError, redact
from closeloop.ports import Operations, StepContext
from closeloop.stages.answer import label_signal
from closeloop.stages.outbox import mirror, tell_tracker
from closeloop.stages.signal_rows import signals_by_id
from closeloop.text.normalise import normalise_version


def find_ticket(ops: Operations, ticket_id: str) -> Ticket:
    """Return the ticket with that id (or its beginning) or tracker key. Raises NotFoundError."""
    tickets = ops.tickets()
    exact = [t for t in tickets if ticket_id in (t.ticket_id, t.external_key)]
    found = exact or [t for t in tickets if ticket_id and t.ticket_id.startswith(ticket_id)]
    if len(found) != 1:
        problem = "no ticket" if not found else f"{len(found)} tickets"
        raise NotFoundError(
            f"{problem} with the id {redact(ticket_id)!r}", hint="'closeloop tickets' lists them"
        )
    return found[0]


def start(context: StepContext, ticket_id: str, *, by: str) -> Ticket:
    """Say that work on a ticket has begun. Raises UsageError for one that is not open."""
    ticket = _open_ticket(context, ticket_id, verb="started")
    if ticket.status is TicketStatus.IN_PROGRESS:
        raise UsageError(f"ticket {ticket.ticket_id} is in progress already")
    moved = replace(ticket, status=TicketStatus.IN_PROGRESS)
    return _moved(context, moved, by=by, action="start", detail="")


def resolve(
    context: StepContext, ticket_id: str, *, by: str, at: datetime, version: str | None = None
) -> Ticket:
    """Say that a ticket is fixed since `at`, by `version` if known; from then the fix is measured.

    It counts as a label that the issue was real. The version takes the form that feedback's have, to
    which it is compared. Raises UsageError for a ticket that is not open, and for a time in the
    future or before its first complaint.
    """
    ticket = _open_ticket(context, ticket_id, verb="resolved")
    earliest = ticket.first_complaint_at or ticket.opened_at
    if at > context.now or at < earliest:
        raise UsageError(
            f"a fix at {at:%Y-%m-%d %H:%M} UTC does not fit: it lies "
            + ("in the future" if at > context.now else "before the first complaint"),
            hint="give --at between the first complaint and now",
        )
    _label(context, ticket, value=REAL, by=by)
    fixed = (normalise_version(version) or version) if version else None
    moved = replace(ticket, status=TicketStatus.RESOLVED, resolved_at=at, fixed_version=fixed)
    return _moved(context, moved, by=by, action="resolve", detail=fixed or "")


def reject(context: StepContext, ticket_id: str, *, by: str, reason: str) -> Ticket:
    """Say that a ticket is no issue, and why; it counts as a label, and its theme is suppressed.

    Raises UsageError for a ticket that is not open, or without a reason.
    """
    ticket = _open_ticket(context, ticket_id, verb="rejected")
    if not reason.strip():
        raise UsageError("a rejection needs a reason", hint="--reason 'works as intended'")
    _label(context, ticket, value=NOT_AN_ISSUE, by=by)
    moved = replace(ticket, status=TicketStatus.REJECTED)
    return _moved(context, moved, by=by, action="reject", detail=reason.strip())


def _open_ticket(context: StepContext, ticket_id: str, *, verb: str) -> Ticket:
    ticket = find_ticket(context.ops, ticket_id)
    if ticket.status not in OPEN_STATUSES:
        raise UsageError(
            f"ticket {ticket.ticket_id} is {ticket.status.value} and can't be {verb}",
            hint="'closeloop tickets' lists the open ones",
        )
    return ticket


def _label(context: StepContext, ticket: Ticket, *, value: str, by: str) -> None:
    signal = signals_by_id(context, [ticket.signal_id]).get(ticket.signal_id)
    if signal is not None:
        label_signal(context, signal, value=value, by=by)


def _moved(context: StepContext, ticket: Ticket, *, by: str, action: str, detail: str) -> Ticket:
    context.ops.put_ticket(ticket)
    mirror(context, [ticket])
    words = f"{ticket.status.value.replace('_', ' ')} by {by}" + (f": {detail}" if detail else "")
    tell_tracker(
        context, ticket, comment=words, about=f"{action}/{context.now.isoformat()}", figures={}
    )
    context.ops.audit(
        actor=by, action=f"ticket.{action}", subject=ticket.ticket_id, detail=detail, at=context.now
    )
    return ticket
