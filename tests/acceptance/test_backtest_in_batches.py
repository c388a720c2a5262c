"""A backtest whose briefs are written in batches: handed in once, found by the next, mended in a third."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from closeloop.app import Workspace
from closeloop.cli.backtest_run import run_backtest
from closeloop.cli.batches import batched_model, hand_in
from closeloop.cli.main import cli
from closeloop.domain.brief import FactSheet
from closeloop.errors import UsageError
from closeloop.replay import ReplayPlan
from closeloop.testing.brief_models import writes_forged
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.openai_writing import spoken
from tests.acceptance.bad_day import NOW, prepare
from tests.acceptance.briefed import configure, opened, sheets_of

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

PLAN = ReplayPlan(start=NOW - timedelta(hours=12), end=NOW, every=timedelta(hours=6))


def backtest(folder: Path, *, batch: bool) -> tuple[Counter[str], dict[str, int]]:
    """Run the backtest; return the outcomes of its briefs, and what was handed in."""
    workspace = opened(folder)
    deferring = batched_model(workspace).deferring() if batch else None
    run_backtest(workspace, PLAN, products=(), name="b", model=deferring)
    handed = hand_in(workspace, deferring, quiet=True) if deferring is not None else {}
    workspace.close()
    with_backtest = Workspace(folder, progress=workspace.progress, backtest="b")
    rows = with_backtest.query("SELECT outcome, verified FROM gold.brief").to_pylist()
    with_backtest.close()
    assert all(row["verified"] for row in rows)
    return Counter(row["outcome"] for row in rows), handed


def collect(folder: Path) -> dict[str, int]:
    workspace = opened(folder)
    found: Counter[str] = Counter()
    for status in batched_model(workspace).advance():
        found.update(status.ended)
    workspace.close()
    return dict(found)


@pytest.fixture
def sheets(tmp_path: Path) -> list[FactSheet]:
    folder = tmp_path / "plain"
    prepare(folder)
    workspace = opened(folder)
    run_backtest(workspace, PLAN, products=(), name="b")
    workspace.close()
    tested = Workspace(folder, progress=workspace.progress, backtest="b")
    found = sheets_of(tested)
    tested.close()
    return found


@pytest.fixture
def fake(sheets: list[FactSheet]) -> Iterator[FakeOpenAI]:
    says = spoken(writes_forged([*sheets, *frozen_sheets()]))
    with FakeOpenAI(azure=True, writers={"gpt-5-mini": says}) as service:
        yield service


def test_briefs_come_in_batches_and_none_is_paid_twice(
    tmp_path: Path, fake: FakeOpenAI, sheets: list[FactSheet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    folder = tmp_path / "shop"
    prepare(folder)
    configure(folder, fake, batch_deployment="gpt-5-mini")
    first, handed = backtest(folder, batch=True)
    number = len(sheets)
    assert number > 0
    assert first == {"deferred": number}
    assert (handed["submitted"], handed["waiting"]) == (number, 0)
    assert collect(folder) == {"answered": number}
    # All were forged: what has to be mended is noted in its turn.
    second, handed = backtest(folder, batch=True)
    assert second == {"deferred": number}
    assert handed["submitted"] == number
    assert collect(folder) == {"answered": number}
    third, handed = backtest(folder, batch=True)
    assert third == {"repaired": number}
    assert handed["submitted"] == 0
    single, _ = backtest(folder, batch=False)
    assert single == third
    assert len(fake.billed) == 2 * number
    workspace = opened(folder)
    calls = workspace.call_ledger.calls()
    workspace.close()
    assert {call.state.value for call in calls if call.state} == {"answered"}
    assert all(call.batch for call in calls)


def test_without_a_language_model_there_is_no_batch(tmp_path: Path) -> None:
    (tmp_path / "closeloop.yaml").write_text("{}")
    arguments = ["--from", "2024-01-01", "--to", "2024-02-01", "--batch"]
    done = CliRunner().invoke(cli, ["-w", str(tmp_path), "-q", "backtest", *arguments])
    assert isinstance(done.exception, UsageError)
    assert "no language model" in str(done.exception)
