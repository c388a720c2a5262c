"""Quarantined rows are read again under today's mapping; what can be read is taken in again."""

from __future__ import annotations

from pathlib import Path

from closeloop.connectors.intake.request import IntakeRequest
from closeloop.connectors.intake.retry import read_again
from closeloop.connectors.intake.take_in import take_in
from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, QUARANTINE, SUPERSEDED
from closeloop.testing.context import InMemoryContext


def quarantined(tmp_path: Path) -> InMemoryContext:
    path = tmp_path / "reviews.csv"
    path.write_text(
        "content,at,when,score\n"
        "it is bad,2024-02-01,2024-02-01,1\n"
        "it is bad,soon,2024-02-02,1\n"
        "it is bad,later,never,1\n"
        "broken,row\n",
        encoding="utf-8",
    )
    context = InMemoryContext()
    take_in(context, [path], IntakeRequest("play", mapping={"event_time": "at"}))
    refine.run(context.as_step(refine.NAME))
    context.as_step("ingest")
    assert sorted(context.rows(QUARANTINE)["reason"].to_pylist()) == [
        "malformed_row",
        "unreadable_time",
        "unreadable_time",
    ]
    return context


def test_another_column_cures_and_the_books_balance(tmp_path: Path) -> None:
    context = quarantined(tmp_path)
    report = read_again(context, mappings={"play": {"event_time": "when"}})
    assert (report.looked_at, report.cured, report.still) == (2, 1, {"unreadable_time": 1})
    refine.run(context.as_step(refine.NAME))
    assert context.rows(FEEDBACK).num_rows == 2
    assert context.rows(SUPERSEDED)["reason"].to_pylist() == ["cured"]
    left = context.rows(QUARANTINE)["reason"].to_pylist()
    assert sorted(left) == ["malformed_row", "unreadable_time"]
    assert context.rows(BRONZE_FEEDBACK).num_rows == 5
    assert context.rows(BRONZE_FEEDBACK)["file"].to_pylist()[-1] == "reviews.csv"


def test_without_a_better_mapping_nothing_changes(tmp_path: Path) -> None:
    context = quarantined(tmp_path)
    report = read_again(context, mappings={})
    assert (report.cured, report.still) == (0, {"unreadable_time": 2})
    assert context.rows(BRONZE_FEEDBACK).num_rows == 4


def test_twice_before_a_run_is_once(tmp_path: Path) -> None:
    context = quarantined(tmp_path)
    for _ in range(2):
        read_again(context, mappings={"play": {"event_time": "when"}})
    assert context.rows(BRONZE_FEEDBACK).num_rows == 5


def test_source_and_reason_narrow_it(tmp_path: Path) -> None:
    context = quarantined(tmp_path)
    better = {"play": {"event_time": "when"}}
    assert read_again(context, sources=["other"], mappings=better).looked_at == 0
    assert read_again(context, reasons=["no_text"], mappings=better).looked_at == 0
