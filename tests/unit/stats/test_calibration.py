"""A calibration from judged pairs says what it claims, and stays uncalibrated without them."""

import numpy as np

from closeloop.stats.calibration import (
    MIN_PAIRS,
    WITHIN_THEME,
    ThemeConfidence,
    audited_share,
    calibration_error,
    fit_confidence,
    linear,
    relative_size,
)


def _judged(pairs: int, *, seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    odds = draw.normal(0.5, 1.5, pairs)
    truth = 1.0 / (1.0 + np.exp(-(0.8 * odds + 0.7)))
    return odds, draw.random(pairs) < truth


def test_few_or_one_sided_answers_leave_it_uncalibrated() -> None:
    odds, same = _judged(MIN_PAIRS - 1)
    assert fit_confidence(odds, np.zeros(len(odds)), same).name == "uncalibrated"
    odds, same = _judged(MIN_PAIRS)
    none = np.zeros(MIN_PAIRS)
    assert fit_confidence(odds, none, np.ones(MIN_PAIRS)).pairs == 0
    assert fit_confidence(odds, none, same).name == f"{MIN_PAIRS} pairs"


def test_fitted_to_pairs_it_is_right_as_often_as_it_says() -> None:
    odds, same = _judged(400)
    fitted = fit_confidence(odds, np.zeros(400), same)
    odds, same = _judged(4_000, seed=8)
    scores = (odds + 2.5) / 0.43
    none = np.zeros(len(scores))
    text = fitted.probability(scores, none, none)
    pair = (1.0 - WITHIN_THEME) * text**2 + WITHIN_THEME * text
    assert calibration_error(pair, same) < 0.06
    start = ThemeConfidence().probability(scores, none, none) ** 2
    assert calibration_error(start, same) > 0.1


def test_higher_scores_never_mean_less() -> None:
    odds, same = _judged(300)
    turned = fit_confidence(-odds, np.zeros(300), same)
    rising = turned.probability(np.array([1.0, 3.0, 6.0]), np.zeros(3), np.zeros(3))
    assert np.all(np.diff(rising) >= 0)
    assert np.all((rising > 0) & (rising < 1))


def test_a_large_theme_is_trusted_less_if_people_say_so_and_never_more() -> None:
    draw = np.random.default_rng(3)
    odds, sizes = draw.normal(0.5, 1.0, 600), draw.normal(0.0, 1.0, 600)
    falling = draw.random(600) < 1.0 / (1.0 + np.exp(-(odds - 1.5 * sizes)))
    at = np.array([5.0, 5.0, 5.0]), np.zeros(3), np.array([-1.0, 0.0, 1.0])
    assert np.all(np.diff(fit_confidence(odds, sizes, falling).probability(*at)) < -0.05)
    rising = draw.random(600) < 1.0 / (1.0 + np.exp(-(odds + 1.5 * sizes)))
    fitted = fit_confidence(odds, sizes, rising)
    assert fitted.size_weight == 0.0
    assert len(set(fitted.probability(*at).tolist())) == 1


def test_a_relative_size_is_of_the_middle_theme() -> None:
    assert relative_size([10, 20, 40]).tolist() == [-np.log(2.0), 0.0, np.log(2.0)]
    assert relative_size([]).tolist() == []


def test_linear_grows_with_score_and_margin() -> None:
    assert linear(np.array([3.0]), np.array([1.0])) < linear(np.array([4.0]), np.array([1.0]))
    assert linear(np.array([3.0]), np.array([1.0])) < linear(np.array([3.0]), np.array([2.0]))


def test_calibration_error_of_known_cases() -> None:
    assert calibration_error(np.array([1.0, 1.0, 0.0]), [True, True, False]) == 0.0
    assert abs(calibration_error(np.array([0.9, 0.9]), [True, False]) - 0.4) < 1e-9
    assert calibration_error(np.zeros(0), []) == 0.0


def test_an_audit_comes_near_the_share_that_pairs_tell_of() -> None:
    assert audited_share(same=0, pairs=0) == np.sqrt(0.8)
    assert audited_share(same=12, pairs=12) < 1.0
    assert abs(audited_share(same=640, pairs=1_000) - 0.8) < 0.001
    shares = [audited_share(same=n, pairs=16) for n in range(17)]
    assert np.all(np.diff(shares) > 0)
