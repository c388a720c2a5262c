"""Brings locale, version and rating into one form each."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

_LOCALE = re.compile(
    r"^([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:[-_.@].*)?$"
)
_VERSION = re.compile(r"(?<![\d.])(\d{1,9}(?:\.\d{1,9}){0,5})")
_LANGUAGE_NAMES = {
    "english": "en",
    "hindi": "hi",
    "german": "de",
    "deutsch": "de",
    "french": "fr",
    "français": "fr",
    "spanish": "es",
    "español": "es",
    "portuguese": "pt",
    "italian": "it",
    "dutch": "nl",
    "japanese": "ja",
    "korean": "ko",
    "chinese": "zh",
    "arabic": "ar",
    "russian": "ru",
    "turkish": "tr",
    "indonesian": "id",
}
MIN_RATING, MAX_RATING = 1.0, 5.0


def normalise_locale(value: str) -> str | None:
    """Return `ll` or `ll-CC` (`en_us` to `en-US`, `zh_Hans_CN` to `zh-CN`), None if it is none."""
    value = value.strip()
    if value.casefold() in _LANGUAGE_NAMES:
        return _LANGUAGE_NAMES[value.casefold()]
    match = _LOCALE.match(value)
    if match is None:
        return None
    language, _, country = match.groups()
    return language.lower() + (f"-{country.upper()}" if country else "")


def normalise_version(value: str) -> str | None:
    """Return the dotted number of a version (`v2.8.5 (123)` to `2.8.5`), None if it has none."""
    match = _VERSION.search(value)
    return match[1] if match else None


def normalise_each(column: pa.Array, rule: Callable[[str], str | None]) -> pa.Array:
    """Return the column with the rule applied once to each distinct value; nulls stay null."""
    encoded = pc.dictionary_encode(column)
    values = pa.array(
        [None if v is None else rule(v) for v in encoded.dictionary.to_pylist()], pa.string()
    )
    return values.take(encoded.indices)


def normalise_rating(column: pa.Array) -> pa.Array:
    """Return ratings of 1 to 5; anything else (0, 10, NaN) is null: its scale is not known."""
    fits = pc.and_(pc.greater_equal(column, MIN_RATING), pc.less_equal(column, MAX_RATING))
    return pc.if_else(pc.fill_null(fits, False), column, pa.scalar(None, column.type))
