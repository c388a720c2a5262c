"""What is left of texts when feedback in them must go: pure rules of erasure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from closeloop.domain.review import Label, OutboxMessage, ReviewItem, ThemeCorrection
from closeloop.domain.ticket import Ticket

REMOVED = "[removed on request]"
"""Stands where a customer's words stood."""

SHORTEST_TEXT = 8
"""Shorter texts ("ok", "too bad") are nobody's own words, and replacing them wherever they occur
would garble others' sentences: they go only where they stand in quotation marks."""

SHOWN_ID = 8
"""People are shown at least this many characters of a feedback id, so a line may name one so."""

_HEX = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{SHOWN_ID},}}")
_WINDOW = np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Feedback that must go, by its ids and its words, ready to be looked for in many texts.

    Retention forgets hundreds of thousands of texts at once: they are looked for together, by
    their first eight bytes, in time that grows with the text that is searched.
    """

    feedback_ids: frozenset[str]
    texts: tuple[str, ...]
    _marks: frozenset[str] = field(init=False, repr=False)
    _needles: dict[int, list[bytes]] = field(init=False, repr=False)
    _prefixes: npt.NDArray[np.uint64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        needles: dict[int, list[bytes]] = {}
        for part in sorted({p.strip() for t in self.texts for p in (t, *t.splitlines())}):
            wanted = part if len(part) >= SHORTEST_TEXT else f"“{part}”"
            data = wanted.encode("utf-8", "surrogatepass")
            if part and len(data) >= 8:
                needles.setdefault(int.from_bytes(data[:8], "little"), []).append(data)
        object.__setattr__(self, "_marks", frozenset(i[:SHOWN_ID] for i in self.feedback_ids))
        object.__setattr__(self, "_needles", needles)
        object.__setattr__(self, "_prefixes", np.array(sorted(needles), dtype=np.uint64))

    @classmethod
    def of(cls, *, feedback_ids: Iterable[str], texts: Iterable[str]) -> Forgotten:
        """Return what is to be forgotten."""
        return cls(frozenset(feedback_ids), tuple(sorted(set(texts))))

    def inside(self, data: bytes) -> list[bytes]:
        """Return the texts, or lines of them, that occur in data, longest first."""
        candidates: set[int] = set()
        for offset in range(8):
            size = (len(data) - offset) // 8
            if size > 0 and len(self._prefixes):
                windows = np.frombuffer(data, dtype=_WINDOW, count=size, offset=offset)
                candidates |= set(windows[np.isin(windows, self._prefixes)].tolist())
        found = [n for c in candidates for n in self._needles[c] if n in data]
        return sorted(found, key=lambda n: (-len(n), n))

    def cut(self, text: str) -> str:
        """Return text with lines that name an id cut, and the texts replaced."""
        for needle in self.inside(text.encode("utf-8", "surrogatepass")):
            text = text.replace(needle.decode("utf-8", "surrogatepass"), REMOVED)
        if not self._marks:
            return text
        return "\n".join(line for line in text.split("\n") if not self.names(line))

    def names(self, line: str) -> bool:
        """Say whether a line names one of the ids, or at least its beginning."""
        return any(m[0][:SHOWN_ID] in self._marks for m in _HEX.finditer(line))


def ticket_without(ticket: Ticket, gone: Forgotten) -> Ticket:
    """Return the ticket without examples, lines and words that come from the feedback."""
    return replace(
        ticket,
        title=gone.cut(ticket.title) or REMOVED,
        body=gone.cut(ticket.body),
        examples=tuple(e for e in ticket.examples if gone.cut(e) == e),
    )


def review_without(item: ReviewItem, gone: Forgotten) -> ReviewItem:
    """Return the review item without words that come from the feedback."""
    return replace(
        item,
        title=gone.cut(item.title) or REMOVED,
        reasons=tuple(r for r in map(gone.cut, item.reasons) if r),
        answer_reason=None if item.answer_reason is None else gone.cut(item.answer_reason),
    )


def message_without(message: OutboxMessage, gone: Forgotten) -> OutboxMessage:
    """Return the message without the words.

    A payload is one line of JSON that names a ticket, so lines stay; an error may quote anything.
    """
    payload = Forgotten.of(feedback_ids=(), texts=gone.texts).cut(message.payload)
    error = message.last_error
    return replace(message, payload=payload, last_error=error and gone.cut(error))


def correction_without(correction: ThemeCorrection, gone: Forgotten) -> ThemeCorrection:
    """Return the correction without the ids; what is left of a split still holds."""
    left = tuple(i for i in correction.feedback_ids if i not in gone.feedback_ids)
    return replace(correction, feedback_ids=left)


def concerns(label: Label, gone: Forgotten) -> bool:
    """Say whether a label judges the feedback."""
    return not gone.feedback_ids.isdisjoint(label.subject)
