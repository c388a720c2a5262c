"""Ranks what a change holds by how near it is to what customers write: no proof, only an order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from closeloop.stats.baseline import Floats

WORDS_WEIGHT, MEANING_WEIGHT, OWNER_WEIGHT = 0.4, 0.5, 0.1
"""Parts of the score; with no vectors, words have the part of meaning too."""
PATHS_COUNT = 0.5
"""A word of a path tells less than one of the subject."""
MIN_LETTERS = 3
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_STOP = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "from",
        "this",
        "that",
        "not",
        "are",
        "was",
        "were",
        "have",
        "has",
        "had",
        "can",
        "cannot",
        "you",
        "your",
        "our",
        "its",
        "app",
        "fix",
        "fixed",
        "fixes",
        "add",
        "added",
        "adds",
        "update",
        "updated",
        "updates",
        "new",
        "use",
        "used",
        "uses",
        "remove",
        "removed",
        "when",
        "while",
        "into",
        "out",
        "all",
        "any",
        "but",
        "get",
        "got",
        "make",
        "made",
        "now",
        "after",
        "before",
        "more",
        "some",
        "feat",
        "chore",
        "refactor",
        "bump",
        "merge",
        "pull",
        "request",
        "branch",
        "main",
        "test",
        "tests",
        "src",
        "java",
        "kotlin",
        "swift",
        "lib",
        "util",
        "utils",
    ]
)
_ENDINGS = ("ations", "ments", "ment", "ation", "ingly", "ings", "ing", "ies", "ed", "es", "s", "e")


@dataclass(frozen=True, slots=True)
class Suspect:
    """One item of a change: its place in the order (from 1), score 0..1, and the words it shares."""

    index: int
    place: int
    score: float
    shared: tuple[str, ...]


def rank(
    items: Sequence[tuple[str, Collection[str]]],
    complaints: Sequence[str],
    others: Sequence[str],
    *,
    likeness: Floats | None,
    owner_words: Collection[str] = (),
) -> list[Suspect]:
    """Return the items (text, paths) in order of suspicion; equal scores keep their order.

    Words that set the `complaints` apart from `others` of the product count by how far they do, and
    meaning by `likeness`, the cosine of each item's vector with the complaints' mean (None where
    there are no vectors). `owner_words` are the owner's component and words.
    """
    telling = telling_words(complaints, others)
    owned = {stem for word in owner_words for stem in stems(word)}
    norm = sqrt(sum(v * v for v in telling.values())) or 1.0
    meaning = None if likeness is None else np.clip(likeness, 0.0, 1.0)
    scored = []
    for index, (text, paths) in enumerate(items):
        weights = dict.fromkeys((s for path in paths for s in stems(path)), PATHS_COUNT)
        weights |= dict.fromkeys(stems(text), 1.0)
        length = sqrt(sum(w * w for w in weights.values())) or 1.0
        shared = sorted(weights.keys() & telling.keys(), key=lambda s: (-telling[s], s))
        by_words = sum(telling[s] * weights[s] for s in shared) / (norm * length)
        by_meaning = by_words if meaning is None else float(meaning[index])
        by_owner = 1.0 if owned & weights.keys() else 0.0
        score = WORDS_WEIGHT * by_words + MEANING_WEIGHT * by_meaning + OWNER_WEIGHT * by_owner
        scored.append((score, index, tuple(shared)))
    scored.sort(key=lambda s: (-s[0], s[1]))
    return [
        Suspect(index, place, score, shared)
        for place, (score, index, shared) in enumerate(scored, start=1)
    ]


def telling_words(complaints: Iterable[str], others: Iterable[str]) -> dict[str, float]:
    """Return the stems that set complaints apart: share among them times log of the lift."""
    own, own_texts = _shares(complaints)
    usual, usual_texts = _shares(others)
    found = {}
    for stem, count in own.items():
        share = count / max(own_texts, 1)
        elsewhere = (usual[stem] + 0.5) / (usual_texts + 1.0)
        lift = log(max(share / elsewhere, 1.0))
        if lift > 0.0 and (count > 1 or own_texts <= 2):
            found[stem] = share * lift
    return found


def stems(text: str) -> frozenset[str]:
    """Return the words of a text or path, small, without endings, without idle words."""
    parts = (p.group().lower() for p in _PARTS.finditer(text))
    return frozenset(_stem(p) for p in parts if len(p) >= MIN_LETTERS and p not in _STOP)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= MIN_LETTERS:
            return word[: -len(ending)]
    return word


def _shares(texts: Iterable[str]) -> tuple[Counter[str], int]:
    counted: Counter[str] = Counter()
    number = 0
    for text in texts:
        counted.update(stems(text))
        number += 1
    return counted, number
