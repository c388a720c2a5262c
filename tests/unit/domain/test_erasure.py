"""Erased feedback leaves no words and no id in any text; other text stays as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.erasure import REMOVED, ticket_without, without
from closeloop.testing.store_contract import example_ticket


def test_lines_that_name_the_feedback_are_cut() -> None:
    text = "summary\n“words” (review aaaaaaaa1111)\nend"
    assert without(text, feedback_ids=["aaaaaaaa11112222"], texts=[]) == "summary\nend"


def test_words_are_replaced_wherever_they_stand() -> None:
    text = "He said: money is gone. Twice: money is gone!"
    assert (
        without(text, feedback_ids=[], texts=["money is gone"])
        == f"He said: {REMOVED}. Twice: {REMOVED}!"
    )


def test_a_text_of_several_lines_is_found_line_by_line() -> None:
    quoted = "> first line\n> second line"
    cleaned = without(quoted, feedback_ids=[], texts=["first line\nsecond line"])
    assert "first line" not in cleaned
    assert "second line" not in cleaned


def test_very_short_texts_do_not_garble_others() -> None:
    assert without("a bad day for adbad", feedback_ids=[], texts=["bad"]) == "a bad day for adbad"


def test_a_ticket_without_its_title_says_so() -> None:
    ticket = example_ticket(title="money is gone")
    kept = ticket_without(ticket, feedback_ids=[], texts=["money is gone"])
    assert kept.title == REMOVED
    assert kept.examples == ("“upi broken” (review bbbb)",)


@given(
    before=st.text(max_size=30),
    words=st.text(min_size=4, max_size=40).filter(lambda t: len(t.strip()) >= 4),
    after=st.text(max_size=30),
)
def test_no_text_survives(before: str, words: str, after: str) -> None:
    cleaned = without(f"{before}{words}{after}", feedback_ids=[], texts=[words])
    assert words.strip() not in cleaned.replace(REMOVED, "\x00")
