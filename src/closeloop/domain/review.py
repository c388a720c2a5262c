"""What people decide: review items, labels that calibrate, and corrections that stick."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from closeloop.domain.signal import Severity


class ReviewKind(StrEnum):
    """What a person is asked."""

    SIGNAL = "signal"
    OUTCOME = "outcome"
    CATEGORY = "category"


class ReviewStatus(StrEnum):
    """Where a review item stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One question for a person; answered items keep who, when and the reason.

    `severity` and `owner` are a person's corrections, for the ticket that an approval opens.
    """

    review_id: str
    kind: ReviewKind
    signal_id: str
    decision_id: str
    product: str
    title: str
    reasons: tuple[str, ...]
    status: ReviewStatus
    created_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    answer_reason: str | None = None
    severity: Severity | None = None
    owner: str | None = None


class LabelKind(StrEnum):
    """What a label says: two texts are the same issue; a text's category; a ticket was real."""

    PAIR = "pair"
    CATEGORY = "category"
    TICKET = "ticket"


class PairAnswer(StrEnum):
    """What a person or a model says of two texts: one issue, different issues, or can't tell."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Label:
    """One judgement by a person. `subject` are the ids judged, `value` the answer ("same", …)."""

    label_id: str
    kind: LabelKind
    product: str
    category: str | None
    subject: tuple[str, ...]
    value: str
    predicted: str | None
    confidence: float | None
    made_by: str
    made_at: datetime


class CorrectionKind(StrEnum):
    """What a person changed about themes; corrections are constraints on every later run."""

    MERGE = "merge"
    SPLIT = "split"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class ThemeCorrection:
    """A merge (theme_id into target), a name (target is the name), a split (feedback ids leave)."""

    correction_id: str
    kind: CorrectionKind
    theme_id: str
    target: str
    feedback_ids: tuple[str, ...]
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A durable intent to tell the outside something, delivered once by its idempotency key."""

    idempotency_key: str
    kind: str
    target: str
    payload: str
    created_at: datetime
    attempts: int = 0
    status: str = "pending"
    external_key: str | None = None
    last_error: str | None = None
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One logged act; `number` grows with each entry."""

    number: int
    made_at: datetime
    actor: str
    action: str
    subject: str
    detail: str
