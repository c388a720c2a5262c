"""What can be said of a fix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.outcome import Verdict
from closeloop.stats.outcome import adopted_at, rate_ratio


def verdict(before: int, after: int, *, days_before: float = 7, days_after: float = 7) -> Verdict:
    return rate_ratio(
        before=before, days_before=days_before, after=after, days_after=days_after
    ).verdict


def test_held_failed_and_too_early():
    assert verdict(60, 6) is Verdict.HELD
    assert verdict(60, 70) is Verdict.FAILED
    assert verdict(6, 4) is Verdict.NOT_ENOUGH_EVIDENCE


def test_a_trouble_that_goes_on_as_before_has_not_been_mended():
    def said(after: int, usual: float | None) -> Verdict:
        return rate_ratio(before=100, days_before=3, after=after, days_after=5, usual=usual).verdict

    assert said(165, None) is Verdict.NOT_ENOUGH_EVIDENCE
    assert said(165, 4.0) is Verdict.FAILED
    # As many as before, but so many are usual; and half as many.
    assert said(165, 25.0) is Verdict.NOT_ENOUGH_EVIDENCE
    assert said(83, 4.0) is Verdict.NOT_ENOUGH_EVIDENCE


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.01, 50))
def test_what_is_usual_makes_no_failed_fix_of_one_that_held(before, after, usual):
    plain, told = (
        rate_ratio(before=before, days_before=3, after=after, days_after=7, usual=u).verdict
        for u in (None, usual)
    )
    assert told is plain or Verdict.NOT_ENOUGH_EVIDENCE in (plain, told)
    assert (plain, told) != (Verdict.NOT_ENOUGH_EVIDENCE, Verdict.HELD)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.01, 50), st.floats(1, 60))
def test_what_is_usual_is_no_failure_and_without_trouble_nothing_is_said(
    before: int, after: int, usual: float, days_after: float
) -> None:
    said = rate_ratio(
        before=before, days_before=7, after=after, days_after=days_after, usual=usual
    ).verdict
    if after <= usual * days_after:
        assert said is not Verdict.FAILED
    if before <= usual * 7:
        assert said is Verdict.NOT_ENOUGH_EVIDENCE


def test_calm_after_calm_is_no_failed_fix() -> None:
    calm = rate_ratio(before=70, days_before=7, after=300, days_after=30, usual=10.0)
    rare = rate_ratio(before=0, days_before=7, after=2, days_after=7, usual=0.3)
    assert calm.verdict is rare.verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_the_calm_after_a_trouble_that_was_over_is_not_the_fix_s_doing() -> None:
    def said(after: int, *, lasted: bool) -> Verdict:
        return rate_ratio(
            before=120, days_before=2, after=after, days_after=7, usual=10.0, lasted=lasted
        ).verdict

    assert said(70, lasted=True) is Verdict.HELD
    assert said(70, lasted=False) is Verdict.NOT_ENOUGH_EVIDENCE
    assert said(0, lasted=False) is Verdict.NOT_ENOUGH_EVIDENCE
    assert said(420, lasted=False) is Verdict.FAILED


@pytest.mark.parametrize(
    ("before", "days", "held"),
    [(10, 3, True), (9, 3, False), (5, 7, True), (4, 7, False), (3, 14, True), (2, 14, False)],
)
def test_silence_needs_enough_complaints_before(before, days, held):
    assert (verdict(before, 0, days_after=days) is Verdict.HELD) is held


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.25, 30), st.floats(1, 60))
def test_the_interval_holds_the_ratio(before, after, days_before, days_after):
    ratio = rate_ratio(before=before, days_before=days_before, after=after, days_after=days_after)
    assert 0 <= ratio.low <= ratio.ratio <= ratio.high


@given(st.integers(1, 2_000), st.integers(1, 2_000), st.floats(1, 30), st.floats(1, 60))
def test_bursts_widen_the_interval_and_leave_the_ratio(before, after, days_before, days_after):
    ratio = rate_ratio(before=before, days_before=days_before, after=after, days_after=days_after)
    plain = (after / days_after) / (before / days_before)
    if before >= 30 and after >= 30:
        assert ratio.low < plain < ratio.high
        assert ratio.ratio == pytest.approx(plain, rel=0.2)


@given(st.integers(1, 300))
def test_as_many_as_before_never_held(count):
    assert verdict(count, count) is not Verdict.HELD


def test_a_burst_counts_for_less_than_its_number():
    steady = rate_ratio(before=40, days_before=20, after=10, days_after=20)
    burst = rate_ratio(before=40, days_before=0.5, after=10, days_after=0.5)
    assert burst.high / burst.low > steady.high / steady.low


def test_adoption_is_half_of_the_last_reviews():
    assert adopted_at(["1.0"] * 9, "1.1") is None
    assert adopted_at(["1.0"] * 6 + ["1.1"] * 6, "1.1") == 10
    assert adopted_at(["1.1"] * 4, "1.1") is None
    assert adopted_at(["1.1"] * 5, "1.1") == 4


@pytest.mark.parametrize(
    ("reviews", "fixed"),
    [
        ("2.8.7", "v2.8.7"),
        ("2.8.7", "2.8.7 (123)"),
        ("2.8", "2.8.0"),
        ("2.8.0", "2.8"),
        ("2.8.0.1", "2.8"),
        ("0.0", "0"),
        ("nightly", "nightly"),
    ],
)
def test_a_version_is_itself_in_any_spelling(reviews, fixed):
    assert adopted_at([reviews] * 20, fixed) == 4


def test_a_version_before_the_fix_does_not_hold_it_in_any_spelling():
    assert adopted_at(["2.8"] * 20, "v2.8.1") is None
    assert adopted_at(["2.8.0"] * 20, "2.80") is None
    assert adopted_at(["2.7.9"] * 20, "2.8.0 (1)") is None


def test_a_later_version_holds_the_fix_and_an_earlier_does_not():
    assert adopted_at(["1.10.0"] * 5, "1.9.2") == 4
    assert adopted_at(["1.8"] * 20, "1.9.2") is None
    assert adopted_at(["nightly"] * 20, "1.9.2") is None
