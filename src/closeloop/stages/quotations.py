"""Picks the reviews that a brief quotes: typical, different, newest, and one that disagrees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from closeloop.domain.brief import Quotation
from closeloop.text.injections import looks_like_instruction

MAX_CHARACTERS = 240
"""Longest excerpt: what one reads at a glance; the whole text is one query away."""

MIN_CHARACTERS = 15
"""Shorter texts ("not working") are quoted only where there is nothing else."""

REPRESENTATIVE = 2
DIVERSE = 2

MAX_TOKENS = 600
"""Tokens of all quotations together, one for four bytes of UTF-8: six excerpts in Latin script fit,
of scripts with three bytes a letter about four."""

Vectors = npt.NDArray[np.float32]

_TOKEN = re.compile(r"<[A-Z][A-Z0-9_]*(?::[^<>\s]*)?>")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One masked review that may be quoted; `vector` is None where it was not embedded."""

    feedback_id: str
    text: str
    rating: float | None
    event_time: datetime
    version: str | None
    author: str | None
    vector: Vectors | None = None


def excerpt(text: str, *, limit: int = MAX_CHARACTERS) -> str:
    """Return a verbatim beginning of at most `limit` characters, never cut inside a word or token.

    A sentence's end is preferred where it keeps at least half. A single word longer than the limit
    is cut: nothing else can be done with it.
    """
    text = text.strip()
    if len(text) <= limit:
        return text
    # A token holds no white space, so a cut at white space never lies inside one.
    places = [m.start() for m in re.finditer(r"\s", text[: limit + 1])]
    sentences = [p for p in places if p >= limit // 2 and text[p - 1] in ".!?।"]
    for found in (sentences, places):
        if found:
            return text[: found[-1]].strip()
    for token in _TOKEN.finditer(text):
        if token.start() < limit < token.end():
            return text[: token.start()] or token[0]
    return text[:limit]


def choose(
    complaints: Sequence[Candidate], *, dissenting: Sequence[Candidate] = ()
) -> tuple[Quotation, ...]:
    """Return up to six quotations, each text and author once, the most typical first.

    Representative: nearest to the mean of the complaints' vectors. Diverse: farthest from those
    already chosen. Recent: the newest. Dissenting: of the given ones, the one nearest to the mean,
    so that it is about the same thing. Texts that speak to a machine are quoted only where there
    is nothing else. Together they stay within MAX_TOKENS; the first is always there.
    """
    usable = _worth_quoting(complaints)
    if not usable:
        return ()
    chosen: list[tuple[Candidate, str]] = []
    near = _nearness(usable, usable)
    order = sorted(range(len(usable)), key=lambda i: (-near[i], usable[i].feedback_id))
    for index in order:
        if len(chosen) == REPRESENTATIVE:
            break
        _take(usable[index], "representative", chosen)
    for _ in range(DIVERSE):
        far = _farthest(usable, [c for c, _ in chosen])
        if far is not None:
            _take(far, "diverse", chosen)
    newest_first = sorted(usable, key=lambda c: (c.event_time, c.feedback_id), reverse=True)
    next((c for c in newest_first if _take(c, "recent", chosen)), None)
    others = [c for c in dissenting if len(c.text.strip()) >= MIN_CHARACTERS]
    others = [c for c in others if not looks_like_instruction(c.text)]
    if others:
        likeness = _nearness(others, usable)
        best = min(range(len(others)), key=lambda i: (-likeness[i], others[i].feedback_id))
        _take(others[best], "dissenting", chosen)
    return tuple(
        Quotation(c.feedback_id, excerpt(c.text), c.rating, c.event_time, c.version, role)
        for c, role in _within(chosen)
    )


def _within(chosen: Sequence[tuple[Candidate, str]]) -> list[tuple[Candidate, str]]:
    """Return what fits the budget, in the order it was chosen: one of each role before a second."""
    seen: dict[str, int] = {}
    turns = []
    for place, (_, role) in enumerate(chosen):
        seen[role] = seen.get(role, 0) + 1
        turns.append((seen[role], place))
    kept: set[int] = set()
    left = MAX_TOKENS
    for _, place in sorted(turns):
        tokens = len(excerpt(chosen[place][0].text).encode("utf-8", "replace")) // 4
        if tokens <= left or not kept:
            kept.add(place)
            left -= tokens
    return [chosen[place] for place in sorted(kept)]


def _worth_quoting(candidates: Sequence[Candidate]) -> list[Candidate]:
    texts = [c for c in candidates if c.text.strip()]
    long_enough = [c for c in texts if len(c.text.strip()) >= MIN_CHARACTERS]
    plain = [c for c in long_enough if not looks_like_instruction(c.text)]
    return plain or long_enough or texts


def _take(candidate: Candidate, role: str, chosen: list[tuple[Candidate, str]]) -> bool:
    text = excerpt(candidate.text).casefold()
    for other, _ in chosen:
        same_author = candidate.author is not None and candidate.author == other.author
        if same_author or excerpt(other.text).casefold() == text:
            return False
    chosen.append((candidate, role))
    return True


def _nearness(candidates: Sequence[Candidate], around: Sequence[Candidate]) -> list[float]:
    vectors = [c.vector for c in around if c.vector is not None]
    if not vectors:
        # Without vectors a text of middling length is the best guess at a typical one.
        return [-abs(len(c.text) - 100.0) for c in candidates]
    centre = np.mean(np.stack(vectors), axis=0)
    return [float(c.vector @ centre) if c.vector is not None else -1.0 for c in candidates]


def _farthest(usable: Sequence[Candidate], chosen: Sequence[Candidate]) -> Candidate | None:
    taken = {c.feedback_id for c in chosen}
    known = [c.vector for c in chosen if c.vector is not None]
    rest = [c for c in usable if c.feedback_id not in taken and c.vector is not None]
    if not rest or not known:
        return None
    likeness = np.stack([c.vector for c in rest if c.vector is not None]) @ np.stack(known).T
    nearest = likeness.max(axis=1)
    best = min(range(len(rest)), key=lambda i: (round(float(nearest[i]), 6), rest[i].feedback_id))
    return rest[best]
