"""The evidence: an e-value, its gate against surges, and e-BH."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import betabinom

from closeloop.stats.evidence import (
    GAPS_H,
    WINDOWS_H,
    beta_binomial_tail,
    e_bh,
    strength,
    surge_factor,
    surge_gate,
    window_terms,
)


@pytest.mark.parametrize("width", WINDOWS_H)
def test_a_term_is_its_gap_on_average_where_nothing_happens(width):
    # LR is a Bayes factor: under the baseline's own predictive its mean is 1.
    rng = np.random.default_rng(3)
    mean, shape, phi, exposure = 3.0, 40.0, 0.1, width / 24
    a = 1.0 / (1.0 / shape + phi / np.sqrt(max(1.0, width / 24)))
    draws = 200_000
    counts = rng.poisson(rng.gamma(a, mean / a, draws) * exposure).astype(float)
    full = np.full(draws, 1.0)
    logs = window_terms(
        counts, full * exposure, mean=full * mean, shape=full * shape, phi=full * phi, width=width
    )
    # The mean of a heavy tail: few draws carry much, so it is bounded rather than met.
    assert np.exp(logs).mean() < 1.3 * GAPS_H[WINDOWS_H.index(width)]


def test_gaps_span_the_longest_window():
    assert sum(GAPS_H) == WINDOWS_H[-1]


def test_more_complaints_are_more_evidence():
    counts = np.arange(3.0, 30.0)
    one = np.ones_like(counts)
    logs = window_terms(counts, one, mean=one, shape=20 * one, phi=0.1 * one, width=24)
    assert (np.diff(logs) > 0).all()


def test_a_surge_of_all_else_takes_evidence_away():
    assert surge_factor(np.array([100.0]), np.array([9.0]))[0] == pytest.approx(117 / 29)
    assert surge_factor(np.array([103.0]), np.array([100.0]))[0] == 1.0
    assert surge_factor(np.array([1.0]), np.array([50.0]))[0] == 1.0


def test_gate_lets_pass_what_stands_out_and_holds_what_rose_alike():
    count, total = np.array([18.0, 18.0]), np.array([20.0, 180.0])
    shape = np.array([40.0, 40.0])
    passed = surge_gate(count, total, np.array([0.1, 0.1]), shape=shape)
    assert passed.tolist() == [True, False]


def test_gate_lets_a_rare_series_pass_that_stands_out():
    # Four of 418 where one in a thousand is usual: ten times as many, if the share is well known.
    count, total, share = np.full(2, 4.0), np.full(2, 418.0), np.full(2, 0.001)
    assert surge_gate(count, total, share, shape=np.array([40.0, 0.5])).tolist() == [True, False]


def test_gate_lets_pass_what_nothing_can_be_compared_with():
    """A queue of one category; not where praise that never came before surges with it."""
    count, total, share = np.full(2, 50.0), np.array([52.0, 150.0]), np.array([1.0, 0.95])
    assert surge_gate(count, total, share, shape=np.full(2, 300.0)).tolist() == [True, False]


@given(st.integers(0, 3_000), st.floats(0, 1), st.floats(0.01, 3_000), st.floats(0.01, 3_000))
def test_beta_binomial_tail_is_scipys(n, part, a, b):
    k = round(part * (n + 1))
    # Scipy's tail is 1 less a sum, so a small one is known to so many decimals only.
    assert beta_binomial_tail(k, n, a, b) == pytest.approx(
        float(betabinom.sf(k - 1, n, a, b)), rel=1e-9, abs=1e-10
    )


@given(st.integers(0, 400), st.floats(0, 1), st.floats(0.01, 300), st.floats(0.01, 300))
def test_a_small_beta_binomial_tail_is_the_sum_of_scipys_probabilities(n, part, a, b):
    k = round(part * (n + 1))
    summed = float(betabinom.pmf(np.arange(k, n + 1), n, a, b).sum())
    assert beta_binomial_tail(k, n, a, b) == pytest.approx(summed, rel=1e-9, abs=1e-300)


@example(1_400_000, 0.01, 99.0)
@given(st.integers(1, 2_000_000), st.floats(0, 1), st.floats(0.05, 200))
def test_beta_binomial_tail_of_millions_is_exact(n, part, b):
    # With a = 1, P(X >= k) is the product of (n - j) / (n - j + b) over j < k.
    k = round(part * n)
    exact = np.exp(-np.log1p(b / (n - np.arange(k, dtype=float))).sum())
    assert beta_binomial_tail(k, n, 1.0, b) == pytest.approx(exact, rel=1e-9, abs=1e-300)


@given(
    st.integers(1, 2_000_000), st.floats(0.001, 0.999), st.floats(0.01, 1e4), st.floats(0.01, 1e4)
)
def test_both_tails_of_a_beta_binomial_make_one(n, part, a, b):
    k = max(1, round(part * n))
    here, there = beta_binomial_tail(k, n, a, b), beta_binomial_tail(n - k + 1, n, b, a)
    assert here + there == pytest.approx(1.0, abs=1e-12)


def test_e_bh_asks_more_of_one_than_of_each_of_many():
    q, family = 0.1, 50
    assert not e_bh(np.array([300.0]), family=family, q=q).any()
    assert e_bh(np.array([300.0, 300.0]), family=family, q=q).all()
    assert e_bh(np.array([500.0]), family=family, q=q).all()


@given(st.lists(st.floats(0, 1e6), max_size=30), st.integers(1, 100))
def test_e_bh_rejects_the_largest(values, family):
    passed = e_bh(np.asarray(values, dtype=float), family=family, q=0.1)
    kept = [v for v, p in zip(values, passed, strict=True) if not p]
    assert all(v >= max(kept, default=0.0) for v, p in zip(values, passed, strict=True) if p)


def test_strength_is_the_left_side_of_the_limit_formula() -> None:
    """Y (ln rho - 1 + 1/rho): 20 where 5 are usual."""
    assert strength(20, 5.0) == pytest.approx(20 * (np.log(4.0) - 1 + 0.25))
    assert strength(5, 5.0) == strength(3, 5.0) == 0.0
    assert strength(5, 0.0) == strength(5, 0.5)


@given(count=st.integers(1, 500), expected=st.floats(0.5, 100.0))
def test_strength_grows_with_what_came_and_falls_with_what_is_usual(
    count: int, expected: float
) -> None:
    assert strength(count + 1, expected) >= strength(count, expected) >= 0.0
    assert strength(count, expected) >= strength(count, expected + 1.0)
