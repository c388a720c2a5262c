"""Exposure: what stood behind each hour, where it is known, where it isn't, and in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.exposure import LEAST, MOST, exposure_of

START = 18_000 * 24


def days(*figures: float):
    hours = START + 24 * np.arange(len(figures))
    return exposure_of(hours, np.full(len(figures), 24), np.asarray(figures, dtype=float))


def test_levels_are_parts_of_the_first_weeks():
    exposure = days(*[100.0] * 28, *[250.0] * 5)
    assert exposure.of(np.array([START, START + 28 * 24])) == pytest.approx([1.0, 2.5])


def test_hours_before_the_first_figure_count_as_usual():
    assert days(100.0, 100.0).of(np.array([START - 1, START - 5000])).tolist() == [1.0, 1.0]


def test_what_is_not_known_yet_is_taken_from_the_same_hour_of_the_week_before():
    week = [100.0] * 5 + [300.0] * 2
    exposure = days(*week * 4)
    after = START + 28 * 24 + 24 * np.arange(14)
    assert exposure.of(after) == pytest.approx(np.array(week * 2) / np.mean(week))


def test_a_gap_takes_the_same_day_of_the_week_before():
    figures = [100.0, 200.0] + [100.0] * 5 + [100.0, float("nan")] + [100.0] * 5
    exposure = days(*figures)
    assert exposure.of(np.array([START + 8 * 24]))[0] == exposure.of(np.array([START + 24]))[0]


def test_an_hours_figure_counts_before_its_days():
    starts = np.array([START, START + 5])
    exposure = exposure_of(starts, np.array([24, 1]), np.array([24.0, 10.0]))
    inside = exposure.of(np.arange(START, START + 24))
    assert inside[5] == pytest.approx(10 * inside[4])


def test_without_figures_nothing_is_known():
    nothing = exposure_of(np.array([START]), np.array([24]), np.array([0.0]))
    assert nothing is None


@given(st.lists(st.just(0.0) | st.floats(1, 1e9), min_size=1, max_size=40), st.floats(1e-3, 1e3))
def test_the_unit_of_the_figures_does_not_matter(figures, unit):
    one, other = days(*figures), days(*[f * unit for f in figures])
    hours = np.arange(START - 30, START + 24 * (len(figures) + 20))
    if one is None or other is None:
        return
    assert one.of(hours) == pytest.approx(other.of(hours), rel=1e-6)
    assert (one.of(hours) >= LEAST).all()
    assert (one.of(hours) <= MOST).all()
