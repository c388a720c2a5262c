"""Checks a brief against its fact sheet: nothing in it that the sheet does not bear."""

from __future__ import annotations

from collections.abc import Iterator

from closeloop.domain.brief import Brief, FactSheet, Sentence
from closeloop.domain.grounding.agreement import agreement_problems
from closeloop.domain.grounding.causes import cause_problems
from closeloop.domain.grounding.claims import claim_problems
from closeloop.domain.grounding.names import name_problems
from closeloop.domain.grounding.numbers import number_problems
from closeloop.domain.grounding.quotations import (
    quotation_problems,
    repetition_problems,
    without_quotations,
)
from closeloop.domain.grounding.sequence import sequence_problems
from closeloop.domain.grounding.sheet_view import SheetView
from closeloop.domain.grounding.standing import standing_problems

__all__ = ["problems"]


def problems(brief: Brief, sheet: FactSheet | None = None) -> tuple[str, ...]:
    """Return what in the brief its sheet does not bear; nothing where the brief is grounded.

    Each is "field N: what is wrong", in the order of the brief. Checked of every sentence: the ids
    that it rests on; quotations, word for word; numbers, dates and lengths of time against the
    figures of the very facts it cites, with what they are figures of; what follows from them by a
    declared operation; names, owners, versions, words; what is said of the cause and how surely;
    severity, direction and acts. Then that the parts agree. `sheet` is what a writer was given,
    where that was less than the brief's own sheet.

    What it can't see: a sentence of nothing but ordinary words and right figures that means
    something else. The words allowed are a closed list, which makes that hard, not impossible.
    """
    return tuple(dict.fromkeys(_problems(brief, SheetView(sheet or brief.fact_sheet))))


def _problems(brief: Brief, view: SheetView) -> Iterator[str]:
    sheet = view.sheet
    if brief.signal_id != sheet.signal_id:
        yield "brief: it and its fact sheet are of different signals"
    if len(view.facts) != len(sheet.facts):
        yield "brief: the fact sheet gives one id to several facts"
    for name, number, sentence in brief.sentences():
        place = f"{name} {number}" if number else name
        for problem in _of_sentence(name, sentence, view):
            yield f"{place}: {problem}"
    yield from agreement_problems(brief, view)


def _of_sentence(field: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    if not sentence.text.strip():
        yield "is empty"
        return
    if not sentence.ids:
        yield "rests on nothing"
    for one in sentence.ids:
        if not view.knows(one):
            yield f"there is no fact or review {one[:40]!r}"
    # What repeats a cited fact word for word is grounded as it stands.
    rest = sentence.text
    cited = [view.facts[i].statement for i in sentence.ids if i in view.facts]
    for statement in sorted(cited, key=lambda said: -len(said)):
        rest = rest.replace(statement, " … ")
    yield from quotation_problems(rest, sentence, view)
    text = without_quotations(rest, view)
    yield from repetition_problems(text, view)
    yield from number_problems(text, sentence, view)
    yield from name_problems(field, text, sentence, view)
    yield from cause_problems(field, text, view)
    yield from sequence_problems(text, view)
    yield from claim_problems(field, text, sentence, view)
    yield from standing_problems(field, text, sentence, view)
