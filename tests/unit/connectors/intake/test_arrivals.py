"""Files are taken in once as they arrive; one that can't be used holds up no other."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from closeloop.connectors.intake.arrivals import files_there, take_in_arrivals
from closeloop.connectors.intake.request import IntakeRequest
from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, QUARANTINE
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

NOW = datetime(2024, 2, 6, 12, tzinfo=UTC)
ROWS = '{"id": "%s", "text": "payment failed again", "at": "2024-02-06T11:00Z"}\n'


@pytest.fixture
def context() -> InMemoryContext:
    return InMemoryContext(config=example_configuration(), now=NOW)


def put(folder, name, text, *, age_s=60):
    path = folder / name
    path.write_text(text)
    changed = (NOW - timedelta(seconds=age_s)).timestamp()
    os.utime(path, (changed, changed))


def take(context, folder):
    report = take_in_arrivals(context, files_there([str(folder)], zone=NOW), IntakeRequest("inbox"))
    context.next_pass()
    return report


def test_nothing_has_arrived_yet(context, tmp_path):
    assert take(context, tmp_path / "absent").files == 0


def test_a_file_is_taken_in_once_and_again_when_it_has_grown(context, tmp_path):
    put(tmp_path, "a.jsonl", ROWS % "1")
    assert take(context, tmp_path).new == 1
    assert take(context, tmp_path).files == 0
    put(tmp_path, "a.jsonl", ROWS % "1" + ROWS % "2", age_s=30)
    grown = take(context, tmp_path)
    assert (grown.files, grown.new, grown.already_known) == (1, 1, 1)


def test_a_file_that_is_still_written_waits(context, tmp_path):
    put(tmp_path, "a.jsonl", ROWS % "1", age_s=1)
    assert take(context, tmp_path).files == 0
    assert take(context.next_pass(now=NOW + timedelta(seconds=5)), tmp_path).new == 1


def test_a_changed_schema_sets_that_file_aside_with_its_reason_and_the_others_go_on(
    context, tmp_path
):
    put(tmp_path, "a.csv", "id,text,at\n1,payment failed again,2024-02-06\n")
    put(tmp_path, "b.csv", "id,number\n1,2\n2,3\n")
    put(tmp_path, "c.csv", "id,text,at,new\n3,payment failed here,2024-02-06,kept\n")
    report = take(context, tmp_path)
    assert (report.files, report.new) == (3, 2)
    assert list(report.set_aside) == [str(tmp_path / "b.csv")]
    assert any("kept" in p for p in context.rows(BRONZE_FEEDBACK)["payload"].to_pylist())
    refine.run(context.as_step(refine.NAME))
    held = context.rows(QUARANTINE).to_pylist()
    assert [(row["file"], row["reason"]) for row in held] == [("b.csv", "malformed_row")]
    assert context.rows(FEEDBACK).num_rows == 2
