"""A head weighs its voices by what each source's own stars say of them."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest

from closeloop.stages.enrich_sentiment import MIN_OWN, SentimentHead, fit_blend, fit_head
from closeloop.text.words import words_of

ROWS = 12 * MIN_OWN
BAD, GOOD = "payment failed again, money lost", "very nice app, works well"


def starred(*, seed: int = 1) -> tuple[pa.Array, np.ndarray, np.ndarray, pa.Array]:
    """Return texts, vectors, stars and sources: where "forum" is read, half of praise is low."""
    draw = np.random.default_rng(seed)
    bad = draw.random(ROWS) < 0.5
    forum = np.arange(ROWS) % 2 == 0
    low = bad | (forum & (draw.random(ROWS) < 0.5))
    vectors = np.where(bad[:, None], 1.0, -1.0) * np.ones((1, 4)) / 2.0
    texts = pa.array([BAD if b else GOOD for b in bad])
    sources = pa.array(np.where(forum, "forum", "play").tolist())
    return texts, vectors.astype(np.float32), low, sources


@pytest.fixture(scope="module")
def head() -> SentimentHead:
    texts, vectors, low, sources = starred()
    return fit_head(words_of(texts), vectors, low, sources, model_id="m")


def told(head: SentimentHead, source: str) -> float:
    vectors = np.full((1, 4), -0.5, np.float32)
    return float(head.probability(words_of(pa.array([GOOD])), vectors, pa.array([source]))[0])


def test_each_source_is_calibrated_by_its_own_stars(head: SentimentHead) -> None:
    assert told(head, "forum") == pytest.approx(0.5, abs=0.07)
    assert told(head, "play") < 0.1
    # A source without stars is told by all of them together.
    assert told(head, "play") < told(head, "mail") < told(head, "forum")


def test_a_head_is_stored_whole_and_one_of_another_release_is_not_read(head: SentimentHead) -> None:
    held = SentimentHead.from_bytes(head.to_bytes())
    assert held is not None
    assert set(held.blends) == {"", "forum", "play"}
    assert told(held, "forum") == pytest.approx(told(head, "forum"), abs=1e-5)
    file = io.BytesIO()
    np.savez(file, words=np.zeros(2), vectors=np.zeros(2), platt=np.zeros(2))
    assert SentimentHead.from_bytes(file.getvalue()) is None


def test_few_texts_move_the_voices_little() -> None:
    voices = np.array([[2.0, 2.0, 2.0], [-2.0, -2.0, -2.0]] * 3)
    weights = fit_blend(voices, voices[:, 0] > 0).weights[:, 0]
    assert weights == pytest.approx([0.33, 0.5, 0.5], abs=0.15)
