"""Numbers are read as people write them; anything else is told apart from what is missing."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.connectors.intake.numbers import read_numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4.0),
        (" 4.5 ", 4.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("4,5", 4.5),
        ("1,250", 1250.0),
        ("1,250,000.75", 1250000.75),
        ("€ 12,50", 12.5),
        ("12.50 EUR", 12.5),
        ("₹499", 499.0),
    ],
)
def test_known_forms(text: str, value: float) -> None:
    read = read_numbers(pa.array([text]))
    assert read.values.to_pylist() == [value]
    assert not read.unreadable.any()


@pytest.mark.parametrize("text", ["five", "1e999", "inf", "4/5", "0x10", "1_000", "٣", "--3"])
def test_what_is_no_number_is_unreadable(text: str) -> None:
    read = read_numbers(pa.array([text]))
    assert read.values.to_pylist() == [None]
    assert read.unreadable.tolist() == [True]


@pytest.mark.parametrize("text", [None, "", "NaN", "null", "-", "N/A"])
def test_missing_is_not_unreadable(text: str | None) -> None:
    read = read_numbers(pa.array([text], pa.string()))
    assert read.values.to_pylist() == [None]
    assert not read.unreadable.any()


def test_typed_columns() -> None:
    read = read_numbers(pa.array([1.5, None, math.nan, math.inf]))
    assert read.values.to_pylist() == [1.5, None, None, None]
    assert read.unreadable.tolist() == [False, False, False, True]
    assert read_numbers(pa.array([3], pa.int8())).values.to_pylist() == [3.0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_comes_back(value: float) -> None:
    assert read_numbers(pa.array([repr(value)])).values[0].as_py() == value
