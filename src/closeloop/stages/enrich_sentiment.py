"""P(negative) of texts: the lexicon at the start, then a head learned from the user's own stars."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit

from closeloop.ports import Vectors
from closeloop.stats.logistic import (
    Logistic,
    Platt,
    fit_binary,
    fit_platt,
    log_odds,
    packed,
    unpacked,
)
from closeloop.text.sentiment import VERSION, text_log_odds, with_stars
from closeloop.text.words import Words

Floats = npt.NDArray[np.float64]

BUCKETS = 1 << 15
MIN_STARS = 500
"""Texts with 1-2 or 4-5 stars that a head needs; of either kind at least a tenth of that."""
MAX_STARS = 12_000


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
    """The mean of a hashed-words head, a vector head and the lexicon, scaled by Platt's method.

    On apps that it was not trained on the lexicon makes the mean of the two better by .005 to .021
    (benchmarks/understanding.py). `lexicon` is false in a head that an earlier release fitted.
    """

    words: Logistic
    vectors: Logistic
    platt: Platt
    trained_on: int
    model_id: str
    lexicon: bool = True

    @property
    def name(self) -> str:
        """Stored with each sentiment."""
        return f"stars-head over {self.trained_on} texts"

    def probability(self, words: Words, vectors: Vectors) -> Floats:
        """Return P(negative) of each text [texts]."""
        voices = [
            self.words.scores(word_features(words))[:, 0],
            self.vectors.scores(vectors)[:, 0],
        ]
        if self.lexicon:
            voices.append(text_log_odds(words))
        return self.platt.probability(_mean(*voices))

    def to_bytes(self) -> bytes:
        """Return the head as npz."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            words=packed(self.words),
            vectors=packed(self.vectors),
            platt=np.array([self.platt.slope, self.platt.offset]),
            trained_on=np.array(self.trained_on),
            model_id=np.array(self.model_id),
            lexicon=np.array(self.lexicon),
        )
        return file.getvalue()

    @staticmethod
    def from_bytes(blob: bytes) -> SentimentHead:
        """Return the head that `to_bytes` wrote."""
        with np.load(io.BytesIO(blob), allow_pickle=False) as held:
            return SentimentHead(
                words=unpacked(held["words"]),
                vectors=unpacked(held["vectors"]),
                platt=Platt(*(float(x) for x in held["platt"])),
                trained_on=int(held["trained_on"]),
                model_id=str(held["model_id"]),
                lexicon=bool(held["lexicon"]) if "lexicon" in held else False,
            )


def fit_head(
    words: Words, vectors: Vectors, negative: npt.NDArray[np.bool_], *, model_id: str
) -> SentimentHead:
    """Return a head from texts with 1-2 stars (negative) and 4-5 stars.

    Every fifth text is held back for Platt's scaling.
    """
    held = np.arange(len(negative)) % 5 == 4
    features = word_features(words)
    one = fit_binary(features[~held], negative[~held], l2=1.0)
    two = fit_binary(vectors[~held].astype(np.float64), negative[~held], l2=1.0)
    start = text_log_odds(words)[held]
    mean = _mean(one.scores(features[held])[:, 0], two.scores(vectors[held])[:, 0], start)
    return SentimentHead(
        words=one,
        vectors=two,
        platt=fit_platt(mean, negative[held]),
        trained_on=len(negative),
        model_id=model_id,
    )


def negative_probability(
    words: Words,
    vectors: Vectors,
    ratings: Floats,
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
    alone = head.probability(words, vectors)
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


def _mean(*voices: Floats) -> Floats:
    """Return the log odds of the mean of several probabilities, each given as log odds."""
    return log_odds(np.mean([expit(voice) for voice in voices], axis=0))
