"""`kill -9` at every write of a run, then a run: the same tables, no second ticket."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from closeloop.domain.feedback import bronze_id, feedback_id
from closeloop.loop import STAGES
from closeloop.tables import BRONZE_FEEDBACK, CHANGE, TABLES
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.example_workspace import example_workspace

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
SCRIPT = Path(__file__).with_name("killed_run.py")


def rows(start: datetime, hours: int, text: str, *, every_h: float, rating: float, version: str):
    count = int(hours / every_h)
    for i in range(count):
        at = start + timedelta(hours=every_h * i)
        payload = json.dumps({"text": text, "i": i, "at": at.isoformat(), "v": version})
        source_id = f"{version}-{text[:6]}-{i}"
        yield {
            "bronze_id": bronze_id("play", source_id, payload),
            "feedback_id": feedback_id("play", source_id),
            "source": "play",
            "source_id": source_id,
            "payload": payload,
            # Short texts are nobody's copy: near duplicates would count once.
            "text": f"{text} {('shop', 'till', 'office', 'home', 'train')[i % 5]}",
            "rating": rating,
            "author": f"author {i}",
            "event_time": at,
            "ingested_at": max(at, NOW - timedelta(days=2)),
            "product": "shop-app",
            "version": version,
        }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A workspace with two calm months and a day of trouble, taken in and not yet run."""
    folder = tmp_path_factory.mktemp("prepared") / "workspace"
    workspace = example_workspace(folder, now=NOW)
    start = NOW - timedelta(days=60)
    calm = list(rows(start, 59 * 24, "great app works well", every_h=3, rating=5, version="1.0"))
    some = list(rows(start, 59 * 24, "payment failed once", every_h=40, rating=2, version="1.0"))
    some += rows(start, 59 * 24, "buttons are dead", every_h=9, rating=2, version="1.0")
    bad = list(
        rows(
            NOW - timedelta(hours=20),
            19,
            "payment failed again",
            every_h=0.5,
            rating=2,
            version="1.1",
        )
    )
    odd = [{**some[0], "bronze_id": "odd", "source_id": "odd", "feedback_id": "odd", "text": None}]
    with workspace.step("ingest") as step:
        step.append(BRONZE_FEEDBACK, BRONZE_FEEDBACK.from_rows(calm + some + bad + odd))
        release = {
            "change_id": "r11",
            "kind": "release",
            "product": "shop-app",
            "name": "1.1",
            "version": "1.1",
            "started_at": NOW - timedelta(hours=21),
            "known_at": NOW - timedelta(hours=21),
        }
        step.append(CHANGE, CHANGE.from_rows([release]))
    workspace.database.close()
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
    workspace._embedder = HashedWordEmbedder()
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
