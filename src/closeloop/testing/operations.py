"""The operational database of replays and tests: the same operations, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from closeloop.domain import erasure
from closeloop.domain.outcome import Outcome
from closeloop.domain.policy import Decision
from closeloop.domain.review import (
    AuditEntry,
    Label,
    LabelKind,
    OutboxMessage,
    ReviewItem,
    ThemeCorrection,
)
from closeloop.domain.ticket import Ticket
from closeloop.errors import IntegrityError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of an audit entry whose writer gave none: a fake has no clock."""


class InMemoryOperations:
    """Keeps everything in dictionaries, in the order in which it was first put."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}
        self._decisions: dict[str, Decision] = {}
        self._reviews: dict[str, ReviewItem] = {}
        self._labels: dict[str, Label] = {}
        self._corrections: dict[str, ThemeCorrection] = {}
        self._outbox: dict[str, OutboxMessage] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._audit: list[AuditEntry] = []

    def tickets(self) -> list[Ticket]:
        """Return all tickets, in the order they were put."""
        return list(self._tickets.values())

    def put_ticket(self, ticket: Ticket) -> None:
        """Add a ticket or bring it up to date. Raises IntegrityError for a signal's second."""
        for other in self._tickets.values():
            if other.signal_id == ticket.signal_id and other.ticket_id != ticket.ticket_id:
                raise IntegrityError(
                    f"signal {ticket.signal_id} has ticket {other.ticket_id} already; "
                    f"{ticket.ticket_id} refused"
                )
        self._tickets[ticket.ticket_id] = ticket

    def decisions(self) -> list[Decision]:
        """Return all decisions, in the order they were put."""
        return list(self._decisions.values())

    def put_decision(self, decision: Decision) -> bool:
        """Add a decision; False where one with its id is there already."""
        if decision.decision_id in self._decisions:
            return False
        self._decisions[decision.decision_id] = decision
        return True

    def reviews(self) -> list[ReviewItem]:
        """Return all review items, in the order they were put."""
        return list(self._reviews.values())

    def put_review(self, item: ReviewItem) -> None:
        """Add a review item or bring it up to date."""
        self._reviews[item.review_id] = item

    def labels(self, kind: LabelKind | None = None) -> list[Label]:
        """Return labels, in the order they were put."""
        return [label for label in self._labels.values() if kind is None or label.kind == kind]

    def put_label(self, label: Label) -> None:
        """Add a label, or put it in place of the one with its id."""
        self._labels[label.label_id] = label

    def corrections(self) -> list[ThemeCorrection]:
        """Return people's corrections of themes, in the order they were put."""
        return list(self._corrections.values())

    def put_correction(self, correction: ThemeCorrection) -> None:
        """Add a correction."""
        self._corrections[correction.correction_id] = correction

    def enqueue(self, message: OutboxMessage) -> bool:
        """Add an outbox message; False where its idempotency key is there already."""
        if message.idempotency_key in self._outbox:
            return False
        self._outbox[message.idempotency_key] = message
        return True

    def outbox(self, *, status: str | None = None) -> list[OutboxMessage]:
        """Return outbox messages, in the order they were put."""
        return [m for m in self._outbox.values() if status is None or m.status == status]

    def put_outbox(self, message: OutboxMessage) -> None:
        """Bring an outbox message up to date."""
        self._outbox[message.idempotency_key] = message

    def outcomes(self) -> list[Outcome]:
        """Return the newest outcome of each ticket."""
        return list(self._outcomes.values())

    def put_outcome(self, outcome: Outcome) -> None:
        """Add an outcome; the newest of a ticket is the one that is returned."""
        held = self._outcomes.get(outcome.ticket_id)
        if held is None or outcome.measured_at >= held.measured_at:
            self._outcomes[outcome.ticket_id] = outcome

    def audit(
        self, *, actor: str, action: str, subject: str, detail: str, at: datetime | None = None
    ) -> None:
        """Log what was done."""
        number = len(self._audit) + 1
        self._audit.append(AuditEntry(number, at or EPOCH, actor, action, subject, detail))

    def audit_entries(self, *, after: int = 0) -> list[AuditEntry]:
        """Return what was logged after the entry with this number, oldest first."""
        return self._audit[after:]

    def forget(self, *, feedback_ids: Sequence[str], texts: Sequence[str]) -> int:
        """Take feedback out of everything that is held; return how many records changed."""
        gone = erasure.Forgotten.of(feedback_ids=feedback_ids, texts=texts)
        changed = 0
        for label in self.labels():
            if erasure.concerns(label, gone):
                del self._labels[label.label_id]
                changed += 1
        for key, ticket in self._tickets.items():
            kept = erasure.ticket_without(ticket, gone)
            changed += kept != ticket
            self._tickets[key] = kept
        for key, item in self._reviews.items():
            answered = erasure.review_without(item, gone)
            changed += answered != item
            self._reviews[key] = answered
        for key, message in self._outbox.items():
            sent = erasure.message_without(message, gone)
            changed += sent != message
            self._outbox[key] = sent
        for key, correction in self._corrections.items():
            left = erasure.correction_without(correction, gone)
            changed += left != correction
            self._corrections[key] = left
        return changed
