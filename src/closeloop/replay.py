"""Replays history: the same loop, hour by hour, deciding only from what was known then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.configuration import Configuration
from closeloop.loop import PassReport, run_pass
from closeloop.ports import Progress, Tracker
from closeloop.progress import shown
from closeloop.runner import Runner
from closeloop.tables import BRONZE_FEEDBACK, TIME

INTAKE = "ingest"
"""The step under which a replay hands out the rows that became known."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """From when to when, how often to look. Rows known before `start` train and never act."""

    start: datetime
    end: datetime
    every: timedelta

    def ticks(self) -> list[datetime]:
        """Return the times of the passes: start, start + every, …, up to and including end."""
        count = int((self.end - self.start) / self.every)
        times = [self.start + i * self.every for i in range(count + 1)]
        return times if times[-1] == self.end else [*times, self.end]


def known_times(rows: pa.Table, config: Configuration) -> pa.ChunkedArray:
    """Return when each bronze row could first have been known (null where it has no time).

    min(ingested_at, max(event_time, updated_at) + the source's lag), as domain.feedback.known_at.
    """
    # Arrow compares timestamps element by element only as numbers.
    event, updated, ingested = (
        rows.column(name).cast(pa.int64()) for name in ("event_time", "updated_at", "ingested_at")
    )
    encoded = rows.column("source").combine_chunks().dictionary_encode()
    lags = [
        int(config.source(name or "").lag.total_seconds() * 1e6)
        for name in encoded.dictionary.to_pylist()
    ]
    lag = pa.array(lags, pa.int64()).take(encoded.indices)
    newest = pc.add(pc.max_element_wise(event, updated), lag)
    known = pc.min_element_wise(newest, ingested, skip_nulls=False)
    return pa.chunked_array([pc.if_else(pc.is_valid(event), known, None).combine_chunks()]).cast(
        TIME
    )


def replay(
    runner: Runner,
    bronze: pa.Table,
    *,
    plan: ReplayPlan,
    trackers: Sequence[Tracker],
    stopwatch: Callable[[], float],
    on_pass: Callable[[PassReport, Runner], None] | None = None,
) -> list[PassReport]:
    """Run the loop over bronze rows as they became known; return the reports of all passes.

    A pass without new rows is left out, but for one a day, so that what only time brings (an
    outcome, a digest) comes on its day. Rows carry the time at which they became known as their
    time of ingestion, so nothing that came later is visible and history counts as backfill.
    """
    config = runner.services.config
    known = known_times(bronze, config)
    bronze = bronze.filter(pc.is_valid(known))
    known = pc.drop_null(known)
    order = pc.sort_indices(known)
    bronze = bronze.take(order)
    times = np.asarray(known.take(order).cast(pa.int64()).to_numpy(), dtype=np.int64)
    reports: list[PassReport] = []
    done = 0
    last_day = None
    ticks = plan.ticks()
    for tick in _counted(ticks, runner.services.progress):
        upto = int(np.searchsorted(times, int(tick.timestamp() * 1e6), side="right"))
        new = bronze.slice(done, upto - done)
        if new.num_rows == 0 and last_day == tick.date():
            continue
        last_day = tick.date()
        if new.num_rows:
            stamp: pa.Array | pa.ChunkedArray = pa.array(times[done:upto], pa.int64()).cast(TIME)
            if done == 0:
                stamp = pa.repeat(pa.scalar(plan.start, TIME), new.num_rows)
            position = new.schema.get_field_index("ingested_at")
            new = new.set_column(position, BRONZE_FEEDBACK.schema.field("ingested_at"), stamp)
            with runner.step(INTAKE, now=tick) as step:
                step.append(BRONZE_FEEDBACK, new)
            done = upto
        report = run_pass(runner, now=tick, trackers=trackers, stopwatch=stopwatch)
        reports.append(report)
        if on_pass is not None:
            on_pass(report, runner)
    return reports


def _counted(ticks: Sequence[datetime], progress: Progress) -> Iterator[datetime]:
    """Yield the times of the passes; each counts when it is done."""
    with shown(progress, "replay", total=len(ticks), unit="passes"):
        for tick in ticks:
            yield tick
            progress.advance(1)
