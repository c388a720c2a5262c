"""JSON rows: verbatim, nested by dotted path, one bad row one defect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closeloop.connectors.intake.json_file import JsonFile, JsonLinesFile, paths_of, pick
from closeloop.connectors.intake.raw import RawBatch
from closeloop.errors import InputFileError


def read(reader: type[JsonFile] | type[JsonLinesFile], path: Path, *wanted: str) -> RawBatch:
    (batch,) = reader(path).batches(wanted)
    return batch


def written(folder: Path, content: bytes) -> Path:
    path = folder / "reviews.json"
    path.write_bytes(content)
    return path


def test_one_bad_line_is_one_defect(tmp_path: Path) -> None:
    lines = [b'{"t": "a"}', b"{nope", b"", b"[1]", b'{"t": "b\xff"}', b"5", b'{"t": "c"}']
    batch = read(JsonLinesFile, written(tmp_path, b"\n".join(lines)), "t")
    assert batch.column("t").to_pylist() == ["a", None, None, "b\\xff", None, "c"]
    assert batch.line.to_pylist() == [1, 2, 4, 5, 6, 7]
    kinds = [d and d.partition(":")[0] for d in batch.defect.to_pylist()]
    assert kinds == [None, "malformed_row", "malformed_row", "invalid_utf8", "malformed_row", None]
    assert batch.payload[1].as_py() == "{nope"


def test_numbers_stay_as_written_and_other_types_become_text(tmp_path: Path) -> None:
    line = b'{"id": 12345678901234567890123, "n": 4.50, "b": true, "o": {"k": [1]}, "z": null}'
    batch = read(JsonLinesFile, written(tmp_path, line), "id", "n", "b", "o", "o.k", "z")
    values = {name: column[0].as_py() for name, column in batch.columns.items()}
    assert values == {
        "id": "12345678901234567890123",
        "n": "4.50",
        "b": "true",
        "o": '{"k": ["1"]}',
        "o.k": '["1"]',
        "z": None,
    }


@pytest.mark.parametrize(
    "content",
    [
        b'[{"t": "a"}, {"t": "b"}]',
        b'\xef\xbb\xbf [{"t": "a"},\n{"t": "b"}]\n',
        b'{"next": {"items": []}, "items": [{"t": "a"}, {"t": "b"}], "total": 2}',
        b'{"reviews": [{"t": "a"}, {"t": "b"}]}',
        '[{"t": "a"}, {"t": "b"}]'.encode("utf-16"),
    ],
)
def test_arrays_and_objects_with_a_list(tmp_path: Path, content: bytes) -> None:
    batch = read(JsonFile, written(tmp_path, content), "t")
    assert batch.column("t").to_pylist() == ["a", "b"]
    assert batch.payload.to_pylist() == ['{"t": "a"}', '{"t": "b"}']


def test_a_broken_item_leaves_its_neighbours(tmp_path: Path) -> None:
    content = b'[{"t": "a"}, {"t": oops}, {"t": "c\xff"}, 7, {"t": "e"}'
    batch = read(JsonFile, written(tmp_path, content), "t")
    assert batch.payload.to_pylist() == [
        '{"t": "a"}',
        '{"t": oops}',
        '{"t": "c\\xff"}',
        "7",
        '{"t": "e"}',
    ]
    kinds = [d and d.partition(":")[0] for d in batch.defect.to_pylist()]
    assert kinds == [None, "malformed_row", "invalid_utf8", "malformed_row", None]


def test_an_object_without_a_list_names_its_keys(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="its keys: status, result") as error:
        read(JsonFile, written(tmp_path, b'{"status": 1, "result": {}}'), "t")
    assert "--format jsonl" in error.value.hint


def test_half_a_surrogate_pair_is_stored(tmp_path: Path) -> None:
    batch = read(JsonLinesFile, written(tmp_path, b'{"t": "cut \\ud83d"}'), "t")
    assert batch.column("t").to_pylist() == ["cut \ufffd"]
    assert batch.payload.to_pylist() == ['{"t": "cut \\ud83d"}']
    assert batch.defect.to_pylist() == [None]


def test_paths_and_whole_objects() -> None:
    rows: list[dict[str, Any]] = [{"a": {"b": {"c": 1}}, "x.y": 2}, {"a": {"d": None}, "e": "f"}]
    names, nested = paths_of(rows)
    assert set(names) == {"a", "a.b", "a.b.c", "a.d", "x.y", "e"}
    assert nested == {"a", "a.b"}
    assert pick(rows[0], "a.b.c") == 1
    assert pick(rows[0], "x.y") == 2
    assert pick(rows[1], "a.b.c") is None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4), min_size=1, max_size=6))
def test_any_json_is_read_in_both_forms_with_the_same_payloads(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    texts = [json.dumps(row) for row in rows]
    lines = read(JsonLinesFile, written(tmp_path, "\n".join(texts).encode()))
    array = read(JsonFile, written(tmp_path, ("[" + ",".join(texts) + "]").encode()))
    assert lines.payload.to_pylist() == texts
    assert array.payload.to_pylist() == texts
    assert lines.defect.null_count == array.defect.null_count == len(rows)
