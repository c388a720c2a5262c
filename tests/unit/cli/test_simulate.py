"""`closeloop simulate` writes what the other commands take in."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from closeloop.cli.main import cli
from closeloop.errors import UsageError
from closeloop.testing.example_workspace import example_workspace
from closeloop.testing.simulator import SCENARIOS
from tests.unit.cli.commands import command, told


def test_a_simulated_shop_is_taken_in_whole_by_the_ordinary_commands(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    made = CliRunner().invoke(
        cli, ["simulate", "bad-release", "--out", str(shop), "--days", "33", "--per-day", "20"]
    )
    assert made.exit_code == 0, made.output
    workspace = example_workspace(tmp_path / "workspace")
    folder = workspace.folder
    report = told(folder, "ingest", str(shop / "feedback.jsonl"), "--source", "shop")
    rows = (shop / "feedback.jsonl").read_text("utf-8").splitlines()
    assert report["new"] == report["rows"] == len(rows)
    assert command(folder, "changes", "import", str(shop / "changes.jsonl")).exit_code == 0
    assert command(folder, "exposure", "import", str(shop / "exposure.jsonl")).exit_code == 0
    known = {c["name"] for c in told(folder, "changes", "list")}
    assert {"5.4.0", "express-reorder", "Paying by instalments"} <= known


def test_scenarios_are_listed_and_a_wrong_name_names_them() -> None:
    listed = CliRunner().invoke(cli, ["simulate", "--list", "--json"])
    assert {s["name"] for s in json.loads(listed.output)} == set(SCENARIOS)
    wrong = CliRunner().invoke(cli, ["simulate", "earthquake", "--out", "x"])
    assert isinstance(wrong.exception, UsageError)
    assert "bad-release" in wrong.exception.hint
