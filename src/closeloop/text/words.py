"""Splits many texts into words at once, as codes into one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of `texts` texts in order: `codes[i]` of text `rows[i]` means vocabulary[code]."""

    texts: int
    rows: Ints
    codes: Ints
    vocabulary: tuple[str, ...]

    def weights(self, table: dict[str, float]) -> Floats:
        """Return each word's entry in a table, 0 where it has none [words]."""
        by_code = np.fromiter(
            (table.get(word, 0.0) for word in self.vocabulary), np.float64, len(self.vocabulary)
        )
        return by_code[self.codes] if len(by_code) else np.zeros(0)

    def marks(self, words: frozenset[str]) -> npt.NDArray[np.bool_]:
        """Return for each word whether it is one of these [words]."""
        by_code = np.fromiter(
            (word in words for word in self.vocabulary), np.bool_, len(self.vocabulary)
        )
        return by_code[self.codes] if len(by_code) else np.zeros(0, np.bool_)

    def sums(self, values: npt.ArrayLike) -> Floats:
        """Return the sum of a value a word over each text [texts]."""
        weights = np.asarray(values, np.float64)
        return np.bincount(self.rows, weights, minlength=self.texts).astype(np.float64)

    def counts(self) -> Ints:
        """Return how many words each text has [texts]."""
        return np.bincount(self.rows, minlength=self.texts)

    def buckets(self, size: int) -> tuple[Ints, Ints]:
        """Return (rows, buckets) of words and of pairs of neighbours, hashed to 0..size-1."""
        digests = np.fromiter(
            (xxhash.xxh3_64_intdigest(w.encode("utf-8")) for w in self.vocabulary),
            np.uint64,
            len(self.vocabulary),
        )
        hashes = digests[self.codes] if len(digests) else np.zeros(0, np.uint64)
        pair = self.rows[1:] == self.rows[:-1]
        mixed = (hashes[:-1] * np.uint64(0x9E3779B97F4A7C15)) ^ hashes[1:]
        rows = np.concatenate([self.rows, self.rows[1:][pair]])
        values = np.concatenate([hashes, mixed[pair]]) % np.uint64(size)
        return rows, values.astype(np.int64)


def words_of(texts: pa.Array | pa.ChunkedArray) -> Words:
    """Return the lower-case words of each text: runs of letters, marks and digits; null has none.

    An apostrophe inside a word is dropped ("don't" is "dont"), as many writers do it themselves.
    """
    lowered = pc.utf8_lower(pc.fill_null(texts, ""))
    joined = pc.replace_substring_regex(lowered, r"['’`]", "")
    # Spaces stay as they are, since each match costs; the empty words between two are left out.
    spaced = pc.replace_substring_regex(joined, r"[^\p{L}\p{M}\p{N} ]+", " ")
    lists = pc.split_pattern(spaced, " ")
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    flat = lists.flatten()
    rows = np.asarray(pc.list_parent_indices(lists), np.int64)
    encoded = flat.dictionary_encode()
    codes = np.asarray(encoded.indices, np.int64)
    vocabulary = tuple(encoded.dictionary.to_pylist())
    if "" in vocabulary:
        kept = codes != vocabulary.index("")
        rows, codes = rows[kept], codes[kept]
    return Words(texts=len(lists), rows=rows, codes=codes, vocabulary=vocabulary)
