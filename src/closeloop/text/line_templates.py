"""Learns which lines of a source's tickets are a template's, from how many tickets hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from closeloop.text.customer_words import shapes_of

LEAST_TEXTS = 3
LEAST_SHARE = 0.02
"""A line is a template's if at least three texts, and 2% of all, hold its shape."""
MAX_SHAPES = 4_096
"""Shapes that are counted; where there are more, the rarest go (lossy counting, Manku & Motwani
2002): a shape of 2% of the texts comes back as fast as it went."""
MAX_TEXTS = 20_000
"""Beyond so many texts all counts are halved, so that a new form is learned in reasonable time."""


@dataclass(slots=True)
class LineTemplates:
    """How many of a source's tickets hold each shape of a line; shapes are kept as keyed hashes.

    `key` is the workspace's: without it a hash says nothing of the line it came from.
    """

    key: bytes
    texts: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def learn(self, texts: Iterable[str]) -> None:
        """Count the lines of more texts, each once a text."""
        for text in texts:
            self.texts += 1
            for name in sorted(self._name(shape) for shape in shapes_of(text)):
                self.counts[name] = self.counts.get(name, 0) + 1
            self._bound()

    def _bound(self) -> None:
        if self.texts > MAX_TEXTS:
            self.texts //= 2
            self.counts = {name: count // 2 for name, count in self.counts.items() if count > 1}
        if len(self.counts) > MAX_SHAPES:
            kept = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
            self.counts = dict(kept[: MAX_SHAPES // 2])

    def unlearn(self, texts: Iterable[str]) -> None:
        """Take erased texts out of the counts."""
        for text in texts:
            self.texts = max(self.texts - 1, 0)
            for name in (self._name(shape) for shape in shapes_of(text)):
                left = self.counts.pop(name, 0) - 1
                if left > 0:
                    self.counts[name] = left

    def template_of(self, text: str) -> frozenset[str]:
        """Return those shapes of a text's lines that are a template's."""
        least = max(LEAST_TEXTS, LEAST_SHARE * self.texts)
        return frozenset(s for s in shapes_of(text) if self.counts.get(self._name(s), 0) >= least)

    def _name(self, shape: str) -> str:
        data = shape.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=8, key=self.key).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the counts as JSON, at most 120 kB; the key is not in it."""
        return json.dumps([self.texts, self.counts], sort_keys=True).encode()

    @staticmethod
    def from_bytes(blob: bytes | None, *, key: bytes) -> LineTemplates:
        """Return what `to_bytes` wrote; nothing is known where there is none."""
        if blob is None:
            return LineTemplates(key)
        texts, counts = json.loads(blob)
        return LineTemplates(key, texts, counts)
