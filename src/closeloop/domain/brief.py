"""A brief: what people read of a signal, every sentence resting on a numbered fact or a review."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from closeloop.domain.model_answer import AnswerState, Usage


class Measure(StrEnum):
    """What a figure measures; two figures can be mistaken for each other only within one."""

    COUNT = "count"
    SHARE = "share"
    TIMES = "times"
    ODDS = "odds"
    SPAN = "span"
    MOMENT = "moment"
    RATING = "rating"
    POINTS = "points"
    EVIDENCE = "evidence"
    WORTH = "worth"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a fact, as the fact writes it, with what it is a figure of.

    `amount` is in per cent for a share, hours for a span, minutes since 1970 for a moment.
    `noun` is what is counted (complaint, author, …). `sense` tells figures of one measure apart:
    "" was observed, "expected" is the baseline, and so on. `label` is the name that it belongs to
    (a version, a region, a day), `hours` the length of the window that it was counted in.
    """

    written: str
    measure: Measure
    amount: float
    noun: str = ""
    sense: str = ""
    label: str = ""
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """One computed fact: `fact_id` ("F3"), a plain statement, and the values it states.

    `topic` says what the fact is about ("trend", "attribution", …), so that a writer can find it.
    `figures` are its numbers; the n-th is called "F3.n".
    """

    fact_id: str
    statement: str
    values: tuple[str, ...] = ()
    topic: str = ""
    figures: tuple[Figure, ...] = ()


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


class Operation(StrEnum):
    """How a number may follow from figures of the sheet."""

    DIFFERENCE = "difference"
    RATIO = "ratio"
    SHARE = "share"
    SUM = "sum"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Derivation:
    """A number of a sentence that is not on the sheet, and the figures ("F1.2") it follows from."""

    value: str
    operation: Operation
    operands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, the facts ("F3") and reviews (feedback ids) it rests on, and what it derives."""

    text: str
    ids: tuple[str, ...]
    derived: tuple[Derivation, ...] = ()


Sentences = tuple[Sentence, ...]


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a language model at a brief: its state by name, what was wrong, what it cost.

    `state` is ANSWERED for every answer that could be read, grounded or not; `problems` are then
    what the check found. `detail` says why there is no text, without secrets.
    """

    purpose: str
    state: AnswerState
    model: str
    prompt_version: str
    problems: tuple[str, ...] = ()
    detail: str = ""
    usage: Usage = NO_USAGE
    cost_usd: float | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Brief:
    """A brief in the fixed schema.

    `severity` repeats the signal's, `cause` names the change that is blamed ("" where none is):
    both are stated so that they can be checked, never decided here. `attempts` are the tries of a
    language model that came before the text that stands, in order.
    """

    brief_id: str
    signal_id: str
    title: Sentence
    summary: Sentences
    impacted_area: Sentences
    likely_cause: Sentences
    urgency: Sentences
    severity: str
    cause: str
    recommended_owner: str
    routing_hints: tuple[str, ...]
    next_actions: Sentences
    engineering: Sentences
    support: Sentences
    product: Sentences
    leadership: Sentences
    fact_sheet: FactSheet
    writer: str
    prompt_version: str
    verified: bool
    problems: tuple[str, ...]
    made_at: datetime
    attempts: tuple[Attempt, ...] = field(default=())

    def sentences(self) -> Iterator[tuple[str, int, Sentence]]:
        """Yield every sentence with its field and its number in it, from 1 (the title's is 0)."""
        yield "title", 0, self.title
        for name in TEXT_FIELDS:
            for number, sentence in enumerate(getattr(self, name), start=1):
                yield name, number, sentence


AUDIENCES = ("engineering", "support", "product", "leadership")
TEXT_FIELDS = ("summary", "impacted_area", "likely_cause", "urgency", "next_actions", *AUDIENCES)


def plain_text(sentences: Sentences) -> str:
    """Return sentences as one text without references."""
    return " ".join(s.text for s in sentences)


def cited_text(sentences: Sentences, sheet: FactSheet) -> str:
    """Return sentences as one text, each followed by what it rests on: [F1, Q2]."""
    number_of = {q.feedback_id: f"Q{n}" for n, q in enumerate(sheet.quotations, start=1)}
    parts = []
    for sentence in sentences:
        references = ", ".join(number_of.get(i, i) for i in sentence.ids)
        parts.append(f"{sentence.text} [{references}]" if references else sentence.text)
    return " ".join(parts)
