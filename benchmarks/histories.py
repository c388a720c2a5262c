"""The whole review histories of 14 apps through the whole loop, and a reader's judgement of a sample.

    python benchmarks/histories.py --data DIR --work FOLDER [--every 24h] [--only APP,APP]
    python benchmarks/histories.py --work FOLDER --sample 50 [--texts 12]

DIR holds play_reviews.parquet (app, review_id, content, score, app_version, at) and
play_releases_inferred.parquet (app, app_version, first_seen). Each app has a workspace of its own with
the default configuration; four weeks train, the rest is replayed as `closeloop backtest` does. FOLDER
keeps the vectors, the workspaces, and each app's signals with customers' masked words; an app that is
there already is left out. The first command prints would-be tickets by app and month, and what was
read (fixtures/would_be_tickets_read.csv); the second draws signals to be read, the same ones each
time: would-be tickets first, then those that went to a person or the digest.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.app import Workspace
from closeloop.cli.backtest_run import run_backtest
from closeloop.cli.backtest_signals import signals_of
from closeloop.cli.blame import blame
from closeloop.cli.signals import what
from closeloop.connectors.changes.change_rows import import_changes
from closeloop.connectors.changes.reading import ImportRequest
from closeloop.connectors.intake.request import IntakeRequest
from closeloop.connectors.intake.take_in import take_in
from closeloop.replay import ReplayPlan
from closeloop.settings import duration
from closeloop.testing.progress import SilentProgress
from closeloop.workspace_folder import initialise

Row = dict[str, Any]

TRAINING = timedelta(days=28)
MONTH_DAYS = 365.25 / 12
READ = Path(__file__).parents[1] / "tests" / "fixtures" / "would_be_tickets_read.csv"
KEPT_TEXTS = 40
SEED = 7


def main() -> None:
    """Replay what is missing, and print; or draw a sample to read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--every", default="24h")
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--texts", type=int, default=12)
    options = parser.parse_args()
    if options.sample:
        _print_sample(_results(options.work), options.sample, texts=options.texts)
        return
    if options.data is not None:
        pa.set_cpu_count(1)
        reviews = pq.read_table(options.data / "play_reviews.parquet")
        releases = pq.read_table(options.data / "play_releases_inferred.parquet")
        sizes = Counter(reviews.column("app").to_pylist())
        for app in sorted(sizes, key=lambda a: (sizes[a], a)):
            if app in options.only.split(",") or not options.only:
                own = pc.equal(reviews.column("app"), app)
                changes = releases.filter(pc.equal(releases.column("app"), app))
                _replay(app, reviews.filter(own), changes, options.work, duration(options.every))
    _print_months(_results(options.work))


def _replay(app: str, reviews: pa.Table, releases: pa.Table, work: Path, every: timedelta) -> None:
    """Write an app's would-be tickets into FOLDER/APP.json, where they are not there yet."""
    result = work / f"{app}.json"
    if result.exists():
        return
    folder = work / app
    shutil.rmtree(folder, ignore_errors=True)
    workspace = _workspace(folder, reviews, releases, vectors=work / "vectors")
    times = pc.min_max(reviews.column("at").cast(pa.timestamp("us", "UTC"))).as_py()
    plan = ReplayPlan(
        start=times["min"].replace(hour=0, minute=0, second=0) + TRAINING,
        end=times["max"] + timedelta(hours=1),
        every=every,
    )
    summary = run_backtest(workspace, plan, products=[], name="history")
    tested = Workspace(folder, progress=SilentProgress(), backtest="history")
    found = signals_of(tested, quotations=KEPT_TEXTS)
    told = {"app": app, "signals": [_told(row) for row in found], **summary}
    result.write_text(json.dumps(told, default=str, indent=1), "utf-8")
    print(f"{app}: {summary['passes']} looks in {summary['seconds']:.0f} s", flush=True)


def _workspace(folder: Path, reviews: pa.Table, releases: pa.Table, *, vectors: Path) -> Workspace:
    initialise(folder)
    path = folder / "closeloop.yaml"
    text = path.read_text("utf-8")
    text = text.replace("vector_cache: cache/vectors", f"vector_cache: {vectors.resolve()}")
    path.write_text(text.replace("#  threads: 2", "  threads: 1"), "utf-8")
    pq.write_table(reviews, folder / "reviews.parquet")
    pq.write_table(releases, folder / "releases.parquet")
    workspace = Workspace(folder, progress=SilentProgress())
    with workspace.step("ingest") as step:
        take_in(step, [folder / "reviews.parquet"], IntakeRequest(source="play"))
    with workspace.step("changes") as step:
        import_changes(step, [folder / "releases.parquet"], ImportRequest(), kind="release")
    return workspace


def _told(row: Row) -> Row:
    """Return what a reader needs of a signal, with its customers' longest masked words."""
    return {
        "signal_id": row["signal_id"],
        "would_ticket": bool(row["would_ticket"]),
        "action": row["action"],
        "raised": row["detected_at"].isoformat(),
        "kind": row["kind"],
        "what": what(row),
        "category": row["category"],
        "count": row["count"],
        "expected": round(row["baseline"], 1),
        "severity": row["severity"],
        "trust": row["trust"],
        "child": row["parent_id"] is not None,
        "blamed": blame(row["candidates"]),
        "texts": [(q["rating"], q["version"], q["text"]) for q in row["quotations"]],
    }


def _results(work: Path) -> list[Row]:
    return [json.loads(p.read_text("utf-8")) for p in sorted(work.glob("*.json"))]


def _months(result: Row) -> float:
    span = datetime.fromisoformat(result["to"]) - datetime.fromisoformat(result["from"])
    return span / timedelta(days=MONTH_DAYS)


def _print_months(results: list[Row]) -> None:
    read = _readings()
    print(f"{'app':40} {'months':>6} {'signals':>7} {'would-be tickets':>16} {'a month':>8}")
    for result in results:
        own = [s for s in result["signals"] if s["would_ticket"]]
        _print_line(result["app"], _months(result), len(result["signals"]), len(own))
    months = sum(map(_months, results))
    signals = [(r["app"], s) for r in results for s in r["signals"]]
    tickets = [(app, s) for app, s in signals if s["would_ticket"]]
    _print_line("all", months, len(signals), len(tickets))
    by_month = Counter((app, t["raised"][:7]) for app, t in tickets)
    print(
        f"app-months with more than one: {sum(n > 1 for n in by_month.values())}, by app and month:"
    )
    for (app, month), number in sorted(by_month.items()):
        print(f"  {app} {month}: {number}")
    for name, chosen in (("would-be tickets", tickets), ("signals", signals)):
        known = {s["signal_id"] for _, s in chosen}
        verdicts = Counter(r["verdict"] for key, r in read.items() if key in known)
        print(
            f"read of the {name}: {verdicts.total()} of {len(chosen)}; "
            + ", ".join(f"{n} {v}" for v, n in verdicts.most_common())
        )


def _print_line(app: str, months: float, signals: int, tickets: int) -> None:
    print(f"{app:40} {months:6.1f} {signals:7} {tickets:16} {tickets / months:8.2f}")


def _readings() -> dict[str, Row]:
    if not READ.exists():
        return {}
    lines = [x for x in READ.read_text("utf-8").splitlines() if not x.startswith("#")]
    return {row["signal_id"]: row for row in csv.DictReader(lines)}


def _print_sample(results: list[Row], number: int, *, texts: int) -> None:
    """Print signals in an order drawn once, would-be tickets first."""
    signals = sorted(((r["app"], s) for r in results for s in r["signals"]), key=_place)
    drawn = random.Random(SEED).sample(signals, len(signals))
    drawn.sort(key=lambda item: not item[1]["would_ticket"])
    for place, (app, ticket) in enumerate(drawn[:number], 1):
        print(
            f"\n#{place} {app} {ticket['signal_id']} raised {ticket['raised'][:13]} {ticket['kind']} "
            f"{ticket['what']} [{ticket['category']}]: {ticket['count']} complaints, "
            f"{ticket['expected']} expected, {ticket['severity']}, "
            f"{'would be a ticket' if ticket['would_ticket'] else ticket['action']}, "
            f"blamed: {ticket['blamed']}"
        )
        for rating, version, text in ticket["texts"][:texts]:
            stars = "-" if rating is None else f"{rating:.0f}"
            print(f"   {stars}* {version or ''}: {text[:300]!r}")


def _place(item: tuple[str, Row]) -> tuple[str, str]:
    return item[0], str(item[1]["signal_id"])


if __name__ == "__main__":
    main()
