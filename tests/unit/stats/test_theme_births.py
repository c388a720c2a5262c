"""What is new within a theme: alike, at its edge, and late; kept where its share has risen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.theme_births import edge_of, has_surged, late_groups


def _around(direction: int, count: int, *, spread: float, seed: int = 3) -> np.ndarray:
    middle = np.zeros(24)
    middle[direction] = 1.0
    points = middle + spread * np.random.default_rng([seed, direction]).normal(size=(count, 24))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("size", [3, 10, 200])
def test_the_edge_is_that_of_texts_which_are_not_in_the_sum(size: int) -> None:
    gaps = []
    for seed in range(40):
        members = _around(0, size, spread=0.2, seed=seed)
        sums = members.astype(np.float64).sum(axis=0, keepdims=True)
        centre = sums[0] / np.linalg.norm(sums[0])
        further = _around(0, 200, spread=0.2, seed=seed + 1_000) @ centre
        gaps.append(float(edge_of(sums, np.array([size]))[0] - further.mean()))
    assert abs(np.mean(gaps)) < 0.02


def _edge_texts(late: int, early: int) -> tuple[np.ndarray, np.ndarray]:
    """Return strangers with like texts at the front and at the end; the like ones at the end are new."""
    strangers = np.random.default_rng(1).normal(size=(60, 24))
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    like = _around(0, early + late, spread=0.02)
    rows = np.concatenate([like[:early], strangers, like[early:]]).astype(np.float32)
    fresh = np.zeros(len(rows), np.bool_)
    fresh[len(rows) - late :] = True
    return rows, fresh


def test_like_texts_that_came_late_are_a_group() -> None:
    rows, fresh = _edge_texts(late=3, early=0)
    groups = late_groups(rows, fresh, least_cosine=0.9, members=3)
    assert groups[-3:].tolist() == [0, 0, 0]
    assert set(groups[:-3].tolist()) == {-1}


def test_like_texts_that_always_came_are_none() -> None:
    rows, fresh = _edge_texts(late=3, early=3)
    assert set(late_groups(rows, fresh, least_cosine=0.9, members=3).tolist()) == {-1}


def test_without_earlier_texts_nothing_is_late() -> None:
    rows = _around(0, 5, spread=0.02)
    assert set(late_groups(rows, np.ones(5, np.bool_), least_cosine=0.9, members=3).tolist()) == {
        -1
    }


def test_only_fresh_texts_found_a_group() -> None:
    rows, fresh = _edge_texts(late=4, early=0)
    none = np.zeros(len(rows), np.bool_)
    assert set(late_groups(rows, none, least_cosine=0.9, members=3).tolist()) == {-1}
    fresh[:-1] = False
    assert (late_groups(rows, fresh, least_cosine=0.9, members=3) == 0).sum() == 4


def test_a_share_that_rose_has_surged_and_one_that_stayed_has_not() -> None:
    assert has_surged(before=1, texts_before=200, after=20, texts_after=60)
    assert not has_surged(before=10, texts_before=100, after=10, texts_after=100)
    assert not has_surged(before=0, texts_before=0, after=30, texts_after=60)
    assert not has_surged(before=0, texts_before=500, after=0, texts_after=60)


@given(st.integers(0, 40), st.integers(1, 40), st.integers(40, 400), st.integers(40, 400))
def test_more_texts_since_never_speak_against_it(
    before: int, after: int, texts_before: int, texts_after: int
) -> None:
    one = has_surged(before=before, texts_before=texts_before, after=after, texts_after=texts_after)
    more = has_surged(
        before=before, texts_before=texts_before, after=after + 1, texts_after=texts_after
    )
    assert more or not one
