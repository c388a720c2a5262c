"""Starts of collection."""

from __future__ import annotations

import numpy as np

from closeloop.stats.artefacts import starts_of_collection


def days_of(counts: list[int], first: int = 100) -> np.ndarray:
    return np.repeat(np.arange(first, first + len(counts)), counts)


def both(rest: list[int], own: list[int]):
    days = np.concatenate([days_of(rest), days_of(own)])
    return days, np.arange(len(days)) >= sum(rest)


def test_a_star_that_begins_is_found_on_its_first_day():
    days, member = both([20] * 40, [0] * 30 + [40] * 10)
    assert starts_of_collection(days, member)[0] == 130


def test_a_star_that_was_always_there_is_not():
    days, member = both([20] * 40, [5] * 30 + [60] * 10)
    assert starts_of_collection(days, member) == []


def test_short_history_says_nothing():
    days, member = both([5] * 40, [0] * 20 + [40] * 20)
    assert starts_of_collection(days, member) == []


def test_a_handful_is_no_start():
    days, member = both([20] * 40, [0] * 30 + [4] * 10)
    assert starts_of_collection(days, member) == []


def test_nothing_to_look_at():
    assert starts_of_collection(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)) == []
