"""A broken CSV row costs that row only."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closeloop.connectors.intake.csv_file import MAX_RECORD_LINES, CsvFile
from closeloop.connectors.intake.raw import HARD_CAP_BYTES
from closeloop.errors import InputFileError


def read(folder: Path, content: bytes, encoding: str = "utf-8") -> pa.Table:
    path = folder / "reviews.csv"
    path.write_bytes(content)
    batches = list(CsvFile(path, encoding=encoding).batches([]))
    return pa.concat_tables(
        pa.table({**b.columns, "payload": b.payload, "line": b.line, "defect": b.defect})
        for b in batches
    )


def test_quotes_newlines_and_delimiters_in_fields(tmp_path: Path) -> None:
    rows = read(tmp_path, b'id,text\n1,"two\nlines, ""quoted"""\n\n2,plain\n')
    assert rows["text"].to_pylist() == ['two\nlines, "quoted"', "plain"]
    assert rows["line"].to_pylist() == [2, 5]
    assert json.loads(rows["payload"][0].as_py()) == {"id": "1", "text": 'two\nlines, "quoted"'}


@pytest.mark.parametrize(
    "broken",
    [
        b"2,too,many,fields",
        b"too few",
        b'2,"never closed,5',
        b'2,"closed" badly,5',
        b'"2,opens at the start,5',
        b"2,bad \xff bytes,5",
        b'2,"bad \xff bytes",5',
    ],
)
def test_a_broken_row_leaves_its_neighbours(tmp_path: Path, broken: bytes) -> None:
    content = b'id,text,stars\n1,"before, it",1\n' + broken + b'\n3,"after, it",3\n4,last,4\n'
    rows = read(tmp_path, content).to_pylist()
    good = [row for row in rows if row["defect"] is None]
    bad = [row for row in rows if row["defect"] is not None]
    assert [row["id"] for row in good] == ["1", "3", "4"]
    assert len(bad) == 1
    assert bad[0]["line"] == 3
    assert bad[0]["id"] is None
    expected = "invalid_utf8" if b"\xff" in broken else "malformed_row"
    assert bad[0]["defect"].startswith(expected)
    assert bad[0]["payload"] == broken.decode("utf-8", "backslashreplace")


def test_a_quote_never_closed_swallows_no_file(tmp_path: Path) -> None:
    plain = b"".join(b"%d,fine\n" % i for i in range(3 * MAX_RECORD_LINES))
    rows = read(tmp_path, b'id,text\nx,"open\n' + plain)
    assert rows.num_rows == 3 * MAX_RECORD_LINES + 1
    assert rows["defect"].null_count == 3 * MAX_RECORD_LINES


def test_nul_and_huge_fields_survive(tmp_path: Path) -> None:
    huge = "x" * 300_000
    rows = read(tmp_path, f"id,text\n1,a\x00b\n2,{huge}\n".encode())
    assert rows["text"].to_pylist() == ["a\x00b", huge]
    assert json.loads(rows["payload"][0].as_py())["text"] == "a\x00b"


def test_a_row_beyond_the_hard_cap_is_cut_and_says_so(tmp_path: Path) -> None:
    giant = b"y" * (HARD_CAP_BYTES + 5_000_000)
    rows = read(tmp_path, b"id,text\n1," + giant + b"\n2,fine\n")
    assert rows["defect"][0].as_py() == (
        f"payload_too_large: {len(giant) + 2:,} bytes, its first {HARD_CAP_BYTES:,} kept"
    )
    assert len(rows["payload"][0].as_py()) == HARD_CAP_BYTES
    assert rows["text"].to_pylist() == [None, "fine"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("id;text\n1;Größe\n".encode("cp1252"), "cp1252"),
        ("\ufeffid;text\n1;Größe\n".encode(), "utf-8"),
        ("id;text\n1;Größe\n".encode("utf-16"), "utf-8"),
        ("id;text\n1;Größe\n".encode("utf-16-le"), "utf-16-le"),
        ("id\ttext\r\n1\tGröße\r\n".encode(), "utf-8"),
        ("id|text\r1|Größe\r".encode(), "utf-8"),
        ("id,text\n1,Größe".encode(), "utf-8"),
    ],
)
def test_encodings_delimiters_and_line_ends(tmp_path: Path, content: bytes, encoding: str) -> None:
    rows = read(tmp_path, content, encoding)
    assert rows["text"].to_pylist() == ["Größe"]
    assert rows["id"].to_pylist() == ["1"]
    assert rows["defect"].to_pylist() == [None]


def test_header_names_are_made_distinct(tmp_path: Path) -> None:
    rows = read(tmp_path, b"text,text,,\na,b,c,d\n")
    assert rows.column_names[:4] == ["text", "text_2", "column_3", "column_4"]


def test_a_header_alone_is_no_row_and_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    assert read(tmp_path, b"id,text\n").num_rows == 0
    with pytest.raises(InputFileError, match="empty"):
        read(tmp_path, b"\n\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
            min_size=3,
            max_size=3,
        ),
        max_size=8,
    ),
    quote_all=st.booleans(),
)
def test_what_a_csv_writer_writes_comes_back(
    tmp_path: Path, rows: list[list[str]], quote_all: bool
) -> None:
    buffer = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(buffer, lineterminator="\n", quoting=quoting)
    writer.writerows([["a", "b", "c"], *rows])
    table = read(tmp_path, buffer.getvalue().encode())
    assert table["defect"].null_count == len(rows)
    assert [list(row) for row in zip(*(table[n].to_pylist() for n in "abc"), strict=True)] == rows
    fields = [list(json.loads(p).values()) for p in table["payload"].to_pylist()]
    assert fields == rows
