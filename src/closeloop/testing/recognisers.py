"""A recogniser for tests: it knows some words, and fails where it is told to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from closeloop.errors import RecogniserFaultError
from closeloop.ports import Recognised


class WordRecogniser:
    """Finds given words, as NAME by default; fails on every text that holds `fails_on`."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        token: str = "NAME",  # noqa: S107  a type of token, no password
        fails_on: str | None = None,
        asked: str = "all",
    ) -> None:
        self._pattern = re.compile("|".join(map(re.escape, words)) or r"(?!)")
        self._words = tuple(words)
        self._token = token
        self._fails_on = fails_on
        self._asked = asked
        self.seen: list[str] = []

    @property
    def version(self) -> str:
        """Name and words."""
        return f"words-{'-'.join(self._words)}"

    @property
    def tokens(self) -> frozenset[str]:
        """The one type of token."""
        return frozenset({self._token})

    @property
    def asked(self) -> str:
        """Which texts it is to be asked of."""
        return self._asked

    def recognise(self, texts: Sequence[str]) -> list[list[Recognised]]:
        """Return where the words stand, and remember the texts."""
        self.seen += texts
        if self._fails_on is not None and any(self._fails_on in text for text in texts):
            raise RecogniserFaultError("told to fail")
        return [
            [Recognised(*match.span(), self._token) for match in self._pattern.finditer(text)]
            for text in texts
        ]
