"""Splits texts into the clauses that may each be about something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.text.words import words_of

Ints = npt.NDArray[np.int64]

MIN_WORDS = 3
MAX_CLAUSES = 8
"""Of a longer text the first so many count, which bounds what one hostile text can cost."""

_SENTENCE_END = r"([.!?…;।])\s+"
_TURN = r"(?i),?\s+(?:but|however|although|though|mais|cependant|lekin|magar)\s+"


@dataclass(frozen=True, slots=True)
class Clauses:
    """Clauses in order: `texts[i]` stands in the text of row `rows[i]`."""

    rows: Ints
    texts: pa.Array


def clauses_of(texts: pa.Array | pa.ChunkedArray) -> Clauses:
    """Return the clauses of texts that have two or more, of three words and more each.

    A clause ends with its sentence or line, and before a word that turns ("but", "mais", "lekin").
    """
    marked = pc.replace_substring_regex(pc.fill_null(texts, ""), _SENTENCE_END, r"\1" + "\n")
    marked = pc.replace_substring_regex(marked, _TURN, "\n")
    lists = pc.split_pattern(marked, "\n")
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    rows = np.asarray(pc.list_parent_indices(lists), np.int64)
    parts = pc.utf8_trim_whitespace(lists.flatten())
    # Most texts are one clause, and need no look at their words.
    several = np.flatnonzero(np.bincount(rows, minlength=len(lists))[rows] > 1)
    rows, parts = rows[several], parts.take(pa.array(several))
    long = words_of(parts).counts() >= MIN_WORDS
    rows, parts = rows[long], parts.filter(pa.array(long))
    sizes = np.bincount(rows, minlength=len(lists))
    starts = np.cumsum(sizes) - sizes
    kept = (sizes[rows] > 1) & (np.arange(len(rows)) - starts[rows] < MAX_CLAUSES)
    return Clauses(rows=rows[kept], texts=parts.filter(pa.array(kept)))
