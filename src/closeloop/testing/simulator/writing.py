"""Writes the texts: fills a phrase, adds an aside, mistypes, decorates, and plants personal data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle

import numpy as np

from closeloop.testing.simulator.phrases import (
    ENGLISH,
    Optional,
    Slot,
    Template,
    asides,
    templates,
    themes,
)

DRAWS = 32
"""Random numbers a text has for its choices; they are drawn for all texts at once."""

ASIDE_SHARE = 0.6
TYPO_SHARE = 0.10
EMOJI_SHARE = 0.10
LOWER_SHARE = 0.45
STRETCH_SHARE = 0.05
PII_SHARE = 0.02

_EMOJI = {
    "bad": ("😡", "👎", "😤", "💔", "🤬", "😞"),
    "good": ("👍", "😍", "❤️", "🙏", "🎉", "⭐⭐⭐⭐⭐"),
    "wish": ("🙏", "🤞"),
    "neutral": ("🙂", "🤔"),
}
_FIRST = (
    "asha",
    "jonas",
    "marie",
    "li",
    "fatima",
    "tom",
    "priya",
    "carlos",
    "emma",
    "noah",
    "ines",
)
_LAST = ("kumar", "weber", "dubois", "garcia", "smith", "rossi", "iyer", "novak", "meyer", "khan")


_ENDINGS = ("", "", "", "!", "!!", ".", " 👎", " :(")


@dataclass(frozen=True, slots=True)
class Written:
    """One text and the personal data planted in it, as (type, value)."""

    text: str
    pii: tuple[tuple[str, str], ...] = ()


def language_for(theme: str, language: str) -> str:
    """Return the language if its bank has the theme, else English."""
    return language if templates(language, theme) else ENGLISH


def write_texts(
    theme_names: Sequence[str],
    languages: Sequence[str],
    rng: np.random.Generator,
    *,
    pii_share: float = PII_SHARE,
) -> list[Written]:
    """Return one text for each row; about 60,000 texts a second."""
    draws = rng.random((len(theme_names), DRAWS))
    tones = {name: theme.tone for name, theme in themes().items()}
    return [
        _write(theme, language, tones[theme], draw, pii_share)
        for theme, language, draw in zip(theme_names, languages, draws.tolist(), strict=True)
    ]


class Phrasebook:
    """Texts from a stock that is the same for every seed, so that their vectors can be kept.

    A theme has `size` texts in English and a quarter of that in each other language. They come in
    an order of the seed, each once before any comes again.
    """

    def __init__(self, size: int, rng: np.random.Generator, *, pii_share: float) -> None:
        self._size = size
        self._rng = rng
        self._pii_share = pii_share
        self._orders: dict[tuple[str, str], Iterator[Written]] = {}

    def texts(self, theme_names: Sequence[str], languages: Sequence[str]) -> list[Written]:
        """Return one text for each row."""
        return [
            next(self._order(theme, language))
            for theme, language in zip(theme_names, languages, strict=True)
        ]

    def _order(self, theme: str, language: str) -> Iterator[Written]:
        key = (theme, language)
        if key not in self._orders:
            size = self._size if language == ENGLISH else max(1, self._size // 4)
            stock = _stock(theme, language, size, self._pii_share)
            order = self._rng.permutation(len(stock)).tolist()
            self._orders[key] = cycle([stock[i] for i in order])
        return self._orders[key]


@cache
def _stock(theme: str, language: str, size: int, pii_share: float) -> tuple[Written, ...]:
    rng = np.random.default_rng([*theme.encode(), 0, *language.encode()])
    drawn = write_texts([theme] * size, [language] * size, rng, pii_share=pii_share)
    return tuple({written.text: written for written in drawn}.values())


def copies_of(theme: str, different: int, count: int, rng: np.random.Generator) -> list[Written]:
    """Return `count` texts that are copies of a few: as they are, or with an ending of their own."""
    originals = write_texts([theme] * different, [ENGLISH] * different, rng, pii_share=0.0)
    which = rng.integers(0, different, count).tolist()
    endings = rng.integers(0, len(_ENDINGS), count).tolist()
    return [Written(originals[i].text + _ENDINGS[e]) for i, e in zip(which, endings, strict=True)]


def _write(
    theme: str, language: str, tone: str, draw: Sequence[float], pii_share: float
) -> Written:
    pick = iter(draw)
    choices = templates(language, theme)
    text = _fill(choices[int(next(pick) * len(choices))], pick)
    short = theme.startswith("short")
    if not short and tone != "good" and next(pick) < ASIDE_SHARE:
        endings = asides(language, theme)
        aside = _fill(endings[int(next(pick) * len(endings))], pick)
        text = f"{text}{'' if text[-1] in '.?!' else '.'} {aside}"
    text = text[0].upper() + text[1:] if next(pick) > LOWER_SHARE else text
    if next(pick) < TYPO_SHARE and len(text) > 12:
        text = _mistype(text, next(pick), next(pick))
    if next(pick) < STRETCH_SHARE:
        text = text.replace("so ", "sooo ").rstrip(".") + "!!!"
    if next(pick) < EMOJI_SHARE:
        marks = _EMOJI[tone]
        text = f"{text} {marks[int(next(pick) * len(marks))]}"
    if tone == "bad" and not short and next(pick) < pii_share:
        return _with_pii(text, next(pick), next(pick))
    return Written(text)


def _fill(template: Template, pick: Iterator[float]) -> str:
    draw = pick.__next__
    parts: list[str] = []
    for part in template:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, Slot):
            parts.append(part.words[int(draw() * len(part.words))])
        elif isinstance(part, Optional) and draw() < 0.5:
            for inner in part.parts:
                if isinstance(inner, str):
                    parts.append(inner)
                else:
                    parts.append(inner.words[int(draw() * len(inner.words))])
    return "".join(parts)


def _mistype(text: str, where: float, how: float) -> str:
    position = 1 + int(where * (len(text) - 3))
    if how < 0.4:
        return text[:position] + text[position + 1 :]
    if how < 0.8:
        return text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    return text[:position] + text[position] + text[position:]


def _with_pii(text: str, which: float, value: float) -> Written:
    number = int(value * 10**7)
    first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
    if which < 0.4:
        mail = f"{first}.{last}{number % 100}@example.com"
        return Written(f"{text} Write to {mail}", (("EMAIL", mail),))
    if which < 0.8:
        phone = f"+49 151 {number:07d}"
        return Written(f"{text} Call me: {phone}", (("PHONE", phone),))
    card = _luhn(f"411111{number:09d}")
    return Written(f"{text} card {card}", (("CARD", card),))


def _luhn(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)
