"""The phrase banks: what customers write, by language and theme, with slots to fill."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

ENGLISH = "en"
LANGUAGES = ("en", "hi-Latn", "de", "fr", "es")
ASIDE = "aside"

_PART = re.compile(r"\{(\w+)\}|\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a text that one of several words fills."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Optional:
    """A part of a text that is left out half the time."""

    parts: tuple[str | Slot, ...]


Template = tuple[str | Slot | Optional, ...]


@dataclass(frozen=True, slots=True)
class Theme:
    """What English texts of a theme are about; other languages share its category and tone.

    `about` says whose asides fit: those of the app or those of goods.
    """

    name: str
    category: str
    tone: str
    about: str


@cache
def themes() -> dict[str, Theme]:
    """Return every theme that a scenario may name."""
    return {
        name: Theme(name, body["category"], body["tone"], body.get("about", "app"))
        for name, body in _bank(ENGLISH).items()
        if "category" in body
    }


@cache
def templates(language: str, theme: str) -> tuple[Template, ...]:
    """Return the texts of a theme in a language, ready to fill; () where there are none."""
    bank = _bank(language)
    slots = {name: Slot(tuple(words)) for name, words in bank["slots"].items()}
    return tuple(_compile(text, slots) for text in bank.get(theme, {}).get("texts", ()))


@cache
def asides(language: str, theme: str) -> tuple[Template, ...]:
    """Return the sentences that may follow a text of that theme."""
    about = themes()[theme].about
    return templates(language, ASIDE) + templates(language, f"{ASIDE} {about}")


@cache
def _bank(language: str) -> dict[str, dict[str, Any]]:
    path = files("closeloop.testing.simulator.phrases").joinpath(f"{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _compile(text: str, slots: dict[str, Slot]) -> Template:
    parts: list[str | Slot | Optional] = []
    done = 0
    for match in _PART.finditer(text):
        parts.append(text[done : match.start()])
        if match[1] is not None:
            parts.append(slots[match[1]])
        else:
            parts.append(Optional(_filled(match[2], slots)))
        done = match.end()
    parts.append(text[done:])
    return tuple(p for p in parts if p != "")


def _filled(text: str, slots: dict[str, Slot]) -> tuple[str | Slot, ...]:
    # An optional part holds no optional part of its own.
    return tuple(p for p in _compile(text, slots) if not isinstance(p, Optional))
