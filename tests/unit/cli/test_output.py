"""What customers wrote can't drive a terminal, a spreadsheet or a reader of JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from closeloop.cli.output import csv_cell, print_csv, print_json, print_table, safe, shorten


@given(st.text())
def test_safe_text_holds_no_control_or_format_characters(text):
    import unicodedata

    for character in safe(text):
        assert character == "\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")


@given(st.text(max_size=200), st.integers(min_value=1, max_value=50))
def test_shortened_text_fits(text, width):
    assert len(shorten(text, width)) <= width


def test_escape_sequences_are_shown():
    assert safe("\x1b[2Jhi\u202e") == "\\x1b[2Jhi\\u202e"


def test_formulas_are_disarmed():
    for start in "=+-@":
        assert str(csv_cell(f"{start}cmd|' /C calc'!A0")).startswith("'")
    assert csv_cell("fine") == "fine"
    assert csv_cell(-3) == -3


def test_tables_and_json_without_a_terminal(capsys):
    print_table(("a", "b"), [("x", None), ("\x1b[31m", 3)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.splitlines()[1].split() == ["x", "-"]
    print_table(("a",), [], empty="none")
    assert capsys.readouterr().out == "none\n"
    print_csv(("a",), [("=1",)])
    assert capsys.readouterr().out == "a\n'=1\n"
    print_json({"a": "\x1b"})
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert json.loads(out) == {"a": "\x1b"}
