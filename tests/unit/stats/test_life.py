"""The state of a problem from its complaints by hour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.life import LifeState, life_state

START = 400_000


def state(*days: int, usual: float = 1.0) -> LifeState:
    """Return the state after days with so many complaints each, spread over the day."""
    hours = [START + d * 24 + (i * 24) // n for d, n in enumerate(days) for i in range(n)]
    return life_state(
        np.array(hours, dtype=np.int64),
        start=START,
        now=START + len(days) * 24 - 1,
        usual_a_day=usual,
    )


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((8,), LifeState.GROWING),
        ((8, 20), LifeState.GROWING),
        ((20, 20), LifeState.LASTING),
        ((20, 9), LifeState.LASTING),
        ((20, 20, 1), LifeState.CALMING),
        ((20, 1, 1), LifeState.CALMING),
        ((20, 1, 1, 0, 1), LifeState.OVER),
        ((20, 1, 0, 0, 12), LifeState.RESUMED),
        ((20, 0, 12), LifeState.GROWING),
    ],
)
def test_a_problem_grows_lasts_calms_ends_and_resumes(days, expected):
    assert state(*days) is expected


def test_what_is_usual_is_no_trouble():
    assert state(20, 5, 5, 5, 5, usual=5.0) is LifeState.OVER
    assert state(20, 5, 5, 5, 5, usual=0.5) is LifeState.LASTING


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.floats(0, 10))
def test_every_life_has_a_state(days, usual):
    assert state(*days, usual=usual) in LifeState


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_after_three_days_of_silence_it_is_over(days):
    assert state(*days, 0, 0, 0, 0) is LifeState.OVER
