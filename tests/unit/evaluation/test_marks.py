"""Marks keep their stretch when a text is cleaned, and masks are found again in masked text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closeloop.evaluation.marks import Mark, in_clean_text, masked_stretches, read_marks
from closeloop.text.clean import clean_text
from closeloop.text.pii import Masker

MASKER = Masker(key=bytes(32))


def test_usual_names_of_keys_are_read() -> None:
    text = "call 5551234567"
    for cell in (
        '[{"start": 5, "end": 15, "type": "PHONE"}]',
        '[{"start_position": "5", "end_position": 15.0, "entity_type": "PHONE"}]',
    ):
        assert read_marks(cell, text) == [Mark(5, 15, "PHONE")]
    assert read_marks("[]", text) == []


def test_what_is_no_list_of_stretches_within_the_text_is_none() -> None:
    for cell in (
        "no json",
        "{}",
        "[1]",
        '[{"start": 5, "end": 5, "type": "X"}]',
        '[{"start": 0, "end": 99, "type": "X"}]',
        '[{"start": -1, "end": 2, "type": "X"}]',
        '[{"start": true, "end": 2, "type": "X"}]',
        '[{"start": 0, "end": 2}]',
        "[" * 100_000,
    ):
        assert read_marks(cell, "call 5551234567") is None


@given(st.text("ab \n\t&é​½"), st.text("xyz", min_size=1), st.text("ab \n\t&é​½"))
def test_a_mark_holds_the_same_words_after_cleaning(before: str, value: str, after: str) -> None:
    raw = before + value + after
    mark = in_clean_text(Mark(len(before), len(before) + len(value), "X"), raw)
    assert clean_text(raw)[mark.start : mark.end] == value


def test_masks_of_the_rules_are_exact() -> None:
    text = "mail a.b@example.com or 4111 1111 1111 1111, please"
    found = masked_stretches(text, MASKER.mask(text), MASKER)
    assert [(text[m.start : m.end], m.type) for m in found] == [
        ("a.b@example.com", "EMAIL"),
        ("4111 1111 1111 1111", "CARD"),
    ]
    assert masked_stretches("nothing here", "nothing here", MASKER) == []


def test_masks_that_the_rules_did_not_make_are_read_off_the_text_around_them() -> None:
    text = "I am Asha Rao, ring Ravi or a.b@example.com"
    found = masked_stretches(text, "I am <NAME>, ring <NAME> or <EMAIL>", MASKER)
    assert [text[m.start : m.end] for m in found] == ["Asha Rao", "Ravi", "a.b@example.com"]
    whole = masked_stretches("Asha Rao", "<NAME>", MASKER)
    assert whole == [Mark(0, 8, "NAME")]


@given(st.lists(st.text("abc ,", max_size=5), min_size=2, max_size=5), st.data())
def test_stretches_lie_in_the_text_in_order(pieces: list[str], data: st.DataObject) -> None:
    values = [data.draw(st.text("XYZ ", min_size=1, max_size=6)) for _ in pieces[1:]]
    text = pieces[0] + "".join(v + p for v, p in zip(values, pieces[1:], strict=True))
    found = masked_stretches(text, "<NAME>".join(pieces), MASKER)
    position = 0
    for mark in found:
        assert position <= mark.start <= mark.end <= len(text)
        position = mark.end
