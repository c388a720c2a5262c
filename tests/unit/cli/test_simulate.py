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


def test_length_and_number_can_be_given_in_several_ways(tmp_path: Path) -> None:
    def made(*options: str) -> dict[str, object]:
        result = CliRunner().invoke(
            cli, ["simulate", "quiet", "--out", str(tmp_path / "x"), "--json", *options]
        )
        assert result.exit_code == 0, (result.output, result.exception)
        return dict(json.loads(result.output))

    hours = made("--hours", "36", "--per-day", "50")
    assert (hours["start"], hours["end"]) == (
        "2024-03-04T00:00:00+00:00",
        "2024-03-05T12:00:00+00:00",
    )
    span = made("--from", "2025-06-01", "--to", "2025-06-08", "--texts", "700")
    assert span["end"] == "2025-06-08T00:00:00+00:00"
    assert 560 < int(str(span["rows"])) < 840
    for wrong in (
        ("--days", "2", "--hours", "3"),
        ("--from", "2025-06-02", "--to", "2025-06-01"),
        ("--texts", "5", "--per-day", "3"),
    ):
        result = CliRunner().invoke(cli, ["simulate", "quiet", "--out", str(tmp_path), *wrong])
        assert isinstance(result.exception, UsageError)
