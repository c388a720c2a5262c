"""Odds at the same time, the time of a rise, and concentration in a segment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact, nchypergeom_fisher

from closeloop.stats.baseline import Floats
from closeloop.stats.change_point import (
    PRIOR_NONE,
    SUDDEN_TAUS_H,
    WINDOW_H,
    candidate_likelihood,
    lagged,
    none_likelihood,
    posterior,
    ramps,
)
from closeloop.stats.odds import odds_against_share, odds_ratio
from closeloop.stats.segments import concentration


def test_odds_ratio_is_haldanes():
    ratio = odds_ratio([(10, 20, 5, 40)])
    assert ratio.ratio == pytest.approx((10.5 * 35.5) / (10.5 * 5.5))
    assert ratio.low < ratio.ratio < ratio.high
    assert ratio.enough


def test_bayes_factor_speaks_for_a_large_ratio_and_against_none():
    large = odds_ratio([(60, 100, 20, 100)])
    none = odds_ratio([(30, 100, 30, 100)])
    assert large.bayes_factor > 10
    assert none.bayes_factor < 0.5


def test_bayes_factor_is_exact_where_the_other_side_has_no_complaint():
    ratio = odds_ratio([(16, 108, 0, 47)])
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

    ratio = odds_ratio([(own, exposed, complaints - own, unexposed)])
    harm = np.maximum(np.log(3.0) + 0.7 * deviates, 0.0)
    expected = likelihood(harm) / likelihood(0.2 * deviates)
    assert ratio.bayes_factor == pytest.approx(expected, rel=1e-6)


def test_users_who_complain_less_clear_a_change():
    ratio = odds_ratio([(40, 80, 40, 40)])
    assert ratio.bayes_factor < 0.1
    assert ratio.chance > 0.99


@pytest.mark.parametrize("own", [13, 9, 0])
def test_chance_is_fishers_mid_p(own):
    def exact(count: int) -> float:
        table = [[count, 37 - count], [13 - count, 4 + count]]
        return float(fisher_exact(table, alternative="greater").pvalue)

    ratio = odds_ratio([(own, 37, 13 - own, 17)])
    more = exact(own + 1) if own < 13 else 0.0
    assert ratio.chance == pytest.approx((exact(own) + more) / 2)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_bayes_factor_says_nothing_where_all_or_none_complain(share):
    ratio = odds_ratio([(int(40 * share), 40, int(30 * share), 30)])
    assert ratio.bayes_factor == pytest.approx(1.0)


def test_fifteen_a_side_are_not_enough():
    ratio = odds_ratio([(9, 15, 9, 90)])
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
    shapes = ramps(WINDOW_H, start)
    own = np.log(1 - PRIOR_NONE) + candidate_likelihood(counts, expected, shapes, 0.1, end_h=end)
    return posterior([none, own])[1]


def test_a_change_at_the_right_time_gains_and_at_the_wrong_time_loses():
    right = [share_of(190, at=190, seed=seed) for seed in range(10)]
    assert min(right) > 0.4
    assert share_of(60, at=190) < 0.05
    assert share_of(235, at=190) < 0.05


def test_a_change_that_had_ended_is_not_behind_a_later_rise():
    assert share_of(190, at=200, end=199) < 0.05


STAGED = ((0.0, 0.05), (72.0, 1.0))


def test_a_rollout_in_stages_rises_with_its_stages():
    shapes = ramps(WINDOW_H, 100.0, stages=STAGED, taus_h=(1.0,))
    assert shapes[0, 99] == 0.0
    assert shapes[0, 160] == pytest.approx(0.05, abs=0.001)
    assert shapes[0, 200] == pytest.approx(1.0, abs=0.001)


def test_the_largest_share_in_the_window_counts_as_all():
    tenth = ramps(WINDOW_H, 100.0, stages=((0.0, 0.1), (500.0, 1.0)), taus_h=(1.0,))
    assert tenth[0, 200] == pytest.approx(1.0, abs=0.001)
    later = ramps(WINDOW_H, 300.0)
    assert not later.any()


@given(
    st.floats(-100, 300),
    st.lists(st.tuples(st.floats(0, 200), st.floats(0, 1)), min_size=1, max_size=4),
)
def test_a_ramp_stays_between_nothing_and_all(start, stages):
    shapes = ramps(WINDOW_H, start, stages=tuple(sorted(stages)))
    assert ((shapes >= 0.0) & (shapes <= 1.0)).all()


def brief_rise(start: int, *, hours: int, tail: float, seed: int) -> tuple[Floats, Floats]:
    """Return complaints that are five times the usual for some hours, and die away in `tail`."""
    expected = np.full(WINDOW_H, 0.3)
    since = np.arange(WINDOW_H) - start
    shape = np.where(since < 0, 0.0, np.exp(-np.maximum(since - hours, 0) / tail))
    counts = np.random.default_rng(seed).poisson(expected * (1.0 + 9.0 * shape))
    return counts.astype(float), expected


@pytest.mark.parametrize("tail", [1.0, 6.0, 20.0])
def test_an_incident_that_ended_when_the_trouble_did_gains_by_it(tail):
    gained = []
    for seed in range(10):
        counts, expected = brief_rise(150, hours=12, tail=tail, seed=seed)
        shapes = ramps(WINDOW_H, 150.0, taus_h=SUDDEN_TAUS_H)
        ended = candidate_likelihood(counts, expected, shapes, 0.1, end_h=162.0)
        goes_on = candidate_likelihood(counts, expected, shapes, 0.1)
        elsewhen = candidate_likelihood(counts, expected, shapes, 0.1, end_h=153.0)
        gained.append((ended - goes_on, ended - elsewhen))
    ahead = np.median(gained, axis=0)
    assert ahead[0] > 0.5
    assert ahead[1] > -0.5


def test_trouble_that_is_over_speaks_for_no_change_by_being_over():
    """ "None of these" may end, too: calm that follows must not make the nearest release guilty."""
    shares = []
    for seed in range(10):
        counts, expected = brief_rise(150, hours=12, tail=1.0, seed=seed)
        none = np.log(PRIOR_NONE) + none_likelihood(counts, expected, 0.1)
        own = candidate_likelihood(counts, expected, ramps(WINDOW_H, 120.0), 0.1)
        shares.append(posterior([none, np.log(1 - PRIOR_NONE) + own])[1])
    assert np.median(shares) < 1 - PRIOR_NONE


def test_a_rise_at_the_second_stage_fits_the_rollout_that_had_it_then():
    """Complaints come when half a week later all users have it: one date would not tell."""
    counts, expected = rise(172)
    staged = candidate_likelihood(counts, expected, ramps(WINDOW_H, 100.0, stages=STAGED), 0.1)
    at_once = candidate_likelihood(counts, expected, ramps(WINDOW_H, 100.0), 0.1)
    assert staged > at_once + 3.0


def test_counted_users_are_a_shape_with_lags():
    shares = np.concatenate([np.zeros(100), np.linspace(0, 0.4, 140)])
    shapes = lagged(shares)
    assert shapes.max() == pytest.approx(1.0)
    assert shapes[0, 239] == pytest.approx(1.0)
    assert shapes[2, 123] == 0.0


def test_complaints_beyond_their_share_of_users_speak_against_a_change():
    beyond = odds_against_share(own=16, complaints=20, share=0.2)
    assert beyond.enough
    assert beyond.low > 1.0
    assert beyond.bayes_factor > 1_000
    assert beyond.chance < 1e-6
    usual = odds_against_share(own=4, complaints=20, share=0.2)
    assert usual.low < 1.0 < usual.high
    assert usual.bayes_factor < 0.5
    assert not odds_against_share(own=5, complaints=6, share=0.2).enough


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.01, 0.99))
def test_more_from_the_exposed_never_speaks_less_against_a_change(own, rest, share):
    total = own + rest + 1
    less = odds_against_share(own=own, complaints=total, share=share)
    more = odds_against_share(own=own + 1, complaints=total, share=share)
    assert more.bayes_factor >= less.bayes_factor * (1 - 1e-9)
    assert more.chance <= less.chance + 1e-12


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


def test_a_rollout_that_goes_on_while_trouble_grows_is_not_guilty_by_that():
    """In each half day both sides complain alike; pooled, the exposed do three times as much."""
    strata = [(0, 2, 0, 40), (2, 10, 6, 30), (15, 30, 5, 10), (18, 36, 2, 4)]
    pooled = odds_ratio([tuple(map(sum, zip(*strata, strict=True)))])
    within = odds_ratio(strata)
    assert pooled.low > 2.0
    assert pooled.chance < 1e-4
    assert within.low < 1.0 < within.high
    assert within.chance > 0.2
    assert within.bayes_factor < 1.0 < pooled.bayes_factor
    assert (within.exposed, within.unexposed) == (pooled.exposed, pooled.unexposed)


def test_strata_that_agree_say_more_than_one():
    one, three = odds_ratio([(6, 20, 3, 25)]), odds_ratio([(6, 20, 3, 25)] * 3)
    assert three.chance < one.chance
    assert three.bayes_factor > one.bayes_factor
    assert three.high / three.low < one.high / one.low
