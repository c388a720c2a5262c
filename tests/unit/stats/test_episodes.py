"""What becomes of an alarm of a series that was raised before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closeloop.stats.episodes import LASTS_H, Fate, fate

SNOOZE_H = 168.0


def of(hours: float, *, count: float = 10, evidence: float = 100, apart: bool = False) -> Fate:
    return fate(
        hours_since_last=hours,
        stands_apart=apart,
        snooze_h=SNOOZE_H,
        count=count,
        evidence=evidence,
        count_before=10,
        evidence_before=100,
    )


def test_it_continues_begins_or_says_nothing_new():
    assert of(5) is Fate.CONTINUES
    assert of(LASTS_H + 1) is Fate.PASSED_OVER
    assert of(SNOOZE_H + 1) is Fate.BEGINS


def test_within_the_snooze_it_must_outgrow_in_count_and_evidence():
    assert of(100, count=15, evidence=1_000) is Fate.BEGINS
    assert of(100, count=15, evidence=999) is Fate.PASSED_OVER
    assert of(100, count=14, evidence=1e9) is Fate.PASSED_OVER


def test_a_burst_of_its_own_a_day_later_is_no_growth():
    assert of(12, apart=True) is Fate.CONTINUES
    assert of(30, apart=True) is Fate.PASSED_OVER
    assert of(30, apart=True, count=15, evidence=1_000) is Fate.BEGINS


@given(st.floats(0, LASTS_H), st.floats(0, 1e6), st.floats(0, 1e9))
def test_what_lasts_is_never_raised_twice(hours, count, evidence):
    assert of(hours, count=count, evidence=evidence) is Fate.CONTINUES
