"""Erased feedback leaves no words and no id in any text; other text stays as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.erasure import REMOVED, Forgotten, ticket_without
from closeloop.testing.store_contract import example_ticket


def without(text: str, *, feedback_ids: list[str], texts: list[str]) -> str:
    return Forgotten.of(feedback_ids=feedback_ids, texts=texts).cut(text)


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
    text = "a bad day for adbad: “bad”, “bad enough”"
    cleaned = f"a bad day for adbad: {REMOVED}, “bad enough”"
    assert without(text, feedback_ids=[], texts=["bad", ""]) == cleaned


def test_a_ticket_without_its_title_says_so() -> None:
    ticket = example_ticket(title="money is gone")
    kept = ticket_without(ticket, Forgotten.of(feedback_ids=[], texts=["money is gone"]))
    assert kept.title == REMOVED
    assert kept.examples == ("“upi broken” (review bbbb)",)


@given(
    before=st.text(max_size=30),
    words=st.text(min_size=8, max_size=40).filter(lambda t: len(t.strip()) >= 8),
    after=st.text(max_size=30),
)
def test_no_text_survives(before: str, words: str, after: str) -> None:
    cleaned = without(f"{before}{words}{after}", feedback_ids=[], texts=[words])
    assert words.strip() not in cleaned.replace(REMOVED, "\x00")


def test_a_hundred_thousand_texts_are_looked_for_at_once() -> None:
    texts = [f"complaint number {i} of a customer" for i in range(100_000)]
    gone = Forgotten.of(feedback_ids=[], texts=texts)
    assert gone.inside(b"..." * 1_000_000) == []
    assert gone.cut(f"he wrote {texts[77_777]}!") == f"he wrote {REMOVED}!"
