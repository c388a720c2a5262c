"""Checks the order of events ("raised before release 2.0 began") against the times on the sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from closeloop.domain.brief import Measure
from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.sheet_view import SheetView

_ORDER = re.compile(
    r"\b(?P<how>before|after|prior to|ahead of|following|later than|earlier than|until|preced(?:es|ed|ing))\b",
    re.IGNORECASE,
)
_EARLIER = frozenset(
    {"before", "prior to", "ahead of", "earlier than", "precedes", "preceded", "preceding"}
)
_RAISED = re.compile(r"\b(?:signal|raised|detected|alarm)\b", re.IGNORECASE)
_TROUBLE = re.compile(
    r"\b(?:complaints?|problems?|issues?|trouble|it|this|they|rise|spike|increase)\b[^,;.]*"
    r"\b(?:began|begins?|started|starts?|set in|arose|appeared|came|were|was|rose)\b",
    re.IGNORECASE,
)
SLACK_MIN = 1.0


def sequence_problems(text: str, view: SheetView) -> Iterator[str]:
    """Yield where two events that the sheet gives times for are told in the wrong order."""
    shown = normal(text)
    for clause in re.split(r"[;]|(?<=[.!?])\s|,\s", shown):
        for match in _ORDER.finditer(clause):
            one = _event(clause[: match.start()], view)
            other = _event(clause[match.end() :], view)
            if one is None or other is None or one[0] == other[0]:
                continue
            how = match["how"].lower()
            if how == "until":
                yield f"{match[0]!r}: no fact tells {one[0]} and {other[0]} so"
                continue
            earlier = how in _EARLIER
            if (one[1] < other[1] - SLACK_MIN) != earlier:
                yield f"{match[0]!r}: by the sheet {one[0]} was {'after' if earlier else 'before'} {other[0]}"


def _event(part: str, view: SheetView) -> tuple[str, float] | None:
    """Return what a part of a clause tells of, and when that was in minutes; the last one named."""
    began = _began(view)
    named = [p for p in view.places(part) if normal(p.name).casefold() in began]
    if named:
        name = named[-1].name
        return f"the beginning of {name[:40]!r}", began[normal(name).casefold()]
    if _RAISED.search(part):
        return _of("the signal", "raised", view)
    if _TROUBLE.search(part):
        return _of("the window", "start", view)
    return None


def _of(what: str, sense: str, view: SheetView) -> tuple[str, float] | None:
    for fact in view.topic("cause_time", "count"):
        for figure in fact.figures:
            if figure.measure is Measure.MOMENT and figure.sense == sense:
                return what, figure.amount
    return None


def _began(view: SheetView) -> dict[str, float]:
    return {
        normal(figure.label).casefold(): figure.amount
        for fact in view.topic("blamed", "candidate")
        for figure in fact.figures
        if figure.measure is Measure.MOMENT and figure.sense == "began" and figure.label
    }
