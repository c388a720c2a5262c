"""Tells ordinary words of reports from words that have to be on the fact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


ACTION_WORDS = word_set(
    "log logs dashboard metric metrics telemetry trace traces alarm alert alerts device devices build "
    "test tests testing hotfix patch deploy deployment rollback engineer engineers agent agents "
    "reply replies template faq help-centre changelog diff code reviewers sample samples callback "
    "retest reproduction reproduce steps pull push commit merge"
)
"""Words that a next action may use as well: it names work to do, not what was found."""

_ENDINGS = (
    ("'s", ""),
    ("s", ""),
    ("es", ""),
    ("ies", "y"),
    ("ed", ""),
    ("ed", "e"),
    ("d", ""),
    ("ied", "y"),
    ("ing", ""),
    ("ing", "e"),
    ("ly", ""),
    ("ily", "y"),
    ("er", ""),
    ("er", "e"),
    ("est", ""),
    ("ness", ""),
    ("able", ""),
    ("able", "e"),
)


@cache
def plain_words() -> frozenset[str]:
    """Return the base forms of ordinary words."""
    text = files("closeloop.domain.grounding").joinpath("plain_words.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return frozenset(word for line in lines for word in line.split())


def bases_of(word: str) -> Iterator[str]:
    """Yield what a word may be a form of, itself first."""
    yield word
    for ending, put in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            base = word[: -len(ending)] + put
            yield base
            if put == "" and len(base) > 3 and base[-1] == base[-2]:
                yield base[:-1]


@cache
def is_plain(word: str) -> bool:
    """Return whether a word, in lower case, is an ordinary one or a form of one."""
    known = plain_words()
    if any(base in known for base in bases_of(word)):
        return True
    for prefix in ("un", "re", "non-", "over"):
        if word.startswith(prefix) and any(b in known for b in bases_of(word[len(prefix) :])):
            return len(word) - len(prefix) > 3
    if "-" in word:
        parts = [part for part in word.split("-") if part]
        return bool(parts) and all(is_plain(part) for part in parts)
    return False


def same_word(word: str, known: frozenset[str]) -> bool:
    """Return whether a word or one of its forms is among others, in lower case."""
    if word in known:
        return True
    mine = set(bases_of(word))
    return any(other in known for other in mine) or any(
        word + ending in known for ending in ("s", "es", "ed", "ing", "d")
    )
