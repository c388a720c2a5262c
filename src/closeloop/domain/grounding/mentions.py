"""Finds the numbers that a text states, with what it says they are numbers of."""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from closeloop.domain.brief import Measure
from closeloop.domain.grounding.number_words import word_numbers
from closeloop.domain.grounding.vocabulary import word_set

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MONTH_NAMES = _MONTHS.split("|")
_LONG = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_CLOCK = (
    r"(?:,?\s+(?:at\s+)?(?P<{0}h>\d{{1,2}}):(?P<{0}m>\d{{2}})(?:\s*(?P<{0}p>[ap]m))?(?:\s*UTC)?)?"
)
_DATE = re.compile(
    r"(?:"
    rf"\b(?:the\s+)?(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_LONG})\b\.?(?:,?\s+(?P<y1>\d{{4}})\b)?"
    + _CLOCK.format("a")
    + rf"|\b(?P<m2>{_LONG})\b\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<y2>\d{{4}})\b)?"
    + _CLOCK.format("b")
    + r"|\b(?P<y3>\d{4})-(?P<m3>\d{2})-(?P<d3>\d{2})(?:[T ](?P<ch>\d{2}):(?P<cm>\d{2})(?::\d{2})?(?P<cp>(?!))?(?:Z|\s*UTC)?)?(?![\d-])"
    rf"|\b(?P<m4>{_LONG})\s+(?P<y4>\d{{4}})\b"
    r"|\b(?P<s1>\d{1,2})[/.](?P<s2>\d{1,2})[/.](?P<s3>\d{4})\b"
    r"|\b(?P<dh>\d{1,2}):(?P<dm>\d{2})(?:\s*(?P<dp>[ap]m))?(?:\s*UTC)?\b"
    r")",
    re.IGNORECASE,
)
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty-first",
    "twenty-second",
    "twenty-third",
    "twenty-fourth",
    "twenty-fifth",
    "twenty-sixth",
    "twenty-seventh",
    "twenty-eighth",
    "twenty-ninth",
    "thirtieth",
    "thirty-first",
]
_WORD_DATE = re.compile(
    rf"\b(?:the\s+)?(?P<day>{'|'.join(o.replace('-', '[- ]') for o in reversed(_ORDINALS))})\s+of\s+"
    rf"(?P<month>{_LONG})\b\.?(?:,?\s+(?P<year>\d{{4}})\b)?",
    re.IGNORECASE,
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = re.compile(rf"\b(?P<day>{'|'.join(_WEEKDAYS)})s?\b", re.IGNORECASE)

_NUMBER = re.compile(
    r"(?P<sign>[<>~≈≥≤])?\s?(?P<value>(?<![\w.])\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])\d+(?:\.\d+)?)"
    r"(?P<suffix>k|m|bn)?(?![\w]|\.\d|,\d)",
    re.IGNORECASE,
)
_GLUED = re.compile(
    r"(?<![\w.])(?P<value>\d+(?:\.\d+)?)(?P<unit>x|×|h|hrs?|d|min|s|st|nd|rd|th)\b", re.I
)
_UNIT = re.compile(
    r"\s*-?(?:(?P<points>percentage[\s-]points?)|(?P<share>%|percent\b|per\s+cent\b)"
    r"|(?P<times>times\b|x\b|×|-?fold\b)"
    r"|(?P<minute>minutes?\b|mins?\b)|(?P<hour>hours?\b|hrs?\b)|(?P<day>days?\b)|(?P<week>weeks?\b)"
    r"|(?P<month>months?\b)|(?P<second>seconds?\b)"
    r"|(?P<star>stars?\b|-?star\b)|(?P<point>points?\b))",
    re.IGNORECASE,
)
_HOURS = {
    "second": 1 / 3600,
    "minute": 1 / 60,
    "hour": 1.0,
    "day": 24.0,
    "week": 168.0,
    "month": 730.0,
}
_GLUED_HOURS = {"h": 1.0, "hr": 1.0, "hrs": 1.0, "d": 24.0, "min": 1 / 60, "s": 1 / 3600}

_ABOUT = re.compile(
    r"(?:\b(?:about|around|roughly|approximately|approx\.?|some|circa|close to|in the order of)\s+"
    r"(?:the\s+|an?\s+)?|[~≈]\s?)$",
    re.IGNORECASE,
)
_NEARLY = re.compile(r"\b(?:nearly|almost|just under|just below|not quite)\s+(?:an?\s+)?$", re.I)
_OVER = re.compile(
    # "a mean of 1.5 over 56 of them" bounds nothing.
    r"(?:(?<!\d )\b(?:over|more than|above|upwards of|exceeding|in excess of|beyond|well over|just over|greater than)\s+"
    r"(?:an?\s+)?|>\s?)$",
    re.IGNORECASE,
)
_LEAST = re.compile(r"(?:\b(?:at least|no fewer than|no less than|not less than)\s+|≥\s?)$", re.I)
_UNDER = re.compile(
    r"(?:\b(?:under|less than|fewer than|below)\s+(?:an?\s+)?|<\s?)$", re.IGNORECASE
)
_MOST = re.compile(r"(?:\b(?:at most|no more than|up to|not more than)\s+|≤\s?)$", re.IGNORECASE)
_COMPARATORS = (
    ("about", _ABOUT),
    ("nearly", _NEARLY),
    ("most", _MOST),
    ("least", _LEAST),
    ("over", _OVER),
    ("under", _UNDER),
)
_OR_MORE = re.compile(r"\s*(?:\+|or (?:more|above)\b)", re.IGNORECASE)
_OR_FEWER = re.compile(r"\s*(?:or (?:fewer|less|below|lower)\b)", re.IGNORECASE)

NOUNS = {
    "complaint": "complaint complaints grievance grievances report reports",
    "author": "author authors customer customers person persons people individual individuals "
    "reviewer reviewers client clients",
    "user": "user users",
    "review": "review reviews text texts feedback rating ratings",
    "order": "order orders purchase purchases",
    "series": "series",
    "install": "install installs installation installations",
    "ticket": "ticket tickets",
    "candidate": "candidate candidates change changes",
    "version": "versions releases",
}
_NOUN_OF = {word: noun for noun, words in NOUNS.items() for word in words.split()}
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_STOPS = word_set(
    "in on at from to by with for over than when where while whereas although but though against "
    "versus vs and or that which who is are was were be been being came come have has had rose "
    "within during until since before after as the a an so if not no do does did out up down"
)
_LOW = word_set("low lower lowest low-rated negative bad complaining critical poor")
_PART_OF = re.compile(r"^\s*of\s+(?:the|these|those|all|its)\s+", re.IGNORECASE)
IMPOSSIBLE = -1e11
"""Minutes below which a moment is no date at all."""

NOUN_REACH = 4
"""Words between a number and its noun: "49 new payment failure complaints"."""


def noun_of(word: str) -> str:
    """Return what a word counts ("customers": author), "" where it counts nothing."""
    return _NOUN_OF.get(word.lower(), "")


@dataclass(frozen=True, slots=True)
class Mention:
    """A number that a text states at [start, end).

    `measure` is None where no unit says it. `amount` as in Figure; `decimals` how exactly it is
    written; `upto` the other end of a range ("dozens", a month, a day without its hour).
    `noun` is what is said to be counted, "" where nothing is; `comparator` one of about, nearly,
    over, least, under, most, or "".
    """

    start: int
    end: int
    written: str
    amount: float
    measure: Measure | None = None
    decimals: int = 0
    noun: str = ""
    comparator: str = ""
    upto: float | None = None
    unit: str = ""
    year_known: bool = True


def normal(text: str) -> str:
    """Return text as numbers and words are read in it: NFKC, digits of any script as 0-9."""
    if text.isascii():
        return text
    shown = unicodedata.normalize("NFKC", text)
    return "".join(
        str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in shown
    )


@lru_cache(maxsize=1024)
def mentions(text: str) -> tuple[Mention, ...]:
    """Return the numbers, dates and lengths of time of a normalised text, in order."""
    found: list[Mention] = []
    for match in _DATE.finditer(text):
        moment = _moment(match)
        if moment is not None:
            found.append(moment)
    for match in _WORD_DATE.finditer(text):
        ordinal = _ORDINALS.index(match["day"].lower().replace(" ", "-")) + 1
        _add(found, _day(match, ordinal, _month(match["month"]), match["year"], None))
    for match in _WEEKDAY.finditer(text):
        _add(
            found,
            Mention(
                *match.span(),
                match[0],
                float(_WEEKDAYS.index(match["day"].lower())),
                Measure.MOMENT,
                unit="weekday",
            ),
        )
    for match in _GLUED.finditer(text):
        _add(found, _glued(match))
    for match in _NUMBER.finditer(text):
        _add(found, _digits(text, match))
    for word in word_numbers(text):
        mention = Mention(
            word.start,
            word.end,
            text[word.start : word.end],
            word.amount,
            word.measure,
            upto=word.upto,
        )
        _add(found, mention if word.measure is not None else _with_unit(text, mention))
    found.sort(key=lambda m: m.start)
    return tuple(_with_nouns(text, [_compared(text, m) for m in found]))


def _add(found: list[Mention], new: Mention) -> None:
    if not any(new.start < old.end and old.start < new.end for old in found):
        found.append(new)


def _clock(match: re.Match[str], prefix: str) -> tuple[int, int] | None:
    if match[f"{prefix}h"] is None:
        return None
    hour, minute, half = int(match[f"{prefix}h"]), int(match[f"{prefix}m"]), match[f"{prefix}p"]
    if half:
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    return (hour, minute) if hour < 24 and minute < 60 else (99, minute)


def _moment(match: re.Match[str]) -> Mention | None:
    """Return a date or time; an impossible one (31 February) matches no figure."""
    if match["s1"]:
        return Mention(*match.span(), match[0], -1.0, Measure.MOMENT, unit="ambiguous")
    if match["dh"]:
        clock = _clock(match, "d")
        assert clock is not None
        return Mention(
            *match.span(), match[0], clock[0] * 60.0 + clock[1], Measure.MOMENT, unit="clock"
        )
    if match["m4"]:
        year, month = int(match["y4"]), _month(match["m4"])
        last = monthrange(year, month)[1] if 0 < year < 9999 else 28
        low, high = _minutes(year, month, 1), _minutes(year, month, last)
        return Mention(*match.span(), match[0], low, Measure.MOMENT, upto=high + 1439, unit="month")
    for d, m, y, c in (("d1", "m1", "y1", "a"), ("d2", "m2", "y2", "b"), ("d3", "m3", "y3", "c")):
        if match[d]:
            month = int(match[m]) if m == "m3" else _month(match[m])
            return _day(match, int(match[d]), month, match[y], _clock(match, c))
    return None


def _day(
    match: re.Match[str], day: int, month: int, year: str | None, clock: tuple[int, int] | None
) -> Mention:
    # A leap year stands for an unknown one, so that 29 February can be read.
    low = _minutes(int(year) if year else 2000, month, day)
    high = low + 1439.0
    if clock is not None:
        low = high = low + clock[0] * 60.0 + clock[1]
    return Mention(
        *match.span(),
        match[0],
        low,
        Measure.MOMENT,
        upto=high,
        unit="minute" if clock else "day",
        year_known=year is not None,
    )


def _month(name: str) -> int:
    return _MONTH_NAMES.index(name[:3].lower()) + 1


def _minutes(year: int, month: int, day: int) -> float:
    try:
        return datetime(year, month, day, tzinfo=UTC).timestamp() / 60
    except ValueError:
        return 10 * IMPOSSIBLE


def _glued(match: re.Match[str]) -> Mention:
    unit, amount = match["unit"].lower(), float(match["value"])
    decimals = len(match["value"].partition(".")[2])
    if unit in ("x", "×"):
        return Mention(*match.span(), match[0], amount, Measure.TIMES, decimals)
    if unit in _GLUED_HOURS:
        hours = amount * _GLUED_HOURS[unit]
        return Mention(*match.span(), match[0], hours, Measure.SPAN, decimals, unit="hour")
    return Mention(*match.span(), match[0], amount, None, decimals, unit="ordinal")


def _digits(text: str, match: re.Match[str]) -> Mention:
    value = match["value"].replace(",", "")
    scale = {"k": 1e3, "m": 1e6, "bn": 1e9}.get((match["suffix"] or "").lower(), 1.0)
    start = match.start("value") if not match["sign"] else match.start()
    mention = Mention(
        match.start("value") if match["sign"] else start,
        match.end(),
        match[0].strip(),
        float(value) * scale,
        None,
        len(value.partition(".")[2]),
    )
    return _with_unit(text, mention)


def _with_unit(text: str, mention: Mention) -> Mention:
    found = _UNIT.match(text, mention.end)
    if found is None:
        return mention
    kind = str(found.lastgroup)
    end, written = found.end(), text[mention.start : found.end()]
    measure = {
        "share": Measure.SHARE,
        "points": Measure.SHARE,
        "times": Measure.TIMES,
        "star": Measure.RATING,
        "point": Measure.POINTS,
    }.get(kind)
    if measure is not None:
        unit = "percentage points" if kind == "points" else ""
        return replace(mention, end=end, written=written, measure=measure, unit=unit)
    if kind == "month" or kind in _HOURS:
        return replace(
            mention,
            end=end,
            written=written,
            measure=Measure.SPAN,
            amount=mention.amount * _HOURS[kind],
            unit=kind,
        )
    return mention


def _compared(text: str, mention: Mention) -> Mention:
    before = text[: mention.start]
    for name, pattern in _COMPARATORS:
        if pattern.search(before):
            return replace(mention, comparator=name)
    if _OR_MORE.match(text, mention.end):
        return replace(mention, comparator="least")
    if _OR_FEWER.match(text, mention.end):
        return replace(mention, comparator="most")
    return mention


def _with_nouns(text: str, found: Sequence[Mention]) -> list[Mention]:
    """Give each count its noun: the one after it, else the one before it in its clause."""
    named: list[Mention] = []
    for place in reversed(range(len(found))):
        mention = found[place]
        if mention.measure is None:
            following = named[-1] if named else None
            until = following.start if following is not None else len(text)
            noun = _noun_after(text[mention.end : until])
            if (
                not noun
                and following is not None
                and re.fullmatch(
                    r"\s*(?:out\s+)?of\s+(?:the\s+|all\s+)?(?:product's\s+)?",
                    text[mention.end : following.start],
                    re.I,
                )
            ):
                # "1 of 28 reviews": the one may be a review that complains.
                noun = "" if following.noun == "review" else following.noun
            since = found[place - 1].end if place else 0
            if not noun:
                noun = _noun_before(text[since : mention.start])
            mention = replace(mention, noun=noun)
        named.append(mention)
    return named[::-1]


def _noun_after(text: str) -> str:
    clause = re.split(r"[.,;:()“”\"]", text, maxsplit=1)[0]
    clause = _PART_OF.sub("", clause, count=1)
    low = False
    for word in [w.lower() for w in _WORD.findall(clause)][:NOUN_REACH]:
        bare = word.removesuffix("'s").removesuffix("’s")
        if bare in _NOUN_OF:
            noun = _NOUN_OF[bare]
            return "complaint" if noun == "review" and low else noun
        if word in _STOPS:
            return ""
        low = low or word in _LOW
    return ""


def _noun_before(text: str) -> str:
    clause = re.split(r"[.,;()“”\"]", text)[-1]
    for word in reversed([w.lower() for w in _WORD.findall(clause)]):
        if word in _NOUN_OF:
            return _NOUN_OF[word]
    return ""
