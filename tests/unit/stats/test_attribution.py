"""Odds at the same time, the time of a rise, and concentration in a segment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact, nchypergeom_fisher

from closeloop.stats.change_point import (
    PRIOR_NONE,
    WINDOW_H,
    candidate_likelihood,
    none_likelihood,
    posterior,
)
from closeloop.stats.odds import odds_ratio
from closeloop.stats.segments import concentration


def test_odds_ratio_is_haldanes():
    ratio = odds_ratio(exposed_complaints=10, exposed=20, unexposed_complaints=5, unexposed=40)
    assert ratio.ratio == pytest.approx((10.5 * 35.5) / (10.5 * 5.5))
    assert ratio.low < ratio.ratio < ratio.high
    assert ratio.enough


def test_bayes_factor_speaks_for_a_large_ratio_and_against_none():
    large = odds_ratio(exposed_complaints=60, exposed=100, unexposed_complaints=20, unexposed=100)
    none = odds_ratio(exposed_complaints=30, exposed=100, unexposed_complaints=30, unexposed=100)
    assert large.bayes_factor > 10
    assert none.bayes_factor < 0.5


def test_bayes_factor_is_exact_where_the_other_side_has_no_complaint():
    ratio = odds_ratio(exposed_complaints=16, exposed=108, unexposed_complaints=0, unexposed=47)
    assert ratio.bayes_factor == pytest.approx(45.1, abs=0.1)


def test_bayes_factor_matches_the_hypergeometric_distribution():
    exposed, unexposed, complaints, own = 12, 20, 6, 5
    deviates = np.linspace(-3.0, 3.0, 61)
    weights = np.exp(-0.5 * deviates**2) / np.exp(-0.5 * deviates**2).sum()

    def likelihood(log_odds: np.ndarray) -> float:
        odds = np.exp(log_odds)
        shares = [
            nchypergeom_fisher.pmf(own, exposed + unexposed, exposed, complaints, o) for o in odds
        ]
        return float(np.dot(weights, shares))

    ratio = odds_ratio(
        exposed_complaints=own,
        exposed=exposed,
        unexposed_complaints=complaints - own,
        unexposed=unexposed,
    )
    harm = np.maximum(np.log(3.0) + 0.7 * deviates, 0.0)
    expected = likelihood(harm) / likelihood(0.2 * deviates)
    assert ratio.bayes_factor == pytest.approx(expected, rel=1e-6)


def test_users_who_complain_less_clear_a_change():
    ratio = odds_ratio(exposed_complaints=40, exposed=80, unexposed_complaints=40, unexposed=40)
    assert ratio.bayes_factor < 0.1
    assert ratio.chance > 0.99


@pytest.mark.parametrize("own", [13, 9, 0])
def test_chance_is_fishers(own):
    ratio = odds_ratio(
        exposed_complaints=own, exposed=37, unexposed_complaints=13 - own, unexposed=17
    )
    exact = fisher_exact([[own, 37 - own], [13 - own, 4 + own]], alternative="greater").pvalue
    assert ratio.chance == pytest.approx(exact)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_bayes_factor_says_nothing_where_all_or_none_complain(share):
    ratio = odds_ratio(
        exposed_complaints=int(40 * share),
        exposed=40,
        unexposed_complaints=int(30 * share),
        unexposed=30,
    )
    assert ratio.bayes_factor == pytest.approx(1.0)


def test_fifteen_a_side_are_not_enough():
    ratio = odds_ratio(exposed_complaints=9, exposed=15, unexposed_complaints=9, unexposed=90)
    assert not ratio.enough


def rise(at: int, *, size: float = 12.0, rate: float = 0.3, seed: int = 0):
    """(complaints, expected) of 240 hours with a rise from an hour on, as a rollout has it."""
    rng = np.random.default_rng(seed)
    expected = np.full(WINDOW_H, rate)
    ramp = 1.0 - np.exp(-np.maximum(np.arange(WINDOW_H) - at, 0.0) / 12.0)
    mean = expected * (1.0 + (size - 1.0) * ramp)
    return rng.poisson(mean).astype(float), expected


def share_of(start: float, *, at: int, seed: int = 0, end: float | None = None) -> float:
    counts, expected = rise(at, seed=seed)
    none = np.log(PRIOR_NONE) + none_likelihood(counts, expected, 0.1)
    own = np.log(1 - PRIOR_NONE) + candidate_likelihood(counts, expected, start, 0.1, end_h=end)
    return posterior([none, own])[1]


def test_a_change_at_the_right_time_gains_and_at_the_wrong_time_loses():
    right = [share_of(190, at=190, seed=seed) for seed in range(10)]
    assert min(right) > 0.4
    assert share_of(60, at=190) < 0.05
    assert share_of(235, at=190) < 0.05


def test_a_change_that_had_ended_is_not_behind_a_later_rise():
    assert share_of(190, at=200, end=199) < 0.05


@given(st.lists(st.floats(-700, 0), min_size=1, max_size=8))
def test_a_posterior_sums_to_one(logs):
    shares = posterior(logs)
    assert sum(shares) == pytest.approx(1.0)
    assert all(0.0 <= s <= 1.0 for s in shares)


def test_concentration_is_said_with_its_figures():
    found = concentration("region", ["IN"] * 40 + ["DE"] * 3, ["IN", "DE"] * 100)
    assert found is not None
    assert (found.value, found.count, found.total) == ("IN", 40, 43)
    assert str(found) == "region=IN: 40 of 43 (93%, usually 50%)"


@pytest.mark.parametrize(
    ("values", "usual"),
    [
        (["IN"] * 4, ["IN", "DE"] * 100),
        (["IN"] * 45 + ["DE"] * 5, ["IN"] * 90 + ["DE"] * 10),
        (["IN"] * 20 + ["DE"] * 30, ["DE"] * 100),
        ([None] * 50, ["IN"] * 50),
        (["IN"] * 50, []),
        (["IN"] * 50, ["IN"] * 50),
    ],
)
def test_no_concentration_where_few_usual_or_under_half(values, usual):
    assert concentration("region", values, usual) is None
