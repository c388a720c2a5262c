"""Few texts are grouped by their pairs: cautiously without answers, by agreement with them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.domain.review import PairAnswer
from closeloop.stats.pairwise import (
    JUDGE_WEIGHT,
    MAX_ASKED,
    PERSON_WEIGHT,
    Evidence,
    joined,
    log_odds,
    to_ask,
)

SURE, DOUBT, NEVER = 4.0, -1.0, -20.0


def _evidence(texts: int, **pairs: float) -> Evidence:
    """Pairs are given as p01=…; all others are strangers."""
    alike = np.full((texts, texts), NEVER)
    for name, odds in pairs.items():
        one, other = int(name[1]), int(name[2])
        alike[one, other] = alike[other, one] = odds
    return Evidence(alike)


def _alone(texts: int) -> np.ndarray:
    return np.full(texts, -1, np.int64)


def _sets(groups: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == g).tolist()) for g in np.unique(groups)}


def _vectors(texts: int, *, pairs: int = 0, seed: int = 1) -> np.ndarray:
    """Return random directions of length 1, of which the first ones come in pairs."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(texts, 64))
    drawn[1 : 2 * pairs : 2] = drawn[: 2 * pairs : 2] + 0.3 * rng.normal(size=(pairs, 64))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_pairs_of_one_issue_have_good_odds_and_strangers_bad_ones() -> None:
    odds = log_odds(_vectors(60, pairs=10))
    assert all(odds[i, i + 1] > 3 for i in range(0, 20, 2))
    assert np.median(odds) < -5
    assert np.allclose(odds, odds.T)


def test_the_unit_does_not_depend_on_how_many_pairs_are_of_one_issue() -> None:
    none, many = log_odds(_vectors(60)), log_odds(_vectors(60, pairs=25))
    assert np.allclose(none[50:, 50:], many[50:, 50:], atol=1.5)


def test_the_odds_fall_as_the_texts_grow() -> None:
    few, many = log_odds(_vectors(50)), log_odds(_vectors(400))
    assert np.median(many) < np.median(few) - 1


def test_likeness_alone_joins_what_is_more_likely_one_than_not() -> None:
    evidence = _evidence(4, p01=SURE, p23=DOUBT)
    assert _sets(joined(evidence, _alone(4))) == {frozenset({0, 1}), frozenset({2}), frozenset({3})}


def test_one_close_pair_does_not_chain_two_groups() -> None:
    evidence = _evidence(4, p01=SURE, p23=SURE, p12=SURE - 0.1)
    assert _sets(joined(evidence, _alone(4))) == {frozenset({0, 1}), frozenset({2, 3})}


def test_an_answer_joins_what_is_doubtful_and_parts_what_is_likely() -> None:
    evidence = _evidence(4, p01=0.1, p23=0.1)
    evidence.add((0, 1), PairAnswer.SAME, weight=JUDGE_WEIGHT)
    evidence.add((2, 3), PairAnswer.DIFFERENT, weight=JUDGE_WEIGHT)
    assert _sets(joined(evidence, _alone(4))) == {frozenset({0, 1}), frozenset({2}), frozenset({3})}


def test_one_answer_alone_joins_no_unlikely_pair_but_a_person_is_believed() -> None:
    evidence = _evidence(2, p01=-2.0)
    evidence.add((0, 1), PairAnswer.SAME, weight=JUDGE_WEIGHT)
    assert len(_sets(joined(evidence, _alone(2)))) == 2
    evidence = _evidence(2, p01=-2.0)
    evidence.add((0, 1), PairAnswer.SAME, weight=PERSON_WEIGHT)
    assert len(_sets(joined(evidence, _alone(2)))) == 1


def test_a_person_outweighs_the_judge() -> None:
    evidence = _evidence(2, p01=1.0)
    evidence.add((0, 1), PairAnswer.SAME, weight=JUDGE_WEIGHT)
    evidence.add((0, 1), PairAnswer.DIFFERENT, weight=PERSON_WEIGHT)
    assert len(_sets(joined(evidence, _alone(2)))) == 2


def test_the_majority_of_answers_between_groups_decides() -> None:
    evidence = _evidence(4, p01=SURE, p02=DOUBT, p12=DOUBT, p03=DOUBT, p13=DOUBT, p23=SURE)
    evidence.add((0, 2), PairAnswer.DIFFERENT, weight=JUDGE_WEIGHT)
    for pair in ((0, 3), (1, 2), (1, 3)):
        assert len(_sets(joined(evidence, _alone(4)))) == 2
        evidence.add(pair, PairAnswer.SAME, weight=JUDGE_WEIGHT)
    assert len(_sets(joined(evidence, _alone(4)))) == 1


def test_themes_keep_their_texts_and_numbers_and_are_never_joined() -> None:
    evidence = _evidence(4, p01=SURE, p12=SURE, p02=SURE, p03=SURE)
    themes = np.array([0, 1, -1, -1])
    groups = joined(evidence, themes)
    assert groups[0] == 0
    assert groups[1] == 1
    assert groups[2] in (0, 1)


def test_only_what_answers_can_change_is_asked_likeliest_first() -> None:
    evidence = _evidence(6, p01=SURE, p23=0.5, p45=1.5)
    assert to_ask(evidence, _alone(6), limit=9) == [(4, 5), (2, 3)]
    assert to_ask(evidence, _alone(6), limit=1) == [(4, 5)]
    evidence.add((2, 3), PairAnswer.UNSURE, weight=JUDGE_WEIGHT)
    assert to_ask(evidence, _alone(6), limit=9) == [(4, 5)], "no pair is asked about twice"


def test_two_groups_are_asked_about_a_few_times_at_most() -> None:
    half = range(6)
    alike = np.full((12, 12), 0.5)
    for one, other in itertools.product(half, half):
        alike[one, other] = alike[6 + one, 6 + other] = 9.0
    evidence = Evidence(alike)
    asked = 0
    while pairs := to_ask(evidence, _alone(12), limit=9):
        for pair in pairs:
            evidence.add(pair, PairAnswer.UNSURE, weight=JUDGE_WEIGHT)
            asked += 1
    assert asked == MAX_ASKED


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(0, 3))
def test_the_order_of_texts_changes_nothing_and_every_text_has_a_group(
    seed: int, texts: int, themes: int
) -> None:
    rng = np.random.default_rng(seed)
    alike = rng.normal(0, 3, (texts, texts))
    alike = (alike + alike.T) / 2
    start = np.where(np.arange(texts) < min(themes, texts), np.arange(texts), -1)
    order = rng.permutation(texts)
    groups = joined(Evidence(alike), start)
    turned = joined(Evidence(alike[np.ix_(order, order)]), start[order])
    assert len(groups) == texts
    assert _sets(groups[order]) == _sets(turned)
    assert (groups[start >= 0] == start[start >= 0]).all()


@pytest.mark.parametrize("texts", [0, 1])
def test_none_or_one_text_is_no_trouble(texts: int) -> None:
    evidence = Evidence(np.zeros((texts, texts)))
    assert len(joined(evidence, _alone(texts))) == texts
    assert to_ask(evidence, _alone(texts), limit=3) == []
    assert log_odds(np.ones((texts, 4), np.float32)).shape == (texts, texts)
