"""Sources' health: what is recognised, what is written once, and which verdicts wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from closeloop.domain.source_health import Ailment, Episode, Suspends
from closeloop.stages import detect
from closeloop.stages.product_view import Coded, hour_of
from closeloop.stages.source_health import Delivery, reasons_against, source_episodes
from closeloop.tables import SIGNAL, SOURCE_HEALTH
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, History

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def run(context: InMemoryContext, history: History | None = None) -> list[dict[str, Any]]:
    """Write what is new, run the stage, and return the rows of gold.source_health."""
    if history is not None:
        history.write(context)
    detect.run(context.as_step(detect.NAME))
    context.as_step("reader")
    rows: list[dict[str, Any]] = context.rows(SOURCE_HEALTH).to_pylist()
    return sorted(rows, key=lambda r: (r["started_at"], r["ailment"]))


def started(*, rate: int = 4) -> tuple[InMemoryContext, History]:
    """A source with some forty texts a day over sixty days, seen once."""
    context = InMemoryContext(now=NOW)
    history = History(source="play")
    for _ in range(rate):
        history.calm()
    assert run(context, history) == []
    return context, history


def test_silence_is_told_by_a_pass_that_has_nothing_new():
    context, _ = started()
    told = []
    for hours in range(6, 49, 6):
        context.next_pass(now=NOW + hours * HOUR)
        told.append(run(context))
    assert told[0] == []
    (row,) = told[-1]
    assert (row["source"], row["ailment"], row["ended_at"]) == ("play", "silent", None)
    assert NOW - 3 * HOUR <= row["started_at"] <= NOW + HOUR
    assert row["known_at"] <= NOW + DAY
    assert row["suspends"] == ["signals", "release watch", "held"]
    assert "delivered nothing" in row["reason"]


def test_it_ends_when_the_source_delivers_again_and_is_one_row():
    context, history = started()
    context.next_pass(now=NOW + 2 * DAY)
    assert [r["ended_at"] for r in run(context)] == [None]
    for _ in range(4):
        history.calm(until=NOW + 3 * DAY, days=1)
    context.next_pass(now=NOW + 3 * DAY)
    (row,) = run(context, history)
    assert NOW + 2 * DAY <= row["ended_at"] <= NOW + 3 * DAY
    assert run(context) == [row]


def test_late_rows_that_fill_a_silence_end_it():
    context, history = started()
    context.next_pass(now=NOW + 2 * DAY)
    assert len(run(context)) == 1
    for _ in range(4):
        history.calm(until=NOW + 2 * DAY, days=2)
    for row in history.rows[history.written :]:
        row["ingested_at"] = NOW + 2 * DAY + HOUR
    context.next_pass(now=NOW + 2 * DAY + HOUR)
    (row,) = run(context, history)
    assert row["ended_at"] == context.now


def test_a_source_that_delivers_once_a_day_is_not_silent_between():
    context = InMemoryContext(now=NOW)
    history = History(source="export")
    for _ in range(4):
        history.calm()
    for row in history.rows:
        row["ingested_at"] = row["event_time"].replace(hour=0, minute=0) + DAY
    run(context, history)
    for hours in (6, 12, 18, 23):
        context.next_pass(now=NOW + hours * HOUR)
        assert run(context) == []
    context.next_pass(now=NOW + 4 * DAY)
    assert [r["ailment"] for r in run(context)] == ["silent"]


def test_a_history_taken_in_at_once_says_nothing_of_today():
    context = InMemoryContext(now=NOW)
    history = History(source="file").calm()
    history.calm().calm()
    for row in history.rows:
        row.update(ingested_at=NOW, backfill=True)
    assert run(context, history) == []
    context.next_pass(now=NOW + 5 * DAY)
    assert run(context) == []


def test_what_was_held_up_and_comes_at_once_raises_nothing():
    context, history = started()
    context.next_pass(now=NOW + 3 * DAY)
    run(context)
    # Three days' complaints, all under the hour of their delivery.
    for _ in range(4):
        history.calm(until=NOW + 3 * DAY + HOUR, days=3)
    for row in history.rows[history.written :]:
        row["event_time"] = NOW + 3 * DAY + HOUR / 2
        row["ingested_at"] = NOW + 3 * DAY + HOUR
    history.burst(30, end=NOW + 3 * DAY + HOUR, hours=1)
    context.next_pass(now=NOW + 3 * DAY + HOUR)
    run(context, history)
    assert context.rows(SIGNAL).num_rows == 0
    # A day later it is looked at again.
    later = NOW + 6 * DAY
    for _ in range(4):
        history.calm(until=later, days=2.9)
    context.next_pass(now=later)
    run(context, history)
    history.burst(30, end=later + 3 * HOUR)
    context.next_pass(now=later + 3 * HOUR)
    run(context, history)
    assert context.rows(SIGNAL).num_rows >= 1


def test_the_other_sources_are_watched_on():
    context, history = started()
    other = History(source="zendesk", seed=9)
    other.rows = history.rows
    other.written = history.written
    for _ in range(2):
        other.calm(until=NOW, days=60)
    run(context, other)
    for _ in range(2):
        other.calm(until=NOW + 3 * DAY, days=3)
    context.next_pass(now=NOW + 3 * DAY)
    (row,) = run(context, other)
    assert (row["source"], row["ailment"]) == ("play", "silent")
    other.burst(14, end=NOW + 3 * DAY + 3 * HOUR)
    context.next_pass(now=NOW + 3 * DAY + 3 * HOUR)
    run(context, other)
    assert [s["series_id"] for s in context.rows(SIGNAL).to_pylist()] == ["payment failure"]


def test_a_release_is_not_watched_while_good_ratings_are_missing():
    context, history = started()
    for day in range(1, 4):
        now = NOW + day * DAY
        for _ in range(4):
            history.calm(until=now, days=1)
        for row in history.rows[history.written :]:
            # No five stars are delivered any more: every version looks worse.
            row.update(rating=min(row["rating"], 2.0), version="2.0")
        context.next_pass(now=now)
        rows = run(context, history)
    assert ("missing", "rating=5") in {(r["ailment"], r["stratum"]) for r in rows}
    kinds = {
        s["kind"] for s in context.rows(SIGNAL).to_pylist() if s["detected_at"] >= NOW + 2 * DAY
    }
    assert "release" not in kinds


def test_late_bulk_is_shown():
    context, history = started()
    for row in history.rows:
        row["ingested_at"] = row["event_time"]
    start = len(history.rows)
    history.calm(until=NOW - 20 * DAY, days=10)
    for row in history.rows[start:]:
        row.update(ingested_at=NOW + HOUR, backfill=True)
    context.next_pass(now=NOW + HOUR)
    rows = [r for r in run(context, history) if r["ailment"] == "backfilled"]
    assert [r["suspends"] for r in rows] == [["signals"]]
    assert rows[0]["started_at"] < rows[0]["ended_at"] <= NOW - 19 * DAY


def delivery(counts: np.ndarray, *, first_day: int = 18_000) -> Delivery:
    hours = np.repeat(np.arange(len(counts)), counts.astype(int)) + first_day * 24
    size = len(hours)
    return Delivery(
        source=Coded(np.zeros(size, dtype=np.int64), ("store",)),
        hours=hours,
        arrived=hours,
        rating=np.full(size, np.nan),
        backfill=np.zeros(size, dtype=np.bool_),
    )


@pytest.mark.parametrize("limit", [None, 20])
def test_a_limit_of_the_collector_is_seen(limit):
    rng = np.random.default_rng(4)
    counts = rng.poisson(18.0, 60 * 24)
    if limit is not None:
        counts = np.minimum(counts, limit)
    now = 18_000 * 24 + len(counts) - 1
    found = source_episodes(delivery(counts), since=now, now=now)
    assert [e.ailment for e in found] == ([] if limit is None else [Ailment.CAPPED])


@pytest.mark.parametrize(
    ("days_after", "ailments"), [(0, [Ailment.CAPPED]), (27, [Ailment.CAPPED]), (29, []), (900, [])]
)
def test_a_source_that_ended_weeks_ago_is_not_capped_any_more(days_after, ailments):
    even = delivery(np.tile([1, 0], 30 * 12))
    now = int(even.hours.max()) + days_after * 24
    found = source_episodes(even, since=now, now=now)
    assert [e.ailment for e in found if e.ailment is not Ailment.SILENT] == ailments


def test_reasons_are_those_of_the_verdict_and_the_time():
    silent = Episode("a", Ailment.SILENT, 100, 120, 0.0, 40.0, "a was silent")
    partial = Episode("b", Ailment.PARTIAL, 90, None, 9.0, 40.0, "b delivered a part")
    both = [silent, partial]
    assert reasons_against(both, Suspends.HELD, since=110, until=130) == [
        "a was silent",
        "b delivered a part",
    ]
    assert reasons_against(both, Suspends.HELD, since=120, until=130) == ["b delivered a part"]
    assert reasons_against(both, Suspends.SIGNALS, since=90, until=100) == []
    assert hour_of(NOW) > 0
