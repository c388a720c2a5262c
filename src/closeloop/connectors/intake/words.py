"""Tells texts from what only looks like one: times, numbers, codes, addresses, JSON."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.numbers import read_numbers
from closeloop.connectors.intake.raw import as_text
from closeloop.connectors.intake.times import Flags, TimeReading, read_times

# An alphabet without blanks (Chinese, Japanese, Thai) writes words all the same.
_SEVERAL_WORDS = r"\S\s+\S|[^\x00-\x{2fff}]{4,}|[\x{e00}-\x{e7f}]{4,}"
_LETTER = r"\p{L}"
_SIGN = r"\p{So}"
"""Emoji, among others: "👍 👍" says something, "- -" does not."""

_ADDRESSES = (
    r"(?i)^\s*(?:<?(?:[a-z][a-z0-9+.-]*://\S+|(?:www\.|mailto:)\S+|\S+@\S+\.\S+)[\s,;|]*)+$"
)
_QUANTITY = r"^[\s\p{P}]*\d[\d.,]*\s*[\p{Latin}\p{Greek}\p{Cyrillic}]+[\s\p{P}]*$"
"""A number and its unit: 5 stars, 12 km. Without blanks (2.0版本闪退严重) it may be a sentence."""

_BRACKETS = r"^\s*(?:\[(?s:.*)\]|\{(?s:.*)\})\s*$"


def wordy_share(values: pa.Array) -> float:
    """Return which share of a column's values has several words, whatever they are."""
    if pa.types.is_temporal(values.type) or holds_numbers(values):
        return 0.0
    texts = _present(values)
    return float(np.mean(_matches(texts, _SEVERAL_WORDS))) if len(texts) else 0.0


def text_share(values: pa.Array, reading: TimeReading) -> float:
    """Return which share of a column's values is several words that nothing but a text can be.

    A time ("2020-01-25 23:51:46") and a list ("[0.0, 1.0]") have blanks as a sentence has, so a
    value counts only when it reads as no time, number, code, address or JSON. What a text has to
    look like is not asked: scripts, lengths and spellings differ too much.
    """
    if pa.types.is_temporal(values.type) or holds_numbers(values):
        return 0.0
    texts = _present(values)
    if not len(texts):
        return 0.0
    wordy = _matches(texts, _SEVERAL_WORDS)
    return float(np.mean(wordy & ~_is_data(texts, reading)))


def _is_data(texts: pa.Array, reading: TimeReading) -> Flags:
    letters, signs, digits = (_count(texts, p) for p in (_LETTER, _SIGN, r"\p{Nd}"))
    # More digits than letters: a phone number, a version with its build, a place on the map.
    code = (digits > letters) | (letters + signs == 0) | _matches(texts, _QUANTITY)
    time = ~np.asarray(read_times(texts, reading).utc.is_null())
    number = ~np.asarray(read_numbers(texts).values.is_null())
    data: Flags = code | time | number | _matches(texts, _ADDRESSES) | _is_json(texts)
    return data


def _is_json(texts: pa.Array) -> Flags:
    found = _matches(texts, _BRACKETS)
    for position in np.flatnonzero(found):
        found[position] = _parses(texts[int(position)].as_py())
    return found


def _parses(text: str) -> bool:
    """Tell whether a text is JSON, or a list or a dictionary as Python prints it."""
    for form in (text, text.replace("'", '"')):
        try:
            json.loads(form)
        except (ValueError, RecursionError):
            continue
        return True
    return False


def _present(values: pa.Array) -> pa.Array:
    texts = as_text(values).drop_null()
    return texts.filter(pc.not_equal(texts, ""))


def _matches(texts: pa.Array, pattern: str) -> Flags:
    return np.array(pc.match_substring_regex(texts, pattern), dtype=np.bool_)


def _count(texts: pa.Array, pattern: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(pc.count_substring_regex(texts, pattern), dtype=np.int64)


def holds_numbers(values: pa.Array) -> bool:
    """Tell whether a column is typed as numbers; numbers written as text are not."""
    return bool(pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
