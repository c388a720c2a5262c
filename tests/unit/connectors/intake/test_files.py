"""Paths, globs and folders become files; each file gets the reader that fits."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from closeloop.connectors.intake.files import find_files, open_reader
from closeloop.errors import InputFileError, UsageError


def test_files_globs_and_folders_each_once(tmp_path: Path) -> None:
    names = ("b.csv", "a.csv", "deep/c.jsonl", "notes.txt", "deep/d.PARQUET")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x", encoding="utf-8")

    def found(*paths: Path) -> list[str]:
        return [str(f.relative_to(tmp_path)) for f in find_files(paths)]

    assert found(tmp_path) == ["a.csv", "b.csv", "deep/c.jsonl", "deep/d.PARQUET"]
    assert found(tmp_path / "*.csv", tmp_path / "b.csv") == ["a.csv", "b.csv"]
    assert found(tmp_path / "**/*.jsonl") == ["deep/c.jsonl"]
    assert found(tmp_path / "notes.txt") == ["notes.txt"]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "nix.csv", "there is no file"),
        (tmp_path / "*.csv", "nothing matches"),
        (tmp_path, "holds no file to take in"),
    ):
        with pytest.raises(InputFileError, match=message):
            find_files([path])
    with pytest.raises(UsageError, match="no file given"):
        find_files([])


@pytest.mark.parametrize(
    ("name", "content", "format_name"),
    [
        ("a.csv", b"a,b\n1,2\n", "csv"),
        ("a.tsv", b"a\tb\n", "csv"),
        ("a.txt", b"a;b\n1;2\n", "csv"),
        ("a.ndjson", b'{"a": 1}\n', "jsonl"),
        ("a.json", b'[{"a": 1}]', "json"),
        ("a.json", b'{"items": [{"a": 1}]}', "json"),
        ("a.json", b'{\n  "items": [{"a": 1}]}', "json"),
        ("a.json", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("export", b'\xef\xbb\xbf[{"a": 1}]', "json"),
    ],
)
def test_format_by_name_or_content(
    tmp_path: Path, name: str, content: bytes, format_name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert open_reader(path, format_name=None, encoding=None).format == format_name


def test_parquet_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "part-0000"
    pq.write_table(pa.table({"a": [1]}), path)
    assert open_reader(path, format_name=None, encoding=None).format == "parquet"


def test_what_is_none_of_them(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(InputFileError, match="is none of csv, jsonl, json, parquet"):
        open_reader(path, format_name=None, encoding=None)
    path.write_bytes(b"")
    with pytest.raises(InputFileError, match="empty"):
        open_reader(path, format_name="csv", encoding=None)
    with pytest.raises(UsageError, match="no such encoding"):
        open_reader(path, format_name="csv", encoding="klingon")
