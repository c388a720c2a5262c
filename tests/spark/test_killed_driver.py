"""`kill -9` of Spark's driver between the two writes of a batch: replayed, no duplicates."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from closeloop.engines.local import LocalEngine
from closeloop.store.database import Database
from closeloop.store.ledger import SqlLedger
from closeloop.tables import BRONZE_FEEDBACK
from tests.spark.conftest import JARS, QUICK

SCRIPT = Path(__file__).with_name("killed_stream.py")
ROWS = 40


def run(folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    """Run the stream in a process group of its own: the JVM that a killed driver leaves ends too."""
    return subprocess.run(
        [sys.executable, SCRIPT, folder, str(kill_at)],
        capture_output=True,
        text=True,
        env={**os.environ, "SPARK_LOCAL_DIRS": str(folder / "spark")},
    )


def taken(folder: Path) -> list[str]:
    """The rows that a reader sees, read by the other engine."""
    database = Database(f"sqlite:///{folder / 'closeloop.db'}")
    head = SqlLedger(database).heads()[BRONZE_FEEDBACK.full_name]
    rows = LocalEngine(folder / "lake").read(BRONZE_FEEDBACK, version=head.version)
    database.close()
    return sorted(rows.column("source_id").to_pylist())


WRITES = 5
"""bronze, what is known of the files, the state, the step's commit, the end of the batch."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A workspace into whose folder two files have come."""
    folder = tmp_path_factory.mktemp("stream") / "prepared"
    (folder / "inbox").mkdir(parents=True)
    conf = "".join(f"    {name}: '{value}'\n" for name, value in QUICK.items())
    (folder / "closeloop.yaml").write_text(
        f"engine: spark\nspark:\n  master: local[2]\n  jars: {JARS.resolve()}\n"
        f"  driver_memory: 1g\n  conf:\n{conf}"
        "sources: {inbox: {files: [inbox]}}\n"
    )
    for part in range(2):
        lines = (
            f'{{"id": "r{i}", "text": "payment failed {i} times", "at": "2024-02-06T11:00Z"}}\n'
            for i in range(part, ROWS, 2)
        )
        (folder / "inbox" / f"{part}.jsonl").write_text("".join(lines))
    return folder


EXPECTED = sorted(f"r{i}" for i in range(ROWS))


@pytest.mark.parametrize(
    "kill_at",
    [
        pytest.param(1, id="between the first two writes"),
        pytest.param(2, id="after the second", marks=pytest.mark.slow),
        pytest.param(3, id="after the third", marks=pytest.mark.slow),
        pytest.param(4, id="before the commit", marks=pytest.mark.slow),
        pytest.param(WRITES, id="between commit and checkpoint"),
    ],
)
def test_a_batch_that_is_killed_is_replayed_without_duplicates(prepared, tmp_path, kill_at):
    folder = tmp_path / "killed"
    shutil.copytree(prepared, folder)
    killed = run(folder, kill_at)
    assert killed.returncode == -9, killed.stderr[-3000:]
    again = run(folder, 0)
    assert again.returncode == 0, again.stderr[-3000:]
    assert taken(folder) == EXPECTED


@pytest.mark.slow
def test_these_are_all_the_writes_of_a_batch_and_a_later_run_makes_none(prepared, tmp_path):
    folder = tmp_path / "whole"
    shutil.copytree(prepared, folder)
    for writes in (WRITES, 0):
        done = run(folder, 0)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.split() == ["DONE", str(writes)]
        assert taken(folder) == EXPECTED
