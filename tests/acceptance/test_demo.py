"""The demo tells the whole story, and its figures are those of the tables and of the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from closeloop.app import Workspace
from closeloop.cli.main import cli
from closeloop.errors import ModelMissingError, UsageError
from closeloop.testing.progress import SilentProgress


@pytest.mark.slow
@pytest.mark.model
def test_the_demo_finds_the_bad_release_blames_no_other_and_sees_the_fix_hold(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"
    result = CliRunner().invoke(cli, ["-q", "demo", "--dir", str(folder)])
    if isinstance(result.exception, ModelMissingError):
        pytest.skip("the embedding model's weights are not installed")
    assert result.exit_code == 0, (result.output, result.exception)
    workspace = Workspace(folder, progress=SilentProgress())
    truth = json.loads((folder / "shop" / "truth" / "truth.json").read_text("utf-8"))
    (cause,) = truth["causes"]
    blamed = workspace.query(
        "SELECT DISTINCT a.name FROM gold.attribution a JOIN gold.signal s "
        "ON s.signal_id = a.signal_id WHERE a.blamed AND a.change_id IS NOT NULL AND NOT s.historic"
    ).to_pylist()
    assert [b["name"] for b in blamed] == [cause["change"]]
    found = workspace.query(
        "SELECT s.category, s.product, o.verdict, b.verified FROM gold.signal s "
        "JOIN gold.ticket t ON t.signal_id = s.signal_id "
        "JOIN gold.outcome o ON o.ticket_id = t.ticket_id "
        "JOIN gold.brief b ON b.signal_id = s.signal_id WHERE s.kind = 'category'"
    ).to_pylist()
    assert {(r["category"], r["product"]) for r in found} == {
        (cause["categories"][0], cause["product"])
    }
    assert "held" in {r["verdict"] for r in found}
    assert all(r["verified"] for r in found)
    assert "Verdict: held" in result.output
    assert "Blamed wrongly: nothing" in result.output
    accounting = workspace.query("SELECT * FROM gold.intake_accounting").to_pylist()
    assert [(r["bronze"], r["pending"]) for r in accounting] == [(truth["rows"], 0)]


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
    result = CliRunner().invoke(cli, ["demo", "--dir", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "keep me"
