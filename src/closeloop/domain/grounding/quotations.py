"""Checks that quotations are verbatim, and that no review's words stand outside quotation marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from closeloop.domain.brief import Sentence
from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.sheet_view import SheetView, plain_tokens, words_in

REPEATED = 6
"""So many words of a review in a row, outside quotation marks, are its words and not the brief's."""
SHORTEST = 2
"""Characters of the shortest quotation that is one."""

_QUOTED = re.compile(r"“([^“”]*)”|\"([^\"]*)\"|«([^«»]*)»|„([^„“”]*)[“”]")
_SINGLE = re.compile(r"(?<![\w])[‘']([^‘’'\n]{3,}?)[’'](?!\w)")
_SPACE = re.compile(r"\s+")


def comparable(text: str) -> str:
    """Return text as quotations are compared: masked tokens without their key, single spaces,
    typographic apostrophes and dashes as ASCII ones. Nothing else may differ: not a letter's case,
    not a stop."""
    text = plain_tokens(text)
    text = text.replace("’", "'").replace("‘", "'").replace("–", "-").replace("—", "-")
    return _SPACE.sub(" ", text).strip()


def without_quotations(text: str, view: SheetView) -> str:
    """Return text with its quotations blanked out, also those that hold quotation marks."""
    for quotation in sorted(view.sheet.quotations, key=lambda q: -len(q.text)):
        for said in (quotation.text, plain_tokens(quotation.text)):
            text = text.replace(f"“{said}”", " … ")
    return _SINGLE.sub(" … ", _QUOTED.sub(" … ", text))


def quotation_problems(text: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    """Yield quotations in a text that no cited review (or name) holds word for word."""
    cited = view.reviews_cited(sentence.ids)
    for quotation in sorted(view.sheet.quotations, key=lambda q: -len(q.text)):
        for said in (quotation.text, plain_tokens(quotation.text)):
            if f"“{said}”" in text:
                if quotation not in cited:
                    yield f"quotes a review that the sentence does not cite: {said[:40]!r}"
                text = text.replace(f"“{said}”", " ")
    names = [comparable(name) for name in view.sheet.names]
    for match in (*_QUOTED.finditer(text), *_SINGLE.finditer(_QUOTED.sub(" ", text))):
        quoted = comparable(next(g for g in match.groups() if g is not None))
        if quoted in names:
            continue
        sources = [q for q in view.sheet.quotations if _holds(comparable(q.text), quoted)]
        if not sources:
            yield f"no review says {quoted[:60]!r}"
        elif not any(q in cited for q in sources):
            yield f"quotes a review that the sentence does not cite: {quoted[:40]!r}"


def _holds(review: str, quoted: str) -> bool:
    """Return whether a review holds the words, from the beginning of a word to the end of one."""
    if len(quoted) < SHORTEST:
        return False
    before = r"(?<!\w)" if quoted[0].isalnum() else ""
    after = r"(?!\w)" if quoted[-1].isalnum() else ""
    return re.search(f"{before}{re.escape(quoted)}{after}", review) is not None


def repetition_problems(text: str, view: SheetView) -> Iterator[str]:
    """Yield where a sentence, quotations aside, repeats a review's words as its own."""
    said = words_in(normal(text))
    runs = {tuple(run) for run in _runs(said)}
    for number, quotation in enumerate(view.sheet.quotations, start=1):
        theirs = words_in(normal(quotation.text))
        if any(tuple(run) in runs for run in _runs(theirs)):
            yield f"repeats the words of review Q{number} outside quotation marks"


def _runs(words: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(len(words) - REPEATED + 1):
        yield words[start : start + REPEATED]
