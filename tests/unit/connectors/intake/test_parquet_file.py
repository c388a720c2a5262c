"""Parquet: the file's own types, nested fields by path, bytes that are no UTF-8 marked."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from closeloop.connectors.intake.parquet_file import ParquetFile
from closeloop.errors import InputFileError


def written(folder: Path, columns: dict[str, pa.Array], **options: object) -> Path:
    path = folder / "reviews.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_types_and_payload(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "id": pa.array([1, 2], pa.int32()),
            "at": pa.array([datetime(2023, 2, 6, 12), None], pa.timestamp("us")),  # noqa: DTZ001
            "text": pa.array(['a "b"\n', None]).dictionary_encode(),
            "who": pa.array([{"name": "x", "tags": ["p"]}, None]),
            "price": pa.array([Decimal("1.50"), None]),
        },
    )
    (batch,) = ParquetFile(path).batches([])
    assert batch.column("at").type == pa.timestamp("us")
    assert batch.column("who.name").to_pylist() == ["x", None]
    assert batch.nested == {"who"}
    assert json.loads(batch.payload[0].as_py()) == {
        "id": "1",
        "at": "2023-02-06 12:00:00.000000",
        "text": 'a "b"\n',
        "who": '{"name": "x", "tags": ["p"]}',
        "price": "1.50",
    }
    assert set(json.loads(batch.payload[1].as_py()).values()) == {"2", None}


def test_bytes_that_are_no_text_mark_their_row(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"bad \xff", None], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 3, raw.buffers(), null_count=1)
    (batch,) = ParquetFile(written(tmp_path, {"text": texts})).batches([])
    assert batch.column("text").to_pylist() == ["fine", "bad \\xff", None]
    assert [d is None for d in batch.defect.to_pylist()] == [True, False, True]
    assert batch.defect[1].as_py().startswith("invalid_utf8: ")


def test_lines_go_on_over_row_groups(tmp_path: Path) -> None:
    path = written(tmp_path, {"n": pa.array(range(10))}, row_group_size=3)
    lines = [n for batch in ParquetFile(path).batches([]) for n in batch.line.to_pylist()]
    assert lines == list(range(1, 11))
    assert ParquetFile(path).num_rows == 10


def test_no_parquet_and_a_torn_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"id,text\n1,a\n")
    with pytest.raises(InputFileError, match="can't be read as Parquet"):
        ParquetFile(path)
    whole = written(tmp_path, {"text": pa.array([f"text {i}" for i in range(5_000)])})
    data = bytearray(whole.read_bytes())
    data[40:4_000] = bytes(3_960)
    whole.write_bytes(bytes(data))
    with pytest.raises(InputFileError, match="can't be read as Parquet"):
        list(ParquetFile(whole).batches([]))


def test_a_file_without_rows_has_columns(tmp_path: Path) -> None:
    reader = ParquetFile(written(tmp_path, {"text": pa.array([], pa.string())}))
    assert list(reader.preview().columns) == ["text"]
    assert reader.preview().num_rows == 0
