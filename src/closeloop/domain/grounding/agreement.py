"""Checks that the parts of a brief agree: one severity, one cause, one owner, nobody left out."""

from __future__ import annotations

from collections.abc import Iterator

from closeloop.domain.brief import TEXT_FIELDS, Brief, Sentences
from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.sheet_view import SheetView

MUST_NAME_CAUSE = ("likely_cause", "engineering", "leadership")
"""Parts whose readers would act otherwise if they were not told what is blamed."""


def agreement_problems(brief: Brief, view: SheetView) -> Iterator[str]:
    """Yield where the stated severity, cause or owner is not the sheet's, or a part leaves it out."""
    for name in TEXT_FIELDS:
        if not getattr(brief, name):
            yield f"{name}: is empty"
    if view.severity and brief.severity != view.severity:
        yield f"severity: {brief.severity[:10]!r}, but the sheet says {view.severity}"
    blamed = view.blamed
    stated = normal(brief.cause).strip()
    if blamed is None and stated:
        yield f"cause: {stated[:40]!r} is stated, but nothing is blamed"
    if blamed is not None and stated != normal(blamed.name):
        yield f"cause: {stated[:40]!r} is stated, but {blamed.name[:40]!r} is blamed"
    if blamed is not None:
        for name in MUST_NAME_CAUSE:
            if not _names(getattr(brief, name), blamed.name, view):
                yield f"{name}: does not say that {blamed.kind} {blamed.name[:40]!r} is blamed"
    yield from _owner(brief, view)
    for hint in brief.routing_hints:
        value = hint.partition(": ")[2] or hint
        if value not in view.sheet.names:
            yield f"routing_hints: {hint[:40]!r} is not on the fact sheet"


def _owner(brief: Brief, view: SheetView) -> Iterator[str]:
    owner = brief.recommended_owner
    if view.owner:
        if owner != view.owner:
            yield f"recommended_owner: {owner[:40]!r}, but by the rules it is {view.owner[:40]!r}"
    elif owner not in view.sheet.names:
        yield f"recommended_owner: {owner[:40]!r} is not among the names"


def _names(sentences: Sentences, name: str, view: SheetView) -> bool:
    mine = normal(name).casefold()
    return any(
        place.name.casefold() == mine for s in sentences for place in view.places(normal(s.text))
    )
