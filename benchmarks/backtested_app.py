"""One app's real reviews and releases, taken in and backtested by the ordinary commands."""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def parsed(description: str | None, *, every: str) -> argparse.Namespace:
    """Return what was asked for: where the data are, which app, from when to when, how often."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--product", default="com.fampay.in")
    parser.add_argument("--since", default="2022-10-01")
    parser.add_argument("--start", default="2023-01-28")
    parser.add_argument("--end", default="2023-02-18")
    parser.add_argument("--every", default=every)
    return parser.parse_args()


def app_reviews(options: argparse.Namespace) -> pa.Table:
    """Return all reviews of the app."""
    table = pq.read_table(options.data / "play_reviews.parquet")
    return table.filter(pc.equal(table["app"], options.product))


def between(table: pa.Table, start: str, end: str) -> pa.ChunkedArray:
    """Return which reviews are of these days, the last one left out."""
    low, high = (datetime.fromisoformat(day) for day in (start, end))
    return pc.and_(pc.greater_equal(table["at"], low), pc.less(table["at"], high))


def take_in_and_backtest(folder: Path, reviews: pa.Table, options: argparse.Namespace) -> None:
    """Make a workspace of the reviews and the app's releases, and backtest it."""
    init = [sys.executable, "-m", "closeloop", "init", str(folder)]
    subprocess.run(init, check=True, capture_output=True)
    pq.write_table(reviews, folder / "reviews.parquet")
    releases = pq.read_table(options.data / "play_releases_inferred.parquet")
    releases = releases.filter(pc.equal(releases["app"], options.product))
    named = releases.select(["app", "app_version", "first_seen"])
    named = named.rename_columns(["product", "version", "started_at"])
    pq.write_table(named, folder / "releases.parquet")
    run(folder, "ingest", str(folder / "reviews.parquet"), "--source", "play")
    run(folder, "changes", "import", str(folder / "releases.parquet"), "--kind", "release")
    backtest(folder, options)


def backtest(
    folder: Path, options: argparse.Namespace, *, environment: dict[str, str] | None = None
) -> None:
    """Backtest a workspace over the days asked for."""
    days = ("--from", options.start, "--to", options.end, "--every", options.every)
    run(folder, "backtest", *days, environment=environment)


def run(folder: Path, *command: str, environment: dict[str, str] | None = None) -> None:
    """Run a command of closeloop in a workspace."""
    whole = [sys.executable, "-m", "closeloop", "-q", "-w", str(folder), *command]
    subprocess.run(whole, check=True, capture_output=True, env=environment)
