"""The tables of the operational database: what needs transactions, and the run ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """A time with zone; kept in UTC and given back in UTC on databases that know no zones too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn a time into UTC. Raises ValueError for one without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without zone can't be stored: {value.isoformat()}")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the time its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Texts(TypeDecorator[tuple[str, ...]]):
    """A tuple of texts, kept as a JSON list."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Turn texts into JSON."""
        return None if value is None else json.dumps(list(value), ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        """Turn JSON into texts."""
        return None if value is None else tuple(json.loads(value))


metadata = MetaData()


def _position() -> Column[int]:
    # "Oldest first" is the order of arrival: times may be equal within one pass.
    return Column("position", Integer, primary_key=True, autoincrement=True)


schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

ticket = Table(
    "ticket",
    metadata,
    _position(),
    Column("ticket_id", String(64), nullable=False, unique=True),
    Column("decision_id", String(64), nullable=False),
    # One ticket for a signal, ever: the database refuses a second.
    Column("signal_id", String(64), nullable=False, unique=True),
    Column("product", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("severity", String(2), nullable=False),
    Column("owner", Text, nullable=False),
    Column("tracker", String(64), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("category", Text),
    Column("theme_id", String(64)),
    Column("confidence", Float),
    Column("release", Text),
    Column("change_id", String(64)),
    Column("parent_id", String(64), index=True),
    Column("external_key", Text),
    Column("examples", Texts, nullable=False),
    Column("first_complaint_at", UtcTime),
    Column("detected_at", UtcTime),
    Column("resolved_at", UtcTime),
    Column("fixed_version", Text),
)

decision = Table(
    "decision",
    metadata,
    _position(),
    Column("decision_id", String(64), nullable=False, unique=True),
    Column("signal_id", String(64), nullable=False, index=True),
    Column("action", String(20), nullable=False),
    Column("would_ticket", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("reasons", Texts, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
)

review_item = Table(
    "review_item",
    metadata,
    _position(),
    Column("review_id", String(64), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("signal_id", String(64), nullable=False, index=True),
    Column("decision_id", String(64), nullable=False),
    Column("product", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("reasons", Texts, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime),
    Column("decided_by", Text),
    Column("answer_reason", Text),
    Column("severity", String(2)),
    Column("owner", Text),
)

label = Table(
    "label",
    metadata,
    _position(),
    Column("label_id", String(64), nullable=False, unique=True),
    Column("kind", String(20), nullable=False, index=True),
    Column("product", Text, nullable=False),
    Column("category", Text),
    Column("subject", Texts, nullable=False),
    Column("value", Text, nullable=False),
    Column("predicted", Text),
    Column("confidence", Float),
    Column("made_by", Text, nullable=False),
    Column("made_at", UtcTime, nullable=False),
)

correction = Table(
    "correction",
    metadata,
    _position(),
    Column("correction_id", String(64), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("theme_id", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("feedback_ids", Texts, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", UtcTime, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    _position(),
    Column("idempotency_key", String(200), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("target", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("external_key", Text),
    Column("last_error", Text),
    Column("next_attempt_at", UtcTime),
)

outcome = Table(
    "outcome",
    metadata,
    _position(),
    Column("ticket_id", String(64), nullable=False),
    Column("signal_id", String(64), nullable=False),
    Column("measured_at", UtcTime, nullable=False),
    Column("clock_started_at", UtcTime, nullable=False),
    Column("days_before", Float, nullable=False),
    Column("days_after", Float, nullable=False),
    Column("complaints_before", Integer, nullable=False),
    Column("complaints_after", Integer, nullable=False),
    Column("rate_ratio", Float),
    Column("ratio_low", Float),
    Column("ratio_high", Float),
    Column("verdict", String(40), nullable=False),
    Column("reasons", Texts, nullable=False),
    UniqueConstraint("ticket_id", "measured_at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("made_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

tracker_issue = Table(
    "tracker_issue",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("idempotency_key", String(200), nullable=False, unique=True),
    Column("ticket_id", String(64), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("severity", String(2), nullable=False),
    Column("owner", Text, nullable=False),
    Column("parent_ticket_id", String(64)),
)

tracker_comment = Table(
    "tracker_comment",
    metadata,
    _position(),
    Column("idempotency_key", String(200), nullable=False, unique=True),
    Column("number", Integer, nullable=False, index=True),
    Column("body", Text, nullable=False),
)

ledger_step = Table(
    "ledger_step",
    metadata,
    Column("step_id", Integer, primary_key=True, autoincrement=True),
    Column("step", Text, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("as_of", UtcTime, nullable=False),
    Column("inputs", Text),
    Column("outputs", Text),
    Column("counts", Text),
    # An id is never given out twice, not even after its row has gone: readers compare ids.
    sqlite_autoincrement=True,
)

table_head = Table(
    "table_head",
    metadata,
    Column("table_name", String(100), primary_key=True),
    Column("version", Integer),
    Column("step_id", Integer, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("step", String(100), primary_key=True),
    Column("table_name", String(100), primary_key=True),
    Column("batch_id", Integer, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

Index("ix_outbox_due", outbox.c.status, outbox.c.next_attempt_at)
