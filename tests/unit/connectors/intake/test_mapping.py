"""Columns are guessed by name, checked on values, and corrected by what is declared."""

from __future__ import annotations

from dataclasses import replace

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


DATA = {
    "times": ["2020-01-25 23:51:46.000000", "Feb 6, 2023 at 10:00 AM", "6 February 2023"],
    "numbers": ["1 250,00", "EUR 5", "12.50 EUR"],
    "quantities": ["5 stars", "12 km", "3 days"],
    "codes": ["+49 170 1234567", "5.1.0 (412) b", "52.52 N, 13.40 E"],
    "lists": ["[[0.0, 1.0]]", '["slow app", "no login"]', "['slow app', 'no login']"],
    "objects": ['{"a": "slow app"}', "{'a': 'slow app'}", '{"b": [1, 2]}'],
    "addresses": ["https://a.example/x https://b.example/y", "www.a.example, www.b.example"] * 2,
    "signs": ["- -", "! !", "* * *"],
}


@pytest.mark.parametrize("name", DATA)
def test_what_reads_as_data_is_no_text_under_an_unknown_name(name: str) -> None:
    values = DATA[name][:3]
    with pytest.raises(InputFileError, match="no column found for text"):
        guess({"app": ["a", "b", "c"], "first_seen": TIMES, "q1": values})
    # It is longer than the text beside it, and not preferred; what is declared or named counts.
    assert guess({"q1": values, "q2": ["i go", "bad", "no go"], "at": TIMES}).column("text") == "q2"
    assert guess({"q1": values, "at": TIMES}, {"text": "q1"}).column("text") == "q1"
    assert guess({"review": values, "at": TIMES}).column("text") == "review"


@pytest.mark.parametrize(
    "values",
    [
        ["good app", "👍 👍", "ok"],
        ["बहुत अच्छा", "ऐप बंद हो जाता है", "बढ़िया ऐप"],
        ["应用程序总是崩溃", "很好用的应用", "好"],
        ["2.0版本闪退严重", "应用程序5星好评", "很好用 5星"],
        ["बहुत 5 अच्छा", "ऐप 2 बार", "बढ़िया"],
        ["تطبيق سيئ", "لا يعمل أبدا", "جيد"],
        ["👍👍👍👍", "😡 😡", "❤️ ❤️"],
        ["[Bug] crash after 2.0", "{sigh} again", "[never works]"],
        ["10/10 would buy again", "crashed on 2023-02-06 again", "see https://a.example please"],
    ],
)
def test_short_texts_of_any_script_are_found_under_an_unknown_name(values: list[object]) -> None:
    mapping = guess({"q1": values, "when": TIMES})
    assert mapping.as_dict() == {"text": "q1", "event_time": "when"}


def test_a_name_of_another_field_is_no_text() -> None:
    columns: dict[str, list[object]] = {
        "device": ["Galaxy S Plus", "Pixel Pro", "Galaxy Note"],
        "customer_name": ["Jo Doe", "Al Roe", "Bo Poe"],
        "when": TIMES,
    }
    with pytest.raises(InputFileError) as error:
        guess(columns)
    assert error.value.message.endswith(
        "its columns: device ('Galaxy S Plus'), customer_name ('Jo '…), when ('2023-02-06')"
    )
    assert "--map text=COLUMN" in error.value.hint
    assert "closeloop changes import" in error.value.hint


def broken(columns: dict[str, list[object]]) -> RawBatch:
    rows = preview(columns)
    return replace(rows, defect=pa.array(["malformed_row: x"] * rows.num_rows))


def test_a_file_without_a_readable_row_is_refused_unless_its_header_names_a_field() -> None:
    nothing: list[object] = [None, None]
    reading = TimeReading()
    with pytest.raises(InputFileError, match="none of the first 2 rows can be read"):
        resolve(
            broken({"\x8f\x03": nothing}), FEEDBACK_FIELDS, declared={}, file="r", reading=reading
        )
    named = broken({"id": nothing, "text": nothing, "at": nothing})
    # Its rows go to quarantine, where the right encoding can cure them.
    resolve(named, FEEDBACK_FIELDS, declared={}, file="r", reading=reading)
    unusual = broken({"Kommentar": nothing, "Datum": nothing})
    declared = {"text": "Kommentar", "event_time": "Datum"}
    resolve(unusual, FEEDBACK_FIELDS, declared=declared, file="r", reading=reading)


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
