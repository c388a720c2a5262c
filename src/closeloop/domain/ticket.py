"""A ticket: a problem with an owner and a due time, from open to verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from closeloop.domain.signal import Severity


class TicketStatus(StrEnum):
    """Where a ticket stands; `reopened` follows a fix that failed."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    VERIFIED = "verified"
    REOPENED = "reopened"
    REJECTED = "rejected"


OPEN_STATUSES = frozenset({TicketStatus.OPEN, TicketStatus.IN_PROGRESS, TicketStatus.REOPENED})


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket; a parent groups children that share a cause."""

    ticket_id: str
    decision_id: str
    signal_id: str
    product: str
    title: str
    body: str
    status: TicketStatus
    severity: Severity
    owner: str
    tracker: str
    opened_at: datetime
    due_at: datetime
    category: str | None = None
    theme_id: str | None = None
    confidence: float | None = None
    release: str | None = None
    change_id: str | None = None
    parent_id: str | None = None
    external_key: str | None = None
    examples: tuple[str, ...] = ()
    first_complaint_at: datetime | None = None
    detected_at: datetime | None = None
    resolved_at: datetime | None = None
    fixed_version: str | None = None
