"""What is blamed is told in words: a change, the likeliest with what speaks against it, or none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from closeloop.cli.blame import blame
from closeloop.tables import SIGNAL
from closeloop.testing.example_rows import signal_row
from closeloop.workspace_folder import write_summary
from tests.unit.cli.commands import command, shop

NONE = {"kind": "none", "name": "none of these", "posterior": 0.01, "blamed": False,
        "effect": None, "effect_low": None, "exposed": None, "unexposed": None, "reasons": []}  # fmt: skip


def release(posterior: float, **changes: Any) -> dict[str, Any]:
    shown = {**NONE, "kind": "release", "name": "5.4.0", "posterior": posterior, "effect": 9.0,
             "effect_low": 2.0, "exposed": 200, "unexposed": 90}  # fmt: skip
    return {**shown, **changes}


def test_a_change_that_is_blamed_is_told_with_how_likely_it_is() -> None:
    assert blame([release(0.97, blamed=True), NONE]) == "release 5.4.0 (0.97)"
    assert blame([release(0.9999, blamed=True), NONE]) == "release 5.4.0 (>0.99)"


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (release(0.54), "the limit is 0.8"),
        (release(0.99), "its users complain no more than chance explains"),
        (
            release(0.99, reasons=["the larger trouble of the same days is not its doing"]),
            "unlikely behind the larger trouble of the same days",
        ),
        (
            release(
                0.96, exposed=9, reasons=["9 with it and 90 without: not enough to compare; 4"]
            ),
            "only 9 reviews with it to compare with 90",
        ),
        (release(0.9), "under 0.95 it must hold for 12 hours"),
        (
            release(0.9, effect_low=0.8),
            "under 0.95 it must hold for 12 hours, and its users must complain more than chance "
            "explains",
        ),
    ],
)
def test_one_that_is_not_says_which_condition_failed(candidate: dict[str, Any], why: str) -> None:
    said = blame([candidate, NONE])
    assert said == f"unsure: release 5.4.0 ({candidate['posterior']:.2f}) - {why}"


def test_none_of_these_is_said_only_where_that_is_likeliest() -> None:
    assert blame([{**NONE, "posterior": 0.93}, release(0.07)]) == "none of these (0.93)"
    said = blame([{**NONE, "posterior": 0.42}, release(0.38)])
    assert said == "unsure: none of these (0.42) or release 5.4.0 (0.38)"
    assert blame([{**NONE, "posterior": 1.0}]) == "no change is known of that time"
    assert blame([]) == "not weighed"


def test_history_is_told_as_not_weighed(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    with workspace.step("test") as step:
        step.merge(SIGNAL, SIGNAL.from_rows([signal_row("h1", historic=True, severity=None)]))
    listed = command(tmp_path, "signals", "--historic").output
    assert "not weighed" in next(line for line in listed.splitlines() if line.startswith("h1"))
    shown = command(tmp_path, "signals", "show", "h1").output
    assert "blamed: not weighed: it is of backfilled history" in shown
    assert "candidates" not in shown


def test_one_signal_of_a_backtest_is_shown_with_the_option_on_either_side(tmp_path: Path) -> None:
    shop(tmp_path).database.close()
    shutil.copytree(tmp_path / "lake", tmp_path / "backtests" / "b" / "lake")
    shutil.copy(tmp_path / "closeloop.db", tmp_path / "backtests" / "b")
    write_summary(tmp_path / "backtests" / "b", {"name": "b"})
    after = command(tmp_path, "signals", "show", "r1", "--backtest=b")
    before = command(tmp_path, "signals", "--backtest=b", "show", "r1")
    assert after.exit_code == before.exit_code == 0, after.output
    assert after.output == before.output
    assert "release 2.8.5" in after.output
