"""Runs FamPay's backtest on one engine and prints what it found: python fampay.py DATA FOLDER KIND …

    python fampay.py DATA FOLDER local|sail|spark [--every HOURS] [--days N]

Writes FOLDER/found.json with signals, themes, assignments and decisions, and prints the seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.app import Workspace, initialise
from closeloop.engines.local import LocalEngine
from closeloop.tables import ASSIGNMENT, ATTRIBUTION, DECISION, SERIES, SIGNAL, THEME
from closeloop.testing.progress import SilentProgress

APP = "com.fampay.in"
START = datetime(2023, 2, 1, tzinfo=UTC)
KEY = json.dumps({"key_id": "test", "secret": "00" * 32})
COMPARED = (SIGNAL, ATTRIBUTION, DECISION, THEME, ASSIGNMENT, SERIES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=["local", "sail", "spark"])
    parser.add_argument("--every", type=float, default=6)
    parser.add_argument("--days", type=float, default=11)
    parser.add_argument("--jars", type=Path)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    with_sail = None
    settings = "engine: local\n"
    if options.kind == "sail":
        from pysail.spark import SparkConnectServer

        with_sail = SparkConnectServer()
        with_sail.start()
        settings = (
            f"engine: spark\nspark: {{remote: 'sc://127.0.0.1:{with_sail.listening_address[1]}'}}\n"
        )
    if options.kind == "spark":
        settings = f"engine: spark\nspark: {{master: 'local[2]', jars: '{options.jars}'}}\n"
    (options.folder / ".closeloop").mkdir(parents=True, exist_ok=True)
    (options.folder / ".closeloop" / "token.key").write_text(KEY)
    if options.cache:
        settings += f"storage: {{vector_cache: '{options.cache}'}}\n"
    (options.folder / "closeloop.yaml").write_text(settings)
    initialise(options.folder)
    seconds = backtest(options)
    print(f"{options.kind}: {seconds:.1f} s")
    sys.stdout.flush()


def backtest(options: argparse.Namespace) -> float:
    from closeloop.cli.backtest import _history
    from closeloop.connectors.intake.request import IntakeRequest
    from closeloop.connectors.intake.take_in import take_in
    from closeloop.replay import ReplayPlan

    workspace = Workspace(options.folder, progress=SilentProgress())
    reviews = pq.read_table(options.data / "play_reviews.parquet")
    reviews = reviews.filter(pc.equal(reviews.column("app"), APP))
    pq.write_table(reviews, options.folder / "reviews.parquet")
    mapping = {
        "text": "content",
        "rating": "score",
        "event_time": "at",
        "source_id": "review_id",
        "product": "app",
        "version": "app_version",
    }
    with workspace.step("ingest") as step:
        take_in(step, [options.folder / "reviews.parquet"], IntakeRequest("play", mapping))
    end = START + timedelta(days=options.days)
    bronze, changes, exposure = _history(workspace, [APP], until=end)
    plan = ReplayPlan(start=START, end=end, every=timedelta(hours=options.every))
    into = options.folder / "backtests" / "b"
    started = time.perf_counter()
    workspace.replay(plan, bronze, changes=changes, exposure=exposure, into=into)
    seconds = time.perf_counter() - started
    engine = LocalEngine(into / "lake")
    found = {}
    for table in COMPARED:
        names = [c.name for c in table.columns if not c.operational]
        rows = engine.read(table, version=engine.version(table), columns=names).to_pylist()
        found[table.full_name] = sorted(
            json.dumps(row, default=str, sort_keys=True) for row in rows
        )
    (options.folder / "found.json").write_text(json.dumps(found))
    print({name: len(rows) for name, rows in found.items()})
    return seconds


if __name__ == "__main__":
    main()
