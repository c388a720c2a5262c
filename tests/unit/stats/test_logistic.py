"""Heads recover what made the data; scalings calibrate."""

import numpy as np
from scipy import sparse
from scipy.special import expit

from closeloop.stats.logistic import (
    fit_binary,
    fit_classes,
    fit_platt,
    fit_temperature,
    log_odds,
    probabilities,
)


def _data(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(4_000, 3))
    return x, draw.random(4_000) < expit(x @ [2.0, -1.0, 0.0] + 0.5)


def test_a_binary_head_recovers_the_weights_dense_and_sparse() -> None:
    x, y = _data()
    head = fit_binary(x, y, l2=1e-3)
    assert np.allclose(head.weights[:, 0], [2.0, -1.0, 0.0], atol=0.2)
    assert np.allclose(head.bias, 0.5, atol=0.15)
    again = fit_binary(sparse.csr_matrix(x), y, l2=1e-3)
    assert np.allclose(again.weights, head.weights, atol=1e-3)


def test_more_penalty_means_smaller_weights() -> None:
    x, y = _data()
    sizes = [np.abs(fit_binary(x, y, l2=l2).weights).sum() for l2 in (0.1, 100.0, 10_000.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_class_head_tells_clusters_apart_and_heeds_weights() -> None:
    draw = np.random.default_rng(1)
    centres = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0]])
    classes = np.repeat([0, 1, 2], 50)
    x = centres[classes] + draw.normal(size=(150, 2))
    head = fit_classes(x, classes, count=3)
    assert (head.scores(x).argmax(axis=1) == classes).mean() > 0.97
    without = fit_classes(x, classes, count=3, sample_weight=(classes != 2).astype(float))
    assert (without.scores(x).argmax(axis=1) == 2).sum() == 0


def test_platt_turns_overconfident_scores_into_rates() -> None:
    draw = np.random.default_rng(2)
    truth_odds = draw.normal(size=5_000)
    y = draw.random(5_000) < expit(truth_odds)
    fitted = fit_platt(4.0 * truth_odds + 1.0, y).probability(4.0 * truth_odds + 1.0)
    assert np.abs(fitted - expit(truth_odds)).mean() < 0.02


def test_temperature_undoes_a_scale() -> None:
    draw = np.random.default_rng(4)
    scores = draw.normal(size=(4_000, 4)) * 2
    p = probabilities(scores, temperature=1.0)
    classes = (p.cumsum(axis=1) > draw.random((4_000, 1))).argmax(axis=1)
    assert abs(fit_temperature(scores * 5.0, classes) - 5.0) < 0.6


def test_log_odds_stay_finite() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 0.5, 1.0]))).all()
