"""The signals of a backtest: each with its own words, candidates and decision, tables read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeloop.app import Workspace
from closeloop.cli.backtest_signals import signals_of
from closeloop.tables import FEEDBACK
from tests.unit.cli.commands import MINE, OTHER, WORDS, shop


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return shop(tmp_path)


def test_each_signal_brings_its_own(workspace: Workspace) -> None:
    found = {row["signal_id"]: row for row in signals_of(workspace)}
    assert set(found) == {"s1", "r1"}
    for row in found.values():
        assert [q["text"] for q in row["quotations"]] == [WORDS[OTHER], WORDS[MINE]]
        assert row["reasons"]
        assert row["decided_at"] is not None
    posteriors = [c["posterior"] for c in found["r1"]["candidates"]]
    assert posteriors == sorted(posteriors, reverse=True)
    assert posteriors


def test_words_that_were_not_masked_stay_out(workspace: Workspace) -> None:
    with workspace.step("test") as step:
        rows = step.rows(FEEDBACK).to_pylist()
        step.merge(
            FEEDBACK,
            FEEDBACK.from_rows(
                {**r, "masker": None if r["feedback_id"] == MINE else r["masker"]} for r in rows
            ),
        )
    for row in signals_of(workspace):
        assert [q["feedback_id"] for q in row["quotations"]] == [OTHER]


def test_tables_are_read_once_however_many_signals(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []
    committed = workspace.committed
    monkeypatch.setattr(
        workspace,
        "committed",
        lambda *a, **k: (reads.append(a[0].full_name), committed(*a, **k))[1],
    )
    assert len(signals_of(workspace, quotations=1)) == 2
    assert sorted(reads) == ["gold.attribution", "gold.decision", "silver.feedback"]
