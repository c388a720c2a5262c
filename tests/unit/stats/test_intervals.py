"""Intervals hold the figure that they are of, and shrink as they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.agreement import group_agreement
from closeloop.stats.intervals import (
    FEWEST_DRAWS,
    MOST_DRAWS,
    Interval,
    bootstrap,
    draws_of,
    halves,
    unless_certain,
    wilson,
)


def test_wilson_of_known_cases() -> None:
    # Worked out from the formula with z = 1.959964: 8 of 10 and 0 of 20.
    assert wilson(8, 10).low == pytest.approx(0.490162, abs=1e-5)
    assert wilson(8, 10).high == pytest.approx(0.943318, abs=1e-5)
    assert wilson(0, 20).low == 0.0
    assert wilson(0, 20).high == pytest.approx(3.841459 / 23.841459, abs=1e-6)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_holds_its_share_and_narrows(hits: int, more: int) -> None:
    count = hits + more
    one = wilson(hits, count)
    assert 0 <= one.low <= hits / count <= one.high <= 1
    tenfold = wilson(10 * hits, 10 * count)
    assert tenfold.high - tenfold.low < one.high - one.low


def test_wilson_covers_the_true_share() -> None:
    draw = np.random.default_rng(3)
    held = [(w := wilson(h, 40)).low <= 0.3 <= w.high for h in draw.binomial(40, 0.3, 2_000)]
    assert 0.93 <= np.mean(held) <= 0.98


def test_bootstrap_agrees_with_theory_for_a_mean() -> None:
    values = np.random.default_rng(5).normal(2.0, 1.0, 400)
    (interval,) = bootstrap(400, lambda rows: values[rows].mean()[None], seed=1)
    reach = 1.96 * values.std() / np.sqrt(400)
    assert interval.low == pytest.approx(values.mean() - reach, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + reach, abs=0.02)


def test_draws_are_repeatable_counted_and_may_be_undefined() -> None:
    seen: list[int] = []
    twice = [
        bootstrap(50, lambda rows: np.array([rows.mean(), np.nan]), seed=9, on_draw=seen.append)
        for _ in range(2)
    ]
    assert twice[0][0] == twice[1][0]
    assert np.isnan(twice[0][1].low)
    assert len(seen) == 2 * draws_of(50)
    assert (draws_of(0), draws_of(10**8)) == (MOST_DRAWS, FEWEST_DRAWS)


def test_halves_are_as_wide_as_new_samples_vary() -> None:
    def sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(seed)
        truth = draw.integers(0, 5, 600)
        return truth, np.where(draw.random(600) < 0.7, truth, draw.integers(0, 5, 600))

    def measure(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
        return np.array([group_agreement(truth, found).adjusted_rand])

    spread = np.std([measure(*sample(seed))[0] for seed in range(200)])
    truth, found = sample(1_000)
    (interval,) = halves(600, lambda rows: measure(truth[rows], found[rows]), seed=1)
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(spread, rel=0.35)
    assert interval.low < measure(truth, found)[0] < interval.high


def test_what_was_never_wrong_is_not_certain() -> None:
    assert unless_certain(Interval(1.0, 1.0), 20, 20) == wilson(20, 20)
    assert unless_certain(Interval(0.8, 0.9), 17, 20) == Interval(0.8, 0.9)
