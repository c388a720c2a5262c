"""The geometry of themes: exact neighbours, sums that tell all, seeds among what waits."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.stats import themes


def _around(centres: int, each: int, *, spread: float = 0.25, seed: int = 5) -> np.ndarray:
    draw = np.random.default_rng(seed)
    middle = draw.normal(size=(centres, 32))
    points = np.repeat(middle, each, axis=0) + spread * draw.normal(size=(centres * each, 32))
    points = points + 3.0 * np.ones(32)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / lengths, np.float32)


def test_the_frame_centres_and_scores_random_pairs_near_zero() -> None:
    vectors = _around(12, 40)
    frame = themes.fit_frame(vectors, seed=1)
    centred = frame.centred(vectors)
    assert np.allclose(np.linalg.norm(centred, axis=1), 1.0, atol=1e-5)
    draw = np.random.default_rng(9)
    one, other = draw.integers(0, len(vectors), (2, 4_000))
    scores = frame.scores(np.einsum("ij,ij->i", centred[one], centred[other]))
    assert abs(np.median(scores)) < 0.2


def test_neighbours_are_exact_also_where_a_sample_chooses_them() -> None:
    draw = np.random.default_rng(2)
    vectors = draw.normal(size=(1_500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Copies side by side mislead the sample: these rows take the long way.
    vectors[::16] = vectors[0]
    places, cosines = themes.nearest(vectors, count=10)
    every = vectors @ vectors.T
    np.fill_diagonal(every, -np.inf)
    expected = np.sort(every, axis=1)[:, -10:]
    assert np.allclose(np.sort(cosines, axis=1), expected, atol=1e-6)
    assert not (places == np.arange(len(vectors))[:, None]).any()


def test_bootstrap_finds_planted_groups() -> None:
    vectors = _around(8, 25)
    frame = themes.fit_frame(vectors, seed=1)
    groups = themes.bootstrap(frame.centred(vectors), seed=1, resolution=1.0)
    truth = np.repeat(np.arange(8), 25)
    for number in set(groups.tolist()):
        assert len(set(truth[groups == number].tolist())) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=2, max_size=40), st.integers(0, 99))
def test_sums_give_the_exact_mean_cosines(labels: list[int], seed: int) -> None:
    groups = np.array(labels)
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(len(groups), 6))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    sums, sizes = themes.sums_of(vectors, groups, count=5)
    found = themes.mean_cosine_between(sums, sizes)
    for one in range(5):
        for other in range(5):
            mine, theirs = np.flatnonzero(groups == one), np.flatnonzero(groups == other)
            pairs = [float(vectors[i] @ vectors[j]) for i in mine for j in theirs if i != j]
            if pairs:
                assert abs(found[one, other] - np.mean(pairs)) < 1e-4


def test_nearest_and_second_centre() -> None:
    centres = np.eye(3, dtype=np.float32)
    place, first, second = themes.best_two(
        np.array([[0.8, 0.6, 0.0], [0.0, 0.0, 1.0]], np.float32), centres
    )
    assert place.tolist() == [0, 2]
    assert np.allclose(first, [0.8, 1.0])
    assert np.allclose(second, [0.6, 0.0])
    own, following = themes.own_and_next(
        np.array([[0.8, 0.6, 0.0]], np.float32), centres, np.array([1])
    )
    assert np.allclose((own, following), ([0.6], [0.8]))


def test_one_centre_has_no_second() -> None:
    _, _, second = themes.best_two(np.eye(2, dtype=np.float32), np.eye(1, 2, dtype=np.float32))
    assert second.tolist() == [-1.0, -1.0]


def test_seeds_need_enough_close_members() -> None:
    base = np.eye(4, dtype=np.float32)
    close = base[[0, 0, 0, 1, 1, 2]]
    assert themes.seeds(close, least_cosine=0.9, members=3).tolist() == [0, 0, 0, -1, -1, -1]
    assert themes.seeds(close, least_cosine=0.9, members=2).tolist() == [0, 0, 0, 1, 1, -1]
    assert themes.seeds(close[:2], least_cosine=0.9, members=3).tolist() == [-1, -1]


def test_representatives_are_central_and_no_text_stands_twice() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.9, 0.436], [0, 1], [0.1, 0.995]], np.float32)
    centres = np.array([[1, 0], [0, 1]], np.float32)
    ids = np.array(["a", "b", "c", "d", "e"], object)
    found = themes.representatives(vectors, np.array([0, 0, 0, 1, 1]), centres, ids)
    assert found == [["a", "c"], ["d", "e"]] or found == [["a", "c"], ["d"]]
    assert "b" not in found[0]
