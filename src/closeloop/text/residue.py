"""Marks texts in which the masker may have missed personal data, for a person to look at first."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("something like an e-mail address", re.compile(r"\S@\S|\(at\)|\[at\]", re.IGNORECASE)),
    ("a long number", re.compile(r"(?<![\w.])\+?\d(?:[ \-/()]?\d){8,}(?![\w.])")),
    (
        "something like a name",
        re.compile(r"\b(?:[Mm]y name is|[Rr]egards,?|[Ss]incerely,?|Mrs?\.?|Dr\.?)\s+[^\W\d_]{2,}"),
    ),
    (
        "something like an address",
        re.compile(
            r"\b\d{1,5},?\s+(?:[^\W\d_]+\s+){1,3}(?:street|st\.|road|avenue|lane|nagar)\b",
            re.IGNORECASE,
        ),
    ),
)
"""Wider than the masker on purpose: here a false mark costs a look, there it would cost words."""

_TOKEN = re.compile(r"<[A-Z][A-Z0-9_]*(?::[^<>\s]*)?>")
"""What the masker puts: <EMAIL>, <ORDER:3f9a…>."""


def possible_pii(texts: Iterable[str]) -> str | None:
    """Return what looks like unmasked personal data in the first text that has some, or None.

    The answer names the sign, never the text.
    """
    for text in texts:
        for name, pattern in _SIGNS:
            if pattern.search(_TOKEN.sub(" ", text)):
                return name
    return None
