"""Hashed words beside the vectors: what labelled texts teach that a vector does not hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from closeloop.ports import Vectors
from closeloop.stats.logistic import Logistic, fit_classes
from closeloop.text.words import Words

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BUCKETS = 1 << 16
MIN_TEXTS = 2
"""A word or pair of neighbours counts if so many of the texts hold it."""
L2 = 0.1


@dataclass(frozen=True, slots=True)
class WordHead:
    """`buckets` [used] in order, the `rarity` of each, and `weights` [used, classes]."""

    buckets: Ints
    rarity: Floats
    weights: Floats

    def scores(self, words: Words) -> Floats:
        """Return what the words of each text add to the scores [texts, classes]."""
        return np.asarray(features(words, self.buckets, self.rarity) @ self.weights, np.float64)


def vocabulary(words: Words) -> tuple[Ints, Floats]:
    """Return the buckets that texts share, and their rarity: log((1 + texts) / (1 + with it)) + 1."""
    rows, buckets = words.buckets(BUCKETS)
    held = np.unique(np.stack([buckets, rows]), axis=1)[0]
    used, counts = np.unique(held, return_counts=True)
    shared = counts >= MIN_TEXTS
    rarity = np.log((1.0 + words.texts) / (1.0 + counts[shared])) + 1.0
    return used[shared], rarity


def features(words: Words, used: Ints, rarity: Floats) -> sparse.csr_matrix:
    """Return each text's words by rarity, as a direction of length 1 [texts, used]."""
    rows, buckets = words.buckets(BUCKETS)
    place = np.minimum(np.searchsorted(used, buckets), max(len(used) - 1, 0))
    known = used[place] == buckets if len(used) else np.zeros(len(buckets), np.bool_)
    table = sparse.csr_matrix(
        (np.ones(int(known.sum())), (rows[known], place[known])), shape=(words.texts, len(used))
    )
    # Once or often makes no difference in short texts.
    table.data[:] = rarity[table.indices]
    norms = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    return sparse.diags(1.0 / np.maximum(norms, 1e-9)).dot(table).tocsr()


def fit_together(
    vectors: Vectors,
    words: Words,
    classes: Ints,
    *,
    count: int,
    sample_weight: Floats,
    room: float = 1.0,
) -> tuple[Logistic, WordHead]:
    """Return a head over vectors and one over words, fitted as one, so that each knows the other.

    With more `room` the words' weights are held back less (as its square divides their l2).
    """
    used, rarity = vocabulary(words)
    both = sparse.hstack(
        [sparse.csr_matrix(vectors.astype(np.float64)), room * features(words, used, rarity)]
    ).tocsr()
    fitted = fit_classes(both, classes, count=count, l2=L2, sample_weight=sample_weight)
    wide = vectors.shape[1]
    return (
        Logistic(weights=fitted.weights[:wide], bias=fitted.bias),
        WordHead(buckets=used, rarity=rarity, weights=room * fitted.weights[wide:]),
    )
