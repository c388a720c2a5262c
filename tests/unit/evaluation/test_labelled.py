"""A labelled file is read by ingest's readers; what can't be used is counted with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeloop.errors import InputFileError, UsageError
from closeloop.evaluation.labelled import parse_pairs, spellings
from tests.unit.evaluation.trials import jsonl, read


def test_rows_without_text_label_or_shape_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,label\ngood,a\n,b\nbad,\n,\n" ",c\nthree,fields,here\nfine,a\n')
    found = read(path)
    assert found.labels == ["a", "a"]
    assert found.rows.column("line").to_pylist() == [2, 8]
    assert dict(found.left_out) == {"no_text": 3, "no_label": 1, "malformed_row": 1}
    assert found.total == found.rows.num_rows + found.left_out.total()


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"txet": "good", "label": "a"}])
    with pytest.raises(InputFileError, match="no column 'text'") as caught:
        read(path)
    assert "columns found: label, txet" in caught.value.hint
    assert "did you mean 'txet'" in caught.value.hint


def test_a_json_column_may_occur_late(tmp_path: Path) -> None:
    rows = [{"text": f"t{i}"} for i in range(1_500)]
    assert read(jsonl(tmp_path / "rows.jsonl", [*rows, {"text": "x", "label": "a"}])).labels == [
        "a"
    ]


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no_label 1"):
        read(jsonl(tmp_path / "rows.jsonl", [{"text": "good", "label": None}]))


def test_a_sample_is_a_draw_that_repeats_and_keeps_the_order(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"text": "t", "label": str(i)} for i in range(200)])
    drawn = [int(x) for x in read(path, sample=50).labels]
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 50
    assert drawn == [int(x) for x in read(path, sample=50).labels]
    assert drawn != [int(x) for x in read(path, sample=50, seed=8).labels]
    assert read(path, sample=500).rows.num_rows == 200


def test_times_and_stars_are_read_where_they_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label,at,stars\ngood,a,2024-01-02 03:04,4\nbad,b,sometime,x\n")
    found = read(path, time="at", rating="stars")
    assert found.rows.column("time").to_pylist()[0].isoformat() == "2024-01-02T03:04:00+00:00"
    assert found.rows.column("rating").to_pylist() == [4.0]
    assert dict(found.left_out) == {"no_time": 1}


def test_names_are_compared_without_case_and_joints() -> None:
    assert spellings("Payment_Failure ") == spellings("payment failure") == "payment failure"


def test_map_options_are_label_and_meaning() -> None:
    assert parse_pairs(["a=b=praise", "x = other"], option="--map") == [
        ("a=b", "praise"),
        ("x", "other"),
    ]
    with pytest.raises(UsageError, match="is no LABEL=MEANING"):
        parse_pairs(["praise"], option="--map")
