"""Backtests stay in their folder, and nothing else is removed in their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeloop.errors import NotFoundError, UsageError
from closeloop.workspace_folder import (
    backtest_folder,
    initialise,
    new_backtest_folder,
    write_summary,
)
from tests.unit.cli.commands import command

PATHS = ["../lake", "..", ".", "", "/tmp/elsewhere", "a/b", "a\\b", "x" * 201, "a\nb", "a b"]
DAY = ("--from", "2024-01-01", "--to", "2024-01-02")


@pytest.mark.parametrize("name", PATHS)
def test_a_name_that_is_a_path_is_refused_wherever_it_enters(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="names one folder under backtests/"):
        new_backtest_folder(tmp_path, name)
    with pytest.raises(UsageError, match="names one folder under backtests/"):
        backtest_folder(tmp_path, name)


@pytest.mark.parametrize("name", ["may-2024", "play_2024010100_2024020100", "a+3f2c", "ü.1", "..a"])
def test_a_name_of_one_component_is_taken(tmp_path: Path, name: str) -> None:
    assert new_backtest_folder(tmp_path, name) == tmp_path / "backtests" / name


def test_the_newest_one_s_name_is_taken_already(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stands for the newest"):
        new_backtest_folder(tmp_path, "latest")


def test_commands_touch_nothing_outside_backtests(tmp_path: Path) -> None:
    initialise(tmp_path)
    kept = tmp_path / "lake" / "bronze" / "kept"
    kept.parent.mkdir(parents=True)
    kept.write_text("rows")
    write_summary(tmp_path / "lake", {})
    for arguments in (
        ("backtest", *DAY, "--name", "../lake"),
        ("backtest", *DAY, "--name", ""),
        ("signals", "--backtest", "../lake"),
        ("policy", "backtest", str(tmp_path / "policy.yaml"), "--against", "../lake"),
    ):
        refused = command(tmp_path, *arguments).exception
        assert isinstance(refused, UsageError), arguments
        assert not isinstance(refused, NotFoundError), arguments
    assert kept.read_text() == "rows"


def test_only_what_a_backtest_made_is_removed_for_a_new_one(tmp_path: Path) -> None:
    root = tmp_path / "backtests"
    for name in ("finished", "interrupted", "killed-at-once", "notes", "of-tables-and-notes"):
        (root / name).mkdir(parents=True)
    write_summary(root / "finished", {})
    for name in ("interrupted", "of-tables-and-notes"):
        (root / name / "lake" / "bronze" / "feedback").mkdir(parents=True)
        (root / name / "closeloop.db").touch()
        (root / name / "closeloop.db-wal").touch()
    (root / "notes" / "why.md").touch()
    (root / "of-tables-and-notes" / "why.md").touch()
    (root / "link").symlink_to(root / "notes")
    for name in ("finished", "interrupted", "killed-at-once"):
        assert not new_backtest_folder(tmp_path, name).exists()
    for name in ("notes", "of-tables-and-notes", "link"):
        with pytest.raises(UsageError, match="holds no backtest; it stays as it is"):
            new_backtest_folder(tmp_path, name)
    assert (root / "notes" / "why.md").exists()
