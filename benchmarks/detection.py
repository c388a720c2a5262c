"""What detection and attribution say of five known events, and how long a scan takes.

    python benchmarks/detection.py --data DIR [--only fampay,cred] [--every 3] [--threshold 45] [--no-scan]

DIR holds play_reviews.parquet (app, review_id, content, score, app_version, at) and
play_releases_inferred.parquet (app, app_version, first_seen). Categories come from a few words, so
that detection is measured by itself, without heads, vectors and themes. Each event is lived through
from the day before it, in passes some hours apart; what came before is history. Words name eight series;
with themes a product has about 45, so evidence must reach 45 here too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.domain.configuration import Configuration
from closeloop.domain.taxonomy import Category, Taxonomy
from closeloop.stages import attribute, detect
from closeloop.tables import ATTRIBUTION, CHANGE, ENRICHMENT, FEEDBACK, SIGNAL, TIME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

WORDS = {
    "account access": r"log ?in|sign ?in|otp|password|block|suspend|freez|froze|locked|kyc|verif",
    "payment failure": r"upi|payment|pay\b|transact|transfer|debited|deduct|refund|money stuck",
    "broken UI": r"\bui\b|design|interface|layout|navigat|confus|cluttered|redesign|\blook",
    "performance": r"slow|crash|hang|lag|load|freez|stuck|open(ing)?\b",
    "billing": r"fee|charge|subscription|cost|price",
    "product quality": r"reward|cashback|offer|coin|scam|fraud|fake",
    "customer support": r"support|customer (care|service)|response|reply|call",
    "other complaint": r"worst|bad|useless|problem|issue|error|not work|doesn.t|can.t|unable",
}
"""The first that matches names the category; a text without any of them has none."""
NEGATIVE = {1: 0.95, 2: 0.9, 3: 0.7, 4: 0.4, 5: 0.1}
"""Stand-in for the judgement of tone, by stars."""
FEW_WORDS = 3


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, and the release that is to be named (None: no release)."""

    name: str
    app: str
    start: datetime
    end: datetime
    release: str | None


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


EVENTS = (
    Event("fampay", "com.fampay.in", _day("2023-02-02"), _day("2023-02-12"), "2.8.5"),
    Event("fampay-artefact", "com.fampay.in", _day("2023-02-02"), _day("2023-02-05"), None),
    Event("cred", "com.dreamplug.androidapp", _day("2022-03-24"), _day("2022-04-04"), "3.0.1.5"),
    Event("greenlight", "me.greenlight", _day("2021-01-14"), _day("2021-01-26"), "4.0.1"),
    Event("greenlight-login", "me.greenlight", _day("2020-07-17"), _day("2020-07-28"), None),
    Event("epifi", "com.epifi.paisa", _day("2022-08-02"), _day("2022-08-14"), None),
)


def main() -> None:
    """Live through the events, then scan the whole history; print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default=",".join(e.name for e in EVENTS))
    parser.add_argument("--every", type=int, default=3, help="hours between passes")
    parser.add_argument("--threshold", type=float, default=45.0, help="evidence that raises")
    parser.add_argument("--no-scan", action="store_true")
    options = parser.parse_args()
    config = configuration(threshold=options.threshold)
    reviews = _reviews(options.data)
    releases = _releases(options.data)
    for event in EVENTS:
        if event.name in options.only.split(","):
            _live_through(
                event, reviews, releases, config=config, every=timedelta(hours=options.every)
            )
    if not options.no_scan:
        _scan_history(reviews, config)


def configuration(*, threshold: float) -> Configuration:
    """Return the example policy over the categories that words stand in for."""
    taxonomy = Taxonomy(
        categories=(
            *(Category(name, name, ()) for name in WORDS),
            Category("praise", "praise", (), complaint=False),
        ),
        version="words-1",
    )
    example = example_configuration()
    policy = replace(example.policy, false_alarms_per_month=len(WORDS) / threshold)
    return replace(example, taxonomy=taxonomy, policy=policy, products=())


def _reviews(data: Path) -> pa.Table:
    """Return the reviews as rows of silver.feedback and silver.enrichment side by side."""
    raw = pq.read_table(data / "play_reviews.parquet").sort_by([("at", "ascending")])
    text = raw.column("content").cast(pa.string())
    stars = raw.column("score").to_numpy()
    lowered = pc.utf8_lower(text)
    category = pa.chunked_array([pa.nulls(len(text), pa.string())])
    for name, pattern in reversed(WORDS.items()):
        category = pc.if_else(pc.match_substring_regex(lowered, pattern), name, category)
    category = pc.if_else(pa.array(stars >= 5), pa.scalar("praise"), category)
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(text)))
    at = raw.column("at").cast(TIME)
    size = raw.num_rows
    return pa.table(
        {
            "feedback_id": raw.column("review_id").cast(pa.string()),
            "revision": pa.repeat(1, size),
            "product": raw.column("app").cast(pa.string()),
            "version": raw.column("app_version").cast(pa.string()),
            "event_time": at,
            "known_at": at,
            "text": text,
            "masker": pa.repeat("1", size),
            "rating": pa.array(stars.astype(np.float64)),
            "trust": pa.repeat(1.0, size),
            "sentiment": pa.array(np.array([NEGATIVE[int(s)] for s in stars])),
            "category": category,
            "category_confidence": pa.repeat(0.7, size),
            "content_free": pc.less(words, FEW_WORDS),
        }
    )


def _releases(data: Path) -> list[dict[str, Any]]:
    rows = pq.read_table(data / "play_releases_inferred.parquet").to_pylist()
    return [
        {
            "change_id": f"{r['app']}/{r['app_version']}",
            "kind": "release",
            "product": r["app"],
            "name": r["app_version"],
            "version": r["app_version"],
            "started_at": (began := r["first_seen"].replace(tzinfo=UTC)),
            "known_at": began,
        }
        for r in rows
    ]


def _between(rows: pa.Table, start: datetime | None, end: datetime) -> pa.Table:
    at = rows.column("event_time")
    wanted = pc.less(at, pa.scalar(end, TIME))
    if start is not None:
        wanted = pc.and_(wanted, pc.greater_equal(at, pa.scalar(start, TIME)))
    return rows.filter(wanted)


def _write(context: InMemoryContext, rows: pa.Table, *, backfill: bool) -> None:
    """Put rows where refine and enrich would leave them."""
    context.as_step("enrich")
    for table in (FEEDBACK, ENRICHMENT):
        names = [n for n in rows.column_names if n in {c.name for c in table.columns}]
        own = rows.select(names)
        if table is FEEDBACK:
            own = own.append_column("backfill", pa.repeat(backfill, own.num_rows))
        context.append(table, table.conform(own))


def _passes(event: Event, every: timedelta) -> Iterator[tuple[datetime, datetime]]:
    start = event.start
    while start < event.end:
        yield start, start + every
        start += every


def _live_through(
    event: Event,
    reviews: pa.Table,
    releases: Sequence[dict[str, Any]],
    *,
    config: Configuration,
    every: timedelta,
) -> None:
    own = reviews.filter(pc.equal(reviews.column("product"), event.app))
    context = InMemoryContext(config=config, now=event.start)
    known = [r for r in releases if r["product"] == event.app]
    context.as_step("changes").merge(CHANGE, CHANGE.from_rows(known))
    _write(context, _between(own, None, event.start), backfill=True)
    _step(context)
    print(f"\n== {event.name}: {event.app}, to be named: {event.release or 'no release'}")
    first: dict[str, dict[str, Any]] = {}
    blamed: dict[tuple[str, str], tuple[datetime, float]] = {}
    spent = []
    for since, until in _passes(event, every):
        context.next_pass(now=until)
        _write(context, _between(own, since, until), backfill=False)
        began = time.perf_counter()
        _step(context)
        spent.append(time.perf_counter() - began)
        for row in _signals(context):
            first.setdefault(row["signal_id"], {**row, "seen": until})
            for found in _blamed(context, row["signal_id"]):
                blamed.setdefault(
                    (row["signal_id"], found["name"]), (until, float(found["posterior"]))
                )
    for row in first.values():
        _print_signal(context, row, blamed)
    names = sorted({name for _, name in blamed})
    right = names == ([event.release] if event.release else [])
    print(f"   blamed: {', '.join(names) or 'none'}: {'as it should be' if right else 'WRONG'}")
    print(
        f"   a pass: {1000 * float(np.mean(spent)):.0f} ms on average, {1000 * max(spent):.0f} ms at most"
    )


def _step(context: InMemoryContext) -> None:
    detect.run(context.as_step("detect"))
    attribute.run(context.as_step("attribute"))
    context.as_step("look")


def _signals(context: InMemoryContext) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = context.rows(SIGNAL, where=[("historic", "=", False)]).to_pylist()
    return sorted(rows, key=lambda r: (r["detected_at"], r["signal_id"]))


def _blamed(context: InMemoryContext, signal_id: str) -> list[dict[str, Any]]:
    where = [("signal_id", "=", signal_id), ("blamed", "=", True)]
    rows: list[dict[str, Any]] = context.rows(ATTRIBUTION, where=where).to_pylist()
    return rows


def _print_signal(
    context: InMemoryContext,
    row: dict[str, Any],
    blamed: dict[tuple[str, str], tuple[datetime, float]],
) -> None:
    rows = context.rows(ATTRIBUTION, where=[("signal_id", "=", row["signal_id"])]).to_pylist()
    best = max(rows, key=lambda r: (r["posterior"], r["name"]), default=None)
    print(
        f"   {row['seen']:%m-%d %H:%M} {row['kind']} {row['series_id']}: n {row['count']}, "
        f"expected {row['baseline']:.1f}, evidence {row['evidence']:.3g} of {row['threshold']:.0f}, "
        f"e-BH {'passed' if row['fdr_pass'] else 'not passed'}"
    )
    for (signal_id, name), (at, share) in blamed.items():
        if signal_id == row["signal_id"]:
            print(f"      blamed {name} on {at:%m-%d %H:%M} ({share:.2f})")
    if best is not None:
        effect = "" if best["effect"] is None else f", odds ratio {best['effect']:.1f}"
        print(f"      at the end: {best['name']} {best['posterior']:.2f}{effect}")


def _scan_history(reviews: pa.Table, config: Configuration) -> None:
    """Scan the whole history in one pass, as the first run over a backfilled file does."""
    newest = pc.max(reviews.column("event_time")).as_py()
    context = InMemoryContext(config=config, now=newest + timedelta(hours=1))
    _write(context, reviews, backfill=True)
    began = time.perf_counter()
    detect.run(context.as_step("detect"))
    seconds = time.perf_counter() - began
    counts = dict(context.counts)
    context.as_step("look")
    signals = context.rows(SIGNAL, columns=["product", "kind", "historic"])
    months = _months(reviews)
    print(
        f"\n== the whole history: {reviews.num_rows:,} reviews, {months:.0f} product-months, "
        f"{counts.get('looks', 0):,} looks in {seconds:.1f} s"
    )
    for kind in ("category", "release"):
        own = pc.sum(pc.equal(signals.column("kind"), kind)).as_py() or 0
        print(f"   {own} {kind} signals, {own / months:.2f} a product-month")
    acting = pc.sum(pc.invert(signals.column("historic"))).as_py() or 0
    print(f"   {acting} of them not historic")


def _months(reviews: pa.Table) -> float:
    spans = reviews.group_by("product").aggregate([("event_time", "min"), ("event_time", "max")])
    length = pc.subtract(spans.column("event_time_max"), spans.column("event_time_min"))
    return float(sum(d / timedelta(days=30) for d in length.to_pylist()))


if __name__ == "__main__":
    main()
