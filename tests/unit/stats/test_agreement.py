"""Agreement measures against values worked out by hand, and what must hold of them always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.agreement import (
    alone,
    class_scores,
    confusion,
    group_agreement,
    macro_f1,
    pair_agreement,
)

GROUPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40)


def _two(items: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(items, np.int64)
    return both[:, 0], both[:, 1]


def test_a_known_case() -> None:
    # Labels aaabbb, groups 001122. H(label) = ln 2; H(label | group) = 1/3 ln 2, so homogeneity is
    # 2/3; H(group) = ln 3, H(group | label) = H(2/3, 1/3) = .636514, completeness 1 - .579380.
    measured = group_agreement(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2]))
    assert measured.homogeneity == pytest.approx(2 / 3)
    assert measured.completeness == pytest.approx(0.420620, abs=1e-6)
    assert measured.v_measure == pytest.approx(2 * (2 / 3) * 0.42062 / (2 / 3 + 0.42062), abs=1e-6)
    # Pairs together: 2 in both; 6 by label, 3 by group of 15: chance 1.2, most 4.5.
    assert measured.adjusted_rand == pytest.approx((2 - 1.2) / (4.5 - 1.2))


def test_one_group_for_all_and_all_alone() -> None:
    truth = np.array([0, 0, 1, 1])
    together = group_agreement(truth, np.zeros(4, np.int64))
    assert (together.homogeneity, together.completeness) == (0.0, 1.0)
    assert (together.v_measure, together.adjusted_rand) == (0.0, 0.0)
    apart = group_agreement(truth, np.arange(4))
    assert apart.homogeneity == pytest.approx(1.0)
    assert apart.completeness == pytest.approx(0.5)
    assert apart.adjusted_rand == 0.0


@given(GROUPS)
def test_agreement_is_bounded_and_does_not_depend_on_names(items: list[tuple[int, int]]) -> None:
    truth, found = _two(items)
    measured = group_agreement(truth, found)
    assert -1e-9 <= measured.homogeneity <= 1 + 1e-9
    assert -1e-9 <= measured.completeness <= 1 + 1e-9
    assert -1 <= measured.adjusted_rand <= 1 + 1e-9
    renamed = group_agreement(truth, 5 - found)
    assert renamed.v_measure == pytest.approx(measured.v_measure)
    assert renamed.adjusted_rand == pytest.approx(measured.adjusted_rand)
    turned = group_agreement(found, truth)
    assert turned.homogeneity == pytest.approx(measured.completeness)
    assert turned.adjusted_rand == pytest.approx(measured.adjusted_rand)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_a_grouping_agrees_wholly_with_itself(groups: list[int]) -> None:
    measured = group_agreement(np.array(groups), np.array(groups))
    assert measured.v_measure == pytest.approx(1.0)
    assert measured.adjusted_rand == pytest.approx(1.0)


def test_items_without_a_group_stand_alone() -> None:
    assert alone(np.array([1, -1, 0, -1])).tolist() == [1, 2, 0, 3]
    assert alone(np.array([-1, -1])).tolist() == [0, 1]


def test_class_scores_of_a_known_matrix() -> None:
    counts = confusion(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2]), classes=3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    scores = class_scores(counts)
    assert scores.precision.tolist() == [1.0, 0.5, 0.0]
    assert scores.recall[:2].tolist() == pytest.approx([2 / 3, 0.5])
    assert np.isnan(scores.recall[2])
    # A class without items is no class to be averaged over: (.8 + .5) / 2.
    assert macro_f1(counts) == pytest.approx((0.8 + 0.5) / 2)


def _listed(truth: np.ndarray, found: np.ndarray) -> tuple[int, int, int]:
    right = wrong = missed = 0
    for i in range(len(truth)):
        for j in range(i):
            labelled, told = truth[i] == truth[j], found[i] == found[j]
            right += labelled and told
            wrong += told and not labelled
            missed += labelled and not told
    return right, wrong, missed


@given(GROUPS)
def test_pairs_are_those_that_a_loop_would_count(items: list[tuple[int, int]]) -> None:
    truth, found = _two(items)
    pairs = pair_agreement(truth, found)
    assert (pairs.right.sum(), pairs.wrong.sum(), pairs.missed.sum()) == _listed(truth, found)
    assert 0 <= pairs.precision() <= 1
    assert 0 <= pairs.recall() <= 1


def test_precision_and_recall_of_pairs() -> None:
    # Labels aabb, groups 0001: the pair 0-1 is right, 0-2 and 1-2 are wrong, 2-3 is missed.
    pairs = pair_agreement(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    assert pairs.precision() == pytest.approx(1 / 3)
    assert pairs.recall() == pytest.approx(1 / 2)
    assert pairs.recall(np.array([2, 1])) == pytest.approx(2 / 3)
    nothing = pair_agreement(np.arange(3), np.arange(3))
    assert (nothing.precision(), nothing.recall()) == (1.0, 1.0)
