"""Runs FamPay's backtest on one engine and prints what it found.

    python -m tests.spark.fampay DATA FOLDER local|sail|spark [--since DAY] [--start DAY] [--days N] [--every HOURS]

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

from closeloop.app import Workspace
from closeloop.engines.local import LocalEngine
from closeloop.tables import ASSIGNMENT, ATTRIBUTION, DECISION, SERIES, SIGNAL, THEME, TIME
from closeloop.testing.progress import SilentProgress
from closeloop.workspace_folder import initialise
from tests.spark.conftest import QUICK

APP = "com.fampay.in"
KEY = json.dumps({"key_id": "test", "secret": "00" * 32})
COMPARED = (SIGNAL, ATTRIBUTION, DECISION, THEME, ASSIGNMENT, SERIES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=["local", "sail", "spark"])
    parser.add_argument("--since", type=utc, default="2022-11-01", help="the history's beginning")
    parser.add_argument("--start", type=utc, default="2023-02-05")
    parser.add_argument("--every", type=float, default=24)
    parser.add_argument("--days", type=float, default=3)
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
        conf = json.dumps(QUICK)
        settings = (
            f"engine: spark\nspark: {{master: 'local[2]', jars: '{options.jars}', conf: {conf}}}\n"
        )
    (options.folder / ".closeloop").mkdir(parents=True, exist_ok=True)
    (options.folder / ".closeloop" / "token.key").write_text(KEY)
    if options.cache:
        settings += f"storage: {{vector_cache: '{options.cache}'}}\n"
    (options.folder / "closeloop.yaml").write_text(settings)
    initialise(options.folder)
    seconds = backtest(options)
    print(f"{options.kind}: {seconds:.1f} s")
    sys.stdout.flush()


def utc(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def backtest(options: argparse.Namespace) -> float:
    from closeloop.cli.backtest_run import run_backtest
    from closeloop.connectors.intake.request import IntakeRequest
    from closeloop.connectors.intake.take_in import take_in
    from closeloop.replay import ReplayPlan

    workspace = Workspace(options.folder, progress=SilentProgress())
    reviews = pq.read_table(options.data / "play_reviews.parquet")
    reviews = reviews.filter(pc.equal(reviews["app"], APP))
    reviews = reviews.filter(pc.greater_equal(reviews["at"].cast(TIME), options.since))
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
    end = options.start + timedelta(days=options.days)
    plan = ReplayPlan(start=options.start, end=end, every=timedelta(hours=options.every))
    started = time.perf_counter()
    run_backtest(workspace, plan, products=[APP], name="b")
    seconds = time.perf_counter() - started
    engine = LocalEngine(options.folder / "backtests" / "b" / "lake")
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
