"""Tickets, decisions, reviews, labels, outbox and audit log over one database connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from closeloop.domain import erasure
from closeloop.domain.outcome import Outcome, Verdict
from closeloop.domain.policy import Action, Decision
from closeloop.domain.review import (
    AuditEntry,
    CorrectionKind,
    Label,
    LabelKind,
    OutboxMessage,
    ReviewItem,
    ReviewKind,
    ReviewStatus,
    ThemeCorrection,
)
from closeloop.domain.signal import Severity
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.errors import IntegrityError
from closeloop.store import schema

_TYPES: dict[str, Any] = {
    "ticket.status": TicketStatus,
    "ticket.severity": Severity,
    "decision.action": Action,
    "decision.would_ticket": bool,
    "review_item.kind": ReviewKind,
    "review_item.status": ReviewStatus,
    "review_item.severity": Severity,
    "label.kind": LabelKind,
    "correction.kind": CorrectionKind,
    "outcome.verdict": Verdict,
}
"""What a column's value is in the domain, where the database has a plainer type."""


class SqlOperations:
    """The operations of one transaction; who opened the connection commits or rolls back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tickets(self) -> list[Ticket]:
        """Return all tickets, in the order they were put."""
        return self._all(Ticket, schema.ticket)

    def put_ticket(self, ticket: Ticket) -> None:
        """Add a ticket or bring it up to date. Raises IntegrityError for a signal's second."""
        table = schema.ticket
        query = select(table.c.ticket_id).where(
            table.c.signal_id == ticket.signal_id, table.c.ticket_id != ticket.ticket_id
        )
        other = self._connection.execute(query).first()
        if other is not None:
            raise IntegrityError(
                f"signal {ticket.signal_id} has ticket {other[0]} already; {ticket.ticket_id} refused"
            )
        self._put(table, "ticket_id", ticket)

    def decisions(self) -> list[Decision]:
        """Return all decisions, in the order they were put."""
        return self._all(Decision, schema.decision)

    def put_decision(self, decision: Decision) -> bool:
        """Add a decision; False where one with its id is there already."""
        return self._add(schema.decision, "decision_id", decision)

    def reviews(self) -> list[ReviewItem]:
        """Return all review items, in the order they were put."""
        return self._all(ReviewItem, schema.review_item)

    def put_review(self, item: ReviewItem) -> None:
        """Add a review item or bring it up to date."""
        self._put(schema.review_item, "review_id", item)

    def labels(self, kind: LabelKind | None = None) -> list[Label]:
        """Return labels, in the order they were put."""
        if kind is None:
            return self._all(Label, schema.label)
        return self._all(Label, schema.label, where=schema.label.c.kind == kind.value)

    def put_label(self, label: Label) -> None:
        """Add a label, or put it in place of the one with its id."""
        self._put(schema.label, "label_id", label)

    def corrections(self) -> list[ThemeCorrection]:
        """Return people's corrections of themes, in the order they were put."""
        return self._all(ThemeCorrection, schema.correction)

    def put_correction(self, correction: ThemeCorrection) -> None:
        """Add a correction."""
        self._put(schema.correction, "correction_id", correction)

    def enqueue(self, message: OutboxMessage) -> bool:
        """Add an outbox message; False where its idempotency key is there already."""
        return self._add(schema.outbox, "idempotency_key", message)

    def outbox(self, *, status: str | None = None) -> list[OutboxMessage]:
        """Return outbox messages, in the order they were put."""
        if status is None:
            return self._all(OutboxMessage, schema.outbox)
        return self._all(OutboxMessage, schema.outbox, where=schema.outbox.c.status == status)

    def put_outbox(self, message: OutboxMessage) -> None:
        """Bring an outbox message up to date."""
        self._put(schema.outbox, "idempotency_key", message)

    def outcomes(self) -> list[Outcome]:
        """Return the newest outcome of each ticket."""
        table = schema.outcome
        newest = (
            select(table.c.ticket_id, func.max(table.c.measured_at).label("measured_at"))
            .group_by(table.c.ticket_id)
            .subquery()
        )
        query = select(table).join(
            newest,
            and_(
                table.c.ticket_id == newest.c.ticket_id,
                table.c.measured_at == newest.c.measured_at,
            ),
        )
        return self._read(Outcome, table, query.order_by(table.c.position))

    def put_outcome(self, outcome: Outcome) -> None:
        """Add an outcome; measured again at the same time, it takes the earlier one's place."""
        table = schema.outcome
        same = and_(
            table.c.ticket_id == outcome.ticket_id, table.c.measured_at == outcome.measured_at
        )
        self._connection.execute(delete(table).where(same))
        self._connection.execute(insert(table).values(**_values(table, outcome)))

    def audit(
        self, *, actor: str, action: str, subject: str, detail: str, at: datetime | None = None
    ) -> None:
        """Log what was done, at the wall's time where none is given."""
        self._connection.execute(
            insert(schema.audit_log).values(
                made_at=at or datetime.now(UTC),
                actor=actor,
                action=action,
                subject=subject,
                detail=detail,
            )
        )

    def audit_entries(self, *, after: int = 0) -> list[AuditEntry]:
        """Return what was logged after the entry with this number, oldest first."""
        table = schema.audit_log
        query = select(table).where(table.c.number > after).order_by(table.c.number)
        return self._read(AuditEntry, table, query)

    def forget(self, *, feedback_ids: Sequence[str], texts: Sequence[str]) -> int:
        """Take feedback out of everything that is held; return how many records changed."""
        gone = erasure.Forgotten.of(feedback_ids=feedback_ids, texts=texts)
        changed = 0
        for label in self.labels():
            if erasure.concerns(label, gone):
                table = schema.label
                self._connection.execute(delete(table).where(table.c.label_id == label.label_id))
                changed += 1
        for ticket in self.tickets():
            kept = erasure.ticket_without(ticket, gone)
            if kept != ticket:
                self.put_ticket(kept)
                changed += 1
        for item in self.reviews():
            answered = erasure.review_without(item, gone)
            if answered != item:
                self.put_review(answered)
                changed += 1
        for message in self.outbox():
            sent = erasure.message_without(message, gone)
            if sent != message:
                self.put_outbox(sent)
                changed += 1
        for correction in self.corrections():
            left = erasure.correction_without(correction, gone)
            if left != correction:
                self.put_correction(left)
                changed += 1
        return changed + self._forget_issues(gone)

    def _forget_issues(self, gone: erasure.Forgotten) -> int:
        """Do the same in the built-in tracker, which keeps its issues in this database."""
        changed = 0
        for table, key, columns in (
            (schema.tracker_issue, "number", ("title", "body")),
            (schema.tracker_comment, "position", ("body",)),
        ):
            for row in self._connection.execute(select(table)).mappings().all():
                kept = {c: gone.cut(row[c]) for c in columns}
                if any(kept[c] != row[c] for c in columns):
                    self._connection.execute(
                        update(table).where(table.c[key] == row[key]).values(**kept)
                    )
                    changed += 1
        return changed

    def _all(self, kind: Any, table: Table, *, where: Any = None) -> list[Any]:
        query = select(table).order_by(table.c.position)
        return self._read(kind, table, query if where is None else query.where(where))

    def _read(self, kind: Any, table: Table, query: Select[Any]) -> list[Any]:
        names = [f.name for f in fields(kind)]
        rows = self._connection.execute(query).mappings().all()
        return [kind(**{n: _value(table, n, row) for n in names}) for row in rows]

    def _put(self, table: Table, key: str, record: Any) -> None:
        values = _values(table, record)
        statement = update(table).where(table.c[key] == values[key]).values(**values)
        if self._connection.execute(statement).rowcount == 0:
            self._connection.execute(insert(table).values(**values))

    def _add(self, table: Table, key: str, record: Any) -> bool:
        values = _values(table, record)
        query = select(table.c[key]).where(table.c[key] == values[key])
        if self._connection.execute(query).first() is not None:
            return False
        self._connection.execute(insert(table).values(**values))
        return True


def _values(table: Table, record: Any) -> dict[str, Any]:
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    for name, value in values.items():
        if value is not None and f"{table.name}.{name}" in _TYPES:
            values[name] = int(value) if isinstance(value, bool) else str(value)
    return values


def _value(table: Table, name: str, row: RowMapping) -> Any:
    kind = _TYPES.get(f"{table.name}.{name}")
    value = row[name]
    return value if kind is None or value is None else kind(value)
