"""`kill -9` at every write of a run, then a run: the same tables, no second ticket."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from closeloop.loop import STAGES
from closeloop.tables import TABLES
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.example_workspace import example_workspace
from tests.acceptance.bad_day import NOW, prepare

SCRIPT = Path(__file__).with_name("killed_run.py")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A workspace with two calm months and a day of trouble, taken in and not yet run."""
    folder = tmp_path_factory.mktemp("prepared") / "workspace"
    prepare(folder)
    return folder


def contents(folder: Path):
    """All tables without the columns declared operational, and what the database holds."""
    workspace = example_workspace(folder, now=NOW)
    found = {}
    for table in TABLES:
        if table.full_name in ("silver.state", "gold.audit"):
            continue
        names = [c.name for c in table.columns if not c.operational]
        found[table.full_name] = sorted(
            json.dumps(row, default=str, sort_keys=True)
            for row in workspace.committed(table, columns=names).to_pylist()
        )
    with workspace.database.transaction() as operations:
        found["tickets"] = sorted(t.signal_id for t in operations.tickets())
        found["decisions"] = sorted(d.decision_id for d in operations.decisions())
        found["outbox"] = sorted(m.idempotency_key for m in operations.outbox())
    workspace.database.close()
    return found


def finish(folder: Path) -> None:
    workspace = example_workspace(folder, now=NOW)
    workspace.models._embedder = HashedWordEmbedder()
    workspace.run()
    workspace.database.close()


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "workspace"
    shutil.copytree(prepared, folder)
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, "0"], capture_output=True, text=True, check=True
    )
    return contents(folder), int(done.stdout.split()[-1])


def test_the_run_that_is_killed_has_something_to_lose(undisturbed):
    found, writes = undisturbed
    assert found["gold.signal"]
    assert found["decisions"]
    assert found["silver.quarantine"]
    assert writes > len(STAGES)


def test_a_run_killed_at_any_write_is_finished_by_the_next(prepared, undisturbed, tmp_path):
    expected, writes = undisturbed
    for kill_at in range(1, writes + 1):
        folder = tmp_path / f"killed{kill_at}"
        shutil.copytree(prepared, folder)
        killed = subprocess.run(
            [sys.executable, SCRIPT, folder, str(kill_at)], capture_output=True, text=True
        )
        assert killed.returncode == -9, killed.stderr
        finish(folder)
        assert contents(folder) == expected, f"killed at write {kill_at}"
        shutil.rmtree(folder)


def test_a_second_run_changes_nothing(prepared, undisturbed, tmp_path):
    expected, _ = undisturbed
    folder = tmp_path / "again"
    shutil.copytree(prepared, folder)
    finish(folder)
    finish(folder)
    assert contents(folder) == expected
