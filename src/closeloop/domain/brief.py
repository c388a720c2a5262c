"""A brief: what people read of a signal, every sentence resting on a numbered fact or a review."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """One computed fact: `fact_id` ("F3"), a plain statement, and the values it states.

    `topic` says what the fact is about ("trend", "attribution", …), so that a writer can find it.
    """

    fact_id: str
    statement: str
    values: tuple[str, ...] = ()
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Quotation:
    """A verbatim, masked excerpt of one review.

    `role` says why it is shown: representative, diverse, recent, or dissenting (it disagrees).
    """

    feedback_id: str
    text: str
    rating: float | None
    event_time: datetime
    version: str | None
    role: str = "representative"


@dataclass(frozen=True, slots=True)
class FactSheet:
    """All that a brief may state: facts, quotations, and the names it may use."""

    signal_id: str
    facts: tuple[Fact, ...]
    quotations: tuple[Quotation, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Brief:
    """A brief in the fixed schema; each text is a tuple of (sentence, ids it rests on)."""

    brief_id: str
    signal_id: str
    title: str
    summary: tuple[tuple[str, tuple[str, ...]], ...]
    impacted_area: str
    likely_cause: str
    urgency: str
    recommended_owner: str
    routing_hints: tuple[str, ...]
    next_actions: tuple[str, ...]
    engineering: str
    support: str
    product: str
    leadership: str
    fact_sheet: FactSheet
    writer: str
    prompt_version: str
    verified: bool
    problems: tuple[str, ...]
    made_at: datetime
