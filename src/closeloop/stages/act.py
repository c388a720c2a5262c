"""Opens tickets for what was decided, and tells open ones what has grown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from math import floor, log2
from typing import Any

import pyarrow.compute as pc

from closeloop.domain.judgement import PART_OF_A_PROBLEM, figure
from closeloop.domain.policy import Action
from closeloop.domain.signal import Severity, Signal
from closeloop.domain.ticket import OPEN_STATUSES, Ticket, TicketStatus
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.decide import briefs_of, title_of
from closeloop.stages.outbox import CREATE, enqueue_create, mirror, tell_tracker
from closeloop.stages.outbox import deliver as deliver
from closeloop.stages.problems import root_of
from closeloop.stages.signal_complaints import complaints_of_signals
from closeloop.stages.signal_rows import signal_of, signals_by_id
from closeloop.stages.ticket_text import body_of, examples_of, release_of
from closeloop.tables import ATTRIBUTION, DECISION, FEEDBACK, SIGNAL

NAME = "act"

BUILT_IN = "builtin"
"""Name of the tracker that comes with closeloop."""


def run(context: StepContext) -> None:
    """Open a ticket for each new ticket decision and tell open tickets what has grown.

    Intents to tell the tracker go to the outbox in the same transaction, under idempotency keys
    made from the ticket: run again, nothing is opened or told twice.
    """
    fresh = context.new_rows(DECISION).to_pylist()
    decided = [row for row in fresh if row["action"] == Action.TICKET.value]
    parts = [row["signal_id"] for row in fresh if row["rule"] == PART_OF_A_PROBLEM]
    risen = context.new_rows(SIGNAL)
    risen = risen.filter(pc.invert(pc.fill_null(risen.column("historic"), False)))
    if not decided and not parts and risen.num_rows == 0:
        return
    signals = signals_by_id(context, [row["signal_id"] for row in decided])
    for row in decided:
        signal = signals.get(row["signal_id"])
        if signal is not None:
            open_ticket(context, signal, decision_id=row["decision_id"])
    _tell_of_parts(context, parts)
    _follow(context, [signal_of(row) for row in risen.to_pylist()])


def ticket_id(signal_id: str) -> str:
    """Return the id of the one ticket that a signal can have."""
    return "T" + hashlib.blake2b(signal_id.encode(), digest_size=5).hexdigest()


def open_ticket(
    context: StepContext,
    signal: Signal,
    *,
    decision_id: str,
    severity: Severity | None = None,
    owner: str | None = None,
    title: str | None = None,
) -> Ticket:
    """Open the ticket of a signal, or return the one that it has; `severity` … are a person's.

    A ticket whose signal shares its cause with others becomes a child of the first one's ticket.
    """
    held = {t.signal_id: t for t in context.ops.tickets()}
    if signal.signal_id in held:
        return held[signal.signal_id]
    ticket = _ticket(
        context, signal, decision_id=decision_id, severity=severity, owner=owner, title=title
    )
    parent = _parent(context, signal, ticket, held)
    if parent is not None:
        ticket = replace(ticket, parent_id=parent.ticket_id)
    context.ops.put_ticket(ticket)
    enqueue_create(context, ticket, count=signal.count)
    mirror(context, [ticket])
    context.count("opened", 1)
    return ticket


def due_at(
    opened_at: datetime, severity: Severity, *, sla_hours: Iterable[tuple[Severity, int]]
) -> datetime:
    """Return when a ticket is due by the policy's hours for its severity."""
    return opened_at + timedelta(hours=dict(sla_hours)[severity])


def _ticket(
    context: StepContext,
    signal: Signal,
    *,
    decision_id: str,
    severity: Severity | None,
    owner: str | None,
    title: str | None,
) -> Ticket:
    brief = briefs_of(context, [signal.signal_id]).get(signal.signal_id)
    blamed = _blamed(context, [signal.signal_id]).get(signal.signal_id)
    chosen = severity or signal.severity
    return Ticket(
        ticket_id=ticket_id(signal.signal_id),
        decision_id=decision_id,
        signal_id=signal.signal_id,
        product=signal.product,
        title=title or title_of(signal, brief),
        body=body_of(signal, brief, blamed),
        status=TicketStatus.OPEN,
        severity=chosen,
        owner=owner or _owner(context, signal, brief),
        tracker=BUILT_IN,
        opened_at=context.now,
        due_at=due_at(context.now, chosen, sla_hours=context.config.policy.sla_hours),
        category=signal.category,
        theme_id=signal.theme_id,
        confidence=signal.confidence,
        release=release_of(signal, blamed),
        change_id=blamed["change_id"] if blamed else None,
        examples=examples_of(brief),
        first_complaint_at=_first_complaint(context, signal),
        detected_at=signal.detected_at,
    )


def _owner(context: StepContext, signal: Signal, brief: Mapping[str, Any] | None) -> str:
    if brief is not None and brief["recommended_owner"]:
        return str(brief["recommended_owner"])
    owners = context.config.owners
    return owners.owner_of(product=signal.product, category=signal.category).owner


def _first_complaint(context: StepContext, signal: Signal) -> datetime | None:
    if not signal.feedback_ids:
        return signal.window_start
    if not signal.all_kept:
        return complaints_of_signals(context, [signal]).first_at(asdict(signal))
    rows = context.rows(
        FEEDBACK,
        columns=["event_time"],
        where=[("product", "=", signal.product), only_if_in("feedback_id", signal.feedback_ids)],
    )
    earliest: datetime | None = pc.min(rows.column("event_time")).as_py()
    return earliest or signal.window_start


def _blamed(context: StepContext, signal_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the blamed candidate of each signal that has one."""
    rows = context.rows(
        ATTRIBUTION, where=[only_if_in("signal_id", signal_ids), ("blamed", "=", True)]
    ).to_pylist()
    return {row["signal_id"]: row for row in rows}


def _parent(
    context: StepContext, signal: Signal, ticket: Ticket, held: Mapping[str, Ticket]
) -> Ticket | None:
    """Return the ticket under which this one belongs, opening it where that is due.

    Signals that share a blamed change name the first of them as their parent. Its ticket is the
    parent; where it has none, one is opened once two tickets of different owners, themes or
    categories hang below it: one owner with one theme needs no umbrella.
    """
    if signal.parent_id is None or signal.parent_id == signal.signal_id:
        return None
    if signal.parent_id in held:
        return held[signal.parent_id]
    siblings = {
        other.signal_id: held[other.signal_id]
        for other in signals_by_id(context, held).values()
        if other.parent_id == signal.parent_id
    }
    if not any(_differs(ticket, other) for other in siblings.values()):
        return None
    first = signals_by_id(context, [signal.parent_id]).get(signal.parent_id)
    if first is None:
        return None
    parent = _umbrella(context, first, [*siblings.values(), ticket])
    context.ops.put_ticket(parent)
    enqueue_create(context, parent, count=first.count)
    children = [replace(s, parent_id=parent.ticket_id) for s in siblings.values()]
    for child in children:
        context.ops.put_ticket(child)
        tell_tracker(
            context,
            child,
            comment=f"This shares its cause with others: see {parent.ticket_id}.",
            about="parent",
            figures={},
        )
    mirror(context, [parent, *children])
    context.count("parents", 1)
    return parent


def _differs(one: Ticket, other: Ticket) -> bool:
    return (one.owner, one.theme_id, one.category) != (other.owner, other.theme_id, other.category)


def _umbrella(context: StepContext, first: Signal, children: Sequence[Ticket]) -> Ticket:
    """Return the parent ticket: as severe and as urgent as its most severe child."""
    worst = min(children, key=lambda t: (t.severity.rank, t.ticket_id))
    plain = _ticket(
        context,
        first,
        decision_id=worst.decision_id,
        severity=worst.severity,
        owner=worst.owner,
        title=None,
    )
    cause = plain.release or worst.release
    owners = ", ".join(sorted({c.owner for c in children}))
    return replace(
        plain,
        title=f"{first.product}: {len(children)} problems share one cause"
        + (f" ({cause})" if cause else ""),
        body=f"Owners concerned: {owners}\n\n{plain.body}",
    )


def _tell_of_parts(context: StepContext, signal_ids: Sequence[str]) -> None:
    """Tell a problem's ticket of the signals that were found to be a part of it, each once."""
    parts = signals_by_id(context, signal_ids)
    tickets = {t.signal_id: t for t in context.ops.tickets() if t.status in OPEN_STATUSES}
    if not parts or not tickets:
        return
    led = signals_by_id(context, tickets)
    by_root = {root_of(led[i]): t for i, t in tickets.items() if i in led}
    briefs = briefs_of(context, parts)
    for signal_id, part in sorted(parts.items()):
        ticket = by_root.get(root_of(part))
        if ticket is None or ticket.product != part.product:
            continue
        tell_tracker(
            context,
            ticket,
            comment=f"A part of it: {title_of(part, briefs.get(signal_id))} "
            f"({part.count} complaints, {figure(part.baseline)} expected).",
            about=f"part-{signal_id}",
            figures={"count": part.count},
        )


def _follow(context: StepContext, signals: Sequence[Signal]) -> None:
    """Tell open tickets what has grown: each doubling of the count once, a graver severity once."""
    if not signals:
        return
    tickets = {t.signal_id: t for t in context.ops.tickets() if t.status in OPEN_STATUSES}
    followed = [(tickets[s.signal_id], s) for s in signals if s.signal_id in tickets]
    if not followed:
        return
    counts = _counts_at_opening(context)
    for ticket, signal in followed:
        if ticket.opened_at == context.now:
            continue
        _note_growth(context, ticket, signal, counts.get(ticket.ticket_id, signal.count))
        if signal.severity.rank < ticket.severity.rank:
            _raise_severity(context, ticket, signal)


def _counts_at_opening(context: StepContext) -> dict[str, int]:
    payloads = [json.loads(m.payload) for m in context.ops.outbox() if m.kind == CREATE]
    return {p["ticket_id"]: int(p["count"]) for p in payloads}


def _note_growth(context: StepContext, ticket: Ticket, signal: Signal, at_opening: int) -> None:
    doublings = floor(log2(signal.count / max(at_opening, 1))) if signal.count else 0
    if doublings < 1:
        return
    comment = (
        f"{signal.count} complaints by now, {at_opening} when this was opened; "
        f"{figure(signal.baseline)} were expected."
    )
    if tell_tracker(
        context, ticket, comment=comment, about=f"x{2**doublings}", figures={"count": signal.count}
    ):
        context.count("updated", 1)


def _raise_severity(context: StepContext, ticket: Ticket, signal: Signal) -> None:
    due = due_at(ticket.opened_at, signal.severity, sla_hours=context.config.policy.sla_hours)
    graver = replace(ticket, severity=signal.severity, due_at=min(due, ticket.due_at))
    context.ops.put_ticket(graver)
    mirror(context, [graver])
    tell_tracker(
        context,
        graver,
        comment=f"Severity is {signal.severity} now; it was {ticket.severity}.",
        about=f"severity-{signal.severity}",
        figures={},
    )
    context.count("raised", 1)
