"""Ranking what a change holds by the words and meaning of complaints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.suspects import rank, stems, telling_words

COMPLAINTS = [
    "UPI payments keep failing since the update",
    "payment failed, money debited",
    "my UPI payment is pending",
]
OTHERS = ["great app since the update", "nice update", "please add dark mode", "love the rewards"]
ITEMS = [
    ("Polish reward animations", ("ui/rewards/Confetti.kt",)),
    ("Move UPI collect to the new gateway", ("pay/upi/CollectFlow.kt",)),
    ("Update copyright year", ()),
    ("Retry logic", ("payments/RetryPolicy.kt",)),
]


def test_what_shares_the_complaints_words_comes_first_and_paths_count_too():
    ranked = rank(ITEMS, COMPLAINTS, OTHERS, likeness=None)
    assert [s.index for s in ranked][:2] == [1, 3]
    assert ranked[0].shared == ("pay", "upi")
    assert ranked[1].shared == ("pay",)
    assert [s.place for s in ranked] == [1, 2, 3, 4]


def test_words_that_everybody_writes_tell_nothing():
    words = telling_words(COMPLAINTS, OTHERS)
    assert words["pay"] > words["upi"] > 0.0
    assert "updat" not in words


def test_meaning_decides_where_words_are_silent():
    likeness = np.array([0.1, 0.0, 0.6, 0.2])
    assert rank(ITEMS, ["geht nicht"], OTHERS, likeness=likeness)[0].index == 2


def test_the_owner_s_component_lends_a_little():
    ranked = rank(ITEMS, ["bad"], ["bad"], likeness=None, owner_words=["Rewards"])
    assert ranked[0].index == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CollectFlow.kt", {"collect", "flow"}),
        ("fix: failing payments", {"fail", "pay"}),
        ("HTTPServer", {"http", "server"}),
        ("", set()),
    ],
)
def test_stems_of_code_and_prose(text, found):
    assert stems(text) == found


texts = st.lists(st.text(max_size=30), max_size=6)


@given(
    st.lists(st.tuples(st.text(max_size=30), st.lists(st.text(max_size=20))), max_size=6),
    texts,
    texts,
)
def test_every_item_has_one_place_and_scores_fall(items, complaints, others):
    ranked = rank(items, complaints, others, likeness=None)
    assert sorted(s.index for s in ranked) == list(range(len(items)))
    scores = [s.score for s in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= s <= 1.0 + 1e-9 for s in scores)
