"""The tracker that comes with closeloop: issues in the operational database, nothing to install."""

from __future__ import annotations

from typing import Protocol

from closeloop.domain.ticket import Ticket
from closeloop.errors import TerminalError, redact

PREFIX = "CL-"


class IssueStore(Protocol):
    """What the tracker needs of the operational database."""

    def open_issue(self, ticket: Ticket, *, idempotency_key: str) -> int:
        """Open an issue; return its number, the same one for the same key."""
        ...

    def update_issue(
        self, number: int, ticket: Ticket, *, comment: str, idempotency_key: str
    ) -> None:
        """Bring an issue up to date and add a comment, once for a key."""
        ...


class BuiltInTracker:
    """Keeps issues CL-1, CL-2, … in the same database as the outbox, so both commit together."""

    name = "builtin"

    def __init__(self, store: IssueStore) -> None:
        self._store = store

    def create(self, ticket: Ticket, *, idempotency_key: str) -> str:
        """Open the ticket and return its key; the same idempotency key never opens a second."""
        return f"{PREFIX}{self._store.open_issue(ticket, idempotency_key=idempotency_key)}"

    def update(self, ticket: Ticket, *, comment: str, idempotency_key: str) -> None:
        """Bring the issue up to date and add a comment. Raises TerminalError for a foreign key."""
        key = ticket.external_key or ""
        if not key.removeprefix(PREFIX).isdigit():
            raise TerminalError(
                f"ticket {ticket.ticket_id} has no issue of the built-in tracker: {redact(key)!r}"
            )
        self._store.update_issue(
            int(key.removeprefix(PREFIX)), ticket, comment=comment, idempotency_key=idempotency_key
        )
