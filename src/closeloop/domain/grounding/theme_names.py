"""Checks a name that a model gives to a theme: nothing in it that the theme's texts do not say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.vocabulary import bases_of, word_set

SHORTEST, LONGEST = 2, 6
"""Words of a name."""

TEXTS = 2
"""A word of a name stands in so many of the theme's texts: what one customer says names no theme."""

_FUNCTION = word_set(
    "a an the to at in on of for with when while and or no not is are it my your be"
)
"""Words that say nothing by themselves. None of them says why (after, since, because, due)."""

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_NAME = re.compile(r"[^\W_]+(?:['-][^\W_]+)*(?: [^\W_]+(?:['-][^\W_]+)*)*")
_WHY = word_set(
    "after since because due cause caused causes causing reason blame blamed fault from following "
    "update updated updates release released version versions rollout upgrade upgraded"
)
"""A name says what goes wrong; why it does is for the attribution to say."""


def name_fault(name: str, texts: Sequence[str], *, product: str = "") -> str:
    """Return why a name may not stand for a theme with these texts; "" where it may.

    Two to six words of letters, each in at least two of the texts (in a form of it) but for the
    smallest words; no cause, no change, no product's own name.
    """
    shown = normal(name)
    words = shown.lower().split(" ")
    if not _NAME.fullmatch(shown) or not SHORTEST <= len(words) <= LONGEST:
        return f"is no name of {SHORTEST} to {LONGEST} words"
    if any(c.isdigit() for c in shown):
        return "holds a number"
    said = [_forms(_WORD.findall(normal(text).replace("’", "'").lower())) for text in texts]
    own = frozenset(product.lower().replace(".", " ").replace("-", " ").split())
    telling = [w for w in words if w not in _FUNCTION]
    if not telling:
        return "says nothing"
    for word in telling:
        if word in own:
            return f"{word!r} is the product's name"
        if word in _WHY:
            return f"{word!r} says why, not what"
        if sum(not _forms([word]).isdisjoint(held) for held in said) < TEXTS:
            return f"fewer than {TEXTS} of the texts say {word!r}"
    return ""


def _forms(words: Iterable[str]) -> frozenset[str]:
    """Return what words may be forms of: "fails" and "failed" have "fail" in common."""
    return frozenset(base for word in words for base in bases_of(word))
