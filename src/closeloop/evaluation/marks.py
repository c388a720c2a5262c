"""Stretches of personal data: those that people marked, and those that masking hid."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from closeloop.text.clean import clean_text
from closeloop.text.pii import Masker

TOKEN = re.compile(r"<([A-Z][A-Z0-9_]{0,30})(?::[0-9A-Fa-f]+)?>")
_KEYS = (
    ("start", ("start", "start_position", "begin", "start_offset")),
    ("end", ("end", "end_position", "stop", "end_offset")),
    ("type", ("type", "entity_type", "label", "entity_group")),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch [start, end) in characters, and what it is."""

    start: int
    end: int
    type: str

    def hidden_by(self, others: Sequence[Mark]) -> int:
        """Return how many of its characters lie in other stretches, which don't overlap."""
        return sum(max(0, min(self.end, o.end) - max(self.start, o.start)) for o in others)


def read_marks(cell: str, text: str) -> list[Mark] | None:
    """Return the marks of a JSON list of {start, end, type}; None where it is no such list.

    Positions count characters of the text as delivered, `end` being the first after the stretch.
    """
    try:
        items = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list):
        return None
    marks = []
    for item in items:
        mark = _mark(item, len(text))
        if mark is None:
            return None
        marks.append(mark)
    return marks


def _mark(item: object, length: int) -> Mark | None:
    if not isinstance(item, dict):
        return None
    given = {name: next((item[key] for key in keys if key in item), None) for name, keys in _KEYS}
    start, end, kind = _position(given["start"]), _position(given["end"]), given["type"]
    if start is None or end is None or not isinstance(kind, str) or not kind.strip():
        return None
    return Mark(start, end, kind.strip()) if 0 <= start < end <= length else None


def _position(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value) if len(value) < 12 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def in_clean_text(mark: Mark, text: str) -> Mark:
    """Return a mark of the delivered text as one of the cleaned text.

    A letter after the stretch keeps white space at its edge from being trimmed as the text's end.
    """
    start = len(clean_text(text[: mark.start] + "x")) - 1
    end = len(clean_text(text[: mark.end] + "x")) - 1
    return Mark(start, max(end, start), mark.type)


def masked_stretches(cleaned: str, masked: str, masker: Masker) -> list[Mark]:
    """Return what masking hid of a cleaned text, with the names of the tokens.

    Where the rules and the model alone give this very masked text, their stretches are exact; else
    they are read off the text that surrounds the tokens.
    """
    if cleaned == masked:
        return []
    spans = masker.find(cleaned, recognised=masker.recognised_in([cleaned])[0])
    pieces, position = [], 0
    for span in spans:
        pieces += [cleaned[position : span.start], span.token]
        position = span.end
    if "".join((*pieces, cleaned[position:])) == masked:
        return [Mark(s.start, s.end, _kind(s.token)) for s in spans]
    return _aligned(cleaned, masked)


def _kind(token: str) -> str:
    match = TOKEN.fullmatch(token)
    return match[1] if match else "literal token"


def _aligned(cleaned: str, masked: str) -> list[Mark]:
    tokens = list(TOKEN.finditer(masked))
    marks: list[Mark] = []
    position = 0
    for number, token in enumerate(tokens):
        before = masked[tokens[number - 1].end() if number else 0 : token.start()]
        following = tokens[number + 1].start() if number + 1 < len(tokens) else len(masked)
        after = masked[token.end() : following]
        start = position + len(before)
        last = number + 1 == len(tokens)
        found = len(cleaned) - len(after) if last else cleaned.find(after, start + 1)
        end = found if after or last else start + 1
        if end <= start:
            end = min(start + 1, len(cleaned))
        marks.append(Mark(start, end, token[1]))
        position = end
    return marks
