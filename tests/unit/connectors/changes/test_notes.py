"""Reading commits and release notes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.connectors.changes.notes import MAX_ITEMS, parse_notes
from closeloop.errors import UsageError


def items(*given_texts: str | None) -> list[tuple[str, str, list[str]]]:
    return [(i["id"], i["text"], i["paths"]) for i in json.loads(parse_notes(*given_texts) or "[]")]


def test_lines_of_notes_lose_their_bullets_and_get_numbers():
    assert items("- New look\n\n* Faster search\n3) Bug fixes") == [
        ("1", "New look", []),
        ("2", "Faster search", []),
        ("3", "Bug fixes", []),
    ]


def test_one_line_logs_keep_their_hashes():
    assert items("3f2c1ab Retry payments\n90abcde Polish") == [
        ("3f2c1ab", "Retry payments", []),
        ("90abcde", "Polish", []),
    ]


def test_commits_are_read_with_ids_and_paths():
    held = [
        {"sha": "abc", "message": "Retry payments\n\nlong body", "files": ["pay/Retry.kt"]},
        {"id": 7, "title": "Polish", "path": "ui/a.kt"},
        "Plain text",
        {"paths": ["only/paths"]},
    ]
    assert items(json.dumps(held)) == [
        ("abc", "Retry payments", ["pay/Retry.kt"]),
        ("7", "Polish", ["ui/a.kt"]),
        ("3", "Plain text", []),
    ]


def test_commits_and_notes_are_one_list():
    assert [t for _, t, _ in items('["A commit"]', "A note")] == ["A commit", "A note"]


@pytest.mark.parametrize("text", [None, "", "  \n ", "[]", "{}"])
def test_nothing_is_nothing(text):
    assert parse_notes(text) is None


def test_broken_json_is_refused_with_an_example():
    with pytest.raises(UsageError, match="no notes") as raised:
        parse_notes('[{"id": ')
    assert "subject" in str(raised.value.hint)


def test_what_is_too_long_is_cut():
    assert len(items("\n".join(f"line {n}" for n in range(9 * MAX_ITEMS)))) == MAX_ITEMS


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        found = items(text)
    except UsageError:
        return
    assert all(given_id and said for given_id, said, _ in found)
