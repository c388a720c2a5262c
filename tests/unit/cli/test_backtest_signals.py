"""The signals of a backtest: each with its own words, candidates and decision, tables read once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from closeloop.app import Workspace
from closeloop.cli.backtest_signals import grown, signals_of, tally
from closeloop.tables import FEEDBACK, JUDGED, SIGNAL
from closeloop.testing.example_rows import AT, signal_row
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


def test_a_signal_is_told_as_it_was_when_it_was_raised(workspace: Workspace) -> None:
    with workspace.step("test") as step:
        # It has grown since: only gold.judged still holds what was known.
        grown_row = signal_row(count=40, evidence=900.0, window_end=AT + timedelta(days=3))
        step.merge(SIGNAL, SIGNAL.from_rows([grown_row]))
        again = next(r for r in step.rows(JUDGED).to_pylist() if r["signal_id"] == "s1")
        later = {**again, "judged_at": AT + timedelta(days=3), "count": 40}
        step.append(JUDGED, JUDGED.from_rows([later]))
    found = {row["signal_id"]: row for row in signals_of(workspace)}
    assert (found["s1"]["at_raise"]["count"], found["s1"]["at_raise"]["evidence"]) == (14, 41.0)
    assert grown(found["s1"], "UTC") == "40 by 4 Mar"
    assert grown(found["r1"], "UTC") == ""


def test_what_became_of_signals_adds_up() -> None:
    rows = [
        {"action": action, "would_ticket": would}
        for action, would in (
            ("review", True), ("review", False), ("digest", True), ("digest", False),
            ("ticket", True), (None, False), ("suppress", False),
        )
    ]  # fmt: skip
    found = tally(rows)
    assert (found.signals, found.tickets, found.questions, found.would_be) == (7, 1, 3, 2)
    assert (found.digest, found.left) == (1, 2)
    assert found.tickets + found.questions + found.digest + found.left == found.signals


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
    assert sorted(reads) == [
        "gold.attribution",
        "gold.decision",
        "gold.judged",
        "silver.feedback",
    ]
