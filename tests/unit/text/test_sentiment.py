"""The lexicon's start: tone, negation, stars, and what says nothing."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.text import sentiment
from closeloop.text.words import words_of


def _odds(*texts: str | None) -> list[float]:
    return list(sentiment.text_log_odds(words_of(pa.array(texts, pa.string()))))


@pytest.mark.parametrize(
    "text",
    ["Worst app ever", "payment failed again", "it doesn't work, not good", "très mauvais, nul",
     "bakwas app, paisa kat gaya", "Good before, but now it crashes and fails"],
)  # fmt: skip
def test_negative_texts_are_negative(text: str) -> None:
    assert _odds(text)[0] > 0.5


@pytest.mark.parametrize(
    "text", ["Love it, great app", "bahut accha", "génial, merci", "very easy and fast"]
)
def test_positive_texts_are_positive(text: str) -> None:
    assert _odds(text)[0] < -0.5


def test_a_negation_reaches_only_its_own_text() -> None:
    assert _odds("never", "great")[1] == _odds("great")[0] < 0


def test_stars_are_evidence_and_their_absence_is_none() -> None:
    ratings = np.array([1.0, 5.0, np.nan])
    low, high, none = sentiment.with_stars(np.zeros(3), ratings)
    assert low > 1
    assert high < -1
    assert none == 0


def test_conflicts_need_a_clear_text() -> None:
    probability = np.array([0.9, 0.6, 0.1, 0.9, 0.5])
    ratings = np.array([5.0, 5.0, 1.0, 1.0, np.nan])
    assert sentiment.conflicts(probability, ratings).tolist() == [True, False, True, False, False]


def test_what_says_nothing_is_told_from_what_does() -> None:
    free = ["good", "Nice app!!", "👍👍", "worst app ever", "ggggggg", "", "sdfghjkl", "très bien"]
    said = ["payment failed", "otp not received", "too slow", "please add dark mode", "UPI"]
    found = sentiment.content_free(words_of(pa.array([*free, *said])))
    assert found.tolist() == [True] * len(free) + [False] * len(said)


@given(st.lists(st.text(max_size=40), max_size=8))
def test_a_text_is_judged_alike_alone_and_in_company(texts: list[str]) -> None:
    together = _odds(*texts)
    alone = [_odds(text)[0] for text in texts]
    assert np.allclose(together, alone)
    assert np.isfinite(together).all()


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_words_belong_to_their_text(texts: list[str]) -> None:
    words = words_of(pa.array(texts))
    assert words.texts == len(texts)
    assert (np.diff(words.rows) >= 0).all()
    assert all(words.vocabulary[code] for code in words.codes)
    for row, text in enumerate(texts):
        own = words_of(pa.array([text]))
        assert [own.vocabulary[c] for c in own.codes] == [
            words.vocabulary[c] for c in words.codes[words.rows == row]
        ]
