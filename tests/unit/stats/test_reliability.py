"""Bins add up to the calibration error, and AUROC is what counting pairs gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.calibration import calibration_error
from closeloop.stats.reliability import auroc, reliability_bins

ANSWERS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60)


def _two(answers: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([a / 20 for a, _ in answers]), np.array([t for _, t in answers], np.bool_)


@given(ANSWERS)
def test_bins_hold_every_answer_and_give_the_calibration_error(
    answers: list[tuple[int, bool]],
) -> None:
    probability, truth = _two(answers)
    bins = reliability_bins(probability, truth)
    assert sum(b.count for b in bins) == len(answers)
    gap = sum(b.count * abs(b.stated - b.right) for b in bins) / len(answers)
    assert gap == pytest.approx(calibration_error(probability, truth))
    for one in bins:
        assert one.low - 1e-9 <= one.stated <= one.high + 1e-9
        assert one.interval.low <= one.right <= one.interval.high


def test_a_probability_of_one_lies_in_the_last_bin() -> None:
    (last,) = reliability_bins(np.array([1.0]), np.array([True]))
    assert (last.low, last.high, last.count) == (0.9, 1.0, 1)


@given(ANSWERS)
def test_auroc_is_the_share_of_pairs_in_order(answers: list[tuple[int, bool]]) -> None:
    scores, truth = _two(answers)
    pairs = scores[truth][:, None] - scores[~truth][None, :]
    if not pairs.size:
        assert np.isnan(auroc(scores, truth))
    else:
        assert auroc(scores, truth) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
