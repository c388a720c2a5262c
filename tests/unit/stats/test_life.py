"""The state of a problem from its complaints by hour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.life import LifeState, life_state, raised_span

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


def span(*days: int, window: int, usual: float = 1.0) -> tuple[int, int]:
    """Return the first and the last raised day of a problem mended after these days."""
    hours = [d * 24 + (i * 24) // n for d, n in enumerate(days) for i in range(n)]
    began, ended = raised_span(
        np.array(hours, dtype=np.int64),
        start=0,
        end=window * 24,
        until=len(days) * 24,
        usual_a_day=usual,
    )
    return began // 24, -(-ended // 24)


@pytest.mark.parametrize(
    ("days", "window", "expected"),
    [
        ((20, 20), 2, (0, 2)),
        # It goes on behind its window, up to the fix.
        ((20, 20, 20, 20), 1, (0, 4)),
        # The calm between its end and the fix is none of it.
        ((20, 20, 1, 1, 1, 1, 1), 2, (0, 2)),
        ((20, 20, 20, 1, 1, 1, 1), 1, (0, 3)),
        # Raised anew before the fix: these days are what it mends.
        ((20, 20, 1, 1, 1, 1, 1, 9, 9, 9), 2, (7, 10)),
        # Mended while its window still grows.
        ((20, 20), 5, (0, 2)),
    ],
)
def test_a_problem_was_raised_from_its_window_to_its_last_raised_day(days, window, expected):
    assert span(*days, window=window) == expected


def test_half_as_much_again_goes_on_while_it_is_nearer_to_the_trouble() -> None:
    assert span(60, 60, 60, 60, 60, 60, window=2, usual=40.0) == (0, 6)
    assert span(60, 60, 40, 40, 40, 40, window=2, usual=40.0) == (0, 2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 20), st.floats(0, 10))
def test_a_raised_span_is_never_empty_and_ends_by_the_fix(days, window, usual):
    began, ended = span(*days, window=window, usual=usual)
    assert 0 <= began < ended <= len(days)
