"""Cleaning: one form, nothing invisible, nothing lost that a reader sees."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.text.clean import clean, clean_text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  a\t b  ", "a b"),
        ("a\r\n\r\n b", "a\nb"),
        ("ｆｕｌｌ　ｗｉｄｔｈ １２", "full width 12"),
        ("a\x00b\x07c", "abc"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07x", "red x"),
        ("abc\u202edef\u2066g", "abcdefg"),
        ("a\u200bb\ufeffc\u00ad", "abc"),
        ("9\u200d8\u200c7", "987"),
        ("me&#64;example.com &amp;amp; &lt;b&gt;", "me@example.com & <b>"),
        ("AT&T &notify me", "AT&T &notify me"),
        ("👩\u200d👧 ok", "👩\u200d👧 ok"),
        ("क्\u200dष", "क्\u200dष"),
        ("hi\U000e0041\U000e0042", "hi"),
        ("👍🏽", "👍🏽"),
        ("\u200d\ufe0f \u200b", ""),
    ],
)
def test_one_form(raw: str, expected: str) -> None:
    assert clean_text(raw) == expected


def test_a_batch_keeps_nulls_and_blanks_become_null() -> None:
    texts = pa.array(["plain", None, " \u200b ", "two  spaces", "👍"])
    assert clean(texts).to_pylist() == ["plain", None, None, "two spaces", "👍"]


@given(st.lists(st.text(), max_size=5))
def test_the_batch_equals_the_text_function_and_cleaning_twice_changes_nothing(
    texts: list[str],
) -> None:
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    cleaned = clean(pa.array(texts, pa.string())).to_pylist()
    assert cleaned == [clean_text(t) or None for t in texts]
    for text in filter(None, cleaned):
        assert clean_text(text) == text
