"""The built-in tracker's issues, kept in the operational database beside the tickets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from closeloop.domain.ticket import Ticket
from closeloop.errors import TerminalError
from closeloop.store.schema import tracker_comment, tracker_issue


def _state(ticket: Ticket) -> dict[str, Any]:
    return {
        "title": ticket.title,
        "body": "\n\n".join((ticket.body, *ticket.examples)),
        "status": ticket.status.value,
        "severity": ticket.severity.value,
        "owner": ticket.owner,
        "parent_ticket_id": ticket.parent_id,
    }


def open_issue(connection: Connection, ticket: Ticket, *, idempotency_key: str) -> int:
    """Open an issue and return its number; the same idempotency key gives the one opened before."""
    query = select(tracker_issue.c.number).where(tracker_issue.c.idempotency_key == idempotency_key)
    held = connection.execute(query).scalar()
    if held is not None:
        return int(held)
    result = connection.execute(
        insert(tracker_issue).values(
            idempotency_key=idempotency_key, ticket_id=ticket.ticket_id, **_state(ticket)
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def update_issue(
    connection: Connection, number: int, ticket: Ticket, *, comment: str, idempotency_key: str
) -> None:
    """Bring an issue up to date and add the comment once. Raises TerminalError where it is not."""
    changed = connection.execute(
        update(tracker_issue).where(tracker_issue.c.number == number).values(**_state(ticket))
    )
    if changed.rowcount == 0:
        raise TerminalError(
            f"the built-in tracker has no issue {number} (ticket {ticket.ticket_id})",
            hint="was the operational database replaced? restore it from a backup",
        )
    table = tracker_comment
    query = select(table.c.number).where(table.c.idempotency_key == idempotency_key)
    if comment and connection.execute(query).first() is None:
        connection.execute(
            insert(table).values(idempotency_key=idempotency_key, number=number, body=comment)
        )
