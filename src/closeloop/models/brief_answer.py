"""The fixed schema of a brief as a language model answers it, and how an answer becomes a brief."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from closeloop.domain.brief import Brief, Derivation, FactSheet, Operation, Sentence
from closeloop.ports import BriefRequest

SCHEMA_NAME = "brief"
MAX_SENTENCES = 12
MAX_CHARACTERS = 700
"""A sentence or a part that is longer is no brief, whatever it says."""

TITLE_CHARACTERS = 160

Text = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]
Severity = Literal["P1", "P2", "P3", "P4"]
PARTS = (
    "summary",
    "impacted_area",
    "likely_cause",
    "urgency",
    "next_actions",
    "engineering",
    "support",
    "product",
    "leadership",
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DerivedAnswer(_Strict):
    """A number that follows from figures."""

    value: Text
    operation: Operation
    operands: tuple[Text, ...] = Field(max_length=8)


class SentenceAnswer(_Strict):
    """A sentence with what it rests on."""

    text: Text
    ids: tuple[Text, ...] = Field(max_length=20)
    derived: tuple[DerivedAnswer, ...] = Field(max_length=6)

    def sentence(self, reviews: dict[str, str]) -> Sentence:
        """Return it with feedback ids in place of Q1, Q2, …."""
        return Sentence(
            self.text.strip(),
            tuple(dict.fromkeys(reviews.get(i, i) for i in self.ids)),
            tuple(Derivation(d.value, d.operation, d.operands) for d in self.derived),
        )


Part = Annotated[tuple[SentenceAnswer, ...], Field(max_length=MAX_SENTENCES)]


class BriefAnswer(_Strict):
    """All of an answer."""

    title: SentenceAnswer
    summary: Part
    impacted_area: Part
    likely_cause: Part
    urgency: Part
    severity: Severity
    cause: Text
    recommended_owner: Text
    routing_hints: tuple[Text, ...] = Field(max_length=12)
    next_actions: Part
    engineering: Part
    support: Part
    product: Part
    leadership: Part


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def schema() -> dict[str, Any]:
    """Return the JSON schema in the strict subset: all required, nothing more, no limits."""
    text: dict[str, Any] = {"type": "string"}
    texts = {"type": "array", "items": text}
    derived = _object(
        {
            "value": text,
            "operation": {"type": "string", "enum": [o.value for o in Operation]},
            "operands": texts,
        }
    )
    sentence = _object({"text": text, "ids": texts, "derived": {"type": "array", "items": derived}})
    one = {"$ref": "#/$defs/sentence"}
    many = {"type": "array", "items": one}
    root = _object(
        {
            "title": one,
            "summary": many,
            "impacted_area": many,
            "likely_cause": many,
            "urgency": many,
            "severity": {"type": "string", "enum": ["P1", "P2", "P3", "P4"]},
            "cause": text,
            "recommended_owner": text,
            "routing_hints": texts,
            "next_actions": many,
            "engineering": many,
            "support": many,
            "product": many,
            "leadership": many,
        }
    )
    return {**root, "$defs": {"sentence": sentence}}


def read_answer(text: str) -> BriefAnswer | str:
    """Return the answer, or in plain words why it is none (field and kind, never the content)."""
    try:
        answer = BriefAnswer.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        return f"{place}: {first['type'].replace('_', ' ')}"
    if len(answer.title.text) > TITLE_CHARACTERS:
        return f"title: over {TITLE_CHARACTERS} characters"
    return answer


def brief_of(
    answer: BriefAnswer, request: BriefRequest, sent: FactSheet, *, writer: str, prompt_version: str
) -> Brief:
    """Return an answer as a brief, not checked yet; Q1, Q2, … are the quotations that were sent."""
    reviews = {f"Q{n}": q.feedback_id for n, q in enumerate(sent.quotations, start=1)}
    parts: dict[str, Any] = {
        name: tuple(s.sentence(reviews) for s in getattr(answer, name)) for name in PARTS
    }
    return Brief(
        brief_id="",
        signal_id=request.signal.signal_id,
        title=answer.title.sentence(reviews),
        severity=answer.severity,
        cause=answer.cause.strip(),
        recommended_owner=answer.recommended_owner.strip(),
        routing_hints=tuple(answer.routing_hints),
        fact_sheet=request.sheet,
        writer=writer,
        prompt_version=prompt_version,
        verified=False,
        problems=(),
        made_at=request.now,
        **parts,
    )
