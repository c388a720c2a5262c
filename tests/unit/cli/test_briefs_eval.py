"""`closeloop briefs eval` measures the configured writer and says what is worse than before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from closeloop.errors import UsageError
from closeloop.evaluation.briefs import evaluate_writer, worse
from closeloop.models.model_writer import ModelWriter
from closeloop.stages.fact_sheet import as_json
from closeloop.testing.brief_models import writes_forged, writes_good
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.example_rows import AT
from closeloop.testing.example_workspace import example_workspace
from closeloop.testing.language_models import ScriptedLanguageModel
from closeloop.testing.progress import SilentProgress
from tests.unit.cli.commands import command, told
from tests.unit.models.briefing import door

FEW = frozen_sheets()[:3]


def test_the_deterministic_writer_is_grounded_on_every_sheet_and_can_be_the_baseline(
    tmp_path: Path,
) -> None:
    example_workspace(tmp_path, now=AT)
    shown = command(tmp_path, "briefs", "eval", "--save")
    assert shown.exit_code == 0, shown.output
    assert "first time" in shown.output
    again = command(tmp_path, "briefs", "eval", "--json")
    assert again.exit_code == 0
    figures = json.loads(again.output)
    assert figures["first_time"] == figures["briefs"] == len(frozen_sheets())
    assert (figures["ungrounded"], figures["worse"]) == (0, [])


def test_a_figure_worse_than_the_baseline_is_exit_one(tmp_path: Path) -> None:
    example_workspace(tmp_path, now=AT)
    better = {"briefs": 3, "first_time": 4, "fallback": 0, "input_tokens": 0, "output_tokens": 0}
    (tmp_path / "better.json").write_text(json.dumps(better))
    options = ("--limit", "3", "--baseline", str(tmp_path / "better.json"))
    shown = command(tmp_path, "briefs", "eval", *options)
    assert shown.exit_code == 1
    assert "worse: first time: 100%, before 133%" in shown.output


def test_sheets_of_ones_own_are_read_line_by_line(tmp_path: Path) -> None:
    example_workspace(tmp_path, now=AT)
    file = tmp_path / "sheets.jsonl"
    file.write_text("\n".join(as_json(s, basis={}) for s in FEW) + "\n\n")
    assert told(tmp_path, "briefs", "eval", str(file))["briefs"] == len(FEW)
    file.write_text(as_json(FEW[0], basis={}) + "\n{}\n")
    failed = command(tmp_path, "briefs", "eval", str(file)).exception
    assert isinstance(failed, UsageError)
    assert "sheets.jsonl:2" in str(failed)


@pytest.mark.parametrize("text", ["no json", "{}", '{"briefs": "x"}'])
def test_a_baseline_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    example_workspace(tmp_path, now=AT)
    (tmp_path / "bad.json").write_text(text)
    failed = command(tmp_path, "briefs", "eval", "--baseline", str(tmp_path / "bad.json"))
    assert isinstance(failed.exception, UsageError)


def test_a_model_that_forges_is_worse_than_one_that_does_not() -> None:
    good = ModelWriter(ScriptedLanguageModel(writes_good(FEW)), door())
    bad = ModelWriter(ScriptedLanguageModel(writes_forged(FEW, mends=False)), door())
    before = evaluate_writer(good, FEW, SilentProgress())
    now = evaluate_writer(bad, FEW, SilentProgress())
    assert (before.first_time, before.fallback, now.first_time, now.fallback) == (3, 0, 0, 3)
    assert now.ungrounded == 0
    assert any("first time" in line for line in worse(now, before.to_json()))
    assert worse(before, before.to_json()) == []
    assert worse(before, now.to_json()) == []
