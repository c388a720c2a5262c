"""`kill -9` of Spark's driver between the two writes of a batch: replayed, no duplicates."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def test_a_batch_killed_at_any_write_is_replayed_without_duplicates(tmp_path):
    prepared = tmp_path / "prepared"
    (prepared / "inbox").mkdir(parents=True)
    conf = "".join(f"    {name}: '{value}'\n" for name, value in QUICK.items())
    (prepared / "closeloop.yaml").write_text(
        f"engine: spark\nspark:\n  master: local[2]\n  jars: {JARS.resolve()}\n"
        f"  driver_memory: 1g\n  conf:\n{conf}"
        "sources: {inbox: {files: [inbox]}}\n"
    )
    for part in range(2):
        lines = (
            f'{{"id": "r{i}", "text": "payment failed {i} times", "at": "2024-02-06T11:00Z"}}\n'
            for i in range(part, ROWS, 2)
        )
        (prepared / "inbox" / f"{part}.jsonl").write_text("".join(lines))
    whole = tmp_path / "whole"
    shutil.copytree(prepared, whole)
    done = run(whole, 0)
    assert done.returncode == 0, done.stderr[-3000:]
    writes = int(done.stdout.split()[-1])
    assert writes >= 4
    expected = sorted(f"r{i}" for i in range(ROWS))
    assert taken(whole) == expected
    for kill_at in range(1, writes + 1):
        folder = tmp_path / f"killed{kill_at}"
        shutil.copytree(prepared, folder)
        killed = run(folder, kill_at)
        assert killed.returncode == -9, killed.stderr[-3000:]
        again = run(folder, 0)
        assert again.returncode == 0, again.stderr[-3000:]
        assert taken(folder) == expected, f"killed at write {kill_at}"
