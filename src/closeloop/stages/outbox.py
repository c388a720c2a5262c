"""The outbox: durable intents to tell a tracker something, and their delivery."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from closeloop.domain.review import OutboxMessage
from closeloop.domain.ticket import Ticket
from closeloop.errors import OutsideError, TerminalError, TransientError, redact
from closeloop.ports import StepContext, Tracker
from closeloop.tables import TICKET

CREATE = "ticket.create"
UPDATE = "ticket.update"

PENDING = "pending"
UNCERTAIN = "uncertain"
DELIVERED = "delivered"
FAILED = "failed"

MAX_ATTEMPTS = 8
FIRST_PAUSE = timedelta(minutes=1)
"""Doubles with each attempt: eight attempts span two hours."""
UNCERTAIN_PAUSE = timedelta(minutes=15)
"""After a timeout nobody knows whether the ticket exists; trackers' searches lag by minutes, so
the next attempt, which looks by the idempotency key first, comes when they have caught up."""


def enqueue_create(context: StepContext, ticket: Ticket, *, count: int) -> None:
    """Put the intent to open a ticket into the outbox; `count` are its signal's complaints.

    The payload names the ticket and holds no words of it: they are read when it is delivered.
    """
    payload = {"ticket_id": ticket.ticket_id, "count": count}
    context.ops.enqueue(
        OutboxMessage(
            idempotency_key=f"{CREATE}/{ticket.ticket_id}",
            kind=CREATE,
            target=ticket.tracker,
            payload=json.dumps(payload, sort_keys=True),
            created_at=context.now,
        )
    )


def tell_tracker(
    context: StepContext, ticket: Ticket, *, comment: str, about: str, figures: Mapping[str, Any]
) -> bool:
    """Put an update of a ticket into the outbox; False where `about` was told before.

    Comments hold figures and people's own words, never a customer's: an outbox is not erased.
    """
    return context.ops.enqueue(
        OutboxMessage(
            idempotency_key=f"{UPDATE}/{ticket.ticket_id}/{about}",
            kind=UPDATE,
            target=ticket.tracker,
            payload=json.dumps(
                {"ticket_id": ticket.ticket_id, "comment": comment, **figures}, sort_keys=True
            ),
            created_at=context.now,
        )
    )


def mirror(context: StepContext, tickets: Sequence[Ticket]) -> None:
    """Bring gold.ticket up to date."""
    if tickets:
        context.merge(TICKET, TICKET.from_rows(asdict(t) for t in tickets))


def deliver(context: StepContext, trackers: Sequence[Tracker]) -> None:
    """Bring due outbox messages to their trackers; a failure is tried again later.

    A failed call is told apart by what is known after it: TerminalError ends the message, after
    TransientError the tracker surely did nothing, any other OutsideError leaves open whether it
    acted (uncertain). Every attempt names the same idempotency key, by which a tracker looks
    before it creates, so that none is blind.
    """
    if not trackers:
        return
    by_name = {t.name: t for t in trackers}
    waiting = [*context.ops.outbox(status=PENDING), *context.ops.outbox(status=UNCERTAIN)]
    due = [
        m
        for m in waiting
        if m.target in by_name and (m.next_attempt_at is None or m.next_attempt_at <= context.now)
    ]
    if not due:
        return
    tickets = {t.ticket_id: t for t in context.ops.tickets()}
    for message in sorted(due, key=lambda m: _order(m, tickets)):
        payload = json.loads(message.payload)
        ticket = tickets[payload["ticket_id"]]
        if message.kind == UPDATE and ticket.external_key is None:
            continue
        tickets[ticket.ticket_id] = _deliver_one(
            context, by_name[message.target], message, ticket, comment=payload.get("comment", "")
        )


def _order(message: OutboxMessage, tickets: Mapping[str, Ticket]) -> tuple[datetime, bool, bool]:
    """Sort so that a ticket is made before it is updated, and a parent before its children."""
    ticket = tickets[json.loads(message.payload)["ticket_id"]]
    return (message.created_at, message.kind != CREATE, ticket.parent_id is not None)


def _deliver_one(
    context: StepContext, tracker: Tracker, message: OutboxMessage, ticket: Ticket, *, comment: str
) -> Ticket:
    attempt = replace(message, attempts=message.attempts + 1, last_error=None)
    key = message.idempotency_key
    try:
        if message.kind == CREATE:
            external = tracker.create(ticket, idempotency_key=key)
            ticket = replace(ticket, external_key=external)
            context.ops.put_ticket(ticket)
            mirror(context, [ticket])
        else:
            tracker.update(ticket, comment=comment, idempotency_key=key)
    except TerminalError as error:
        context.ops.put_outbox(replace(attempt, status=FAILED, last_error=_brief(error)))
        context.count("undeliverable", 1)
    except OutsideError as error:
        context.ops.put_outbox(_again(attempt, error, now=context.now))
        context.count("delayed", 1)
    else:
        sent = replace(
            attempt, status=DELIVERED, external_key=ticket.external_key, next_attempt_at=None
        )
        context.ops.put_outbox(sent)
        context.count("delivered", 1)
    return ticket


def _again(message: OutboxMessage, error: OutsideError, *, now: datetime) -> OutboxMessage:
    """Return the message as it waits for its next attempt, or as failed after too many."""
    pause = FIRST_PAUSE * 2 ** (message.attempts - 1)
    status = PENDING
    if not isinstance(error, TransientError):
        status, pause = UNCERTAIN, max(pause, UNCERTAIN_PAUSE)
    if message.attempts >= MAX_ATTEMPTS:
        status = FAILED
    return replace(message, status=status, last_error=_brief(error), next_attempt_at=now + pause)


def _brief(error: OutsideError) -> str:
    return redact(error.message, keep=300)
