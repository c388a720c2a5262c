"""P(negative) of texts: the lexicon at the start, then a head learned from the user's own stars."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.special import expit

from closeloop.ports import Vectors
from closeloop.stats.logistic import Logistic, fit_binary, packed, unpacked
from closeloop.text.sentiment import VERSION, text_log_odds, with_stars
from closeloop.text.words import Words

Floats = npt.NDArray[np.float64]

BUCKETS = 1 << 15
MIN_STARS = 500
"""Texts with 1-2 or 4-5 stars that a head needs; of either kind at least a tenth of that."""
MAX_STARS = 12_000
MIN_OWN = 300
"""Texts held back from the heads that a source needs for a blend of its own."""
PRIOR, PRIOR_WEIGHT = (0.33, 0.5, 0.5), 20.0
"""What the lexicon, the words and the vectors count for before any star is seen."""


@dataclass(frozen=True, slots=True)
class Stars:
    """How many starred texts were seen (1-2, 4-5 stars), and at how many the head was fitted."""

    low: int = 0
    high: int = 0
    fitted_at: int = 0

    @property
    def due(self) -> bool:
        """Whether a head should be fitted now: at the start, then each time the stars double."""
        enough = min(self.low, self.high) >= MIN_STARS // 10
        seen = self.low + self.high
        return enough and seen >= max(MIN_STARS, 2 * self.fitted_at)

    def seen(self, ratings: Floats) -> Stars:
        """Return the counts with these ratings added (nan: none)."""
        low = int(((ratings >= 1) & (ratings <= 2)).sum())
        return Stars(self.low + low, self.high + int((ratings >= 4).sum()), self.fitted_at)

    def to_bytes(self) -> bytes:
        """Return the counts as JSON."""
        return json.dumps([self.low, self.high, self.fitted_at]).encode()

    @staticmethod
    def from_bytes(blob: bytes | None) -> Stars:
        """Return the counts, zero where nothing is remembered."""
        return Stars() if blob is None else Stars(*json.loads(blob))


@dataclass(frozen=True, slots=True)
class SentimentHead:
    """Three voices (the lexicon, a head over hashed words, one over vectors) and how far to trust each.

    `blends` weigh their log odds, by source; "" stands for the sources without one of their own. On
    apps that the heads were not trained on the lexicon makes the mean of the two better by .005 to
    .021 (benchmarks/tone.py).
    """

    words: Logistic
    vectors: Logistic
    blends: Mapping[str, Logistic]
    trained_on: int
    model_id: str

    @property
    def name(self) -> str:
        """Stored with each sentiment."""
        return f"stars-head over {self.trained_on} texts"

    def probability(self, words: Words, vectors: Vectors, sources: pa.Array) -> Floats:
        """Return P(negative) of each text, by the blend of its source [texts]."""
        voices = _voices(words, vectors, self.words, self.vectors)
        score = self.blends[""].scores(voices)[:, 0]
        encoded = pc.dictionary_encode(sources)
        for code, source in enumerate(encoded.dictionary.to_pylist()):
            own = self.blends.get(source)
            if own is not None:
                rows = np.flatnonzero(np.asarray(encoded.indices) == code)
                score[rows] = own.scores(voices[rows])[:, 0]
        return np.asarray(expit(score), np.float64)

    def to_bytes(self) -> bytes:
        """Return the head as npz."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            words=packed(self.words),
            vectors=packed(self.vectors),
            sources=np.array(list(self.blends), str),
            blends=np.array([packed(blend) for blend in self.blends.values()]),
            trained_on=np.array(self.trained_on),
            model_id=np.array(self.model_id),
        )
        return file.getvalue()

    @staticmethod
    def from_bytes(blob: bytes) -> SentimentHead | None:
        """Return the head that `to_bytes` wrote; None where another release wrote it."""
        with np.load(io.BytesIO(blob), allow_pickle=False) as held:
            if "blends" not in held:
                return None
            blends = (unpacked(row) for row in held["blends"])
            return SentimentHead(
                words=unpacked(held["words"]),
                vectors=unpacked(held["vectors"]),
                blends=dict(zip(held["sources"].tolist(), blends, strict=True)),
                trained_on=int(held["trained_on"]),
                model_id=str(held["model_id"]),
            )


def fit_head(
    words: Words,
    vectors: Vectors,
    negative: npt.NDArray[np.bool_],
    sources: pa.Array,
    *,
    model_id: str,
) -> SentimentHead:
    """Return a head from texts with 1-2 stars (negative) and 4-5 stars.

    Every fifth text is held back to weigh the voices: of all sources together, and of each that has
    MIN_OWN of them.
    """
    held = np.arange(len(negative)) % 5 == 4
    features = word_features(words)
    one = fit_binary(features[~held], negative[~held], l2=1.0)
    two = fit_binary(vectors[~held].astype(np.float64), negative[~held], l2=1.0)
    voices = _voices(words, vectors, one, two, features=features)[held]
    told, source = negative[held], np.array(sources.to_pylist(), object)[held]
    blends = {"": fit_blend(voices, told)}
    for name in sorted(set(source.tolist())):
        mine = source == name
        if MIN_OWN <= mine.sum() < len(mine) and min(told[mine].sum(), (~told[mine]).sum()) >= 30:
            blends[name] = fit_blend(voices[mine], told[mine])
    return SentimentHead(
        words=one, vectors=two, blends=blends, trained_on=len(negative), model_id=model_id
    )


def fit_blend(voices: Floats, negative: npt.NDArray[np.bool_]) -> Logistic:
    """Return how the voices' log odds are weighed [texts, 3], near PRIOR where texts are few.

    With 300 texts of an app that the heads never saw its calibration error is .028, by Platt's
    scaling of the voices' mean .033 (benchmarks/tone.py).
    """
    return fit_binary(voices, negative, l2=PRIOR_WEIGHT, prior=np.array(PRIOR))


def _voices(
    words: Words, vectors: Vectors, one: Logistic, two: Logistic, *, features: Any = None
) -> Floats:
    """Return the log odds of the lexicon, the head over words, and that over vectors [texts, 3]."""
    features = word_features(words) if features is None else features
    return np.column_stack(
        [text_log_odds(words), one.scores(features)[:, 0], two.scores(vectors)[:, 0]]
    )


def negative_probability(
    words: Words,
    vectors: Vectors,
    ratings: Floats,
    sources: pa.Array,
    *,
    head: SentimentHead | None,
) -> tuple[Floats, Floats, str]:
    """Return (P(negative) of the text alone, P(negative) to store, the model's name).

    At the start the stars are evidence beside the lexicon; a learned head reads the text alone.
    """
    start = text_log_odds(words)
    if head is None:
        together = np.asarray(expit(with_stars(start, ratings)), np.float64)
        return expit(start), together, f"{VERSION} and stars (uncalibrated)"
    alone = head.probability(words, vectors, sources)
    unread = words.counts() == 0
    alone = np.where(unread, expit(with_stars(start, ratings)), alone)
    return alone, alone, head.name


def word_features(words: Words) -> sparse.csr_matrix:
    """Return the hashed words and pairs of each text, texts of any length alike long [texts, BUCKETS]."""
    rows, buckets = words.buckets(BUCKETS)
    table = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, buckets)), shape=(words.texts, BUCKETS)
    )
    table.data[:] = 1.0
    lengths = np.sqrt(np.maximum(np.diff(table.indptr), 1))
    return sparse.diags(1.0 / lengths).dot(table).tocsr() * 3.0
