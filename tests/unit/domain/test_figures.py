"""Figures are written one way, everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain import figures


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.0, "0%"),
        (0.0004, "<0.1%"),
        (0.042, "4.2%"),
        (0.05, "5%"),
        (0.41, "41%"),
        (0.998, ">99%"),
        (1.0, "100%"),
    ],
)
def test_percentages(share: float, written: str) -> None:
    assert figures.percent(share) == written


@given(st.floats(0, 1))
def test_only_all_is_written_as_all_and_only_none_as_none(share: float) -> None:
    assert (figures.percent(share) == "100%") == (share == 1)
    assert (figures.percent(share) == "0%") == (share == 0)


def test_a_count_is_compared_by_what_was_expected_not_by_a_floor_of_it() -> None:
    assert figures.against(14, 3.3) == "4.2 times the 3.3 expected"
    assert figures.against(2, 0.5) == "4 times the 0.5 expected"
    assert figures.against(19, 0.33) == "where 0.3 are usual"
    assert figures.against(5, 0.01) == "where very few are usual"


def test_quantities_times_and_lengths() -> None:
    moment = datetime(2024, 3, 5, 14, 5, tzinfo=UTC)
    assert figures.decimal(6.24) == "6.2"
    assert figures.decimal(6.0) == "6"
    assert figures.decimal(1234.5) == "1,234"
    assert figures.evidence(84.53) == "84.5"
    assert figures.evidence(3.4e23) == "more than 10,000"
    assert figures.minute(moment) == "5 Mar 2024, 14:05 UTC"
    assert figures.short_day(moment) == "5 Mar"
    assert figures.counted(1, "complaint") == "1 complaint"
    assert figures.counted(1200, "reply", "replies") == "1,200 replies"
    assert figures.span(timedelta(minutes=40)) == "40 minutes"
    assert figures.span(timedelta(hours=1)) == "60 minutes"
    assert figures.span(timedelta(hours=14)) == "14 hours"
    assert figures.span(timedelta(days=3, hours=12)) == "3.5 days"
