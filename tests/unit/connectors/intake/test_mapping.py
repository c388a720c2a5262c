"""Columns are guessed by name, checked on values, and corrected by what is declared."""

from __future__ import annotations

import pyarrow as pa
import pytest

from closeloop.connectors.intake.fields import CHANGE_FIELDS, FEEDBACK_FIELDS
from closeloop.connectors.intake.mapping import ColumnMapping, parse_map_options, plain, resolve
from closeloop.connectors.intake.raw import RawBatch
from closeloop.connectors.intake.times import TimeReading
from closeloop.errors import InputFileError, UsageError

TEXTS = ["the app crashes", "good", "please fix the login"]
TIMES = ["2023-02-06", "2023-02-07", "2023-02-08"]


def preview(columns: dict[str, list[object]], **flags: object) -> RawBatch:
    arrays = {name: pa.array(values) for name, values in columns.items()}
    rows = len(next(iter(arrays.values())))
    return RawBatch(
        columns=arrays,
        payload=pa.array(["{}"] * rows),
        line=pa.array(range(rows)),
        defect=pa.nulls(rows, pa.string()),
        **flags,  # type: ignore[arg-type]
    )


def guess(
    columns: dict[str, list[object]], declared: dict[str, str] | None = None, **flags: object
) -> ColumnMapping:
    return resolve(
        preview(columns, **flags),
        FEEDBACK_FIELDS,
        declared=declared or {},
        file="reviews.csv",
        reading=TimeReading(),
    )


@pytest.mark.parametrize("name", ["reviewId", "Review ID", "review-id", "REVIEW_ID", " review id "])
def test_names_are_compared_in_one_form(name: str) -> None:
    assert plain(name) == "review_id"


def test_a_play_export_needs_no_mapping() -> None:
    mapping = guess(
        {
            "app": ["a", "a", "b"],
            "reviewId": ["x1", "x2", "x3"],
            "content": TEXTS,
            "score": [1, 5, 2],
            "thumbsUpCount": [0, 0, 9],
            "at": TIMES,
            "appVersion": ["1.0", None, "1.1"],
        }
    )
    assert mapping.as_dict() == {
        "text": "content",
        "event_time": "at",
        "source_id": "reviewId",
        "rating": "score",
        "product": "app",
        "version": "appVersion",
    }
    assert mapping.left_over == ("thumbsUpCount",)
    example = next(f.example for f in mapping.fields if f.field == "text")
    assert example == "the app crashes"


def test_values_decide_where_a_name_misleads() -> None:
    mapping = guess(
        {
            "text": ["a1", "b2", "c3"],
            "content": TEXTS,
            "date": ["monday", "tuesday", "friday"],
            "created_at": TIMES,
            "id": ["one two", "three four", "five six"],
            "score": ["low", "high", "low"],
        }
    )
    assert mapping.as_dict() == {"text": "content", "event_time": "created_at"}


def test_unknown_names_are_found_by_their_values() -> None:
    mapping = guess({"q7": ["yes", "no", "yes"], "q8": TEXTS, "when": TIMES})
    assert mapping.column("text") == "q8"
    assert mapping.column("event_time") == "when"
    assert {f.how for f in mapping.fields} == {"by its values"}


def test_ten_digits_under_an_unknown_name_are_no_time() -> None:
    with pytest.raises(InputFileError, match="no column found for event_time"):
        guess({"number": ["1675684800", "1675684801", "1675684802"], "text": TEXTS})


def test_languages_without_blanks_are_texts() -> None:
    mapping = guess({"content": ["应用程序总是崩溃", "很好用的应用", "แอปพัง"], "at": TIMES})
    assert mapping.column("text") == "content"


def test_declared_columns_win_and_a_dash_leaves_out() -> None:
    columns = {"content": TEXTS, "other": TEXTS, "at": TIMES, "score": [1, 2, 3]}
    mapping = guess(columns, {"text": "other", "rating": "-"})
    assert mapping.column("text") == "other"
    assert mapping.column("rating") is None
    assert mapping.left_over == ("content", "score")


def test_a_missing_declared_column_names_those_there_are() -> None:
    with pytest.raises(InputFileError) as error:
        guess({"content": TEXTS, "at": TIMES}, {"text": "contnt"})
    assert "its columns: content, at" in error.value.message
    assert "did you mean 'content'?" in error.value.hint
    assert "--map text=COLUMN" in error.value.hint


def test_a_missing_needed_column_says_what_was_seen() -> None:
    with pytest.raises(InputFileError) as error:
        guess({"content": TEXTS, "date": ["01/02/2023", "03/04/2023", "05/06/2023"]})
    assert "day or month first?" in error.value.message
    assert "--map event_time=COLUMN" in error.value.hint
    with pytest.raises(InputFileError, match=r"column 'date' is empty"):
        guess({"content": TEXTS, "date": [None, None, None]})


def test_hostile_column_names_are_disarmed() -> None:
    with pytest.raises(InputFileError) as error:
        guess({"\x1b[31mred": ["a", "b", "c"]})
    assert "\x1b" not in str(error.value)


def test_sparse_rows_may_lack_a_declared_column_that_is_not_needed() -> None:
    columns = {"content": TEXTS, "at": TIMES}
    mapping = guess(columns, {"updated_at": "edited"}, sparse=True)
    assert mapping.column("updated_at") == "edited"
    with pytest.raises(InputFileError):
        guess(columns, {"updated_at": "edited"})


def test_nested_parts_are_found_and_cover_their_whole() -> None:
    mapping = guess(
        {"review": ['{"body": "…"}'] * 3, "review.body": TEXTS, "meta.created_at": TIMES},
        nested=frozenset({"review"}),
    )
    assert mapping.as_dict() == {"text": "review.body", "event_time": "meta.created_at"}
    assert mapping.left_over == ()


def test_releases_map_by_the_same_rules() -> None:
    batch = preview({"app": ["a"], "app_version": ["1.0"], "first_seen": TIMES[:1], "n": [3]})
    mapping = resolve(
        batch, CHANGE_FIELDS, declared={}, file="releases.parquet", reading=TimeReading()
    )
    assert mapping.as_dict() == {
        "product": "app",
        "version": "app_version",
        "started_at": "first_seen",
    }


def test_map_options() -> None:
    options = ("text=a=b", " rating = - ")
    assert parse_map_options(options, FEEDBACK_FIELDS) == {"text": "a=b", "rating": "-"}
    with pytest.raises(UsageError, match="no FIELD=COLUMN"):
        parse_map_options(("text",), FEEDBACK_FIELDS)
    with pytest.raises(UsageError) as error:
        parse_map_options(("txt=a",), FEEDBACK_FIELDS)
    assert "did you mean 'text'?" in error.value.hint
