"""Reads numbers that are written in words: forty-nine, twice, a dozen, two thirds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from closeloop.domain.brief import Measure

_UNIT_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TEN_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {name: value for value, name in enumerate(_UNIT_NAMES.split())}
_TENS = {name: value * 10 for value, name in enumerate(_TEN_NAMES.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_PLURALS = {
    "dozens": (24.0, 120.0),
    "scores": (40.0, 200.0),
    "hundreds": (200.0, 1_000.0),
    "thousands": (2_000.0, 1_000_000.0),
    "millions": (2_000_000.0, 1e9),
}
_TIMES = {
    "twice": 2.0,
    "thrice": 3.0,
    "double": 2.0,
    "doubled": 2.0,
    "doubling": 2.0,
    "twofold": 2.0,
    "triple": 3.0,
    "tripled": 3.0,
    "threefold": 3.0,
    "quadruple": 4.0,
    "quadrupled": 4.0,
    "fourfold": 4.0,
    "quintupled": 5.0,
    "fivefold": 5.0,
    "sixfold": 6.0,
    "sevenfold": 7.0,
    "eightfold": 8.0,
    "ninefold": 9.0,
    "tenfold": 10.0,
    "halved": 0.5,
}
_FRACTIONS = {
    "half": 50.0,
    "third": 100 / 3,
    "thirds": 100 / 3,
    "quarter": 25.0,
    "quarters": 25.0,
    "fifth": 20.0,
    "fifths": 20.0,
    "tenth": 10.0,
    "tenths": 10.0,
}

_NUMERAL = "|".join([*_UNITS, *_TENS, *_SCALES])
_SEQUENCE = re.compile(
    rf"\b(?:(?:an?\s+)(?=(?:hundred|thousand|million|billion)\b))?(?:{_NUMERAL})"
    rf"(?:(?:[\s-]+(?:and\s+)?)(?:{_NUMERAL}))*\b(?:\s+point\s+(?:{_NUMERAL}))?",
    re.IGNORECASE,
)
_FRACTION = re.compile(
    r"\b(?:(?P<of>a|an|one|two|three|four)[\s-]+)?"
    r"(?P<part>half|thirds?|quarters?|fifths?|tenths?)\b(?!\s+(?:of\s+)?an?\b)",
    re.IGNORECASE,
)
_DOZEN = re.compile(r"\b(?:(?P<of>a|an|one|two|three|four)\s+)?(?P<half>half\s+a\s+)?dozen\b", re.I)
_HALF_SPAN = re.compile(r"\bhalf\s+an?\s+(?P<unit>hour|day)\b|\bhalf\s+of\s+an?\s+day\b", re.I)
_TIMES_WORD = re.compile(rf"\b(?:{'|'.join(_TIMES)})\b", re.IGNORECASE)
_PLURAL = re.compile(rf"\b(?:{'|'.join(_PLURALS)})\b(?!\s+of\s+kind)", re.IGNORECASE)
_ONE = re.compile(r"\bone\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WordNumber:
    """A number in words at [start, end): one amount, or any in a range ("dozens")."""

    start: int
    end: int
    amount: float
    measure: Measure | None = None
    upto: float | None = None


def word_numbers(text: str) -> list[WordNumber]:
    """Return the numbers in words, the longest reading at each place, in order.

    "one" alone counts only right before a counted noun or after "only": else it is a pronoun.
    """
    found: list[WordNumber] = []
    for match in _HALF_SPAN.finditer(text):
        hours = 0.5 if (match["unit"] or "day").lower() == "hour" else 12.0
        found.append(WordNumber(*match.span(), hours, Measure.SPAN))
    for match in _DOZEN.finditer(text):
        times = 0.5 if match["half"] else _of(match["of"])
        _add(found, WordNumber(*match.span(), 12.0 * times))
    for match in _FRACTION.finditer(text):
        part, of = match["part"].lower(), match["of"]
        ordinal = part in ("third", "quarter", "fifth", "tenth") and of is None
        if not ordinal:
            amount = _FRACTIONS[part] * _of(of)
            _add(found, WordNumber(*match.span(), amount, Measure.SHARE))
    for match in _TIMES_WORD.finditer(text):
        _add(found, WordNumber(*match.span(), _TIMES[match[0].lower()], Measure.TIMES))
    for match in _PLURAL.finditer(text):
        low, high = _PLURALS[match[0].lower()]
        _add(found, WordNumber(*match.span(), low, None, high))
    for match in _SEQUENCE.finditer(text):
        if not _ONE.fullmatch(match[0].strip()):
            _add(found, WordNumber(*match.span(), _value(match[0])))
    return sorted(found, key=lambda number: number.start)


def _of(word: str | None) -> float:
    return float(_UNITS.get((word or "one").lower(), 1)) or 1.0


def _add(found: list[WordNumber], new: WordNumber) -> None:
    if not any(new.start < old.end and old.start < new.end for old in found):
        found.append(new)


def _value(words: str) -> float:
    whole, _, decimals = words.lower().partition(" point ")
    total = current = 0
    for word in re.findall(r"[a-z]+", whole):
        if word in _UNITS:
            current += _UNITS[word]
        elif word in _TENS:
            current += _TENS[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _SCALES:
            total += max(current, 1) * _SCALES[word]
            current = 0
    digits = "".join(str(_UNITS.get(w, "")) for w in re.findall(r"[a-z]+", decimals))
    return float(f"{total + current}.{digits or '0'}")
