"""Small pictures: heights in proportion, marks where they belong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closeloop.cli.sparkline import BLOCKS, bars, marks


def test_heights_are_in_proportion_and_anything_stands_out_from_nothing() -> None:
    assert bars([0, 7, 14]) == BLOCKS[0] + BLOCKS[4] + BLOCKS[7]
    assert bars([0, 1, 1000]) == BLOCKS[0] + BLOCKS[1] + BLOCKS[7]
    assert bars([0, 0]) == BLOCKS[0] * 2
    assert bars([]) == ""
    assert bars([0, 5], unicode=False) == "_@"


@given(st.lists(st.integers(0, 10_000), max_size=100))
def test_one_character_a_count_and_higher_is_never_lower(counts: list[int]) -> None:
    drawn = bars(counts)
    assert len(drawn) == len(counts)
    order = sorted(range(len(counts)), key=lambda i: counts[i])
    heights = [BLOCKS.index(drawn[i]) for i in order]
    assert heights == sorted(heights)


def test_marks_stand_under_their_position_in_order() -> None:
    assert marks(10, {7: "fix", 2: "release", 12: "outside"}) == ["  ↑ release", "       ↑ fix"]
    assert marks(5, {0: "x"}, unicode=False) == ["^ x"]
