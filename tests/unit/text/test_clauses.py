"""Texts of several clauses are split; each clause keeps its place and its words."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from closeloop.text.clauses import MAX_CLAUSES, MIN_WORDS, clauses_of


def _split(*texts: str | None) -> list[tuple[int, str]]:
    found = clauses_of(pa.array(texts, pa.string()))
    return list(zip(found.rows.tolist(), found.texts.to_pylist(), strict=True))


def test_sentences_lines_and_turns_end_a_clause() -> None:
    assert _split(
        "Payment failed twice today. Please add dark mode",
        "one clause of words only",
        None,
        "works very well but support never answers\nand the screen is ugly",
    ) == [
        (0, "Payment failed twice today."),
        (0, "Please add dark mode"),
        (3, "works very well"),
        (3, "support never answers"),
        (3, "and the screen is ugly"),
    ]


def test_what_is_too_short_to_mean_something_is_no_clause() -> None:
    assert _split("Bad. Very bad. The payment failed twice") == []


def test_numbers_and_names_with_dots_stay_whole() -> None:
    assert _split("version 4.0.1 of example.com crashes", "I paid 3.50 euro too much") == []


@given(st.lists(st.text(max_size=80), max_size=8))
def test_clauses_are_parts_of_their_text(texts: list[str]) -> None:
    counts: dict[int, int] = {}
    for row, clause in _split(*texts):
        assert all(word in texts[row] for word in clause.split())
        counts[row] = counts.get(row, 0) + 1
    assert all(2 <= number <= MAX_CLAUSES for number in counts.values())


def test_a_hostile_text_costs_no_more_than_eight_clauses() -> None:
    words = " ".join(["a"] * MIN_WORDS)
    assert len(_split(". ".join([words] * 5_000))) == MAX_CLAUSES
