"""Parameters become literals where the query asks for them, and none of their text becomes SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.engines.spark_parameters import bound, literal
from closeloop.errors import QueryError

ASIDE = st.sampled_from(
    [
        "'what?'",
        "'it''s ?'",
        "'a \\' ?'",
        '"?"',
        "r'?\\'",
        'R"?"',
        "`od``d ?`",
        "-- why?\n",
        "/* ? '*/",
        "col",
        " ",
        "'\\\\'",
        ",",
    ]
)


@given(st.lists(st.one_of(ASIDE, st.just("?"))))
def test_only_what_stands_by_itself_is_asked_for(parts):
    query = " ".join(parts)
    values = list(range(parts.count("?")))
    expected = iter(values)
    wanted = " ".join(f"({next(expected)})" if part == "?" else part for part in parts)
    assert bound(query, values) == wanted


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_comes_back_as_it_was_and_holds_no_quote_of_its_own(text):
    made = literal(text)
    digits = made.removeprefix("CAST(X'").removesuffix("' AS STRING)")
    assert set(digits) <= set("0123456789abcdef")
    assert bytes.fromhex(digits).decode() == text


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans()))
def test_numbers_mean_the_same_to_an_engine(value):
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {literal(value)}").fetchone()
    assert found == (value,)


def test_times_are_counted_from_the_epoch_whatever_their_zone():
    noon = datetime(2024, 2, 6, 12, 0, 0, 250, tzinfo=UTC)
    elsewhere = noon.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert literal(noon) == literal(elsewhere) == "timestamp_micros(1707220800000250)"
    assert literal(noon.replace(tzinfo=None)) == literal(noon)
    assert literal(date(2024, 2, 6)) == "DATE '2024-02-06'"


def test_lists_and_nothing_are_literals_too():
    assert literal(["a", None, 2]) == "array(CAST(X'61' AS STRING), NULL, (2))"
    with pytest.raises(QueryError, match="Decimal"):
        literal(Decimal(1))


@pytest.mark.parametrize(("query", "given"), [("SELECT ?", 0), ("SELECT 1", 1), ("SELECT ?, ?", 1)])
def test_too_many_or_too_few_are_told(query, given):
    with pytest.raises(QueryError, match=f"and {given} were given"):
        bound(query, ["x"] * given)
