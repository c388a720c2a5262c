"""Checks a brief against its fact sheet: every quotation, number and id must be on the sheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from closeloop.domain.brief import Brief, FactSheet

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MONTH_NAMES = _MONTHS.split("|")
_MONTH = rf"(?P<{{}}>{_MONTHS})[a-z]*\.?"
_YEAR = r"(?:,?\s+(?P<{}>\d{{4}}))?"
_DATE = re.compile(
    rf"\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH.format('m1')}{_YEAR.format('y1')}\b"
    rf"|\b{_MONTH.format('m2')}\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b{_YEAR.format('y2')}"
    r"|\b(?P<y3>\d{4})-(?P<m3>\d{2})-(?P<d3>\d{2})(?![\d-])",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(\d)\s*(?:%|percent\b|per cent\b)", re.IGNORECASE)
_TOKEN = re.compile(r"[<>]?[^\W_]*\d(?:[\w:/+-]|[.,](?=\d))*%?")
_REFERENCE = re.compile(r"\[([FQ]\d+(?:, [FQ]\d+)*)\]")
_QUOTED = re.compile(r"“([^“”]*)”|\"([^\"]*)\"")
_NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty"
    r"|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|dozens?|twice|doubled?"
    r"|tripled?|quadrupled|twofold|threefold|tenfold|half|halved|quarter|thirds?)\b"
)


@dataclass(frozen=True, slots=True)
class _Claims:
    """What a text states that can be looked up: tokens with digits, dates, words for numbers."""

    tokens: frozenset[str]
    dates: frozenset[tuple[str, int, int]]
    words: frozenset[str]


def problems(brief: Brief) -> tuple[str, ...]:
    """Return what in the brief is not on its own sheet; nothing where the brief is grounded.

    Checked are: quotations (anything in quotation marks is a verbatim part of a quotation or of a
    name), tokens with a digit (numbers, versions, percentages, times, severities), dates however
    written, words for numbers, references ([F1], [Q2]), the ids that sentences rest on, and that a sentence's numbers stand
    on the very facts it names. Signs only are compared, not meaning: a number put beside the wrong
    noun passes.
    """
    return tuple(dict.fromkeys(_problems(brief)))


def _problems(brief: Brief) -> Iterator[str]:
    sheet = brief.fact_sheet
    facts = {f.fact_id: f"{f.statement} {' '.join(f.values)}" for f in sheet.facts}
    reviews = {q.feedback_id: q.text for q in sheet.quotations}
    if brief.signal_id != sheet.signal_id:
        yield "the brief and its fact sheet are of different signals"
    if len(facts) != len(sheet.facts):
        yield "the fact sheet gives one id to several facts"
    whole_sheet = _claims(_sheet_parts(sheet))
    for field, text in _texts(brief):
        if not text.strip():
            yield f"{field}: is empty"
        yield from _check_quotations(field, text, sheet)
        yield from _check_references(field, text, sheet)
        yield from _check_claims(field, text, sheet, whole_sheet)
    if not brief.summary:
        yield "summary: is empty"
    for number, (sentence, ids) in enumerate(brief.summary, start=1):
        field = f"summary sentence {number}"
        unknown = [i for i in ids if i not in facts and i not in reviews]
        if not ids:
            yield f"{field}: rests on nothing"
        for one in unknown:
            yield f"{field}: there is no fact or review {one[:40]!r}"
        cited = [facts.get(i) or reviews.get(i) or "" for i in ids]
        yield from _check_claims(field, sentence, sheet, _claims([*cited, *sheet.names]))
    if brief.recommended_owner not in sheet.names:
        yield f"recommended_owner: {brief.recommended_owner[:40]!r} is not among the names"


def _texts(brief: Brief) -> Iterator[tuple[str, str]]:
    yield "title", brief.title
    for number, (sentence, _) in enumerate(brief.summary, start=1):
        yield f"summary sentence {number}", sentence
    for field in ("impacted_area", "likely_cause", "urgency"):
        yield field, getattr(brief, field)
    for field in ("engineering", "support", "product", "leadership"):
        yield field, getattr(brief, field)
    for field in ("routing_hints", "next_actions"):
        for number, line in enumerate(getattr(brief, field), start=1):
            yield f"{field} {number}", line


def _check_quotations(field: str, text: str, sheet: FactSheet) -> Iterator[str]:
    sources = [*(q.text for q in sheet.quotations), *sheet.names]
    for match in _QUOTED.finditer(_without_whole_quotations(text, sheet)):
        quoted = match[1] if match[1] is not None else match[2]
        if not any(quoted in source for source in sources):
            yield f"{field}: no review says {quoted[:60]!r}"


def _check_references(field: str, text: str, sheet: FactSheet) -> Iterator[str]:
    known = {f.fact_id for f in sheet.facts}
    known |= {f"Q{number}" for number in range(1, len(sheet.quotations) + 1)}
    for match in _REFERENCE.finditer(_without_quotations(text, sheet)):
        for reference in match[1].split(", "):
            if reference not in known:
                yield f"{field}: there is no fact or quotation {reference}"


def _check_claims(field: str, text: str, sheet: FactSheet, allowed: _Claims) -> Iterator[str]:
    stated = _claims([_without_quotations(text, sheet)])
    for token in sorted(stated.tokens - allowed.tokens):
        yield f"{field}: {token!r} is not on the fact sheet"
    for year, month, day in sorted(stated.dates):
        same_day = {y for y, m, d in allowed.dates if (m, d) == (month, day)}
        if not same_day or (year and year not in same_day):
            written = f"{day} {_MONTH_NAMES[month - 1].title()} {year}".strip()
            yield f"{field}: the date {written} is not on the fact sheet"
    for word in sorted(stated.words - allowed.words):
        yield f"{field}: the number word {word!r} is not on the fact sheet"


def _sheet_parts(sheet: FactSheet) -> list[str]:
    facts = [f"{f.statement} {' '.join(f.values)}" for f in sheet.facts]
    return [*facts, *sheet.names]


def _claims(texts: Iterable[str]) -> _Claims:
    tokens: set[str] = set()
    dates: set[tuple[str, int, int]] = set()
    words: set[str] = set()
    for original in texts:
        text = _REFERENCE.sub(" ", original)
        for match in _DATE.finditer(text):
            dates.add(_date(match))
        text = _PERCENT.sub(r"\1% ", _DATE.sub(" ", text))
        tokens.update(_token(t) for t in _TOKEN.findall(text))
        words.update(_NUMBER_WORD.findall(text.lower()))
    return _Claims(frozenset(tokens), frozenset(dates), frozenset(words))


def _date(match: re.Match[str]) -> tuple[str, int, int]:
    if match["m3"]:
        return match["y3"], int(match["m3"]), int(match["d3"])
    month = (match["m1"] or match["m2"])[:3].lower()
    year = match["y1"] or match["y2"] or ""
    return year, _MONTH_NAMES.index(month) + 1, int(match["d1"] or match["d2"])


def _token(token: str) -> str:
    token = token.replace(",", "").lower().rstrip(":/+-")
    if re.fullmatch(r"v\d[\w.-]*", token):
        return token[1:]
    return re.sub(r"(?<=\d)x$", "", token)


def _without_whole_quotations(text: str, sheet: FactSheet) -> str:
    # A review may itself hold quotation marks: known quotations are taken out whole first.
    for quotation in sorted(sheet.quotations, key=lambda q: -len(q.text)):
        text = text.replace(f"“{quotation.text}”", " ")
    return text


def _without_quotations(text: str, sheet: FactSheet) -> str:
    return _QUOTED.sub(" ", _without_whole_quotations(text, sheet))
