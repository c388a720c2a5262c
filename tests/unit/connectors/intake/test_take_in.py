"""Files become bronze rows; rows in = new + already known, however often and in whatever form."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from closeloop.connectors.intake.request import IntakeReport, IntakeRequest
from closeloop.connectors.intake.take_in import take_in
from closeloop.domain.feedback import SourceProfile, anonymous_source_id, bronze_id, feedback_id
from closeloop.errors import InputFileError, UsageError
from closeloop.tables import BRONZE_FEEDBACK
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

REAL = Path(__file__).parents[5] / "shared" / "data"


def csv_file(folder: Path, *rows: str, name: str = "reviews.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(("id,content,score,at", *rows)) + "\n", encoding="utf-8")
    return path


def ingest(context: InMemoryContext, *paths: Path, **request: Any) -> IntakeReport:
    report = take_in(context, paths, IntakeRequest("play", **request))
    assert report.rows == report.new + report.already_known
    return report


def bronze(context: InMemoryContext) -> list[dict[str, Any]]:
    return context.rows(BRONZE_FEEDBACK).to_pylist()


def test_a_row_with_everything(tmp_path: Path) -> None:
    row = {
        "id": "r1",
        "text": "my order never arrived",
        "created_at": "2024-02-01T10:00:00+01:00",
        "updated_at": "2024-02-02T00:00:00Z",
        "rating": 1,
        "author": "jo",
        "locale": "de_DE",
        "app": "Shop App",
        "app_version": "v2.1",
        "platform": "android",
        "device": "Pixel",
        "channel": "ticket",
        "order_id": "A-1",
        "order_value": "12,50",
        "sku": "S1",
        "country": "DE",
        "warehouse": "BER1",
        "tier": "gold",
        "flags": {"new_checkout": True},
    }
    path = tmp_path / "tickets.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    context = InMemoryContext()
    report = ingest(context, path)
    (got,) = bronze(context)
    assert report.files[0].mapping.left_over == ()
    assert got == {
        "bronze_id": bronze_id("play", "r1", json.dumps(row)),
        "feedback_id": feedback_id("play", "r1"),
        "source": "play",
        "source_id": "r1",
        "payload": json.dumps(row),
        "text": "my order never arrived",
        "rating": 1.0,
        "author": "jo",
        "event_time": datetime(2024, 2, 1, 9, tzinfo=UTC),
        "event_time_raw": "2024-02-01T10:00:00+01:00",
        "updated_at": datetime(2024, 2, 2, tzinfo=UTC),
        "ingested_at": context.now,
        "locale": "de_DE",
        "product": "Shop App",
        "version": "v2.1",
        "platform": "android",
        "device": "Pixel",
        "channel": "ticket",
        "order_ref": "A-1",
        "order_value": 12.5,
        "sku": "S1",
        "region": "DE",
        "fulfilment_centre": "BER1",
        "customer_tier": "gold",
        "flag_states": '{"new_checkout": true}',
        "defect": None,
        "file": "tickets.jsonl",
        "line": 1,
        "batch_id": context.batch_id,
    }


def test_the_same_file_again_brings_nothing(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "1,it is bad,1,2024-02-01", "2,it is good,5,2024-02-01")
    context = InMemoryContext()
    assert ingest(context, path).new == 2
    before = bronze(context)
    again = ingest(context.next_pass(), path)
    assert (again.new, again.already_known) == (0, 2)
    assert bronze(context) == before


def test_the_same_row_twice_counts_once_with_an_id_and_twice_without(tmp_path: Path) -> None:
    row = "it is bad,1,2024-02-01"
    context = InMemoryContext()
    with_id = ingest(context, csv_file(tmp_path, f"7,{row}", f"7,{row}"))
    assert (with_id.new, with_id.already_known) == (1, 1)
    without = csv_file(tmp_path, f",{row}", f",{row}", name="anonymous.csv")
    assert ingest(context, without).new == 2
    ids = [r["source_id"] for r in bronze(context) if r["file"] == "anonymous.csv"]
    payload = bronze(context)[-1]["payload"]
    assert ids == [anonymous_source_id("play", payload, n) for n in (0, 1)]
    assert ingest(context.next_pass(), without).already_known == 2


def test_another_payload_of_the_same_id_is_a_new_row_of_the_same_feedback(tmp_path: Path) -> None:
    context = InMemoryContext()
    ingest(context, csv_file(tmp_path, "7,it is bad,1,2024-02-01"))
    ingest(context, csv_file(tmp_path, "7,it is better,3,2024-02-03"))
    rows = bronze(context)
    assert len({r["feedback_id"] for r in rows}) == 1
    assert len({r["bronze_id"] for r in rows}) == 2


def test_what_cannot_be_read_is_null_with_a_defect(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "1,it is bad,five,2024-02-01",
        "2,it is bad,5,some\x1bday",
        "3,too,many,fields,here",
        "4,it is fine,5,2024-02-01",
        "5,it is fine,,",
    )
    context = InMemoryContext()
    report = ingest(context, path)
    rows = bronze(context)
    assert [r["defect"] for r in rows] == [
        "unreadable_number: rating 'five'",
        "unreadable_time: event_time 'some\\\\x1bday'",
        "malformed_row: expected 4 fields, found 5",
        None,
        None,
    ]
    assert [r["rating"] for r in rows] == [None, 5.0, None, 5.0, None]
    assert rows[1]["event_time_raw"] == "some\x1bday"
    assert rows[2]["payload"] == "3,too,many,fields,here"
    assert report.defects == {"malformed_row": 1, "unreadable_number": 1, "unreadable_time": 1}


def test_a_corrected_mapping_cures_rows_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text(
        "id,content,score,at,when\n1,it is bad,1,2024-02-01,2024-02-01\n"
        "2,it is bad,1,soon,2024-02-02\n",
        encoding="utf-8",
    )
    context = InMemoryContext()
    assert ingest(context, path).defects == {"unreadable_time": 1}
    cured = ingest(context.next_pass(), path, mapping={"event_time": "when"})
    assert (cured.new, cured.cured, cured.already_known) == (1, 1, 1)
    for mapping in ({"event_time": "when"}, {}):
        again = ingest(context.next_pass(), path, mapping=mapping)
        assert (again.new, again.already_known) == (0, 2)
    second = [r for r in bronze(context) if r["source_id"] == "2"]
    assert [r["event_time"] is None for r in second] == [True, False]
    assert len({r["bronze_id"] for r in second}) == 2
    assert len({r["feedback_id"] for r in second}) == 1


def test_zone_and_format_of_the_source_count(tmp_path: Path) -> None:
    config = replace(
        example_configuration(),
        sources=(SourceProfile("play", timezone="Asia/Kolkata", time_format="%d.%m.%y %H:%M"),),
    )
    context = InMemoryContext(config=config)
    report = ingest(context, csv_file(tmp_path, "1,it is bad,1,01.02.24 12:00"))
    assert bronze(context)[0]["event_time"] == datetime(2024, 2, 1, 6, 30, tzinfo=UTC)
    assert (report.timezone, report.files[0].zoneless) == ("Asia/Kolkata", 1)


def test_product_option_and_folder_of_forms(tmp_path: Path) -> None:
    csv_file(tmp_path, "1,it is bad,1,2024-02-01")
    (tmp_path / "b.json").write_text(
        '{"reviews": [{"id": "2", "body": "it is worse", "at": "2024-02-02"}]}', encoding="utf-8"
    )
    context = InMemoryContext()
    report = ingest(context, tmp_path, product="wallet")
    assert [f.format for f in report.files] == ["json", "csv"]
    assert [r["product"] for r in bronze(context)] == ["wallet", "wallet"]


@pytest.mark.parametrize("seed", range(30))
def test_random_bytes_are_no_feedback(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "noise.csv"
    path.write_bytes(Random(seed).randbytes(3000))
    context = InMemoryContext()
    with pytest.raises(InputFileError, match=r"noise\.csv: (none of the first|no column found)"):
        ingest(context, path)
    assert bronze(context) == []


def test_broken_rows_under_a_good_header_are_kept(tmp_path: Path) -> None:
    context = InMemoryContext()
    report = ingest(context, csv_file(tmp_path, "1,too,few", "2,one,too,many,fields"))
    assert report.new == 2
    assert [row["defect"].partition(":")[0] for row in bronze(context)] == ["malformed_row"] * 2


def test_nothing_is_written_where_one_file_cannot_be_used(tmp_path: Path) -> None:
    good = csv_file(tmp_path, "1,it is bad,1,2024-02-01")
    bad = tmp_path / "b.csv"
    bad.write_text("colour,size\nred,1\n", encoding="utf-8")
    context = InMemoryContext()
    with pytest.raises(InputFileError, match=r"colour \('red'\), size \('1'\)"):
        ingest(context, good, bad)
    assert bronze(context) == []
    with pytest.raises(UsageError, match="the source has no name"):
        take_in(context, [good], IntakeRequest(" "))


def test_a_future_time_that_has_come_is_taken_in_again(tmp_path: Path) -> None:
    from closeloop.stages import refine

    context = InMemoryContext()
    soon = context.now + timedelta(days=10)
    path = csv_file(tmp_path, f"1,it will be bad,1,{soon:%Y-%m-%d}")
    ingest(context, path)
    refine.run(context.as_step(refine.NAME))
    assert ingest(context.as_step("ingest"), path).new == 0
    assert ingest(context.next_pass(now=soon), path).cured == 1


@pytest.mark.realdata
@pytest.mark.skipif(not REAL.is_dir(), reason="the development data is not here")
def test_real_reviews_need_no_mapping() -> None:
    context = InMemoryContext()
    report = ingest(context, REAL / "play_reviews.parquet")
    assert (report.rows, report.new, report.defects) == (136_422, 136_422, {})
    assert report.files[0].mapping.as_dict() == {
        "text": "content",
        "event_time": "at",
        "source_id": "review_id",
        "rating": "score",
        "product": "app",
        "version": "app_version",
    }
    with pytest.raises(InputFileError, match="no column found for event_time"):
        ingest(context, REAL / "banking77.parquet")
