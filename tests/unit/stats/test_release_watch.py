"""The release watch: its e-value, and when it has to be silent."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.release_watch import (
    RAISE_AT,
    begins_at,
    capped,
    release_evidence,
    stars_are_whole,
    without_worst_day,
)


def test_a_bad_version_is_raised_after_few_reviews():
    n = np.arange(1, 16)
    evidence = release_evidence(n, n, low_before=80, count_before=240)
    assert evidence[0] < RAISE_AT < evidence[-1]
    assert (np.diff(evidence) > 0).all()


def test_a_usual_version_is_seldom_raised():
    # Ville: the largest of all looks reaches 20 with probability 1/20 at most.
    rng = np.random.default_rng(7)
    raised = 0
    for _ in range(400):
        share = rng.beta(40, 60)
        low = (rng.random(80) < share).cumsum()
        raised += (
            release_evidence(low, np.arange(1, 81), low_before=40, count_before=100).max()
            >= RAISE_AT
        )
    assert raised <= 400 / RAISE_AT


def begins(*days: float, others_a_day: int = 10) -> float:
    """Return on which day a version with reviews on these days begins."""
    own = np.array([round(day * 24) for day in days], dtype=np.int64)
    others = np.arange(0, 200 * 24, 24 / others_a_day).astype(np.int64)
    return begins_at(own, np.sort(np.concatenate([own, others]))) / 24


def test_a_version_begins_with_its_first_week_of_three_reviews():
    assert begins(90, 90.5, 91, 92) == 90
    assert begins(55, 90, 90.5, 91, 92) == 90
    assert begins(55, 70, 90, 90.5, 91, 92) == 90
    # Too few ever, too few among a hundred times as many, or of an old version: as ever.
    assert begins(55, 70, 90) == 55
    assert begins(55, 60, 60.5, 61, others_a_day=100) == 55
    assert begins(10, 190, 190.5, 191) == 10


@given(st.lists(st.integers(0, 60 * 24), min_size=3, max_size=40))
def test_when_a_version_began_is_not_told_otherwise_by_later_reviews(own):
    hours = np.sort(np.array(own, dtype=np.int64))
    known = [begins_at(hours[:n], hours[:n]) for n in range(1, len(hours) + 1)]
    moved = [a for a, b in pairwise(known) if a != b]
    assert len(moved) <= 1
    assert moved in ([], [int(hours[0])])


def test_one_bad_day_is_left_out():
    low = np.array([1, 0, 1, 1, 1, 1, 0], dtype=bool)
    days = np.array([5, 5, 5, 7, 7, 7, 9])
    low_rest, count_rest = without_worst_day(low, days)
    assert low_rest.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert count_rest.tolist() == [0, 0, 0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=40))
def test_the_worst_day_is_the_first_with_most_low_reviews_so_far(reviews):
    low = np.array([is_low for is_low, _ in reviews], dtype=bool)
    days = 7 + np.cumsum([gap for _, gap in reviews], dtype=np.int64)
    low_rest, count_rest = without_worst_day(low, days)
    for look in range(len(low)):
        seen = days[: look + 1]
        worst = max(sorted(set(seen.tolist())), key=lambda d: low[: look + 1][seen == d].sum())
        left = seen != worst
        assert low_rest[look] == low[: look + 1][left].sum()
        assert count_rest[look] == left.sum()


def test_many_reviews_take_little_memory():
    """A version of 60,000 reviews over a month; [looks, days] alone would take 14 MB and more."""
    rng = np.random.default_rng(10)
    low, days = rng.random(60_000) < 0.1, np.sort(rng.integers(0, 30, 60_000))
    tracemalloc.start()
    evidence = release_evidence(*without_worst_day(low, days), low_before=200, count_before=2_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(evidence) == 60_000
    assert peak < 40e6


@pytest.mark.parametrize("missing", [1.0, 5.0])
def test_missing_stars_make_it_not_applicable(missing):
    rng = np.random.default_rng(8)
    rating = rng.integers(1, 6, 600).astype(float)
    days_ago = rng.integers(1, 90, 600)
    assert stars_are_whole(rating, days_ago)
    kept = rating != missing
    assert not stars_are_whole(rating[kept], days_ago[kept])


def test_only_low_ratings_say_nothing_even_when_few():
    assert not stars_are_whole(np.full(60, 1.0), np.arange(60))


def test_a_cap_is_told_from_peoples_counts():
    rng = np.random.default_rng(9)
    assert capped(np.full(45, 20.0))
    assert not capped(rng.poisson(20.0, 45).astype(float))
    assert not capped(np.full(45, 1.0))
