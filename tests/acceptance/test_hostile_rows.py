"""Hostile rows: no traceback, no raw escape on the terminal, and every row accounted for."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closeloop.app import Workspace
from closeloop.cli.main import cli
from closeloop.connectors.intake.request import IntakeReport, IntakeRequest
from closeloop.connectors.intake.take_in import take_in
from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, QUARANTINE, SUPERSEDED
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_workspace import example_workspace
from closeloop.testing.hostile import GENERATORS, HostileFile, hostile_csv

# The columns are declared: this is about rows, and a guess may fairly refuse such a file.
MAPPING = {
    "source_id": "review_id",
    "text": "content",
    "rating": "score",
    "event_time": "at",
    "product": "app",
    "version": "app_version",
}
ROWS = 10_000


def ingest(context: InMemoryContext, path: Path) -> IntakeReport:
    return take_in(context, [path], IntakeRequest("play", mapping=MAPPING))


def check_intake(file: HostileFile, report: IntakeReport, bronze: pa.Table) -> None:
    assert report.rows == report.new + report.already_known
    assert bronze.num_rows == report.new
    assert len(set(bronze["bronze_id"].to_pylist())) == bronze.num_rows
    if file.rows is not None:
        assert report.rows == file.rows
    payloads = "\n".join(bronze["payload"].to_pylist())
    lost = [mark for mark in file.markers if mark not in payloads]
    assert lost == []


def check_accounting(context: InMemoryContext) -> None:
    bronze = context.rows(BRONZE_FEEDBACK, columns=["bronze_id"])["bronze_id"].to_pylist()
    ended: list[str] = []
    for table in (FEEDBACK, QUARANTINE, SUPERSEDED):
        ended += context.rows(table, columns=["bronze_id"])["bronze_id"].to_pylist()
    assert sorted(ended) == sorted(bronze)


@pytest.mark.parametrize("kind", GENERATORS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rng=st.randoms(use_true_random=False), rows=st.integers(1, 40))
def test_any_hostile_file_is_taken_in_whole(
    tmp_path: Path, kind: str, rng: Random, rows: int
) -> None:
    file = GENERATORS[kind](rng, rows)
    context = InMemoryContext()
    path = file.write(tmp_path)
    report = ingest(context, path)
    check_intake(file, report, context.rows(BRONZE_FEEDBACK))
    again = ingest(context.next_pass(), path)
    assert (again.new, again.already_known) == (0, report.rows)


@pytest.mark.parametrize("kind", GENERATORS)
def test_ten_thousand_hostile_rows_end_in_exactly_one_table(tmp_path: Path, kind: str) -> None:
    share = ROWS // len(GENERATORS)
    file = GENERATORS[kind](Random(f"closeloop {kind}"), share)
    context = InMemoryContext()
    report = ingest(context, file.write(tmp_path))
    check_intake(file, report, context.rows(BRONZE_FEEDBACK))
    assert report.rows >= share * 0.75, "two broken items may be read as one, not whole stretches"
    refine.run(context.as_step(refine.NAME))
    check_accounting(context)
    assert context.rows(QUARANTINE).num_rows > 0
    assert context.rows(FEEDBACK).num_rows > share // 10


def test_the_command_prints_no_escape_and_no_traceback(tmp_path: Path) -> None:
    workspace = example_workspace(tmp_path / "workspace")
    assert isinstance(workspace, Workspace)
    path = hostile_csv(Random(5), 2_000).write(tmp_path, "evil\x1b[31m\u202e")
    maps = [part for field, column in MAPPING.items() for part in ("--map", f"{field}={column}")]
    arguments = ["-w", str(workspace.folder), "ingest", str(path), "--source", "play", *maps]
    result = CliRunner().invoke(cli, arguments)
    assert result.exception is None, result.output
    assert "rows in" in result.output
    shown = set(result.output) - {"\n"}
    assert not [c for c in shown if c < " " or c in "\x7f\u202e\u2066\u200b\ufeff"]
