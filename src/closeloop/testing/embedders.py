"""Embedders for tests: no weights, no network, the same vector for the same text."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import xxhash

from closeloop.ports import Progress, Vectors

_WORD = re.compile(r"\w+")


class HashedWordEmbedder:
    """Bag of hashed words, length 1: texts that share words are near one another.

    Another `salt` is another model: its vectors have nothing to do with this one's.
    """

    def __init__(self, *, dimensions: int = 128, salt: str = "") -> None:
        self._dimensions = dimensions
        self._salt = salt

    @property
    def model_id(self) -> str:
        """Name and version."""
        return f"hashed-words-{self._dimensions}{self._salt and '-'}{self._salt}"

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return self._dimensions

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions]."""
        if progress is not None:
            progress.advance(len(texts))
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                salted = (self._salt + word).encode("utf-8", "surrogatepass")
                digest = xxhash.xxh3_64_intdigest(salted)
                vectors[row, digest % self._dimensions] += 1.0 if digest & (1 << 40) else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / norms, dtype=np.float32)
