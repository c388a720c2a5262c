"""Voices: the first texts count fully, what is repeated fades, and nothing counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.voices import SPAN_H, voice_weights


def test_a_hundred_copies_count_like_a_dozen_voices():
    weight = voice_weights(np.zeros(100, dtype=np.int64), np.zeros(100, dtype=np.int64), free=3)
    assert weight[:3].tolist() == [1.0, 1.0, 1.0]
    assert weight.sum() == pytest.approx(3 + 3 * sum(1 / k for k in range(4, 101)))
    assert 12 < weight.sum() < 15


def test_after_three_days_a_group_begins_anew():
    hours = np.array([0, 1, 2, 3, SPAN_H + 2, SPAN_H + 3])
    weight = voice_weights(hours, np.zeros(6, dtype=np.int64), free=2)
    assert weight == pytest.approx([1, 1, 2 / 3, 1 / 2, 1, 1])


def test_groups_do_not_mix_and_none_is_no_group():
    hours = np.arange(8) // 2
    group = np.array([0, 1, 0, 1, -1, -1, -1, -1])
    assert voice_weights(hours, group, free=1).tolist() == [1, 1, 0.5, 0.5, 1, 1, 1, 1]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(-1, 4)), min_size=1, max_size=60),
    st.integers(1, 4),
)
def test_weights_are_those_of_counting_one_by_one(rows, free):
    rows = sorted(rows, key=lambda r: r[0])
    hours = np.array([h for h, _ in rows])
    group = np.array([g for _, g in rows])
    expected = []
    for i, (hour, own) in enumerate(rows):
        number = sum(g == own and h > hour - SPAN_H for h, g in rows[: i + 1])
        expected.append(1.0 if own < 0 else min(1.0, free / number))
    assert voice_weights(hours, group, free=free) == pytest.approx(expected)
