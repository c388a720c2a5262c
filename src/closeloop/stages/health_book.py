"""Keeps gold.source_health: one row an ailment of a source, while it lasts and after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from closeloop.domain.source_health import Episode
from closeloop.ports import StepContext
from closeloop.stages.product_view import HOUR_US, hour_of, time_of
from closeloop.stages.source_health import DELIVERY_COLUMNS, delivery_of, source_episodes
from closeloop.stats.baseline import HISTORY_DAYS
from closeloop.tables import FEEDBACK, SOURCE_HEALTH

CHECKED = "sources.checked"
"""State: when the sources of each product were looked at last."""
EVERY = timedelta(hours=6)
"""A product without new feedback is looked at so often: silence brings no rows to wake anybody."""
GROWN = 1.5
"""A row that lasts is written again when what is missing has grown by half."""

Row = dict[str, Any]


def check_idle_products(context: StepContext, *, touched: Iterable[str]) -> None:
    """Look at the sources of products that had nothing new for six hours; note when all were seen."""
    blob = context.state(CHECKED)
    checked: dict[str, str] = json.loads(blob) if blob else {}
    fresh = set(touched)
    due = {
        product
        for product, at in checked.items()
        if context.now - datetime.fromisoformat(at) >= EVERY
    }
    for product in sorted(due - fresh):
        record(context, product, idle_episodes(context, product))
    seen = due | (fresh - set(checked))
    if seen:
        now = context.now.isoformat()
        context.put_state(
            CHECKED, json.dumps({**checked, **dict.fromkeys(seen, now)}, sort_keys=True).encode()
        )


def idle_episodes(context: StepContext, product: str) -> list[Episode]:
    """Return how the sources of a product are, from its deliveries alone."""
    since = context.now - timedelta(days=HISTORY_DAYS)
    rows = context.rows(
        FEEDBACK,
        columns=list(DELIVERY_COLUMNS),
        where=[
            ("product", "=", product),
            ("event_time", ">=", since),
            ("event_time", "<=", context.now),
            ("duplicate_of", "=", None),
        ],
    )
    if rows.num_rows == 0:
        return []
    hours = rows.column("event_time").cast(pa.int64()).to_numpy() // HOUR_US
    now = hour_of(context.now)
    return source_episodes(delivery_of(rows, hours), since=now, now=now)


def record(context: StepContext, product: str, episodes: Sequence[Episode]) -> None:
    """Write what is new, has grown or is over to gold.source_health.

    An ailment keeps the beginning it was first told with. One that lasted and can't be seen any
    more has ended: late rows have filled it, or what is usual has changed.
    """
    held = context.rows(SOURCE_HEALTH, where=[("product", "=", product)]).to_pylist()
    rows: list[Row] = []
    seen: set[int] = set()
    for episode in episodes:
        before = next((r for r in held if id(r) not in seen and _same(r, episode)), None)
        if before is not None:
            seen.add(id(before))
        row = _row(context, product, episode, before)
        if before is None or _news(before, row):
            rows.append(row)
    rows += [
        {**row, "ended_at": context.now}
        for row in held
        if row["ended_at"] is None and id(row) not in seen
    ]
    if rows:
        context.merge(SOURCE_HEALTH, SOURCE_HEALTH.from_rows(rows))
        context.count("source_health", len(rows))


def _same(row: Row, episode: Episode) -> bool:
    named = (row["source"], row["ailment"], row["stratum"])
    ended = None if row["ended_at"] is None else hour_of(row["ended_at"])
    return (
        named == (episode.source, episode.ailment.value, episode.stratum)
        and (episode.until is None or hour_of(row["started_at"]) < episode.until)
        and (ended is None or ended >= episode.since)
    )


def _row(context: StepContext, product: str, episode: Episode, before: Row | None) -> Row:
    return {
        "product": product,
        "source": episode.source,
        "ailment": episode.ailment.value,
        "stratum": episode.stratum,
        "started_at": time_of(episode.since) if before is None else before["started_at"],
        "ended_at": None if episode.until is None else time_of(episode.until),
        "known_at": context.now if before is None else before["known_at"],
        "observed": episode.observed,
        "expected": episode.expected,
        "suspends": [s.value for s in episode.suspends],
        "reason": episode.reason,
    }


def _news(before: Row, row: Row) -> bool:
    if before["ended_at"] != row["ended_at"]:
        return True
    return bool(row["expected"] > GROWN * max(before["expected"], 1.0))
